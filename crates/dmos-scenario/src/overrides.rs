//! Settings that override values of a scenario file.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_yaml::{Mapping, Value};

use crate::error::SourceLocation;
use crate::source_map::source_map;

/// A setting that overrides a value of a scenario file.
#[derive(Clone, PartialEq, Debug)]
pub struct Override {
    pub(crate) path: Vec<String>,
    value: Value,
    /// The setting as given, for messages.
    given: String,
    /// Source of the setting.
    origin: String,
}

/// The default source of settings.
const COMMAND_LINE: &str = "command line";

/// Serialized form of a setting.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    path: String,
    value: Value,
}

impl Serialize for Override {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Written { path: self.path.join("."), value: self.value.clone() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Override {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Written { path, value } = Written::deserialize(deserializer)?;
        Self::new(&path, value, "experiment").map_err(D::Error::custom)
    }
}

impl std::fmt::Display for Override {
    /// Formats the setting as given.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.given)
    }
}

impl Override {
    /// Parses a setting of the form `path=value`, where the parts of the path are separated by dots and the
    /// value is YAML.
    ///
    /// # Errors
    /// If there is no path, or the value is not YAML.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (path, value) =
            text.split_once('=').ok_or_else(|| format!("`{text}` is not of the form path=value"))?;
        let path = parts(path)?;
        if !value.trim().is_empty() {
            source_map(value).map_err(|refusal| refusal.message)?;
        }
        let value = serde_yaml::from_str(value).map_err(|error| format!("`{value}` is not YAML: {error}"))?;
        Ok(Self { path, value, given: format!("--set {text}"), origin: COMMAND_LINE.to_owned() })
    }

    /// Returns a setting of a value at a path, from the file `origin`.
    ///
    /// # Errors
    /// If the path is empty.
    pub fn new(path: &str, value: Value, origin: &str) -> Result<Self, String> {
        let given = format!("{path}={}", inline(&value));
        Ok(Self { path: parts(path)?, value, given, origin: origin.to_owned() })
    }

    /// Returns the setting for a command-line option such as `--flow`, for the field of the same name.
    #[must_use]
    pub fn option(name: &str, value: &str) -> Self {
        let given = format!("--{name} {value}");
        Self {
            path: vec![name.to_owned()],
            value: Value::from(value),
            given,
            origin: COMMAND_LINE.to_owned(),
        }
    }

    /// Returns whether the setting determines the field at this path: the field itself, or a map that contains
    /// it.
    #[must_use]
    pub fn determines(&self, field: &[&str]) -> bool {
        self.path.len() <= field.len() && self.path.iter().zip(field).all(|(part, name)| part == name)
    }

    pub(crate) fn location(&self) -> SourceLocation {
        SourceLocation::Setting { given: self.given.clone(), origin: self.origin.clone() }
    }

    pub(crate) fn apply(&self, root: &mut Value) -> Result<(), String> {
        let mut target = root;
        for part in &self.path {
            if let Value::Sequence(list) = target {
                let length = list.len();
                let item = part.parse().ok().and_then(|index: usize| list.get_mut(index));
                target = item.ok_or_else(|| {
                    format!("the list has {length} values, counted from 0; there is no `{part}`")
                })?;
                continue;
            }
            if !target.is_mapping() {
                // A strategy may be given by its name alone.
                let name = target.as_str().map(|name| (Value::from("name"), Value::from(name)));
                *target = Value::Mapping(name.into_iter().collect::<Mapping>());
            }
            let map = target.as_mapping_mut().expect("converted to a map above");
            target = map.entry(Value::from(part.as_str())).or_insert(Value::Null);
        }
        *target = self.value.clone();
        Ok(())
    }
}

/// Returns the parts of a path.
fn parts(path: &str) -> Result<Vec<String>, String> {
    let parts: Vec<String> = path.split('.').map(|part| part.trim().to_owned()).collect();
    if parts.iter().any(String::is_empty) {
        return Err(format!("the path `{path}` has an empty part"));
    }
    Ok(parts)
}

/// Formats a value on one line, without quotes.
pub(crate) fn inline(value: &Value) -> String {
    let all = |values: &[Value]| values.iter().map(inline).collect::<Vec<_>>().join(", ");
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Sequence(values) => format!("[{}]", all(values)),
        Value::Mapping(map) => {
            let pair = |(key, value): (&Value, &Value)| format!("{}: {}", inline(key), inline(value));
            format!("{{{}}}", map.iter().map(pair).collect::<Vec<_>>().join(", "))
        }
        Value::Tagged(tagged) => inline(&tagged.value),
    }
}
