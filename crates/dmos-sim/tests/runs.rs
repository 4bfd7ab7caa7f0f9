//! Whole runs of the repository's and of random scenarios, over many seeds.

use dmos_core::{FaultKind, Metric, NodeId, RunRecord, Scenario, Span};
use proptest::prelude::*;

#[track_caller]
fn load(name: &str, settings: &[&str]) -> Scenario {
    dmos_testkit::load_with(&format!("scenarios/{name}.yaml"), settings)
}

fn with_seed(scenario: &Scenario, seed: u64) -> RunRecord {
    dmos_sim::run(&Scenario { seed, ..scenario.clone() })
}

fn total(record: &RunRecord, metric: Metric) -> u64 {
    record.nodes.iter().map(|node| node.get(metric)).sum()
}

const OURS: [&str; 3] = ["door-factory", "door-factory-failures", "two-hundred-items"];

#[test]
fn the_default_protocol_loses_and_duplicates_nothing() {
    for name in OURS {
        let scenario = load(name, &["duration=5min", "measure_from=0s"]);
        for seed in 1..=5 {
            let record = with_seed(&scenario, seed);
            assert!(record.is_clean(), "{name}, seed {seed}: {:#?}", record.violations);
            assert!(total(&record, Metric::SuccessfulManufactureCycles) > 0, "{name}, seed {seed}");
        }
    }
}

#[test]
fn the_prototypes_networks_run_on_the_default_protocol_as_well() {
    for name in ["small-low-failure", "med-low-fail"] {
        let faults =
            "faults={op_generator: {seed: 0, failures: 1/min, recoveries: 1/min, leader_can_fail: true}}";
        let settings = ["protocol={}", "leader=bully", "flow=memoized", faults];
        let scenario = load(&format!("seed/{name}"), &settings);
        for seed in 1..=10 {
            let record = with_seed(&scenario, seed);
            assert!(record.is_clean(), "{name}, seed {seed}: {:#?}", record.violations);
            assert!(record.faults.len() > 5, "{name}, seed {seed}: hardly anything failed");
            assert!(total(&record, Metric::FinishedGoodsMade) > 0, "{name}, seed {seed}");
        }
    }
}

#[test]
fn the_same_scenario_and_seed_give_the_same_record() {
    for name in OURS.into_iter().chain(["seed/small-low-failure", "seed/med-large-no-fail"]) {
        let scenario = load(name, &["duration=3min", "measure_from=0s"]);
        assert_eq!(with_seed(&scenario, 3), with_seed(&scenario, 3), "{name}");
        assert_ne!(
            with_seed(&scenario, 3).nodes,
            with_seed(&scenario, 4).nodes,
            "{name}: the seed has no effect"
        );
    }
}

#[test]
fn a_shared_cpu_collapses_and_dedicated_cores_do_not() {
    let overloaded = load("seed/med-large-no-fail", &[]);
    let mut collapsed = 0;
    for seed in 1..=20 {
        let record = with_seed(&overloaded, seed);
        let reports = total(&record, Metric::InformLeaderOfDeathReqReceived);
        let emptied = record
            .plans
            .iter()
            .any(|plan| plan.active && plan.edges.is_none() && plan.at.as_secs_f64() < 120.0);
        let others = record.nodes[1..].iter().map(|node| node.get(Metric::SuccessfulManufactureCycles)).max();
        collapsed += usize::from(reports > 0 && emptied && others < Some(30));
    }
    assert!(collapsed >= 18, "{collapsed} of 20 collapsed");
    let idle = with_seed(&load("seed/med-large-no-fail", &["work.shared_cpu=null"]), 1);
    assert_eq!(total(&idle, Metric::InformLeaderOfDeathReqReceived), 0);
    let ours = load("seed/med-large-no-fail", &["work={}", "protocol={}", "leader=bully"]);
    let record = with_seed(&ours, 1);
    assert_eq!(total(&record, Metric::InformLeaderOfDeathReqReceived), 0);
    let (half, end) = (&record.series[record.series.len() / 2], &record.series[record.series.len() - 1]);
    assert!(end.made > half.made + 100, "production continues to the end");
}

