//! The state that a node restores from its log after a crash.

use std::num::NonZeroU32;
use std::sync::Arc;

use dmos_core::settings::Protocol;
use dmos_core::{FlowVersion, Metric, Term};
use dmos_node::harness::messages;
use dmos_node::{Input, LogRecord, Message, Scrapped};

use crate::chain::{DOOR, HOUSE, NODES, WOOD, announce, batch, cycle, two_suppliers, with_assignments};

#[test]
fn an_assignment_of_an_older_term_is_ignored() {
    let mut harness = with_assignments(Protocol::default());
    let stale = Message::Assignment(FlowVersion::default(), Arc::default());
    let answer = messages(&harness.deliver(DOOR, WOOD, &stale));
    assert!(matches!(answer[..], [(DOOR, Message::Leader(leader, _))] if leader == HOUSE), "{answer:?}");
    cycle(&mut harness, WOOD);
    assert_eq!(harness.count(WOOD, Metric::SuccessfulManufactureCycles), 1, "the node keeps its assignment");
}

#[test]
fn an_old_leader_is_rejected_after_a_crash_too() {
    let mut harness = with_assignments(Protocol::default());
    harness.deliver(HOUSE, DOOR, &two_suppliers(2));
    harness.advance(1);
    harness.start(DOOR);
    let old = Message::Assignment(FlowVersion { term: Term(7), number: 9 }, Arc::default());
    for late in [old, two_suppliers(1)] {
        let answer = messages(&harness.deliver(WOOD, DOOR, &late));
        assert!(
            !answer.iter().any(|(_, message)| matches!(message, Message::AssignmentAck(_))),
            "{answer:?}"
        );
        let names_the_term = |message: &Message| matches!(message, Message::Leader(leader, term) if *leader == WOOD && term.0 > 7);
        assert!(answer.iter().any(|(_, message)| names_the_term(message)), "{answer:?}");
    }
    assert_eq!(harness.count(DOOR, Metric::AssignmentsRefused), 2);
    assert_eq!(cycle(&mut harness, DOOR), [], "without an assignment nothing is requested");
    harness.deliver(HOUSE, DOOR, &two_suppliers(2));
    assert_eq!(cycle(&mut harness, DOOR).len(), 1, "the same assignment is accepted after the restart");
}

#[test]
fn recovery_from_a_compacted_log_restores_everything() {
    let compact_after = NonZeroU32::new(20);
    let mut harness = with_assignments(Protocol { compact_after, stock_limit: None, ..Protocol::default() });
    for _ in 0..500 {
        let sent = announce(&mut harness);
        harness.deliver(WOOD, DOOR, &sent);
        let Message::Announcement { batch, .. } = sent else { panic!("a batch is sent: {sent:?}") };
        harness.handle(DOOR, Input::Arrived(batch));
        harness.deliver(DOOR, WOOD, &Message::Delivered(batch));
        harness.advance(1);
    }
    let lengths: Vec<_> = NODES.into_iter().map(|node| harness.log(node).len()).collect();
    assert!(lengths.iter().all(|&length| length < 60), "{lengths:?}");
    // Each compaction waits for twenty further records.
    let compactions = harness.count(DOOR, Metric::LogCompactions);
    assert!((21..=500 * 4 / 20).contains(&compactions), "{compactions}");
    let (holdings, made) =
        (harness.node(DOOR).holdings(), harness.count(DOOR, Metric::SuccessfulManufactureCycles));
    harness.start(DOOR);
    assert_eq!(harness.node(DOOR).holdings(), holdings);
    // The oldest and the newest batch are announced again: both are recognised, though only one is in the
    // log.
    for serial in [0, 499] {
        let again = Message::Announcement { request: None, batch: batch(WOOD, serial), settled: serial };
        assert_eq!(
            messages(&harness.deliver(WOOD, DOOR, &again)),
            [(WOOD, Message::Delivered(batch(WOOD, serial)))]
        );
    }
    harness.deliver(HOUSE, DOOR, &two_suppliers(1));
    cycle(&mut harness, DOOR);
    let made_again = harness.log(DOOR).iter().rev().find_map(|record| match record {
        LogRecord::Made { first, .. } => Some(first.serial),
        _ => None,
    });
    assert!(
        made_again.is_none_or(|serial| u64::from(serial) >= made),
        "serial numbers continue: {made_again:?}"
    );
}

#[test]
fn material_destroyed_by_a_crash_is_scrapped() {
    let mut harness = with_assignments(Protocol::default());
    let sent = announce(&mut harness);
    (0..3).for_each(|_| drop(cycle(&mut harness, WOOD)));
    harness.advance(1);
    let effects = harness.start_with(WOOD, Scrapped { outbound: true, inbound: false });
    assert_eq!(messages(&effects), [(DOOR, sent)], "a batch in transit is not in stock");
    assert_eq!((harness.node(WOOD).stock(), harness.count(WOOD, Metric::BatchesScrapped)), (0, 3));
    // Scrap remains scrap, and its serial numbers are never reused.
    harness.advance(1);
    harness.start(WOOD);
    assert_eq!(harness.node(WOOD).stock(), 0);
    harness.deliver(
        HOUSE,
        WOOD,
        &Message::Assignment(FlowVersion { term: Term(100), number: 1 }, Arc::default()),
    );
    cycle(&mut harness, WOOD);
    assert_eq!(harness.node(WOOD).holdings().stock.ranges(), [(4, 5)]);
}

#[test]
fn a_compacted_log_has_the_batches_on_hand_and_in_transit() {
    let mut harness = with_assignments(Protocol { compact_after: NonZeroU32::new(1), ..Protocol::default() });
    for serial in 0..2 {
        let announced = Message::Announcement { request: None, batch: batch(WOOD, serial), settled: 0 };
        harness.deliver(WOOD, DOOR, &announced);
    }
    harness.handle(DOOR, Input::Arrived(batch(WOOD, 0)));
    (1..9).for_each(|version| drop(harness.deliver(HOUSE, DOOR, &two_suppliers(version))));
    assert!(harness.count(DOOR, Metric::LogCompactions) > 1);
    assert_eq!(harness.node(DOOR).load().inbound_entries, 2);
}
