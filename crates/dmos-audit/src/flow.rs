//! Plans use only nodes believed alive, fit the recipes, and are found if there are any.

use dmos_core::strategy::Guarantee;
use dmos_core::{Flow, FlowViolation, Network, NoFlow, NodeId, Property, Scenario};
use dmos_graph::Feasibility;
use dmos_node::PlanReport;

use crate::violations::Violations;

/// Checks plan after plan.
pub(crate) struct Flows<'a> {
    network: &'a Network,
    /// True if the strategy guarantees to find a flow whenever there is one. Then all suppliers are supplied.
    is_guaranteed: bool,
}

impl<'a> Flows<'a> {
    pub(crate) fn new(scenario: &'a Scenario) -> Self {
        Self { network: &scenario.network, is_guaranteed: scenario.flow.guarantees(Guarantee::FindsFlow) }
    }

    pub(crate) fn on_planned(&self, violations: &mut Violations, planner: NodeId, plan: &PlanReport) {
        match &plan.flow {
            Ok(flow) => self.check(violations, planner, plan, flow),
            Err(NoFlow::BudgetExhausted { budget }) if plan.steps < *budget => {
                violations.add(Property::FlowFound, || {
                    let steps = plan.steps;
                    format!("node {planner} gives up after {steps} steps, of {budget} that it may take")
                });
            }
            Err(no_flow) if no_flow.is_inconclusive() || !self.is_guaranteed => {}
            Err(_) => {
                let producers = Feasibility::of(&plan.network, &plan.alive);
                if let Some(item) = self.network.final_items().iter().find(|&&item| producers.can_make(item))
                {
                    let name = self.network.item_name(*item);
                    violations.add(Property::FlowFound, || {
                        format!(
                            "node {planner} finds no flow, but `{name}` can be made from those it takes for living"
                        )
                    });
                }
            }
        }
    }

    fn check(&self, violations: &mut Violations, planner: NodeId, plan: &PlanReport, flow: &Flow) {
        // A supplier without suppliers needs none, unless others may stand in for sources.
        for violation in flow.violations(&plan.network, &plan.alive, !self.is_guaranteed) {
            match violation {
                FlowViolation::Dead(node) => violations.add(Property::PlanUsesLiveNodes, || {
                    let name = self.network.node_name(node);
                    format!("node {planner} plans with `{name}`, which it takes for dead")
                }),
                violation => violations.add(Property::FlowMatchesRecipes, || violation.explain(self.network)),
            }
        }
    }
}
