//! The exchange of batches under `production: polled`, input by input.

use dmos_core::settings::Protocol;
use dmos_core::{Metric, NodeId};
use dmos_node::harness::{Harness, messages};
use dmos_node::{Effect, Input, LogRecord, Message, Timer};

use crate::chain::{
    DOOR, HOUSE, WOOD, WOOD_ITEM, announce, batch, cycle, request, two_suppliers, with_assignments,
};

#[test]
fn a_batch_is_shipped_from_producer_to_consumer() {
    let mut harness = with_assignments(Protocol::default());
    let sent = announce(&mut harness);
    let first = batch(WOOD, 0);
    let request = Some(request(0));
    assert_eq!(sent, Message::Announcement { request, batch: first, settled: 0 });
    let committed = LogRecord::Committed { batch: first, to: DOOR, request: self::request(0) };
    assert_eq!(harness.log(WOOD).last(), Some(&committed), "committed before it is announced");
    let effects = harness.deliver(WOOD, DOOR, &sent);
    assert!(
        matches!(effects[1], Effect::Transport { batch, blocking: false } if batch == first),
        "{effects:?}"
    );
    assert_eq!(messages(&effects), [(WOOD, Message::TransitStarted(first))]);
    let effects = harness.handle(DOOR, Input::Arrived(first));
    assert_eq!(harness.log(DOOR).last(), Some(&LogRecord::Received(first)));
    assert_eq!(messages(&effects), [(WOOD, Message::Delivered(first))]);
    harness.deliver(DOOR, WOOD, &Message::Delivered(first));
    assert_eq!(harness.count(WOOD, Metric::BatchesDelivered), 1);
    cycle(&mut harness, DOOR);
    let made = LogRecord::Made { first: batch(DOOR, 0), count: 1, inputs: 1 };
    assert_eq!(harness.log(DOOR)[harness.log(DOOR).len() - 2..], [LogRecord::Consumed(first), made]);
}

#[test]
fn an_empty_stock_refuses_requests() {
    let mut harness = with_assignments(Protocol::default());
    let requests = cycle(&mut harness, DOOR);
    let refused = harness.deliver(DOOR, WOOD, &requests[0].1);
    assert_eq!(messages(&refused), [(DOOR, Message::Unavailable { request: request(0) })]);
    harness.deliver(WOOD, DOOR, &Message::Unavailable { request: request(0) });
    assert_eq!(
        cycle(&mut harness, DOOR),
        [(WOOD, Message::Request { request: request(1), item: WOOD_ITEM })]
    );
}

#[test]
fn a_pending_request_is_retransmitted_only_when_overdue() {
    let mut harness = with_assignments(Protocol::default());
    let first = cycle(&mut harness, DOOR);
    assert_eq!(first.len(), 1);
    harness.advance(1);
    assert_eq!(cycle(&mut harness, DOOR), []);
    harness.advance(5);
    assert_eq!(cycle(&mut harness, DOOR), first, "the same request again");
    assert_eq!(harness.count(DOOR, Metric::RequestsRetransmitted), 1);
}

#[test]
fn a_duplicate_request_is_served_once() {
    let mut harness = with_assignments(Protocol::default());
    cycle(&mut harness, WOOD);
    cycle(&mut harness, WOOD);
    let request = cycle(&mut harness, DOOR)[0].1.clone();
    let first = messages(&harness.deliver(DOOR, WOOD, &request));
    assert_eq!(messages(&harness.deliver(DOOR, WOOD, &request)), first);
    assert_eq!(harness.node(WOOD).stock(), 1);
}