#[test]
fn the_exhaustive_plan_stalls_the_largest_network() {
    let record = dmos_sim::run(&load("seed/large-no-fail", &[]));
    let first = record.plans.iter().find(|plan| plan.active).expect("the plan gets ready");
    assert!((first.duration.as_secs_f64() / 482.0 - 1.0).abs() < 0.05, "{}", first.duration);
    let cycles = total(&record, Metric::TotalManufactureCycles) / record.nodes.len() as u64;
    assert!(cycles < 300, "{cycles} cycles per node");
    let before = record.series.iter().rfind(|sample| sample.at < first.at).expect("at least one sample");
    assert_eq!(before.made, 0);
    let memoized = dmos_sim::run(&load("seed/large-no-fail", &["flow=memoized", "sample_every=1s"]));
    assert!(memoized.series[5].made > 0, "nothing is made within 5 s: {:?}", memoized.series[5]);
}

#[test]
fn the_op_generator_crashes_the_prototypes_nodes() {
    let record = dmos_sim::run(&load("seed/small-low-failure", &[]));
    let first = record.faults.first().expect("at least one fault");
    // Cycle 16 of 1.01 s, after a pause of 2 s.
    assert_eq!((first.at.as_nanos(), first.kind), (18_160_000_000, FaultKind::Crash));
    assert_eq!(first.node, Some(NodeId::new(3)));
    let med = dmos_sim::run(&load("seed/med-low-fail", &[]));
    assert_eq!(med.faults.first().map(|fault| fault.at), Some(first.at));
}

/// A recovered node gets an assignment again, and a crash of the leader is survived.
#[test]
fn production_survives_a_crash_of_the_leader() {
    let text = "
network: {named: door-factory}
duration: 5min
flow: {name: memoized, substitute_ends: false}
candidates: 3
faults:
  script:
    - {at: 60s, crash: finished_door}
    - {at: 90s, crash: metal-1}
    - {at: 150s, recover: finished_door}
";
    let record = dmos_sim::run(&dmos_testkit::scenario(text));
    assert!(record.is_clean(), "{:#?}", record.violations);
    let planners: Vec<_> = record.plans.iter().map(|plan| plan.by.index()).collect();
    let (first, last) = (planners[0], planners[planners.len() - 1]);
    assert_eq!((first, last), (23, 23), "the highest candidate leads, and again after its return");
    assert!(
        planners.iter().any(|&planner| planner != 23),
        "another node leads in the meantime: {planners:?}"
    );
    let made_at = |second: u64| {
        record.series.iter().find(|s| s.at.as_secs_f64() >= second as f64).expect("a sample").finished
    };
    assert!(made_at(290) > made_at(180), "doors are made again");
}

/// Returns scenarios of the default protocol with random networks, delays and scripted faults.
fn random_scenarios() -> impl Strategy<Value = String> {
    let fault = (1_u32..240, any::<bool>(), 0_u32..64);
    let faults = proptest::collection::vec(fault, 0..12);
    let delays = prop_oneof![Just("1ms"), Just("{uniform: [1ms, 2s]}"), Just("{uniform: [0s, 10ms]}")];
    let work = prop_oneof![
        Just("{}"),
        Just("{cycle: 20ms, message: 2ms, planning_step: 10us, shared_cpu: {cores: 2}}")
    ];
    (4_u32..9, 1_u32..4, 0_u64..20, faults, delays, work, 0_u64..1000).prop_map(
        |(types, per_type, network_seed, faults, message, work, seed)| {
            let nodes = (types - 2) * per_type + 2;
            let script = faults.iter().map(|(at, crash, node)| {
                let what = if *crash { "crash" } else { "recover" };
                format!("\n    - {{at: {at}s, {what}: {}}}", node % nodes)
            });
            let script: String = script.collect();
            let script = if script.is_empty() { " []".to_owned() } else { script };
            format!(
                "network: {{generate: {{types: {types}, nodes_per_type: {per_type}, seed: {network_seed}}}}}\n\
                 duration: 5min\nseed: {seed}\ncandidates: {}\nwork: {work}\n\
                 delays: {{message: {message}, transit: {{uniform: [100ms, 3s]}}}}\nfaults:\n  script:{script}\n",
                nodes.min(4),
            )
        },
    )
}

