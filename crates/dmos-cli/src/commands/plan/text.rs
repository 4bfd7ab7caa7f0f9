//! A plan as a text table.

use std::fmt::Write as _;

use dmos_core::{Network, NodeId, Share};
use dmos_report::table;

use super::explain::{Alternative, Met, Supplier};
use super::{Comparison, Planned, plans};

/// Maximum number of suppliers named, and of alternatives named for each reason.
const NAMED_MAX: usize = 5;

/// Maximum number of edges shown of a comparison.
const EDGES_MAX: usize = 200;

pub(super) fn text(planned: &Planned<'_>) -> String {
    let network = planned.network;
    let mut text = explanation(planned);
    text.push('\n');
    let edges = planned.flow.edges().len();
    let counters = planned.meter.counters().iter().map(|(name, value)| format!(", {name} {value}"));
    let (strategy, steps) = (&planned.strategy, planned.meter.steps());
    let took = format_number(planned.took.as_secs_f64());
    let counters: String = counters.collect();
    let _ = writeln!(text, "{strategy}: {edges} edges in {steps} steps, {took} s of virtual time{counters}");
    let _ = writeln!(text, "{}", plans::count(network, &planned.plans));
    let sets = format_number(planned.sets_per_hour());
    let _ = writeln!(text, "this flow allows {sets} complete sets of final items per hour");
    if let Some(bound) = &planned.bound {
        let sets = format_number(bound.sets_per_second * 3_600.0);
        let names = bound.bottleneck.iter().map(|&node| network.node_name(node).into_owned());
        let bottleneck = match bound.bottleneck.len() {
            0 => String::new(),
            _ => format!("; bottleneck: {}", some_of(names)),
        };
        let _ = writeln!(text, "the machines allow at most {sets}{bottleneck}");
    }
    for remark in planned.meter.remarks() {
        let _ = writeln!(text, "{remark}");
    }
    for comparison in &planned.comparisons {
        compare(network, comparison, &mut text);
    }
    if let (Ok(all), 1..) = (&planned.plans, planned.best) {
        text += &plans::best(network, all, planned.best);
    }
    text
}

fn explanation(planned: &Planned<'_>) -> String {
    let (network, explanation) = (planned.network, &planned.explanation);
    let rows = explanation.nodes.iter().flat_map(|working| {
        working.requirements.iter().map(|met| {
            vec![
                network.node_name(working.node).into_owned(),
                network.item_name(met.item).into_owned(),
                suppliers(planned, working.node, met),
                met.alternatives
                    .iter()
                    .map(|(why, nodes)| alternatives(network, why, nodes))
                    .collect::<Vec<_>>()
                    .join("; "),
            ]
        })
    });
    let supplied_by = match explanation.measure {
        Some(measure) => format!("supplied by ({measure}), share, batches/h"),
        None => "supplied by, share, batches/h".to_owned(),
    };
    table::text_columns(&["node", "needs", &supplied_by, "alternatives"], rows)
}

fn suppliers(planned: &Planned<'_>, consumer: NodeId, met: &Met) -> String {
    let supplier = |supplier: &Supplier| {
        let name = named(planned.network, supplier.node, supplier.rating);
        let share = match supplier.share {
            Share::WHOLE => String::new(),
            share => format!(" {share}"),
        };
        format!("{name}{share} {}/h", format_number(planned.batches_per_hour(supplier.node, consumer)))
    };
    some_of(met.suppliers.iter().map(supplier))
}

fn alternatives(network: &Network, why: &str, nodes: &[Alternative]) -> String {
    let names = nodes.iter().map(|other| named(network, other.node, other.rating));
    format!("{why}: {}", some_of(names))
}

/// Returns the first names, and the number of further ones.
fn some_of(names: impl ExactSizeIterator<Item = String>) -> String {
    let more = names.len().checked_sub(NAMED_MAX).filter(|&more| more > 0);
    let names = names.take(NAMED_MAX).chain(more.map(|more| format!("{more} more")));
    names.collect::<Vec<_>>().join(", ")
}

fn named(network: &Network, node: NodeId, rating: Option<f64>) -> String {
    match rating {
        Some(value) => format!("{} ({})", network.node_name(node), format_number(value)),
        None => network.node_name(node).into_owned(),
    }
}

/// Formats a number with at most four decimals; very large and very small ones with an exponent.
fn format_number(value: f64) -> String {
    if value != 0.0 && !(1e-3..1e9).contains(&value.abs()) {
        return format!("{value:.3e}");
    }
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn compare(network: &Network, comparison: &Comparison, text: &mut String) {
    let Comparison { with, added, removed, kept, reshared } = comparison;
    let shares =
        if *reshared > 0 { format!(", {reshared} of them with a different share") } else { String::new() };
    let (more, less) = (added.len(), removed.len());
    let _ = writeln!(text, "\n{with}: {more} edges added, {less} removed, {kept} kept{shares}");
    let signed = removed.iter().map(|edge| ('-', edge)).chain(added.iter().map(|edge| ('+', edge)));
    for (sign, edge) in signed.take(EDGES_MAX) {
        let (producer, consumer) = (network.node_name(edge.producer), network.node_name(edge.consumer));
        let _ = writeln!(text, "{sign} {producer} -> {consumer}: {}", network.item_name(edge.item));
    }
    let more = (added.len() + removed.len()).saturating_sub(EDGES_MAX);
    if more > 0 {
        let _ = writeln!(text, "  and {more} more");
    }
}
