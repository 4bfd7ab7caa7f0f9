//! The simulator: drives nodes in virtual time.
//!
//! It owns everything that a node does not: the event queue, the network, transits, disks, CPUs, faults, and
//! all randomness. The same scenario and seed yield the same record, bit for bit, on every machine.
//!
//! Start at [`run`], or at [`run_traced`] for a trace of all events.
//!
//! | module | responsibility |
//! |---|---|
//! | `simulator` | the event loop; below it the inputs, effects, work, lifecycle and faults of nodes |
//! | `event` | the events |
//! | [`event_queue`] | the event queue: ordered by time, then insertion, unless the same-time order is shuffled |
//! | `nodes` | the nodes, each with its disk, clock, workers and faults |
//! | `transport` | messages in transit, their delays and faults; transit times of batches |
//! | `cpu` | CPU time of work: workers, costs, and the CPU shared by all nodes |
//! | `faults` | the fault injector: script, random failures, counters of faults |
//! | `recorder` | observations of a run and the record at its end |
//! | `trace` | traces of all events |
//! | `determinism` | the determinism check |
//! | `rng` | random numbers: one stream per purpose and node |
//! | `prototype` | the prototype's blackboard and its op generator |
//!
//! # Order of events
//!
//! Events at the same time occur in the order in which they were scheduled. With a constant delay, messages
//! between two nodes therefore arrive in the order in which they were sent. Under `same_time_order: shuffled`
//! the order is random, except that scripted faults come first.
//!
//! Architecture invariant: this crate does not depend on YAML, and names no strategy.

mod cpu;
mod determinism;
mod event;
pub mod event_queue;
mod faults;
mod nodes;
mod prototype;
mod recorder;
mod rng;
mod simulator;
mod trace;
mod transport;

pub use determinism::{Difference, run_twice};
pub use simulator::run;
pub use trace::{Line, Trace, run_traced};
