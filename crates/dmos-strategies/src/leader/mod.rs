//! Leader strategies: election of the node that plans.
//!
//! | strategy | leader |
//! |---|---|
//! | [`last_writer`] | the last writer in the prototype's race |
//! | [`bully`] | the highest live number (bully algorithm) |
//! | [`ring`] | the highest number on a ring (Chang and Roberts) |
//! | [`lowest_id`] | the lowest live number, by heartbeats (Ω) |
//! | [`raft`] | the winner of a majority vote (Raft with pre-vote) |
//! | [`ballot`] | the highest ballot that is connected to a majority (Omni-Paxos) |
//!
//! Their messages are encoded and decoded by `wire`.

pub mod ballot;
pub mod bully;
pub mod last_writer;
pub mod lowest_id;
pub mod raft;
pub mod ring;
mod wire;
