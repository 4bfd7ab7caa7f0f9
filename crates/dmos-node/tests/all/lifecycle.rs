//! The state diagrams of a batch and of an order, by random walks of two suppliers and a consumer.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use dmos_core::flow::PlannedRate;
use dmos_core::settings::Protocol;
use dmos_core::{Assignment, BatchId, FlowVersion, ItemId, Network, NodeId, Share, Supply, Term};
use dmos_node::batch_range::BatchRange;
use dmos_node::harness::{Harness, messages};
use dmos_node::lifecycle::{BATCH, NONE, ORDER, Transition};
use dmos_node::{Effect, Input, LogRecord, LogState, Message, Order, OrderStatus, Scrapped, Timer};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// Returns a network of two producers of wood, a consumer, and a leader, whose part the test plays. If wood is a final
/// item, it leaves the factory at once, and otherwise it is also in stock.
fn network(wood_is_final: bool) -> Network {
    let finals = if wood_is_final { "[wood, door]" } else { "[door]" };
    let text = format!(
        "network: {{nodes: [{{makes: {{wood: 2}}, count: 2}}, {{makes: door, needs: {{wood: 3}}}}, \
         {{name: leader, makes: wood}}], final: {finals}}}\nduration: 1s\n"
    );
    (*dmos_testkit::scenario(&text).network).clone()
}

const SUPPLIERS: [NodeId; 2] = [NodeId::new(0), NodeId::new(1)];
const CONSUMER: NodeId = NodeId::new(2);
const LEADER: NodeId = NodeId::new(3);
const NODES: [NodeId; 3] = [SUPPLIERS[0], SUPPLIERS[1], CONSUMER];
const WALKS: u64 = 60;
const STEPS: usize = 1_000;

/// An order as a consumer sees it: the number, the total, and the state.
#[derive(Clone, Copy)]
struct OrderView {
    order: Order,
    state: &'static str,
}

/// The consumer's view of one supplier.
#[derive(Clone, Copy, Default)]
struct SupplierView {
    order: Option<OrderView>,
    /// Batches accepted in the present incarnation of the consumer.
    accepted: u32,
    /// True while the consumer learns that the supplier does not know the latest order.
    is_unknown: bool,
}

struct Walk {
    harness: Harness,
    random: ChaCha8Rng,
    /// Messages under way: sender, receiver and content.
    messages: Vec<(NodeId, NodeId, Message)>,
    /// Nodes with a production run in process.
    running: BTreeSet<NodeId>,
    transports: VecDeque<BatchId>,
    flows: u32,
    /// Number of suppliers in the flow.
    used: usize,
    consumer_incarnation: u32,
    suppliers: [SupplierView; 2],
    batches: BTreeMap<BatchId, &'static str>,
    seen: BTreeSet<Transition>,
}

impl Walk {
    fn new(seed: u64) -> Self {
        let network = network(seed.is_multiple_of(2));
        let protocol = Protocol { compact_after: None, ..Protocol::default() };
        let settings = dmos_testkit::node_settings(network, "memoized", "bully", protocol);
        let mut walk = Self {
            harness: Harness::new(settings),
            random: ChaCha8Rng::seed_from_u64(seed),
            messages: Vec::new(),
            running: BTreeSet::new(),
            transports: VecDeque::new(),
            flows: 0,
            used: if seed % 4 < 2 { 1 } else { 2 },
            consumer_incarnation: 0,
            suppliers: [SupplierView::default(); 2],
            batches: BTreeMap::new(),
            seen: BTreeSet::new(),
        };
        for node in NODES {
            let logged = walk.harness.log(node).len();
            let effects = walk.harness.start(node);
            walk.follow(node, logged, effects);
        }
        walk.assign();
        walk
    }

    /// Assigns the same flow again, under a new version.
    fn assign(&mut self) {
        self.flows += 1;
        let version = FlowVersion { term: Term(100), number: self.flows };
        let rate = PlannedRate::per_second(0.5);
        let supply =
            |producer| Supply { item: ItemId::new(0), producer, share: Share::from_millionths(500_000) };
        let suppliers = SUPPLIERS[..self.used].iter().copied().map(supply).collect();
        let consumer = Assignment { suppliers, rate, ..Assignment::default() };
        let supplier = Assignment {
            consumers: [CONSUMER].into(),
            rate,
            consumer_rates: [PlannedRate::per_second(0.75)].into(),
            leaving: PlannedRate::per_second(0.1),
            ..Assignment::default()
        };
        for node in NODES {
            let assignment = if node == CONSUMER { &consumer } else { &supplier };
            let message = Message::Assignment(version, Arc::new(assignment.clone()));
            self.handle(node, Input::Message { from: LEADER, message: &message });
        }
    }

