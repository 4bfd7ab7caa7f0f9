//! Production as a server, against textbook results.

use dmos_core::{Metric, NodeId, RunRecord, Scenario, Span};

/// Quantile of Student's t distribution with nine degrees of freedom for an interval of 99.9 %.
const T_OF_TEN: f64 = 4.781;

/// Returns a scenario of servers without other delays than the given ones.
fn scenario(nodes: &str, duration: &str, lines: &str) -> Scenario {
    dmos_testkit::scenario(&format!(
        "network: {{nodes: [{nodes}]}}\nduration: {duration}\nsample_every: 1000h\n{lines}\n"
    ))
}

fn run(nodes: &str, duration: &str, lines: &str) -> RunRecord {
    let record = dmos_sim::run(&scenario(nodes, duration, lines));
    assert!(record.is_clean(), "{:#?}", record.violations);
    record
}

fn runs(record: &RunRecord, node: usize) -> u64 {
    record.nodes[node].get(Metric::SuccessfulManufactureCycles)
}

fn finished(record: &RunRecord) -> Vec<u64> {
    let finished = record.nodes.iter().map(|node| node.get(Metric::FinishedGoodsMade));
    finished.filter(|&count| count > 0).collect()
}

/// Asserts that an interval of 99.9 % from ten replications contains the exact value, and is at most 3 % of it
/// wide to either side.
#[track_caller]
fn assert_contains(values: &[f64], exact: f64) {
    assert_eq!(values.len(), 10, "the quantile is for ten values");
    let mean = values.iter().sum::<f64>() / 10.0;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 9.0;
    let half_width = T_OF_TEN * (variance / 10.0).sqrt();
    assert!((mean - exact).abs() <= half_width, "{mean} +- {half_width} does not contain {exact}");
    assert!(half_width <= 0.03 * exact, "{mean} +- {half_width} is too wide for {exact}");
}

/// Returns a value for each of ten seeds.
fn replicate(scenario: &Scenario, value: impl Fn(&RunRecord) -> f64) -> Vec<f64> {
    let run = |seed| dmos_sim::run(&Scenario { seed, ..scenario.clone() });
    (1..=10).map(|seed| value(&run(seed))).collect()
}

/// Protocol with rare heartbeats, for long runs; messages take no time.
const QUIET: &str =
    "delays: {message: 0s, transit: 0s}\nprotocol: {production: server, heartbeat: 1h, suspect_after: 10h";

#[test]
fn a_deterministic_line_runs_at_the_rate_of_its_slowest_machine() {
    let nodes = "{makes: a, process_time: 3s}, {makes: b, needs: [a], process_time: 10s}, {makes: c, needs: [b], process_time: 7s}";
    for transit in [0, 5, 10, 37, 100] {
        let lines = format!(
            "delays: {{message: 0s, transit: {transit}s}}\nprotocol: {{production: server, heartbeat: 10min, suspect_after: 1h}}"
        );
        let [half, whole] =
            [10_000, 20_000].map(|seconds| runs(&run(nodes, &format!("{seconds}s"), &lines), 2));
        assert_eq!(whole - half, 1_000, "transit of {transit} s");
    }
}

#[test]
fn random_transits_cost_less_than_one_percent() {
    let nodes = "{makes: a, process_time: 3s}, {makes: b, needs: [a], process_time: 10s}";
    for transit in ["{uniform: [0s, 100s]}", "{exponential: 50s}"] {
        let lines = format!(
            "delays: {{message: 0s, transit: {transit}}}\nprotocol: {{production: server, heartbeat: 10min, suspect_after: 1h}}"
        );
        let [half, whole] =
            [20_000, 60_000].map(|seconds| runs(&run(nodes, &format!("{seconds}s"), &lines), 1));
        assert!(whole - half >= 3_960, "{} of 4000 with {transit}", whole - half);
    }
}

