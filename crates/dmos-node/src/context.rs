//! The environment of a node's components while they handle one input.

use dmos_core::settings::Protocol;
use dmos_core::{Metric, Network, NodeId, NodeMetrics, Span, Time};

use crate::interface::{Effect, Effects, Report, Timer};
use crate::log::LogRecord;
use crate::message::Message;

/// Environment of one input: time, identity, protocol, and the receiver of effects.
pub(crate) struct Context<'a> {
    pub(crate) now: Time,
    pub(crate) me: NodeId,
    /// The network as this node knows it, with its own current recipe.
    pub(crate) network: &'a Network,
    pub(crate) protocol: &'a Protocol,
    pub(crate) metrics: &'a mut NodeMetrics,
    pub(crate) effects: &'a mut dyn Effects,
    /// Number of records in the log.
    pub(crate) log_length: &'a mut u64,
}

impl Context<'_> {
    pub(crate) fn append(&mut self, record: LogRecord) {
        *self.log_length += 1;
        self.effects.push(Effect::Append(record));
    }

    pub(crate) fn send(&mut self, to: NodeId, message: Message) {
        self.metrics.count(Metric::SentMessages);
        self.metrics.count(message.sent_metric());
        self.effects.send(to, message);
    }

    pub(crate) fn set_timer(&mut self, after: Span, timer: Timer) {
        self.effects.set_timer(after, timer);
    }

    pub(crate) fn report(&mut self, report: Report) {
        self.effects.push(Effect::Report(report));
    }
}
