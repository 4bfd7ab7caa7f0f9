//! The queue of events: in the order of time, then of insertion, unless ties are shuffled.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use dmos_core::Time;
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

/// Events to come.
pub(crate) struct EventQueue<E> {
    heap: BinaryHeap<Reverse<Entry<E>>>,
    /// An event that is often put off: there is at most one such.
    tick: Option<Entry<E>>,
    inserted: u64,
    /// Draws the order of events of the same instant, if it is to be drawn.
    ties: Option<ChaCha8Rng>,
}

struct Entry<E> {
    at: Time,
    /// The number of insertion and, above its bits, zero unless ties are shuffled: then anything, but for
    /// events that come first of their instant.
    number: u64,
    event: E,
}

/// Bits of an entry's number that count insertions: a million million, more than any run has.
const COUNT_BITS: u32 = 40;

impl<E> Entry<E> {
    fn key(&self) -> (Time, u64) {
        (self.at, self.number)
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl<E> EventQueue<E> {
    /// An empty queue; with a generator, events of the same instant come in an order that it draws.
    pub(crate) fn new(ties: Option<ChaCha8Rng>) -> Self {
        Self { heap: BinaryHeap::new(), tick: None, inserted: 0, ties }
    }

    #[inline]
    pub(crate) fn push(&mut self, at: Time, event: E) {
        let entry = self.entry(at, event);
        self.heap.push(Reverse(entry));
    }

    /// Puts this in place of what was put here before, if that has not happened yet.
    pub(crate) fn put_tick(&mut self, at: Option<Time>, event: E) {
        self.tick = at.map(|at| self.entry(at, event));
    }

    #[inline]
    fn entry(&mut self, at: Time, event: E) -> Entry<E> {
        let tie = self.ties.as_mut().map_or(0, |ties| ties.random_range(1..1 << (64 - COUNT_BITS)));
        self.numbered(at, tie, event)
    }

    /// For what is to come in the order of insertion also among shuffled events, and before them.
    pub(crate) fn push_first(&mut self, at: Time, event: E) {
        let entry = self.numbered(at, 0, event);
        self.heap.push(Reverse(entry));
    }

    #[inline]
    fn numbered(&mut self, at: Time, tie: u64, event: E) -> Entry<E> {
        let number = tie << COUNT_BITS | self.inserted;
        self.inserted += 1;
        Entry { at, number, event }
    }

    /// The next event, unless it is later than `end`.
    #[inline]
    pub(crate) fn pop_until(&mut self, end: Time) -> Option<(Time, E)> {
        let next = self.heap.peek().map(|Reverse(entry)| entry.key());
        if let Some(tick) = &self.tick
            && next.is_none_or(|next| tick.key() < next)
        {
            let is_due = tick.at <= end;
            return self.tick.take_if(|_| is_due).map(|tick| (tick.at, tick.event));
        }
        if next?.0 > end {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| (entry.at, entry.event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_by_time_then_insertion() {
        let mut queue = EventQueue::new(None);
        for (at, event) in [(5, 'c'), (1, 'a'), (5, 'd'), (1, 'b'), (9, 'e')] {
            queue.push(Time::from_nanos(at), event);
        }
        let until = Time::from_nanos(5);
        let order: String = std::iter::from_fn(|| queue.pop_until(until)).map(|(_, event)| event).collect();
        assert_eq!(order, "abcd");
        assert_eq!(queue.pop_until(Time::from_nanos(9)), Some((Time::from_nanos(9), 'e')));
    }

    #[test]
    fn shuffles_ties_and_nothing_else() {
        use rand::SeedableRng;
        let order = |seed| {
            let mut queue = EventQueue::new(Some(ChaCha8Rng::seed_from_u64(seed)));
            "bcdefg".chars().for_each(|event| queue.push(Time::from_nanos(5), event));
            queue.push(Time::from_nanos(9), 'h');
            queue.push_first(Time::from_nanos(5), 'a');
            let until = Time::from_nanos(9);
            std::iter::from_fn(|| queue.pop_until(until)).map(|(_, event)| event).collect::<String>()
        };
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
        assert!((0..9).all(|seed| order(seed).starts_with('a') && order(seed).ends_with('h')));
    }
}