/// Two machines with exponential process times of the same mean and a buffer between them: the number of
/// batches behind the first machine is a birth-death process with N + 1 states of equal probability, in all of
/// which but one the second machine works (Buzacott and Shanthikumar, "Stochastic models of manufacturing
/// systems", 1993).
#[test]
fn two_exponential_machines_have_the_exact_throughput() {
    // The buffer has room for two yields at least, so a limit of 1 gives N = 4 as well, and there is no N = 3.
    let parameters = [(1, 1), (2, 1), (2, 2), (4, 1), (3, 3), (2, 5), (7, 1), (6, 3), (9, 1), (8, 3)];
    for (limit, ahead) in parameters {
        let nodes = "{makes: a, process_time: {exponential: 1s}}, {makes: b, needs: [a], process_time: {exponential: 1s}}";
        let lines = format!("{QUIET}, stock_limit: {limit}, runs_ahead: {ahead}}}");
        let scenario = scenario(nodes, "30000s", &lines);
        let n = f64::from(limit.max(2) + ahead + 1);
        let throughput = replicate(&scenario, |record| runs(record, 1) as f64 / 30_000.0);
        assert_contains(&throughput, n / (n + 1.0));
    }
}

/// Compares the mean time in the system of M/M/1 and of M/D/1 with the exact value (Pollaczek and Khinchine): by
/// Little's law it is the mean number in the system over the arrival rate.
fn assert_time_in_system(utilisation: f64, seconds: u32) {
    for (process, variability) in [("{exponential: 1s}", 1.0), ("1s", 0.0)] {
        let between = (1e9 / utilisation).round();
        let nodes = format!(
            "{{makes: a, process_time: {{exponential: {between}ns}}}}, {{makes: b, needs: [a], process_time: {process}}}"
        );
        let lines = format!("{QUIET}, stock_limit: null, runs_ahead: 1, compact_after: 100}}");
        let scenario = scenario(&nodes, &format!("{seconds}s"), &lines);
        let waiting = (1.0 + variability) / 2.0 * utilisation / (1.0 - utilisation);
        let exact = 1.0 + waiting;
        let time_in_system = replicate(&scenario, |record| {
            let (source, server) = (&record.usage[0], &record.usage[1]);
            let levels = [source.output, server.incoming, server.input, server.in_process];
            let number: f64 = levels.iter().map(|level| level.mean).sum();
            number * f64::from(seconds) / runs(record, 1) as f64
        });
        assert_contains(&time_in_system, exact);
    }
}

#[test]
fn a_single_server_has_the_exact_time_in_system() {
    assert_time_in_system(0.5, 100_000);
    assert_time_in_system(0.8, 300_000);
}

#[test]
#[ignore = "takes minutes; `.ci/run` runs it"]
fn a_single_server_under_high_load_has_the_exact_time_in_system() {
    assert_time_in_system(0.9, 2_000_000);
}

#[test]
fn exponential_failures_have_the_exact_share_of_downtime() {
    let lines = format!(
        "{QUIET}}}\nfaults: {{random_failures: [{{nodes: [b], time_to_failure: {{exponential: 90s}}, time_to_repair: {{exponential: 30s}}}}]}}"
    );
    let nodes = "{makes: a}, {makes: b, needs: [a]}";
    let scenario = scenario(nodes, "1000000s", &lines);
    let down = replicate(&scenario, |record| record.usage[1].down.as_secs_f64() / 1e6);
    assert_contains(&down, 0.25);
}

#[test]
fn the_times_of_a_node_add_up_to_the_run() {
    let lines = "protocol: {production: server}\nfaults: {random_failures: [{nodes: all, time_to_failure: {exponential: 60s}, time_to_repair: 5s}, {nodes: [b-1], mode: freeze, time_to_failure: {exponential: 60s}, time_to_repair: 5s}]}";
    let nodes = "{makes: a, process_time: {exponential: 1s}}, {makes: b, needs: [a], count: 2}, {makes: c, needs: [b], process_time: 3s}";
    let record = run(nodes, "1h", lines);
    for usage in &record.usage {
        let times = [usage.working, usage.starved_total(), usage.blocked, usage.idle, usage.down];
        assert_eq!(times.into_iter().sum::<Span>(), Span::from_secs(3_600), "{usage:?}");
    }
    let [source, .., last] = &record.usage[..] else { panic!("four nodes") };
    assert!(source.blocked > source.working, "the source waits for the slow machine: {source:?}");
    assert!(last.working > Span::from_secs(2_000), "{last:?}");
}

