//! The strategies that come with DMOS, one file each.
//!
//! Linking this crate registers them all; a program that names nothing of it says
//! `use dmos_strategies as _;`.
//!
//! | strategy | family | what it does |
//! |---|---|---|
//! | [`exhaustive`] | flow | the prototype's search, every route again and again |
//! | [`memoized`] | flow | the same flow, every item once |
//! | [`least_cost`] | flow | the cheapest plan, each use paid for |
//! | [`least_cost_shared`] | flow | the cheapest plan, each node paid for once |
//! | [`shortest_lead_time`] | flow | the plan whose final item is made first |
//! | [`balanced`] | flow | loads as even as capacities allow |
//! | [`max_throughput`] | flow | the highest rate of final items, and what bounds it |
//! | [`backup`] | flow | a standby behind every supplier |
//! | [`sticky`] | flow | as little change as possible after a death or a return |
//! | [`anchored`] | flow | consistent hashing over the makers of each item |
//! | [`random`] | flow | any flow: the baseline |
//! | [`last_writer`] | leader | the prototype's race: who writes last leads for ever |
//! | [`bully`] | leader | the highest number that is alive leads |
//! | [`ring`] | leader | the highest number that goes round a ring leads |
//! | [`lowest_id`] | leader | the lowest number that is alive leads, by heartbeats |
//! | [`raft`] | leader | whoever a majority votes for leads |
//! | [`ballot`] | leader | the highest ballot of those who reach a majority leads |
//!
//! Architecture invariant: a strategy knows the contract alone, never the node that hosts it, the
//! simulator or a clock.

pub mod anchored;
pub mod backup;
pub mod balanced;
pub mod ballot;
pub mod bully;
mod ends;
pub mod exhaustive;
pub mod last_writer;
pub mod least_cost;
pub mod least_cost_shared;
pub mod lowest_id;
pub mod max_throughput;
pub mod memoized;
pub mod raft;
pub mod random;
pub mod ring;
pub mod shortest_lead_time;
mod spread;
pub mod sticky;
mod sweep;
mod wide;
mod wire;
