//! What a comparison says: measures of a run, and paired statistics over seeds.
pub mod statistics;
