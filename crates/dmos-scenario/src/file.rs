//! What a scenario file may say, before it is checked against itself.

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};

use dmos_core::Span;
use dmos_core::settings::{Law, Operator, Protocol, Work};
use dmos_core::strategy::StrategyCall;
use dmos_graph::{Generate, Plant};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScenarioFile {
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) about: String,
    pub(crate) network: NetworkField,
    pub(crate) duration: Span,
    #[serde(default = "one")]
    pub(crate) seed: u64,
    pub(crate) flow: Option<StrategyField>,
    pub(crate) planning_budget: Option<NonZeroU64>,
    pub(crate) leader: Option<StrategyField>,
    pub(crate) candidates: Option<NonZeroU32>,
    #[serde(default)]
    pub(crate) protocol: Protocol,
    #[serde(default)]
    pub(crate) delays: DelaysField,
    #[serde(default)]
    pub(crate) work: Work,
    #[serde(default)]
    pub(crate) faults: FaultsField,
    pub(crate) sample_every: Option<Span>,
}

fn one() -> u64 {
    1
}

/// The network: exactly one of `generate`, `plant` and `nodes`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NetworkField {
    pub(crate) generate: Option<Generate>,
    pub(crate) plant: Option<Plant>,
    pub(crate) nodes: Option<Vec<NodeField>>,
    #[serde(rename = "final")]
    pub(crate) final_items: Option<Vec<String>>,
}

/// A node, or a group of like nodes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NodeField {
    pub(crate) name: Option<String>,
    pub(crate) makes: Makes,
    #[serde(default)]
    pub(crate) needs: Needs,
    #[serde(default = "one_node")]
    pub(crate) count: u32,
}

fn one_node() -> u32 {
    1
}

/// What a node makes: an item, or an item with the number of batches of one making.
#[derive(Debug)]
pub(crate) struct Makes {
    pub(crate) item: String,
    pub(crate) quantity: u32,
}

impl<'de> Deserialize<'de> for Makes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MakesVisitor;

        impl<'de> Visitor<'de> for MakesVisitor {
            type Value = Makes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an item, as `door`, or an item with a number of batches, as `{door: 2}`")
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

/// What a node needs: items, or items with numbers of batches.
#[derive(Debug, Default)]
pub(crate) struct Needs(pub(crate) Vec<(String, u32)>);

impl<'de> Deserialize<'de> for Needs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NeedsVisitor;

        impl<'de> Visitor<'de> for NeedsVisitor {
            type Value = Needs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "items, as `[wood, glass]`, or items with numbers of batches, as `{wood: 2, glass: 1}`",
                )
            }

            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Needs, A::Error> {
                let items = Vec::<String>::deserialize(SeqAccessDeserializer::new(items))?;
                Ok(Needs(items.into_iter().map(|item| (item, 1)).collect()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Needs, A::Error> {
                let mut needs = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    needs.push(entry);
                }
                Ok(Needs(needs))
            }
        }

        deserializer.deserialize_any(NeedsVisitor)
    }
}

/// A strategy: `name`, `name:parameter=value,…`, or a map of `name` and parameters.
#[derive(Debug)]
pub(crate) struct StrategyField(pub(crate) StrategyCall);

/// A parameter's value, as text.
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
                f.write_str("a strategy, as `bully`, `bully:timeout=1s` or `{name: bully, timeout: 1s}`")
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

/// How long things take on their way.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DelaysField {
    pub(crate) between_starts: Option<Span>,
    pub(crate) message: Option<LawField>,
    pub(crate) transit: Option<LawField>,
}

/// A law: a duration, `choice: [...]` or `uniform: [from, to]`.
#[derive(Debug)]
pub(crate) struct LawField(pub(crate) Law);

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum LawMap {
    Choice(Vec<Span>),
    Uniform([Span; 2]),
}

impl<'de> Deserialize<'de> for LawField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LawVisitor;

        impl<'de> Visitor<'de> for LawVisitor {
            type Value = LawField;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration, as `1s`, or `{choice: [500ms, 1s]}`, or `{uniform: [500ms, 1s]}`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<LawField, E> {
                text.parse().map(|span| LawField(Law::Fixed(span))).map_err(E::custom)
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<LawField, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<LawField, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<LawField, A::Error> {
                Ok(LawField(match LawMap::deserialize(MapAccessDeserializer::new(map))? {
                    LawMap::Choice(spans) => Law::Choice(spans),
                    LawMap::Uniform([from, to]) => Law::Uniform(from, to),
                }))
            }
        }

        deserializer.deserialize_any(LawVisitor)
    }
}

/// What breaks.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FaultsField {
    pub(crate) operator: Option<Operator>,
    pub(crate) script: Vec<ScriptField>,
}

/// A scripted fault: exactly one of `crash` and `recover`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScriptField {
    pub(crate) at: Span,
    pub(crate) crash: Option<NodeName>,
    pub(crate) recover: Option<NodeName>,
}

/// A node's name; generated nodes are named by numbers.
#[derive(Debug)]
pub(crate) struct NodeName(pub(crate) String);

impl<'de> Deserialize<'de> for NodeName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Plain::deserialize(deserializer).map(|Plain(name)| Self(name))
    }
}
