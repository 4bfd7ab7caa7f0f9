//! `dmos criticality`: ranks nodes by the production lost when each is removed.

use dmos_core::{ItemId, Network, NodeId, Registry, Scenario, Span, Time};
use dmos_experiment::criticality::{Criticality, NodeImpact, criticality};
use dmos_report::comparison::short;
use dmos_report::{csv_text, table};
use serde::Serialize;
use serde_json::Value;

use crate::args::{CriticalityArguments, Format};
use crate::commands::{json_name, load};
use crate::error::CliError;
use crate::output::{print, print_json};
use crate::progress::Executor;

pub(crate) fn run(arguments: &CriticalityArguments, registry: &Registry) -> Result<(), CliError> {
    let loaded = load(&arguments.scenario, &arguments.changes.overrides(), registry)?;
    let seed = arguments.seed.unwrap_or(loaded.scenario.seed);
    let scenario = Scenario { seed, ..loaded.scenario };
    let at = arguments.at.unwrap_or(Span::from_nanos(scenario.duration.as_nanos() / 4));
    if at >= scenario.duration {
        return Err(CliError::Input(format!("--at {at}: the run lasts {}", scenario.duration)));
    }
    let executor = Executor::new(arguments.jobs)?;
    dmos_util::panics::keep_panics_quiet();
    let found = criticality(&scenario, Time::ZERO + at, arguments.pairs, executor.pool());
    let _ = std::panic::take_hook();
    let network = &*scenario.network;
    match arguments.format {
        Format::Table => print(&text(&scenario, &found, arguments.top))?,
        Format::Csv => print(&csv(network, &found).map_err(|error| CliError::Output(error.to_string()))?)?,
        Format::Json => print_json(&Document::of(&scenario, &found))?,
    }
    let failed = found.nodes.iter().chain(&found.pairs).filter_map(|impact| impact.failed.as_ref());
    match failed.clone().next() {
        Some(why) => Err(CliError::Found(format!("error: {} runs failed: {why}", failed.count()))),
        None => Ok(()),
    }
}

fn names(network: &Network, nodes: &[NodeId]) -> String {
    let names: Vec<_> = nodes.iter().map(|&node| network.node_name(node)).collect();
    names.join(" + ")
}

/// Maximum number of items named; further ones are only counted.
const ITEMS_NAMED: usize = 3;

fn infeasible_items(network: &Network, infeasible_items: &[ItemId]) -> String {
    // The most downstream items are the most informative.
    let named =
        infeasible_items.iter().rev().take(ITEMS_NAMED).map(|&item| network.item_name(item).into_owned());
    let mut words: Vec<String> = named.collect();
    if infeasible_items.len() > ITEMS_NAMED {
        words.push(format!("{} more", infeasible_items.len() - ITEMS_NAMED));
    }
    words.join(", ")
}

fn survives(impact: &NodeImpact) -> String {
    impact.time_to_survive.map_or_else(String::new, |episode| match episode.ended {
        true => short(episode.lasted),
        false => format!("over {}", short(episode.lasted)),
    })
}

fn text(scenario: &Scenario, found: &Criticality, top: usize) -> String {
    let network = &*scenario.network;
    let top = if top == 0 { usize::MAX } else { top };
    let (flow, leader, seed) = (&scenario.flow, &scenario.leader, scenario.seed);
    let mut text = format!(
        "{}, {flow}, {leader}, seed {seed}: {} complete sets with all nodes; each node in turn fails permanently at {} s\n\n",
        scenario.name,
        found.complete_sets,
        short(found.at.as_secs_f64()),
    );
    let cells = |impact: &NodeImpact| {
        let mut cells =
            vec![names(network, &impact.nodes), format!("{:.3}", impact.exposure), impact.impact.to_string()];
        if let Some(interaction) = impact.interaction {
            cells.push(interaction.to_string());
        }
        cells.push(impact.loss.map(short).unwrap_or_default());
        cells.push(survives(impact));
        cells.push(infeasible_items(network, &impact.infeasible_items));
        cells
    };
    let header = [
        "without",
        "risk exposure",
        "complete sets lost",
        "loss, s",
        "time to survive, s",
        "infeasible items",
    ];
    text.push_str(&table::with_verdict(&header, found.nodes.iter().take(top).map(cells)));
    text.push_str(&more(found.nodes.len(), top));
    if !found.pairs.is_empty() {
        let header = [
            "without both",
            "risk exposure",
            "complete sets lost",
            "interaction",
            "loss, s",
            "time to survive, s",
            "infeasible items",
        ];
        text.push('\n');
        text.push_str(&table::with_verdict(&header, found.pairs.iter().take(top).map(cells)));
        text.push_str(&more(found.pairs.len(), top));
    }
    text.push_str("\nsole sources: ");
    let sole = found.sole_sources.iter();
    let sole: Vec<String> = sole
        .map(|&(item, node)| match (network.item_name(item), network.node_name(node)) {
            (item, node) if item == node => item.into_owned(),
            (item, node) => format!("{item} ({node})"),
        })
        .collect();
    text.push_str(&if sole.is_empty() { "none".to_owned() } else { sole.join(", ") });
    text.push('\n');
    text
}

