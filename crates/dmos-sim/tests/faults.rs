//! Faults of every kind: effects, targets and counters.

use std::sync::Arc;

use dmos_core::scenario::ProcessTimes;
use dmos_core::{Distribution, FaultKind, Metric, NodeId, Property, RunRecord, Scenario, Span, Time};

/// Returns a scenario with a chain of start, two times a, two times b, and fin, with additional lines.
fn chain(lines: &str) -> Scenario {
    let nodes = "{makes: start}, {makes: a, needs: [start], count: 2}, {makes: b, needs: [a], count: 2}, {makes: fin, needs: [b]}";
    let duration = if lines.starts_with("duration") { "" } else { "duration: 5min\n" };
    let text = format!(
        "network: {{nodes: [{nodes}]}}\nflow: {{name: memoized, substitute_ends: false}}\n{duration}{lines}\n"
    );
    dmos_testkit::scenario(&text)
}

#[track_caller]
fn run(lines: &str) -> RunRecord {
    let record = dmos_sim::run(&chain(lines));
    assert!(record.is_clean(), "{:#?}", record.violations);
    record
}

fn script(entries: &str) -> String {
    format!("faults: {{script: [{entries}]}}")
}

fn count(record: &RunRecord, kind: FaultKind) -> (u64, u64) {
    let count = record.fault_counts.iter().find(|count| count.kind == kind);
    count.map_or((0, 0), |count| (count.injected, count.effective))
}

fn total(record: &RunRecord, metric: Metric) -> u64 {
    record.nodes.iter().map(|node| node.get(metric)).sum()
}

/// Returns how often a node started a production run or, under `production: polled`, tried to.
fn cycles(record: &RunRecord, node: usize) -> u64 {
    record.nodes[node].get(Metric::TotalManufactureCycles)
}

/// Returns the seconds in which a node was down, frozen or not yet started.
fn down(record: &RunRecord, node: usize) -> f64 {
    record.usage[node].down.as_secs_f64()
}

const POLLED: &str = "protocol: {production: polled}\n";

fn finals_after(record: &RunRecord, second: u64) -> u64 {
    let at = |sample: &&dmos_core::record::Sample| sample.at.as_secs_f64() >= second as f64;
    total(record, Metric::FinishedGoodsMade) - record.series.iter().find(at).expect("a sample").finished
}

const FIN: usize = 5;

#[test]
fn the_duration_of_a_crash_is_respected() {
    let record =
        run(&script("{at: 60s, crash: fin, for: 100s}, {at: 70s, crash: fin}, {at: 80s, crash: a-1}"));
    let kinds: Vec<_> =
        record.faults.iter().map(|fault| (fault.at.as_secs_f64(), fault.kind, fault.effective)).collect();
    let (crash, recover) = (FaultKind::Crash, FaultKind::Recover);
    assert_eq!(
        kinds,
        [(60.0, crash, true), (70.0, crash, false), (80.0, crash, true), (160.0, recover, true)]
    );
    assert_eq!([down(&record, FIN), down(&record, 1)], [100.0, 220.0], "a-1 is down for good");
    assert!(finals_after(&record, 200) > 20);
    let polled =
        run(&format!("{POLLED}{}", script("{at: 60s, crash: fin, for: 100s}, {at: 80s, crash: a-1}")));
    assert_eq!(cycles(&polled, FIN), 59 + 140, "one cycle a second while it is up");
    assert_eq!(cycles(&polled, 1), 79, "down for good");
}

#[test]
fn conditions_trigger_on_the_nth_occurrence() {
    // The third delivery of a batch crashes the leader, half a second later.
    let record = run(&script("{when: delivered, nth: 3, wait: 500ms, crash: {role: leader}, for: 60s}"));
    let first = record.faults[0];
    assert_eq!((first.kind, first.node), (FaultKind::Crash, Some(NodeId::new(FIN))));
    let before = dmos_sim::run(&chain(&format!("duration: {}s", first.at.as_secs_f64() - 0.5)));
    assert_eq!(total(&before, Metric::BatchesReceived), 3, "{first:?}");
    let planners: Vec<_> = record.plans.iter().map(|plan| plan.by.index()).collect();
    assert!(planners.iter().any(|&planner| planner != FIN), "another leads meanwhile: {planners:?}");
    let second = run(&script("{when: leader_elected, nth: 2, crash: {role: leader}}, {at: 9s, crash: fin}"));
    assert_eq!(second.faults.len(), 2, "the second leader crashes as well: {:?}", second.faults);
    assert_ne!(second.faults[1].node, Some(NodeId::new(FIN)));
}

