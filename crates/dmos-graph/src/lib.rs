//! Builds supply networks: from descriptions, from the prototype's generator, from its named plants.
//!
//! Start at [`describe`], which turns names into a checked [`dmos_core::Network`].
//!
//! | module | what it does |
//! |---|---|
//! | [`describe`] | builds a network from names, and says all that is wrong with them |
//! | [`generate`] | draws the prototype's random networks, bit for bit, at any size |
//! | [`Makers`] | who can make what with some of the nodes alive |
//! | [`names`] | suggests a name for one that does not exist |
//! | [`paths`] | all paths from sources to final nodes, without listing them |
//! | [`plans`] | all plans with one maker for each item, without listing them |
//! | [`plants`] | the prototype's named networks |
//! | [`python`] | draws the numbers that Python's `random` draws |
//!
//! Architecture invariant: nothing here knows time, the state of a node, or any strategy.

pub mod describe;
pub mod generate;
mod makers;
pub mod names;
pub mod paths;
pub mod plans;
pub mod plants;
pub mod python;

pub use describe::{NetworkDescription, NodeDescription, Place, Problem, Warning};
pub use generate::{Complexity, Generate, GenerateError};
pub use makers::Makers;
pub use plants::Plant;
pub use python::PythonRandom;
