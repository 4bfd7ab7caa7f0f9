//! Results on disk, written as runs finish.
//!
//! | file | content |
//! |---|---|
//! | `experiment.json` | the manifest |
//! | `shard-003.x7Gq2f.part` | results of shard 3 in the order in which they finished, by one attempt |
//! | `shard-003.jsonl` | all results of shard 3, in the order of runs |
//!
//! Each attempt at a shard writes a file of its own under a unique name, one line per result, and reads those
//! of all earlier attempts, so no run is repeated and no two processes write to the same file. Each line ends with its
//! checksum: an incomplete or damaged line of a partial file is ignored and its run repeated, and one of a complete
//! file is an error. Once a shard is complete, all its results are written under a
//! temporary name, synced and renamed, and the partial files are removed. Concurrent attempts end with
//! identical bytes. The files do not contain times, machines or users.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use dmos_compare::RunSummary;
use dmos_util::atomic_write::write_file;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::execute::RunResult;
use crate::manifest::{Manifest, ManifestError};

/// Number of lines between two syncs. A killed process loses none; only a machine that loses power can.
const SYNC_EVERY: usize = 256;

/// A directory of results.
#[derive(Debug)]
pub struct Store {
    directory: PathBuf,
    manifest: Manifest,
}

/// Error of reading or writing results.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The manifest in the directory cannot be used.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The directory holds another experiment's results.
    #[error("`{}` holds the results of another experiment; choose another directory, or remove it", directory.display())]
    OtherExperiment {
        /// The directory.
        directory: PathBuf,
    },
    /// The directory contains other files.
    #[error("`{}` is not empty and holds no experiment; choose another directory", directory.display())]
    Taken {
        /// The directory.
        directory: PathBuf,
    },
    /// A file of complete results was modified.
    #[error("`{}` is damaged: {reason}; remove it, and run its shard again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Description of the damage.
        reason: String,
    },
    /// Two attempts at a run have different results.
    #[error("{name}: conflicting results in `{}` and another file; the shards may come from different builds of this program", path.display())]
    Conflict {
        /// The run.
        name: String,
        /// File of the second result.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("cannot {what} `{}`: {source}", path.display())]
    Io {
        /// The failed operation.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl StoreError {
    /// Returns whether the error is caused by invalid input rather than by the environment.
    #[must_use]
    pub fn is_input(&self) -> bool {
        !matches!(self, Self::Io { .. })
    }
}

/// A line of a results file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    run: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    summary: Option<RunSummary>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
}

/// Lines of results, by run.
pub(crate) type Lines = BTreeMap<usize, String>;

/// Key of the checksum, the last of a line.
const CHECKSUM: &str = ",\"checksum\":\"";

/// Returns the line with its checksum: the CRC-32 of everything before it.
fn with_checksum(json: &str) -> String {
    let content = json.strip_suffix('}').unwrap_or(json);
    format!("{content}{CHECKSUM}{:08x}\"}}", crc32fast::hash(content.as_bytes()))
}

/// Returns the line without its checksum, if that is right.
fn without_checksum(line: &str) -> Option<String> {
    let (content, _) = line.rsplit_once(CHECKSUM)?;
    let json = format!("{content}}}");
    (with_checksum(&json) == line).then_some(json)
}

fn write_line(result: &RunResult) -> String {
    let (summary, failed) = match &result.result {
        Ok(summary) => (Some(summary.clone()), None),
        Err(why) => (None, Some(why.clone())),
    };
    let line = Line { run: result.run, summary, failed };
    with_checksum(&serde_json::to_string(&line).expect("a result can be written"))
}

/// Parses a line, or returns `None` if it is incomplete or was changed.
pub(crate) fn read_line(line: &str) -> Option<RunResult> {
    let Line { run, summary, failed } = serde_json::from_str(&without_checksum(line)?).ok()?;
    let result = match (summary, failed) {
        (Some(summary), None) => Ok(summary),
        (None, Some(why)) => Err(why),
        _ => return None,
    };
    Some(RunResult { run, result })
}

impl Store {
    /// Opens the results of an experiment in a directory, including those of earlier attempts; the number of
    /// shards may differ.
    ///
    /// # Errors
    /// If the directory contains anything else, or cannot be created.
    pub fn open_or_create(directory: &Path, manifest: Manifest) -> Result<Self, StoreError> {
        let path = directory.join(EXPERIMENT);
        if !path.exists() {
            if holds_anything_else(directory) {
                return Err(StoreError::Taken { directory: directory.to_owned() });
            }
            manifest.write(&path).map_err(|source| StoreError::Io {
                what: "write",
                path: path.clone(),
                source,
            })?;
        }
        let there = Manifest::read(&path)?;
        if there.id != manifest.id {
            return Err(StoreError::OtherExperiment { directory: directory.to_owned() });
        }
        Ok(Self { directory: directory.to_owned(), manifest: there })
    }

