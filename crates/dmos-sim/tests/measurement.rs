//! Measurements of runs: the cut of the warm-up, the series by item and place, and flow times.

use dmos_core::record::ItemSample;
use dmos_core::{Metric, RunRecord, Scenario, Span, Time};

/// A chain with a long transport, on which nothing fails.
const CHAIN: &str = "network: {nodes: [{makes: a, process_time: 4s}, {makes: b, needs: [a], process_time: 5s}, {makes: c, needs: [b], process_time: 3s}]}\nduration: 2h\nsample_every: 1min\ndelays: {message: 0s, transit: {uniform: [30s, 90s]}}\n";

fn run(scenario: &Scenario) -> RunRecord {
    let record = dmos_sim::run(scenario);
    assert!(record.is_clean(), "{:#?}", record.violations);
    record
}

#[test]
fn a_warm_up_does_not_count() {
    let scenario = dmos_testkit::load("scenarios/door-factory-failures.yaml");
    let cut = Span::from_secs(600);
    let whole = run(&scenario);
    let measured = run(&Scenario { measure_from: cut, ..scenario.clone() });
    let warm_up = run(&Scenario { duration: cut, ..scenario.clone() });
    for (node, metrics) in measured.nodes.iter().enumerate() {
        for &metric in Metric::ALL.iter().filter(|metric| metric.is_total()) {
            let difference = whole.nodes[node].get(metric).saturating_sub(warm_up.nodes[node].get(metric));
            assert_eq!(metrics.get(metric), difference, "{} of node {node}", metric.name());
        }
        let usage = &measured.usage[node];
        assert_eq!(usage.up() + usage.down, scenario.duration - cut);
        let whole = &whole.usage[node];
        let (before, after) = (&warm_up.usage[node], whole.working);
        assert_eq!(usage.working + before.working, after, "working time of node {node}");
    }
    let end_of_warm_up = Time::ZERO + cut;
    assert_eq!(measured.measured_from, end_of_warm_up);
    assert!(measured.finished.iter().all(|finished| finished.at >= end_of_warm_up));
    assert_eq!(measured.plans.len() + warm_up.plans.len(), whole.plans.len());
    let injected = |record: &RunRecord| record.fault_counts.iter().map(|count| count.injected).sum::<u64>();
    assert_eq!(injected(&measured) + injected(&warm_up), injected(&whole));
    assert_eq!(injected(&measured), measured.faults.len() as u64);
    assert_eq!((&measured.series, &measured.material), (&whole.series, &whole.material));
}

#[test]
fn material_is_somewhere() {
    let scenario = dmos_testkit::scenario(CHAIN);
    let record = run(&scenario);
    let by_sample: Vec<&[ItemSample]> = record.item_series.chunks(3).collect();
    assert_eq!(by_sample.len(), record.series.len());
    for (sample, items) in record.series.iter().zip(by_sample) {
        let [a, b, c] = items else { panic!("three items") };
        // The input in process is still an input, and each run takes one batch.
        for (item, consumer) in [(a, b), (b, c)] {
            let places = item.output + item.in_transit + item.input;
            assert_eq!(item.made, places + consumer.made, "at {:?}", sample.at);
        }
        assert_eq!((c.made, c.output), (c.finished, 0));
    }
}

#[test]
fn finished_goods_are_recorded_when_they_leave() {
    let text = CHAIN.replace("duration: 2h", "duration: 2h\nmeasure_from: 30min");
    let record = run(&dmos_testkit::scenario(&text));
    let finished: i64 = record.finished.iter().map(|finished| i64::from(finished.batches)).sum();
    assert_eq!(finished.cast_unsigned(), record.nodes[2].get(Metric::FinishedGoodsMade));
    assert!(record.finished.windows(2).all(|pair| pair[0].at <= pair[1].at));
}

/// Little's law: material in the factory is throughput times flow time (Little 1961).
#[test]
fn flow_time_obeys_littles_law() {
    let text = CHAIN.replace("duration: 2h", "duration: 40h\nmeasure_from: 2h");
    let scenario = dmos_testkit::scenario(&text);
    let record = run(&scenario);
    let flow_time = record.flow_time.expect("finished goods");
    let hours = (scenario.duration - scenario.measure_from).as_secs_f64() / 3_600.0;
    let per_second = flow_time.count as f64 / hours / 3_600.0;
    // A batch is in process at the source as well, where it has no input.
    let at_source = record.usage[0].working.as_secs_f64() / 3_600.0 / hours;
    let levels = |usage: &dmos_core::record::NodeUsage| {
        usage.output.mean + usage.incoming.mean + usage.input.mean + usage.in_process.mean
    };
    let material: f64 = at_source + record.usage.iter().map(levels).sum::<f64>();
    let expected = material / per_second;
    let mean = flow_time.mean.as_secs_f64();
    assert!((mean / expected - 1.0).abs() < 0.01, "{mean} s, but {expected} s by Little's law");
    assert!(flow_time.max >= flow_time.mean && mean > 130.0);
}
