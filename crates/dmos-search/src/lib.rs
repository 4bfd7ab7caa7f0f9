//! Randomised fault-injection testing: generates scenarios, runs them, checks invariants, and shrinks failing
//! scenarios.
//!
//! A [`Search`] generates scenarios from a seed (networks, strategies, protocols and faults), runs them, and
//! checks all invariants. A failing scenario is an ordinary scenario file: [`shrink()`] removes everything
//! from it that is not needed for the same failure.
//!
//! | module | responsibility |
//! |---|---|
//! | [`generate`] | generates scenarios, and faults for a given scenario |
//! | [`trial`] | runs a scenario file and classifies its failure |
//! | [`search`] | runs many scenarios on all cores, reproducibly |
//! | [`mod@shrink`] | shrinks a failing scenario |
//!
//! Architecture invariant: this crate names no strategy. All registered strategies are used.

pub mod generate;
pub mod search;
pub mod shrink;
pub mod trial;

pub use generate::Subject;
pub use search::{FailingScenario, Search, SearchSummary};
pub use shrink::{Shrunk, shrink, shrink_while};
pub use trial::{Trial, TrialFailure, try_out};
