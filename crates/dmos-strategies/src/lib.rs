//! The strategies included in DMOS, one file each, in three families.
//!
//! Linking this crate registers all of them; a program that uses nothing else from it needs `use
//! dmos_strategies as _;`.
//!
//! | module | strategies |
//! |---|---|
//! | [`flow`] | planners |
//! | [`leader`] | leader-election algorithms |
//! | [`detector`] | failure detectors |
//!
//! Architecture invariant: a strategy knows the contract and functions of a network, but neither the node
//! that hosts it, nor the simulator, nor a clock.

pub mod detector;
pub mod flow;
pub mod leader;
