//! The documentation says what the code does.
//!
//! `DMOS_UPDATE_DOCS=1 cargo test -p dmos-cli --test docs` writes the parts that are made from the code.

use std::fs;
use std::path::{Path, PathBuf};

use dmos_core::Metric;
use dmos_core::faults::{ClockFaults, DiskFaults, GoodsInCrash, Operator};
use dmos_core::settings::{Protocol, Work};

fn page(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(page(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

const BEGIN: &str = "<!-- made from the code: begin -->\n";
const END: &str = "<!-- made from the code: end -->\n";

#[test]
fn every_metric_is_defined() {
    let row = |metric: &Metric| {
        let (name, unit, by) = (metric.name(), metric.unit().word(), metric.reported_by().words());
        format!("| `{name}` | {unit} | {by} | {} |\n", metric.definition())
    };
    let rows: String = Metric::ALL.iter().map(row).collect();
    let table =
        format!("| metric | unit | reported by | what it counts, and when |\n|---|---|---|---|\n{rows}");
    let old = read("docs/metrics.md");
    let (before, rest) = old.split_once(BEGIN).expect("the page has a place for the table");
    let (_, after) = rest.split_once(END).expect("the place has an end");
    let new = format!("{before}{BEGIN}{table}{END}{after}");
    if std::env::var_os("DMOS_UPDATE_DOCS").is_some() {
        fs::write(page("docs/metrics.md"), &new).expect("written");
    }
    assert_eq!(read("docs/metrics.md"), new, "the page is out of date: see the head of this test");
}

#[test]
fn every_setting_is_explained_with_its_default() {
    let text = read("docs/scenarios.md");
    let protocol = serde_json::to_value(Protocol::default()).expect("JSON");
    let work = serde_json::to_value(Work::default()).expect("JSON");
    let operator = serde_json::to_value(Operator::default()).expect("JSON");
    let disks = serde_json::to_value(DiskFaults::default()).expect("JSON");
    let clocks = serde_json::to_value(ClockFaults::default()).expect("JSON");
    let goods = serde_json::to_value(GoodsInCrash::default()).expect("JSON");
    for settings in [protocol, work, operator, disks, clocks, goods] {
        for (field, default) in settings.as_object().expect("fields") {
            let default = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
            let row = format!("| `{field}` | `{default}` |");
            assert!(text.contains(&row), "docs/scenarios.md has no row that begins {row}");
        }
    }
}

#[test]
fn the_readmes_commands_are_those_that_ci_runs() {
    let (readme, ci) = (read("README.md"), read(".ci/run"));
    let commands: Vec<_> = readme.lines().filter(|line| line.starts_with("cargo ")).collect();
    assert!(commands.len() >= 2, "{commands:?}");
    for command in &commands[..2] {
        assert!(ci.lines().any(|line| line.trim() == *command), "CI does not run `{command}`");
    }
}
