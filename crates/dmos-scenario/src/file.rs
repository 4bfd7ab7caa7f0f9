//! What a scenario file may say, before it is checked against itself; and how it is written.

mod faults;
mod values;

use std::num::{NonZeroU32, NonZeroU64};

use dmos_core::Span;
use dmos_core::scenario::SameTimeOrder;
use dmos_core::settings::{Protocol, Work};
use dmos_graph::{Generate, NamedNetwork};
use serde::{Deserialize, Serialize};
use serde_yaml::Value;

pub use faults::{
    FaultsField, Heal, MessagesField, PartitionField, RandomFailuresField, RecipeField, ScriptField,
};
pub use values::{DistributionField, Makes, Needs, NodeName, NodesField, Role, StrategyField, TargetField};

/// A whole file.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioFile {
    /// A short name; that of the file, if there is none.
    pub name: Option<String>,
    /// What the scenario shows.
    #[serde(default)]
    pub about: String,
    /// Who can make what out of what.
    pub network: NetworkField,
    /// How long the run lasts.
    pub duration: Span,
    /// The seed of everything drawn.
    #[serde(default = "one")]
    pub seed: u64,
    /// How flows are planned.
    pub flow: Option<StrategyField>,
    /// The most steps a plan may take.
    pub planning_budget: Option<NonZeroU64>,
    /// How the leader is found.
    pub leader: Option<StrategyField>,
    /// How many nodes may lead; all, if it does not say.
    pub candidates: Option<NonZeroU32>,
    /// How the nodes behave.
    #[serde(default)]
    pub protocol: Protocol,
    /// How long things take on their way.
    #[serde(default)]
    pub delays: DelaysField,
    /// How much CPU time work takes.
    #[serde(default)]
    pub work: Work,
    /// What breaks.
    #[serde(default)]
    pub faults: FaultsField,
    /// In which order events of the same instant happen.
    #[serde(default)]
    pub same_time_order: SameTimeOrder,
    /// The time between two samples of the series.
    pub sample_every: Option<Span>,
}

impl ScenarioFile {
    /// Returns a file of the least that a scenario says.
    #[must_use]
    pub fn new(network: NetworkField, duration: Span) -> Self {
        Self {
            name: None,
            about: String::new(),
            network,
            duration,
            seed: one(),
            flow: None,
            planning_budget: None,
            leader: None,
            candidates: None,
            protocol: Protocol::default(),
            delays: DelaysField::default(),
            work: Work::default(),
            faults: FaultsField::default(),
            same_time_order: SameTimeOrder::default(),
            sample_every: None,
        }
    }

    /// Returns the file as YAML. What is as by default is left out.
    ///
    /// Read again, the text says the same.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let least = Self::new(NetworkField::default(), Span::ZERO);
        let (mut value, least) = (value(self), value(&least));
        prune(&mut value, &least);
        drop_nulls_in_lists(&mut value);
        let text = serde_yaml::to_string(&value).expect("values can be written");
        text.trim_end().to_owned() + "\n"
    }
}

fn value(file: &ScenarioFile) -> Value {
    serde_yaml::to_value(file).expect("whatever a file may say can be written")
}

/// Takes out of a map what is as it is in `least`.
fn prune(value: &mut Value, least: &Value) {
    if let (Value::Mapping(map), Value::Mapping(least)) = (value, least) {
        for (key, least) in least {
            if map.get(key) == Some(least) {
                map.shift_remove(key);
            } else if let Some(inner) = map.get_mut(key) {
                prune(inner, least);
            }
        }
    }
}

/// Fields that are not given, of entries of lists.
fn drop_nulls_in_lists(value: &mut Value) {
    match value {
        Value::Mapping(map) => map.values_mut().for_each(drop_nulls_in_lists),
        Value::Sequence(list) => {
            for entry in list {
                if let Value::Mapping(map) = entry {
                    map.retain(|_, value| !value.is_null());
                }
                drop_nulls_in_lists(entry);
            }
        }
        _ => {}
    }
}

fn one() -> u64 {
    1
}

/// The network: exactly one of `generate`, `named` and `nodes`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkField {
    /// Drawn as the prototype draws.
    pub generate: Option<Generate>,
    /// One of the prototype's.
    pub named: Option<NamedNetwork>,
    /// Node by node.
    pub nodes: Option<Vec<NodeField>>,
    /// The items that the network exists to make.
    #[serde(rename = "final")]
    pub final_items: Option<Vec<String>>,
}

/// A node, or a group of like nodes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeField {
    /// Its name; the item's, if there is none.
    pub name: Option<String>,
    /// What it makes.
    pub makes: Makes,
    /// What one production run takes.
    #[serde(default, skip_serializing_if = "Needs::is_empty")]
    pub needs: Needs,
    /// Number of such nodes.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub count: u32,
    /// Number of manufacture cycles one production run takes.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub cycles: u32,
    /// What it costs to have it work; `least-cost` goes by it.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub cost: u32,
}

fn once() -> u32 {
    1
}

fn is_once(number: &u32) -> bool {
    *number == 1
}

/// How long things take on their way.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DelaysField {
    /// Between the starts of two nodes.
    pub between_starts: Option<Span>,
    /// From a message's sending to its arrival.
    pub message: Option<DistributionField>,
    /// From a batch's announcement to its arrival.
    pub transit: Option<DistributionField>,
}
