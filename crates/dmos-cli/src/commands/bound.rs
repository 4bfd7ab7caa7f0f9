//! The throughput that the machines of a scenario allow.

use dmos_core::strategy::{PlanRequest, ThroughputBound};
use dmos_core::{NodeSet, Registry, Scenario};

/// Returns the highest throughput of the live nodes, as computed by the first registered planner that can.
pub(crate) fn bound(scenario: &Scenario, alive: &NodeSet, registry: &Registry) -> Option<ThroughputBound> {
    let request = request(scenario, alive);
    let planners = registry.flows().iter().filter(|descriptor| descriptor.stands_alone());
    planners.into_iter().find_map(|descriptor| {
        let call = descriptor.name.parse().ok()?;
        registry.flow(&call, &scenario.network).ok()?.build().bound(&request)
    })
}

/// Returns a first request of a leader.
pub(crate) fn request<'a>(scenario: &'a Scenario, alive: &'a NodeSet) -> PlanRequest<'a> {
    let (routes, seed) = (&*scenario.routes, scenario.seed);
    PlanRequest { routes, seed, ..PlanRequest::first(&scenario.network, alive) }
}
