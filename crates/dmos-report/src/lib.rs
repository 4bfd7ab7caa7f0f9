//! Formats run records and comparisons as tables, CSV, JSON and run directories.
//!
//! | module | responsibility |
//! |---|---|
//! | [`summary`] | statistics of each metric over the nodes that report it |
//! | [`comparison`] | comparisons of strategies |
//! | `csv_text` | CSV as text |
//! | [`factory`] | the report of a run for people |
//! | [`published`] | comparison with published tables |
//! | [`table`] | layout of tables |
//! | [`run_document`] | a run as a JSON document |
//! | [`run_directory`] | a run as a directory of files |
//!
//! Architecture invariant: this crate does not depend on how a run was executed.

pub mod comparison;
mod csv_text;
pub mod factory;
pub mod published;
pub mod run_directory;
pub mod run_document;
pub mod summary;
pub mod table;

pub use csv_text::csv_text;
pub use run_document::{Provenance, RunDocument};
pub use summary::{Statistics, Summary};
