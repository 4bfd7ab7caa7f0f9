//! Values of scenario files with several notations.

use std::fmt;
use std::num::NonZeroU32;

use dmos_core::strategy::StrategyCall;
use dmos_core::{Distribution, Span};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Error, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The product of a node: an item, or an item with the number of batches per production run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Makes {
    /// The item.
    pub item: String,
    /// Number of batches per production run.
    pub quantity: u32,
}

impl Serialize for Makes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.quantity {
            1 => serializer.serialize_str(&self.item),
            quantity => serializer.collect_map([(&self.item, quantity)]),
        }
    }
}

impl<'de> Deserialize<'de> for Makes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MakesVisitor;

        impl<'de> Visitor<'de> for MakesVisitor {
            type Value = Makes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an item such as `door`, or an item with a number of batches such as `{door: 2}`")
            }

            fn visit_str<E: Error>(self, item: &str) -> Result<Makes, E> {
                Ok(Makes { item: item.to_owned(), quantity: 1 })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Makes, A::Error> {
                let (Some((item, quantity)), None) = (map.next_entry()?, map.next_key::<String>()?) else {
                    return Err(A::Error::custom("a node makes exactly one item"));
                };
                Ok(Makes { item, quantity })
            }
        }

        deserializer.deserialize_any(MakesVisitor)
    }
}

/// Items, or items with quantities; 1 each by default. Inputs of a node, or final items with their weights.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Quantities(pub Vec<(String, u32)>);

impl Quantities {
    /// Returns whether there are no items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Quantities {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.iter().all(|(_, quantity)| *quantity == 1) {
            serializer.collect_seq(self.0.iter().map(|(item, _)| item))
        } else {
            serializer.collect_map(self.0.iter().map(|(item, quantity)| (item, quantity)))
        }
    }
}

impl<'de> Deserialize<'de> for Quantities {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct QuantitiesVisitor;

        impl<'de> Visitor<'de> for QuantitiesVisitor {
            type Value = Quantities;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "items such as `[wood, glass]`, or items with numbers such as `{wood: 2, glass: 1}`",
                )
            }

            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Quantities, A::Error> {
                let items = Vec::<String>::deserialize(SeqAccessDeserializer::new(items))?;
                Ok(Quantities(items.into_iter().map(|item| (item, 1)).collect()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Quantities, A::Error> {
                let mut needs = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    needs.push(entry);
                }
                Ok(Quantities(needs))
            }
        }

        deserializer.deserialize_any(QuantitiesVisitor)
    }
}

/// The nodes that may lead: a number, or `all`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CandidatesField {
    /// This number of nodes, spread evenly.
    Count(NonZeroU32),
    /// All nodes.
    All,
}

impl Serialize for CandidatesField {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => count.serialize(serializer),
            Self::All => serializer.serialize_str("all"),
        }
    }
}

impl<'de> Deserialize<'de> for CandidatesField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CandidatesVisitor;

        impl Visitor<'_> for CandidatesVisitor {
            type Value = CandidatesField;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of nodes, at least 1, or `all`")
            }

            fn visit_u64<E: Error>(self, count: u64) -> Result<CandidatesField, E> {
                let count = u32::try_from(count).ok().and_then(NonZeroU32::new);
                let count = count.ok_or_else(|| E::invalid_value(Unexpected::Other("this number"), &self))?;
                Ok(CandidatesField::Count(count))
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<CandidatesField, E> {
                match word {
                    "all" => Ok(CandidatesField::All),
                    _ => Err(E::invalid_value(Unexpected::Str(word), &self)),
                }
            }
        }

        deserializer.deserialize_any(CandidatesVisitor)
    }
}

/// A strategy: `name`, `name:parameter=value,…`, or a map of `name` and parameters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StrategyField(pub StrategyCall);

impl Serialize for StrategyField {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let StrategyCall { name, params } = &self.0;
        // In the one-line notation a comma ends a value.
        if params.iter().any(|(_, value)| value.contains(',')) {
            let name = ("name", name);
            return serializer
                .collect_map([name].into_iter().chain(params.iter().map(|(key, value)| (&key[..], value))));
        }
        serializer.collect_str(&self.0)
    }
}

/// A parameter's value as text.
struct Plain(String);

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PlainVisitor;

        impl Visitor<'_> for PlainVisitor {
            type Value = Plain;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a single value")
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<Plain, E> {
                Ok(Plain(value.to_owned()))
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<Plain, E> {
                Ok(Plain(value.to_string()))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Plain, E> {
                Ok(Plain(value.to_string()))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Plain, E> {
                Ok(Plain(value.to_string()))
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Plain, E> {
                Ok(Plain(value.to_string()))
            }
        }

        deserializer.deserialize_any(PlainVisitor)
    }
}

impl<'de> Deserialize<'de> for StrategyField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StrategyVisitor;

        impl<'de> Visitor<'de> for StrategyVisitor {
            type Value = StrategyField;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a strategy such as `bully`, `bully:timeout=1s` or `{name: bully, timeout: 1s}`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<StrategyField, E> {
                text.parse().map(StrategyField).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<StrategyField, A::Error> {
                let (mut name, mut params) = (None, Vec::new());
                while let Some((key, Plain(value))) = map.next_entry::<String, Plain>()? {
                    if key == "name" { name = Some(value) } else { params.push((key, value)) }
                }
                let name = name.ok_or_else(|| A::Error::missing_field("name"))?;
                Ok(StrategyField(StrategyCall { name, params }))
            }
        }

        deserializer.deserialize_any(StrategyVisitor)
    }
}