/// Small networks in which an obvious rule for orders or for service fails, with the number of complete sets
/// that is possible.
#[test]
fn lots_quantities_and_transport_cost_no_capacity() {
    let lines = "protocol: {production: server, heartbeat: 10min, suspect_after: 1h}";
    let lot =
        run("{makes: {a: 20}, process_time: 200s}, {makes: b, needs: [a], process_time: 10s}", "48h", lines);
    assert!(finished(&lot)[0] >= 17_250, "{:?}", finished(&lot));
    let lot = run(
        "{makes: {a: 10}, process_time: 100s}, {makes: b, needs: {a: 3}, process_time: 30s}",
        "48h",
        lines,
    );
    assert!(finished(&lot)[0] >= 5_740, "{:?}", finished(&lot));
    let tree = "{makes: {s: 20}, process_time: 100s}, {makes: a, needs: [s], process_time: 5s}, {makes: b, needs: {s: 3}, process_time: 25s}, {makes: f, needs: {a: 2, b: 1}, process_time: 25s}";
    assert!(finished(&run(tree, "48h", lines))[0] >= 6_890);
}

#[test]
fn a_faster_machine_behind_a_long_transport_hoards_nothing() {
    for process_time in ["100s", "10s", "1s", "100ms"] {
        let nodes = format!(
            "{{makes: s, process_time: 10s}}, {{makes: {{a: 10}}, needs: {{s: 10}}, process_time: {process_time}}}, {{makes: b, needs: [s], process_time: 20s}}, {{makes: f, needs: [a, b], process_time: 20s}}"
        );
        let lines =
            "delays: {transit: 20min}\nprotocol: {production: server, heartbeat: 10min, suspect_after: 1h}";
        let record = run(&nodes, "48h", lines);
        assert!(finished(&record)[0] >= 8_505, "{:?} with {process_time}", finished(&record));
        assert!(record.usage[1].input.peak < 1_000, "{:?}", record.usage[1]);
    }
}

#[test]
fn two_final_items_get_their_shares_of_a_common_input() {
    let nodes = "{makes: s, process_time: 1s}, {makes: x, needs: [s], process_time: 100ms}, {makes: y, needs: [s], process_time: 3s}";
    let text = format!(
        "network: {{nodes: [{nodes}], final: [x, y]}}\nduration: 5h\ndelays: {{transit: 60s}}\nprotocol: {{production: server}}\n"
    );
    let record = dmos_sim::run(&dmos_testkit::scenario(&text));
    assert!(record.is_clean());
    let made = [1, 2].map(|node| record.nodes[node].get(Metric::FinishedGoodsMade));
    assert!(made.iter().all(|&count| count >= 5_979), "{made:?}");
}

/// A slow consumer beside a fast one: none starves.
#[test]
fn no_consumer_starves() {
    for slow in [1, 5, 13, 20, 60] {
        let nodes = format!(
            "{{makes: iron, process_time: 4s}}, {{name: fast, makes: pin, needs: [iron], process_time: 1s}}, {{name: slow, makes: steel, needs: [iron], process_time: {slow}s}}"
        );
        let text = format!(
            "network: {{nodes: [{nodes}], final: [pin, steel]}}\nduration: 1h\nprotocol: {{production: server}}\nfaults: {{script: [{{at: 1min, crash: fast, for: 10s}}]}}\n"
        );
        let record = dmos_sim::run(&dmos_testkit::scenario(&text));
        let steel = record.nodes[2].get(Metric::FinishedGoodsMade);
        let possible = 3_600 / (2 * 4).max(slow);
        assert!(steel * 10 >= possible * 9, "{steel} of {possible} at {slow} s");
    }
}

