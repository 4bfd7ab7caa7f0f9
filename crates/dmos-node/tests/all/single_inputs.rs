//! The protocol of a node under `production: polled`, input by input, without a simulator.

use std::sync::Arc;

use dmos_core::settings::{
    Dissemination, FailureReports, LogKeeping, Mailbox, PlanningMode, Production, Protocol, Receiving,
    Recovery, Rejoin, Requests, Serving,
};
use dmos_core::strategy::{FlowDescriptor, FlowStrategy, Meter, NoFlow, PlanRequest, register_flow};
use dmos_core::{
    Assignment, BatchId, Flow, FlowVersion, ItemId, Metric, NodeId, RequestId, Requirement, Share, Supply,
    SupplyEdge, Term,
};
use dmos_graph::NamedNetwork;
use dmos_node::harness::{Harness, messages, started_plan};
use dmos_node::{Command, Effect, Input, LogRecord, Message, Notice, OrderStatus, Scrapped, Timer};
use dmos_testkit::{network, node_settings};

const WOOD: NodeId = NodeId::new(0);
const DOOR: NodeId = NodeId::new(1);
const HOUSE: NodeId = NodeId::new(2);
const NODES: [NodeId; 3] = [WOOD, DOOR, HOUSE];

/// The item that the node `WOOD` makes.
const WOOD_ITEM: ItemId = ItemId::new(0);

/// Returns the chain wood, door, house, with the given strategies.
fn harness(flow: &str, leader: &str, protocol: Protocol) -> Harness {
    let protocol = Protocol { production: Production::Polled, ..protocol };
    Harness::new(node_settings(network(NamedNetwork::ThreeNodes), flow, leader, protocol))
}

/// Returns a harness in which all three nodes have started and have an assignment, and the house leads.
fn with_assignments(protocol: Protocol) -> Harness {
    let mut harness = harness("memoized:substitute_ends=false", "last-writer", protocol);
    let effects = harness.start(HOUSE);
    harness.start(WOOD);
    harness.start(DOOR);
    post_all(&mut harness, &effects);
    let planned = harness.handle(HOUSE, Input::Planned(plan_id(&effects)));
    post_all(&mut harness, &planned);
    let mut delivered = harness.exchange(HOUSE, &effects);
    delivered.extend(harness.exchange(HOUSE, &planned));
    let acks = delivered.iter().filter(|(.., message)| matches!(message, Message::AssignmentAck(_)));
    assert!(delivered.is_empty() || acks.count() == 2, "both other nodes acknowledge their assignments");
    harness
}

/// Passes the notices among effects to all nodes.
fn post_all(harness: &mut Harness, effects: &[Effect]) {
    for effect in effects {
        if let Effect::Post(notice) = effect {
            NODES.iter().for_each(|&node| drop(harness.handle(node, Input::Notice(notice))));
        }
    }
}

/// Runs one production cycle and returns the messages that the node sends.
fn cycle(harness: &mut Harness, node: NodeId) -> Vec<(NodeId, Message)> {
    messages(&harness.expire(node, Timer::ProductionCycle))
}

/// Returns the announcement of the first batch of wood, which the door producer has requested.
fn announce(harness: &mut Harness) -> Message {
    cycle(harness, WOOD);
    let requests = cycle(harness, DOOR);
    let request = &requests.iter().find(|(to, _)| *to == WOOD).expect("a request for wood").1;
    messages(&harness.deliver(DOOR, WOOD, request))[0].1.clone()
}

/// Returns the identifier of the plan that starts among effects.
#[track_caller]
fn plan_id(effects: &[Effect]) -> FlowVersion {
    started_plan(effects).unwrap_or_else(|| panic!("no plan starts: {effects:?}"))
}

fn request(number: u32) -> RequestId {
    RequestId { incarnation: 0, number }
}

fn batch(producer: NodeId, serial: u32) -> BatchId {
    BatchId { producer, serial }
}

