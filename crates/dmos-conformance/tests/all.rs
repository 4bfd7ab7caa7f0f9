//! Every registered strategy conforms, and intentionally broken ones are detected.

use dmos_conformance::check_flow;
use dmos_testkit::{call, registry};

#[test]
fn every_flow_strategy_conforms() {
    let registry = registry();
    let names = registry.flows().iter().filter(|flow| flow.stands_alone() && flow.source != BROKEN);
    let names: Vec<_> = names.map(|flow| flow.name).collect();
    assert!(names.len() >= 11, "{names:?}");
    for name in names {
        let report = check_flow(&registry, &call(name)).expect("a registered strategy");
        report.assert_passed();
    }
}

/// Source of intentionally broken strategies.
const BROKEN: &str = "broken on purpose, in tests only";

#[test]
fn every_leader_strategy_conforms() {
    let registry = registry();
    // At the same time, because they take by far the longest of all tests.
    std::thread::scope(|scope| {
        for leader in registry.leaders().iter().filter(|leader| leader.source != BROKEN) {
            let check = || dmos_conformance::check_leader(&registry, &call(leader.name), 400);
            scope.spawn(move || check().expect("a registered strategy").assert_passed());
        }
    });
}

#[test]
fn every_failure_detector_conforms() {
    let registry = registry();
    let detectors = registry.detectors().iter().filter(|detector| detector.source != BROKEN);
    let names: Vec<_> = detectors.map(|detector| detector.name).collect();
    assert_eq!(names, ["chen", "fixed-timeout", "phi-accrual"]);
    for name in names {
        dmos_conformance::check_detector(&registry, &call(name))
            .expect("a registered strategy")
            .assert_passed();
    }
}