/// A machine that becomes faster never lowers the output of an assembly with lots and random transits.
#[test]
fn a_faster_machine_never_makes_less() {
    let made = |seconds: u64| {
        let nodes = format!(
            "{{makes: plate}}, {{name: press, makes: {{bracket: 10}}, needs: [plate], process_time: 30s}}, {{name: welder, makes: frame, needs: {{plate: 2, bracket: 4}}, process_time: 60s, count: 2}}, {{name: assembly, makes: chair, needs: {{frame: 1, bracket: 2}}, process_time: {seconds}s}}"
        );
        let lines =
            "flow: max-throughput\ndelays: {transit: {uniform: [20s, 60s]}}\nprotocol: {production: server}";
        let record = run(&nodes, "8h", lines);
        record.nodes[NodeId::new(4).index()].get(Metric::FinishedGoodsMade)
    };
    let counts = [20, 30, 40, 45, 55, 60].map(made);
    assert!(counts.windows(2).all(|pair| pair[1] <= pair[0] + pair[0] / 50), "{counts:?}");
    assert!(counts[1] >= 930, "the machines can make 960: {counts:?}");
}

#[test]
fn transport_costs_time_and_no_capacity() {
    let nodes = "{name: press, makes: {bracket: 50}, process_time: 100s}, {name: welder, makes: frame, needs: [bracket], process_time: 60s}";
    let record = run(nodes, "8h", "delays: {transit: 20min}\nprotocol: {production: server}");
    assert!(finished(&record)[0] >= 455, "{:?}", finished(&record));
}

/// Suppliers serve their consumers in the proportions of the plan, so that both final items are made alike although
/// one takes ninety times as much as the other.
#[test]
fn a_plan_is_followed() {
    let nodes =
        "{makes: iron}, {name: a, makes: pin, needs: [iron]}, {name: b, makes: anvil, needs: {iron: 90}}";
    let text = format!(
        "network: {{nodes: [{nodes}], final: [pin, anvil]}}\nduration: 5h\nflow: max-throughput\ndelays: {{transit: 1s}}\n"
    );
    let record = dmos_sim::run(&dmos_testkit::scenario(&text));
    let [pins, anvils] = [1, 2].map(|node| record.nodes[node].get(Metric::FinishedGoodsMade));
    // 18,000 batches of iron make 197.8 sets of 91.
    assert!((195..=200).contains(&pins) && (194..=198).contains(&anvils), "{pins} pins, {anvils} anvils");
}

/// Final items are made in proportion to their weights where they share a supplier, whatever the planner.
#[test]
fn the_product_mix_follows_the_weights() {
    let nodes = "{makes: s, process_time: 1s}, {makes: x, needs: [s], process_time: 1s}, {makes: y, needs: [s], process_time: 1s}";
    for (flow, transit) in [("memoized", "0s"), ("max-throughput", "1s"), ("balanced", "1min")] {
        for weights in [[1, 9], [9, 1]] {
            let [x, y] = weights;
            let text = format!(
                "network: {{nodes: [{nodes}], final: {{x: {x}, y: {y}}}}}\nduration: 5h\nflow: {flow}\ndelays: {{transit: {transit}}}\n"
            );
            let scenario = dmos_testkit::scenario(&text);
            let record = dmos_sim::run(&scenario);
            // 18,000 batches of the common input make 1,800 sets of ten.
            let made = [1, 2].map(|node| record.nodes[node].get(Metric::FinishedGoodsMade));
            for (made, weight) in made.into_iter().zip(weights) {
                let sets = made as f64 / f64::from(weight);
                assert!((1_764.0..=1_836.0).contains(&sets), "{made} of weight {weight} with {flow}");
            }
            assert!((1_764..=1_800).contains(&record.complete_sets(&scenario.network)));
        }
    }
}

/// A final item that other nodes consume leaves the factory at its planned rate.
#[test]
fn a_final_item_that_is_consumed_makes_complete_sets() {
    let nodes = "{makes: s, process_time: 1s}, {makes: x, needs: [s], process_time: 2s}, {makes: y, needs: {x: 2}, process_time: 3s}";
    for transit in ["0s", "60s"] {
        let text = format!(
            "network: {{nodes: [{nodes}], final: [x, y]}}\nduration: 10h\ndelays: {{transit: {transit}}}\n"
        );
        let record = dmos_sim::run(&dmos_testkit::scenario(&text));
        assert!(record.is_clean(), "{:#?}", record.violations);
        let made = [1, 2].map(|node| record.nodes[node].get(Metric::FinishedGoodsMade));
        // Each set takes three batches of x, so 6,000 sets are possible.
        assert!(made.iter().all(|&count| (5_880..=6_001).contains(&count)), "{made:?} with {transit}");
    }
}

