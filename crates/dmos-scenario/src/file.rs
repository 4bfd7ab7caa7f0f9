//! Scenario files: their fields, before consistency checks, and their serialization.

mod faults;
mod values;

use std::num::NonZeroU64;

use dmos_core::Span;
use dmos_core::scenario::SameTimeOrder;
use dmos_core::settings::{Protocol, Work};
use dmos_graph::{Generate, NamedNetwork};
use serde::{Deserialize, Serialize};
use serde_yaml::Value;

pub use faults::{FaultsField, MessagesField, RandomFailuresField};
pub use values::{
    CandidatesField, DistributionField, Makes, NodeName, NodesField, Quantities, Role, StrategyField,
    TargetField,
};

/// The content of a scenario file.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioFile {
    /// Short name; the name of the file if unset.
    pub name: Option<String>,
    /// Purpose of the scenario.
    #[serde(default)]
    pub about: String,
    /// The supply network.
    pub network: NetworkField,
    /// Duration of the run.
    pub duration: Span,
    /// Time from which metrics are measured.
    #[serde(default)]
    pub measure_from: Span,
    /// Seed of all random numbers.
    #[serde(default = "one")]
    pub seed: u64,
    /// Flow strategy.
    pub flow: Option<StrategyField>,
    /// Maximum number of steps of a plan.
    pub planning_budget: Option<NonZeroU64>,
    /// Leader strategy.
    pub leader: Option<StrategyField>,
    /// Failure detector.
    pub detector: Option<StrategyField>,
    /// Nodes that may lead; a few if unset.
    pub candidates: Option<CandidatesField>,
    /// Protocol of the nodes.
    #[serde(default)]
    pub protocol: Protocol,
    /// Delays of starts, messages and transits.
    #[serde(default)]
    pub delays: DelaysField,
    /// Routes between the sites of the nodes.
    #[serde(default)]
    pub sites: SitesField,
    /// CPU costs.
    #[serde(default)]
    pub work: Work,
    /// Faults.
    #[serde(default)]
    pub faults: FaultsField,
    /// Order of events at the same time.
    #[serde(default)]
    pub same_time_order: SameTimeOrder,
    /// Interval between two samples of the time series.
    pub sample_every: Option<Span>,
}

impl ScenarioFile {
    /// Returns a file with only the required fields.
    #[must_use]
    pub fn new(network: NetworkField, duration: Span) -> Self {
        Self {
            name: None,
            about: String::new(),
            network,
            duration,
            measure_from: Span::ZERO,
            seed: one(),
            flow: None,
            planning_budget: None,
            leader: None,
            detector: None,
            candidates: None,
            protocol: Protocol::default(),
            delays: DelaysField::default(),
            sites: SitesField::default(),
            work: Work::default(),
            faults: FaultsField::default(),
            same_time_order: SameTimeOrder::default(),
            sample_every: None,
        }
    }

    /// Returns the file as YAML, without fields that have their default value.
    ///
    /// Parsing the text yields an equal file.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let least = Self::new(NetworkField::default(), Span::ZERO);
        let (mut value, least) = (value(self), value(&least));
        prune(&mut value, &least);
        drop_nulls_in_lists(&mut value);
        let text = serde_yaml::to_string(&value).expect("values can be serialized");
        text.trim_end().to_owned() + "\n"
    }
}

fn value(file: &ScenarioFile) -> Value {
    serde_yaml::to_value(file).expect("every scenario file can be serialized")
}

/// Removes from a map everything that equals `least`.
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

/// Removes unset fields from the entries of lists.
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
    /// A random network of the prototype.
    pub generate: Option<Generate>,
    /// A named network of the prototype.
    pub named: Option<NamedNetwork>,
    /// A list of nodes.
    pub nodes: Option<Vec<NodeField>>,
    /// Under `production: server`, duration of a production run of the nodes that give none; 1 s if unset.
    pub process_time: Option<DistributionField>,
    /// Final items with their weights.
    #[serde(rename = "final")]
    pub final_items: Option<Quantities>,
}

/// A node, or a group of identical nodes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeField {
    /// Name; the name of the item if unset.
    pub name: Option<String>,
    /// The item that it makes.
    pub makes: Makes,
    /// Inputs of a production run.
    #[serde(default, skip_serializing_if = "Quantities::is_empty")]
    pub needs: Quantities,
    /// Number of nodes.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub count: u32,
    /// Under `production: polled`, number of production cycles per production run.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub cycles: u32,
    /// Under `production: server`, duration of a production run; that of the network if unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process_time: Option<DistributionField>,
    /// Cost of the node, for cost-driven planners.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub cost: u32,
    /// Its site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
}

fn once() -> u32 {
    1
}

fn is_once(number: &u32) -> bool {
    *number == 1
}

/// Delays of starts, messages and transits.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DelaysField {
    /// Delay between the starts of two consecutive nodes.
    pub between_starts: Option<Span>,
    /// Delay of a message.
    pub message: Option<DistributionField>,
    /// Transit time of a batch.
    pub transit: Option<DistributionField>,
}

/// Routes between sites. Where there is none, `delays` applies.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SitesField {
    /// The routes.
    pub routes: Vec<RouteField>,
}

/// A route: `between` two sites, in both directions, or `from` a site `to` a site.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RouteField {
    /// The sites that it connects.
    pub between: Option<[String; 2]>,
    /// Site of the sender.
    pub from: Option<String>,
    /// Site of the receiver.
    pub to: Option<String>,
    /// Transit time of a shipment.
    pub transit: Option<DistributionField>,
    /// Delay of a message.
    pub message: Option<DistributionField>,
    /// Cost of moving one batch.
    pub cost: u32,
}