#[test]
fn targets_are_resolved_when_the_fault_occurs() {
    let record = run(&script(
        "{at: 60s, crash: {item: a}, for: 10s}, {at: 100s, crash: {producer_of: b}, for: 10s}, \
         {at: 140s, crash: {role: busiest}, for: 10s}, {at: 180s, crash: {role: any}, for: 10s}, \
         {at: 200s, recover: {role: any}}",
    ));
    let hit = |second: u64| -> Vec<usize> {
        let at = Time::from_nanos(second * 1_000_000_000);
        let crashes = record.faults.iter().filter(|fault| fault.at == at && fault.kind == FaultKind::Crash);
        crashes.filter_map(|fault| Some(fault.node?.index())).collect()
    };
    assert_eq!(hit(60), [1, 2]);
    assert!(matches!(hit(100)[..], [3 | 4]), "{:?}", hit(100));
    assert_eq!(hit(140), [0], "the source makes most");
    assert_eq!(hit(180).len(), 1);
    let without_target =
        record.faults.iter().find(|fault| fault.at.as_secs_f64() == 200.0).expect("a recorded fault");
    assert_eq!((without_target.node, without_target.effective), (None, false), "no node is down");
}

#[test]
fn a_thawed_node_continues_as_if_no_time_had_passed() {
    let record = run(&script("{at: 60500ms, freeze: fin, for: 100s}"));
    assert_eq!(down(&record, FIN), 100.0);
    let made = record.nodes[FIN].get(Metric::SuccessfulManufactureCycles);
    assert_eq!(record.usage[FIN].working.as_nanos() / 1_000_000_000, made, "a frozen run takes its time");
    let polled = run(&format!("{POLLED}{}", script("{at: 60500ms, freeze: fin, for: 100s}")));
    assert_eq!(cycles(&polled, FIN), 200, "a cycle a second of its own time");
    assert!(record.nodes[FIN].get(Metric::HeartbeatReqSent) > 0);
    assert!(record.plans.iter().any(|plan| plan.by.index() != FIN), "fin is replaced as leader");
    assert!(finals_after(&record, 200) > 20, "production resumes after the thaw");
    // Freezing an idle spare without inputs has no effect.
    let idle = run("duration: 1s\nfaults: {script: [{at: 100ms, freeze: a-2, for: 10ms}]}");
    assert_eq!(count(&idle, FaultKind::Freeze), (1, 0));
}

#[test]
fn a_freeze_within_a_production_run_delays_its_end() {
    let record = dmos_sim::run(&dmos_testkit::scenario(
        "network: {nodes: [{makes: gear, process_time: 30s}]}\nduration: 2min\nfaults: {script: [{at: 40s, freeze: gear, for: 5s}]}\n",
    ));
    let times: Vec<f64> = record.finished.iter().map(|finished| finished.at.as_secs_f64()).collect();
    assert_eq!(times, [30.0, 65.0, 95.0]);
}

#[test]
fn a_slow_node_takes_longer_for_every_input() {
    let slow = script("{at: 100s, slow: fin, by: 400ms, for: 100s}");
    let record = run(&slow);
    // Every run is preceded by several inputs, each of which takes 400 ms longer.
    let lost = cycles(&run("seed: 1"), FIN) - cycles(&record, FIN);
    assert!((29..=80).contains(&lost), "{lost} runs fewer");
    assert_eq!(count(&record, FaultKind::Slow), (1, 1));
    let polled = run(&format!("{POLLED}{slow}"));
    let expected = 100 + 100 * 10 / 14 + 100;
    assert!(cycles(&polled, FIN).abs_diff(expected) < 4, "{}", cycles(&polled, FIN));
}

#[test]
fn one_way_and_two_way_partitions() {
    let heard = |entries: &str| {
        let record = run(&script(entries));
        (
            record.nodes[FIN].get(Metric::HeartbeatReqReceived),
            record.nodes[3].get(Metric::HeartbeatReqReceived),
        )
    };
    let (fin, b) = heard("");
    // b-1 and fin are neighbours in the flow; each receives fewer messages while the other's are lost.
    let (fin_cut, b_cut) = heard("{at: 60s, one_way_partition: {from: [b-1], to: [fin]}, for: 12s}");
    assert!(fin_cut < fin && b_cut == b, "{fin_cut} of {fin}, {b_cut} of {b}");
    let (fin_split, b_split) = heard("{at: 60s, partition: [[b-1], [fin]], for: 12s}");
    assert!(fin_split < fin && b_split < b, "{fin_split} of {fin}, {b_split} of {b}");
    let healed = run(&script("{at: 60s, partition: [[b-1], [fin]]}, {at: 62s, heal: links}"));
    assert_eq!((count(&healed, FaultKind::Partition), count(&healed, FaultKind::Heal)), ((1, 1), (1, 1)));
    assert_eq!(
        count(&run(&script("{at: 60s, one_way_partition: {from: [a-2], to: [b-2]}}")), FaultKind::Partition),
        (1, 0)
    );
}