/// A batch of a final item leaves the factory or is consumed, and not both, also where the flow has consumers at
/// some times and none at others.
#[test]
fn a_finished_good_is_counted_once() {
    let nodes = "{makes: ore}, {makes: x, needs: [ore], process_time: 2s}, {makes: tar, process_time: 1s}, {makes: y, needs: [x, tar], process_time: 3s}";
    let crashes = "{at: 20min, crash: tar, for: 20min}, {at: 70min, crash: tar, for: 5min}, {at: 100min, crash: x, for: 1min}";
    for model in ["server", "polled"] {
        let times = if model == "server" { nodes.to_owned() } else { nodes.replace("process_time: ", "# ") };
        let times =
            times.replace("# 2s", "cycles: 2").replace("# 1s", "cycles: 1").replace("# 3s", "cycles: 3");
        let text = format!(
            "network: {{nodes: [{times}], final: [x, y]}}\nduration: 2h\nprotocol: {{production: {model}}}\nfaults: {{script: [{crashes}]}}\n"
        );
        let record = dmos_sim::run(&dmos_testkit::scenario(&text));
        assert!(record.is_clean(), "{:#?}", record.violations);
        let [x, y] = [1, 3].map(|node| runs(&record, node));
        let finished = record.nodes[1].get(Metric::FinishedGoodsMade);
        let at_end = record.item_series[record.item_series.len() - 4 + 1];
        let elsewhere = at_end.output + at_end.in_transit + at_end.input;
        assert_eq!(x, finished + y + elsewhere, "{model}: {x} made, {finished} finished, {y} consumed");
        assert!(finished > 500 && y > 500, "{finished} {y}");
    }
}

/// Messages that move material: requests, refusals and confirmations of single batches were 452 for each door.
#[test]
fn few_messages_move_material() {
    let scenario = dmos_testkit::load("scenarios/door-factory-failures.yaml");
    let kinds = [Metric::OrderSent, Metric::OrderAckSent, Metric::ShipmentSent, Metric::ShipmentAckSent];
    let (mut messages, mut doors) = (0, 0);
    for seed in 1..=10 {
        let record = dmos_sim::run(&Scenario { seed, ..scenario.clone() });
        let total = |metric: Metric| record.nodes.iter().map(|node| node.get(metric)).sum::<u64>();
        messages += kinds.into_iter().map(total).sum::<u64>();
        doors += total(Metric::FinishedGoodsMade);
    }
    assert!(messages * 3 <= doors * 452, "{messages} messages for {doors} doors");
}

/// Shipments take the transit time of their route and messages its delay, in each direction.
#[test]
fn transport_takes_the_time_of_its_route() {
    let nodes = "{makes: a, site: x, process_time: 10s}, {makes: b, needs: [a], site: y, process_time: 20s}, {makes: c, needs: [b], process_time: 30s}";
    let routes = "{from: x, to: y, transit: 5min, message: 7s}, {from: y, to: x, transit: 1h, message: 2s}";
    let made = |seconds: u64| {
        let lines = format!(
            "flow: memoized\nleader: last-writer\ndelays: {{message: 0s, transit: 40s}}\nprotocol: {{heartbeat: 1h, suspect_after: 2h}}\nsites: {{routes: [{routes}]}}"
        );
        run(nodes, &format!("{seconds}s"), &lines)
    };
    // The assignment of a comes at once from c, which is at no site; its first batch is made at 10 s. The order
    // from b has arrived before, and the announcement takes 7 s. The shipment arrives at b after 317 s.
    let first = |node: usize, at: u64| {
        let [before, after] = [at - 1, at + 1].map(|seconds| runs(&made(seconds), node));
        assert_eq!((before, after), (0, 1), "the first batch of node {node} at {at} s");
    };
    first(1, 337);
    first(2, 407);
}
