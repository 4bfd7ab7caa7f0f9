//! Flow properties: plans assign only nodes believed alive, match the recipes, and are found if there are
//! any.

use std::sync::Arc;

use dmos_core::strategy::Guarantee;
use dmos_core::{Flow, FlowViolation, Network, NoFlow, NodeId, Property, Scenario};
use dmos_graph::Feasibility;
use dmos_node::PlanReport;

use crate::violations::Violations;

/// Checks plans.
pub(crate) struct Flows<'a> {
    network: &'a Network,
    /// True if the strategy guarantees to find a flow whenever there is one; then all producers must have
    /// suppliers.
    is_guaranteed: bool,
    /// Network and flow of the latest plan that was activated.
    active: Option<(Arc<Network>, Arc<Flow>)>,
}

impl<'a> Flows<'a> {
    pub(crate) fn new(scenario: &'a Scenario) -> Self {
        let is_guaranteed = scenario.flow.guarantees(Guarantee::FindsFlow);
        Self { network: &scenario.network, is_guaranteed, active: None }
    }

    /// Returns network and flow of the latest plan that was activated.
    pub(crate) fn active(&self) -> Option<(&Network, &Flow)> {
        self.active.as_ref().map(|(network, flow)| (&**network, &**flow))
    }

    pub(crate) fn on_planned(&mut self, violations: &mut Violations, planner: NodeId, plan: &PlanReport) {
        if let Some(flow) = plan.flow.as_ref().ok().filter(|_| plan.active) {
            self.active = Some((Arc::clone(&plan.network), Arc::clone(flow)));
        }
        match &plan.flow {
            Ok(flow) => self.check(violations, planner, plan, flow),
            Err(NoFlow::BudgetExhausted { budget }) if plan.steps < *budget => {
                violations.add(Property::FlowFound, || {
                    let (name, steps) = (self.network.node_name(planner), plan.steps);
                    format!("`{name}` stops planning after {steps} of {budget} allowed steps")
                });
            }
            Err(no_flow) if no_flow.is_inconclusive() || !self.is_guaranteed => {}
            Err(_) => {
                let producers = Feasibility::with_links(&plan.network, &plan.alive, &plan.broken_links);
                if let Some(item) = self.network.final_items().iter().find(|&&item| producers.can_make(item))
                {
                    let (name, item) = (self.network.node_name(planner), self.network.item_name(*item));
                    violations.add(Property::FlowFound, || {
                        format!(
                            "`{name}` finds no flow, but the nodes in its membership view can make `{item}`"
                        )
                    });
                }
            }
        }
    }

    fn check(&self, violations: &mut Violations, planner: NodeId, plan: &PlanReport, flow: &Flow) {
        // Without the guarantee, nodes without suppliers may be assigned as substitutes for sources.
        for violation in flow.violations(&plan.network, &plan.alive, &plan.broken_links, !self.is_guaranteed)
        {
            match violation {
                FlowViolation::Failed(node) => violations.add(Property::PlanUsesLiveNodes, || {
                    let name = |node| self.network.node_name(node);
                    let (planner, failed) = (name(planner), name(node));
                    format!("`{planner}` assigns `{failed}`, which is not in its membership view")
                }),
                FlowViolation::BrokenLink(_) => {
                    violations.add(Property::PlanAvoidsBrokenLinks, || violation.explain(self.network));
                }
                violation => violations.add(Property::FlowMatchesRecipes, || violation.explain(self.network)),
            }
        }
    }
}
