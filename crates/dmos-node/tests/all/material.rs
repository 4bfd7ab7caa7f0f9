//! Exploration of the material protocol: three nodes in a chain, with crashes, losses, duplicates and late messages at
//! every moment, up to bounds.
//!
//! Each distinct state is visited once, by replay of the events that lead to it. A message that
//! is not delivered is lost. One search visits short histories first, another an arbitrary choice of all lengths.
//! The invariant checker observes each replay. From some of the states, the faults end, and
//! production has to go on.

mod world;

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use world::{Bounds, Event, World};

/// Result of an exploration.
struct Exploration {
    states: usize,
    transitions: usize,
    completions: usize,
    /// A violation, and the events before it.
    violation: Option<(String, Vec<Event>)>,
}

/// Order in which states are visited.
#[derive(Clone, Copy, Debug)]
enum Order {
    /// Short histories first.
    Short,
    /// An arbitrary but fixed order.
    Any,
}

/// One state in this many is followed until production goes on.
const COMPLETED: u64 = 16;

fn explore(bounds: Bounds, order: Order, states: usize) -> Exploration {
    let mut exploration = Exploration { states: 1, transitions: 0, completions: 0, violation: None };
    let mut visited = BTreeSet::from([World::after(&[], bounds).fingerprint()]);
    let mut frontier = BinaryHeap::from([(Reverse(0_u64), Vec::new())]);
    while let Some((_, way)) = frontier.pop() {
        for event in World::after(&way, bounds).events() {
            let mut next = way.clone();
            next.push(event);
            let mut world = World::after(&way, bounds);
            let effects = world.handle(event);
            // Each event may be followed by a crash after any number of its effects.
            let mut variants = vec![event];
            if world.can_crash(event.node()) {
                variants.extend((0..effects).map(|effects| event.with_crash_after(effects)));
            }
            for event in variants {
                let mut next = way.clone();
                next.push(event);
                exploration.transitions += 1;
                let world = World::after(&next, bounds);
                let fingerprint = world.fingerprint();
                if !visited.insert(fingerprint) {
                    continue;
                }
                exploration.states += 1;
                let is_completed = fingerprint.is_multiple_of(COMPLETED);
                exploration.completions += usize::from(is_completed);
                if let Some(violation) = world.violation(is_completed) {
                    exploration.violation = Some((violation, next));
                    return exploration;
                }
                if visited.len() >= states {
                    return exploration;
                }
                let key = match order {
                    Order::Short => next.len() as u64,
                    Order::Any => fingerprint,
                };
                frontier.push((Reverse(key), next));
            }
        }
    }
    exploration
}

/// Number of states of the everyday test; the long one is in `.ci/run`.
const STATES: usize = 5_000;

fn check(states: usize) -> (usize, usize) {
    let mut sum = (0, 0);
    for bounds in Bounds::ALL {
        for order in [Order::Short, Order::Any] {
            let exploration = explore(bounds, order, states);
            assert_eq!(exploration.violation, None, "within {bounds:?}, {order:?}");
            assert!(exploration.completions > 0);
            sum = (sum.0 + exploration.states, sum.1 + exploration.transitions);
        }
    }
    sum
}

#[test]
fn material_is_neither_lost_nor_taken_twice() {
    let (states, transitions) = check(STATES);
    assert!(states >= STATES && transitions >= states);
}

#[test]
#[ignore = "takes half a minute; run by `.ci/run`"]
#[expect(clippy::print_stdout, reason = "the number of states is the result of the check")]
fn material_is_neither_lost_nor_taken_twice_in_many_states() {
    let (states, transitions) = check(30_000);
    println!("material protocol: {states} states, {transitions} transitions");
    assert!(states >= 100_000, "{states}");
}
