//! Golden values: every scenario of the repository, on two seeds, against `golden.csv`.
//!
//! The values were recorded under their names at that time. A metric or scenario that has been renamed since is
//! looked up in [`RENAMED`]; the values themselves must be equal, digit for digit. An intended change of behaviour is
//! recorded with `DMOS_UPDATE_GOLDEN=1 cargo test -p dmos-cli --test golden`, and its commit says why.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Names as recorded and at present, in addition to the former names that users get suggestions for.
const RENAMED: &[(&str, &str)] = &[
    ("time_to_detect_spells", "time_to_detect_episodes"),
    ("time_to_replan_spells", "time_to_replan_episodes"),
    ("time_to_survive_spells", "time_to_survive_episodes"),
    ("time_to_recover_spells", "time_to_recover_episodes"),
    ("goods.made", "material.made"),
    ("goods.in_stock", "material.in_stock"),
    ("goods.under_way", "material.in_transit"),
    ("goods.received", "material.received"),
    ("goods.consumed", "material.consumed"),
    ("goods.scrapped", "material.scrapped"),
    ("goods.lost", "material.lost"),
    ("goods.consumed_twice", "material.consumed_twice"),
    ("goods.stranded", "material.stranded"),
    (
        "scenarios/regressions/a-candidate-is-left-out-of-the-ring.yaml",
        "scenarios/regressions/ring-excludes-live-candidate.yaml",
    ),
    ("scenarios/regressions/a-consumer-starves.yaml", "scenarios/regressions/consumer-starvation.yaml"),
    (
        "scenarios/regressions/a-frozen-node-crashes-on-a-shared-host.yaml",
        "scenarios/regressions/crash-of-frozen-node-on-shared-cpu.yaml",
    ),
    (
        "scenarios/regressions/a-late-part-of-the-same-term.yaml",
        "scenarios/regressions/stale-assignment-of-same-term.yaml",
    ),
    (
        "scenarios/regressions/a-maker-alone-is-watched.yaml",
        "scenarios/regressions/isolated-producer-not-monitored.yaml",
    ),
    (
        "scenarios/regressions/a-new-leader-hears-of-old-orders.yaml",
        "scenarios/regressions/new-leader-ignores-retirement.yaml",
    ),
    (
        "scenarios/regressions/a-recipe-changes-and-its-node-dies.yaml",
        "scenarios/regressions/recipe-change-before-crash.yaml",
    ),
    (
        "scenarios/regressions/an-order-is-lost-with-its-append.yaml",
        "scenarios/regressions/command-lost-with-failed-append.yaml",
    ),
    (
        "scenarios/regressions/another-producer-of-the-final-item.yaml",
        "scenarios/regressions/alternative-final-producer.yaml",
    ),
    (
        "scenarios/regressions/numbers-of-another-consumer.yaml",
        "scenarios/regressions/serial-numbers-of-other-consumer.yaml",
    ),
    ("scenarios/regressions/orders-on-a-board.yaml", "scenarios/regressions/commands-on-blackboard.yaml"),
    (
        "scenarios/regressions/supplier-and-consumer-die-together.yaml",
        "scenarios/regressions/joint-failure-of-supplier-and-consumer.yaml",
    ),
    (
        "scenarios/regressions/the-end-comes-in-the-middle-of-an-append.yaml",
        "scenarios/regressions/run-ends-during-append.yaml",
    ),
    (
        "scenarios/regressions/two-leaders-outbid-each-other.yaml",
        "scenarios/regressions/bully-leaders-outbid-each-other.yaml",
    ),
    ("scenarios/two-ways.yaml", "scenarios/alternative-recipes.yaml"),
    ("scenarios/dead-source.yaml", "scenarios/source-failure.yaml"),
];

/// Maximum number of differences that a failure lists.
const SHOWN: usize = 20;

/// Seeds that are run of every scenario.
const SEEDS: [u64; 2] = [1, 2];

/// Values by scenario file, seed and metric.
type Golden = BTreeMap<(String, u64, String), String>;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository's root")
}

