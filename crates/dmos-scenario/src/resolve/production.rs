//! Production: process times, and settings that belong to one model of production only.

use dmos_core::scenario::ProcessTimes;
use dmos_core::settings::{LogKeeping, Production, Protocol, Receiving, Recovery, Requests, Serving};
use dmos_core::{Distribution, Network, Recipe, Span};

use super::{Problems, distributions};
use crate::document::{Path, steps};
use crate::file::{NetworkField, NodeField};

/// Minimum process time: shorter ones would produce more events than progress.
const PROCESS_TIME_MIN: Span = Span::from_nanos(1_000);

/// Maximum number of production cycles of a production run.
const CYCLES_MAX: u32 = 1_000_000;

/// Checks that nodes and protocol belong to one model of production, and that process times are valid.
pub(super) fn check(network: &NetworkField, protocol: &Protocol, problems: &mut Problems) {
    let nodes = network.nodes.as_deref().unwrap_or_default();
    match protocol.production {
        Production::Server => server(nodes, protocol, problems),
        Production::Polled => polled(nodes, protocol, problems),
    }
}

/// Process times of groups of nodes, with the size of each group.
pub(super) type Groups = Vec<(u32, Distribution)>;

/// Returns the process times of a network's groups; of a network that lists no nodes, that of each node.
pub(super) fn groups(network: &NetworkField, protocol: &Protocol) -> Groups {
    let process_time = |node: Option<&NodeField>| match protocol.production {
        Production::Polled => {
            let cycles = node.map_or(1, |node| node.cycles);
            Distribution::Fixed(protocol.cycle * u64::from(cycles.min(CYCLES_MAX)))
        }
        Production::Server => {
            let field = node.and_then(|node| node.process_time.as_ref());
            field.map_or(Distribution::Fixed(Recipe::PROCESS_TIME), |field| field.0.clone())
        }
    };
    match network.nodes.as_deref() {
        Some(nodes) => nodes.iter().map(|node| (node.count, process_time(Some(node)))).collect(),
        None => vec![(u32::MAX, process_time(None))],
    }
}

/// Returns the process times of all nodes of a valid network.
pub(super) fn process_times(groups: &Groups, network: &Network) -> ProcessTimes {
    let of_nodes = groups.iter().flat_map(|(count, time)| std::iter::repeat_n(time, *count as usize));
    ProcessTimes::new(of_nodes.take(network.node_count()).cloned())
}

fn server(nodes: &[NodeField], protocol: &Protocol, problems: &mut Problems) {
    for (index, node) in nodes.iter().enumerate() {
        if node.cycles != 1 {
            let message = "`cycles` belongs to `production: polled`; use `process_time`".to_owned();
            problems.push((steps!["network", "nodes", index, "cycles"], message));
        }
        if let Some(field) = &node.process_time {
            let path = steps!["network", "nodes", index, "process_time"];
            if field.0.upper() < PROCESS_TIME_MIN {
                problems.push((path, format!("`process_time` must be at least {PROCESS_TIME_MIN}")));
            } else {
                distributions::check(&field.0, path, problems);
            }
        }
    }
    let polled = [
        ("requests", protocol.requests == Requests::EveryCycle),
        ("serving", protocol.serving == Serving::FirstCome),
        ("receiving", protocol.receiving == Receiving::Blocking),
        ("log", protocol.log == LogKeeping::MixedUp),
        ("recovery", protocol.recovery == Recovery::Replay),
    ];
    for (field, _) in polled.into_iter().filter(|(_, is_polled)| *is_polled) {
        let message = format!("this value of `{field}` belongs to `production: polled`");
        problems.push((steps!["protocol", field], message));
    }
}

fn polled(nodes: &[NodeField], protocol: &Protocol, problems: &mut Problems) {
    let is_valid = |node: &NodeField| (1..=CYCLES_MAX).contains(&node.cycles);
    for (index, node) in nodes.iter().enumerate().filter(|(_, node)| !is_valid(node)) {
        let message = format!("a production run of {} cycles; it takes from 1 to {CYCLES_MAX}", node.cycles);
        problems.push((steps!["network", "nodes", index, "cycles"], message));
    }
    let is_given = |(_, node): &(usize, &NodeField)| node.process_time.is_some();
    for (index, _) in nodes.iter().enumerate().filter(is_given) {
        let path: Path = steps!["network", "nodes", index, "process_time"];
        problems.push((path, "`process_time` belongs to `production: server`; use `cycles`".to_owned()));
    }
    if protocol.runs_ahead.is_some() {
        let message = "`runs_ahead` belongs to `production: server`".to_owned();
        problems.push((steps!["protocol", "runs_ahead"], message));
    }
}