fn seed_protocol() -> Protocol {
    Protocol {
        retry_after: None,
        stock_limit: None,
        commitment_limit: None,
        mailbox_limit: None,
        compact_after: None,
        dissemination: Dissemination::Blackboard,
        receiving: Receiving::Blocking,
        requests: Requests::EveryCycle,
        serving: Serving::FirstCome,
        failure_reports: FailureReports::EveryReport,
        planning: PlanningMode::Blocking,
        rejoin: Rejoin::Never,
        log: LogKeeping::MixedUp,
        recovery: Recovery::Replay,
        mailbox: Mailbox::SurvivesCrash,
        ..Protocol::default()
    }
}

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
fn an_assignment_of_an_older_term_is_ignored() {
    let mut harness = with_assignments(Protocol::default());
    let stale = Message::Assignment(FlowVersion::default(), Arc::default());
    let answer = messages(&harness.deliver(DOOR, WOOD, &stale));
    assert!(matches!(answer[..], [(DOOR, Message::Leader(leader, _))] if leader == HOUSE), "{answer:?}");
    cycle(&mut harness, WOOD);
    assert_eq!(harness.count(WOOD, Metric::SuccessfulManufactureCycles), 1, "the node keeps its assignment");
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
fn two_candidates_elect_the_higher_by_bully() {
    let mut harness = harness("memoized", "bully", Protocol::default());
    let requests = messages(&harness.start(DOOR));
    assert!(matches!(requests[..], [(HOUSE, Message::Election(_))]), "{requests:?}");
    let effects = harness.start(HOUSE);
    assert!(
        effects.iter().any(|effect| matches!(effect, Effect::Plan { .. })),
        "the highest candidate becomes leader at once"
    );
    for (to, message) in messages(&effects) {
        harness.deliver(HOUSE, to, &message);
    }
    assert!(harness.node(HOUSE).leads() && !harness.node(DOOR).leads());
    // The leader is down: the next candidate starts an election, gets no answer, and becomes leader.
    harness.expire(DOOR, Timer::Heartbeat);
    harness.advance(20);
    let requests = messages(&harness.expire(DOOR, Timer::Heartbeat));
    assert!(
        requests.iter().any(|(to, message)| *to == HOUSE && matches!(message, Message::Election(_))),
        "{requests:?}"
    );
    let timers: Vec<Effect> = (0..4).flat_map(|timer| harness.expire(DOOR, Timer::Election(timer))).collect();
    assert!(timers.iter().any(|effect| matches!(effect, Effect::Plan { .. })) && harness.node(DOOR).leads());
}

// Fault tolerance: silence, crashes, late messages, commands.

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

/// Returns an assignment with two suppliers of wood for the door producer; the house is the second.
fn two_suppliers(version: u32) -> Message {
    let wood = WOOD_ITEM;
    let assignment = Assignment {
        suppliers: Box::new([WOOD, HOUSE].map(|node| Supply {
            item: wood,
            producer: node,
            share: Share::from_millionths(500_000),
        })),
        consumers: Box::new([]),
        ..Assignment::default()
    };
    Message::Assignment(FlowVersion { term: Term(100), number: version }, Arc::new(assignment))
}

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
fn a_failed_planner_is_retried() {
    let mut harness = harness("fails-at-first", "last-writer", Protocol::default());
    let mut begun = harness.start(HOUSE);
    // Five seconds after the first failure, ten after the second.
    for pause in [5, 10] {
        let nothing = harness.handle(HOUSE, Input::Planned(plan_id(&begun)));
        assert!(nothing.is_empty(), "a failed plan has no effect: {nothing:?}");
        harness.advance(pause - 1);
        assert!(harness.expire(HOUSE, Timer::Replan).is_empty(), "the retry is not due");
        harness.advance(1);
        begun = harness.expire(HOUSE, Timer::Replan);
    }
    let announced = messages(&harness.handle(HOUSE, Input::Planned(plan_id(&begun))));
    let leads = |message: &Message| matches!(message, Message::Leader(HOUSE, _));
    let announced = announced.iter().filter(|(_, message)| leads(message)).count();
    assert_eq!(announced, 2, "the third plan is good, and its assignments wait for the other nodes");
    harness.advance(60);
    assert!(harness.expire(HOUSE, Timer::Replan).is_empty(), "the flow stays active");
}

/// A planner that fails a number of times at first.
struct FailsAtFirst(u32);

impl FlowStrategy for FailsAtFirst {
    fn plan(&mut self, request: &PlanRequest<'_>, _: &mut Meter) -> Result<Flow, NoFlow> {
        self.0 += 1;
        if self.0 < 3 {
            return Err(NoFlow::PlannerFailed {
                planner: "test".to_owned(),
                problem: "not available".to_owned(),
            });
        }
        let first = |item| request.network.producers(item)[0];
        Ok(Flow::upstream_of(request.network, vec![HOUSE], |_, item| first(item)))
    }
}

register_flow!(FlowDescriptor {
    name: "fails-at-first",
    summary: "in tests only",
    source: "none",
    notes: "none",
    guarantees: |_| &[],
    params: &[],
    build: |_| Box::new(FailsAtFirst(0)),
});

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
    let compact_after = std::num::NonZeroU32::new(20);
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
fn a_changed_recipe_applies_to_production_and_planning() {
    let mut harness = with_assignments(Protocol::default());
    // The hold time after the first plan is over.
    harness.advance(3);
    let wood = Requirement { item: WOOD_ITEM, quantity: 2 };
    // From now on the house requires wood and no door.
    let effects = harness.handle(HOUSE, Input::Command(&Command::Recipe(Box::new([wood]))));
    assert!(matches!(harness.log(HOUSE).last(), Some(LogRecord::Commanded(_))));
    let assignments = messages(&harness.handle(HOUSE, Input::Planned(plan_id(&effects))));
    let to_wood =
        assignments.iter().find(|(to, _)| *to == WOOD).expect("an assignment with another consumer of wood");
    assert!(
        matches!(&to_wood.1, Message::Assignment(_, assignment) if *assignment.consumers == [HOUSE]),
        "{assignments:?}"
    );
    let requests = cycle(&mut harness, HOUSE);
    assert_eq!(requests.iter().filter(|(to, _)| *to == WOOD).count(), 2, "two batches of wood: {requests:?}");
    harness.advance(1);
    harness.start(HOUSE);
    harness.expire(HOUSE, Timer::ProductionCycle);
    assert!(cycle(&mut harness, HOUSE).iter().all(|(to, _)| *to != DOOR), "also after a crash");
}

#[test]
fn a_retired_node_delivers_and_makes_no_more() {
    let mut harness = with_assignments(Protocol::default());
    // The hold time after the first plan is over.
    harness.advance(3);
    let sent = announce(&mut harness);
    cycle(&mut harness, WOOD);
    let notices = messages(&harness.handle(WOOD, Input::Command(&Command::Retire)));
    assert!(matches!(&notices[..], [(HOUSE, Message::NodeConfig(config))] if config.retired), "{notices:?}");
    let answer = harness.deliver(WOOD, HOUSE, &notices[0].1);
    assert!(
        messages(&answer)
            .iter()
            .any(|(to, message)| *to == WOOD && matches!(message, Message::NodeConfigAck(..)))
    );
    plan_id(&answer);
    assert_eq!(cycle(&mut harness, WOOD), []);
    assert_eq!(harness.node(WOOD).stock(), 1, "a retired node makes nothing");
    let late = Message::Request { request: request(5), item: WOOD_ITEM };
    assert_eq!(
        messages(&harness.deliver(DOOR, WOOD, &late)),
        [(DOOR, Message::Unavailable { request: request(5) })]
    );
    harness.advance(5);
    assert_eq!(
        messages(&harness.expire(WOOD, Timer::RetransmitBatches)),
        [(DOOR, sent)],
        "a commitment is kept"
    );
    // The leader receives it again until it acknowledges.
    let again = messages(&harness.expire(WOOD, Timer::SendNodeConfig));
    let to_leader =
        again.iter().filter(|(to, message)| *to == HOUSE && matches!(message, Message::NodeConfig(_)));
    assert_eq!(to_leader.count(), 1);
    assert!(
        again.iter().any(|(_, message)| matches!(message, Message::Relayed(_))),
        "also by relays: {again:?}"
    );
    let ack = messages(&answer)
        .into_iter()
        .find(|(to, message)| *to == WOOD && matches!(message, Message::NodeConfigAck(..)));
    harness.deliver(HOUSE, WOOD, &ack.expect("an acknowledgement").1);
    // Neither an acknowledgement nor a return makes the leader plan with it again.
    harness.advance(30);
    harness.handle(HOUSE, Input::Planned(plan_id(&answer)));
    let version = FlowVersion { term: Term(3), number: 2 };
    for message in [Message::Rejoin, Message::AssignmentAck(version)] {
        let effects = harness.deliver(WOOD, HOUSE, &message);
        assert_eq!(started_plan(&effects), None, "{message:?}");
    }
    harness.advance(60);
    assert_eq!(messages(&harness.expire(WOOD, Timer::SendNodeConfig)), []);
}

// The prototype's quirks, one by one.

#[test]
fn a_blackboard_replaces_assignment_messages() {
    let harness = with_assignments(seed_protocol());
    assert!(NODES.into_iter().all(|node| harness.count(node, Metric::SentMessages) == 0));
    assert!(
        NODES.into_iter().all(|node| harness.node(node).load().flow_edges == 2),
        "every node knows the whole flow, including the leader"
    );
}

#[test]
fn a_blocking_transit_confirms_when_the_batch_arrives() {
    let mut harness = with_assignments(seed_protocol());
    let sent = announce(&mut harness);
    let effects = harness.deliver(WOOD, DOOR, &sent);
    assert!(matches!(effects[1], Effect::Transport { blocking: true, .. }), "{effects:?}");
    cycle(&mut harness, DOOR);
    assert_eq!(
        harness.count(DOOR, Metric::UnansweredBatchRequestsCurrent),
        1,
        "not answered during the transit"
    );
    harness.handle(DOOR, Input::Arrived(batch(WOOD, 0)));
    cycle(&mut harness, DOOR);
    assert_eq!(
        harness.count(DOOR, Metric::UnansweredBatchRequestsCurrent),
        1,
        "the second request is still open"
    );
}

#[test]
fn the_prototype_requests_in_every_unproductive_cycle() {
    let mut harness = with_assignments(seed_protocol());
    let sent = announce(&mut harness);
    assert_eq!(cycle(&mut harness, DOOR).len(), 1, "requested again in spite of an open request");
    harness.deliver(WOOD, DOOR, &sent);
    harness.handle(DOOR, Input::Arrived(batch(WOOD, 0)));
    assert_eq!(cycle(&mut harness, DOOR), [], "a productive cycle sends no request");
    assert_eq!(harness.count(DOOR, Metric::SuccessfulManufactureCycles), 1);
}

#[test]
fn a_mixed_up_log_records_shipments_as_inbound() {
    let mut harness = with_assignments(seed_protocol());
    let sent = announce(&mut harness);
    assert_eq!(harness.log(WOOD).last(), Some(&LogRecord::LocalBatchSent(batch(WOOD, 0))));
    assert_eq!(harness.node(WOOD).load().inbound_entries, 1);
    harness.deliver(WOOD, DOOR, &sent);
    harness.deliver(DOOR, WOOD, &Message::TransitStarted(batch(WOOD, 0)));
    assert_eq!(harness.log(WOOD).last(), Some(&LogRecord::InTransit(batch(WOOD, 0))));
}

#[test]
fn a_replay_restocks_shipped_and_restores_consumed_batches() {
    let mut harness = with_assignments(seed_protocol());
    let sent = announce(&mut harness);
    harness.deliver(WOOD, DOOR, &sent);
    harness.handle(DOOR, Input::Arrived(batch(WOOD, 0)));
    cycle(&mut harness, DOOR);
    let flow = flow_notice();
    harness.advance(1);
    harness.start(WOOD);
    harness.handle(WOOD, Input::Notice(&flow));
    assert_eq!(
        harness.node(WOOD).holdings().stock.ranges(),
        [(0, 1)],
        "sent and not acknowledged: back in stock"
    );
    assert_eq!(harness.count(WOOD, Metric::WalGhostInboundBatches), 1, "its shipment is in the inbound log");
    // The same batch again: it is not stored, but logged as received once more.
    harness.deliver(WOOD, DOOR, &sent);
    harness.handle(DOOR, Input::Arrived(batch(WOOD, 0)));
    assert_eq!(harness.node(DOOR).holdings().received, []);
    harness.start(DOOR);
    harness.handle(DOOR, Input::Notice(&flow));
    assert_eq!(
        harness.node(DOOR).holdings().received,
        [batch(WOOD, 0).into()],
        "consumed, and present again"
    );
}

/// Returns the notice of the flow that a blackboard passes to a starting node.
fn flow_notice() -> Notice {
    let edge = |producer, consumer, item| SupplyEdge { producer, consumer, item: ItemId::new(item) };
    let flow = Flow::new(vec![edge(WOOD, DOOR, 0), edge(DOOR, HOUSE, 1)]);
    Notice::Flow(FlowVersion { term: Term(1), number: 1 }, Arc::new(flow))
}

#[test]
fn the_prototype_replans_at_every_report_without_rejoin() {
    let mut harness = with_assignments(seed_protocol());
    let report = Message::Suspicion(WOOD);
    for _ in 0..2 {
        let effects = harness.deliver(DOOR, HOUSE, &report);
        assert!(
            matches!(effects[..], [Effect::Post(Notice::Removed(_)), Effect::Plan { blocking: true, .. }]),
            "{effects:?}"
        );
        harness.handle(HOUSE, Input::Planned(plan_id(&effects)));
    }
    assert_eq!(harness.count(HOUSE, Metric::PlansComputed), 3);
    harness.advance(1);
    assert_eq!(messages(&harness.start(WOOD)), [], "the prototype announces no recovery");
}
