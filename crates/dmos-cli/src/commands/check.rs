//! `dmos check`: validates scenarios without running them.

use dmos_core::Registry;

use crate::args::CheckArguments;
use crate::commands::load;
use crate::failure::Failure;
use crate::output::{print, say};

pub(crate) fn run(arguments: &CheckArguments, registry: &Registry) -> Result<(), Failure> {
    let overrides = arguments.changes.overrides();
    let mut last_failure = None;
    for path in &arguments.scenarios {
        match load(path, &overrides, registry) {
            Ok(loaded) => {
                let network = &loaded.scenario.network;
                let (nodes, items) = (network.node_count(), network.item_count());
                let duration = loaded.scenario.duration;
                print(&format!("{}: {nodes} nodes, {items} items, {duration}\n", path.display()))?;
            }
            // All files are checked; each failure but the last is said here.
            Err(failure) => {
                if let Some(earlier) = last_failure.replace(failure) {
                    say(&format!("{earlier}\n"));
                }
            }
        }
    }
    last_failure.map_or(Ok(()), Err)
}
