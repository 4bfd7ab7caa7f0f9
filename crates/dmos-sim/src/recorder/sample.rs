//! Samples of the time series: production, and material by item and place.

use dmos_core::record::{ItemSample, Sample};
use dmos_core::{ItemId, Metric, Network, Scenario, Time};
use dmos_node::MaterialPlace;

use crate::nodes::{Nodes, SimNode};

/// Returns a snapshot of all nodes, and appends that of each item to `item_series`. O(nodes and the ranges of batches
/// that they hold).
pub(super) fn sample(
    scenario: &Scenario,
    now: Time,
    nodes: &Nodes,
    item_series: &mut Vec<ItemSample>,
) -> Sample {
    let network = &*scenario.network;
    let first = item_series.len();
    item_series.resize(first + network.item_count(), ItemSample::default());
    let items = &mut item_series[first..];
    let (mut nodes_up, mut messages, mut stock) = (0, 0, 0);
    for (node, sim_node) in nodes.iter() {
        let metrics = sim_node.node.metrics();
        messages += metrics.get(Metric::SentMessages);
        let runs = metrics.get(Metric::SuccessfulManufactureCycles);
        let item = &mut items[network.makes(node).index()];
        item.made += runs * u64::from(network.yield_per_run(node));
        item.finished += metrics.get(Metric::FinishedGoodsMade);
        if sim_node.is_up() {
            nodes_up += 1;
            stock += sim_node.node.stock();
            count_material(network, network.makes(node), sim_node, items);
        }
    }
    Sample {
        at: now,
        nodes_up,
        made: items.iter().map(|item| item.made).sum(),
        finished: items.iter().map(|item| item.finished).sum(),
        complete_sets: network.complete_sets(|item| items[item.index()].finished),
        stock,
        messages,
    }
}

/// Counts the material of a node that makes `item`.
fn count_material(network: &Network, item: ItemId, sim_node: &SimNode, items: &mut [ItemSample]) {
    items[item.index()].output += match sim_node.node.occupancy() {
        Some(occupancy) => occupancy.output,
        None if network.final_items().contains(&item) => 0,
        None => sim_node.node.stock(),
    };
    sim_node.node.visit_material(|place, batches| {
        let of_item = &mut items[network.makes(batches.first.producer).index()];
        let count = match place {
            MaterialPlace::InTransit => &mut of_item.in_transit,
            MaterialPlace::Input => &mut of_item.input,
        };
        *count += u64::from(batches.count);
    });
}
