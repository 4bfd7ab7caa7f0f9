//! The strategies that come with DMOS, one file each, in two families.
//!
//! Linking this crate registers them all; a program that names nothing of it says
//! `use dmos_strategies as _;`.
//!
//! | module | its strategies |
//! |---|---|
//! | [`flow`] | say who supplies whom |
//! | [`leader`] | say who plans |
//!
//! Architecture invariant: a strategy knows the contract and what can be asked of a network, never the node that
//! hosts it, the simulator or a clock.

pub mod flow;
pub mod leader;
