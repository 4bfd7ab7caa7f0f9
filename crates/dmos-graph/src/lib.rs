//! Builds supply networks: from descriptions, from the prototype's generator, and from the prototype's named
//! networks; and analyses them.
//!
//! Start at [`description`], which turns names into a checked [`dmos_core::Network`].
//!
//! | module | responsibility |
//! |---|---|
//! | [`description`] | networks from names, with all problems reported |
//! | [`generate`] | the prototype's random networks, at any size |
//! | [`Feasibility`] | the nodes that can produce, given the nodes that are alive |
//! | [`paths`] | all paths from sources to final nodes, without listing them |
//! | [`plans`] | all plans with one producer for each item, without listing them |
//! | [`named_networks`] | the prototype's named networks |
//!
//! Architecture invariant: this crate does not depend on time, the state of a node, or any strategy.

pub mod description;
mod feasibility;
pub mod generate;
pub mod named_networks;
pub mod paths;
pub mod plans;

pub use description::{DescriptionPath, NetworkDescription, NodeDescription, Problem, Warning};
pub use feasibility::Feasibility;
pub use generate::{Complexity, Generate, GenerateError};
pub use named_networks::NamedNetwork;
