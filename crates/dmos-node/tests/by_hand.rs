//! Nodes driven by hand, message by message: proof that a node needs no simulator.

use std::sync::Arc;

use dmos_core::settings::{
    Dissemination, FailureReports, LogKeeping, Mailbox, PlanningMode, Protocol, Receiving, Recovery, Rejoin,
    Requests, Serving,
};
use dmos_core::strategy::{FlowDescriptor, FlowStrategy, Meter, NoFlow, PlanRequest, register_flow};
use dmos_core::{BatchId, Flow, FlowVersion, ItemId, Metric, NodeId, Registry, RequestId, Span, Time};
use dmos_graph::NamedNetwork;
use dmos_node::{Command, Effect, Input, LogRecord, Message, Node, NodeSettings, Notice, Scrapped, Timer};
use dmos_strategies as _;

/// The nodes of the chain wood, door, house, and a clock that the test advances.
struct Bench {
    nodes: Vec<Node>,
    logs: Vec<Vec<LogRecord>>,
    now: Time,
}

const WOOD: usize = 0;
const DOOR: usize = 1;
const HOUSE: usize = 2;

impl Bench {
    fn new(protocol: Protocol, leader: &str) -> Self {
        Self::planned_by("memoized:substitute_ends=false", protocol, leader)
    }

    fn planned_by(flow: &str, protocol: Protocol, leader: &str) -> Self {
        let (network, _) = NamedNetwork::ThreeNodes.description().build().expect("a network");
        let network = Arc::new(network);
        let registry = Registry::collect().expect("no duplicates");
        let call = |text: &str| text.parse().expect("a call");
        let settings = Arc::new(NodeSettings {
            flow: registry.flow(&call(flow), &network).expect("registered"),
            leader: registry.leader(&call(leader), &network).expect("registered").build().into(),
            candidates: network.nodes().collect(),
            added_later: Arc::new([]),
            planning_budget: 1_000_000,
            mean_durations: dmos_core::strategy::MeanDurations::default(),
            seed: 1,
            protocol,
            network: Arc::clone(&network),
        });
        let nodes = network.nodes().map(|node| Node::new(node, Arc::clone(&settings))).collect();
        Self { nodes, logs: vec![Vec::new(); 3], now: Time::ZERO }
    }

    /// Returns a bench on which all three nodes have started and have an assignment.
    fn with_assignments(protocol: Protocol) -> Self {
        let mut bench = Self::new(protocol, "last-writer");
        let offers = bench.start(HOUSE);
        bench.start(WOOD);
        bench.start(DOOR);
        bench.read_posts(&offers);
        let plan_id = plan_id(&offers);
        let effects = bench.give(HOUSE, Input::Planned(plan_id));
        match sends(&effects)[..] {
            [] => bench.read_posts(&effects),
            ref assignments => {
                for (to, assignment) in assignments {
                    let acks = bench.say(HOUSE, *to, assignment.clone());
                    assert!(matches!(sends(&acks)[..], [(HOUSE, Message::AssignmentAck(_))]), "{acks:?}");
                    bench.say(*to, HOUSE, sends(&acks)[0].1.clone());
                }
            }
        }
        bench
    }

    fn read_posts(&mut self, effects: &[Effect]) {
        for effect in effects {
            if let Effect::Post(notice) = effect {
                (0..3).for_each(|node| drop(self.give(node, Input::Notice(notice))));
            }
        }
    }

    /// Passes an input to a node, keeps its log records, and returns its other effects except timers.
    fn give(&mut self, node: usize, input: Input<'_>) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.nodes[node].handle(self.now, input, &mut effects);
        let log = &mut self.logs[node];
        effects.retain(|effect| match effect {
            Effect::Append(record) => {
                log.push(record.clone());
                false
            }
            Effect::Compact(state) => {
                *log = vec![LogRecord::Compacted(state.clone())];
                false
            }
            Effect::SetTimer { .. } | Effect::Report(_) => false,
            _ => true,
        });
        effects
    }

    fn start(&mut self, node: usize) -> Vec<Effect> {
        let records = self.logs[node].clone();
        let recovering = self.now > Time::ZERO;
        let scrapped = Scrapped::default();
        self.give(node, Input::Start { records: &records, recovering, phase: Span::ZERO, scrapped })
    }

    fn say(&mut self, from: usize, to: usize, message: Message) -> Vec<Effect> {
        self.give(to, Input::Message { from: NodeId::new(from), message: &message })
    }

    /// Runs one production cycle and returns the messages that the node sends.
    fn cycle(&mut self, node: usize) -> Vec<(usize, Message)> {
        sends(&self.give(node, Input::Timer(Timer::ProductionCycle)))
    }

    fn wait(&mut self, seconds: u64) {
        self.now = self.now + Span::from_secs(seconds);
    }

    fn count(&self, node: usize, metric: Metric) -> u64 {
        self.nodes[node].metrics().get(metric)
    }

    /// Lets the door producer request wood, and the wood producer answer with its first batch.
    fn announce(&mut self) -> Message {
        self.cycle(WOOD);
        let requests = self.cycle(DOOR);
        let request = requests.iter().find(|(to, _)| *to == WOOD).expect("a request for wood").1.clone();
        sends(&self.say(DOOR, WOOD, request))[0].1.clone()
    }
}

