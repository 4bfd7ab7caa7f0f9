//! The queue of events: in the order of time, then of insertion.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use dmos_core::Time;

/// Events to come.
pub(crate) struct EventQueue<E> {
    heap: BinaryHeap<Reverse<Entry<E>>>,
    inserted: u64,
}

struct Entry<E> {
    at: Time,
    number: u64,
    event: E,
}

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
    pub(crate) fn new() -> Self {
        Self { heap: BinaryHeap::new(), inserted: 0 }
    }

    pub(crate) fn push(&mut self, at: Time, event: E) {
        self.heap.push(Reverse(Entry { at, number: self.inserted, event }));
        self.inserted += 1;
    }

    /// The next event, unless it is later than `end`.
    pub(crate) fn pop_until(&mut self, end: Time) -> Option<(Time, E)> {
        if self.heap.peek()?.0.at > end {
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
        let mut queue = EventQueue::new();
        for (at, event) in [(5, 'c'), (1, 'a'), (5, 'd'), (1, 'b'), (9, 'e')] {
            queue.push(Time::from_nanos(at), event);
        }
        let until = Time::from_nanos(5);
        let order: String = std::iter::from_fn(|| queue.pop_until(until)).map(|(_, event)| event).collect();
        assert_eq!(order, "abcd");
        assert_eq!(queue.pop_until(Time::from_nanos(9)), Some((Time::from_nanos(9), 'e')));
    }
}