#[test]
fn lossy_links_lose_a_fraction_in_one_direction_for_a_while() {
    let lost = |loss: &str, from: &str, to: &str| {
        let entry =
            format!("{{at: 60s, lossy_links: {{from: [{from}], to: [{to}], loss: {loss}}}, for: 60s}}");
        let record = run(&script(&entry));
        (count(&record, FaultKind::LostMessage).0, count(&record, FaultKind::LossyLinks))
    };
    let (half, injected) = lost("0.5", "b-1", "fin");
    let (all, _) = lost("1.0", "b-1", "fin");
    assert!(half > 10 && half < all, "{half} of {all}");
    assert_eq!(injected, (1, 1));
    assert_eq!(lost("0.9", "a-2", "b-2"), (0, (1, 0)), "no message uses this link");
    let healed =
        run(&script("{at: 60s, lossy_links: {from: [b-1], to: [fin], loss: 1}}, {at: 62s, heal: links}"));
    assert!(count(&healed, FaultKind::LostMessage).0 < all);
    assert_eq!(count(&healed, FaultKind::Heal), (1, 1));
}

#[test]
fn a_partitioned_leader_is_replaced_and_returns() {
    let others = "start, a-1, a-2, b-1, b-2";
    let record = run(&script(&format!("{{at: 60s, partition: [[fin], [{others}]], for: 60s}}")));
    assert!(record.plans.iter().any(|plan| plan.by.index() != FIN));
    assert!(finals_after(&record, 200) > 20, "fin resumes production");
}

#[test]
fn message_faults_occur_at_their_rates() {
    let record = run(
        "faults: {messages: {loss: 0.1, duplication: 0.05, reordering: 0.2, delay: {uniform: [0s, 1s]}}}",
    );
    let sent = total(&record, Metric::SentMessages) as f64;
    for (kind, share) in [
        (FaultKind::LostMessage, 0.1),
        (FaultKind::DuplicatedMessage, 0.05),
        (FaultKind::ReorderedMessage, 0.2),
    ] {
        let found = count(&record, kind).0 as f64 / sent;
        assert!((found / share - 1.0).abs() < 0.15, "{kind:?}: {found}");
    }
    assert!(total(&record, Metric::FinishedGoodsMade) > 50, "production continues despite the faults");
}

#[test]
fn a_duplicated_message_arrives_twice() {
    let record = run("faults: {messages: {duplication: 0.5}}");
    let [sent, received] =
        [Metric::HeartbeatReqSent, Metric::HeartbeatReqReceived].map(|it| total(&record, it));
    let ratio = received as f64 / sent as f64;
    assert!((1.4..1.6).contains(&ratio), "{sent} sent, {received} received");
}

#[test]
fn clock_drift_changes_the_number_of_cycles() {
    let drift = "faults: {clocks: {drift: 0.1}}";
    let record = run(&format!("{POLLED}{drift}"));
    let all: Vec<u64> = (0..6).map(|node| cycles(&record, node)).collect();
    assert!(all.iter().all(|&count| (270..=330).contains(&count)), "{all:?}");
    assert!(all.iter().max() > all.iter().min(), "{all:?}");
    assert_eq!(count(&record, FaultKind::Drift), (6, 6));
    // The source works all the time, by its own clock.
    let [with, without] = [drift, "seed: 1"].map(|faults| cycles(&run(faults), 0));
    assert!(with != without && (270..=330).contains(&with), "{with}, {without} without drift");
}

#[test]
fn a_node_stops_when_an_append_fails() {
    let record = run(&script("{at: 60s, fail_append: fin, for: 50s}"));
    assert_eq!(count(&record, FaultKind::FailedAppend), (1, 1));
    assert!(record.faults.iter().any(|fault| fault.kind == FaultKind::Recover));
    assert!(cycles(&record, FIN) <= 251, "{}", cycles(&record, FIN));
    let random = run("faults: {disks: {append_failure: 0.01, repair_time: 2s}}");
    let (failed, effective) = count(&random, FaultKind::FailedAppend);
    assert!(failed > 10 && failed == effective, "{failed}");
}