/// Returns the plan among the effects.
#[track_caller]
fn plan_id(effects: &[Effect]) -> FlowVersion {
    let plan_id = |effect: &Effect| match effect {
        Effect::Plan { plan_id, .. } => Some(*plan_id),
        _ => None,
    };
    effects.iter().find_map(plan_id).unwrap_or_else(|| panic!("no plan is begun: {effects:?}"))
}

fn sends(effects: &[Effect]) -> Vec<(usize, Message)> {
    let send = |effect: &Effect| match effect {
        Effect::Send { to, message } => Some((to.index(), message.clone())),
        _ => None,
    };
    effects.iter().filter_map(send).collect()
}

fn request(number: u32) -> RequestId {
    RequestId { incarnation: 0, number }
}

fn batch(producer: usize, serial: u32) -> BatchId {
    BatchId { producer: NodeId::new(producer), serial }
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
    let mut bench = Bench::with_assignments(Protocol::default());
    let sent = bench.announce();
    let first = batch(WOOD, 0);
    let request = Some(request(0));
    assert_eq!(sent, Message::Announcement { request, batch: first, settled: 0 });
    let committed = LogRecord::Committed { batch: first, to: NodeId::new(DOOR), request: self::request(0) };
    assert_eq!(bench.logs[WOOD].last(), Some(&committed), "committed before it is announced");
    let effects = bench.say(WOOD, DOOR, sent);
    assert!(
        matches!(effects[1], Effect::Transport { batch, blocking: false } if batch == first),
        "{effects:?}"
    );
    assert_eq!(sends(&effects), [(WOOD, Message::TransitStarted(first))]);
    let effects = bench.give(DOOR, Input::Arrived(first));
    assert_eq!(bench.logs[DOOR].last(), Some(&LogRecord::Received(first)));
    assert_eq!(sends(&effects), [(WOOD, Message::Delivered(first))]);
    bench.say(DOOR, WOOD, Message::Delivered(first));
    assert_eq!(bench.count(WOOD, Metric::BatchesDelivered), 1);
    bench.cycle(DOOR);
    let made = LogRecord::Made { first: batch(DOOR, 0), count: 1, inputs: 1 };
    assert_eq!(bench.logs[DOOR][bench.logs[DOOR].len() - 2..], [LogRecord::Consumed(first), made]);
}

#[test]
fn an_empty_stock_refuses_requests() {
    let mut bench = Bench::with_assignments(Protocol::default());
    let requests = bench.cycle(DOOR);
    let refused = bench.say(DOOR, WOOD, requests[0].1.clone());
    assert_eq!(sends(&refused), [(DOOR, Message::Unavailable { request: request(0) })]);
    bench.say(WOOD, DOOR, Message::Unavailable { request: request(0) });
    assert_eq!(
        bench.cycle(DOOR),
        [(WOOD, Message::Request { request: request(1), item: dmos_core::ItemId::new(0) })]
    );
}

#[test]
fn a_pending_request_is_retransmitted_only_when_overdue() {
    let mut bench = Bench::with_assignments(Protocol::default());
    let first = bench.cycle(DOOR);
    assert_eq!(first.len(), 1);
    bench.wait(1);
    assert_eq!(bench.cycle(DOOR), []);
    bench.wait(5);
    assert_eq!(bench.cycle(DOOR), first, "the same request again");
    assert_eq!(bench.count(DOOR, Metric::RequestsRetransmitted), 1);
}

#[test]
fn a_duplicate_request_is_served_once() {
    let mut bench = Bench::with_assignments(Protocol::default());
    bench.cycle(WOOD);
    bench.cycle(WOOD);
    let request = bench.cycle(DOOR)[0].1.clone();
    let first = sends(&bench.say(DOOR, WOOD, request.clone()));
    assert_eq!(sends(&bench.say(DOOR, WOOD, request)), first);
    assert_eq!(bench.nodes[WOOD].stock(), 1);
}

#[test]
fn a_duplicate_is_confirmed_and_not_stored() {
    let mut bench = Bench::with_assignments(Protocol::default());
    let sent = bench.announce();
    bench.say(WOOD, DOOR, sent.clone());
    assert_eq!(
        sends(&bench.say(WOOD, DOOR, sent.clone())),
        [(WOOD, Message::TransitStarted(batch(WOOD, 0)))]
    );
    bench.give(DOOR, Input::Arrived(batch(WOOD, 0)));
    bench.cycle(DOOR);
    assert_eq!(sends(&bench.say(WOOD, DOOR, sent.clone())), [(WOOD, Message::Delivered(batch(WOOD, 0)))]);
    // Also after a crash, because the log remembers what was consumed.
    bench.wait(1);
    bench.start(DOOR);
    assert_eq!(sends(&bench.say(WOOD, DOOR, sent)), [(WOOD, Message::Delivered(batch(WOOD, 0)))]);
    assert_eq!(bench.nodes[DOOR].holdings().received, []);
}