    fn handle(&mut self, node: NodeId, input: Input<'_>) {
        let logged = self.harness.log(node).len();
        let effects = self.harness.handle(node, input);
        self.follow(node, logged, effects);
    }

    /// Follows what a node has logged since its log had this length, and its effects.
    fn follow(&mut self, node: NodeId, logged: usize, effects: Vec<Effect>) {
        for length in logged..self.harness.log(node).len() {
            self.follow_batches(node, length + 1);
        }
        for (to, message) in messages(&effects) {
            if let (CONSUMER, Message::Order { order, is_repeated }) = (node, &message) {
                self.on_order_sent(to, *order, *is_repeated);
            }
            let concerns_material = matches!(
                message,
                Message::Order { .. }
                    | Message::OrderAck(_)
                    | Message::Shipment { .. }
                    | Message::ShipmentAck(_)
                    | Message::HeartbeatRequest
                    | Message::HeartbeatResponse { .. }
            );
            if concerns_material && to != LEADER {
                self.messages.push((node, to, message));
            }
        }
        for effect in effects {
            match effect {
                Effect::StartRun { .. } => drop(self.running.insert(node)),
                Effect::Transport { batch, .. } => self.transports.push_back(batch),
                _ => {}
            }
        }
    }

    /// Compares the states of all batches before and after a record of a node.
    fn follow_batches(&mut self, node: NodeId, length: usize) {
        let event = match &self.harness.log(node)[length - 1] {
            LogRecord::Ran { .. } if node == CONSUMER => "the production run of the consumer ends",
            LogRecord::Ran { .. } => "the production run ends",
            LogRecord::Shipped { .. } => "shipped",
            LogRecord::Left(_) => "leaves the factory",
            LogRecord::Accepted(_) => "accepted by the consumer",
            LogRecord::Arrived(_) => "arrives",
            LogRecord::Scrapped(_) if node == CONSUMER => "destroyed in a crash of the consumer",
            LogRecord::Scrapped(_) => "destroyed in a crash of the producer",
            _ => "no event of a batch",
        };
        let state = |other: NodeId| {
            let log = self.harness.log(other);
            LogState::of(if other == node { &log[..length] } else { log })
        };
        let consumer = state(CONSUMER);
        let mut after = BTreeMap::new();
        for supplier in SUPPLIERS {
            let log = state(supplier);
            let left = self.left(supplier, node, length);
            for serial in 0..log.made {
                let batch = BatchId { producer: supplier, serial };
                after.insert(
                    batch,
                    batch_state(
                        batch,
                        &log,
                        &consumer,
                        left.contains(&batch),
                        self.batches.get(&batch),
                        event,
                    ),
                );
            }
        }
        for (batch, to) in &after {
            let from = self.batches.get(batch).copied().unwrap_or(NONE);
            if from != *to {
                self.seen.insert(Transition { from, event, to });
            }
        }
        self.batches = after;
    }

    /// Returns the batches that have left the factory.
    fn left(&self, supplier: NodeId, node: NodeId, length: usize) -> BTreeSet<BatchId> {
        let log = self.harness.log(supplier);
        let log = if supplier == node { &log[..length] } else { log };
        let ranges = log.iter().filter_map(|record| match record {
            LogRecord::Left(range) => Some(*range),
            _ => None,
        });
        ranges.flat_map(BatchRange::iter).collect()
    }

    fn on_order_sent(&mut self, supplier: NodeId, order: Order, is_repeated: bool) {
        let view = &mut self.suppliers[supplier.index()];
        let before = view.order.filter(|view| ["unacknowledged", "waiting"].contains(&view.state));
        let mut see = |from, event, to| {
            self.seen.insert(Transition { from, event, to });
        };
        match before {
            Some(before) if before.order == order => {
                let event = match before.state {
                    "waiting" if view.is_unknown => "unknown to the supplier, sent again",
                    "waiting" => "sent again for no reason",
                    _ => "no answer in time, sent again",
                };
                assert!(is_repeated, "an order has a number of its own");
                see(before.state, event, "unacknowledged");
            }
            Some(before) => {
                see(before.state, "the consumer sends a later order", "replaced");
                see(NONE, "sent", "unacknowledged");
            }
            None => see(NONE, if is_repeated { "sent again" } else { "sent" }, "unacknowledged"),
        }
        view.order = Some(OrderView { order, state: "unacknowledged" });
    }

