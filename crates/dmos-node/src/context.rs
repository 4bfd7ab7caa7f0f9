//! What every part of a node has at hand while it handles one input.

use dmos_core::settings::Protocol;
use dmos_core::{Metric, Network, NodeId, NodeMetrics, Span, Time};

use crate::interface::{Effect, Effects, Report, Timer};
use crate::log::LogRecord;
use crate::message::Message;

/// The surroundings of one input: who, when, by which rules, and where effects go.
pub(crate) struct Context<'a> {
    pub(crate) now: Time,
    pub(crate) me: NodeId,
    /// As this node knows it: with its own recipe as it is now.
    pub(crate) network: &'a Network,
    pub(crate) protocol: &'a Protocol,
    pub(crate) metrics: &'a mut NodeMetrics,
    pub(crate) effects: &'a mut dyn Effects,
    /// Number of records the log has.
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

    /// How long to wait for an answer to what was sent again so many times; none for ever.
    pub(crate) fn patience(&self, tries: u32) -> Option<Span> {
        let first = self.protocol.retry_after?;
        let longest = self.protocol.retry_max.max(first);
        Some((first * (1 << tries.min(32))).min(longest))
    }

    /// Returns whether something that was sent at `since`, again so many times, and not answered is due once more.
    pub(crate) fn is_overdue(&self, since: Time, tries: u32) -> bool {
        self.patience(tries).is_some_and(|span| self.now.since(since) >= span)
    }
}