/// A distribution: a duration, or a map from the distribution's name to its parameters.
#[derive(Clone, PartialEq, Debug)]
pub struct DistributionField(pub Distribution);

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum DistributionMap {
    Choice(Vec<Span>),
    Uniform([Span; 2]),
    Exponential(Span),
    Weibull { mean: Span, shape: f64 },
    LogNormal { mean: Span, sigma: f64 },
}

impl Serialize for DistributionField {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A map with one entry rather than a tagged value, because YAML tags are rejected when read.
        match &self.0 {
            Distribution::Fixed(span) => serializer.collect_str(span),
            Distribution::Choice(spans) => serializer.collect_map([("choice", spans)]),
            Distribution::Uniform(from, to) => serializer.collect_map([("uniform", [from, to])]),
            Distribution::Exponential(mean) => serializer.collect_map([("exponential", mean)]),
            Distribution::Weibull { mean, shape } => serializer
                .collect_map([("weibull", Shaped { mean: *mean, shape: Some(*shape), sigma: None })]),
            Distribution::LogNormal { mean, sigma } => serializer
                .collect_map([("log_normal", Shaped { mean: *mean, shape: None, sigma: Some(*sigma) })]),
        }
    }
}

#[derive(Serialize)]
struct Shaped {
    mean: Span,
    #[serde(skip_serializing_if = "Option::is_none")]
    shape: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sigma: Option<f64>,
}

impl<'de> Deserialize<'de> for DistributionField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DistributionVisitor;

        impl<'de> Visitor<'de> for DistributionVisitor {
            type Value = DistributionField;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a duration such as `1s`, or a distribution such as `{uniform: [500ms, 1s]}` or `{exponential: 10min}`",
                )
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<DistributionField, E> {
                text.parse().map(|span| DistributionField(Distribution::Fixed(span))).map_err(E::custom)
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<DistributionField, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<DistributionField, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<DistributionField, A::Error> {
                Ok(DistributionField(match DistributionMap::deserialize(MapAccessDeserializer::new(map))? {
                    DistributionMap::Choice(spans) => Distribution::Choice(spans),
                    DistributionMap::Uniform([from, to]) => Distribution::Uniform(from, to),
                    DistributionMap::Exponential(mean) => Distribution::Exponential(mean),
                    DistributionMap::Weibull { mean, shape } => Distribution::Weibull { mean, shape },
                    DistributionMap::LogNormal { mean, sigma } => Distribution::LogNormal { mean, sigma },
                }))
            }
        }

        deserializer.deserialize_any(DistributionVisitor)
    }
}

/// The name of a node; nodes of generated networks are named by numbers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeName(pub String);

impl<'de> Deserialize<'de> for NodeName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Plain::deserialize(deserializer).map(|Plain(name)| Self(name))
    }
}

impl Serialize for NodeName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Nodes: `all`, or a list of names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NodesField {
    /// Every node.
    All,
    /// The listed nodes.
    These(Vec<NodeName>),
}

impl Serialize for NodesField {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => serializer.serialize_str("all"),
            Self::These(names) => names.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for NodesField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NodesVisitor;

        impl<'de> Visitor<'de> for NodesVisitor {
            type Value = NodesField;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`all`, or a list of nodes such as `[wood, door]`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<NodesField, E> {
                match text {
                    "all" => Ok(NodesField::All),
                    other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, names: A) -> Result<NodesField, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(names)).map(NodesField::These)
            }
        }

        deserializer.deserialize_any(NodesVisitor)
    }
}

/// Target of a fault: a node's name, or a map that selects one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TargetField {
    /// This node.
    Node(NodeName),
    /// All producers of an item.
    Item(String),
    /// One producer of an item, chosen at random.
    ProducerOf(String),
    /// The node with a role.
    Role(Role),
}

/// A role that selects a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The latest leader.
    Leader,
    /// The node that has made the most batches.
    Busiest,
    /// Any node, chosen at random.
    Any,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum TargetMap {
    Item(NodeName),
    ProducerOf(NodeName),
    Role(Role),
}

impl Serialize for TargetField {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Node(name) => name.serialize(serializer),
            Self::Item(item) => serializer.collect_map([("item", item)]),
            Self::ProducerOf(item) => serializer.collect_map([("producer_of", item)]),
            Self::Role(role) => serializer.collect_map([("role", role)]),
        }
    }
}

impl<'de> Deserialize<'de> for TargetField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TargetVisitor;

        impl<'de> Visitor<'de> for TargetVisitor {
            type Value = TargetField;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a node such as `door-1`, or `{role: leader}`, `{producer_of: door}` or `{item: door}`",
                )
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<TargetField, E> {
                Ok(TargetField::Node(NodeName(name.to_owned())))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<TargetField, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<TargetField, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TargetField, A::Error> {
                Ok(match TargetMap::deserialize(MapAccessDeserializer::new(map))? {
                    TargetMap::Item(NodeName(item)) => TargetField::Item(item),
                    TargetMap::ProducerOf(NodeName(item)) => TargetField::ProducerOf(item),
                    TargetMap::Role(role) => TargetField::Role(role),
                })
            }
        }

        deserializer.deserialize_any(TargetVisitor)
    }
}
