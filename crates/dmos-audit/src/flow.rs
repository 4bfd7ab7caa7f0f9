//! Plans use only nodes taken for living, fit the recipes, and are found if there are any.

use dmos_core::strategy::Promise;
use dmos_core::{Flow, Network, NodeId, Property, Scenario};
use dmos_graph::makeable;
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
            Some(flow) => self.check(findings, planner, plan, flow),
            None if plan.gave_up || !self.is_promised => {}
            None => {
                let can = makeable(&plan.network, |node| plan.alive.contains(node));
                if let Some(item) = self.network.final_items().iter().find(|item| can[item.index()]) {
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
        let network = &plan.network;
        let name = |node: NodeId| self.network.node_name(node);
        for edge in flow.edges() {
            for node in [edge.producer, edge.consumer] {
                if !plan.alive.contains(node) {
                    findings.add(Property::PlannedAmongTheLiving, || {
                        format!("node {planner} plans with `{}`, which it takes for dead", name(node))
                    });
                }
            }
            let requires = network.requirements(edge.consumer).iter().any(|r| r.item == edge.item);
            if network.makes(edge.producer) != edge.item || !requires {
                findings.add(Property::FlowFits, || {
                    let (producer, consumer) = (name(edge.producer), name(edge.consumer));
                    format!(
                        "`{producer}` is to supply `{consumer}` with `{}`, which does not fit their recipes",
                        network.item_name(edge.item)
                    )
                });
            }
            let consumer_lacks = lacking(network, flow, edge.consumer);
            // A supplier without suppliers needs none, unless others may stand in for sources.
            let producer_lacks = self.is_promised && lacking(network, flow, edge.producer);
            for (node, lacks) in [(edge.consumer, consumer_lacks), (edge.producer, producer_lacks)] {
                if lacks {
                    findings.add(Property::FlowFits, || {
                        format!("`{}` is not supplied with all that it requires", name(node))
                    });
                }
            }
        }
    }
}

/// Whether a node is not supplied with all that it requires.
fn lacking(network: &Network, flow: &Flow, node: NodeId) -> bool {
    let suppliers = flow.suppliers(node);
    let is_supplied = |item| suppliers.iter().any(|edge| edge.item == item);
    !network.requirements(node).iter().all(|required| is_supplied(required.item))
}
