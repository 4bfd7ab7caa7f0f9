//! Drives nodes in virtual time: the simulator.
//!
//! It owns everything that a node does not: the queue of events, the network between nodes, the roads
//! that goods travel, the disks, the machine that the nodes share, the faults, and all randomness. The
//! same scenario and seed give the same record, to the bit, on every machine.
//!
//! Start at [`run`].
//!
//! | module | its job |
//! |---|---|
//! | `simulator` | takes one event after the other and carries out what nodes want |
//! | `queue` | events in the order of time, then of insertion |
//! | `streams` | random numbers, one stream per purpose and node |
//! | `lanes` | the threads of a node: what each is at, and what waits for it |
//! | `costs` | how much CPU time an input takes |
//! | `host` | a machine whose cores all nodes share evenly |
//! | `board` | what all see at once, in the prototype's way |
//! | `operator` | the prototype's killer and reviver |
//! | `auditor` | checks what must always hold |
//!
//! # Order of events
//!
//! Events of the same instant happen in the order in which they were scheduled. With a fixed delay,
//! messages between two nodes therefore arrive in the order in which they were sent.
//!
//! Architecture invariant: nothing here knows YAML, a strategy by name, or the live runtime.

mod auditor;
mod board;
mod costs;
mod host;
mod lanes;
mod operator;
mod queue;
mod simulator;
mod streams;

pub use simulator::run;
