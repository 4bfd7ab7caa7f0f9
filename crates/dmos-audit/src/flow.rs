//! Plans use only nodes taken for living, fit the recipes, and are found if there are any.

use dmos_core::strategy::Promise;
use dmos_core::{Flow, FlowFault, Network, NoFlow, NodeId, Property, Scenario};
use dmos_graph::Makers;
use dmos_node::PlanReport;

use crate::findings::Findings;

/// Checks plan after plan.
pub(crate) struct Flows<'a> {
    network: &'a Network,
    /// Whether the strategy promises to find a flow whenever there is one. Then all suppliers are supplied.
    is_promised: bool,
}

impl<'a> Flows<'a> {
    pub(crate) fn new(scenario: &'a Scenario) -> Self {
        Self { network: &scenario.network, is_promised: scenario.flow.promises(Promise::FindsFlow) }
    }

    pub(crate) fn planned(&self, findings: &mut Findings, planner: NodeId, plan: &PlanReport) {
        match &plan.flow {
            Ok(flow) => self.check(findings, planner, plan, flow),
            Err(NoFlow::BudgetExhausted { budget }) if plan.steps < *budget => {
                findings.add(Property::FlowFound, || {
                    let steps = plan.steps;
                    format!("node {planner} gives up after {steps} steps, of {budget} that it may take")
                });
            }
            Err(no_flow) if no_flow.gave_up() || !self.is_promised => {}
            Err(_) => {
                let makers = Makers::of(&plan.network, &plan.alive);
                if let Some(item) = self.network.final_items().iter().find(|&&item| makers.can_make(item)) {
                    let name = self.network.item_name(*item);
                    findings.add(Property::FlowFound, || {
                        format!(
                            "node {planner} finds no flow, but `{name}` can be made from those it takes for living"
                        )
                    });
                }
            }
        }
    }

    fn check(&self, findings: &mut Findings, planner: NodeId, plan: &PlanReport, flow: &Flow) {
        // A supplier without suppliers needs none, unless others may stand in for sources.
        for fault in flow.faults(&plan.network, &plan.alive, !self.is_promised) {
            match fault {
                FlowFault::Dead(node) => findings.add(Property::PlannedAmongTheLiving, || {
                    let name = self.network.node_name(node);
                    format!("node {planner} plans with `{name}`, which it takes for dead")
                }),
                fault => findings.add(Property::FlowFits, || fault.explain(self.network)),
            }
        }
    }
}
