//! The strategies that come with DMOS, one file each.
//!
//! Linking this crate registers them all; a program that names nothing of it says
//! `use dmos_strategies as _;`.
//!
//! | strategy | family | what it does |
//! |---|---|---|
//! | [`exhaustive`] | flow | the prototype's search, every route again and again |
//! | [`memoized`] | flow | the same flow, every item once |
//! | [`last_writer`] | leader | the prototype's race: who writes last leads for ever |
//! | [`bully`] | leader | the highest number that is alive leads |
//!
//! Architecture invariant: a strategy knows the contract alone, never the node that hosts it, the
//! simulator or a clock.

pub mod bully;
mod ends;
pub mod exhaustive;
pub mod last_writer;
pub mod memoized;
