//! Experiment files: scenarios, strategies, seeds and varied factors.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use dmos_core::strategy::StrategyCall;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_yaml::{Mapping, Value};

use crate::document::{Document, Step};
use crate::error::ScenarioError;
use crate::file::StrategyField;
use crate::overrides::{Override, inline};
use crate::source_map::{Shape, source_map};

/// The content of an experiment file.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExperimentFile {
    /// Purpose of the experiment.
    pub about: String,
    /// Scenario files, relative to the experiment file.
    pub scenarios: Vec<PathBuf>,
    /// Flow strategies.
    pub flow: Option<Strategies>,
    /// Leader strategies.
    pub leader: Option<Strategies>,
    /// Failure detectors.
    pub detector: Option<Strategies>,
    /// Seeds.
    pub seeds: Option<Seeds>,
    /// Baseline: a flow strategy, optionally followed by a leader strategy and a failure detector, each after a `/`.
    pub baseline: Option<String>,
    /// Metrics to rank by.
    pub metrics: Vec<String>,
    /// Settings for all scenarios: paths with values.
    pub set: Mapping,
    /// Varied factors: paths, each with a list of values.
    pub vary: Mapping,
}

/// Strategies of one family: one, or a list.
#[derive(Clone, PartialEq, Debug)]
pub struct Strategies(pub Vec<StrategyCall>);

impl<'de> Deserialize<'de> for Strategies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = |value: Value| serde_yaml::from_value(value).map(|StrategyField(call)| call);
        let calls = match Value::deserialize(deserializer)? {
            Value::Sequence(list) => list.into_iter().map(read).collect(),
            one => read(one).map(|call| vec![call]),
        };
        calls.map(Self).map_err(de::Error::custom)
    }
}

impl FromStr for Strategies {
    type Err = String;

    /// Parses strategies separated by commas: `a,b:x=1,y=2,c`. A part that starts with `parameter=` belongs
    /// to the strategy before it.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut calls: Vec<String> = Vec::new();
        for piece in text.split(',') {
            let equals = piece.find('=');
            let goes_on = equals.is_some_and(|equals| !piece[..equals].contains(':'));
            match calls.last_mut() {
                Some(call) if goes_on => *call = format!("{call},{piece}"),
                _ => calls.push(piece.to_owned()),
            }
        }
        if calls.iter().any(|call| call.trim().is_empty()) {
            return Err(format!("`{text}` has an empty element"));
        }
        calls.iter().map(|call| call.parse()).collect::<Result<_, _>>().map(Self)
    }
}

/// A range of seeds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seeds {
    /// The first seed.
    pub first: u64,
    /// The last seed; not below the first.
    pub last: u64,
}

/// Maximum number of seeds.
const SEEDS_MAX: u64 = 1_000_000;

impl Seeds {
    /// Returns the seeds in ascending order.
    pub fn iter(self) -> impl Iterator<Item = u64> {
        self.first..=self.last
    }
}

impl FromStr for Seeds {
    type Err = String;

    /// Parses one seed, or a range such as `1..5`, with both ends included.
    fn from_str(text: &str) -> Result<Self, String> {
        let number =
            |text: &str| text.trim().parse::<u64>().map_err(|_| format!("`{text}` is not a whole number"));
        let seeds = match text.split_once("..") {
            Some((first, last)) => {
                Self { first: number(first)?, last: number(last.trim_start_matches('='))? }
            }
            None => Self { first: number(text)?, last: number(text)? },
        };
        if seeds.first > seeds.last {
            return Err(format!("the range of seeds from {} to {} is empty", seeds.first, seeds.last));
        }
        if seeds.last - seeds.first >= SEEDS_MAX {
            return Err("at most one million seeds are supported".to_owned());
        }
        Ok(seeds)
    }
}

impl fmt::Display for Seeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.first, self.last)
    }
}

