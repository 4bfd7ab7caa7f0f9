//! One node of a factory network, as a deterministic state machine without I/O.
//!
//! The driver of a [`Node`], a simulator or a live runtime, owns clocks, disks, the network, the transport of
//! material, and randomness. It passes one [`Input`] at a time with the current time, and executes the
//! resulting [`Effect`]s in order. The order is a contract: a record that must be durable before something
//! becomes visible is appended before it is sent.
//!
//! Start at [`Node::handle`].
//!
//! | module | responsibility |
//! |---|---|
//! | [`driver`] | the contract of a driver, with an example |
//! | [`harness`] | a test harness for single inputs |
//! | [`interface`] | inputs and effects |
//! | [`message`] | messages between nodes |
//! | [`codec`] | binary encoding of messages, and checks of messages and logs |
//! | [`log`] | log records, and the state that a log represents |
//! | [`log_file`] | the log on disk, in commit frames |
//! | [`node_config`] | commands to a node, and the resulting configuration |
//! | [`node`] | dispatches each input to the component that handles it |
//! | `production` | production runs, one per production cycle |
//! | `inbound` | requests and input buffers |
//! | `outbound` | output buffer and shipments |
//! | `retransmission` | timeouts of unanswered messages |
//! | `assignment` | the active assignment |
//! | `server` | production as a server: input and output buffers, orders and shipments |
//! | [`batch_set`], [`batch_range`] | sets and ranges of batches |
//! | `failure_detector` | heartbeats and suspicion |
//! | `links` | broken links of a node, and their report to the leader |
//! | [`relay`] | control messages that pass through other nodes |
//! | `leadership` | election and current leader |
//! | `commands` | execution of commands, and their propagation to the leader |
//! | `planning` | planning and distribution of flows by the leader |
//! | [`lifecycle`] | state diagrams of a batch and of an order, as tables |
//! | `prototype` | the prototype's deviations from the protocol, which its own scenarios select |
//!
//! Architecture invariant: this crate does not depend on a driver, and names no strategy.

mod assignment;
pub mod batch_range;
pub mod batch_set;
pub mod codec;
mod commands;
mod context;
pub mod driver;
mod failure_detector;
pub mod harness;
mod inbound;
pub mod interface;
mod leadership;
pub mod lifecycle;
mod links;
pub mod log;
pub mod log_file;
pub mod message;
pub mod node;
pub mod node_config;
mod outbound;
mod planning;
mod production;
mod prototype;
pub mod relay;
mod retransmission;
mod server;

pub use interface::{Effect, Effects, Input, Notice, PlanReport, Report, Scrapped, Timer};
pub use log::{LogRecord, LogState};
pub use message::{LinksRevision, Membership, Message};
pub use node::{Holdings, Load, MaterialPlace, Node, NodeSettings};
pub use node_config::{Command, NodeConfig};
pub use relay::Relayed;
pub use server::{Activity, Occupancy, Order, OrderStatus};
