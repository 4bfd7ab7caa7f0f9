//! A test harness: passes single inputs to nodes and returns their effects.
//!
//! It has no event queue and no network: the test decides which message arrives, when a timer expires, and
//! how much time passes. It keeps the logs, so that nodes can be restarted.
//!
//! ```
//! use dmos_core::NodeId;
//! use dmos_core::settings::Protocol;
//! use dmos_graph::NamedNetwork;
//! use dmos_node::Message;
//! use dmos_node::harness::{Harness, messages};
//!
//! let network = dmos_testkit::network(NamedNetwork::ThreeNodes);
//! let settings = dmos_testkit::node_settings(network, "memoized", "bully", Protocol::default());
//! let mut harness = Harness::new(settings);
//! // By the bully algorithm, the node sends an election message to the candidate with the higher number.
//! let effects = harness.start(NodeId::new(1));
//! assert!(matches!(messages(&effects)[..], [(to, Message::Election(_))] if to == NodeId::new(2)));
//! ```

use std::sync::Arc;

use dmos_core::{FlowVersion, Metric, NodeId, Span, Time};

use crate::interface::{Effect, Input, Scrapped, Timer};
use crate::log::LogRecord;
use crate::message::Message;
use crate::node::{Node, NodeSettings};

/// Nodes with their logs, and a clock that the test advances.
pub struct Harness {
    nodes: Vec<Node>,
    logs: Vec<Vec<LogRecord>>,
    now: Time,
}

impl Harness {
    /// Returns a harness with all nodes of a network, none of which has started.
    #[must_use]
    pub fn new(settings: NodeSettings) -> Self {
        let (settings, now) = (Arc::new(settings), Time::ZERO);
        let nodes: Vec<_> =
            settings.network.nodes().map(|node| Node::new(node, Arc::clone(&settings))).collect();
        Self { logs: vec![Vec::new(); nodes.len()], nodes, now }
    }

    /// Returns a node.
    #[must_use]
    pub fn node(&self, node: NodeId) -> &Node {
        &self.nodes[node.index()]
    }

    /// Returns the log of a node.
    #[must_use]
    pub fn log(&self, node: NodeId) -> &[LogRecord] {
        &self.logs[node.index()]
    }

    /// Returns the time of all clocks.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }

    /// Returns the count of a metric of a node.
    #[must_use]
    pub fn count(&self, node: NodeId, metric: Metric) -> u64 {
        self.node(node).metrics().get(metric)
    }

    /// Advances the clocks. Timers do not expire by themselves: see [`Harness::expire`].
    pub fn advance(&mut self, seconds: u64) {
        self.now = self.now + Span::from_secs(seconds);
    }

    /// Passes an input to a node, and returns its effects except timers and reports. The appends among them
    /// are durable at once.
    pub fn handle(&mut self, node: NodeId, input: Input<'_>) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.nodes[node.index()].handle(self.now, input, &mut effects);
        let log = &mut self.logs[node.index()];
        effects.retain(|effect| match effect {
            Effect::Append(record) => {
                log.push(record.clone());
                false
            }
            Effect::Compact(state) => {
                *log = vec![LogRecord::Compacted(state.clone())];
                false
            }
            Effect::SetTimer { .. } | Effect::Report(_) => false,
            _ => true,
        });
        effects
    }

    /// Starts a node from its log; at a time other than zero, after a crash.
    pub fn start(&mut self, node: NodeId) -> Vec<Effect> {
        self.start_with(node, Scrapped::default())
    }

    /// Like [`Harness::start`], with material that the crash destroyed.
    pub fn start_with(&mut self, node: NodeId, scrapped: Scrapped) -> Vec<Effect> {
        let (records, recovering) = (self.log(node).to_vec(), self.now > Time::ZERO);
        self.handle(node, Input::Start { records: &records, recovering, phase: Span::ZERO, scrapped })
    }

    /// Delivers a message.
    pub fn deliver(&mut self, from: NodeId, to: NodeId, message: &Message) -> Vec<Effect> {
        self.handle(to, Input::Message { from, message })
    }

    /// Delivers the messages among a node's effects, and all messages that follow, in the order in which they were
    /// sent. Returns sender, receiver and content of each.
    pub fn exchange(&mut self, from: NodeId, effects: &[Effect]) -> Vec<(NodeId, NodeId, Message)> {
        let sent_by = |from: NodeId, effects: &[Effect]| -> Vec<(NodeId, NodeId, Message)> {
            messages(effects).into_iter().map(|(to, message)| (from, to, message)).collect()
        };
        let mut delivered = sent_by(from, effects);
        let mut next = 0;
        while let Some((from, to, message)) = delivered.get(next).cloned() {
            let effects = self.deliver(from, to, &message);
            delivered.extend(sent_by(to, &effects));
            next += 1;
        }
        delivered
    }

    /// Lets a timer of a node expire, whether it was set or not.
    pub fn expire(&mut self, node: NodeId, timer: Timer) -> Vec<Effect> {
        self.handle(node, Input::Timer(timer))
    }
}

/// Returns the messages among effects, with their receivers.
#[must_use]
pub fn messages(effects: &[Effect]) -> Vec<(NodeId, Message)> {
    let send = |effect: &Effect| match effect {
        Effect::Send { to, message } => Some((*to, message.clone())),
        _ => None,
    };
    effects.iter().filter_map(send).collect()
}

/// Returns the identifier of the plan that starts among effects.
#[must_use]
pub fn started_plan(effects: &[Effect]) -> Option<FlowVersion> {
    effects.iter().find_map(|effect| match effect {
        Effect::Plan { plan_id, .. } => Some(*plan_id),
        _ => None,
    })
}
