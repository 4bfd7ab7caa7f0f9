//! The environment of a node's components while they handle one input.

use dmos_core::settings::{Dissemination, Protocol};
use dmos_core::{Metric, Network, NodeId, NodeMetrics, Span, Time};

use crate::codec::write_message;
use crate::interface::{Effect, Effects, Report, Timer};
use crate::log::LogRecord;
use crate::message::Message;
use crate::relay::{Forwarding, Relay, hops_after};

/// Environment of one input: time, identity, protocol, and the receiver of effects.
pub(crate) struct Context<'a> {
    pub(crate) now: Time,
    pub(crate) me: NodeId,
    /// The network as this node knows it, with its own current recipe.
    pub(crate) network: &'a Network,
    pub(crate) protocol: &'a Protocol,
    pub(crate) metrics: &'a mut NodeMetrics,
    pub(crate) effects: &'a mut dyn Effects,
    pub(crate) relay: &'a mut Relay,
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

    /// Sends a control message directly, and by relays as well if the receiver does not answer directly.
    pub(crate) fn send_control(&mut self, to: NodeId, message: Message) {
        self.send_again(to, message, 0);
    }

    /// Sends a control message that was sent `tries` times before without an answer, each time by longer ways.
    pub(crate) fn send_again(&mut self, to: NodeId, message: Message, tries: u32) {
        if self.uses_relays() && to != self.me {
            let needed = self.relay.detour(to).max(hops_after(tries));
            let hops = needed.max(self.relay.answer_hops(to, self.now, self.answer_memory()));
            if hops > 0 {
                self.relay_message(to, hops, needed == 0, &message);
            }
        }
        self.send(to, message);
    }

    /// Sends a message by relays only, with at most `hops` of them.
    pub(crate) fn send_by_relays(&mut self, to: NodeId, hops: u8, message: &Message) {
        self.relay_message(to, hops, false, message);
    }

    /// Answers a relayed message by relays, and as a relayed message directly: it does not show that messages of the
    /// other node arrive directly.
    pub(crate) fn answer_by_relays(&mut self, to: NodeId, message: &Message) {
        let hops =
            self.relay.answer_hops(to, self.now, self.answer_memory()).max(self.relay.detour(to)).max(1);
        let mut forwarding = self.relay.start(to, hops, true, self.now, write_message(message));
        forwarding.to.push(to);
        self.forward(forwarding);
    }

    fn relay_message(&mut self, to: NodeId, hops: u8, is_answer: bool, message: &Message) {
        let forwarding = self.relay.start(to, hops, is_answer, self.now, write_message(message));
        self.forward(forwarding);
    }

    /// Sends a relayed message on.
    pub(crate) fn forward(&mut self, Forwarding { to, relayed }: Forwarding) {
        for node in to {
            self.send(node, Message::Relayed(relayed.clone()));
        }
    }

    /// Sends a heartbeat request, only directly.
    pub(crate) fn request_heartbeat(&mut self, to: NodeId) {
        self.metrics.count(Metric::HeartbeatsSent);
        self.send(to, Message::HeartbeatRequest);
    }

    /// Returns the time for which messages to a node are relayed after a message that it relayed: a node that still needs
    /// relays uses them again in each heartbeat round.
    pub(crate) fn answer_memory(&self) -> Span {
        self.protocol.heartbeat * 2
    }

    /// Returns whether failures are confirmed and messages relayed; the prototype does neither.
    pub(crate) fn uses_relays(&self) -> bool {
        self.protocol.dissemination == Dissemination::Messages
    }

    pub(crate) fn set_timer(&mut self, after: Span, timer: Timer) {
        self.effects.set_timer(after, timer);
    }

    pub(crate) fn report(&mut self, report: Report) {
        self.effects.push(Effect::Report(report));
    }
}
