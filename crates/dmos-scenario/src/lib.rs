//! Reads scenario files and experiment files: YAML in, a valid [`dmos_core::Scenario`] out.
//!
//! Every error is reported with its location, an excerpt and a suggested fix, even if it is detected after parsing.
//! Files are not trusted: none can take long, use much memory or crash the program.
//!
//! Start at [`load`].
//!
//! | module | responsibility |
//! |---|---|
//! | [`source_map`] | structure of a document with all places, and the guard before the parser |
//! | `overrides` | settings that override a file |
//! | `document` | a document with settings applied, and the location of each value |
//! | `text` | texts of files, pipes and the standard input |
//! | [`file`](mod@file) | the fields of scenario files, and their serialization |
//! | [`experiment`] | experiment files |
//! | [`renamed`] | former names, for suggestions |
//! | [`script`] | scripted faults, one row per kind |
//! | `resolve` | conversion of a file to a valid scenario |
//! | [`error`] | errors with places |
//!
//! Architecture invariant: this crate does not depend on the simulator, and names no strategy except the defaults.

mod document;
pub mod error;
pub mod experiment;
pub mod file;
mod overrides;
pub mod renamed;
mod resolve;
pub mod script;
pub mod source_map;
mod text;

use std::path::Path;

use dmos_core::{Registry, Scenario};

pub use error::ScenarioError;
pub use experiment::{ExperimentFile, LoadedExperiment, Seeds, Strategies};
pub use file::ScenarioFile;
pub use overrides::Override;
pub use resolve::{DEFAULT_DETECTOR, DEFAULT_FLOW, DEFAULT_LEADER, explain, unknown_node};
pub use text::read_text;

use document::Document;
use error::{Located, SourceLocation};
use text::STDIN;

/// Maximum size of a scenario file, in bytes. Larger networks should be generated, or described by groups of
/// identical nodes.
pub const SIZE_MAX: usize = 4 << 20;

/// A scenario with data about its file.
#[derive(Debug)]
pub struct Loaded {
    /// The scenario.
    pub scenario: Scenario,
    /// Human-readable warnings.
    pub warnings: Vec<String>,
    /// Text of the file.
    pub text: String,
}

/// Loads a scenario from a file, with settings from the command line applied.
///
/// # Errors
/// If the file cannot be read, or is not a valid scenario.
pub fn load(path: &Path, overrides: &[Override], registry: &Registry) -> Result<Loaded, ScenarioError> {
    let name = path.display().to_string();
    let text = read_text(path)?;
    if LoadedExperiment::is_experiment(&text) {
        let message = format!("`{name}` is an experiment's file; `dmos compare {name}` runs it");
        return Err(ScenarioError::new(
            &name,
            "",
            vec![Located { message, location: SourceLocation::Whole }],
        ));
    }
    parse(&name, &stem(path), text, overrides, registry)
}

/// Returns the default name of a scenario, from its file name.
#[must_use]
pub fn stem(path: &Path) -> String {
    if path == Path::new(STDIN) {
        return "stdin".to_owned();
    }
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Parses a scenario file without consistency checks.
///
/// # Errors
/// If the text is not a scenario file.
pub fn read(origin: &str, text: &str, overrides: &[Override]) -> Result<ScenarioFile, ScenarioError> {
    Document::new(origin, text, overrides)?.read()
}

/// Parses and checks a scenario. `origin` names the file in errors; `name` is the scenario's default name.
///
/// # Errors
/// If the text is not a valid scenario.
pub fn parse(
    origin: &str,
    name: &str,
    text: String,
    overrides: &[Override],
    registry: &Registry,
) -> Result<Loaded, ScenarioError> {
    // Some editors start files with a byte order mark.
    let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
    let document = Document::new(origin, &text, overrides)?;
    let file: ScenarioFile = document.read()?;
    let (scenario, warnings) = resolve::resolve(file, name, &document, registry)?;
    Ok(Loaded { scenario, warnings, text })
}