#[test]
fn a_recovered_producer_announces_its_commitments_again() {
    let mut bench = Bench::with_assignments(Protocol::default());
    let sent = bench.announce();
    bench.cycle(WOOD);
    bench.wait(1);
    assert_eq!(sends(&bench.start(WOOD)), [(DOOR, sent)]);
    assert_eq!(bench.nodes[WOOD].holdings().stock.runs(), [(1, 2)]);
    assert_eq!(bench.count(WOOD, Metric::WalRecoveredOutboundBatches), 2);
    let sent = sends(&bench.give(WOOD, Input::Timer(Timer::AnnounceRejoin)));
    assert!(matches!(sent[..], [(_, Message::Rejoin)]), "the node announces its recovery: {sent:?}");
}

#[test]
fn unconfirmed_batches_are_announced_again() {
    let mut bench = Bench::with_assignments(Protocol::default());
    let sent = bench.announce();
    bench.wait(4);
    assert_eq!(sends(&bench.give(WOOD, Input::Timer(Timer::RetransmitBatches))), []);
    bench.wait(1);
    assert_eq!(sends(&bench.give(WOOD, Input::Timer(Timer::RetransmitBatches))), [(DOOR, sent)]);
}

#[test]
fn a_silent_node_is_reported_removed_and_rejoins() {
    let mut bench = Bench::with_assignments(Protocol::default());
    let request = Input::Timer(Timer::Heartbeat);
    assert_eq!(
        sends(&bench.give(DOOR, request)),
        [(WOOD, Message::HeartbeatRequest), (HOUSE, Message::HeartbeatRequest)]
    );
    bench.wait(10);
    bench.say(HOUSE, DOOR, Message::HeartbeatResponse);
    bench.wait(10);
    let report = (HOUSE, Message::Suspicion(NodeId::new(WOOD)));
    assert!(sends(&bench.give(DOOR, Input::Timer(Timer::Heartbeat))).contains(&report));
    let plan = bench.say(DOOR, HOUSE, report.1.clone());
    assert!(matches!(plan[..], [Effect::Send { .. }, Effect::Plan { blocking: false, .. }]), "{plan:?}");
    assert!(
        matches!(&sends(&plan)[..], [(WOOD, Message::Assignment(..))]),
        "if it is alive it answers: {plan:?}"
    );
    assert!(bench.say(DOOR, HOUSE, report.1).is_empty(), "a repeated failure report starts no further plan");
    assert_eq!(bench.count(HOUSE, Metric::NodesDeterminedCrashed), 1);
    let assignments = sends(&bench.give(HOUSE, Input::Planned(plan_id(&plan))));
    assert!(
        matches!(&assignments[1], (DOOR, Message::Assignment(_, assignment)) if assignment.is_idle()),
        "without wood nothing is made"
    );
    let effects = bench.say(WOOD, HOUSE, Message::Rejoin);
    plan_id(&effects);
}

#[test]
fn an_assignment_of_an_older_term_is_ignored() {
    let mut bench = Bench::with_assignments(Protocol::default());
    let stale = Message::Assignment(FlowVersion::default(), Arc::default());
    let answer = sends(&bench.say(DOOR, WOOD, stale));
    assert!(
        matches!(answer[..], [(DOOR, Message::Leader(leader, _))] if leader.index() == HOUSE),
        "{answer:?}"
    );
    bench.cycle(WOOD);
    assert_eq!(bench.count(WOOD, Metric::SuccessfulManufactureCycles), 1, "it still has its role");
}

#[test]
fn the_stock_is_limited_except_for_final_items() {
    let mut bench = Bench::with_assignments(Protocol::default());
    for _ in 0..20 {
        bench.cycle(WOOD);
    }
    assert_eq!(bench.nodes[WOOD].stock(), 10);
    assert_eq!(bench.count(WOOD, Metric::SkippedManufactureCycles), 10);
    for serial in 0..20 {
        let batch = batch(DOOR, serial);
        bench.say(DOOR, HOUSE, Message::Announcement { request: None, batch, settled: serial });
        bench.give(HOUSE, Input::Arrived(batch));
        bench.cycle(HOUSE);
    }
    assert_eq!(bench.nodes[HOUSE].stock(), 20, "finished goods leave the factory");
}

#[test]
fn two_candidates_elect_the_higher_by_bully() {
    let mut bench = Bench::new(Protocol::default(), "bully");
    let requests = sends(&bench.start(DOOR));
    assert!(matches!(requests[..], [(HOUSE, Message::Election(_))]), "{requests:?}");
    let effects = bench.start(HOUSE);
    assert!(
        effects.iter().any(|effect| matches!(effect, Effect::Plan { .. })),
        "the highest candidate becomes leader at once"
    );
    for (to, message) in sends(&effects) {
        bench.say(HOUSE, to, message);
    }
    assert!(bench.nodes[HOUSE].leads() && !bench.nodes[DOOR].leads());
    // The leader falls silent: the next candidate asks, gets no answer, and becomes leader.
    bench.give(DOOR, Input::Timer(Timer::Heartbeat));
    bench.wait(20);
    let requests = sends(&bench.give(DOOR, Input::Timer(Timer::Heartbeat)));
    assert!(
        requests.iter().any(|(to, message)| *to == HOUSE && matches!(message, Message::Election(_))),
        "{requests:?}"
    );
    let timers: Vec<Effect> =
        (0..4).flat_map(|timer| bench.give(DOOR, Input::Timer(Timer::Election(timer)))).collect();
    assert!(timers.iter().any(|effect| matches!(effect, Effect::Plan { .. })) && bench.nodes[DOOR].leads());
}