/// Returns a random `protocol:` section, including the prototype's quirks.
fn random_protocols() -> impl Strategy<Value = String> {
    let choices = [
        ["dissemination: messages", "dissemination: blackboard"],
        ["receiving: concurrent", "receiving: blocking"],
        ["requests: until_answered", "requests: every_cycle"],
        ["failure_reports: once_per_failure", "failure_reports: every_report"],
        ["planning: concurrent", "planning: blocking"],
        ["rejoin: on_return", "rejoin: never"],
        ["log: separate", "log: mixed_up"],
        ["recovery: exact", "recovery: replay"],
        ["mailbox: lost_in_crash", "mailbox: survives_crash"],
        ["retry_after: 5s", "retry_after: null"],
        ["stock_limit: 2", "stock_limit: null"],
        ["neighbours_every: 1", "neighbours_every: 10"],
    ];
    any::<u16>().prop_map(move |bits| {
        let chosen: Vec<_> =
            choices.iter().enumerate().map(|(at, pair)| pair[usize::from(bits >> at) & 1]).collect();
        format!("protocol: {{production: polled, {}}}\n", chosen.join(", "))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Quirks lose material, but no combination of them may stop the simulator or make it nondeterministic.
    #[test]
    fn every_combination_of_quirks_runs(
        text in random_scenarios(),
        protocol in random_protocols(),
        leader in prop_oneof![Just("bully"), Just("last-writer:planners=3")],
    ) {
        let scenario = dmos_testkit::scenario(&format!("{text}{protocol}leader: {leader}\n"));
        prop_assert_eq!(dmos_sim::run(&scenario), dmos_sim::run(&scenario));
    }

    #[test]
    fn material_is_conserved_under_crashes(text in random_scenarios()) {
        let record = dmos_sim::run(&dmos_testkit::scenario(&text));
        prop_assert!(record.is_clean(), "{}\n{:#?}", text, record.violations);
    }
}

#[test]
fn idle_time_costs_no_events() {
    let scenario = load("door-factory", &["duration=1s"]);
    assert_eq!(scenario.duration, Span::from_secs(1));
    assert!(with_seed(&scenario, 1).events < 1_000);
}

/// Returns a scenario with a chain of start, two times a, two times b, and fin, with additional lines.
fn chain(lines: &str) -> Scenario {
    let nodes = "{makes: start}, {makes: a, needs: [start], count: 2}, {makes: b, needs: [a], count: 2}, {makes: fin, needs: [b]}";
    dmos_testkit::scenario(&format!("network: {{nodes: [{nodes}]}}\nduration: 10min\n{lines}\n"))
}

fn finished_goods(scenario: &Scenario) -> u64 {
    total(&dmos_sim::run(scenario), Metric::FinishedGoodsMade)
}

/// The nodes remember a leader of a later term than the only remaining candidate knows.
#[test]
fn a_leader_with_an_older_term_than_a_failed_leader_still_leads() {
    let script = "
candidates: 2
faults:
  script:
    - {at: 30s, crash: fin}
    - {at: 60s, crash: a-2}
    - {at: 61s, recover: a-2}
    - {at: 80s, crash: a-2}
    - {at: 90s, recover: fin}";
    let made = finished_goods(&chain(script));
    assert!(made > 200, "{made} final batches");
}

/// A leader that returns briefly must not be followed forever.
#[test]
fn a_leader_that_crashes_while_suspected_is_replaced() {
    for tenths in (440..=500).step_by(5) {
        let (back, gone) = (f64::from(tenths) / 10.0, f64::from(tenths) / 10.0 + 0.3);
        let script = format!(
            "
candidates: 2
network: {{final: [b], nodes: [{{makes: start}}, {{makes: a, needs: [start], count: 2}}, {{makes: b, needs: [a], count: 2}}, {{makes: fin, needs: [b]}}]}}
duration: 10min
faults:
  script:
    - {{at: 30s, crash: fin}}
    - {{at: {back}s, recover: fin}}
    - {{at: {gone:.1}s, crash: fin}}
    - {{at: 200s, crash: a-1}}"
        );
        let made = finished_goods(&dmos_testkit::scenario(&script));
        assert!(made > 200, "back at {back}: {made} final batches");
    }
}

#[test]
fn assignments_delayed_by_a_blocking_transit_are_retransmitted() {
    let lines = "leader: {name: last-writer, last: b-1}\ndelays: {between_starts: 4s}\nprotocol: {production: polled, receiving: blocking}";
    let made = finished_goods(&chain(lines));
    assert!(made > 150, "{made} final batches");
}

#[test]
fn a_node_removed_by_mistake_rejoins() {
    let nodes = "{makes: start}, {makes: a, needs: [start], count: 2}, {makes: fin, needs: [a]}";
    for tenths in (410..=480).step_by(5) {
        let (down, up) = (f64::from(tenths) / 10.0, f64::from(tenths) / 10.0 + 1.0);
        let made = finished_goods(&dmos_testkit::scenario(&format!(
            "network: {{nodes: [{nodes}]}}\nduration: 400s\ncandidates: 1\nprotocol: {{neighbours_every: 10}}\nfaults:\n  script:
    - {{at: 5s, crash: a-1}}
    - {{at: 40s, recover: a-1}}
    - {{at: {down}s, crash: a-2}}
    - {{at: {up}s, recover: a-2}}
    - {{at: 200s, crash: a-1}}"
        )));
        assert!(made > 130, "down at {down}: {made} final batches");
    }
}

#[test]
fn a_last_writer_that_is_no_candidate_is_replaced_by_one() {
    assert!(finished_goods(&chain("leader: {name: last-writer, last: start}\ncandidates: 2")) > 200);
}

#[test]
fn a_yield_above_the_stock_limit_is_produced() {
    let text = "network: {nodes: [{makes: {bolt: 20}}, {makes: box, needs: {bolt: 5}}]}\nduration: 60s";
    assert!(finished_goods(&dmos_testkit::scenario(text)) > 20);
}

#[test]
fn an_idle_shared_cpu_does_not_spin_after_a_crash() {
    let text = "
network: {nodes: [{makes: start}, {makes: fin, needs: [start]}]}
duration: 20s
work: {cycle: 47ms, shared_cpu: {cores: 1}}
delays: {between_starts: 500ms}
faults:
  script:
    - {at: 1.046999999s, crash: start}
    - {at: 1.047s, crash: fin}
";
    assert!(dmos_sim::run(&dmos_testkit::scenario(text)).events < 1_000);
}

#[test]
fn the_series_ends_with_the_run() {
    let record = dmos_sim::run(&chain("sample_every: 7s"));
    let last = record.series.last().expect("at least one sample");
    assert_eq!(last.at.as_secs_f64(), 600.0);
    assert_eq!(last.finished, total(&record, Metric::FinishedGoodsMade));
}

/// The basis of paired comparisons: the same seed gives every strategy the same faults, regardless of its
/// plans, messages and random numbers.
#[test]
fn all_kinds_of_faults_are_the_same_under_every_strategy() {
    let faults = "faults={random_failures: [{nodes: all, time_to_failure: {exponential: 5min}, time_to_repair: {uniform: [20s, 2min]}}], \
                     script: [{at: 3min, crash: {role: any}, for: 1min}]}";
    let outages = |flow: &str, leader: &str, seed| {
        let settings = [faults, &format!("flow={flow}"), &format!("leader={leader}")];
        let record = with_seed(&load("alternative-recipes", &settings), seed);
        let times = record.outages.iter().map(|outage| (outage.node, outage.from, outage.until));
        (times.collect::<Vec<_>>(), total(&record, Metric::SentMessages))
    };
    for seed in 1..=3 {
        let (faults, messages) = outages("memoized", "bully", seed);
        assert!(faults.len() > 50);
        for (flow, leader) in [("random", "bully"), ("balanced", "raft"), ("anchored", "ring")] {
            let (others, others_messages) = outages(flow, leader, seed);
            assert_eq!(faults, others, "{flow} and {leader} got different faults");
            assert_ne!(messages, others_messages, "the strategies behave identically");
        }
    }
}
