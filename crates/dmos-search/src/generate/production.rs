//! Generates the settings of one model of production.

use dmos_core::settings::{LogKeeping, Production, Protocol, Receiving, Recovery, Requests, Serving};
use dmos_core::{Distribution, Span};
use dmos_scenario::file::{DistributionField, ScenarioFile};

use super::Generator;

/// Returns whether no value of a protocol belongs to the prototype's loop.
pub(super) fn fits_server(protocol: &Protocol) -> bool {
    protocol.requests == Requests::UntilAnswered
        && protocol.serving == Serving::InTurn
        && protocol.receiving == Receiving::Concurrent
        && protocol.log == LogKeeping::Separate
        && protocol.recovery == Recovery::Exact
}

/// Makes nodes servers, with process times over three orders of magnitude, lots, and sometimes long transits.
pub(super) fn server(rng: &mut Generator, file: &mut ScenarioFile) {
    file.protocol.production = Production::Server;
    if rng.percent(30) {
        file.protocol.runs_ahead = rng.nonzero(1, 3);
    }
    for node in file.network.nodes.iter_mut().flatten() {
        if rng.percent(80) {
            node.process_time = Some(DistributionField(process_time(rng)));
        }
        if rng.percent(20) {
            node.makes.quantity = rng.between(2, 20) as u32;
        }
        for (_, quantity) in &mut node.needs.0 {
            if rng.percent(15) {
                *quantity = rng.between(2, 10) as u32;
            }
        }
    }
    if rng.percent(20) {
        let transit = Distribution::Uniform(rng.span(1_000, 5_000), rng.span(5_000, 20_000));
        file.delays.transit = Some(DistributionField(transit));
    }
}

/// Replaces all lots and quantities by single batches.
pub(super) fn single_batches(file: &mut ScenarioFile) {
    for node in file.network.nodes.iter_mut().flatten() {
        node.makes.quantity = 1;
        node.needs.0.iter_mut().for_each(|(_, quantity)| *quantity = 1);
    }
}

/// Gives all nodes a process time of a tenth of a second.
pub(super) fn short_runs(file: &mut ScenarioFile) {
    for node in file.network.nodes.iter_mut().flatten() {
        node.process_time = Some(DistributionField(Distribution::Fixed(Span::from_millis(100))));
    }
}

/// Generates a process time of 5 ms to 5 s.
fn process_time(rng: &mut Generator) -> Distribution {
    let mean = Span::from_millis(rng.between(5, 50)) * *rng.one_of(&[1, 10, 100]);
    match rng.between(0, 2) {
        0 => Distribution::Fixed(mean),
        1 => Distribution::Exponential(mean),
        _ => Distribution::Uniform(Span::ZERO, mean * 2),
    }
}

/// Lets nodes run the prototype's loop, sometimes with several cycles per production run.
pub(super) fn polled(rng: &mut Generator, file: &mut ScenarioFile) {
    file.protocol.production = Production::Polled;
    file.protocol.cycle = *rng.one_of(&[Span::from_millis(200), Span::from_millis(500), Span::from_secs(1)]);
    if rng.percent(30) {
        file.protocol.commitment_limit = rng.nonzero(1, 4);
    }
    for node in file.network.nodes.iter_mut().flatten() {
        if rng.percent(10) {
            node.cycles = rng.between(2, 3) as u32;
        }
    }
    if rng.percent(2) {
        file.protocol.receiving = Receiving::Blocking;
    }
    if rng.percent(2) {
        file.protocol.requests = Requests::EveryCycle;
    }
}
