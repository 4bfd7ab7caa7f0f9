//! The bootstrap: from a network to its first flow, by strategy and number of items.
//!
//! `exhaustive` makes the prototype's search call by call; the list items that the prototype scans are
//! charged to the meter, not scanned. Its rate is in calls, that of `memoized` in steps.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dmos_benches::{seed_network, strategy};
use dmos_core::NodeSet;
use dmos_core::strategy::{Meter, PlanRequest};

fn bootstrap(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("bootstrap");
    for types in [5, 8, 10, 12, 15, 18, 20] {
        let network = seed_network(types);
        let alive = NodeSet::all(network.node_count());
        let request = PlanRequest::first(&network, &alive);
        for (name, counter) in [("exhaustive", "calls"), ("memoized", "visited")] {
            let mut planner = strategy(name, &network);
            let mut plan = || {
                let mut meter = Meter::new(u64::MAX);
                let flow = planner.plan(black_box(&request), &mut meter).expect("a flow");
                (flow, meter)
            };
            group.throughput(Throughput::Elements(plan().1.counter(counter)));
            group.bench_function(BenchmarkId::new(name, types), |bencher| bencher.iter(&mut plan));
        }
    }
    group.finish();
}

criterion_group!(benches, bootstrap);
criterion_main!(benches);
