//! Helpers without knowledge of networks, nodes or simulations.
//!
//! | module | responsibility |
//! |---|---|
//! | [`atomic_write`] | atomic writes of files and directories |
//! | [`panics`] | catching panics of a unit of work |
//! | [`python_random`] | the random numbers of Python |
//! | [`suggestion`] | suggestions for unknown names |
//!
//! Architecture invariant: this crate depends on no other crate of the project.

pub mod atomic_write;
pub mod panics;
pub mod python_random;
pub mod suggestion;
