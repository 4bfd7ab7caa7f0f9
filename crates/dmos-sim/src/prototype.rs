//! Parts of the published prototype that only its own scenarios use.

mod blackboard;
mod op_generator;

pub(crate) use blackboard::Blackboard;
pub(crate) use op_generator::{Actions, OpGenerator, targets};