// Fault tolerance: silence, crashes, late messages, commands.

#[test]
fn retransmission_backs_off() {
    let mut bench = Bench::with_assignments(Protocol::default());
    let sent = bench.announce();
    // Sent at 0 s, then again after 5, 10, 20 and 30 s each.
    for (wait, is_due) in [(5, true), (5, false), (5, true), (15, false), (5, true), (30, true), (30, true)] {
        bench.wait(wait);
        let again = sends(&bench.give(WOOD, Input::Timer(Timer::RetransmitBatches)));
        let expected = if is_due { vec![(DOOR, sent.clone())] } else { vec![] };
        assert_eq!(again, expected, "at {:?}", bench.now);
    }
    // A requesting consumer is alive: it gets the missed announcement at once, and the timeouts start anew.
    bench.wait(1);
    let asks = Message::Request { request: request(9), item: dmos_core::ItemId::new(0) };
    assert_eq!(sends(&bench.say(DOOR, WOOD, asks))[0], (DOOR, sent.clone()));
    bench.wait(5);
    assert_eq!(sends(&bench.give(WOOD, Input::Timer(Timer::RetransmitBatches))), [(DOOR, sent)]);
}

#[test]
fn the_commitment_limit_stops_shipments_to_a_silent_consumer() {
    let limit = std::num::NonZeroU32::new(2);
    let mut bench = Bench::with_assignments(Protocol { commitment_limit: limit, ..Protocol::default() });
    (0..5).for_each(|_| drop(bench.cycle(WOOD)));
    let ask = |number| Message::Request { request: request(number), item: dmos_core::ItemId::new(0) };
    for number in 0..2 {
        let answer = sends(&bench.say(DOOR, WOOD, ask(number)));
        assert!(matches!(answer[..], [(DOOR, Message::Announcement { .. })]), "{answer:?}");
    }
    let refused = sends(&bench.say(DOOR, WOOD, ask(2)));
    assert_eq!(refused, [(DOOR, Message::Unavailable { request: request(2) })]);
    assert_eq!((bench.nodes[WOOD].stock(), bench.count(WOOD, Metric::RequestsOverLimit)), (3, 1));
    let others = sends(&bench.say(HOUSE, WOOD, ask(0)));
    assert!(matches!(others[..], [(HOUSE, Message::Announcement { .. })]), "others are served: {others:?}");
    bench.say(DOOR, WOOD, Message::Delivered(batch(WOOD, 0)));
    let answer = sends(&bench.say(DOOR, WOOD, ask(3)));
    assert!(matches!(answer[..], [(DOOR, Message::Announcement { .. })]), "{answer:?}");
}

#[test]
fn consumers_are_served_in_order_of_refusal() {
    let mut bench = Bench::with_assignments(Protocol::default());
    let ask = |number| Message::Request { request: request(number), item: dmos_core::ItemId::new(0) };
    let is_served = |effects: &[Effect]| matches!(sends(effects)[..], [(_, Message::Announcement { .. })]);
    assert!(!is_served(&bench.say(HOUSE, WOOD, ask(0))), "there is none");
    bench.cycle(WOOD);
    assert!(!is_served(&bench.say(DOOR, WOOD, ask(0))), "the batch is kept for the house");
    assert!(is_served(&bench.say(HOUSE, WOOD, ask(1))));
    bench.cycle(WOOD);
    assert!(!is_served(&bench.say(HOUSE, WOOD, ask(2))), "now the door is first");
    bench.wait(60);
    assert!(is_served(&bench.say(HOUSE, WOOD, ask(3))), "it does not ask any more");
}

#[test]
fn a_consumer_that_gives_up_requeues_at_the_end() {
    let mut bench = Bench::with_assignments(Protocol::default());
    let wood = ItemId::new(WOOD);
    let mut number = 0;
    let mut asks = |bench: &mut Bench, from: usize| {
        number += 1;
        let request = Message::Request { request: request(number), item: wood };
        matches!(sends(&bench.say(from, WOOD, request))[0].1, Message::Announcement { .. })
    };
    assert!(!asks(&mut bench, HOUSE), "there is none yet");
    assert!(!asks(&mut bench, DOOR));
    for _ in 0..30 {
        bench.wait(1);
        assert!(!asks(&mut bench, DOOR), "it goes on asking");
    }
    assert!(!asks(&mut bench, HOUSE), "it comes back");
    bench.cycle(WOOD);
    assert!(!asks(&mut bench, HOUSE), "the only batch is reserved for the consumer that kept waiting");
    bench.cycle(WOOD);
    assert!(asks(&mut bench, HOUSE), "of two batches, only one is reserved");
    assert!(asks(&mut bench, DOOR));
}

/// Returns an assignment with two suppliers of wood for the door producer; the house is the second.
fn two_suppliers(version: u32) -> Message {
    let wood = dmos_core::ItemId::new(0);
    let assignment = dmos_core::Assignment {
        suppliers: Box::new([WOOD, HOUSE].map(|node| dmos_core::Supply {
            item: wood,
            producer: NodeId::new(node),
            share: dmos_core::Share::from_millionths(500_000),
        })),
        consumers: Box::new([]),
    };
    Message::Assignment(FlowVersion { term: dmos_core::Term(100), number: version }, Arc::new(assignment))
}