    /// Opens the results in a directory, of any version of this program.
    ///
    /// # Errors
    /// If the directory contains no experiment.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let manifest = Manifest::read(&directory.join(EXPERIMENT))?;
        Ok(Self { directory: directory.to_owned(), manifest })
    }

    /// Opens the results of an experiment in a directory that need not exist yet.
    ///
    /// # Errors
    /// If the directory contains another experiment.
    pub fn open_if_exists(directory: &Path, manifest: Manifest) -> Result<Self, StoreError> {
        if directory.join(EXPERIMENT).exists() {
            return Self::open_or_create(directory, manifest);
        }
        Ok(Self { directory: directory.to_owned(), manifest })
    }

    /// Returns the number of finished runs.
    ///
    /// # Errors
    /// If results cannot be read, or are damaged.
    pub fn finished_runs(&self) -> Result<usize, StoreError> {
        let mut lines = Lines::new();
        self.read_all(&mut lines)?;
        Ok(lines.len())
    }

    /// Returns the experiment.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn finished(&self, shard: usize) -> PathBuf {
        self.directory.join(format!("shard-{shard:03}.jsonl"))
    }

    /// Returns whether a shard is complete.
    #[must_use]
    pub fn is_finished(&self, shard: usize) -> bool {
        self.finished(shard).exists()
    }

    /// Returns the partial files by shard.
    fn parts(&self) -> Result<BTreeMap<usize, Vec<PathBuf>>, StoreError> {
        let fail = |source| StoreError::Io { what: "list", path: self.directory.clone(), source };
        let mut parts: BTreeMap<usize, Vec<PathBuf>> = BTreeMap::new();
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(parts),
            entries => entries.map_err(fail)?,
        };
        for entry in entries {
            let name = entry.map_err(fail)?.file_name();
            let name = name.to_string_lossy();
            let inner = name.strip_prefix("shard-").and_then(|name| name.strip_suffix(".part"));
            if let Some(Ok(shard)) = inner.and_then(|inner| inner.split('.').next()).map(str::parse) {
                parts.entry(shard).or_default().push(self.directory.join(&*name));
            }
        }
        parts.values_mut().for_each(|parts| parts.sort_unstable());
        Ok(parts)
    }

    /// Adds all results to `lines`.
    pub(crate) fn read_all(&self, lines: &mut Lines) -> Result<(), StoreError> {
        let parts = self.parts()?;
        (0..self.manifest.shards.get()).try_for_each(|shard| self.read(shard, &parts, lines))
    }

    /// Adds the results of a shard, complete or not, to `lines`.
    fn read(
        &self,
        shard: usize,
        parts: &BTreeMap<usize, Vec<PathBuf>>,
        lines: &mut Lines,
    ) -> Result<(), StoreError> {
        for path in parts.get(&shard).into_iter().flatten() {
            // A file that has disappeared was removed because its shard is complete; the complete file is
            // read afterwards.
            for line in read_if_there(path)?.unwrap_or_default().lines() {
                // An incomplete or damaged line is ignored.
                if let Some(RunResult { run, .. }) = read_line(line) {
                    self.add(shard, path, run, line, lines)?;
                }
            }
        }
        let finished = self.finished(shard);
        match read_if_there(&finished)? {
            Some(text) => self.read_finished(shard, &finished, &text, lines),
            None => Ok(()),
        }
    }

    fn read_finished(
        &self,
        shard: usize,
        path: &Path,
        text: &str,
        lines: &mut Lines,
    ) -> Result<(), StoreError> {
        let damaged = |reason: String| StoreError::Damaged { path: path.to_owned(), reason };
        for (nth, line) in text.lines().enumerate() {
            let changed = || damaged(format!("line {} was changed: it does not match its checksum", nth + 1));
            let result = read_line(line).ok_or_else(changed)?;
            self.add(shard, path, result.run, line, lines)?;
        }
        let (there, runs) = (text.lines().count(), self.manifest.runs_of(shard).len());
        if there != runs {
            return Err(damaged(format!("it has {there} results for {runs} runs")));
        }
        Ok(())
    }

    fn add(
        &self,
        shard: usize,
        path: &Path,
        run: usize,
        line: &str,
        lines: &mut Lines,
    ) -> Result<(), StoreError> {
        if run >= self.manifest.runs() || run % self.manifest.shards.get() != shard {
            let reason = format!("run {run} does not belong to this shard");
            return Err(StoreError::Damaged { path: path.to_owned(), reason });
        }
        match lines.get(&run) {
            None => {
                lines.insert(run, line.to_owned());
            }
            Some(there) if there == line => {}
            Some(_) => {
                let name = self.manifest.experiment.axes().name(run);
                return Err(StoreError::Conflict { name, path: path.to_owned() });
            }
        }
        Ok(())
    }

    /// Starts an attempt at a shard, with the existing results.
    ///
    /// # Errors
    /// If they cannot be read, or are damaged.
    pub fn attempt(&self, shard: usize) -> Result<Attempt<'_>, StoreError> {
        let mut lines = Lines::new();
        self.read(shard, &self.parts()?, &mut lines)?;
        Ok(Attempt { store: self, shard, lines, part: None, unsynced: 0 })
    }
}