    /// Follows a message to the consumer, and then lets it handle the message.
    fn deliver_to_consumer(&mut self, from: NodeId, message: &Message) {
        let view = &mut self.suppliers[from.index()];
        let incarnation = self.consumer_incarnation;
        let answered = match message {
            Message::OrderAck(status) | Message::HeartbeatResponse { order: status, .. } => Some(*status),
            Message::Shipment { incarnation, order, .. } => {
                Some(OrderStatus { incarnation: *incarnation, number: *order, shipped: 0 })
            }
            _ => None,
        };
        if let Message::Shipment { batches, incarnation: of, .. } = message
            && *of == incarnation
            && self.batches.get(&batches.first).is_none_or(|state| *state == "announced")
        {
            view.accepted += batches.count;
        }
        if let Some(view_of) = view.order.as_mut() {
            let is_filled = view.accepted >= view_of.order.total;
            let is_answer = answered.is_some_and(|status| {
                (status.incarnation, status.number) == (incarnation, view_of.order.number)
            });
            let to = match (view_of.state, is_answer, is_filled) {
                ("unacknowledged", true, true) => Some(("acknowledged with the last shipment", "filled")),
                ("unacknowledged", true, false) => Some(("acknowledged", "waiting")),
                ("waiting", _, true) => Some(("last shipment accepted", "filled")),
                _ => None,
            };
            if let Some((event, to)) = to {
                self.seen.insert(Transition { from: view_of.state, event, to });
                view_of.state = to;
            }
        }
        view.is_unknown = match message {
            Message::OrderAck(status) | Message::HeartbeatResponse { order: status, .. } => view
                .order
                .is_some_and(|view| (status.incarnation, status.number) != (incarnation, view.order.number)),
            _ => false,
        };
        self.handle(CONSUMER, Input::Message { from, message });
        self.suppliers[from.index()].is_unknown = false;
    }

    fn crash(&mut self, node: NodeId) {
        self.running.remove(&node);
        self.messages.retain(|(_, to, _)| *to != node);
        if node == CONSUMER {
            self.transports.clear();
            self.consumer_incarnation += 1;
            for view in &mut self.suppliers {
                let open = view.order.filter(|view| ["unacknowledged", "waiting"].contains(&view.state));
                if let Some(open) = open {
                    self.seen.insert(Transition {
                        from: open.state,
                        event: "the consumer crashes",
                        to: "void",
                    });
                }
                *view = SupplierView::default();
            }
        }
        let scrapped =
            Scrapped { outbound: self.random.random_bool(0.3), inbound: self.random.random_bool(0.3) };
        let logged = self.harness.log(node).len();
        let effects = self.harness.start_with(node, scrapped);
        self.follow(node, logged, effects);
        self.assign();
    }

    fn step(&mut self) {
        self.harness.advance(1);
        let node = NODES[self.random.random_range(0..3)];
        match self.random.random_range(0..1_000) {
            0..500 if !self.messages.is_empty() => {
                let at = self.random.random_range(0..self.messages.len());
                let (from, to, message) = self.messages.swap_remove(at);
                match to {
                    CONSUMER => self.deliver_to_consumer(from, &message),
                    _ => self.handle(to, Input::Message { from, message: &message }),
                }
            }
            500..560 if !self.messages.is_empty() => {
                let at = self.random.random_range(0..self.messages.len());
                self.messages.swap_remove(at);
            }
            560..750 if self.running.remove(&node) => self.handle(node, Input::Timer(Timer::RunEnd)),
            750..900 => {
                if let Some(batch) = self.transports.pop_front() {
                    self.handle(CONSUMER, Input::Arrived(batch));
                }
            }
            900..940 => self.handle(node, Input::Timer(Timer::RetransmitOrders)),
            940..970 => self.handle(node, Input::Timer(Timer::RetransmitBatches)),
            970..992 => self.handle(node, Input::Timer(Timer::Heartbeat)),
            992.. => self.crash(node),
            _ => {}
        }
    }
}