impl Serialize for Seeds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Seeds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match Value::deserialize(deserializer)? {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            _ => return Err(de::Error::custom("expected a seed, or a range of seeds such as `1..30`")),
        };
        text.parse().map_err(de::Error::custom)
    }
}

/// One combination of values of the varied factors.
#[derive(Clone, PartialEq, Debug)]
pub struct Variation {
    /// Name of the combination; empty if nothing varies.
    pub name: String,
    /// The values as settings.
    pub settings: Vec<Override>,
}

/// An experiment file, with the data needed for its error messages.
#[derive(Clone, PartialEq, Debug)]
pub struct LoadedExperiment {
    /// Its content.
    pub file: ExperimentFile,
    origin: String,
    text: String,
}

impl LoadedExperiment {
    /// Parses an experiment. `origin` names the file in errors.
    ///
    /// # Errors
    /// If the text is not an experiment file.
    pub fn parse(origin: &str, text: &str) -> Result<Self, ScenarioError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let file: ExperimentFile = Document::new(origin, text, &[])?.read()?;
        let loaded = Self { file, origin: origin.to_owned(), text: text.to_owned() };
        if loaded.file.scenarios.is_empty() {
            return Err(loaded.error(&["scenarios"], "specify at least one scenario file".to_owned()));
        }
        Ok(loaded)
    }

    /// Returns whether a text is an experiment file rather than a scenario file.
    #[must_use]
    pub fn is_experiment(text: &str) -> bool {
        source_map(text).is_ok_and(|source_map| match source_map.shape {
            Shape::Map(entries) => entries.iter().any(|entry| entry.key == "scenarios"),
            _ => false,
        })
    }

    /// Returns an error about the value at a path of keys.
    #[must_use]
    pub fn error(&self, path: &[&str], message: String) -> ScenarioError {
        let path = path.iter().map(|&key| Step::from(key)).collect();
        match Document::new(&self.origin, &self.text, &[]) {
            Ok(document) => document.error(vec![(path, message)]),
            Err(error) => error,
        }
    }

    /// Returns the paths of the scenario files.
    pub fn scenarios(&self) -> impl Iterator<Item = PathBuf> {
        let directory = Path::new(&self.origin).parent().unwrap_or(Path::new(""));
        self.file.scenarios.iter().map(|scenario| directory.join(scenario))
    }

    /// Returns the settings for all scenarios.
    ///
    /// # Errors
    /// If a path is invalid.
    pub fn settings(&self) -> Result<Vec<Override>, ScenarioError> {
        self.file.set.iter().map(|(path, value)| self.setting("set", path, value)).collect()
    }

    /// Returns all combinations of the factors' values; the first factor varies slowest.
    ///
    /// # Errors
    /// If a path is invalid, or has no list of values.
    pub fn variations(&self) -> Result<Vec<Variation>, ScenarioError> {
        let mut all = vec![Variation { name: String::new(), settings: Vec::new() }];
        let keys: Vec<&str> = self.file.vary.keys().filter_map(Value::as_str).collect();
        for (path, values) in &self.file.vary {
            let key = path.as_str().unwrap_or_default();
            let Some(values) = values.as_sequence().filter(|values| !values.is_empty()) else {
                let message = "expected a list of values, such as `[0/min, 4/min]`".to_owned();
                return Err(self.error(&["vary", key], message));
            };
            if let "flow" | "leader" | "detector" | "seed" = key {
                let instead = if key == "seed" { "seeds" } else { key };
                let message = format!("write `{instead}` at the top level of the file, not under `vary`");
                return Err(self.error(&["vary", key], message));
            }
            let last = |key: &str| key.rsplit('.').next().map(str::to_owned);
            let is_alone = keys.iter().filter(|other| last(other) == last(key)).count() == 1;
            let short = if is_alone { last(key) } else { None }.unwrap_or_else(|| key.to_owned());
            let mut combined = Vec::new();
            for variation in &all {
                for value in values {
                    let separator = if variation.name.is_empty() { "" } else { ", " };
                    let name = format!("{}{separator}{short}={}", variation.name, inline(value));
                    let mut settings = variation.settings.clone();
                    settings.push(self.setting("vary", path, value)?);
                    combined.push(Variation { name, settings });
                }
            }
            all = combined;
        }
        Ok(all)
    }

    fn setting(&self, section: &str, path: &Value, value: &Value) -> Result<Override, ScenarioError> {
        let key = path.as_str().unwrap_or_default();
        Override::new(key, value.clone(), &self.origin)
            .map_err(|message| self.error(&[section, key], message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> LoadedExperiment {
        LoadedExperiment::parse("lab/x.yaml", text).expect("an experiment")
    }

    #[test]
    fn factors_are_crossed_and_named() {
        let loaded = load(
            "scenarios: [a.yaml, ../b.yaml]\nflow: [memoized, 'balanced:max_suppliers=3']\nseeds: 1..3\n\
             set: {duration: 5min}\n\
             vary:\n  faults.op_generator.failures: [0/min, 4/min]\n  protocol.cycle: [1s, 2s]\n",
        );
        assert!(LoadedExperiment::is_experiment(&loaded.text));
        let scenarios: Vec<_> = loaded.scenarios().collect();
        assert_eq!(scenarios, [PathBuf::from("lab/a.yaml"), PathBuf::from("lab/../b.yaml")]);
        let flows = loaded.file.flow.as_ref().expect("a list of flows");
        assert_eq!(flows.0[1].params, [("max_suppliers".to_owned(), "3".to_owned())]);
        let names: Vec<_> =
            loaded.variations().expect("valid variations").into_iter().map(|one| one.name).collect();
        assert_eq!(names[1], "failures=0/min, cycle=2s");
        assert_eq!(names.len(), 4);
        assert_eq!(loaded.settings().expect("valid settings")[0].to_string(), "duration=5min");
        assert_eq!(load("scenarios: [a.yaml]").variations().expect("no variations").len(), 1);
        assert!(!LoadedExperiment::is_experiment("network: {}"));
    }

    #[test]
    fn problems_point_at_their_line() {
        let wrong = |text: &str, excerpt: &str, message: &str| {
            let loaded = LoadedExperiment::parse("x.yaml", text);
            let error = match &loaded {
                Err(error) => error.clone(),
                Ok(loaded) => loaded.variations().expect_err("an invalid experiment"),
            };
            let shown = error.to_string();
            assert!(shown.contains(excerpt) && shown.contains(message), "{shown}");
        };
        wrong("scenarios: [a]\nvary: {a.b: 3}", "x.yaml:2", "a list of values");
        wrong("scenarios: [a]\nvary: {flow: [a]}", "x.yaml:2", "at the top level of the file");
        wrong("scenarios: [a]\nvary: {a..b: [1]}", "x.yaml:2", "an empty part");
        wrong("scenarios: []", "x.yaml:1", "at least one");
        wrong("scenarios: [a]\nseeds: 3..1", "x.yaml:2", "is empty");
        wrong("scenarios: [a]\nflows: [b]", "x.yaml:2", "did you mean `flow`");
    }

    #[test]
    fn strategies_are_split_at_commas_that_end_one() {
        let calls: Strategies = "a,b:x=1,y=2,c".parse().expect("three calls");
        let shown: Vec<_> = calls.0.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["a", "b:x=1,y=2", "c"]);
        assert!("a,,b".parse::<Strategies>().is_err());
    }

    #[test]
    fn seeds_are_one_or_a_range() {
        assert_eq!("7".parse(), Ok(Seeds { first: 7, last: 7 }));
        assert_eq!("1..5".parse(), Ok(Seeds { first: 1, last: 5 }));
        for wrong in ["", "x", "5..1", "-1", "0..9999999"] {
            assert!(wrong.parse::<Seeds>().is_err(), "{wrong}");
        }
    }
}
