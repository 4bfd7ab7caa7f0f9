//! What every part of a node has at hand while it handles one input.

use dmos_core::settings::Protocol;
use dmos_core::{Metric, Network, NodeId, NodeMetrics, Span, Time};

use crate::interface::{Effect, Timer};
use crate::log::LogRecord;
use crate::message::Message;

/// The surroundings of one input: who, when, by which rules, and where effects go.
pub(crate) struct Context<'a> {
    pub(crate) now: Time,
    pub(crate) me: NodeId,
    pub(crate) network: &'a Network,
    pub(crate) protocol: &'a Protocol,
    pub(crate) metrics: &'a mut NodeMetrics,
    pub(crate) effects: &'a mut Vec<Effect>,
}

impl Context<'_> {
    pub(crate) fn append(&mut self, record: LogRecord) {
        self.effects.push(Effect::Append(record));
    }

    pub(crate) fn send(&mut self, to: NodeId, message: Message) {
        self.metrics.count(Metric::SentMessages);
        self.metrics.count(message.sent_metric());
        self.effects.push(Effect::Send { to, message });
    }

    pub(crate) fn set_timer(&mut self, after: Span, timer: Timer) {
        self.effects.push(Effect::SetTimer { after, timer });
    }

    /// Whether something that was sent at `since` and not answered is to be sent again.
    pub(crate) fn is_overdue(&self, since: Time) -> bool {
        self.protocol.retry_after.is_some_and(|span| self.now.since(since) >= span)
    }
}
