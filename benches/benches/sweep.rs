//! Whole runs of the prototype's small experiment, as in `dmos compare`, in runs per second: with one job and
//! two.

use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dmos_experiment::execute::{RunResult, execute, threads};
use dmos_experiment::{Experiment, Options, PreparedExperiment};

/// Number of runs for each job.
const RUNS: usize = 200;

fn runs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sweep");
    group.sample_size(10);
    let prepared = small();
    for jobs in [1, 2] {
        let pool = threads(NonZeroUsize::new(jobs)).expect("a thread pool");
        let all: Vec<usize> = (0..RUNS * jobs).collect();
        group.throughput(Throughput::Elements(all.len() as u64));
        group.bench_function(BenchmarkId::new("jobs", jobs), |bencher| {
            let nothing = |_: RunResult| Ok::<(), String>(());
            bencher.iter(|| execute(&prepared, &all, &pool, &AtomicBool::new(false), nothing));
        });
    }
    group.finish();
}

fn small() -> PreparedExperiment {
    let text = include_str!("../../scenarios/seed/small-no-fail.yaml");
    let seeds = Some(dmos_scenario::Seeds { first: 1, last: 2 * RUNS as u64 });
    let options =
        Options { flows: Some("own".parse().expect("a valid choice")), seeds, ..Options::default() };
    let texts = vec![("small-no-fail.yaml".to_owned(), text.to_owned())];
    let registry = dmos_testkit::registry();
    Experiment::of(texts, options, &registry).expect("a valid experiment").prepared
}

criterion_group!(benches, runs);
criterion_main!(benches);
