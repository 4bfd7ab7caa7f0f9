//! Events allocate no memory once a run is under way, except for the list of inputs in the log record of each
//! production run of a server.

use dmos_core::settings::Production;
use dmos_core::{Metric, NodeId, RunRecord};

/// Returns the number of events of a run, and the number of allocations during it, without those for records of
/// inputs.
fn events_and_allocations(scenario: &str, settings: &[String]) -> (u64, u64) {
    let scenario = dmos_testkit::load_with(scenario, settings);
    let mut record = RunRecord::default();
    let allocated = allocation_counter::measure(|| record = dmos_sim::run(&scenario));
    let with_inputs = |node: &NodeId| !scenario.network.requirements(*node).is_empty();
    let runs = |node: NodeId| record.nodes[node.index()].get(Metric::SuccessfulManufactureCycles);
    let records: u64 = match scenario.protocol.production {
        Production::Server => scenario.network.nodes().filter(with_inputs).map(runs).sum(),
        Production::Polled => 0,
    };
    (record.events, allocated.count_total - records)
}

/// Returns the number of events per allocation in the second half of a run.
fn events_for_each_allocation(scenario: &str, settings: &[&str]) -> u64 {
    let until = |seconds: u32| {
        let settings = settings.iter().copied().map(str::to_owned);
        events_and_allocations(
            scenario,
            &settings.chain([format!("duration={seconds}s")]).collect::<Vec<_>>(),
        )
    };
    let (half, whole) = (until(2_400), until(4_800));
    (whole.0 - half.0) / (whole.1 - half.1).max(1)
}

#[test]
fn events_allocate_nothing() {
    // The remaining allocations are logs and accounts that double in size.
    let never = "protocol.compact_after=null";
    let protocol = events_for_each_allocation("benches/scenarios/protocol.yaml", &[never]);
    assert!(protocol > 5_000, "one allocation in {protocol} events");
    // Lost messages are retransmitted from lists that are allocated for it, and a lost heartbeat is followed by relayed
    // ones.
    let lossy = ["faults.messages.loss=0.001", "faults.messages.duplication=0.001", never];
    let lossy = events_for_each_allocation("benches/scenarios/protocol.yaml", &lossy);
    assert!(lossy > 900, "one allocation in {lossy} events");
    // Here work takes time, and all inputs are queued.
    let prototype = events_for_each_allocation("scenarios/seed/small-no-fail.yaml", &["seed=1"]);
    assert!(prototype > 2_000, "one allocation in {prototype} events");
}

#[test]
fn a_log_is_compacted_with_few_allocations() {
    // Every thousand records, which are about 10,000 events here, and then for the content of the log.
    let often = ["protocol.compact_after=1000"];
    let compacted = events_for_each_allocation("benches/scenarios/protocol.yaml", &often);
    assert!(compacted > 80, "one allocation in {compacted} events");
}
