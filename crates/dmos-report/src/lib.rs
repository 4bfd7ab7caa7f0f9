//! Turns the record of a run, and the answer of an experiment, into tables, CSV, JSON and run directories.
//!
//! | module | its job |
//! |---|---|
//! | [`summary`] | min, max, mean, median, std and var of each metric over the nodes that report it |
//! | [`comparison`] | the answer of an experiment |
//! | `csv_text` | CSV as text |
//! | [`published`] | tables of other programs, and how ours compares |
//! | [`table`] | the look of tables |
//! | [`run_document`] | a run as one JSON document |
//! | [`run_directory`] | a run as a directory of files |
//! | [`whole`] | writes files and directories whole or not at all |
//!
//! Architecture invariant: nothing here knows how a run was made.

pub mod atomic_write;
pub mod comparison;
mod csv_text;
pub mod published;
pub mod run_directory;
pub mod run_document;
pub mod summary;
pub mod table;

pub use csv_text::csv_text;
pub use run_document::{Provenance, RunDocument};
pub use summary::{Statistics, Summary};
