//! Production: process times, and settings that belong to one model of production only.

use dmos_core::scenario::ProcessTimes;
use dmos_core::settings::{LogKeeping, Production, Protocol, Receiving, Recovery, Requests, Serving};
use dmos_core::{Distribution, Span};

use super::{Problems, distributions};
use crate::document::{Path, steps};
use crate::file::{NetworkField, NodeField};

/// Minimum process time: shorter ones would produce more events than progress.
const PROCESS_TIME_MIN: Span = Span::from_nanos(1_000);

/// Returns the process times of all nodes, and checks that nodes and protocol belong to one model of
/// production.
pub(super) fn process_times(
    network: &NetworkField,
    protocol: &Protocol,
    problems: &mut Problems,
) -> ProcessTimes {
    let nodes = network.nodes.as_deref().unwrap_or_default();
    match protocol.production {
        Production::Server => server(nodes, protocol, problems),
        Production::Polled => polled(nodes, protocol, problems),
    }
    let of_group = |node: &NodeField| {
        let field = node.process_time.as_ref().map(|field| field.0.clone());
        let distribution = field.unwrap_or(Distribution::Fixed(ProcessTimes::DEFAULT));
        std::iter::repeat_n(distribution, node.count as usize)
    };
    if problems.is_empty() {
        ProcessTimes::new(nodes.iter().flat_map(of_group))
    } else {
        ProcessTimes::default()
    }
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
