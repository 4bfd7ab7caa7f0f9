//! `dmos check`: validates scenario and experiment files without running them.

use std::path::Path;

use dmos_core::Registry;
use dmos_experiment::{Experiment, Options};
use dmos_scenario::{LoadedExperiment, Override};

use crate::args::CheckArguments;
use crate::commands::{load, warn};
use crate::error::CliError;
use crate::output::{eprint_message, print};

pub(crate) fn run(arguments: &CheckArguments, registry: &Registry) -> Result<(), CliError> {
    let overrides = arguments.changes.overrides();
    let mut last_failure = None;
    for path in &arguments.scenarios {
        match check(path, &overrides, registry) {
            Ok(words) => print(&format!("{}: {words}\n", path.display()))?,
            // All files are checked; every error but the last is printed here.
            Err(failure) => {
                if let Some(earlier) = last_failure.replace(failure) {
                    eprint_message(&format!("{earlier}\n"));
                }
            }
        }
    }
    last_failure.map_or(Ok(()), Err)
}

/// Checks a file and returns a description of its content.
fn check(path: &Path, overrides: &[Override], registry: &Registry) -> Result<String, CliError> {
    if dmos_scenario::read_text(path).is_ok_and(|text| LoadedExperiment::is_experiment(&text)) {
        let options = Options { settings: overrides.to_vec(), ..Options::default() };
        let read = Experiment::read(&[path.to_owned()], options, registry)?;
        warn(&read.warnings);
        return Ok(dmos_report::comparison::size(read.prepared.axes()));
    }
    let scenario = load(path, overrides, registry)?.scenario;
    let (nodes, items) = (scenario.network.node_count(), scenario.network.item_count());
    Ok(format!("{nodes} nodes, {items} items, {}", scenario.duration))
}
