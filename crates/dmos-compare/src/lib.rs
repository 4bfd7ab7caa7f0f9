//! What a comparison of strategies says: the figures of runs, and paired statistics over them.
//!
//! | module | its job |
//! |---|---|
//! | [`run_metric`] | the metrics of whole runs, and all figures by which runs are compared |
//! | [`outcome`] | what is kept of a run: its figures |
//! | `resilience` | how a run takes what fails |
//! | [`statistics`] | differences, intervals, tests, survival |
//!
//! Architecture invariant: nothing here knows how a run was made, on which machine, or in which order.

pub mod outcome;
mod resilience;
pub mod run_metric;
pub mod statistics;

pub use outcome::Outcome;
pub use run_metric::{Better, Figure, RunMetric};
