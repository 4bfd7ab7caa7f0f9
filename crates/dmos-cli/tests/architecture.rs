//! The table of crates in ARCHITECTURE.md agrees with the dependencies of the workspace.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Crates of the project by name, each with the crates of the project on which it depends.
type Dependencies = BTreeMap<String, BTreeSet<String>>;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Reads the table: names in the third column are written without their prefix.
fn documented() -> Dependencies {
    let text = fs::read_to_string(repository().join("ARCHITECTURE.md")).expect("the document");
    let (_, rest) = text.split_once("<!-- crates: begin -->\n").expect("the start of the table");
    let (table, _) = rest.split_once("<!-- crates: end -->").expect("the end of the table");
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let names = cells[2].split(',').map(str::trim).filter(|name| !name.is_empty());
        (cells[0].trim_matches('`').to_owned(), names.map(|name| format!("dmos-{name}")).collect())
    };
    table.lines().skip(2).map(row).collect()
}

/// Asks cargo for the dependencies of every crate below `crates`, without those of tests.
fn actual() -> Dependencies {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(repository())
        .output();
    let metadata: Value = serde_json::from_slice(&metadata.expect("cargo runs").stdout).expect("JSON");
    let folder = repository().canonicalize().expect("the repository").join("crates");
    let is_published = |package: &&Value| {
        let manifest = package["manifest_path"].as_str().expect("a path");
        Path::new(manifest).starts_with(&folder)
    };
    let row = |package: &Value| {
        let name = |value: &Value| value["name"].as_str().expect("a name").to_owned();
        let dependencies = package["dependencies"].as_array().expect("a list").iter();
        let of_project = dependencies.filter(|dependency| dependency["kind"].is_null()).map(name);
        (name(package), of_project.filter(|name| name.starts_with("dmos-")).collect())
    };
    metadata["packages"].as_array().expect("packages").iter().filter(is_published).map(row).collect()
}

#[test]
fn the_documented_dependencies_are_the_actual_ones() {
    let (documented, actual) = (documented(), actual());
    assert!(actual.len() > 10, "{actual:?}");
    for (name, dependencies) in &actual {
        assert_eq!(documented.get(name), Some(dependencies), "the row of `{name}` in ARCHITECTURE.md");
    }
    assert_eq!(documented.len(), actual.len(), "ARCHITECTURE.md lists a crate that does not exist");
}
