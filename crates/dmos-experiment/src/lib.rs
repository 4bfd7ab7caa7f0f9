//! Runs experiments: many runs of scenarios, strategies and seeds, on all cores and on several machines.
//!
//! | module | responsibility |
//! |---|---|
//! | [`experiment`] | cases, strategies and seeds, all checked before anything is run |
//! | [`manifest`] | an experiment as a file, split into shards |
//! | [`execute`](mod@execute) | the runs, on all cores |
//! | [`store`] | results on disk, without loss and without locks |
//! | [`merge`](mod@merge) | the results of all shards |
//! | [`ranges`] | numbers as `3,7,12-14` |
//! | [`criticality`] | the effect of removing each node |
//!
//! Architecture invariant: the runs and their results depend on the experiment alone: not on the machine, or
//! on the number of threads, shards or attempts.

pub mod criticality;
pub mod execute;
pub mod experiment;
pub mod manifest;
pub mod merge;
pub mod ranges;
pub mod store;

pub use execute::{RunResult, execute};
pub use experiment::{Experiment, ExperimentError, Options, PreparedExperiment};
pub use manifest::Manifest;
pub use merge::{Merged, merge};
pub use store::Store;
