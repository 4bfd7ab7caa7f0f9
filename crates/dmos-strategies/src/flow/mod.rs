//! Flow strategies: who supplies whom.
//!
//! | strategy | what it does |
//! |---|---|
//! | [`exhaustive`] | the prototype's search, every route again and again |
//! | [`memoized`] | the same flow, every item once |
//! | [`least_cost`] | the cheapest plan, each use paid for |
//! | [`least_cost_shared`] | the cheapest plan, each node paid for once |
//! | [`shortest_lead_time`] | the plan whose final item is made first |
//! | [`balanced`] | loads as even as capacities allow |
//! | [`max_throughput`] | the highest rate of final items, and what bounds it |
//! | [`backup`] | a standby behind every supplier |
//! | [`sticky`] | as little change as possible after a death or a return |
//! | [`anchored`] | consistent hashing over the producers of each item |
//! | [`random`] | any flow: the baseline |
//!
//! What several of them need: `ends` (where the prototype's search begins), `spread` (consumers over suppliers),
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
