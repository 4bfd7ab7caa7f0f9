//! What leaves a node is let go while the node still acts: most inputs come to nothing else.

use dmos_core::{NodeId, Span, Time};
use dmos_node::{Effect, Effects, Message, Timer};

use super::Event;
use crate::clock::Clock;
use crate::lanes::Due;
use crate::links::Links;
use crate::mail::Mail;
use crate::queue::EventQueue;

/// Takes what a node wants done on one input. Messages and timers are let go at once, as long as nothing stands before
/// them that must be durable first, or that may change what becomes of them.
pub(super) struct Outbox<'a> {
    pub(super) now: Time,
    pub(super) node: NodeId,
    pub(super) epoch: u32,
    pub(super) clock: Clock,
    pub(super) links: &'a mut Links,
    pub(super) mail: &'a mut Mail,
    pub(super) queue: &'a mut EventQueue<Event>,
    /// Whether anything can be let go at all.
    pub(super) is_open: bool,
    /// What is left to be carried out.
    pub(super) left: Vec<Effect>,
    /// Empty buffers.
    pub(super) buffers: &'a mut Vec<Vec<Effect>>,
}

impl Outbox<'_> {
    fn lets_go(&self) -> bool {
        self.is_open && self.left.is_empty()
    }
}

impl Effects for Outbox<'_> {
    fn push(&mut self, effect: Effect) {
        if self.left.capacity() == 0 {
            self.left = self.buffers.pop().unwrap_or_default();
        }
        self.left.push(effect);
    }

    fn send(&mut self, to: NodeId, message: Message) {
        if !self.lets_go() {
            return self.push(Effect::Send { to, message });
        }
        let (from, message) = (self.node, self.mail.put(message));
        self.queue.push(self.now + self.links.draw(from), Event::Message { to, from, message });
    }

    fn set_timer(&mut self, after: Span, timer: Timer) {
        if !self.lets_go() {
            return self.push(Effect::SetTimer { after, timer });
        }
        let Self { node, epoch, .. } = *self;
        let at = self.now + self.clock.takes(after);
        self.queue.push(at, Event::Own { node, epoch, due: Due::Timer(timer) });
    }
}
