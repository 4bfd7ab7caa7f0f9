//! A document with settings applied, and the location of each of its values.

use std::ops::Range;

use crate::renamed::suggestion;
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use serde_yaml::Value;

use crate::error::{Located, ScenarioError, SourceLocation};
use crate::overrides::Override;
use crate::source_map::{Shape, SourceMap, source_map};

/// A step in the path to a value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    Key(String),
    /// An index in a list, or among the values of a map.
    Index(usize),
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(key) => key.fmt(f),
            Self::Index(index) => index.fmt(f),
        }
    }
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// The path to a value.
pub(crate) type Path = Vec<Step>;

/// Builds a [`Path`] from keys and indices.
macro_rules! steps {
    ($($step:expr),* $(,)?) => { vec![$($crate::document::Step::from($step)),*] };
}
pub(crate) use steps;

/// A whole document.
pub(crate) struct Document<'a> {
    origin: &'a str,
    text: &'a str,
    source_map: SourceMap,
    value: Value,
    overrides: &'a [Override],
}

impl<'a> Document<'a> {
    pub(crate) fn new(
        origin: &'a str,
        text: &'a str,
        overrides: &'a [Override],
    ) -> Result<Self, ScenarioError> {
        let fail =
            |message: String, location| ScenarioError::new(origin, text, vec![Located { message, location }]);
        let source_map =
            source_map(text).map_err(|refusal| fail(refusal.message, SourceLocation::File(refusal.span)))?;
        let mut value: Value =
            serde_yaml::from_str(text).map_err(|error| fail(error.to_string(), SourceLocation::Whole))?;
        for setting in overrides {
            setting.apply(&mut value).map_err(|message| fail(message, setting.location()))?;
        }
        Ok(Self { origin, text, source_map, value, overrides })
    }

    /// Deserializes the document.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, ScenarioError> {
        serde_path_to_error::deserialize(self.value.clone()).map_err(|error| {
            let path: Path = error.path().iter().filter_map(step).collect();
            let message = error.inner().to_string();
            let location = match self.location(&path) {
                // The error is at the key, not at its value.
                SourceLocation::File(_) if message.starts_with("unknown field") => {
                    SourceLocation::File(self.spans(&path).0)
                }
                location => location,
            };
            ScenarioError::new(self.origin, self.text, vec![Located { message: explain(&message), location }])
        })
    }

    /// Returns an error with these messages, each about the value at its path.
    pub(crate) fn error(&self, problems: Vec<(Path, String)>) -> ScenarioError {
        let locate = |(path, message): (Path, String)| Located { message, location: self.location(&path) };
        ScenarioError::new(self.origin, self.text, problems.into_iter().map(locate).collect())
    }

    /// Returns the location of the value at `path`: the last setting that touches it, or else the file, at the
    /// deepest value on the path that the file contains.
    fn location(&self, path: &[Step]) -> SourceLocation {
        let touches = |setting: &&Override| {
            let same = |(part, step): (&String, &Step)| match step {
                Step::Key(key) => key == part,
                Step::Index(index) => part.parse() == Ok(*index),
            };
            setting.path.iter().zip(path).all(same)
        };
        match self.overrides.iter().rev().find(touches) {
            Some(setting) => setting.location(),
            None => SourceLocation::File(self.spans(path).1),
        }
    }

    /// Returns the span of a value's key, and the best span for pointing at the value.
    fn spans(&self, path: &[Step]) -> (Range<usize>, Range<usize>) {
        let mut value = &self.source_map;
        let mut spans = (0..0, 0..0);
        for step in path {
            let next = match step {
                Step::Key(key) => value.entry(key).map(|entry| (&entry.value, entry.key_span.clone())),
                Step::Index(index) => value.nth(*index).map(|value| (value, value.span.clone())),
            };
            let Some((inner, key)) = next else { return spans };
            // A list or map starts on a line of its own, so its key is the better location.
            let is_scalar = inner.shape == Shape::Scalar && !inner.span.is_empty();
            spans = (key.clone(), if is_scalar { inner.span.clone() } else { key });
            value = inner;
        }
        spans
    }
}

fn step(segment: &Segment) -> Option<Step> {
    match segment {
        Segment::Seq { index } => Some(Step::Index(*index)),
        Segment::Map { key } => Some(Step::Key(key.clone())),
        Segment::Enum { variant } => Some(Step::Key(variant.clone())),
        Segment::Unknown => None,
    }
}

/// Rewrites a message of the deserializer for users: without names of types, and with a suggestion for an
/// unknown name.
fn explain(message: &str) -> String {
    let plain = message
        .replace("expected a nonzero u32", "expected a whole number from 1")
        .replace("expected a nonzero u64", "expected a whole number from 1")
        .replace("expected u32", "expected a whole number up to 4294967295")
        .replace("expected u64", "expected a whole number from 0")
        .replace("expected struct ScenarioFile", "expected a map of a scenario's fields")
        .replace("expected struct ExperimentFile", "expected a map of an experiment's fields")
        .replace("expected an array of length 2", "expected a list of two")
        .replace("unknown variant", "unknown value");
    let quoted: Vec<&str> = plain.split('`').skip(1).step_by(2).collect();
    let is_list = plain.starts_with("unknown field") || plain.starts_with("unknown value");
    let near = match quoted.split_first() {
        Some((wrong, right)) if is_list => suggestion(wrong, right.iter().copied()),
        _ => None,
    };
    near.map_or_else(|| plain.clone(), |name| format!("{plain}; did you mean `{name}`?"))
}
