//! Texts of files, pipes and the standard input.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::SIZE_MAX;
use crate::error::ScenarioError;

/// Path of the standard input.
pub(crate) const STDIN: &str = "-";

/// Reads the text of a scenario or experiment file; `-` is the standard input. What is not a regular file is read once.
///
/// # Errors
/// If the file cannot be read, is larger than [`SIZE_MAX`], or is not UTF-8.
pub fn read_text(path: &Path) -> Result<String, ScenarioError> {
    text_of(path).map_err(|reason| ScenarioError::unreadable(&path.display().to_string(), &reason))
}

/// Texts of what can be read only once, such as pipes.
static STREAMS: Mutex<BTreeMap<PathBuf, Result<String, String>>> = Mutex::new(BTreeMap::new());

fn text_of(path: &Path) -> Result<String, String> {
    let file = |path: &Path| File::open(path).map_err(|error| error.to_string());
    if path != Path::new(STDIN) && fs::metadata(path).is_ok_and(|found| found.is_file()) {
        return text_from(file(path)?);
    }
    let mut streams = STREAMS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = streams.get(path) {
        return known.clone();
    }
    let text =
        if path == Path::new(STDIN) { text_from(std::io::stdin()) } else { file(path).and_then(text_from) };
    streams.insert(path.to_owned(), text.clone());
    text
}

fn text_from(source: impl Read) -> Result<String, String> {
    let mut bytes = Vec::new();
    source.take(SIZE_MAX as u64 + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() > SIZE_MAX {
        return Err(format!(
            "it is larger than {} MiB; generate the network, or describe it in groups of like nodes",
            SIZE_MAX >> 20
        ));
    }
    String::from_utf8(bytes).map_err(|error| format!("it is not UTF-8 text: {error}"))
}
