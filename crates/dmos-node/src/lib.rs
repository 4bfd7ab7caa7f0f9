//! One node of a factory network, as a deterministic machine without I/O.
//!
//! Whoever drives a [`Node`], a simulator or a live runtime, owns clocks, disks, the network, the
//! roads on which material travel, and randomness. It hands in one [`Input`] at a time with the current
//! time, and carries out the [`Effect`]s that come back, in their order. The order is a promise: what
//! must be durable before it is visible is appended before it is sent.
//!
//! Start at [`Node::handle`].
//!
//! | module | its job |
//! |---|---|
//! | [`interface`] | what goes in and what comes out |
//! | [`message`] | what nodes say to each other |
//! | [`codec`] | log records and messages as bytes |
//! | [`log`] | the log's records and what they add up to after a crash |
//! | [`standing`] | what an op generator may order, and where that leaves a node |
//! | [`node`] | hands each input to the part whose job it is |
//! | `production` | makes batches, once per manufacture cycle |
//! | `inbound` | asks for batches and receives them |
//! | `outbound` | keeps the stock and sends batches off |
//! | `active` | what the node knows of the flow |
//! | [`batch_set`] | which batches have been seen |
//! | `failure_detector` | watches neighbours by heartbeats |
//! | `leadership` | hosts the election machine, knows who leads |
//! | `orders` | follows orders, and tells the leader |
//! | `planning` | plans the flow, if this node leads, and tells the others |
//!
//! Architecture invariant: nothing here knows who drives it, or any strategy by name.

mod assignment;
pub mod batch_set;
pub mod codec;
mod commands;
mod context;
mod failure_detector;
mod inbound;
pub mod interface;
mod leadership;
pub mod log;
pub mod message;
pub mod node;
pub mod node_config;
mod outbound;
mod planning;
mod production;

pub use interface::{Effect, Effects, Input, Notice, PlanReport, Report, Scrapped, Timer};
pub use log::{LogRecord, LogState};
pub use message::Message;
pub use node::{Holdings, Load, Node, NodeSettings};
pub use node_config::{Command, NodeConfig};
