//! The contract of a driver: a program that runs nodes, such as a simulator or a live runtime.
//!
//! A [`Node`](crate::Node) does no I/O. Its driver owns the clock, the disk, the network, the transport of
//! material, and randomness. It passes one [`Input`](crate::Input) at a time to
//! [`Node::handle`](crate::Node::handle), and executes the resulting [`Effect`](crate::Effect)s.
//!
//! # Order and durability
//!
//! * Effects are executed in order. Later inputs of the same node follow all effects of earlier ones.
//! * An [`Effect::Append`](crate::Effect::Append) is durable before any later effect becomes visible outside the
//!   node, and before its next input. Consecutive appends form a commit: after a crash, all of them are in the log
//!   or none. [`log_file`](crate::log_file) encodes commits. [`Effect::Compact`](crate::Effect::Compact) replaces
//!   the log atomically.
//! * Effects that precede no append may be executed at once; an implementation of
//!   [`Effects`](crate::Effects) can do so while the node is still handling its input.
//! * Messages can be lost, duplicated, delayed and reordered. Messages of a node to itself arrive.
//!
//! # Time
//!
//! * `now` never decreases for a node within one incarnation. It may differ between nodes.
//! * A timer returns no earlier than it was set for. An [`Effect::Transport`](crate::Effect::Transport) returns as
//!   [`Input::Arrived`](crate::Input::Arrived) after the transit time, and an
//!   [`Effect::Plan`](crate::Effect::Plan) as [`Input::Planned`](crate::Input::Planned) after the time that its
//!   steps take. A `blocking` one delays all messages to the node until then.
//!
//! # Crashes
//!
//! * A crash can happen between two effects. Pending timers, transports and plans are invalidated: those of an
//!   earlier incarnation must not return, and messages to the node may be lost.
//! * Recovery is an [`Input::Start`](crate::Input::Start) with the durable records in order, and with the material
//!   that the crash destroyed. The records are exactly those appended, except a last commit that was not synced.
//! * A failed append is a crash: a node cannot continue without its log.
//!
//! # Observation
//!
//! Metrics ([`Node::metrics`](crate::Node::metrics)) survive a crash. An
//! [`Effect::Report`](crate::Effect::Report) has no effect on nodes; it informs observers. The invariant checkers
//! of `dmos-audit` need starts, crashes, durable records, plans, and the holdings after each start.
//!
//! # States of a node
//!
//! | state | event | next state | |
//! |---|---|---|---|
//! | absent | start | up | the first [`Input::Start`](crate::Input::Start) |
//! | up | crash | down | a failed append is a crash |
//! | up | freeze | frozen | from now on no input is passed |
//! | frozen | thaw | up | inputs of the meantime are passed, timers are postponed |
//! | frozen | crash | down | |
//! | down | start | up | [`Input::Start`](crate::Input::Start) with the records of the log |
//!
//! Every other event leaves the state unchanged. A test in `dmos-sim` compares the table with the simulator.
//!
//! Leadership and retirement are not states of the driver: the node reports the former, and its log contains
//! the latter.
//!
//! # Example
//!
//! A driver in memory, without faults: a queue of events ordered by time and insertion.
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::sync::Arc;
//!
//! use dmos_core::settings::Protocol;
//! use dmos_core::{BatchId, FlowVersion, Metric, NodeId, Registry, Span, Time};
//! use dmos_node::{Effect, Input, LogRecord, Message, Node, NodeSettings, Scrapped, Timer};
//! use dmos_strategies as _;
//!
//! enum Event {
//!     Message(NodeId, Message),
//!     Timer(Timer),
//!     Arrived(BatchId),
//!     Planned(FlowVersion),
//! }
//!
//! #[derive(Default)]
//! struct Driver {
//!     nodes: Vec<Node>,
//!     logs: Vec<Vec<LogRecord>>,
//!     queue: BTreeMap<(Time, u64), (NodeId, Event)>,
//!     scheduled: u64,
//! }
//!
//! impl Driver {
//!     fn schedule(&mut self, at: Time, node: NodeId, event: Event) {
//!         self.scheduled += 1;
//!         self.queue.insert((at, self.scheduled), (node, event));
//!     }
//!
//!     fn handle(&mut self, now: Time, node: NodeId, input: Input<'_>) {
//!         let mut effects = Vec::new();
//!         self.nodes[node.index()].handle(now, input, &mut effects);
//!         for effect in effects {
//!             let log = &mut self.logs[node.index()];
//!             match effect {
//!                 Effect::Append(record) => log.push(record),
//!                 Effect::Compact(state) => *log = vec![LogRecord::Compacted(state)],
//!                 Effect::Send { to, message } => {
//!                     self.schedule(now + Span::from_millis(1), to, Event::Message(node, message));
//!                 }
//!                 Effect::SetTimer { after, timer } => self.schedule(now + after, node, Event::Timer(timer)),
//!                 Effect::Transport { batch, .. } => {
//!                     self.schedule(now + Span::from_secs(1), node, Event::Arrived(batch));
//!                 }
//!                 Effect::Plan { plan_id, .. } => self.schedule(now, node, Event::Planned(plan_id)),
//!                 Effect::StartRun { .. } => {
//!                     self.schedule(now + Span::from_secs(1), node, Event::Timer(Timer::RunEnd));
//!                 }
//!                 Effect::Post(_) | Effect::Report(_) => {}
//!             }
//!         }
//!     }
//!
//!     fn run(&mut self, end: Time) {
//!         while let Some(((now, _), (node, event))) = self.queue.pop_first()
//!             && now < end
//!         {
//!             match event {
//!                 Event::Message(from, message) => {
//!                     self.handle(now, node, Input::Message { from, message: &message });
//!                 }
//!                 Event::Timer(timer) => self.handle(now, node, Input::Timer(timer)),
//!                 Event::Arrived(batch) => self.handle(now, node, Input::Arrived(batch)),
//!                 Event::Planned(plan_id) => self.handle(now, node, Input::Planned(plan_id)),
//!             }
//!         }
//!     }
//! }
//!
//! let (network, _) = dmos_graph::NamedNetwork::ThreeNodes.description().build().expect("a valid network");
//! let network = Arc::new(network);
//! let registry = Registry::collect().expect("unique names");
//! let settings = Arc::new(NodeSettings {
//!     network: Arc::clone(&network),
//!     protocol: Protocol::default(),
//!     flow: registry.flow(&"memoized".parse().expect("a valid call"), &network).expect("a known strategy"),
//!     planning_budget: 1_000_000,
//!     routes: Arc::default(),
//!     seed: 1,
//!     leader: registry
//!         .leader(&"bully".parse().expect("a valid call"), &network)
//!         .expect("a known strategy")
//!         .build()
//!         .into(),
//!     detector: registry
//!         .detector(&"fixed-timeout".parse().expect("a valid call"), &network)
//!         .expect("a known failure detector")
//!         .build()
//!         .into(),
//!     candidates: network.nodes().collect(),
//!     added_later: Arc::new([]),
//! });
//! let mut driver = Driver::default();
//! for node in network.nodes() {
//!     driver.nodes.push(Node::new(node, Arc::clone(&settings)));
//!     driver.logs.push(Vec::new());
//! }
//! for node in network.nodes() {
//!     let (phase, scrapped) = (Span::ZERO, Scrapped::default());
//!     driver.handle(Time::ZERO, node, Input::Start { records: &[], recovering: false, phase, scrapped });
//! }
//! driver.run(Time::ZERO + Span::from_secs(60));
//! assert!(driver.nodes[2].metrics().get(Metric::FinishedGoodsMade) > 10);
//! ```
