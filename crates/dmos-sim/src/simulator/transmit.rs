//! Sends messages over the simulated network and applies message faults.

use dmos_core::{NodeId, Time};
use dmos_node::Message;

use super::{Event, Simulator};
use crate::event_queue::EventQueue;
use crate::links::{Links, Transmission};
use crate::message_store::{MessageId, MessageStore};

/// The parts of the simulator that sending a message needs.
pub(super) struct Transmitter<'a> {
    pub(super) now: Time,
    pub(super) links: &'a mut Links,
    pub(super) messages: &'a mut MessageStore,
    pub(super) queue: &'a mut EventQueue<Event>,
}

/// A fault of one message, to be counted.
#[derive(Clone, Copy)]
pub(super) struct MessageEffect {
    to: NodeId,
    transmission: Transmission,
}

impl Transmitter<'_> {
    /// Stores and sends a message.
    #[inline(always)]
    pub(super) fn send(&mut self, from: NodeId, to: NodeId, message: Message) -> Option<MessageEffect> {
        let message = self.messages.put(message);
        self.transmit(from, to, message)
    }

    /// Sends a stored message.
    #[inline(always)]
    pub(super) fn transmit(&mut self, from: NodeId, to: NodeId, message: MessageId) -> Option<MessageEffect> {
        if !self.links.are_fault_free() {
            return self.transmit_with_faults(from, to, message);
        }
        self.queue.push(self.now + self.links.draw(from), Event::Message { to, from, message });
        None
    }

    #[inline(never)]
    fn transmit_with_faults(
        &mut self,
        from: NodeId,
        to: NodeId,
        message: MessageId,
    ) -> Option<MessageEffect> {
        let transmission = self.links.send(from, to);
        if let Some(span) = transmission.duplicate_delay {
            let message = self.messages.put(self.messages.get(message).clone());
            self.queue.push(self.now + span, Event::Message { to, from, message });
        }
        match transmission.delay {
            Some(span) => self.queue.push(self.now + span, Event::Message { to, from, message }),
            None => self.messages.discard(message),
        }
        (transmission.link_fault.is_some() || transmission.fault.is_some())
            .then_some(MessageEffect { to, transmission })
    }
}

impl Simulator<'_> {
    pub(super) fn transmitter(&mut self) -> Transmitter<'_> {
        let Self { now, links, messages, queue, .. } = self;
        Transmitter { now: *now, links, messages, queue }
    }

    /// Counts the fault of a message.
    pub(super) fn count_message_effect(&mut self, MessageEffect { to, transmission }: MessageEffect) {
        if let Some(fault) = transmission.link_fault {
            self.faults.counts.mark_effective(fault);
        }
        if let Some(kind) = transmission.fault {
            let receiver_is_up = self.node(to).is_up();
            self.faults.counts.count(kind, 1, u64::from(receiver_is_up));
        }
    }
}
