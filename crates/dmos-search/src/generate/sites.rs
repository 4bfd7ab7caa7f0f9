//! Generates sites, and routes between them.

use dmos_core::{Distribution, Span};
use dmos_scenario::file::{DistributionField, RouteField, ScenarioFile};

use super::Generator;

const SITES: [&str; 3] = ["north", "south", "east"];

/// Puts some nodes at sites, with routes between some of them. Messages are fast enough for an answer within any
/// timeout.
pub(super) fn generate(rng: &mut Generator, file: &mut ScenarioFile) {
    for node in file.network.nodes.iter_mut().flatten() {
        node.site = rng.percent(80).then(|| (*rng.one_of(&SITES)).to_owned());
    }
    let sites: Vec<&str> = SITES.into_iter().filter(|site| has_node_at(file, site)).collect();
    for from in &sites {
        for to in &sites {
            if rng.percent(60) {
                file.sites.routes.push(route(rng, from, to));
            }
        }
    }
}

fn has_node_at(file: &ScenarioFile, site: &str) -> bool {
    file.network.nodes.iter().flatten().any(|node| node.site.as_deref() == Some(site))
}

fn route(rng: &mut Generator, from: &str, to: &str) -> RouteField {
    let transit = rng.percent(80).then(|| Distribution::Uniform(Span::ZERO, rng.span(100, 5_000)));
    let message = rng.percent(50).then(|| Distribution::Fixed(rng.span(0, 100)));
    RouteField {
        from: Some(from.to_owned()),
        to: Some(to.to_owned()),
        transit: transit.map(DistributionField),
        message: message.map(DistributionField),
        cost: rng.between(0, 9) as u32,
        ..RouteField::default()
    }
}
