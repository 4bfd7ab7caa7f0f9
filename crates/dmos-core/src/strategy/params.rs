//! Typed parameters of strategies.

use std::fmt;

use crate::ids::NodeId;
use crate::network::Network;
use crate::time::Span;

/// One parameter of a strategy.
#[derive(Clone, Copy, Debug)]
pub struct ParamSpec {
    /// The name.
    pub name: &'static str,
    /// One-line description.
    pub summary: &'static str,
    /// Type, range and default.
    pub kind: ParamKind,
}

/// Type, range and default of a parameter.
#[derive(Clone, Copy, Debug)]
pub enum ParamKind {
    /// An integer.
    Integer {
        /// The minimum.
        min: u64,
        /// The maximum.
        max: u64,
        /// The default.
        default: u64,
    },
    /// A boolean.
    Flag {
        /// The default.
        default: bool,
    },
    /// A duration.
    Duration {
        /// The minimum.
        min: Span,
        /// The default.
        default: Span,
    },
    /// A node of the network, by name; the last node by default.
    Node,
    /// Any string; required.
    Text,
}

impl fmt::Display for ParamKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer { min, max: u64::MAX, default } => {
                write!(f, "an integer of at least {min} (default {default})")
            }
            Self::Integer { min, max, default } => {
                write!(f, "an integer from {min} to {max} (default {default})")
            }
            Self::Flag { default } => write!(f, "true or false (default {default})"),
            Self::Duration { min, default } => write!(f, "a duration of at least {min} (default {default})"),
            Self::Node => f.write_str("the name of a node (default the last)"),
            Self::Text => f.write_str("a string (required)"),
        }
    }
}

/// The value of a parameter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ParamValue {
    /// An integer.
    Integer(u64),
    /// A boolean.
    Flag(bool),
    /// A duration.
    Duration(Span),
    /// A node.
    Node(NodeId),
    /// A string.
    Text(String),
}

impl ParamKind {
    /// Returns the default, or `None` if the parameter is required.
    pub(super) fn default_in(&self, network: &Network) -> Option<ParamValue> {
        Some(match *self {
            Self::Integer { default, .. } => ParamValue::Integer(default),
            Self::Flag { default } => ParamValue::Flag(default),
            Self::Duration { default, .. } => ParamValue::Duration(default),
            Self::Node => ParamValue::Node(NodeId::new(network.node_count() - 1)),
            Self::Text => return None,
        })
    }

    /// Parses a value of this kind; the error is a sentence without its subject.
    pub(super) fn read(&self, text: &str, network: &Network) -> Result<ParamValue, String> {
        let refuse = || format!("must be {self}, not `{text}`");
        match *self {
            Self::Integer { min, max, .. } => {
                let number = text.parse().map_err(|_| refuse())?;
                if (min..=max).contains(&number) { Ok(ParamValue::Integer(number)) } else { Err(refuse()) }
            }
            Self::Flag { .. } => text.parse().map(ParamValue::Flag).map_err(|_| refuse()),
            Self::Duration { min, .. } => {
                let span = text.parse::<Span>().map_err(|error| error.to_string())?;
                if span >= min { Ok(ParamValue::Duration(span)) } else { Err(refuse()) }
            }
            Self::Node => {
                let node = network.find_node(text);
                node.map(ParamValue::Node).ok_or_else(|| format!("is not a node of the network: `{text}`"))
            }
            Self::Text if text.trim().is_empty() => Err("must not be empty".to_owned()),
            Self::Text => Ok(ParamValue::Text(text.to_owned())),
        }
    }

    pub(super) fn show(value: &ParamValue, network: &Network) -> String {
        match value {
            ParamValue::Integer(number) => number.to_string(),
            ParamValue::Flag(flag) => flag.to_string(),
            ParamValue::Duration(span) => span.to_string(),
            ParamValue::Node(node) => network.node_name(*node).into_owned(),
            ParamValue::Text(text) => text.clone(),
        }
    }
}

/// The values of all parameters of a strategy, checked against its descriptor.
///
/// The accessors below panic on a name or a type that the descriptor does not have: that is a bug of the
/// strategy, not of its user.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Params(pub(super) Vec<(&'static str, ParamValue)>);

impl Params {
    fn value(&self, name: &str) -> &ParamValue {
        let found = self.0.iter().find(|param| param.0 == name);
        &found.unwrap_or_else(|| panic!("the descriptor has no parameter `{name}`")).1
    }

    /// Returns the integer named `name`.
    ///
    /// # Panics
    /// If the descriptor has no such parameter of this type.
    #[must_use]
    pub fn integer(&self, name: &str) -> u64 {
        match self.value(name) {
            ParamValue::Integer(number) => *number,
            other => panic!("`{name}` is {other:?}, not a whole number"),
        }
    }

    /// Returns the boolean named `name`.
    ///
    /// # Panics
    /// If the descriptor has no such parameter of this type.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        match self.value(name) {
            ParamValue::Flag(flag) => *flag,
            other => panic!("`{name}` is {other:?}, not a flag"),
        }
    }

    /// Returns the duration named `name`.
    ///
    /// # Panics
    /// If the descriptor has no such parameter of this type.
    #[must_use]
    pub fn duration(&self, name: &str) -> Span {
        match self.value(name) {
            ParamValue::Duration(span) => *span,
            other => panic!("`{name}` is {other:?}, not a duration"),
        }
    }

    /// Returns the node named `name`.
    ///
    /// # Panics
    /// If the descriptor has no such parameter of this type.
    #[must_use]
    pub fn node(&self, name: &str) -> NodeId {
        match self.value(name) {
            ParamValue::Node(node) => *node,
            other => panic!("`{name}` is {other:?}, not a node"),
        }
    }

    /// Returns the text named `name`.
    ///
    /// # Panics
    /// If the descriptor has no such parameter of this type.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        match self.value(name) {
            ParamValue::Text(text) => text,
            other => panic!("`{name}` is {other:?}, not a string"),
        }
    }
}
