//! Searches for the run in which something is lost, and makes it small.
//!
//! A [`Search`] draws scenarios from a seed, networks, strategies, protocols and faults, runs them, and asks
//! the invariant checker. What fails is a scenario file like any other: [`shrink()`] takes out of it all that can be
//! taken out while it still fails in the same way.
//!
//! | module | its job |
//! |---|---|
//! | [`draw`] | draws scenarios, and faults for a scenario that is given |
//! | [`trial`] | runs a scenario file and says how it failed, if it did |
//! | [`search`] | runs very many, on all cores, with the same result on any number |
//! | [`mod@shrink`] | makes a failing scenario small |
//!
//! Architecture invariant: nothing here knows a strategy by name. Whatever is registered is drawn.

pub mod draw;
pub mod search;
pub mod shrink;
pub mod trial;

pub use draw::Subject;
pub use search::{Found, Search, SearchSummary};
pub use shrink::{Shrunk, shrink, shrink_while};
pub use trial::{Trial, TrialFailure, try_out};
