//! What a comparison of strategies says: the metrics of runs, and paired statistics over them.
//!
//! | module | its job |
//! |---|---|
//! | [`run_metric`] | the metrics of whole runs, and all metrics by which runs are compared |
//! | [`summary`] | what is kept of a run: its metrics |
//! | `resilience` | how a run takes what fails |
//! | [`grid`] | the summaries of an experiment, laid out by what varies |
//! | [`answer`] | which strategy wins, by how much, and how sure that is |
//! | [`verdict`] | what a comparison comes to, in words |
//! | [`comparison`] | all that is said of an experiment's results |
//! | [`profile`] | all metrics of runs side by side |
//! | [`regression`] | whether today's results are worse than earlier ones |
//! | [`statistics`] | differences, intervals, tests, survival |
//!
//! Architecture invariant: nothing here knows how a run was made, on which machine, or in which order.

pub mod comparison;
pub mod grid;
pub mod profile;
pub mod ranking;
pub mod regression;
mod resilience;
pub mod run_metric;
pub mod run_summary;
pub mod statistics;
pub mod verdict;

pub use comparison::Comparison;
pub use grid::{Axes, By, Grid};
pub use ranking::Table;
pub use run_metric::{Better, ResultMetric, RunMetric};
pub use run_summary::RunSummary;
pub use verdict::Verdict;
