//! Transport between nodes: messages in transit with their delays and faults, and transit times of batches.

mod links;
mod message_store;

use dmos_core::faults::LinkFault;
use dmos_core::{FaultKind, NodeId, Route, Scenario, Span, Time};

use crate::event::Event;
use crate::event_queue::EventQueue;
use crate::rng::{Purpose, RouteSampler};
use links::{Links, Transmission};
pub(crate) use message_store::{MessageId, MessageStore};

/// The transport of a network.
pub(crate) struct Transport {
    links: Links,
    /// Messages that are sent and not read.
    pub(crate) messages: MessageStore,
    transit_times: RouteSampler,
    /// Faults that were applied to messages and are not counted yet.
    applied_faults: Vec<AppliedMessageFault>,
}

/// A fault that was applied to a message.
#[derive(Clone, Copy)]
pub(crate) struct AppliedMessageFault {
    pub(crate) to: NodeId,
    /// Number of the fault of links that lost the message.
    pub(crate) link_fault: Option<usize>,
    /// Fault that was injected into the message.
    pub(crate) fault: Option<FaultKind>,
}

impl Transport {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let (seed, nodes) = (scenario.seed, scenario.network.nodes());
        Self {
            links: Links::new(scenario),
            messages: MessageStore::default(),
            transit_times: RouteSampler::new(&scenario.routes, Route::transit, seed, Purpose::Transit, nodes),
            applied_faults: Vec::new(),
        }
    }

    /// Samples the transit time of a shipment.
    pub(crate) fn sample_transit_time(&mut self, from: NodeId, to: NodeId) -> Span {
        self.transit_times.sample(to, from, to)
    }

    /// Sends a stored message and schedules its arrival.
    #[inline(always)]
    pub(crate) fn send(
        &mut self,
        now: Time,
        queue: &mut EventQueue<Event>,
        from: NodeId,
        to: NodeId,
        message: MessageId,
    ) {
        if !self.links.are_fault_free() {
            return self.send_with_faults(now, queue, from, to, message);
        }
        queue.push(now + self.links.sample(from, to), Event::Message { to, from, message });
    }

    #[inline(never)]
    fn send_with_faults(
        &mut self,
        now: Time,
        queue: &mut EventQueue<Event>,
        from: NodeId,
        to: NodeId,
        message: MessageId,
    ) {
        let Transmission { delay, duplicate_delay, link_fault, fault } = self.links.send(from, to);
        if let Some(span) = duplicate_delay {
            let message = self.messages.put(self.messages.get(message).clone());
            queue.push(now + span, Event::Message { to, from, message });
        }
        match delay {
            Some(span) => queue.push(now + span, Event::Message { to, from, message }),
            None => self.messages.discard(message),
        }
        if link_fault.is_some() || fault.is_some() {
            self.applied_faults.push(AppliedMessageFault { to, link_fault, fault });
        }
    }

    /// Removes and returns an applied fault that is not counted yet.
    #[inline(always)]
    pub(crate) fn take_applied_fault(&mut self) -> Option<AppliedMessageFault> {
        self.applied_faults.pop()
    }

    /// Injects a fault of links with this number. Returns whether it already has an effect; otherwise it is
    /// effective once it affects a message.
    pub(crate) fn inject(&mut self, number: usize, fault: &LinkFault) -> bool {
        self.links.inject(number, fault)
    }

    /// Ends the fault of links with this number, if it has not ended before.
    pub(crate) fn end_fault(&mut self, number: usize) {
        self.links.end_fault(number);
    }

    /// Ends all faults of links and messages.
    pub(crate) fn heal(&mut self) {
        self.links.heal();
    }
}
