//! The throughput that the machines of a scenario allow.

use dmos_core::flow::FlowRates;
use dmos_core::strategy::{Meter, PlanRequest, ThroughputBound};
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

/// Returns the complete sets per hour that the first flow of a scenario's planner allows, or `None` if there is no
/// flow.
pub(crate) fn planned_sets_per_hour(scenario: &Scenario, alive: &NodeSet) -> Option<f64> {
    let mut planner = scenario.flow.build();
    let mut meter = Meter::new(scenario.planning_budget.get());
    let flow = planner.plan(&request(scenario, alive), &mut meter).ok()?;
    let derive = || FlowRates::derive(&scenario.network, &flow);
    let rates = planner.rates().cloned().unwrap_or_else(derive);
    Some(rates.complete_sets(&scenario.network) * 3_600.0)
}

/// Returns a first request of a leader.
pub(crate) fn request<'a>(scenario: &'a Scenario, alive: &'a NodeSet) -> PlanRequest<'a> {
    let (routes, seed) = (&*scenario.routes, scenario.seed);
    PlanRequest { routes, seed, ..PlanRequest::first(&scenario.network, alive) }
}