/// Returns whether a directory contains foreign files. Temporary files of concurrent tasks, whose names start
/// with a dot, do not count.
fn holds_anything_else(directory: &Path) -> bool {
    let is_ours = |name: &str| name == EXPERIMENT || name.starts_with("shard-") || name.starts_with('.');
    fs::read_dir(directory).is_ok_and(|mut entries| {
        entries.any(|entry| entry.is_ok_and(|entry| !is_ours(&entry.file_name().to_string_lossy())))
    })
}

/// Name of the manifest in a directory of results.
pub const EXPERIMENT: &str = "experiment.json";

/// Returns the text of a file, or `None` if it does not exist. An incomplete last character is ignored.
fn read_if_there(path: &Path) -> Result<Option<String>, StoreError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StoreError::Io { what: "read", path: path.to_owned(), source }),
    }
}

/// An attempt at a shard.
pub struct Attempt<'a> {
    store: &'a Store,
    shard: usize,
    lines: Lines,
    /// File of this attempt's results, once there is one.
    part: Option<(PathBuf, File)>,
    unsynced: usize,
}

impl Attempt<'_> {
    /// Returns the remaining runs.
    #[must_use]
    pub fn remaining(&self) -> Vec<usize> {
        self.store.manifest.runs_of(self.shard).filter(|run| !self.lines.contains_key(run)).collect()
    }

    /// Writes a result.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn keep(&mut self, result: &RunResult) -> Result<(), StoreError> {
        let line = write_line(result);
        let directory = &self.store.directory;
        if self.part.is_none() {
            let prefix = format!("shard-{:03}.", self.shard);
            let file = tempfile::Builder::new().prefix(&prefix).suffix(".part").tempfile_in(directory);
            let fail = |source| StoreError::Io { what: "write to", path: directory.clone(), source };
            let (file, path) = file.map_err(fail)?.keep().map_err(|error| fail(error.error))?;
            self.part = Some((path, file));
        }
        let (path, file) = self.part.as_mut().expect("created above");
        let fail = |source| StoreError::Io { what: "write", path: path.clone(), source };
        // Written at once, so that a process killed here leaves a whole line or none.
        file.write_all(format!("{line}\n").as_bytes()).map_err(fail)?;
        self.unsynced += 1;
        if self.unsynced == SYNC_EVERY {
            file.sync_data().map_err(fail)?;
            self.unsynced = 0;
        }
        self.lines.insert(result.run, line);
        Ok(())
    }

    /// Ends the attempt, and completes the shard if all its runs are done.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn end(self) -> Result<Lines, StoreError> {
        let io = |what, path: &Path, source| StoreError::Io { what, path: path.to_owned(), source };
        if let Some((path, file)) = &self.part {
            file.sync_data().map_err(|source| io("write", path, source))?;
        }
        if self.remaining().is_empty() {
            let path = self.store.finished(self.shard);
            if !path.exists() {
                let text: String = self.lines.values().flat_map(|line| [line, "\n"]).collect();
                write_file(&path, &text).map_err(|source| io("write", &path, source))?;
            }
            for part in self.store.parts()?.remove(&self.shard).into_iter().flatten() {
                match fs::remove_file(&part) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(io("remove", &part, error));
                    }
                    _ => {}
                }
            }
        }
        Ok(self.lines)
    }

    /// Returns the number of failed runs.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.lines
            .values()
            .filter(|line| read_line(line).is_some_and(|result| result.result.is_err()))
            .count()
    }
}
