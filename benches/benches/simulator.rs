//! Whole runs in events per second: the prototype's and the project's scenarios, and the protocol at any
//! size.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dmos_benches::protocol;
use dmos_core::Scenario;

/// Items, producers per item and seconds: 8, 38, 999 and 99,802 nodes.
const SIZES: [(u32, u32, u32); 4] = [(5, 2, 3_600), (20, 2, 3_600), (335, 3, 300), (1_000, 100, 60)];

fn runs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("simulator");
    group.sample_size(10);
    let mut measure = |name: &str, scenario: &Scenario| {
        group.throughput(Throughput::Elements(dmos_sim::run(scenario).events));
        let id = BenchmarkId::new(name, scenario.network.node_count());
        group.bench_function(id, |bencher| bencher.iter(|| dmos_sim::run(black_box(scenario))));
    };
    for path in ["seed/small-no-fail.yaml", "door-factory-failures.yaml"] {
        measure(path, &dmos_testkit::load(&format!("scenarios/{path}")));
    }
    for (types, per_type, seconds) in SIZES {
        measure("fault_free", &protocol(types, per_type, seconds, false));
        measure("faults", &protocol(types, per_type, seconds, true));
    }
    // A million nodes, in 3.5 GB.
    measure("fault_free", &protocol(10_000, 100, 2, false));
    group.finish();
}

criterion_group!(benches, runs);
criterion_main!(benches);
