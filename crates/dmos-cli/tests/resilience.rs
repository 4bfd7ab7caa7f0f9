//! Resilience metrics of whole runs: exact at both ends of a run, and independent of the interval of samples.

use std::fs;
use std::path::Path;

use dmos_compare::statistics::survival::Episode;
use dmos_compare::{ResultMetric, RunMetric, RunSummary};
use dmos_core::Scenario;

/// Summarises a run of a scenario.
fn summary(scenario: &Scenario) -> RunSummary {
    let fault_free = Scenario { faults: scenario.faults.fault_free(), ..scenario.clone() };
    RunSummary::of(scenario, &dmos_sim::run(scenario), &dmos_sim::run(&fault_free))
}

/// Summarises ten minutes of a supplier and its consumer, each of which takes a second per batch, with a fault of the
/// supplier. Without faults they finish 597 batches.
fn of_supplier(fault: &str) -> RunSummary {
    summary(&dmos_testkit::scenario(&format!(
        "network: {{nodes: [{{name: s, makes: a}}, {{name: f, makes: c, needs: [a]}}]}}\nduration: 10min\n\
         faults: {{script: [{{{fault}}}]}}\n"
    )))
}

fn number(summary: &RunSummary, metric: RunMetric) -> f64 {
    summary.number(ResultMetric::Run(metric)).expect("a value")
}

/// Returns the only episode of a metric: its length in seconds, and whether it ended.
fn only(summary: &RunSummary, metric: RunMetric) -> (f64, bool) {
    match summary.episodes(metric) {
        [Episode { lasted, ended }] => (*lasted, *ended),
        episodes => panic!("{} episodes", episodes.len()),
    }
}

/// Asserts a time to within the delays of messages, which are a millisecond each.
#[track_caller]
fn assert_close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 0.01, "{found} instead of {expected}");
}

#[test]
fn a_crash_for_good_loses_what_is_missing() {
    for (at, made) in [(590, 589), (580, 579), (300, 299), (60, 59), (0, 0)] {
        let summary = of_supplier(&format!("at: {at}s, crash: s"));
        assert_eq!(number(&summary, RunMetric::CompleteSets), f64::from(made));
        let missing = f64::from(597 - made);
        assert_eq!(number(&summary, RunMetric::LostSets), missing);
        assert_close(number(&summary, RunMetric::Loss), missing * 600.0 / 597.0);
        // What the supplier has made by the crash lasts for two seconds. At the start it has made nothing, and the first
        // batch is due after a run, a transit and another run.
        let survived = if at == 0 { 3.0 } else { 2.0 };
        let (lasted, fell) = only(&summary, RunMetric::TimeToSurvive);
        assert!(fell);
        assert_close(lasted, survived);
        let (lasted, recovered) = only(&summary, RunMetric::TimeToRecover);
        assert!(!recovered);
        assert_close(lasted, 600.0 - f64::from(at) - survived);
    }
}

#[test]
fn an_outage_loses_its_length_wherever_it_is() {
    for at in [0, 1, 5, 60, 300, 470] {
        let summary = of_supplier(&format!("at: {at}s, crash: s, for: 120s"));
        // A production run that a crash interrupts starts again.
        let missing = if at == 0 { 120.0 } else { 121.0 };
        assert_eq!(number(&summary, RunMetric::LostSets), missing);
        assert_close(number(&summary, RunMetric::Loss), missing * 600.0 / 597.0);
        let (lasted, recovered) = only(&summary, RunMetric::TimeToRecover);
        assert!(recovered);
        assert_close(lasted, missing);
    }
}

#[test]
fn resilience_does_not_depend_on_the_interval_of_samples() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut compared = 0;
    for folder in ["scenarios", "scenarios/seed", "scenarios/regressions"] {
        for entry in fs::read_dir(root.join(folder)).expect("the folder") {
            let name = entry.expect("a directory entry").file_name().into_string().expect("UTF-8");
            if !name.ends_with(".yaml") {
                continue;
            }
            let sampled = |every: &str| {
                let setting = format!("sample_every={every}");
                dmos_testkit::load_with(&format!("{folder}/{name}"), &[setting.as_str()])
            };
            if sampled("1s").faults.is_fault_free() {
                continue;
            }
            let [often, ten, minute] = ["1s", "10s", "60s"].map(|every| summary(&sampled(every)));
            assert!(often == ten && often == minute, "{folder}/{name}");
            compared += 1;
        }
    }
    assert!(compared > 15, "{compared} scenarios with faults");
}
