//! Leader strategies: who plans.
//!
//! | strategy | who leads |
//! |---|---|
//! | [`last_writer`] | as in the prototype, who writes last, for ever |
//! | [`bully`] | the highest number that is alive |
//! | [`ring`] | the highest number that goes round a ring |
//! | [`lowest_id`] | the lowest number that is alive, by heartbeats |
//! | [`raft`] | whoever a majority votes for |
//! | [`ballot`] | the highest ballot of those who reach a majority |
//!
//! Their messages are written and read by `wire`.

pub mod ballot;
pub mod bully;
pub mod last_writer;
pub mod lowest_id;
pub mod raft;
pub mod ring;
mod wire;
