//! Manifests: an experiment as a file, complete for other machines, split into shards.
//!
//! The manifest contains the texts of the scenarios, so that no other file is needed. Run `r` belongs to
//! shard `r % shards`, so shards contain runs of all cases and take about equally long.

use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use dmos_compare::{Combination, ResultMetric};
use dmos_util::atomic_write::write_file;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::experiment::Experiment;

/// Version of the format of manifests and results.
const FORMAT: u32 = 3;

/// Version of this program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Maximum number of shards: more would exceed the array size of batch engines and the useful number of files
/// in a directory.
pub const SHARDS_MAX: usize = 100_000;

/// An experiment, split into shards.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    format: u32,
    /// Version of DMOS that wrote the manifest; results require the same version.
    pub version: String,
    /// The SHA-256 of everything below, in hexadecimal.
    pub id: String,
    /// Number of shards.
    pub shards: NonZeroUsize,
    /// Metrics in the results of a run, in order.
    pub columns: Vec<String>,
    /// The experiment.
    pub experiment: Experiment,
}

/// Error of reading a manifest.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// The file cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file is not a manifest.
    #[error("`{}` is not a manifest of this program: {reason}; `dmos sweep plan` makes one", path.display())]
    NotAManifest {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The manifest was modified.
    #[error("`{}` was modified: its hash does not match its content; write it again with `dmos sweep plan`", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The manifest is of another version of this program.
    #[error(
        "`{}` was written by version {made_by}, but this program is version {VERSION}: results of two versions must not be mixed; use that version, or write the manifest again",
        path.display()
    )]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// That version.
        made_by: String,
    },
}

#[derive(Serialize)]
struct Hashed<'a> {
    format: u32,
    version: &'a str,
    columns: &'a [String],
    experiment: &'a Experiment,
}

impl Manifest {
    /// Splits an experiment into shards, but into no more than it has runs.
    ///
    /// # Panics
    /// If there are more than [`SHARDS_MAX`].
    #[must_use]
    pub fn new(experiment: Experiment, shards: NonZeroUsize) -> Self {
        assert!(shards.get() <= SHARDS_MAX);
        let runs = NonZeroUsize::new(experiment.axes().runs()).expect("an experiment has a run");
        let columns = ResultMetric::all().map(|metric| metric.name().to_owned()).collect();
        let mut manifest = Self {
            format: FORMAT,
            version: VERSION.to_owned(),
            id: String::new(),
            shards: shards.min(runs),
            columns,
            experiment,
        };
        manifest.id = manifest.hash();
        manifest
    }

    /// Returns the hash of the experiment. It excludes the number of shards, which does not affect the
    /// results.
    fn hash(&self) -> String {
        let Self { format, version, columns, experiment, .. } = self;
        let hashed = Hashed { format: *format, version, columns, experiment };
        let json = serde_json::to_vec(&hashed).expect("an experiment can be written");
        Sha256::digest(json).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Reads a manifest of any version of this program.
    ///
    /// # Errors
    /// If the file cannot be read, is not a manifest, or was modified.
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        let path = path.to_owned();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(source) => return Err(ManifestError::Unreadable { path, source }),
        };
        let manifest: Self = match serde_json::from_str(&text) {
            Ok(manifest) => manifest,
            Err(error) => return Err(ManifestError::NotAManifest { path, reason: error.to_string() }),
        };
        let axes = manifest.experiment.axes();
        let Combination { flow, leader, detector } = manifest.experiment.baseline;
        let has_baseline =
            flow < axes.flows.len() && leader < axes.leaders.len() && detector < axes.detectors.len();
        if axes.runs() == 0 || !has_baseline {
            return Err(ManifestError::NotAManifest { path, reason: "it has no runs".to_owned() });
        }
        if manifest.format != FORMAT {
            let reason = format!("its format is {}, not {FORMAT}", manifest.format);
            return Err(ManifestError::NotAManifest { path, reason });
        }
        if manifest.hash() != manifest.id {
            return Err(ManifestError::Changed { path });
        }
        Ok(manifest)
    }

    /// Reads a manifest whose results are to be made or compared by this program.
    ///
    /// # Errors
    /// If the file cannot be read, is not a manifest, was modified, or is of another version.
    pub fn read_ours(path: &Path) -> Result<Self, ManifestError> {
        let manifest = Self::read(path)?;
        let columns_differ =
            || !manifest.columns.iter().map(String::as_str).eq(ResultMetric::all().map(ResultMetric::name));
        if manifest.version != VERSION || columns_differ() {
            return Err(ManifestError::OtherVersion { path: path.to_owned(), made_by: manifest.version });
        }
        Ok(manifest)
    }

    /// Writes the manifest atomically.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let json = serde_json::to_string_pretty(self).map_err(io::Error::other)? + "\n";
        write_file(path, &json)
    }

    /// Returns the number of runs.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.experiment.axes().runs()
    }

    /// Returns the runs of a shard.
    pub fn runs_of(&self, shard: usize) -> impl ExactSizeIterator<Item = usize> + Clone {
        (shard..self.runs()).step_by(self.shards.get())
    }
}
