//! What leaves a node is let go while the node still acts: most inputs come to nothing else.

use dmos_core::{NodeId, Span};
use dmos_node::{Effect, Effects, Message, Timer};

use super::Event;
use super::road::{Mishap, Road};
use crate::clock::Clock;
use crate::lanes::Due;

/// Takes what a node wants done on one input. Messages and timers are let go at once, as long as nothing stands before
/// them that must be durable first, or that may change what becomes of them.
pub(super) struct Outbox<'a> {
    pub(super) road: Road<'a>,
    pub(super) node: NodeId,
    pub(super) epoch: u32,
    pub(super) clock: Clock,
    /// Whether anything can be let go at all.
    pub(super) is_open: bool,
    /// What is left to be carried out.
    pub(super) left: Vec<Effect>,
    /// Empty buffers.
    pub(super) buffers: &'a mut Vec<Vec<Effect>>,
    /// What befell the messages that were let go.
    pub(super) mishaps: &'a mut Vec<Mishap>,
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
        if let Some(mishap) = self.road.send(self.node, to, message) {
            self.mishaps.push(mishap);
        }
    }

    fn set_timer(&mut self, after: Span, timer: Timer) {
        if !self.lets_go() {
            return self.push(Effect::SetTimer { after, timer });
        }
        let Self { node, epoch, .. } = *self;
        let at = self.road.now + self.clock.takes(after);
        self.road.queue.push(at, Event::Own { node, epoch, due: Due::Timer(timer) });
    }
}
