//! What planning costs, on the network that made the prototype's search famous and on one far smaller.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn json(arguments: &[&str]) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new(env!("CARGO_BIN_EXE_dmos")).current_dir(root).args(arguments).output();
    serde_json::from_slice(&output.expect("the binary runs").stdout).expect("JSON")
}

/// The flow strategies that promise linear time.
fn linear() -> Vec<String> {
    let strategies = json(&["strategies", "--format", "json"]);
    let strategies = strategies.as_array().expect("a list").iter();
    let promises = |strategy: &&Value| {
        let promises = strategy["promises"].as_array().expect("a list");
        promises.iter().any(|promise| promise == "a plan takes linear time")
    };
    strategies
        .filter(promises)
        .map(|strategy| strategy["name"].as_str().expect("a name").to_owned())
        .collect()
}

/// The longest plan, and when the first flow was in force after `since`, in seconds.
fn planning(scenario: &str, flow: &str, since: f64) -> (f64, f64) {
    let run = json(&["run", scenario, "--flow", flow, "--format", "json"]);
    let plans = run["plans"].as_array().expect("plans");
    let number = |plan: &Value, field: &str| plan[field].as_f64().expect("a number");
    let longest = plans.iter().map(|plan| number(plan, "took_s")).fold(0.0, f64::max);
    let there = plans.iter().filter(|plan| !plan["edges"].is_null() && number(plan, "at_s") > since);
    (longest, there.map(|plan| number(plan, "at_s")).fold(f64::INFINITY, f64::min))
}

#[test]
fn the_search_stalls_its_factory_and_no_linear_planner_does() {
    let linear = linear();
    assert!(linear.len() >= 9, "{linear:?}");
    let large = "scenarios/seed/large-no-fail.yaml";
    let small = "scenarios/dead-source.yaml";
    let (longest, there) = planning(large, "exhaustive", 0.0);
    assert!(longest > 400.0 && there > 400.0, "at 20 items: {longest} s, a flow after {there} s");
    // Its source is back after 80 s.
    let (longest, there) = planning(small, "exhaustive", 80.0);
    assert!(longest > 30.0 && there > 110.0, "without a source: {longest} s, a flow after {there} s");
    for flow in linear {
        let (longest, there) = planning(large, &flow, 0.0);
        assert!(longest < 0.1 && there < 10.0, "{flow}, at 20 items: {longest} s, a flow after {there} s");
        let (longest, there) = planning(small, &flow, 80.0);
        assert!(
            longest < 1.0 && there < 82.0,
            "{flow}, without a source: {longest} s, a flow after {there} s"
        );
    }
}
