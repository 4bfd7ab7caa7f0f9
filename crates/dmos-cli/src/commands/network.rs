//! `dmos network`: shows the supply network.

use dmos_core::{ItemId, Network, NodeId, NodeSet, Registry};
use dmos_graph::paths::Paths;
use dmos_graph::plans::{NotCounted, Plans};
use dmos_report::table;
use serde::Serialize;
use serde_json::Value;

use crate::args::{NetworkArguments, NetworkFormat};
use crate::commands::plan::plans;
use crate::commands::{about, json_name, load};
use crate::error::CliError;
use crate::output::{print, print_json};

#[derive(Serialize)]
struct NetworkDocument {
    nodes: Vec<NodeEntry>,
    #[serde(rename = "final")]
    final_items: Vec<Value>,
    /// Number of possible supply edges.
    supply_edges: u64,
    /// Number of paths from sources to producers of final items, as digits, because it exceeds any integer
    /// type.
    paths: String,
    /// Number of plans with one producer for each item, as digits, or `None` if they cannot be counted.
    plans: Option<String>,
}

#[derive(Serialize)]
struct NodeEntry {
    id: Value,
    produces: Value,
    requires: Vec<Value>,
    /// Yield of a production run, followed by the quantity of each input.
    quantities: Vec<u32>,
}

pub(crate) fn run(arguments: &NetworkArguments, registry: &Registry) -> Result<(), CliError> {
    let loaded = load(&arguments.scenario, &arguments.changes.overrides(), registry)?;
    let network = &loaded.scenario.network;
    match arguments.format {
        NetworkFormat::Json => print_json(&document(network)),
        NetworkFormat::Text => print(&text(network)),
    }
}

fn item_name(network: &Network, item: ItemId) -> Value {
    json_name(network.node_names(), network.item_name(item))
}

fn document(network: &Network) -> NetworkDocument {
    let entry = |node: NodeId| {
        let requirements = network.requirements(node);
        let quantities = requirements.iter().map(|required| required.quantity);
        NodeEntry {
            id: json_name(network.node_names(), network.node_name(node)),
            produces: item_name(network, network.makes(node)),
            requires: requirements.iter().map(|required| item_name(network, required.item)).collect(),
            quantities: [network.yield_per_run(node)].into_iter().chain(quantities).collect(),
        }
    };
    NetworkDocument {
        nodes: network.nodes().map(entry).collect(),
        final_items: network.final_items().iter().map(|&item| item_name(network, item)).collect(),
        supply_edges: supply_edges(network),
        paths: Paths::new(network).count().to_string(),
        plans: all_plans(network).ok().map(|plans| plans.count().to_string()),
    }
}

fn all_plans(network: &Network) -> Result<Plans, NotCounted> {
    Plans::of(network, &NodeSet::all(network.node_count()))
}

fn supply_edges(network: &Network) -> u64 {
    let requirements = network.nodes().flat_map(|node| network.requirements(node));
    requirements.map(|required| network.producers(required.item).len() as u64).sum()
}

fn amount(network: &Network, item: ItemId, quantity: u32) -> String {
    let name = network.item_name(item);
    if quantity == 1 { name.into_owned() } else { format!("{quantity} {name}") }
}

fn text(network: &Network) -> String {
    let row = |node: NodeId| {
        let needs = network.requirements(node).iter();
        let needs: Vec<_> = needs.map(|required| amount(network, required.item, required.quantity)).collect();
        let makes = amount(network, network.makes(node), network.yield_per_run(node));
        vec![network.node_name(node).into_owned(), makes, needs.join(", ")]
    };
    let finals: Vec<_> = network.final_items().iter().map(|&item| network.item_name(item)).collect();
    let (nodes, items) = (network.node_count(), network.item_count());
    let edges = supply_edges(network);
    let paths = about(&Paths::new(network).count().to_string());
    let plans = plans::count(network, &all_plans(network));
    let rows = table::text_columns(&["node", "makes", "needs"], network.nodes().map(row));
    format!(
        "{rows}\n{nodes} nodes, {items} items, {edges} possible supply edges, {paths} paths from sources; final: {}\n{plans}\n",
        finals.join(", ")
    )
}
