//! The road by which messages set out, and what befalls them there.

use dmos_core::{NodeId, Time};
use dmos_node::Message;

use super::{Event, Simulator};
use crate::links::{Fate, Links};
use crate::mail::{Mail, MailId};
use crate::queue::EventQueue;

/// All that a message needs to set out.
pub(super) struct Road<'a> {
    pub(super) now: Time,
    pub(super) links: &'a mut Links,
    pub(super) mail: &'a mut Mail,
    pub(super) queue: &'a mut EventQueue<Event>,
}

/// A message did not get through as it should.
#[derive(Clone, Copy)]
pub(super) struct Mishap {
    to: NodeId,
    fate: Fate,
}

impl Road<'_> {
    /// A message is written down and sets out.
    #[inline(always)]
    pub(super) fn send(&mut self, from: NodeId, to: NodeId, message: Message) -> Option<Mishap> {
        let message = self.mail.put(message);
        self.set_out(from, to, message)
    }

    /// A message sets out.
    #[inline(always)]
    pub(super) fn set_out(&mut self, from: NodeId, to: NodeId, message: MailId) -> Option<Mishap> {
        if !self.links.are_undisturbed() {
            return self.set_out_into_trouble(from, to, message);
        }
        self.queue.push(self.now + self.links.draw(from), Event::Message { to, from, message });
        None
    }

    #[inline(never)]
    fn set_out_into_trouble(&mut self, from: NodeId, to: NodeId, message: MailId) -> Option<Mishap> {
        let fate = self.links.send(from, to);
        if let Some(span) = fate.again {
            let message = self.mail.put(self.mail.get(message).clone());
            self.queue.push(self.now + span, Event::Message { to, from, message });
        }
        match fate.arrives {
            Some(span) => self.queue.push(self.now + span, Event::Message { to, from, message }),
            None => self.mail.throw_away(message),
        }
        (fate.cut.is_some() || fate.befell.is_some()).then_some(Mishap { to, fate })
    }
}

impl Simulator<'_> {
    pub(super) fn road(&mut self) -> Road<'_> {
        let Self { now, links, mail, queue, .. } = self;
        Road { now: *now, links, mail, queue }
    }

    /// Counts what befell a message.
    pub(super) fn count_mishap(&mut self, Mishap { to, fate }: Mishap) {
        if let Some(cut) = fate.cut {
            self.tally.is_effective(cut);
        }
        if let Some(kind) = fate.befell {
            let reaches_somebody = self.slot(to).is_up();
            self.tally.count(kind, 1, u64::from(reaches_somebody));
        }
    }
}
