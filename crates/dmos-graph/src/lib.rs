//! Builds supply networks: from descriptions, from the prototype's generator, from its named named_networks.
//!
//! Start at [`describe`], which turns names into a checked [`dmos_core::Network`].
//!
//! | module | what it does |
//! |---|---|
//! | [`describe`] | builds a network from names, and says all that is wrong with them |
//! | [`generate`] | draws the prototype's random networks, bit for bit, at any size |
//! | [`Feasibility`] | who can make what with some of the nodes alive |
//! | [`names`] | suggests a name for one that does not exist |
//! | [`paths`] | all paths from sources to final nodes, without listing them |
//! | [`plans`] | all plans with one producer for each item, without listing them |
//! | [`named_networks`] | the prototype's named networks |
//! | [`python`] | draws the numbers that Python's `random` draws |
//!
//! Architecture invariant: nothing here knows time, the state of a node, or any strategy.

pub mod description;
mod feasibility;
pub mod generate;
pub mod named_networks;
pub mod names;
pub mod paths;
pub mod plans;
pub mod python_random;

pub use description::{DescriptionPlace, NetworkDescription, NodeDescription, Problem, Warning};
pub use feasibility::Feasibility;
pub use generate::{Complexity, Generate, GenerateError};
pub use named_networks::NamedNetwork;
pub use python_random::PythonRandom;
