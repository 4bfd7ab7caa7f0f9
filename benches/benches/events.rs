//! Event queues without the protocol: heartbeats carried by the simulator's queue, a plain heap, a queue for
//! each delay, and nexosim, in events per second; and random delays, by the simulator's queue and a heap.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dmos_benches::heartbeats::{
    Event, Heap, NEIGHBOURS, PRODUCTION_PERIOD, Pending, QueuePerDelay, ROUND, TRANSIT, run,
};
use dmos_sim::event_queue::EventQueue;
use nexosim::model::{Context, Model, schedulable};
use nexosim::ports::Output;
use nexosim::simulation::{Mailbox, SimInit, Simulation};
use nexosim::time::MonotonicTime;
use serde::{Deserialize, Serialize};

/// Nodes and seconds.
const SIZES: [(u32, u64); 2] = [(1_000, 20), (100_000, 3)];

fn heartbeats(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("heartbeats");
    group.sample_size(10);
    for (nodes, seconds) in SIZES {
        let summary = run(EventQueue::new(None), nodes, seconds);
        group.throughput(Throughput::Elements(summary.events));
        group.bench_function(BenchmarkId::new("ours", nodes), |bencher| {
            bencher.iter(|| run(EventQueue::new(None), black_box(nodes), seconds));
        });
        group.bench_function(BenchmarkId::new("BinaryHeap", nodes), |bencher| {
            bencher.iter(|| run(Heap::default(), black_box(nodes), seconds));
        });
        group.bench_function(BenchmarkId::new("a queue for each delay", nodes), |bencher| {
            bencher.iter(|| run(QueuePerDelay::default(), black_box(nodes), seconds));
        });
        HANDLED.store(0, Ordering::Relaxed);
        step(ring(nodes), seconds);
        let (theirs, ours) = (HANDLED.load(Ordering::Relaxed), summary.events);
        assert_eq!(theirs, ours, "the same workload has the same events");
        group.bench_function(BenchmarkId::new("nexosim", nodes), |bencher| {
            bencher.iter_batched(|| ring(nodes), |ring| step(ring, seconds), BatchSize::PerIteration);
        });
    }
    group.finish();
}

/// Number of events handled by nexosim.
static HANDLED: AtomicU64 = AtomicU64::new(0);

/// A message in nexosim: whether it is an answer, and the way back.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Signal {
    is_answer: bool,
    back: usize,
}

#[derive(Serialize, Deserialize)]
struct Node {
    to: [Output<Signal>; 4],
    first_round: Duration,
    first_production: Duration,
    heard: [u64; 4],
    made: u64,
}

#[Model]
impl Node {
    #[nexosim(init)]
    async fn init(&mut self, cx: &Context<Self>) {
        let (round, period) = (Duration::from_nanos(ROUND), Duration::from_nanos(PRODUCTION_PERIOD));
        cx.schedule_periodic_event(self.first_production, period, schedulable!(Self::make), ())
            .expect("a time in the future");
        // nexosim cannot schedule an event for the current time.
        if self.first_round.is_zero() {
            self.round((), cx).await;
            cx.schedule_periodic_event(round, round, schedulable!(Self::round), ())
                .expect("a time in the future");
        } else {
            cx.schedule_periodic_event(self.first_round, round, schedulable!(Self::round), ())
                .expect("a time in the future");
        }
    }

    #[nexosim(schedulable)]
    async fn round(&mut self, _: (), _: &Context<Self>) {
        HANDLED.fetch_add(1, Ordering::Relaxed);
        for (to, (_, back)) in self.to.iter_mut().zip(NEIGHBOURS) {
            to.send(Signal { is_answer: false, back }).await;
        }
    }

    /// Schedules the arrival of a message at this node.
    async fn schedule_delivery(&mut self, signal: Signal, cx: &Context<Self>) {
        cx.schedule_event(Duration::from_nanos(TRANSIT), schedulable!(Self::receive), signal)
            .expect("a time in the future");
    }

    #[nexosim(schedulable)]
    async fn receive(&mut self, signal: Signal, cx: &Context<Self>) {
        HANDLED.fetch_add(1, Ordering::Relaxed);
        if signal.is_answer {
            self.heard[signal.back] = cx.time().duration_since(MonotonicTime::EPOCH).as_nanos() as u64;
        } else {
            let back = NEIGHBOURS[signal.back].1;
            self.to[signal.back].send(Signal { is_answer: true, back }).await;
        }
    }

    #[nexosim(schedulable)]
    async fn make(&mut self, _: (), _: &Context<Self>) {
        HANDLED.fetch_add(1, Ordering::Relaxed);
        self.made += 1;
    }
}

/// Builds the ring in nexosim, on one thread.
fn ring(nodes: u32) -> Simulation {
    let mailboxes: Vec<Mailbox<Node>> = (0..nodes).map(|_| Mailbox::new()).collect();
    let mut init = SimInit::with_num_threads(1);
    let models: Vec<Node> = (0..nodes)
        .map(|node| {
            let part = |of: u64| Duration::from_nanos(of * u64::from(node) / u64::from(nodes));
            let to = NEIGHBOURS.map(|(far, _)| {
                let mut to = Output::default();
                let neighbour = (i64::from(node) + far).rem_euclid(i64::from(nodes)) as usize;
                to.connect(Node::schedule_delivery, &mailboxes[neighbour]);
                to
            });
            let first_production = Duration::from_nanos(PRODUCTION_PERIOD) + part(PRODUCTION_PERIOD);
            Node { to, first_round: part(ROUND), first_production, heard: [0; 4], made: 0 }
        })
        .collect();
    for (model, mailbox) in models.into_iter().zip(mailboxes) {
        init = init.add_model(model, mailbox, "node");
    }
    init.init(MonotonicTime::EPOCH).expect("a ring of nodes")
}

fn step(mut ring: Simulation, seconds: u64) {
    ring.step_until(Duration::from_nanos(seconds * ROUND - 1)).expect("a run without errors");
}

/// Random delays of one second on average: each event schedules another one.
fn random_delays(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("random delays");
    group.sample_size(10);
    for pending in [1_000_u32, 100_000] {
        group.throughput(Throughput::Elements(EVENTS));
        group.bench_function(BenchmarkId::new("ours", pending), |bencher| {
            bencher.iter(|| hold(EventQueue::new(None), pending));
        });
        group.bench_function(BenchmarkId::new("BinaryHeap", pending), |bencher| {
            bencher.iter(|| hold(Heap::default(), pending));
        });
    }
    group.finish();
}

const EVENTS: u64 = 1_000_000;

fn hold(mut queue: impl Pending, pending: u32) -> u64 {
    let mut state = 1_u64;
    // Uniform from 0 to 2 seconds, by a generator of negligible cost (Marsaglia, "Xorshift RNGs", 2003).
    let mut delay = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % (2 * ROUND)
    };
    (0..pending).for_each(|node| queue.put(delay(), Event::Make(node)));
    let mut last = 0;
    for _ in 0..EVENTS {
        let (now, event) = queue.next(u64::MAX).expect("as many events as were inserted");
        queue.put(now + delay(), event);
        last = now;
    }
    last
}

criterion_group!(benches, heartbeats, random_delays);
criterion_main!(benches);
