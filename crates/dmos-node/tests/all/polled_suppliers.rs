//! The choice of suppliers under `production: polled`, input by input.

use std::sync::Arc;

use dmos_core::settings::Protocol;
use dmos_core::{Assignment, FlowVersion, Metric, Share, Supply, Term};
use dmos_node::harness::{Harness, messages};
use dmos_node::{Effect, Input, Message, OrderStatus, Timer};

use crate::chain::{DOOR, HOUSE, WOOD, WOOD_ITEM, batch, cycle, request, two_suppliers, with_assignments};

#[test]
fn an_unanswered_request_is_redirected() {
    let mut harness = with_assignments(Protocol::default());
    harness.deliver(HOUSE, DOOR, &two_suppliers(1));
    let first = cycle(&mut harness, DOOR);
    assert!(matches!(first[..], [(WOOD, Message::Request { .. })]), "{first:?}");
    harness.advance(5);
    let second = cycle(&mut harness, DOOR);
    assert!(
        matches!(second[..], [(HOUSE, Message::Request { request, .. })] if request == self::request(1)),
        "another request, to another node: {second:?}"
    );
    assert_eq!(harness.count(DOOR, Metric::RequestsRedirected), 1);
    // A refusal redirects the request as well.
    harness.deliver(HOUSE, DOOR, &Message::Unavailable { request: request(1) });
    assert!(matches!(cycle(&mut harness, DOOR)[..], [(WOOD, Message::Request { .. })]));
    // The first supplier answers late; its batch is accepted.
    let late = Message::Announcement { request: Some(request(0)), batch: batch(WOOD, 0), settled: 0 };
    let effects = harness.deliver(WOOD, DOOR, &late);
    assert!(matches!(effects[1], Effect::Transport { .. }), "{effects:?}");
}

/// Returns an assignment with these shares of the wood producer and of the house as second supplier.
fn shares(of_wood: u32, of_house: u32) -> Message {
    shares_in_flow(1, of_wood, of_house)
}

fn shares_in_flow(number: u32, of_wood: u32, of_house: u32) -> Message {
    let supply =
        |(node, share)| Supply { item: WOOD_ITEM, producer: node, share: Share::from_millionths(share) };
    let suppliers = [(WOOD, of_wood), (HOUSE, of_house)].map(supply);
    let assignment =
        Assignment { suppliers: Box::new(suppliers), consumers: Box::new([]), ..Assignment::default() };
    Message::Assignment(FlowVersion { term: Term(100), number }, Arc::new(assignment))
}

/// Runs production cycles of the door producer, each of which sends one request that is not refused. Returns
/// the number of requests to each supplier.
fn requests_per_supplier(harness: &mut Harness, times: u32) -> [usize; 2] {
    requests_per_supplier_after(harness, 0, times)
}

/// Like [`requests_per_supplier`], after `first` batches have been delivered.
fn requests_per_supplier_after(harness: &mut Harness, first: u32, times: u32) -> [usize; 2] {
    let mut counts = [0; 2];
    for serial in first..first + times {
        let sent = cycle(harness, DOOR);
        let [(to, Message::Request { request, .. })] = sent[..] else { panic!("one request: {sent:?}") };
        counts[usize::from(to == HOUSE)] += 1;
        // The batch arrives at once, and the next cycle consumes it.
        let batch = batch(WOOD, serial);
        harness.deliver(
            WOOD,
            DOOR,
            &Message::Announcement { request: Some(request), batch, settled: serial },
        );
        harness.handle(DOOR, Input::Arrived(batch));
    }
    counts
}

