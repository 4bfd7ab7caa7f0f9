//! A single node without a simulator: inputs per second by kind of input, and the time of a start from a log.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dmos_core::settings::Protocol;
use dmos_core::strategy::{Meter, PlanRequest};
use dmos_core::{BatchId, FlowVersion, ItemId, Network, NodeId, NodeSet, RequestId, Span, Term, Time};
use dmos_graph::NamedNetwork;
use dmos_node::{Effect, Input, LogRecord, Message, Node, NodeSettings, OrderStatus, Scrapped, Timer};
use dmos_testkit::flow_strategy;

/// A working node, its log, and its inputs.
struct Bench {
    node: Node,
    effects: Vec<Effect>,
    log: Vec<LogRecord>,
    now: Time,
    supplier: NodeId,
    consumer: NodeId,
    /// The item that it makes.
    item: ItemId,
}

impl Bench {
    /// Returns the middle node of a chain of three, with its assignment.
    fn new() -> Self {
        let network = dmos_testkit::network(NamedNetwork::ThreeNodes);
        let [supplier, me, consumer] = [0, 1, 2].map(NodeId::new);
        let alive = NodeSet::all(3);
        let mut planner = flow_strategy("memoized", &network);
        let flow =
            planner.plan(&PlanRequest::first(&network, &alive), &mut Meter::new(u64::MAX)).expect("a flow");
        let mut bench = Self {
            node: Node::new(me, settings(&network)),
            effects: Vec::new(),
            log: Vec::new(),
            now: Time::ZERO,
            supplier,
            consumer,
            item: network.makes(me),
        };
        bench.start();
        let assignment =
            Message::Assignment(FlowVersion { term: Term(1), number: 1 }, Arc::new(flow.assignment(me)));
        bench.handle(Input::Message { from: consumer, message: &assignment });
        bench
    }

    fn start(&mut self) {
        let (phase, scrapped) = (Span::ZERO, Scrapped::default());
        let recovering = !self.log.is_empty();
        let start = Input::Start { records: &self.log, recovering, phase, scrapped };
        self.node.handle(self.now, start, &mut self.effects);
        self.effects.clear();
    }

    fn handle(&mut self, input: Input<'_>) {
        self.now = self.now + Span::from_millis(100);
        self.node.handle(self.now, input, &mut self.effects);
        for effect in self.effects.drain(..) {
            if let Effect::Append(record) = effect {
                self.log.push(record);
            }
        }
    }

    fn deliver(&mut self, from: NodeId, message: &Message) {
        self.handle(Input::Message { from, message });
    }

    /// A batch is received and consumed by a production run, whose product is requested, shipped and
    /// confirmed.
    fn run_cycle(&mut self, serial: u32) {
        let (supplier, consumer) = (self.supplier, self.consumer);
        let batch = BatchId { producer: supplier, serial };
        self.deliver(supplier, &Message::Announcement { request: None, batch, settled: serial });
        self.handle(Input::Arrived(batch));
        self.handle(Input::Timer(Timer::ProductionCycle));
        let request = RequestId { incarnation: 0, number: serial };
        self.deliver(consumer, &Message::Request { request, item: self.item });
        let made = BatchId { producer: self.node.id(), serial };
        self.deliver(consumer, &Message::TransitStarted(made));
        self.deliver(consumer, &Message::Delivered(made));
    }
}

fn settings(network: &Network) -> Arc<NodeSettings> {
    let protocol = Protocol { compact_after: None, ..Protocol::default() };
    let candidates = Arc::new([NodeId::new(2)]);
    let settings = dmos_testkit::node_settings(network.clone(), "memoized", "bully", protocol);
    Arc::new(NodeSettings { candidates, ..settings })
}

fn inputs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("node");
    group.throughput(Throughput::Elements(1));
    let mut bench = Bench::new();
    let supplier = bench.supplier;
    group.bench_function("heartbeat request", |bencher| {
        bencher.iter(|| bench.deliver(supplier, black_box(&Message::HeartbeatRequest)));
    });
    group.bench_function("heartbeat response", |bencher| {
        bencher.iter(|| {
            bench.deliver(
                supplier,
                black_box(&Message::HeartbeatResponse { incarnation: 0, order: OrderStatus::default() }),
            )
        });
    });
    group.bench_function("heartbeat round, 2 neighbours", |bencher| {
        // Time does not advance, so that no node is silent for too long.
        let now = bench.now;
        bencher.iter(|| {
            bench.now = now;
            bench.handle(Input::Timer(black_box(Timer::Heartbeat)));
        });
    });
    group.bench_function("production cycle, inputs missing", |bencher| {
        bencher.iter(|| bench.handle(Input::Timer(black_box(Timer::ProductionCycle))));
    });
    let (consumer, item) = (bench.consumer, bench.item);
    group.bench_function("request, empty stock", |bencher| {
        let mut number = 0;
        bencher.iter(|| {
            number += 1;
            let request = RequestId { incarnation: 0, number };
            bench.deliver(consumer, black_box(&Message::Request { request, item }));
        });
    });
    group.throughput(Throughput::Elements(INPUTS));
    group.bench_function("a batch from announcement to delivery, 6 inputs", |bencher| {
        let (mut bench, mut serial) = (Bench::new(), 0);
        bencher.iter(|| {
            bench.run_cycle(serial);
            serial += 1;
        });
    });
    group.finish();
}

/// Number of inputs of one cycle.
const INPUTS: u64 = 6;

fn recovery(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("log recovery");
    for turns in [10, 1_000, 100_000] {
        let mut bench = Bench::new();
        (0..turns).for_each(|serial| bench.run_cycle(serial));
        assert_eq!(
            bench.log.iter().filter(|record| matches!(record, LogRecord::Delivered(_))).count() as u32,
            turns
        );
        group.throughput(Throughput::Elements(bench.log.len() as u64));
        group.bench_function(BenchmarkId::new("records", bench.log.len()), |bencher| {
            bencher.iter(|| bench.start());
        });
    }
    group.finish();
}

criterion_group!(benches, inputs, recovery);
criterion_main!(benches);
