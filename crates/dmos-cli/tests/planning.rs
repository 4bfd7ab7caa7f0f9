//! The cost of planning, on the network on which the prototype's search is slowest, and on a far smaller one.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn json(arguments: &[&str]) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new(env!("CARGO_BIN_EXE_dmos")).current_dir(root).args(arguments).output();
    serde_json::from_slice(&output.expect("the binary runs").stdout).expect("JSON")
}

/// Returns all flow strategies except the prototype's search and those with a required parameter.
fn others() -> Vec<String> {
    let strategies = json(&["strategies", "--format", "json"]);
    let flows = strategies.as_array().expect("a list").iter().filter(|strategy| strategy["family"] == "flow");
    let names = flows.map(|strategy| strategy["name"].as_str().expect("a name").to_owned());
    names.filter(|name| !["exhaustive", "exec"].contains(&&name[..])).collect()
}

/// Returns the duration of the longest plan, and the time of the first flow activated after `since`, in
/// seconds.
fn planning(scenario: &str, flow: &str, since: f64) -> (f64, f64) {
    let run = json(&["run", scenario, "--flow", flow, "--format", "json"]);
    let plans = run["plans"].as_array().expect("a list of plans");
    let number = |plan: &Value, field: &str| plan[field].as_f64().expect("a number");
    let longest = plans.iter().map(|plan| number(plan, "duration_s")).fold(0.0, f64::max);
    let there = plans.iter().filter(|plan| !plan["edges"].is_null() && number(plan, "at_s") > since);
    (longest, there.map(|plan| number(plan, "at_s")).fold(f64::INFINITY, f64::min))
}

#[test]
fn only_the_exhaustive_search_stalls_its_factory() {
    let others = others();
    assert!(others.len() >= 10, "{others:?}");
    let large = "scenarios/seed/large-no-fail.yaml";
    let small = "scenarios/source-failure.yaml";
    let (longest, there) = planning(large, "exhaustive", 0.0);
    assert!(longest > 400.0 && there > 400.0, "at 20 items: {longest} s, a flow after {there} s");
    // Its source recovers after 80 s; a plan follows the one before after at least a heartbeat interval of 3 s.
    let (longest, there) = planning(small, "exhaustive", 80.0);
    assert!(longest > 30.0 && there > 110.0, "without a source: {longest} s, a flow after {there} s");
    for flow in others {
        let (longest, there) = planning(large, &flow, 0.0);
        assert!(longest < 0.1 && there < 10.0, "{flow}, at 20 items: {longest} s, a flow after {there} s");
        let (longest, there) = planning(small, &flow, 80.0);
        assert!(
            longest < 1.0 && there < 84.0,
            "{flow}, without a source: {longest} s, a flow after {there} s"
        );
    }
}

#[test]
fn runs_approach_the_rate_of_max_throughput() {
    for (scenario, seconds) in
        [("scenarios/alternative-recipes.yaml", 1_800.0), ("scenarios/door-factory.yaml", 3_600.0)]
    {
        let still = ["--set", "faults={}", "--flow", "max-throughput", "--format", "json"];
        let plan = json(&[&["plan", scenario], &still[..]].concat());
        let per_hour = plan["sets_per_hour"].as_f64().expect("a number");
        let bound = per_hour * seconds / 3_600.0;
        let long = format!("{seconds}s");
        let run = |flow: &str| {
            let run = [
                "run",
                scenario,
                "--set",
                "faults={}",
                "--duration",
                &long,
                "--flow",
                flow,
                "--format",
                "json",
            ];
            json(&run)["complete_sets"].as_f64().expect("a number")
        };
        let made = run("max-throughput");
        assert!(made <= bound && made > 0.85 * bound, "{scenario}: {made} of {bound}");
        // No strategy does much better: buffers are filled at the start, and there are more of them here.
        for flow in others() {
            assert!(run(&flow) <= made * 1.1, "{scenario}: `{flow}` makes more");
        }
    }
}