#[test]
fn requests_follow_supplier_shares() {
    for (shares_of, expected) in [((750_000, 250_000), [30, 10]), ((500_000, 500_000), [20, 20])] {
        let mut harness = with_assignments(Protocol { stock_limit: None, ..Protocol::default() });
        harness.deliver(HOUSE, DOOR, &shares(shares_of.0, shares_of.1));
        assert_eq!(requests_per_supplier(&mut harness, 40), expected);
    }
    let mut harness = with_assignments(Protocol { stock_limit: None, ..Protocol::default() });
    harness.deliver(HOUSE, DOOR, &shares(1_000_000, 0));
    assert_eq!(requests_per_supplier(&mut harness, 40), [40, 0], "a standby receives no request");
    // Even without stock the supplier is alive, and the standby is only for suspected suppliers.
    let sent = cycle(&mut harness, DOOR);
    let [(WOOD, Message::Request { request, .. })] = sent[..] else { panic!("{sent:?}") };
    harness.deliver(WOOD, DOOR, &Message::Unavailable { request });
    assert!(matches!(cycle(&mut harness, DOOR)[..], [(WOOD, Message::Request { .. })]));
}

#[test]
fn shares_count_from_the_start_of_a_flow() {
    let mut harness = with_assignments(Protocol { stock_limit: None, ..Protocol::default() });
    harness.deliver(HOUSE, DOOR, &shares(1_000_000, 0));
    assert_eq!(requests_per_supplier(&mut harness, 40), [40, 0]);
    harness.deliver(HOUSE, DOOR, &shares_in_flow(2, 500_000, 500_000));
    assert_eq!(requests_per_supplier_after(&mut harness, 40, 20), [10, 10]);
}

#[test]
fn a_batch_is_accepted_from_its_producer_only() {
    let mut harness = with_assignments(Protocol::default());
    let announced = |settled| Message::Announcement { request: None, batch: batch(WOOD, 3), settled };
    assert!(harness.deliver(HOUSE, DOOR, &announced(0)).is_empty());
    assert!(!harness.deliver(WOOD, DOOR, &announced(0)).is_empty());
}

#[test]
fn a_supplier_that_refused_recently_is_avoided() {
    let mut harness = with_assignments(Protocol { stock_limit: None, ..Protocol::default() });
    harness.deliver(HOUSE, DOOR, &shares(500_000, 500_000));
    let sent = cycle(&mut harness, DOOR);
    let [(WOOD, Message::Request { request, .. })] = sent[..] else { panic!("{sent:?}") };
    harness.deliver(WOOD, DOOR, &Message::Unavailable { request });
    let [mut of_wood, mut of_house] = [0, 0];
    for batch in 0..40 {
        let before = (of_wood, of_house);
        let [wood, house] = requests_per_supplier_after(&mut harness, batch, 1);
        (of_wood, of_house) = (before.0 + wood, before.1 + house);
        if batch < 5 {
            assert_eq!(of_wood, 0, "the supplier refused less than five seconds ago");
        }
        harness.advance(1);
    }
    assert_eq!((of_wood, of_house), (20, 20));
}

#[test]
fn a_standby_is_used_once_the_supplier_is_suspected() {
    let mut harness = with_assignments(Protocol { retry_after: None, ..Protocol::default() });
    harness.deliver(HOUSE, DOOR, &shares(1_000_000, 0));
    let heartbeat = |harness: &mut Harness| messages(&harness.expire(DOOR, Timer::Heartbeat));
    heartbeat(&mut harness);
    assert!(matches!(cycle(&mut harness, DOOR)[..], [(WOOD, Message::Request { .. })]));
    harness.advance(16);
    harness.deliver(
        HOUSE,
        DOOR,
        &Message::HeartbeatResponse { incarnation: 0, order: OrderStatus::default() },
    );
    assert_eq!(cycle(&mut harness, DOOR), [], "no supplier is suspected, and a request is open");
    heartbeat(&mut harness);
    let sent = cycle(&mut harness, DOOR);
    assert!(
        matches!(sent[..], [(HOUSE, Message::Request { .. })]),
        "the standby is used without a new assignment: {sent:?}"
    );
    assert_eq!(harness.count(DOOR, Metric::RequestsRedirected), 1);
    // The supplier answers again: the next request goes to it.
    harness.deliver(
        WOOD,
        DOOR,
        &Message::HeartbeatResponse { incarnation: 0, order: OrderStatus::default() },
    );
    harness.deliver(HOUSE, DOOR, &Message::Unavailable { request: request(1) });
    assert!(matches!(cycle(&mut harness, DOOR)[..], [(WOOD, Message::Request { .. })]));
}
