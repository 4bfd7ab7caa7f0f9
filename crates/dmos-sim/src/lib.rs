//! The simulator: drives nodes in virtual time.
//!
//! It owns everything that a node does not: the event queue, the network, transits, disks, CPUs, faults, and
//! all randomness. The same scenario and seed yield the same record, bit for bit, on every machine.
//!
//! Start at [`run`], or at [`run_traced`] for a trace of all events.
//!
//! | module | responsibility |
//! |---|---|
//! | `simulator` | the event loop; below it effects, work, faults, the script, the recorder and the trace |
//! | `determinism` | the determinism check |
//! | [`event_queue`] | the event queue: ordered by time, then insertion, unless the same-time order is shuffled |
//! | `rng` | random numbers: one stream per purpose and node |
//! | `workers` | the worker threads of a node and their queues |
//! | `costs` | CPU costs of inputs |
//! | `links` | message delays, message faults and partitions |
//! | `message_store` | messages in transit |
//! | `disk` | a node's log on disk |
//! | `node_clock` | a node's clock |
//! | `shared_cpu` | a CPU shared by all nodes |
//! | `blackboard` | the prototype's blackboard |
//! | `op_generator` | the prototype's random crashes and recoveries |
//! | `fault_counts` | counters of faults |
//!
//! # Order of events
//!
//! Events at the same time occur in the order in which they were scheduled. With a constant delay, messages
//! between two nodes therefore arrive in the order in which they were sent. Under `same_time_order: shuffled`
//! the order is random, except that scripted faults come first.
//!
//! Architecture invariant: nothing here knows YAML, a strategy by name, or the live runtime.

mod blackboard;
mod costs;
mod determinism;
mod disk;
pub mod event_queue;
mod fault_counts;
mod links;
mod message_store;
mod node_clock;
mod op_generator;
mod rng;
mod shared_cpu;
mod simulator;
mod workers;

pub use determinism::{Difference, run_twice};
pub use simulator::{Line, Trace, run, run_traced};