#[test]
fn an_unanswered_request_is_redirected() {
    let mut bench = Bench::with_assignments(Protocol::default());
    bench.say(HOUSE, DOOR, two_suppliers(1));
    let first = bench.cycle(DOOR);
    assert!(matches!(first[..], [(WOOD, Message::Request { .. })]), "{first:?}");
    bench.wait(5);
    let second = bench.cycle(DOOR);
    assert!(
        matches!(second[..], [(HOUSE, Message::Request { request, .. })] if request == self::request(1)),
        "another request, to another node: {second:?}"
    );
    assert_eq!(bench.count(DOOR, Metric::RequestsRedirected), 1);
    // A refusal redirects the request as well.
    bench.say(HOUSE, DOOR, Message::Unavailable { request: request(1) });
    assert!(matches!(bench.cycle(DOOR)[..], [(WOOD, Message::Request { .. })]));
    // The first supplier answers late; its batch is accepted.
    let late = Message::Announcement { request: Some(request(0)), batch: batch(WOOD, 0), settled: 0 };
    let effects = bench.say(WOOD, DOOR, late);
    assert!(matches!(effects[1], Effect::Transport { .. }), "{effects:?}");
}

/// Returns an assignment with these shares of the wood producer and of the house as second supplier.
fn shares(of_wood: u32, of_house: u32) -> Message {
    let supply = |(node, share)| dmos_core::Supply {
        item: dmos_core::ItemId::new(0),
        producer: NodeId::new(node),
        share: dmos_core::Share::from_millionths(share),
    };
    let suppliers = [(WOOD, of_wood), (HOUSE, of_house)].map(supply);
    let assignment = dmos_core::Assignment { suppliers: Box::new(suppliers), consumers: Box::new([]) };
    Message::Assignment(FlowVersion { term: dmos_core::Term(100), number: 1 }, Arc::new(assignment))
}

/// Lets the door producer send a number of requests, none of which is refused, and counts them by supplier.
fn requests_per_supplier(bench: &mut Bench, times: u32) -> [usize; 2] {
    requests_per_supplier_after(bench, 0, times)
}

/// Like [`requests_per_supplier`], after `first` batches have been delivered.
fn requests_per_supplier_after(bench: &mut Bench, first: u32, times: u32) -> [usize; 2] {
    let mut counts = [0; 2];
    for serial in first..first + times {
        let sent = bench.cycle(DOOR);
        let [(to, Message::Request { request, .. })] = sent[..] else { panic!("one request: {sent:?}") };
        counts[usize::from(to == HOUSE)] += 1;
        // The batch arrives at once, and the next cycle consumes it.
        let batch = batch(WOOD, serial);
        bench.say(WOOD, DOOR, Message::Announcement { request: Some(request), batch, settled: serial });
        bench.give(DOOR, Input::Arrived(batch));
    }
    counts
}

#[test]
fn requests_follow_supplier_shares() {
    for (shares_of, expected) in [((750_000, 250_000), [30, 10]), ((500_000, 500_000), [20, 20])] {
        let mut bench = Bench::with_assignments(Protocol { stock_limit: None, ..Protocol::default() });
        bench.say(HOUSE, DOOR, shares(shares_of.0, shares_of.1));
        assert_eq!(requests_per_supplier(&mut bench, 40), expected);
    }
    let mut bench = Bench::with_assignments(Protocol { stock_limit: None, ..Protocol::default() });
    bench.say(HOUSE, DOOR, shares(1_000_000, 0));
    assert_eq!(requests_per_supplier(&mut bench, 40), [40, 0], "a standby receives no request");
    // Even without stock the supplier is alive, and the standby is only for suspected suppliers.
    let sent = bench.cycle(DOOR);
    let [(WOOD, Message::Request { request, .. })] = sent[..] else { panic!("{sent:?}") };
    bench.say(WOOD, DOOR, Message::Unavailable { request });
    assert!(matches!(bench.cycle(DOOR)[..], [(WOOD, Message::Request { .. })]));
}

#[test]
fn a_supplier_that_refused_recently_is_avoided() {
    let mut bench = Bench::with_assignments(Protocol { stock_limit: None, ..Protocol::default() });
    bench.say(HOUSE, DOOR, shares(500_000, 500_000));
    let sent = bench.cycle(DOOR);
    let [(WOOD, Message::Request { request, .. })] = sent[..] else { panic!("{sent:?}") };
    bench.say(WOOD, DOOR, Message::Unavailable { request });
    let [mut of_wood, mut of_house] = [0, 0];
    for batch in 0..40 {
        let before = (of_wood, of_house);
        let [wood, house] = requests_per_supplier_after(&mut bench, batch, 1);
        (of_wood, of_house) = (before.0 + wood, before.1 + house);
        if batch < 5 {
            assert_eq!(of_wood, 0, "it had none a moment ago");
        }
        bench.wait(1);
    }
    assert_eq!((of_wood, of_house), (20, 20));
}

