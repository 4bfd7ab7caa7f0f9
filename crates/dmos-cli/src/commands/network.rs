//! `dmos network`: shows the supply network.

use dmos_core::{ItemId, Network, NodeId, NodeSet, Registry, Routes, Scenario};
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
    /// Number of batches of each final item in a complete set.
    final_weights: Vec<u32>,
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
    /// Mean process time of a production run.
    process_time_s: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    site: Option<String>,
}

pub(crate) fn run(arguments: &NetworkArguments, registry: &Registry) -> Result<(), CliError> {
    let loaded = load(&arguments.scenario, &arguments.changes.overrides(), registry)?;
    match arguments.format {
        NetworkFormat::Json => print_json(&document(&loaded.scenario)),
        NetworkFormat::Text => print(&text(&loaded.scenario)),
    }
}

fn item_name(network: &Network, item: ItemId) -> Value {
    json_name(network.node_names(), network.item_name(item))
}

/// Returns the name of a node's site, if routes lead between sites.
fn site(routes: &Routes, node: NodeId) -> Option<&str> {
    routes.site(node).map(|site| routes.site_names()[site].as_str())
}

fn document(scenario: &Scenario) -> NetworkDocument {
    let network = &*scenario.network;
    let entry = |node: NodeId| {
        let requirements = network.requirements(node);
        let quantities = requirements.iter().map(|required| required.quantity);
        NodeEntry {
            id: json_name(network.node_names(), network.node_name(node)),
            produces: item_name(network, network.makes(node)),
            requires: requirements.iter().map(|required| item_name(network, required.item)).collect(),
            quantities: [network.yield_per_run(node)].into_iter().chain(quantities).collect(),
            process_time_s: network.process_time(node).as_secs_f64(),
            site: site(&scenario.routes, node).map(str::to_owned),
        }
    };
    NetworkDocument {
        nodes: network.nodes().map(entry).collect(),
        final_items: network.final_items().iter().map(|&item| item_name(network, item)).collect(),
        final_weights: network.final_weights().map(|(_, weight)| weight).collect(),
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

fn text(scenario: &Scenario) -> String {
    let network = &*scenario.network;
    let has_sites = scenario.routes.only_route().is_none();
    let row = |node: NodeId| {
        let needs = network.requirements(node).iter();
        let needs: Vec<_> = needs.map(|required| amount(network, required.item, required.quantity)).collect();
        let makes = amount(network, network.makes(node), network.yield_per_run(node));
        let process_time = network.process_time(node).to_string();
        let mut row = vec![network.node_name(node).into_owned(), makes, needs.join(", "), process_time];
        row.extend(has_sites.then(|| site(&scenario.routes, node).unwrap_or("").to_owned()));
        row
    };
    let finals: Vec<_> =
        network.final_weights().map(|(item, weight)| amount(network, item, weight)).collect();
    let (nodes, items) = (network.node_count(), network.item_count());
    let edges = supply_edges(network);
    let paths = about(&Paths::new(network).count().to_string());
    let plans = plans::count(network, &all_plans(network));
    let header = ["node", "makes", "needs", "process time", "site"];
    let header = if has_sites { &header[..] } else { &header[..4] };
    let rows = table::text_columns(header, network.nodes().map(row));
    format!(
        "{rows}\n{nodes} nodes, {items} items, {edges} possible supply edges, {paths} paths from sources; final: {}\n{plans}\n",
        finals.join(", ")
    )
}