/// A batch lost in a crash before it is durable does not count as made, in any metric.
#[test]
fn batches_that_were_never_durable_do_not_count() {
    for disks in ["{append_failure: 0.2, repair_time: 1s}", "{lose_unsynced: true, torn: true}"] {
        let random_failures = "random_failures: [{nodes: all, time_to_failure: {exponential: 8s}, time_to_repair: 1s, mode: crash_midway}]";
        let record = run(&format!("faults: {{{random_failures}, disks: {disks}}}"));
        let made = total(&record, Metric::SuccessfulManufactureCycles);
        assert_eq!(made, record.material.made, "one batch per production run");
        let last = record.series.last().expect("a sample");
        assert_eq!((last.made, last.finished), (made, total(&record, Metric::FinishedGoodsMade)));
        let inputs = made - record.nodes[0].get(Metric::SuccessfulManufactureCycles);
        assert_eq!(inputs, record.material.consumed, "one input per production run, except at the source");
    }
}

#[test]
fn crashes_in_the_middle_of_an_input_tear_the_log() {
    let random_failures = "random_failures: [{nodes: all, time_to_failure: {exponential: 20s}, time_to_repair: 1s, mode: crash_midway}]";
    let record = run(&format!("faults: {{{random_failures}, disks: {{lose_unsynced: true, torn: true}}}}"));
    let (crashes, effective) = count(&record, FaultKind::CrashMidway);
    assert!(crashes > 50 && effective > crashes / 2, "{effective} of {crashes}");
    assert!(count(&record, FaultKind::TornAppend).1 > 0);
    let coverage = |property| record.coverage.iter().any(|(found, _)| *found == property);
    assert!(coverage(Property::TornAppendFound) && coverage(Property::ShipmentResumed));
    assert!(total(&record, Metric::FinishedGoodsMade) > 20, "production continues despite the faults");
}

#[test]
fn scrap_is_counted_and_nothing_is_lost() {
    let lines = "faults: {material: {outbound: scrapped, inbound: scrapped, finished: scrapped}, script: [{at: 100s, crash: {item: a}, for: 5s}, {at: 150s, crash: fin, for: 5s}, {at: 290s, crash: start}]}";
    let record = run(lines);
    let material = &record.material;
    assert!(material.scrapped > 30, "{material:?}");
    assert_eq!(
        material.made,
        material.in_stock + material.in_transit + material.received + material.consumed + material.scrapped
    );
    assert!(
        total(&record, Metric::BatchesScrapped) < material.scrapped,
        "the stock of a node that is still down counts as scrap"
    );
}

#[test]
fn a_recipe_changes_during_a_run() {
    let record = run(&script("{at: 100s, recipe: {node: fin, needs: {a: 2}}}"));
    assert!(finals_after(&record, 150) > 20, "fin is made from a");
    let idle = |node: usize| record.nodes[node].get(Metric::SuccessfulManufactureCycles);
    assert!(idle(3) < 120 && idle(4) == 0, "b is no longer needed");
    assert!(record.coverage.iter().any(|(property, _)| *property == Property::RecipePlanned));
}

#[test]
fn nodes_join_and_retire_during_a_run() {
    let record = run(&script("{at: 100s, add: a-1}, {at: 200s, retire: a-2}"));
    assert_eq!(down(&record, 1), 100.0, "a-1 joins after 100 s");
    let made = |node: usize| record.nodes[node].get(Metric::SuccessfulManufactureCycles);
    assert!(made(2) > 10, "a-2 produces until a-1 joins");
    assert!(finals_after(&record, 210) > 15, "a-1 replaces a-2 after it retires");
    assert!(cycles(&record, 2) <= 201);
    let polled = run(&format!("{POLLED}{}", script("{at: 100s, add: a-1}, {at: 200s, retire: a-2}")));
    assert_eq!(cycles(&polled, 1), 200, "a-1 has no cycles before it joins");
    assert_eq!((count(&record, FaultKind::Add), count(&record, FaultKind::Retire)), ((1, 1), (1, 1)));
}

#[test]
fn everything_heals_except_permanent_crashes() {
    let entries = "{at: 10s, crash: a-1}, {at: 20s, crash: b-1, for: 1h}, {at: 30s, freeze: start, for: 1h}, \
         {at: 40s, partition: [[fin], [b-1, b-2]]}, {at: 250s, crash: start}";
    let record = run(&format!("faults: {{heal_at: 100s, script: [{entries}]}}"));
    let recovered: Vec<_> = record
        .faults
        .iter()
        .filter(|fault| fault.kind == FaultKind::Recover)
        .filter_map(|fault| fault.node)
        .collect();
    assert_eq!(recovered, [NodeId::new(3)], "b-1 is repaired, a-1 is not");
    assert!(!record.faults.iter().any(|fault| fault.at.as_secs_f64() > 100.0), "nothing fails any more");
    assert!(finals_after(&record, 180) > 20);
}

