//! Reads scenario files: YAML in, a [`dmos_core::Scenario`] that cannot be invalid out. Reads the files of experiments
//! on them as well.
//!
//! Whatever is wrong with a file is said with its place, an excerpt and what would be right, also when
//! it shows only after parsing. Files come from anywhere, so nothing in one can take long, take much
//! memory or bring the program down.
//!
//! Start at [`load`].
//!
//! | module | its job |
//! |---|---|
//! | [`source_map`] | the shape of a document with the place of everything, and the guard before the reader |
//! | `setting` | a value that takes the place of the one in a scenario's file |
//! | `document` | a document with settings put in, and the place of each of its values |
//! | [`file`](mod@file) | what a scenario file may say, and how one is written |
//! | [`experiment`] | what an experiment's file may say |
//! | `resolve` | from what a file says to a valid scenario |
//! | [`error`] | what is wrong, and where |
//!
//! Architecture invariant: nothing here knows the simulator, or any strategy but the defaults by name.

mod document;
pub mod error;
pub mod experiment;
pub mod file;
mod overrides;
mod resolve;
pub mod source_map;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use dmos_core::{Registry, Scenario};

pub use error::ScenarioError;
pub use experiment::{ExperimentFile, LoadedExperiment, Seeds, Strategies};
pub use file::ScenarioFile;
pub use overrides::Override;
pub use resolve::{DEFAULT_FLOW, DEFAULT_LEADER, explain, unknown_node};

use document::Document;
use error::{Located, Place};

/// The largest scenario file that is read, in bytes. Networks beyond that are better generated, or
/// described in groups of like nodes.
pub const SIZE_MAX: usize = 4 << 20;

/// A scenario with what is worth knowing about its file.
#[derive(Debug)]
pub struct Loaded {
    /// The scenario.
    pub scenario: Scenario,
    /// What is odd about it, in words.
    pub warnings: Vec<String>,
    /// The file's text.
    pub text: String,
}

/// Reads the scenario in a file, with settings from the command line in place of the file's.
///
/// # Errors
/// If the file cannot be read, or is no valid scenario.
pub fn load(path: &Path, overrides: &[Override], registry: &Registry) -> Result<Loaded, ScenarioError> {
    let name = path.display().to_string();
    let text = read_text(path)?;
    if LoadedExperiment::is_one(&text) {
        let message = format!("`{name}` is an experiment's file; `dmos compare {name}` runs it");
        return Err(ScenarioError::new(&name, "", vec![Located { message, place: Place::Whole }]));
    }
    parse(&name, &stem(path), text, overrides, registry)
}

/// Reads the text of a scenario's or an experiment's file.
///
/// # Errors
/// If it cannot be read, is larger than [`SIZE_MAX`], or is no UTF-8 text.
pub fn read_text(path: &Path) -> Result<String, ScenarioError> {
    text_of(path).map_err(|reason| ScenarioError::unreadable(&path.display().to_string(), &reason))
}

fn text_of(path: &Path) -> Result<String, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(SIZE_MAX as u64 + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() > SIZE_MAX {
        return Err(format!(
            "it is larger than {} MiB; generate the network, or describe it in groups of like nodes",
            SIZE_MAX >> 20
        ));
    }
    String::from_utf8(bytes).map_err(|error| format!("it is not UTF-8 text: {error}"))
}

/// Returns the name of a file's scenario, unless it has one.
#[must_use]
pub fn stem(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Reads what a scenario file says, without checking it against itself.
///
/// # Errors
/// If the text is no file of a scenario's fields.
pub fn read(origin: &str, text: &str, overrides: &[Override]) -> Result<ScenarioFile, ScenarioError> {
    Document::new(origin, text, overrides)?.read()
}

/// Reads the scenario in `text`. `origin` names it in errors; `name` is its name unless it has one.
///
/// # Errors
/// If the text is no valid scenario.
pub fn parse(
    origin: &str,
    name: &str,
    text: String,
    overrides: &[Override],
    registry: &Registry,
) -> Result<Loaded, ScenarioError> {
    // Some editors begin files with a byte order mark.
    let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
    let document = Document::new(origin, &text, overrides)?;
    let file: ScenarioFile = document.read()?;
    let (scenario, warnings) = resolve::resolve(file, name, &document, registry)?;
    Ok(Loaded { scenario, warnings, text })
}
