//! Proof that checks can fail: each of the prototype's errors, switched on individually, is found by a search
//! within a stated number of runs, and shrunk to at most five nodes and three faults.

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

fn faults(file: &ScenarioFile) -> usize {
    let messages = &file.faults.messages;
    let shares = [messages.loss, messages.duplication, messages.reordering, file.faults.clocks.drift];
    file.faults.script.len()
        + file.faults.random_failures.len()
        + usize::from(file.faults.disks.lose_unsynced)
        + shares.iter().filter(|share| **share > 0.0).count()
}

/// Asserts that a search with this setting finds a failure that `is_wanted` accepts, and that it is shrunk.
#[track_caller]
fn assert_found_and_shrunk(setting: &str, runs: u64, is_wanted: impl Fn(Property, &str) -> bool) {
    let registry = registry();
    let mut set = overrides(&[setting]);
    if !setting.starts_with("leader") {
        set.push(Override::option("leader", "bully"));
    }
    let subject = Subject::Anything(set);
    let is_wanted = |failure: &TrialFailure| match failure {
        TrialFailure::Violations(all) => {
            all.iter().any(|violation| is_wanted(violation.property, &violation.description))
        }
        TrialFailure::Panic(_) | TrialFailure::NotRepeatable(_) => false,
    };
    let found = (0..runs).find_map(|number| {
        let file = subject.generate(1, number, &registry).expect("a valid scenario");
        let failure = try_out(&file, false, &registry).expect("a valid scenario").failure?;
        is_wanted(&failure).then_some((number, file))
    });
    let (number, file) = found.unwrap_or_else(|| panic!("{setting}: not found in {runs} runs"));
    let small = shrink_while(&file, 5_000, &registry, &is_wanted).expect("a failing scenario");
    let (text, nodes) = (small.file.to_yaml(), small.file.network.nodes.as_ref().map_or(0, Vec::len));
    assert!(
        nodes <= 5 && faults(&small.file) <= 3,
        "{setting}, found in run {number}, is not small after {} runs: {}\n{text}",
        small.runs,
        small.failure
    );
}

#[test]
fn mixed_up_logs_are_found() {
    assert_found_and_shrunk("protocol.log=mixed_up", 100, |property, _| {
        matches!(property, Property::BatchInOnePlace | Property::LogRecovers)
    });
}

#[test]
fn a_duplicate_that_restores_a_consumed_batch_is_found() {
    assert_found_and_shrunk("protocol.recovery=replay", 100, |property, words| {
        property == Property::BatchConsumedOnce || words.contains("as received, but it was consumed")
    });
}

#[test]
fn a_replay_to_the_wrong_consumer_is_found() {
    assert_found_and_shrunk("protocol.recovery=replay", 500, |_, words| {
        words.contains("as received, but it was in transit to")
    });
}

#[test]
fn a_leader_that_is_never_replaced_is_found() {
    assert_found_and_shrunk("leader=false-guarantee", 200, |property, _| {
        property == Property::ProductionResumes
    });
}

#[test]
fn nodes_that_never_rejoin_are_found() {
    assert_found_and_shrunk("protocol.rejoin=never", 100, |property, _| {
        property == Property::ProductionResumes
    });
}
