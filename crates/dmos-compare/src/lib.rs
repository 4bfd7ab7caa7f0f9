//! Comparison of strategies: metrics of runs, and paired statistics over them.
//!
//! | module | responsibility |
//! |---|---|
//! | [`run_metric`] | metrics of whole runs, and all metrics by which runs are compared |
//! | [`run_summary`] | the metrics of one run |
//! | `resilience` | resilience metrics |
//! | `output` | complete sets over time, and their falls |
//! | [`grid`] | the summaries of an experiment, by its axes |
//! | [`ranking`] | rankings by one metric, with paired differences |
//! | [`verdict`] | verdicts on differences |
//! | [`comparison`] | the comparison of an experiment's results |
//! | [`profile`] | all run metrics side by side |
//! | [`regression`] | comparison with earlier results |
//! | [`statistics`] | differences, intervals, tests, survival |
//!
//! Architecture invariant: this crate does not depend on how a run was executed, on which machine, or in which order.

pub mod comparison;
pub mod grid;
mod output;
pub mod profile;
pub mod ranking;
pub mod regression;
mod resilience;
pub mod run_metric;
pub mod run_summary;
pub mod statistics;
pub mod verdict;

pub use comparison::Comparison;
pub use grid::{Axes, By, Combination, Grid};
pub use ranking::Table;
pub use run_metric::{Better, ResultMetric, RunMetric};
pub use run_summary::RunSummary;
pub use verdict::Verdict;
