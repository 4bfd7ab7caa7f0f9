//! Flow strategies: planners that assign suppliers to consumers.
//!
//! | strategy | plan |
//! |---|---|
//! | [`exhaustive`] | the prototype's search, without memoization |
//! | [`memoized`] | the same flow in linear time |
//! | [`least_cost`] | the least cost, each use paid for |
//! | [`least_cost_shared`] | the least cost, each node paid for once |
//! | [`shortest_lead_time`] | the shortest critical path |
//! | [`balanced`] | balanced utilisation |
//! | [`max_throughput`] | the highest rate of final items, and its bottleneck |
//! | [`backup`] | a standby for every supplier |
//! | [`sticky`] | minimal changes after a failure or return |
//! | [`anchored`] | consistent hashing over the producers of each item |
//! | [`random`] | a random flow: the baseline |
//!
//! Shared parts: `ends` (start and end nodes of the prototype's search), `spread` (consumers over suppliers),
//! `sweep` (the best producer of every item), `wide` (numbers beyond floats).

pub mod anchored;
pub mod backup;
pub mod balanced;
mod ends;
pub mod exhaustive;
pub mod least_cost;
pub mod least_cost_shared;
pub mod max_throughput;
pub mod memoized;
pub mod random;
pub mod shortest_lead_time;
mod spread;
pub mod sticky;
mod sweep;
mod wide;
