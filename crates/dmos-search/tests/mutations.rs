//! Proof that checks can fail: each of the prototype's errors, switched on individually, is found by a search
//! within a stated number of runs, and one of the first finds is shrunk to at most five nodes and three faults.

use dmos_core::Property;
use dmos_core::strategy::{Guarantee, LeaderDescriptor, register_leader};
use dmos_scenario::{Override, ScenarioFile};
use dmos_search::{Subject, TrialFailure, shrink_while, try_out};
use dmos_testkit::{leader_strategy, network, overrides, registry};

// A strategy that never elects again although it claims to.
register_leader!(LeaderDescriptor {
    name: "false-guarantee",
    summary: "in tests only: the last writer leads indefinitely, with a guarantee that it violates",
    source: "none",
    notes: "violates its guarantees",
    guarantees: |_| &[Guarantee::OneLeaderPerTerm, Guarantee::OneLeaderEventually],
    params: &[],
    build: |_| leader_strategy("last-writer", &network(dmos_graph::NamedNetwork::ThreeNodes)),
});

/// Number of finds of which one must become small.
const FINDS: usize = 3;

fn faults(file: &ScenarioFile) -> usize {
    let messages = &file.faults.messages;
    let shares = [messages.loss, messages.duplication, messages.reordering, file.faults.clocks.drift];
    file.faults.script.len()
        + file.faults.random_failures.len()
        + usize::from(file.faults.disks.lose_unsynced)
        + shares.iter().filter(|share| **share > 0.0).count()
}

const POLLED: &str = "protocol.production=polled";

/// Asserts that a search with these settings finds a failure that `is_wanted` accepts, and that it is shrunk.
#[track_caller]
fn assert_found_and_shrunk(settings: &[&str], runs: u64, is_wanted: impl Fn(Property, &str) -> bool) {
    let registry = registry();
    let setting = settings.join(", ");
    let mut set = overrides(settings);
    if !setting.contains("leader") {
        set.push(Override::option("leader", "bully"));
    }
    let subject = Subject::Anything(set);
    let is_wanted = |failure: &TrialFailure| match failure {
        TrialFailure::Violations(all) => {
            all.iter().any(|violation| is_wanted(violation.property, &violation.description))
        }
        TrialFailure::Panic(_) | TrialFailure::NotRepeatable(_) => false,
    };
    let found = (0..runs).filter_map(|number| {
        let file = subject.generate(1, number, &registry).expect("a valid scenario");
        let failure = try_out(&file, false, &registry).expect("a valid scenario").failure?;
        is_wanted(&failure).then_some(file)
    });
    // Shrinking is greedy, so not every find becomes small.
    let mut shrunk = found.take(FINDS).map(|file| {
        let small = shrink_while(&file, 5_000, &registry, &is_wanted).expect("a failing scenario");
        let nodes = small.file.network.nodes.as_ref().map_or(0, Vec::len);
        nodes <= 5 && faults(&small.file) <= 3
    });
    let first = shrunk.next().unwrap_or_else(|| panic!("{setting}: not found in {runs} runs"));
    assert!(first || shrunk.any(|is_small| is_small), "{setting}: no find is small");
}

#[test]
fn mixed_up_logs_are_found() {
    assert_found_and_shrunk(&[POLLED, "protocol.log=mixed_up"], 100, |property, _| {
        matches!(property, Property::BatchInOnePlace | Property::LogRecovers)
    });
}

#[test]
fn a_duplicate_that_restores_a_consumed_batch_is_found() {
    assert_found_and_shrunk(&[POLLED, "protocol.recovery=replay"], 100, |property, words| {
        property == Property::BatchConsumedOnce || words.contains("as received, but it was consumed")
    });
}

#[test]
fn a_replay_to_the_wrong_consumer_is_found() {
    assert_found_and_shrunk(&[POLLED, "protocol.recovery=replay"], 500, |_, words| {
        words.contains("as received, but it was in transit to")
    });
}

#[test]
fn a_leader_that_is_never_replaced_is_found() {
    assert_found_and_shrunk(&["leader=false-guarantee"], 200, |property, _| {
        property == Property::ProductionResumes
    });
}

#[test]
fn nodes_that_never_rejoin_are_found() {
    assert_found_and_shrunk(&["protocol.rejoin=never"], 100, |property, _| {
        property == Property::ProductionResumes
    });
}
