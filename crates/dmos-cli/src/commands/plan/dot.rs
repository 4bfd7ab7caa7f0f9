//! A plan as a graph in the DOT language of Graphviz.

use std::fmt::Write as _;

use dmos_core::{Network, NodeId, Share, SupplyEdge};

use super::{Comparison, Planned};

/// Returns assigned nodes with their items, and edges from producers to consumers; edges from standbys are
/// dashed. In a comparison added edges are green and removed ones red.
pub(super) fn dot(planned: &Planned<'_>) -> String {
    let network = planned.network;
    let mut text = String::from("digraph plan {\n  rankdir=LR;\n  node [shape=box];\n");
    let removed = || planned.comparisons.iter().flat_map(|comparison| &comparison.removed);
    let mut nodes = planned.flow.assigned_nodes();
    nodes.extend(removed().flat_map(|edge| [edge.producer, edge.consumer]));
    nodes.sort_unstable();
    nodes.dedup();
    for node in nodes {
        let (name, item) = (network.node_name(node), network.item_name(network.makes(node)));
        let style = if planned.alive.contains(node) { "" } else { ", style=dotted" };
        let label = if name == item { quoted(&name) } else { quoted(&format!("{name}\n{item}")) };
        let _ = writeln!(text, "  {} [label={label}{style}];", id(node));
    }
    let is_added =
        |edge: &SupplyEdge| planned.comparisons.iter().any(|Comparison { added, .. }| added.contains(edge));
    for (edge, share) in planned.flow.supplies() {
        let style = if share == Share::STANDBY { ", style=dashed" } else { "" };
        let colour = if is_added(&edge) { ", color=green" } else { "" };
        let label = match share {
            Share::WHOLE => network.item_name(edge.item).into_owned(),
            share => format!("{} {share}", network.item_name(edge.item)),
        };
        arrow(&mut text, &edge, &label, &format!("{style}{colour}"));
    }
    for edge in removed() {
        arrow(&mut text, edge, &item_name(network, edge), ", color=red, style=dotted");
    }
    text.push_str("}\n");
    text
}

fn item_name(network: &Network, edge: &SupplyEdge) -> String {
    network.item_name(edge.item).into_owned()
}

fn arrow(text: &mut String, edge: &SupplyEdge, label: &str, style: &str) {
    let (from, to) = (id(edge.producer), id(edge.consumer));
    let _ = writeln!(text, "  {from} -> {to} [label={}{style}];", quoted(label));
}

fn id(node: NodeId) -> String {
    format!("n{node}")
}

/// Quotes a string; the language has no other escapes.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