fn more(all: usize, top: usize) -> String {
    if all > top { format!("and {} more rows: `--top 0` shows all\n", all - top) } else { String::new() }
}

fn csv(network: &Network, found: &Criticality) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record([
        "without",
        "risk_exposure",
        "complete_sets",
        "impact",
        "interaction",
        "loss_s",
        "time_to_survive_s",
        "degraded",
        "infeasible_items",
    ])?;
    let optional = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    for impact in found.nodes.iter().chain(&found.pairs) {
        let episode = impact.time_to_survive;
        let infeasible_items: Vec<_> =
            impact.infeasible_items.iter().map(|&item| network.item_name(item)).collect();
        writer.write_record([
            names(network, &impact.nodes),
            impact.exposure.to_string(),
            impact.complete_sets.to_string(),
            impact.impact.to_string(),
            impact.interaction.map(|interaction| interaction.to_string()).unwrap_or_default(),
            optional(impact.loss),
            optional(episode.map(|episode| episode.lasted)),
            episode.map(|episode| episode.ended.to_string()).unwrap_or_default(),
            infeasible_items.join(" "),
        ])?;
    }
    csv_text(writer)
}

#[derive(Serialize)]
struct Document<'a> {
    scenario: &'a str,
    flow: String,
    leader: String,
    seed: u64,
    at_s: f64,
    complete_sets: u64,
    nodes: Vec<Entry>,
    pairs: Vec<Entry>,
    /// Item and its only producer.
    sole_sources: Vec<[Value; 2]>,
}

#[derive(Serialize)]
struct Entry {
    without: Vec<Value>,
    risk_exposure: f64,
    complete_sets: u64,
    impact: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    interaction: Option<i64>,
    loss_s: Option<f64>,
    /// Time from the removal until the output falls, or a lower bound if it does not.
    time_to_survive_s: Option<f64>,
    degraded: Option<bool>,
    infeasible_items: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
}

impl<'a> Document<'a> {
    fn of(scenario: &'a Scenario, found: &Criticality) -> Self {
        let network = &*scenario.network;
        let node = |node: NodeId| json_name(network.node_names(), network.node_name(node));
        let item = |item: ItemId| json_name(network.node_names(), network.item_name(item));
        let entry = |impact: &NodeImpact| Entry {
            without: impact.nodes.iter().map(|&id| node(id)).collect(),
            risk_exposure: impact.exposure,
            complete_sets: impact.complete_sets,
            impact: impact.impact,
            interaction: impact.interaction,
            loss_s: impact.loss,
            time_to_survive_s: impact.time_to_survive.map(|episode| episode.lasted),
            degraded: impact.time_to_survive.map(|episode| episode.ended),
            infeasible_items: impact.infeasible_items.iter().map(|&id| item(id)).collect(),
            failed: impact.failed.clone(),
        };
        Self {
            scenario: &scenario.name,
            flow: scenario.flow.to_string(),
            leader: scenario.leader.to_string(),
            seed: scenario.seed,
            at_s: found.at.as_secs_f64(),
            complete_sets: found.complete_sets,
            nodes: found.nodes.iter().map(entry).collect(),
            pairs: found.pairs.iter().map(entry).collect(),
            sole_sources: found.sole_sources.iter().map(|&(id, of)| [item(id), node(of)]).collect(),
        }
    }
}
