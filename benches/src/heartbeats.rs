//! The heartbeat workload: small enough to be expressed in any simulator, so that event queues can be
//! compared.
//!
//! Nodes form a ring. Each sends a heartbeat to its four nearest neighbours once a second, notes when it last
//! heard from each, and produces twice a second. A message takes a millisecond. The first rounds are spread
//! evenly over a second. Each node thus has eleven events per second: a round, four requests, four answers,
//! two productions.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use dmos_core::Time;
use dmos_sim::event_queue::EventQueue;

/// Distances of the neighbours, and the index of the way back.
pub const NEIGHBOURS: [(i64, usize); 4] = [(1, 1), (-1, 0), (2, 3), (-2, 2)];

/// Nanoseconds between rounds.
pub const ROUND: u64 = 1_000_000_000;
/// Nanoseconds between productions.
pub const PRODUCTION_PERIOD: u64 = 500_000_000;
/// Delay of a message, in nanoseconds.
pub const TRANSIT: u64 = 1_000_000;

/// An event at a node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Event {
    /// A round of heartbeats.
    Round(u32),
    /// A request, with the index of the neighbour.
    Request(u32, u8),
    /// An answer, with the index of the neighbour.
    Answer(u32, u8),
    /// The node produces.
    Make(u32),
}

/// A queue of events, ordered by time and then by insertion.
pub trait Pending {
    /// Schedules an event.
    fn put(&mut self, at: u64, event: Event);
    /// Returns the next event up to `end`.
    fn next(&mut self, end: u64) -> Option<(u64, Event)>;
}

/// The plain heap of the standard library.
#[derive(Default)]
pub struct Heap {
    heap: BinaryHeap<Reverse<(u64, u64, Event)>>,
    inserted: u64,
}

impl Pending for Heap {
    fn put(&mut self, at: u64, event: Event) {
        self.heap.push(Reverse((at, self.inserted, event)));
        self.inserted += 1;
    }

    fn next(&mut self, end: u64) -> Option<(u64, Event)> {
        self.heap.peek().filter(|next| next.0.0 <= end)?;
        self.heap.pop().map(|Reverse((at, _, event))| (at, event))
    }
}

/// One queue for each delay, which keeps the order of insertion. Suitable for a few constant delays only.
#[derive(Default)]
pub struct QueuePerDelay {
    /// For rounds, productions and messages.
    queues: [VecDeque<(u64, u64, Event)>; 3],
    inserted: u64,
}

impl Pending for QueuePerDelay {
    fn put(&mut self, at: u64, event: Event) {
        let queue = match event {
            Event::Round(_) => 0,
            Event::Make(_) => 1,
            Event::Request(..) | Event::Answer(..) => 2,
        };
        self.queues[queue].push_back((at, self.inserted, event));
        self.inserted += 1;
    }

    fn next(&mut self, end: u64) -> Option<(u64, Event)> {
        let first = |queue: &VecDeque<(u64, u64, Event)>| {
            queue.front().map_or((u64::MAX, 0), |next| (next.0, next.1))
        };
        let [rounds, production_runs, messages] = [0, 1, 2].map(|queue| first(&self.queues[queue]));
        let queue = if rounds < production_runs {
            if rounds < messages { 0 } else { 2 }
        } else if production_runs < messages {
            1
        } else {
            2
        };
        self.queues[queue].pop_front_if(|next| next.0 <= end).map(|(at, _, event)| (at, event))
    }
}

impl Pending for EventQueue<Event> {
    fn put(&mut self, at: u64, event: Event) {
        self.push(Time::from_nanos(at), event);
    }

    fn next(&mut self, end: u64) -> Option<(u64, Event)> {
        self.pop_until(Time::from_nanos(end)).map(|(at, event)| (at.as_nanos(), event))
    }
}

/// A node.
#[derive(Clone, Copy, Default)]
struct Node {
    heard: [u64; 4],
    made: u64,
}

/// Summary of a run, to check that all queues deliver the same events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RunSummary {
    /// Number of events.
    pub events: u64,
    /// Sum over all nodes of the times at which neighbours were last heard from.
    pub heard: u64,
    /// Total number of productions.
    pub made: u64,
}

/// Runs a number of nodes for a number of seconds.
#[must_use]
pub fn run(mut pending: impl Pending, nodes: u32, seconds: u64) -> RunSummary {
    let mut all = vec![Node::default(); nodes as usize];
    let neighbour =
        |node: u32, nth: usize| (i64::from(node) + NEIGHBOURS[nth].0).rem_euclid(i64::from(nodes)) as u32;
    for node in 0..nodes {
        let begins = ROUND * u64::from(node) / u64::from(nodes);
        pending.put(begins, Event::Round(node));
    }
    // Productions and rounds are scheduled in order of time, as queues by delay require.
    for node in 0..nodes {
        pending.put(
            PRODUCTION_PERIOD + PRODUCTION_PERIOD * u64::from(node) / u64::from(nodes),
            Event::Make(node),
        );
    }
    let mut events = 0;
    while let Some((now, event)) = pending.next(seconds * ROUND - 1) {
        events += 1;
        match event {
            Event::Round(node) => {
                for (nth, (_, back)) in NEIGHBOURS.iter().enumerate() {
                    pending.put(now + TRANSIT, Event::Request(neighbour(node, nth), *back as u8));
                }
                pending.put(now + ROUND, event);
            }
            Event::Request(node, by) => {
                let back = NEIGHBOURS[by as usize].1 as u8;
                pending.put(now + TRANSIT, Event::Answer(neighbour(node, by as usize), back));
            }
            Event::Answer(node, by) => all[node as usize].heard[by as usize] = now,
            Event::Make(node) => {
                all[node as usize].made += 1;
                pending.put(now + PRODUCTION_PERIOD, event);
            }
        }
    }
    let heard = all.iter().flat_map(|node| node.heard).fold(0_u64, u64::wrapping_add);
    RunSummary { events, heard, made: all.iter().map(|node| node.made).sum() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_queues_deliver_the_same_events() {
        let heap = run(Heap::default(), 50, 5);
        assert_eq!(heap, run(EventQueue::new(None), 50, 5));
        assert_eq!(heap, run(QueuePerDelay::default(), 50, 5));
        // Eleven per second for each node, except for the first half second and the last messages.
        assert!((2_600..2_750).contains(&heap.events), "{heap:?}");
    }
}
