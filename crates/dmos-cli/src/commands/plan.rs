//! `dmos plan`: plans the flow once and shows it.

use std::collections::BTreeMap;

use dmos_core::strategy::{Meter, PlanRequest};
use dmos_core::{Flow, Network, NoFlow, NodeSet, Registry, SupplyEdge};
use dmos_report::table;
use dmos_scenario::unknown_node;
use serde::Serialize;
use serde_json::Value;

use crate::args::{PlanArguments, PlanFormat};
use crate::commands::{json_name, load};
use crate::failure::Failure;
use crate::output::{print, print_json, say};

#[derive(Serialize)]
struct PlanDocument {
    flow: String,
    /// Producer, consumer, item.
    edges: Vec<[Value; 3]>,
    steps: u64,
    counters: BTreeMap<&'static str, u64>,
    /// Why there is no flow, if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    no_flow: Option<String>,
}

pub(crate) fn run(arguments: &PlanArguments, registry: &Registry) -> Result<(), Failure> {
    let scenario = load(&arguments.scenario, &arguments.changes.overrides(), registry)?.scenario;
    let network = &*scenario.network;
    let alive = alive(network, &arguments.without)?;
    let mut meter = Meter::new(scenario.planning_budget.get());
    let request = PlanRequest::first(network, &alive);
    let outcome = scenario.flow.build().plan(&request, &mut meter);
    let reason = outcome.as_ref().err().map(|error| explain(error, network));
    let edges = sorted(&outcome.unwrap_or_default());
    if arguments.format == PlanFormat::Json {
        let names = network.node_names();
        let edge = |edge: &SupplyEdge| {
            let (producer, consumer) = (network.node_name(edge.producer), network.node_name(edge.consumer));
            [
                json_name(names, producer),
                json_name(names, consumer),
                json_name(names, network.item_name(edge.item)),
            ]
        };
        return print_json(&PlanDocument {
            flow: scenario.flow.to_string(),
            edges: edges.iter().map(edge).collect(),
            steps: meter.steps(),
            counters: meter.counters().iter().copied().collect(),
            no_flow: reason,
        });
    }
    let row = |edge: &SupplyEdge| {
        let (producer, consumer) = (network.node_name(edge.producer), network.node_name(edge.consumer));
        vec![producer.into_owned(), consumer.into_owned(), network.item_name(edge.item).into_owned()]
    };
    let rows = table::words(&["producer", "consumer", "item"], edges.iter().map(row));
    let counters = meter.counters().iter().map(|(name, value)| format!(", {name} {value}"));
    let counters: String = counters.collect();
    let (strategy, steps) = (&scenario.flow, meter.steps());
    print(&format!("{rows}\n{strategy}: {} edges in {steps} steps{counters}\n", edges.len()))?;
    if let Some(reason) = reason {
        say(&format!("no flow: {reason}"));
    }
    Ok(())
}

fn alive(network: &Network, without: &[String]) -> Result<NodeSet, Failure> {
    let mut alive = NodeSet::all(network.node_count());
    for name in without {
        let node = network.find_node(name).ok_or_else(|| Failure::Input(unknown_node(name, network)))?;
        alive.remove(node);
    }
    Ok(alive)
}

/// Why there is no flow, with the item by its name.
fn explain(error: &NoFlow, network: &Network) -> String {
    match error {
        NoFlow::Unmakeable(item) => {
            format!("item `{}` cannot be made from the nodes that are alive", network.item_name(*item))
        }
        error => error.to_string(),
    }
}

/// The edges by producer, then consumer, then item.
fn sorted(flow: &Flow) -> Vec<SupplyEdge> {
    let mut edges = flow.edges().to_vec();
    edges.sort_unstable_by_key(|edge| (edge.producer, edge.consumer, edge.item));
    edges
}