#[test]
fn a_duplicate_is_confirmed_and_not_stored() {
    let mut harness = with_assignments(Protocol::default());
    let sent = announce(&mut harness);
    harness.deliver(WOOD, DOOR, &sent);
    assert_eq!(
        messages(&harness.deliver(WOOD, DOOR, &sent)),
        [(WOOD, Message::TransitStarted(batch(WOOD, 0)))]
    );
    harness.handle(DOOR, Input::Arrived(batch(WOOD, 0)));
    cycle(&mut harness, DOOR);
    assert_eq!(messages(&harness.deliver(WOOD, DOOR, &sent)), [(WOOD, Message::Delivered(batch(WOOD, 0)))]);
    // Also after a crash, because the log remembers what was consumed.
    harness.advance(1);
    harness.start(DOOR);
    assert_eq!(messages(&harness.deliver(WOOD, DOOR, &sent)), [(WOOD, Message::Delivered(batch(WOOD, 0)))]);
    assert_eq!(harness.node(DOOR).holdings().received, []);
}

#[test]
fn a_recovered_producer_announces_its_commitments_again() {
    let mut harness = with_assignments(Protocol::default());
    let sent = announce(&mut harness);
    cycle(&mut harness, WOOD);
    harness.advance(1);
    assert_eq!(messages(&harness.start(WOOD)), [(DOOR, sent)]);
    assert_eq!(harness.node(WOOD).holdings().stock.ranges(), [(1, 2)]);
    assert_eq!(harness.count(WOOD, Metric::WalRecoveredOutboundBatches), 2);
    let sent = messages(&harness.expire(WOOD, Timer::AnnounceRejoin));
    assert!(matches!(sent[..], [(_, Message::Rejoin)]), "the node announces its recovery: {sent:?}");
}

#[test]
fn unconfirmed_batches_are_announced_again() {
    let mut harness = with_assignments(Protocol::default());
    let sent = announce(&mut harness);
    harness.advance(4);
    assert_eq!(messages(&harness.expire(WOOD, Timer::RetransmitBatches)), []);
    harness.advance(1);
    assert_eq!(messages(&harness.expire(WOOD, Timer::RetransmitBatches)), [(DOOR, sent)]);
}

#[test]
fn the_stock_is_limited_except_for_final_items() {
    let mut harness = with_assignments(Protocol::default());
    for _ in 0..20 {
        cycle(&mut harness, WOOD);
    }
    assert_eq!(harness.node(WOOD).stock(), 10);
    assert_eq!(harness.count(WOOD, Metric::SkippedManufactureCycles), 10);
    for serial in 0..20 {
        let batch = batch(DOOR, serial);
        harness.deliver(DOOR, HOUSE, &Message::Announcement { request: None, batch, settled: serial });
        harness.handle(HOUSE, Input::Arrived(batch));
        cycle(&mut harness, HOUSE);
    }
    assert_eq!(harness.node(HOUSE).stock(), 20, "finished goods leave the factory");
}

#[test]
fn retransmission_backs_off() {
    let mut harness = with_assignments(Protocol::default());
    let sent = announce(&mut harness);
    // Sent at 0 s, then again after 5, 10, 20 and 30 s each.
    for (wait, is_due) in [(5, true), (5, false), (5, true), (15, false), (5, true), (30, true), (30, true)] {
        harness.advance(wait);
        let again = messages(&harness.expire(WOOD, Timer::RetransmitBatches));
        let expected = if is_due { vec![(DOOR, sent.clone())] } else { vec![] };
        assert_eq!(again, expected, "at {:?}", harness.now());
    }
    // A requesting consumer is alive: it gets the missed announcement at once, and the timeouts start anew.
    harness.advance(1);
    let again = Message::Request { request: request(9), item: WOOD_ITEM };
    assert_eq!(messages(&harness.deliver(DOOR, WOOD, &again))[0], (DOOR, sent.clone()));
    harness.advance(5);
    assert_eq!(messages(&harness.expire(WOOD, Timer::RetransmitBatches)), [(DOOR, sent)]);
}

