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

#[cfg(test)]
mod tests {
    use super::*;
    use dmos_core::{ItemId, NodeSet, Span};

    /// Returns the number of violations found where a planner finds no flow after ten steps, although there is one.
    fn found(flow: &str, no_flow: NoFlow) -> usize {
        let scenario = dmos_testkit::scenario(&format!(
            "network: {{nodes: [{{makes: wood}}, {{makes: door, needs: [wood]}}]}}\nduration: 1h\nflow: {flow}\n"
        ));
        let plan = PlanReport {
            duration: Span::ZERO,
            steps: 10,
            network: Arc::clone(&scenario.network),
            alive: NodeSet::all(2),
            broken_links: Default::default(),
            flow: Err(no_flow),
            active: true,
        };
        let mut violations = Violations::default();
        Flows::new(&scenario).on_planned(&mut violations, NodeId::new(0), &plan);
        violations.into_vec().len()
    }

    #[test]
    fn a_planner_must_find_a_flow_only_if_it_guarantees_one_and_has_not_given_up() {
        let (guaranteed, other) =
            ("{name: exhaustive, substitute_ends: false}", "{name: exhaustive, substitute_ends: true}");
        let infeasible = || NoFlow::Infeasible(ItemId::new(1));
        assert_eq!(found(guaranteed, infeasible()), 1);
        assert_eq!(found(other, infeasible()), 0);
        let exhausted = |budget| NoFlow::BudgetExhausted { budget };
        assert_eq!(found(guaranteed, exhausted(10)), 0);
        assert_eq!(found(guaranteed, exhausted(11)), 1, "one more step was allowed");
        assert_eq!(found(other, exhausted(10)), 0);
        let failed = NoFlow::PlannerFailed { planner: "p".to_owned(), problem: "hung".to_owned() };
        assert_eq!(found(guaranteed, failed), 0);
    }
}