#[test]
fn a_failed_planner_is_retried() {
    let mut bench = Bench::planned_by("fails-at-first", Protocol::default(), "last-writer");
    let mut begun = bench.start(HOUSE);
    // Five seconds after the first failure, ten after the second.
    for pause in [5, 10] {
        let nothing = bench.give(HOUSE, Input::Planned(plan_id(&begun)));
        assert!(nothing.is_empty(), "there is nothing to offer: {nothing:?}");
        bench.wait(pause - 1);
        assert!(bench.give(HOUSE, Input::Timer(Timer::RetryPlan)).is_empty(), "not yet");
        bench.wait(1);
        begun = bench.give(HOUSE, Input::Timer(Timer::RetryPlan));
    }
    let assignments = sends(&bench.give(HOUSE, Input::Planned(plan_id(&begun))));
    assert_eq!(assignments.len(), 2, "the third plan is good: {assignments:?}");
    bench.wait(60);
    assert!(bench.give(HOUSE, Input::Timer(Timer::RetryPlan)).is_empty(), "the flow stays active");
}

/// A planner that fails a number of times at first.
struct FailsAtFirst(u32);

impl FlowStrategy for FailsAtFirst {
    fn plan(&mut self, request: &PlanRequest<'_>, _: &mut Meter) -> Result<Flow, NoFlow> {
        self.0 += 1;
        if self.0 < 3 {
            return Err(NoFlow::PlannerFailed { planner: "it".to_owned(), problem: "it sleeps".to_owned() });
        }
        let first = |item| request.network.producers(item)[0];
        Ok(Flow::upstream_of(request.network, vec![NodeId::new(HOUSE)], |_, item| first(item)))
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
    let mut bench = Bench::with_assignments(Protocol { retry_after: None, ..Protocol::default() });
    bench.say(HOUSE, DOOR, shares(1_000_000, 0));
    let heartbeat = |bench: &mut Bench| sends(&bench.give(DOOR, Input::Timer(Timer::Heartbeat)));
    heartbeat(&mut bench);
    assert!(matches!(bench.cycle(DOOR)[..], [(WOOD, Message::Request { .. })]));
    bench.wait(16);
    bench.say(HOUSE, DOOR, Message::HeartbeatResponse);
    assert_eq!(bench.cycle(DOOR), [], "no supplier is suspected, and a request is open");
    heartbeat(&mut bench);
    let sent = bench.cycle(DOOR);
    assert!(
        matches!(sent[..], [(HOUSE, Message::Request { .. })]),
        "no leader has sent an assignment: {sent:?}"
    );
    assert_eq!(bench.count(DOOR, Metric::RequestsRedirected), 1);
    // The supplier answers again: the next request goes to it.
    bench.say(WOOD, DOOR, Message::HeartbeatResponse);
    bench.say(HOUSE, DOOR, Message::Unavailable { request: request(1) });
    assert!(matches!(bench.cycle(DOOR)[..], [(WOOD, Message::Request { .. })]));
}

#[test]
fn request_numbers_are_unique() {
    let mut bench = Bench::with_assignments(Protocol::default());
    let request_of = |sent: Vec<(usize, Message)>| match sent[..] {
        [(_, Message::Request { request, .. })] => request,
        _ => panic!("one request: {sent:?}"),
    };
    let first = request_of(bench.cycle(DOOR));
    for incarnation in 1..4 {
        bench.wait(1);
        bench.start(DOOR);
        bench.say(HOUSE, DOOR, two_suppliers(incarnation));
        let again = request_of(bench.cycle(DOOR));
        assert_eq!((again.incarnation, again.number, first.incarnation), (incarnation, 0, 0));
    }
}

#[test]
fn an_old_leader_is_rejected_after_a_crash_too() {
    let mut bench = Bench::with_assignments(Protocol::default());
    bench.say(HOUSE, DOOR, two_suppliers(2));
    bench.wait(1);
    bench.start(DOOR);
    let old = Message::Assignment(FlowVersion { term: dmos_core::Term(7), number: 9 }, Arc::default());
    for late in [old, two_suppliers(1)] {
        let answer = sends(&bench.say(WOOD, DOOR, late));
        assert!(
            !answer.iter().any(|(_, message)| matches!(message, Message::AssignmentAck(_))),
            "{answer:?}"
        );
        let names_the_term = |message: &Message| matches!(message, Message::Leader(leader, term) if leader.index() == WOOD && term.0 > 7);
        assert!(answer.iter().any(|(_, message)| names_the_term(message)), "{answer:?}");
    }
    assert_eq!(bench.count(DOOR, Metric::AssignmentsRefused), 2);
    assert_eq!(bench.cycle(DOOR), [], "it has no assignment, and requests nothing");
    bench.say(HOUSE, DOOR, two_suppliers(2));
    assert_eq!(bench.cycle(DOOR).len(), 1, "the same assignment is accepted after the restart");
}

#[test]
fn recovery_from_a_compacted_log_restores_everything() {
    let compact_after = std::num::NonZeroU32::new(20);
    let mut bench =
        Bench::with_assignments(Protocol { compact_after, stock_limit: None, ..Protocol::default() });
    for _ in 0..500 {
        let sent = bench.announce();
        bench.say(WOOD, DOOR, sent.clone());
        let Message::Announcement { batch, .. } = sent else { panic!("a batch is sent: {sent:?}") };
        bench.give(DOOR, Input::Arrived(batch));
        bench.say(DOOR, WOOD, Message::Delivered(batch));
        bench.wait(1);
    }
    let lengths: Vec<_> = bench.logs.iter().map(Vec::len).collect();
    assert!(lengths.iter().all(|&length| length < 60), "{lengths:?}");
    assert!(bench.count(DOOR, Metric::LogCompactions) > 20);
    let (holdings, made) =
        (bench.nodes[DOOR].holdings(), bench.count(DOOR, Metric::SuccessfulManufactureCycles));
    bench.start(DOOR);
    assert_eq!(bench.nodes[DOOR].holdings(), holdings);
    // The oldest and the newest batch are announced again: both are recognised, though only one is in the
    // log.
    for serial in [0, 499] {
        let again = Message::Announcement { request: None, batch: batch(WOOD, serial), settled: serial };
        assert_eq!(sends(&bench.say(WOOD, DOOR, again)), [(WOOD, Message::Delivered(batch(WOOD, serial)))]);
    }
    bench.say(HOUSE, DOOR, two_suppliers(1));
    bench.cycle(DOOR);
    let made_again = bench.logs[DOOR].iter().rev().find_map(|record| match record {
        LogRecord::Made { first, .. } => Some(first.serial),
        _ => None,
    });
    assert!(made_again.is_none_or(|serial| u64::from(serial) >= made), "numbers go on: {made_again:?}");
}

#[test]
fn material_destroyed_by_a_crash_is_scrapped() {
    let mut bench = Bench::with_assignments(Protocol::default());
    let sent = bench.announce();
    (0..3).for_each(|_| drop(bench.cycle(WOOD)));
    bench.wait(1);
    let records = bench.logs[WOOD].clone();
    let scrapped = Scrapped { outbound: true, inbound: false };
    let start = Input::Start { records: &records, recovering: true, phase: Span::ZERO, scrapped };
    assert_eq!(sends(&bench.give(WOOD, start)), [(DOOR, sent)], "a batch in transit is not in stock");
    assert_eq!((bench.nodes[WOOD].stock(), bench.count(WOOD, Metric::BatchesScrapped)), (0, 3));
    // Scrap remains scrap, and its serial numbers are never reused.
    bench.wait(1);
    bench.start(WOOD);
    assert_eq!(bench.nodes[WOOD].stock(), 0);
    bench.say(
        HOUSE,
        WOOD,
        Message::Assignment(FlowVersion { term: dmos_core::Term(100), number: 1 }, Arc::default()),
    );
    bench.cycle(WOOD);
    assert_eq!(bench.nodes[WOOD].holdings().stock.runs(), [(4, 5)]);
}

#[test]
fn a_changed_recipe_applies_to_production_and_planning() {
    let mut bench = Bench::with_assignments(Protocol::default());
    let wood = dmos_core::Requirement { item: dmos_core::ItemId::new(0), quantity: 2 };
    // From now on the house requires wood and no door.
    let effects = bench.give(HOUSE, Input::Command(&Command::Recipe(Box::new([wood]))));
    assert!(matches!(bench.logs[HOUSE].last(), Some(LogRecord::Commanded(_))));
    let assignments = sends(&bench.give(HOUSE, Input::Planned(plan_id(&effects))));
    let to_wood = assignments.iter().find(|(to, _)| *to == WOOD).expect("wood has another consumer");
    assert!(
        matches!(&to_wood.1, Message::Assignment(_, assignment) if *assignment.consumers == [NodeId::new(HOUSE)]),
        "{assignments:?}"
    );
    let requests = bench.cycle(HOUSE);
    assert_eq!(requests.iter().filter(|(to, _)| *to == WOOD).count(), 2, "two batches of wood: {requests:?}");
    bench.wait(1);
    bench.start(HOUSE);
    bench.give(HOUSE, Input::Timer(Timer::ProductionCycle));
    assert!(bench.cycle(HOUSE).iter().all(|(to, _)| *to != DOOR), "also after a crash");
}

#[test]
fn a_retired_node_delivers_and_makes_no_more() {
    let mut bench = Bench::with_assignments(Protocol::default());
    let sent = bench.announce();
    bench.cycle(WOOD);
    let notices = sends(&bench.give(WOOD, Input::Command(&Command::Retire)));
    assert!(matches!(&notices[..], [(HOUSE, Message::NodeConfig(config))] if config.retired), "{notices:?}");
    let answer = bench.say(WOOD, HOUSE, notices[0].1.clone());
    assert!(
        sends(&answer)
            .iter()
            .any(|(to, message)| *to == WOOD && matches!(message, Message::NodeConfigAck(..)))
    );
    plan_id(&answer);
    assert_eq!(bench.cycle(WOOD), []);
    assert_eq!(bench.nodes[WOOD].stock(), 1, "it makes no more");
    let ask = Message::Request { request: request(5), item: dmos_core::ItemId::new(0) };
    assert_eq!(sends(&bench.say(DOOR, WOOD, ask)), [(DOOR, Message::Unavailable { request: request(5) })]);
    bench.wait(5);
    assert_eq!(
        sends(&bench.give(WOOD, Input::Timer(Timer::RetransmitBatches))),
        [(DOOR, sent)],
        "a commitment is kept"
    );
    // The leader receives it again until it acknowledges.
    assert_eq!(sends(&bench.give(WOOD, Input::Timer(Timer::SendNodeConfig))).len(), 1);
    let ack = sends(&answer)
        .into_iter()
        .find(|(to, message)| *to == WOOD && matches!(message, Message::NodeConfigAck(..)));
    bench.say(HOUSE, WOOD, ack.expect("an acknowledgement").1);
    bench.wait(60);
    assert_eq!(sends(&bench.give(WOOD, Input::Timer(Timer::SendNodeConfig))), []);
}

// The prototype's quirks, one by one.

#[test]
fn a_blackboard_replaces_assignment_messages() {
    let bench = Bench::with_assignments(seed_protocol());
    assert!((0..3).all(|node| bench.count(node, Metric::SentMessages) == 0));
    assert!(
        (0..3).all(|node| bench.nodes[node].load().flow_edges == 2),
        "all see the whole flow, the leader as well"
    );
}

#[test]
fn a_blocking_transit_confirms_when_the_batch_arrives() {
    let mut bench = Bench::with_assignments(seed_protocol());
    let sent = bench.announce();
    let effects = bench.say(WOOD, DOOR, sent);
    assert!(matches!(effects[1], Effect::Transport { blocking: true, .. }), "{effects:?}");
    bench.cycle(DOOR);
    assert_eq!(
        bench.count(DOOR, Metric::UnansweredBatchRequestsCurrent),
        1,
        "not answered during the transit"
    );
    bench.give(DOOR, Input::Arrived(batch(WOOD, 0)));
    bench.cycle(DOOR);
    assert_eq!(
        bench.count(DOOR, Metric::UnansweredBatchRequestsCurrent),
        1,
        "the second request is still open"
    );
}

#[test]
fn the_prototype_requests_in_every_unproductive_cycle() {
    let mut bench = Bench::with_assignments(seed_protocol());
    let sent = bench.announce();
    assert_eq!(bench.cycle(DOOR).len(), 1, "requested again in spite of an open request");
    bench.say(WOOD, DOOR, sent);
    bench.give(DOOR, Input::Arrived(batch(WOOD, 0)));
    assert_eq!(bench.cycle(DOOR), [], "a cycle that makes does not ask");
    assert_eq!(bench.count(DOOR, Metric::SuccessfulManufactureCycles), 1);
}

#[test]
fn mixed_up_logs_enter_own_batches_among_the_received() {
    let mut bench = Bench::with_assignments(seed_protocol());
    let sent = bench.announce();
    assert_eq!(bench.logs[WOOD].last(), Some(&LogRecord::OwnBatchSent(batch(WOOD, 0))));
    assert_eq!(bench.nodes[WOOD].load().inbound_entries, 1);
    bench.say(WOOD, DOOR, sent);
    bench.say(DOOR, WOOD, Message::TransitStarted(batch(WOOD, 0)));
    assert_eq!(bench.logs[WOOD].last(), Some(&LogRecord::InTransit(batch(WOOD, 0))));
}

#[test]
fn a_replay_restocks_shipped_and_restores_consumed_batches() {
    let mut bench = Bench::with_assignments(seed_protocol());
    let sent = bench.announce();
    bench.say(WOOD, DOOR, sent.clone());
    bench.give(DOOR, Input::Arrived(batch(WOOD, 0)));
    bench.cycle(DOOR);
    let flow = bench.flow_notice();
    bench.wait(1);
    bench.start(WOOD);
    bench.give(WOOD, Input::Notice(&flow));
    assert_eq!(bench.nodes[WOOD].holdings().stock.runs(), [(0, 1)], "sent, not acknowledged: back in stock");
    assert_eq!(bench.count(WOOD, Metric::WalGhostInboundBatches), 1, "its own sent batch among the received");
    // The same batch again: it is not stored, but logged as received once more.
    bench.say(WOOD, DOOR, sent);
    bench.give(DOOR, Input::Arrived(batch(WOOD, 0)));
    assert_eq!(bench.nodes[DOOR].holdings().received, []);
    bench.start(DOOR);
    bench.give(DOOR, Input::Notice(&flow));
    assert_eq!(bench.nodes[DOOR].holdings().received, [batch(WOOD, 0)], "consumed, and present again");
}

impl Bench {
    /// Returns the notice of the flow that a blackboard passes to a starting node.
    fn flow_notice(&mut self) -> Notice {
        let edge = |producer, consumer, item| dmos_core::SupplyEdge {
            producer: NodeId::new(producer),
            consumer: NodeId::new(consumer),
            item: dmos_core::ItemId::new(item),
        };
        let flow = dmos_core::Flow::new(vec![edge(WOOD, DOOR, 0), edge(DOOR, HOUSE, 1)]);
        Notice::Flow(FlowVersion { term: dmos_core::Term(1), number: 1 }, Arc::new(flow))
    }
}

#[test]
fn the_prototype_replans_at_every_report_without_rejoin() {
    let mut bench = Bench::with_assignments(seed_protocol());
    let report = Message::Suspicion(NodeId::new(WOOD));
    for _ in 0..2 {
        let effects = bench.say(DOOR, HOUSE, report.clone());
        assert!(
            matches!(effects[..], [Effect::Post(Notice::Removed(_)), Effect::Plan { blocking: true, .. }]),
            "{effects:?}"
        );
        bench.give(HOUSE, Input::Planned(plan_id(&effects)));
    }
    assert_eq!(bench.count(HOUSE, Metric::PlansComputed), 3);
    bench.wait(1);
    assert_eq!(sends(&bench.start(WOOD)), [], "it does not say that it is back");
}
