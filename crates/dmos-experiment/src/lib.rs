//! Runs experiments: many runs of scenarios, strategies and seeds, on all cores, here or on other machines.
//!
//! | module | its job |
//! |---|---|
//! | [`experiment`] | what is run: cases, strategies, seeds, all checked before anything is run |
//! | [`manifest`] | an experiment as a file, cut into shards |
//! | [`conduct`](mod@conduct) | makes the runs, on all cores |
//! | [`store`] | results as they finish, on disk: nothing is lost, nothing needs a lock |
//! | [`merge`](mod@merge) | the results of all shards, judged whole |
//! | [`ranges`] | numbers as `3,7,12-14` |
//! | [`criticality`] | what each node means to a network: one run without it |
//!
//! Architecture invariant: what is run, and what comes of it, depends on the experiment alone: not on the machine, the
//! number of threads, of shards, or of tries.

pub mod conduct;
pub mod criticality;
pub mod experiment;
pub mod manifest;
pub mod merge;
pub mod ranges;
pub mod store;

pub use conduct::{RunResult, conduct};
pub use experiment::{Experiment, ExperimentError, Options, Ready};
pub use manifest::Manifest;
pub use merge::{Merged, merge};
pub use store::Store;
