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
        Production::Server => server(network, nodes, protocol, problems),
        Production::Polled => polled(network, nodes, protocol, problems),
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
            field
                .or(network.process_time.as_ref())
                .map_or(Distribution::Fixed(Recipe::PROCESS_TIME), |field| field.0.clone())
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

fn server(network: &NetworkField, nodes: &[NodeField], protocol: &Protocol, problems: &mut Problems) {
    if let Some(field) = &network.process_time {
        check_process_time(&field.0, steps!["network", "process_time"], problems);
    }
    for (index, node) in nodes.iter().enumerate() {
        if node.cycles != 1 {
            let message = "`cycles` belongs to `production: polled`; use `process_time`".to_owned();
            problems.push((steps!["network", "nodes", index, "cycles"], message));
        }
        if let Some(field) = &node.process_time {
            check_process_time(&field.0, steps!["network", "nodes", index, "process_time"], problems);
        }
    }
    let default = Protocol::default();
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
    let unused = [
        ("cycle", "use `process_time`", protocol.cycle != default.cycle),
        ("commitment_limit", "remove it", protocol.commitment_limit != default.commitment_limit),
    ];
    for (field, remedy, _) in unused.into_iter().filter(|(.., is_set)| *is_set) {
        let message = format!("`{field}` belongs to `production: polled`; {remedy}");
        problems.push((steps!["protocol", field], message));
    }
}

fn check_process_time(time: &Distribution, path: Path, problems: &mut Problems) {
    if time.upper() < PROCESS_TIME_MIN {
        problems.push((path, format!("`process_time` must be at least {PROCESS_TIME_MIN}")));
    } else {
        distributions::check(time, path, problems);
    }
}

fn polled(network: &NetworkField, nodes: &[NodeField], protocol: &Protocol, problems: &mut Problems) {
    let is_valid = |node: &NodeField| (1..=CYCLES_MAX).contains(&node.cycles);
    for (index, node) in nodes.iter().enumerate().filter(|(_, node)| !is_valid(node)) {
        let message = format!("a production run of {} cycles; it takes from 1 to {CYCLES_MAX}", node.cycles);
        problems.push((steps!["network", "nodes", index, "cycles"], message));
    }
    let is_given = |(_, node): &(usize, &NodeField)| node.process_time.is_some();
    let given = nodes.iter().enumerate().filter(is_given);
    let of_nodes = given.map(|(index, _)| (steps!["network", "nodes", index, "process_time"], "cycles"));
    let of_network =
        network.process_time.as_ref().map(|_| (steps!["network", "process_time"], "protocol.cycle"));
    for (path, other) in of_network.into_iter().chain(of_nodes) {
        problems.push((path, format!("`process_time` belongs to `production: server`; use `{other}`")));
    }
    if protocol.runs_ahead.is_some() {
        let message = "`runs_ahead` belongs to `production: server`".to_owned();
        problems.push((steps!["protocol", "runs_ahead"], message));
    }
}
