//! The bootstrap: from a network to its first flow, by strategy and number of items.
//!
//! First the prototype's networks (high complexity, two producers for each inner item), then far larger ones
//! of low complexity. `exhaustive` makes the calls of the prototype's search, where that ends; the
//! prototype's list scans are charged to the meter, not executed. Throughput is given in requirements of the
//! network per second: where it falls, the cost grows faster than the network.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dmos_benches::{planners, seed_network, sparse_network};
use dmos_core::strategy::{Meter, PlanRequest};
use dmos_core::{Network, NodeSet};
use dmos_testkit::flow_strategy;

/// Maximum number of steps of a plan that is measured; more would take minutes.
const STEPS_MAX: u64 = 3_000_000_000;

fn bootstrap(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("bootstrap");
    group.sample_size(20);
    let seeds = [5, 8, 10, 12, 15, 20].map(|types| (types.to_string(), seed_network(types)));
    let large = [(50, 3), (200, 3), (2_000, 3), (10_000, 100)];
    let large =
        large.map(|(items, per_item)| (format!("{items}x{per_item}"), sparse_network(items, per_item)));
    for (size, network) in seeds.iter().chain(&large) {
        for name in planners() {
            measure(&mut group, &name, size, network);
        }
    }
    group.finish();
}

fn measure(
    group: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>,
    name: &str,
    size: &str,
    network: &Network,
) {
    let alive = NodeSet::all(network.node_count());
    let request = PlanRequest::first(network, &alive);
    let mut planner = flow_strategy(name, network);
    if planner.plan(&request, &mut Meter::new(STEPS_MAX)).is_err() {
        return;
    }
    let requirements: usize = network.nodes().map(|node| network.requirements(node).len()).sum();
    group.throughput(Throughput::Elements(requirements as u64));
    group.bench_function(BenchmarkId::new(name, size), |bencher| {
        bencher.iter(|| planner.plan(black_box(&request), &mut Meter::new(u64::MAX)));
    });
}

criterion_group!(benches, bootstrap);
criterion_main!(benches);