/// Runs the binary from the repository's root and returns what it prints.
fn dmos(arguments: &[&str]) -> String {
    let command = Command::new(env!("CARGO_BIN_EXE_dmos")).args(arguments).current_dir(repository()).output();
    let output = command.expect("the binary runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Returns the paths of all scenario files, relative to the repository's root.
fn scenarios() -> Vec<String> {
    let mut paths = Vec::new();
    for folder in ["scenarios", "scenarios/seed", "scenarios/regressions"] {
        for entry in fs::read_dir(repository().join(folder)).expect("the folder") {
            let name = entry.expect("a directory entry").file_name().into_string().expect("UTF-8");
            if name.ends_with(".yaml") {
                paths.push(format!("{folder}/{name}"));
            }
        }
    }
    paths.sort_unstable();
    paths
}

/// Number of columns of strategies, between the case and the seed.
const STRATEGIES: usize = 3;

/// Adds the comparable metrics of one scenario: one row for each seed, one column for each metric.
fn add_metrics(golden: &mut Golden, path: &str, seeds: &str) {
    let runs = dmos(&["compare", path, "--flow", "own", "--seeds", seeds, "--format", "runs"]);
    let mut rows = runs.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    let header = rows.next().expect("a header");
    for row in rows {
        assert_eq!(row.len(), header.len(), "{path}: a value has a comma");
        let seed = row[STRATEGIES + 1].parse().expect("a seed");
        for (metric, value) in header.iter().zip(&row).skip(STRATEGIES + 2) {
            golden.insert((path.to_owned(), seed, metric.clone()), value.clone());
        }
    }
}

/// Adds the number of events and the audit of material, which tell runs apart that agree in all metrics.
fn add_totals(golden: &mut Golden, path: &str, seed: u64) {
    let printed = dmos(&["run", path, "--seed", &seed.to_string(), "--format", "json"]);
    let run: Value = serde_json::from_str(&printed).expect("JSON");
    golden.insert((path.to_owned(), seed, "events".to_owned()), run["events"].to_string());
    for (name, value) in run["material"].as_object().expect("the audit of material") {
        golden.insert((path.to_owned(), seed, format!("material.{name}")), value.to_string());
    }
}

fn measured() -> Golden {
    let mut golden = Golden::new();
    let seeds = format!("{}..{}", SEEDS[0], SEEDS[SEEDS.len() - 1]);
    for path in scenarios() {
        add_metrics(&mut golden, &path, &seeds);
        SEEDS.iter().for_each(|&seed| add_totals(&mut golden, &path, seed));
    }
    golden
}

/// Reads the recorded values, under the present names.
fn recorded(path: &Path) -> Golden {
    let renamed = dmos_scenario::renamed::RENAMED.iter().chain(RENAMED).copied().collect::<BTreeMap<_, _>>();
    let today = |name: &str| (*renamed.get(name).unwrap_or(&name)).to_owned();
    let text = fs::read_to_string(path).expect("the recorded values");
    let row = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        let [scenario, seed, metric, value] = fields[..] else { panic!("not a row: {line}") };
        ((today(scenario), seed.parse().expect("a seed"), today(metric)), value.to_owned())
    };
    text.lines().skip(1).map(row).collect()
}

#[test]
fn every_scenario_gives_the_recorded_values() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden.csv");
    let measured = measured();
    if std::env::var_os("DMOS_UPDATE_GOLDEN").is_some() {
        let row = |((scenario, seed, metric), value): (&(String, u64, String), &String)| {
            format!("{scenario},{seed},{metric},{value}\n")
        };
        let rows: String = measured.iter().map(row).collect();
        fs::write(&path, format!("scenario,seed,metric,value\n{rows}")).expect("the file is written");
        return;
    }
    let recorded = recorded(&path);
    let missing: Vec<_> = recorded.keys().filter(|key| !measured.contains_key(*key)).take(SHOWN).collect();
    assert!(missing.is_empty(), "recorded but no longer reported: {missing:?}");
    let differs = |(key, value): (&(String, u64, String), &String)| {
        let now = &measured[key];
        (now != value).then(|| format!("{key:?}: {value} recorded, now {now}"))
    };
    let different: Vec<String> = recorded.iter().filter_map(differs).collect();
    assert!(
        different.is_empty(),
        "{} values differ, among them:\n{}",
        different.len(),
        different[..different.len().min(SHOWN)].join("\n")
    );
}