#[test]
fn the_commitment_limit_stops_shipments_to_a_silent_consumer() {
    let limit = std::num::NonZeroU32::new(2);
    let mut harness = with_assignments(Protocol { commitment_limit: limit, ..Protocol::default() });
    (0..5).for_each(|_| drop(cycle(&mut harness, WOOD)));
    let request_of = |number| Message::Request { request: request(number), item: WOOD_ITEM };
    for number in 0..2 {
        let answer = messages(&harness.deliver(DOOR, WOOD, &request_of(number)));
        assert!(matches!(answer[..], [(DOOR, Message::Announcement { .. })]), "{answer:?}");
    }
    let refused = messages(&harness.deliver(DOOR, WOOD, &request_of(2)));
    assert_eq!(refused, [(DOOR, Message::Unavailable { request: request(2) })]);
    assert_eq!((harness.node(WOOD).stock(), harness.count(WOOD, Metric::RequestsOverLimit)), (3, 1));
    let others = messages(&harness.deliver(HOUSE, WOOD, &request_of(0)));
    assert!(matches!(others[..], [(HOUSE, Message::Announcement { .. })]), "others are served: {others:?}");
    harness.deliver(DOOR, WOOD, &Message::Delivered(batch(WOOD, 0)));
    let answer = messages(&harness.deliver(DOOR, WOOD, &request_of(3)));
    assert!(matches!(answer[..], [(DOOR, Message::Announcement { .. })]), "{answer:?}");
}

#[test]
fn consumers_are_served_in_order_of_refusal() {
    let mut harness = with_assignments(Protocol::default());
    let request_of = |number| Message::Request { request: request(number), item: WOOD_ITEM };
    let is_served = |effects: &[Effect]| matches!(messages(effects)[..], [(_, Message::Announcement { .. })]);
    assert!(!is_served(&harness.deliver(HOUSE, WOOD, &request_of(0))), "the stock is empty");
    cycle(&mut harness, WOOD);
    assert!(!is_served(&harness.deliver(DOOR, WOOD, &request_of(0))), "the batch is reserved for the house");
    assert!(is_served(&harness.deliver(HOUSE, WOOD, &request_of(1))));
    cycle(&mut harness, WOOD);
    assert!(!is_served(&harness.deliver(HOUSE, WOOD, &request_of(2))), "the door was refused first");
    harness.advance(60);
    assert!(is_served(&harness.deliver(HOUSE, WOOD, &request_of(3))), "the door has stopped requesting");
}

#[test]
fn a_consumer_that_gives_up_requeues_at_the_end() {
    let mut harness = with_assignments(Protocol::default());
    let wood = WOOD_ITEM;
    let mut number = 0;
    let mut is_served = |harness: &mut Harness, from: NodeId| {
        number += 1;
        let request = Message::Request { request: request(number), item: wood };
        matches!(messages(&harness.deliver(from, WOOD, &request))[0].1, Message::Announcement { .. })
    };
    assert!(!is_served(&mut harness, HOUSE), "the stock is empty");
    assert!(!is_served(&mut harness, DOOR));
    for _ in 0..30 {
        harness.advance(1);
        assert!(!is_served(&mut harness, DOOR), "the door keeps requesting");
    }
    assert!(!is_served(&mut harness, HOUSE), "the house requests again, after a pause");
    cycle(&mut harness, WOOD);
    assert!(!is_served(&mut harness, HOUSE), "the only batch is reserved for the consumer that kept waiting");
    cycle(&mut harness, WOOD);
    assert!(is_served(&mut harness, HOUSE), "of two batches, only one is reserved");
    assert!(is_served(&mut harness, DOOR));
}

#[test]
fn request_numbers_are_unique() {
    let mut harness = with_assignments(Protocol::default());
    let request_of = |sent: Vec<(NodeId, Message)>| match sent[..] {
        [(_, Message::Request { request, .. })] => request,
        _ => panic!("one request: {sent:?}"),
    };
    let first = request_of(cycle(&mut harness, DOOR));
    for incarnation in 1..4 {
        harness.advance(1);
        harness.start(DOOR);
        harness.deliver(HOUSE, DOOR, &two_suppliers(incarnation));
        let again = request_of(cycle(&mut harness, DOOR));
        assert_eq!((again.incarnation, again.number, first.incarnation), (incarnation, 0, 0));
    }
}
