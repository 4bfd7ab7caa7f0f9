//! The commands, one file each.

pub(crate) mod bench;
mod bound;
pub(crate) mod check;
pub(crate) mod compare;
pub(crate) mod criticality;
pub(crate) mod fuzz;
pub(crate) mod network;
pub(crate) mod plan;
pub(crate) mod run;
pub(crate) mod shrink;
pub(crate) mod strategies;
pub(crate) mod sweep;

use std::borrow::Cow;
use std::path::Path;

use dmos_core::Registry;
use dmos_core::network::Names;
use dmos_scenario::{Loaded, Override};
use serde_json::Value;

use crate::error::CliError;
use crate::output::eprint_message;

/// Maximum number of warnings printed; further ones are only counted.
const WARNINGS: usize = 10;

/// Loads a scenario and prints its warnings.
fn load(path: &Path, overrides: &[Override], registry: &Registry) -> Result<Loaded, CliError> {
    let loaded = dmos_scenario::load(path, overrides, registry)?;
    warn(&loaded.warnings.iter().map(|warning| format!("{}: {warning}", path.display())).collect::<Vec<_>>());
    Ok(loaded)
}

/// Prints warnings.
fn warn(warnings: &[String]) {
    warnings.iter().take(WARNINGS).for_each(|warning| eprint_message(&format!("warning: {warning}")));
    if warnings.len() > WARNINGS {
        eprint_message(&format!("warning: and {} more", warnings.len() - WARNINGS));
    }
}

/// Maximum number of digits shown exactly.
const DIGITS_SHOWN: usize = 30;

/// Formats a number of any size, exactly or in scientific notation.
fn about(digits: &str) -> String {
    match digits.len() {
        0..=DIGITS_SHOWN => digits.to_owned(),
        length => format!("about {}.{}e{}", &digits[..1], &digits[1..4], length - 1),
    }
}

/// Returns a name for JSON: a number for things that are named by numbers.
fn json_name(names: &Names, name: Cow<'_, str>) -> Value {
    match (names, name.parse::<u64>()) {
        (Names::Numbers(_), Ok(number)) => Value::from(number),
        _ => Value::from(name.into_owned()),
    }
}
