//! The documentation agrees with the code.
//!
//! `DMOS_UPDATE_DOCS=1 cargo test -p dmos-cli --test docs` writes the generated parts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dmos_compare::{Better, RunMetric};
use dmos_core::faults::{ClockFaults, DiskFaults, MaterialInCrash, OpGenerator};
use dmos_core::settings::{Protocol, Work};
use dmos_core::{Metric, Property};
use dmos_node::lifecycle::{BATCH, NONE, ORDER, Transition};
use serde_json::Value;

fn page(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(page(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

const BEGIN: &str = "<!-- generated from the code: begin -->\n";
const END: &str = "<!-- generated from the code: end -->\n";

/// Asserts that the generated part of a page equals `generated`.
#[track_caller]
fn check_generated(name: &str, generated: &str) {
    let old = read(name);
    let (before, rest) = old.split_once(BEGIN).expect("the page has a generated part");
    let (_, after) = rest.split_once(END).expect("the generated part has an end");
    let new = format!("{before}{BEGIN}{generated}{END}{after}");
    if std::env::var_os("DMOS_UPDATE_DOCS").is_some() {
        fs::write(page(name), &new).expect("the file is written");
    }
    assert!(read(name) == new, "{name} is out of date: see the head of this test");
}

#[test]
fn every_metric_is_defined() {
    let row = |metric: &Metric| {
        let (name, unit, by) = (metric.name(), metric.unit().name(), metric.reported_by().description());
        format!("| `{name}` | {unit} | {by} | {} |\n", metric.definition())
    };
    let rows: String = Metric::ALL.iter().map(row).collect();
    let head = "| metric | unit | reported by | definition |\n|---|---|---|---|\n";
    check_generated("docs/metrics.md", &format!("{head}{rows}"));
}

#[test]
fn every_run_metric_is_defined() {
    let row = |metric: &RunMetric| {
        let better = match metric.better() {
            Better::More => "more",
            Better::Less => "less",
            Better::Neither => "",
        };
        let (name, unit) = (metric.name(), metric.unit());
        format!("| `{name}` | {unit} | {better} | {} | {} |\n", metric.definition(), metric.source())
    };
    let rows: String = RunMetric::ALL.iter().map(row).collect();
    let head = "| metric | unit | better | definition | source |\n|---|---|---|---|---|\n";
    check_generated("docs/comparing.md", &format!("{head}{rows}"));
}

#[test]
fn every_property_is_defined() {
    let row = |property: &Property| {
        let kind = serde_json::to_value(property.kind()).expect("JSON");
        let kind = kind.as_str().expect("a word").to_owned();
        format!("| `{}` | {kind} | {} |\n", property.name(), property.definition())
    };
    let rows: String = Property::ALL.iter().map(row).collect();
    check_generated("docs/auditing.md", &format!("| property | kind | definition |\n|---|---|---|\n{rows}"));
}

/// Returns a state diagram in the language of Mermaid.
fn diagram(transitions: &[Transition]) -> String {
    let mut states: Vec<&str> =
        transitions.iter().flat_map(|transition| [transition.from, transition.to]).collect();
    states.retain(|state| *state != NONE);
    states.sort_unstable();
    states.dedup();
    let id = |state: &str| if state == NONE { "[*]".to_owned() } else { state.replace(' ', "_") };
    let names = states.iter().map(|state| format!("    state \"{state}\" as {}\n", id(state)));
    let edges = transitions.iter().map(|transition| {
        format!("    {} --> {}: {}\n", id(transition.from), id(transition.to), transition.event)
    });
    let is_last = |state: &&&str| transitions.iter().all(|transition| transition.from != **state);
    let ends = states.iter().filter(is_last).map(|state| format!("    {} --> [*]\n", id(state)));
    let lines: String = names.chain(edges).chain(ends).collect();
    format!("```mermaid\nstateDiagram-v2\n{lines}```\n")
}

#[test]
fn the_state_diagrams_are_current() {
    let text = format!("## A batch\n\n{}\n## An order\n\n{}", diagram(BATCH), diagram(ORDER));
    check_generated("docs/lifecycle.md", &text);
}

/// A variant of a scenario: its name in the table, and its settings.
type Variant = (String, Vec<String>);

/// Returns the runs of a variant, over twenty seeds.
fn runs(scenario: &str, variant: &Variant) -> Vec<Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dmos"));
    command
        .current_dir(page("."))
        .args(["run", scenario, "--seed", "1..20", "--format", "json"])
        .args(&variant.1);
    let output = command.output().expect("the binary runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn variants() -> Vec<Variant> {
    let mut variants = vec![("the prototype's protocol".to_owned(), vec![])];
    let registry = dmos_testkit::registry();
    for leader in registry.leaders() {
        let set = ["--set", "protocol={}", "--flow", "memoized", "--leader", leader.name];
        variants.push((format!("default, `{}`", leader.name), set.map(str::to_owned).to_vec()));
    }
    variants
}

/// Returns the metrics of a run that the table shows.
fn metrics(run: &Value) -> Vec<(&'static str, f64)> {
    // A metric that no node reports has no value.
    let sum = |metric: &str| -> f64 {
        let nodes = run["nodes"].as_object().expect("a list of nodes");
        let values: Vec<f64> = nodes.values().filter_map(|node| node[metric].as_f64()).collect();
        if values.is_empty() { f64::NAN } else { values.iter().sum() }
    };
    let mean = |metric: &str| run["metrics"][metric]["mean"].as_f64().unwrap_or(f64::NAN);
    let crashes = run["fault_counts"]
        .as_array()
        .expect("a list of counts")
        .iter()
        .find(|count| count["kind"] == "crash");
    let violations = run["violations"].as_array().map_or(0, Vec::len);
    vec![
        ("finished goods", run["finished_goods"].as_f64().unwrap_or(0.0)),
        ("batches made", run["material"]["made"].as_f64().unwrap_or(0.0)),
        ("crashes", crashes.map_or(0.0, |count| count["effective"].as_f64().unwrap_or(0.0))),
        ("total_manufacture_cycles, mean", mean("total_manufacture_cycles")),
        ("successful_manufacture_cycles", sum("successful_manufacture_cycles")),
        ("skipped_manufacture_cycles", sum("skipped_manufacture_cycles")),
        ("batches_requested", sum("batches_requested")),
        ("batches_received", sum("batches_received")),
        ("batches_delivered", sum("batches_delivered")),
        ("batch_unavailable_messages_sent", sum("batch_unavailable_messages_sent")),
        ("InformLeaderOfDeathReq_sent", sum("InformLeaderOfDeathReq_sent")),
        ("plans_computed", sum("plans_computed")),
        ("sent_messages", sum("sent_messages")),
        ("heartbeats_sent", sum("heartbeats_sent")),
        ("inbound_wal_size, mean", mean("inbound_wal_size")),
        ("outbound_wal_size, mean", mean("outbound_wal_size")),
        ("outbound_material_buildup, mean", mean("outbound_material_buildup")),
        ("wal_recovered_inbound_batches", sum("wal_recovered_inbound_batches")),
        ("wal_recovered_outbound_batches", sum("wal_recovered_outbound_batches")),
        ("wal_ghost_inbound_batches", sum("wal_ghost_inbound_batches")),
        ("wal_ghost_outbound_batches", sum("wal_ghost_outbound_batches")),
        ("batches lost", run["material"]["lost"].as_f64().unwrap_or(0.0)),
        ("batches consumed twice", run["material"]["consumed_twice"].as_f64().unwrap_or(0.0)),
        ("violations", violations as f64),
    ]
}

/// Returns a table of mean metrics for each variant.
fn failure_table(scenario: &str) -> String {
    let variants = variants();
    let columns: Vec<Vec<(&str, f64)>> = variants
        .iter()
        .map(|variant| {
            let runs = runs(scenario, variant);
            assert_eq!(runs.len(), 20, "{scenario}, {}", variant.0);
            let mut sums = metrics(&runs[0]);
            for run in &runs[1..] {
                sums.iter_mut().zip(metrics(run)).for_each(|(sum, metric)| sum.1 += metric.1);
            }
            sums.iter_mut().for_each(|sum| sum.1 /= runs.len() as f64);
            sums
        })
        .collect();
    let names: Vec<_> = variants.iter().map(|variant| variant.0.as_str()).collect();
    let mut table = format!("| | {} |\n|---|{}\n", names.join(" | "), "---|".repeat(names.len()));
    for (row, (name, _)) in columns[0].iter().enumerate() {
        let cell = |value: f64| if value.is_nan() { "–".to_owned() } else { format!("{value:.1}") };
        let cells: Vec<_> = columns.iter().map(|column| cell(column[row].1)).collect();
        table.push_str(&format!("| {name} | {} |\n", cells.join(" | ")));
    }
    table
}

#[test]
fn the_failure_tables_are_current() {
    let table =
        |name: &str| format!("## {name}\n\n{}\n", failure_table(&format!("scenarios/seed/{name}.yaml")));
    check_generated("docs/failures.md", &(table("small-low-failure") + &table("med-low-fail")));
}

/// Returns a table of a family's strategies, from their descriptors.
fn descriptor_table(family: &str, strategies: &[Value]) -> String {
    let word = |strategy: &Value, field: &str| strategy[field].as_str().expect("text").to_owned();
    let row = |strategy: &Value| {
        let parameters = strategy["parameters"].as_array().expect("a list of parameters").iter();
        let parameters: Vec<_> = parameters
            .map(|parameter| format!("`{}`: {}", word(parameter, "name"), word(parameter, "values")))
            .collect();
        let words = ["summary", "notes", "source"].map(|field| word(strategy, field));
        format!("| `{}` | {} | {} |\n", word(strategy, "name"), words.join(" | "), parameters.join("; "))
    };
    let rows: String = strategies.iter().filter(|strategy| strategy["family"] == family).map(row).collect();
    let title =
        if family == "detector" { "failure detector".to_owned() } else { format!("{family} strategy") };
    format!(
        "| {title} | summary | guarantees and complexity | source | parameters |\n|---|---|---|---|---|\n{rows}"
    )
}

/// Returns a table of the results of each flow strategy on a scenario: means over twenty seeds.
fn flow_table(scenario: &str, strategies: &[Value]) -> String {
    let flows =
        strategies.iter().filter(|strategy| strategy["family"] == "flow" && strategy["name"] != "exec");
    let row = |flow: &Value| {
        let name = flow["name"].as_str().expect("a name");
        let runs = runs(scenario, &(name.to_owned(), vec!["--flow".to_owned(), name.to_owned()]));
        assert_eq!(runs.len(), 20, "{scenario}, {name}");
        let total = |metric: &dyn Fn(&Value) -> f64| runs.iter().map(metric).sum::<f64>();
        let metric = |metric: &'static str| {
            total(&|run| {
                let nodes = run["nodes"].as_object().expect("a list of nodes");
                nodes.values().filter_map(|node| node[metric].as_f64()).sum()
            })
        };
        let finals = total(&|run| run["finished_goods"].as_f64().expect("a number"));
        let plans = metric("plans_computed");
        format!(
            "| `{name}` | {:.1} | {:.0} | {:.0} | {:.1} | {:.0} |\n",
            finals / 20.0,
            total(&|run| run["material"]["made"].as_f64().expect("a number")) / 20.0,
            metric("sent_messages") / finals,
            plans / 20.0,
            metric("planning_steps") / plans,
        )
    };
    let rows: String = flows.map(row).collect();
    let head = "| finished goods | batches made | messages per finished good | plans | steps per plan |";
    format!("`{scenario}`:\n\n| flow strategy {head}\n|---|---|---|---|---|---|\n{rows}")
}

#[test]
fn every_strategy_is_described_and_measured() {
    let output = Command::new(env!("CARGO_BIN_EXE_dmos")).args(["strategies", "--format", "json"]).output();
    let strategies: Vec<Value> =
        serde_json::from_slice(&output.expect("the binary runs").stdout).expect("a list in JSON");
    let parts = [
        descriptor_table("flow", &strategies),
        descriptor_table("leader", &strategies),
        descriptor_table("detector", &strategies),
        flow_table("scenarios/alternative-recipes.yaml", &strategies),
        flow_table("scenarios/door-factory-failures.yaml", &strategies),
    ];
    check_generated("docs/strategies.md", &parts.map(|part| part + "\n").concat());
}

#[test]
fn every_setting_is_documented_with_its_default() {
    let text = read("docs/scenarios.md");
    let protocol = serde_json::to_value(Protocol::default()).expect("JSON");
    let work = serde_json::to_value(Work::default()).expect("JSON");
    let op_generator = serde_json::to_value(OpGenerator::default()).expect("JSON");
    let disks = serde_json::to_value(DiskFaults::default()).expect("JSON");
    let clocks = serde_json::to_value(ClockFaults::default()).expect("JSON");
    let material = serde_json::to_value(MaterialInCrash::default()).expect("JSON");
    for settings in [protocol, work, op_generator, disks, clocks, material] {
        for (field, default) in settings.as_object().expect("a map of fields") {
            let default = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
            let row = format!("| `{field}` | `{default}` |");
            assert!(text.contains(&row), "docs/scenarios.md has no row that starts with {row}");
        }
    }
}

/// Returns the text of all Rust files below a folder, and their names.
fn rust_sources(folder: &Path, names: &mut Vec<String>, text: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("a directory entry").path();
        if path.is_dir() {
            rust_sources(&path, names, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            names.push(path.file_name().expect("a name").to_string_lossy().into_owned());
            text.push_str(&fs::read_to_string(&path).expect("UTF-8"));
        }
    }
}

#[test]
fn the_glossary_names_existing_places() {
    let (mut names, mut sources) = (Vec::new(), String::new());
    rust_sources(&page("crates"), &mut names, &mut sources);
    let glossary = read("docs/glossary.md");
    let rows = glossary.lines().filter(|line| line.starts_with("| ") && line.contains('`'));
    let mut checked = 0;
    for place in rows.flat_map(|row| row.split('`').skip(1).step_by(2)) {
        let words = place.split(|letter: char| !(letter.is_alphanumeric() || "_-.".contains(letter)));
        for word in words.filter(|word| !word.is_empty()) {
            let is_file = names.iter().any(|name| name == word);
            // A path of fields is named in parts.
            let is_known = |part: &str| sources.contains(part) || page("crates").join(part).exists();
            let parts = word.split('.').filter(|part| !part.is_empty());
            assert!(
                is_file || parts.into_iter().all(is_known),
                "`{word}` of `{place}` is not in the sources"
            );
            checked += 1;
        }
    }
    assert!(checked > 60, "{checked}");
}

#[test]
fn every_scripted_fault_is_documented() {
    let text = read("docs/scenarios.md");
    for form in dmos_scenario::script::ScriptField::FORMS {
        let row = format!("| `{}: ", form.key);
        assert!(text.contains(&row), "docs/scenarios.md has no row that starts with {row}");
    }
}

#[test]
fn ci_runs_the_commands_of_the_readme() {
    let (readme, ci) = (read("README.md"), read(".ci/run"));
    let commands: Vec<_> = readme.lines().filter(|line| line.starts_with("cargo ")).collect();
    assert!(commands.len() >= 2, "{commands:?}");
    for command in &commands[..2] {
        assert!(ci.lines().any(|line| line.trim() == *command), "CI does not run `{command}`");
    }
}
