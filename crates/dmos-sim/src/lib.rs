//! Drives nodes in virtual time: the simulator.
//!
//! It owns everything that a node does not: the queue of events, the network between nodes, the roads
//! that material travel, the disks, the machine that the nodes share, the faults, and all randomness. The
//! same scenario and seed give the same record, to the bit, on every machine.
//!
//! Start at [`run`], or at [`run_traced`] to see what happens, event by event.
//!
//! | module | its job |
//! |---|---|
//! | `simulator` | takes one event after the other; below it: what leaves a node, effects, work, faults, the script, the trace |
//! | [`panics`] | runs something, and says in words how it panicked |
//! | `determinism` | checks that a run is the same when it is run again |
//! | [`queue`] | events in the order of time, then of insertion, unless same-time order is shuffled |
//! | `rng` | random numbers, one stream per purpose and node |
//! | `workers` | the threads of a node: what each is at, and what waits for it |
//! | `costs` | how much CPU time an input takes |
//! | `links` | the network between nodes |
//! | `message_store` | messages that nobody has read yet |
//! | `disk` | what of a log survives a crash |
//! | `clock` | clocks that are wrong, or stand still |
//! | `shared_cpu` | a machine whose cores all nodes share evenly |
//! | `blackboard` | what all see at once, in the prototype's way |
//! | `op generator` | the prototype's killer and reviver |
//! | `fault_counts` | counts faults |
//!
//! # Order of events
//!
//! Events of the same instant happen in the order in which they were scheduled. With a fixed delay,
//! messages between two nodes therefore arrive in the order in which they were sent. Under
//! `same_time_order: shuffled` the order is drawn from the seed, but for faults of the script, which come first.
//!
//! Architecture invariant: nothing here knows YAML, a strategy by name, or the live runtime.

mod blackboard;
mod clock;
mod costs;
mod determinism;
mod disk;
mod fault_counts;
mod links;
mod message_store;
mod op_generator;
pub mod panics;
pub mod queue;
mod rng;
mod shared_cpu;
mod simulator;
mod workers;

pub use determinism::{Difference, run_twice};
pub use simulator::{Line, Trace, run, run_traced};
