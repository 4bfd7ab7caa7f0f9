//! Whole runs: events per second.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dmos_benches::scenario;

fn runs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("simulator");
    for path in ["seed/small-no-fail.yaml", "door-factory-failures.yaml"] {
        let scenario = scenario(path);
        group.throughput(Throughput::Elements(dmos_sim::run(&scenario).events));
        group.bench_function(path, |bencher| bencher.iter(|| dmos_sim::run(black_box(&scenario))));
    }
    group.finish();
}

criterion_group!(benches, runs);
criterion_main!(benches);