impl Walk {
    /// Delivers all messages in their order and lets all timers expire, without faults.
    fn settle(&mut self) {
        for _ in 0..20 {
            self.harness.advance(10);
            for (from, to, message) in std::mem::take(&mut self.messages) {
                match to {
                    CONSUMER => self.deliver_to_consumer(from, &message),
                    _ => self.handle(to, Input::Message { from, message: &message }),
                }
            }
            for batch in std::mem::take(&mut self.transports) {
                self.handle(CONSUMER, Input::Arrived(batch));
            }
            for node in std::mem::take(&mut self.running) {
                self.handle(node, Input::Timer(Timer::RunEnd));
            }
            for timer in [Timer::RetransmitOrders, Timer::RetransmitBatches, Timer::Heartbeat] {
                NODES.iter().for_each(|&node| self.handle(node, Input::Timer(timer)));
            }
        }
    }

    /// Returns the number of batches accepted from each supplier.
    fn accepted(&self) -> [u32; 2] {
        self.suppliers.map(|view| view.accepted)
    }
}

/// Returns the state of a batch according to the logs of its producer and of its consumer.
fn batch_state(
    batch: BatchId,
    supplier: &LogState,
    consumer: &LogState,
    has_left: bool,
    before: Option<&&'static str>,
    event: &str,
) -> &'static str {
    let is_announced = supplier.shipments.iter().any(|((_, first), shipment)| {
        BatchRange { first: *first, count: shipment.count }.iter().any(|other| other == batch)
    });
    let is_incoming = consumer
        .incoming
        .iter()
        .any(|(&first, &count)| BatchRange { first, count }.iter().any(|other| other == batch));
    if supplier.stock.contains(batch.serial) {
        "in stock"
    } else if has_left {
        "finished"
    } else if is_incoming {
        "in transit"
    } else if consumer.received.contains(batch) {
        "in the input buffer"
    } else if consumer.seen.contains(batch) {
        // The state of a log does not tell consumed batches from scrapped ones.
        match before {
            Some(&state) if ["scrapped", "consumed"].contains(&state) => state,
            _ if event.starts_with("destroyed") => "scrapped",
            _ => "consumed",
        }
    } else if is_announced {
        "announced"
    } else {
        "scrapped"
    }
}

#[test]
fn batches_and_orders_follow_their_state_diagrams() {
    let mut seen = BTreeSet::new();
    for seed in 0..WALKS {
        let mut walk = Walk::new(seed);
        (0..STEPS).for_each(|_| walk.step());
        walk.settle();
        let before = walk.accepted();
        walk.settle();
        let progress: Vec<_> = before.into_iter().zip(walk.accepted()).take(walk.used).collect();
        assert!(
            progress.iter().all(|(before, after)| after > before),
            "walk {seed}: an order waits for ever"
        );
        seen.extend(walk.seen);
    }
    let expected: BTreeSet<Transition> = BATCH.iter().chain(ORDER).copied().collect();
    let list = |set: BTreeSet<Transition>| set.into_iter().collect::<Vec<_>>();
    assert_eq!(list(&seen - &expected), [], "not in the diagrams");
    assert_eq!(list(&expected - &seen), [], "never seen");
}

/// Returns the orders among the messages under way, and removes all of these.
fn take_orders(walk: &mut Walk) -> Vec<Order> {
    let orders = walk.messages.drain(..).filter_map(|(_, _, message)| match message {
        Message::Order { order, .. } => Some(order),
        _ => None,
    });
    orders.collect()
}

/// A heartbeat response that a supplier had sent before a crash acknowledges an order that it has forgotten since.
#[test]
fn a_late_acknowledgement_does_not_hide_a_lost_order() {
    let mut walk = Walk::new(1);
    let orders = take_orders(&mut walk);
    let [order] = orders[..] else { panic!("one order: {orders:?}") };
    let supplier = SUPPLIERS[0];
    walk.handle(
        supplier,
        Input::Message { from: CONSUMER, message: &Message::Order { order, is_repeated: false } },
    );
    let response = |walk: &mut Walk| {
        let sent = messages(&walk.harness.deliver(CONSUMER, supplier, &Message::HeartbeatRequest));
        sent.into_iter().next().expect("a response").1
    };
    let late = response(&mut walk);
    walk.harness.advance(1);
    walk.harness.start(supplier);
    let current = response(&mut walk);
    walk.handle(CONSUMER, Input::Message { from: supplier, message: &current });
    assert_eq!(take_orders(&mut walk), [order], "sent again, and lost");
    walk.handle(CONSUMER, Input::Message { from: supplier, message: &late });
    walk.handle(CONSUMER, Input::Message { from: supplier, message: &current });
    assert_eq!(take_orders(&mut walk), [order], "the supplier does not know the order");
}
