//! Exploration of an election: the orders of events among three candidates, up to stated bounds.
//!
//! A search visits each distinct state once, in an arbitrary but fixed order that reaches long and short histories alike.
//! Messages arrive in any order, late, repeatedly, or never. Timers expire in any order. Candidates restart with their
//! durable state, suspect others rightly or wrongly, and learn the leader that another knows, as far as the bounds
//! allow. Two states are the same if all candidates have the same text under `Debug`, and the same messages, timers and
//! bounds are left.
//!
//! | module | responsibility |
//! |---|---|
//! | `cluster` | a state, its events, and the properties |

mod cluster;

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::fmt;

use dmos_core::strategy::LeaderStrategy;

pub use cluster::CANDIDATES;
use cluster::{Cluster, Event};

/// Bounds of an exploration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// True if all candidates know a leader at first: the exploration starts after an election in which nothing failed.
    pub settled: bool,
    /// Number of timers that expire at each candidate.
    pub timers: [u8; CANDIDATES],
    /// Number of restarts of each candidate.
    pub restarts: [u8; CANDIDATES],
    /// A candidate from and to which no message arrives.
    pub isolated: Option<usize>,
    /// True if no message arrives after a later one of the same sender: then earlier ones are lost.
    pub in_order: bool,
    /// Number of duplicates of messages.
    pub duplicates: u8,
    /// Number of suspicions.
    pub suspicions: u8,
    /// Number of times that a candidate learns the leader that another knows.
    pub learned: u8,
    /// Maximum number of states.
    pub states: usize,
}

impl Bounds {
    /// Nothing happens but the delivery of messages.
    const NONE: Self = Self {
        settled: false,
        timers: [0; CANDIDATES],
        restarts: [0; CANDIDATES],
        isolated: None,
        in_order: false,
        duplicates: 0,
        suspicions: 0,
        learned: 0,
        states: 100_000,
    };

    /// The explorations of the conformance suite: a wide one, and narrow ones that reach longer histories.
    pub const ALL: [Self; 5] = [
        Self {
            timers: [2, 1, 1],
            restarts: [1, 1, 1],
            duplicates: 1,
            suspicions: 1,
            learned: 1,
            ..Self::NONE
        },
        Self { timers: [1, 0, 1], restarts: [0, 1, 0], states: 50_000, ..Self::NONE },
        Self { timers: [2, 0, 1], states: 50_000, ..Self::NONE },
        Self {
            timers: [3, 2, 0],
            restarts: [1, 1, 0],
            suspicions: 1,
            isolated: Some(2),
            states: 50_000,
            ..Self::NONE
        },
        Self {
            settled: true,
            timers: [0, 2, 4],
            restarts: [0, 0, 1],
            isolated: Some(0),
            in_order: true,
            states: 500_000,
            ..Self::NONE
        },
    ];
}

/// The properties that are checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Properties {
    /// Every leadership has a term of its own: no two candidates lead in the same term, and none leads in a term that
    /// was known before its last restart.
    pub term_of_its_own: bool,
    /// A leader has, since its last start, exchanged messages with a majority.
    pub majority: bool,
}

/// Result of an exploration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exploration {
    /// Number of distinct states.
    pub states: usize,
    /// Number of transitions between them.
    pub transitions: usize,
    /// Number of states in which a candidate leads.
    pub states_with_leader: usize,
    /// True if all states within the bounds were visited, not only [`Bounds::states`] of them.
    pub is_complete: bool,
    /// Events that violate a property, if any were found.
    pub counterexample: Option<Counterexample>,
}

/// A sequence of events that violates a property. Without any one of them, nothing is violated.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counterexample {
    /// The violated property.
    pub violation: String,
    /// The events, from the start of all candidates.
    pub events: Vec<String>,
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.violation)?;
        self.events.iter().try_for_each(|event| write!(f, "\n    {event}"))
    }
}

/// Explores the elections of three candidates. O(states x events), a few microseconds each.
#[must_use]
pub fn explore(strategy: &dyn LeaderStrategy, bounds: Bounds, properties: Properties) -> Exploration {
    let start = Cluster::start(strategy, bounds);
    let mut visited = BTreeSet::from([start.fingerprint()]);
    // The event that led to each state, and the number of the state before.
    let mut ways: Vec<Option<(usize, Event)>> = vec![None];
    // Ordered by fingerprint: a search by depth would not get beyond short histories.
    let mut frontier = BinaryHeap::from([Next { order: Reverse(0), number: 0, state: start.clone() }]);
    let mut exploration = Exploration {
        states: 1,
        transitions: 0,
        states_with_leader: 0,
        is_complete: false,
        counterexample: None,
    };
    while let Some(Next { number, state, .. }) = frontier.pop() {
        for event in state.events() {
            let mut next = state.clone();
            exploration.transitions += 1;
            if next.handle(strategy, &event, properties).is_some() {
                let events = events(&ways, number, event);
                exploration.counterexample = Some(shortened(strategy, &start, events, properties));
                return exploration;
            }
            let fingerprint = next.fingerprint();
            if !visited.insert(fingerprint) {
                continue;
            }
            if visited.len() > bounds.states {
                return exploration;
            }
            exploration.states += 1;
            exploration.states_with_leader += usize::from(next.has_leader());
            frontier.push(Next { order: Reverse(fingerprint), number: ways.len(), state: next });
            ways.push(Some((number, event)));
        }
    }
    exploration.is_complete = true;
    exploration
}

/// A state to be visited.
struct Next {
    order: Reverse<u64>,
    number: usize,
    state: Cluster,
}

impl PartialEq for Next {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Next {}

impl PartialOrd for Next {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Next {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.order, self.number).cmp(&(other.order, other.number))
    }
}

/// Returns the events on the way to a state, and a last one.
fn events(ways: &[Option<(usize, Event)>], state: usize, last: Event) -> Vec<Event> {
    let mut events = vec![last];
    let mut state = state;
    while let Some(Some((before, event))) = ways.get(state) {
        events.push(event.clone());
        state = *before;
    }
    events.reverse();
    events
}

/// Leaves out events for as long as a property is violated. O(events^3).
fn shortened(
    strategy: &dyn LeaderStrategy,
    start: &Cluster,
    mut events: Vec<Event>,
    properties: Properties,
) -> Counterexample {
    let violation = |events: &[Event]| {
        let mut state = start.clone();
        let mut violation = None;
        for event in events {
            if violation.is_some() || !state.can_happen(event) {
                return None;
            }
            violation = state.handle(strategy, event, properties);
        }
        violation
    };
    while let Some(at) = (0..events.len()).find(|&at| {
        let mut fewer = events.clone();
        fewer.remove(at);
        violation(&fewer).is_some()
    }) {
        events.remove(at);
    }
    Counterexample {
        violation: violation(&events).unwrap_or_default(),
        events: events.iter().map(ToString::to_string).collect(),
    }
}