/// Two strategies on the same seed meet the same faults, regardless of their own actions.
#[test]
fn random_failures_are_the_same_under_two_leader_strategies() {
    let random_failures = "faults: {random_failures: [{nodes: all, time_to_failure: {weibull: {mean: 60s, shape: 1.5}}, time_to_repair: {log_normal: {mean: 10s, sigma: 1}}}]}";
    let faults = |leader: &str| {
        let record = dmos_sim::run(&chain(&format!("{random_failures}\nleader: {leader}")));
        (record.faults, record.nodes)
    };
    let ((bully, bully_nodes), (writer, writer_nodes)) = (faults("bully"), faults("last-writer"));
    assert!(bully.len() > 20);
    assert_eq!(bully, writer);
    assert_ne!(bully_nodes, writer_nodes, "the strategies do differ");
}

#[test]
fn the_same_time_order_is_shuffled_by_the_seed() {
    let run = |seed: u64, same_time_order: &str| {
        dmos_sim::run(&Scenario { seed, ..chain(&format!("same_time_order: {same_time_order}")) })
    };
    assert_eq!(run(1, "shuffled"), run(1, "shuffled"));
    assert_ne!(run(1, "shuffled"), run(2, "shuffled"));
    assert_ne!(run(1, "shuffled"), run(1, "scheduled"));
    assert!(run(1, "shuffled").is_clean());
}

#[test]
fn a_repeated_run_is_identical() {
    let (record, trace) =
        dmos_sim::run_twice(&chain("same_time_order: shuffled")).expect("a deterministic run");
    assert_eq!(trace.len() as u64, record.events);
    let (_, other) = dmos_sim::run_twice(&chain("same_time_order: scheduled")).expect("a deterministic run");
    assert_ne!(trace.hash(), other.hash());
}

/// Log size and recovery time are proportional to what a node holds, not to what it has made.
#[test]
fn the_log_does_not_grow_with_time() {
    let year = |crash: &str| {
        format!(
            "duration: 365d\nsample_every: 30d\nprotocol: {{heartbeat: 30min, suspect_after: 2h}}\n{crash}"
        )
    };
    let mut scenario = chain(&year("faults: {script: [{at: 364d, crash: {item: a}, for: 3h}]}"));
    let process_time = Span::from_secs(600);
    scenario.process_times = ProcessTimes::new([Distribution::Fixed(process_time)]);
    scenario.network = Arc::new((*scenario.network).clone().with_process_times(|_| process_time));
    let record = dmos_sim::run(&scenario);
    assert!(record.is_clean(), "{:#?}", record.violations);
    let production_runs = record.nodes[1].get(Metric::SuccessfulManufactureCycles);
    assert!(production_runs > 20_000, "{production_runs}");
    for node in [1, 2] {
        let recovered = record.nodes[node].get(Metric::WalRecoveredOutboundBatches)
            + record.nodes[node].get(Metric::WalRecoveredInboundBatches);
        assert!(recovered < 1_100, "node {node} found {recovered} batches in its log");
    }
    assert!(record.nodes[1].get(Metric::LogCompactions) > 50);
}

#[test]
fn outages_leaders_and_removals_are_recorded() {
    let record = run(&script(
        "{at: 60s, crash: a-1, for: 100s}, {at: 200s, freeze: fin, for: 5s}, {at: 250s, crash: b-2}",
    ));
    let down: Vec<_> = record
        .outages
        .iter()
        .map(|outage| (outage.node.index(), outage.from.as_secs_f64(), outage.until.map(Time::as_secs_f64)))
        .collect();
    assert_eq!(down, [(1, 60.0, Some(160.0)), (FIN, 200.0, Some(205.0)), (4, 250.0, None)]);
    let was_assigned: Vec<_> = record.outages.iter().map(|outage| outage.was_assigned).collect();
    assert_eq!(was_assigned, [true, true, false], "the second b is a spare");
    let removed: Vec<_> = record.removals.iter().map(|removal| removal.node.index()).collect();
    assert_eq!(removed, [1], "an idle spare is not monitored, and five seconds are no failure");
    assert!(record.removals[0].at.as_secs_f64() > 60.0);
    assert_eq!(record.leadership_changes.len(), 1);
    let changed: Vec<_> = record.plans.iter().filter_map(|plan| plan.changed).collect();
    assert_eq!(changed.first(), Some(&3), "the first plan is all new");
    assert!(changed[1..].iter().all(|&changed| changed % 2 == 0 && changed <= 6), "{changed:?}");
    assert!(record.material.stranded < record.material.made);
}
