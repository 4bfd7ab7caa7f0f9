//! Plans use only nodes taken for living, fit the recipes, and are found if there are any.

use dmos_core::strategy::Promise;
use dmos_core::{Flow, Network, NodeId, Property, Scenario, Share, SupplyEdge};
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
            Ok(flow) => self.check(findings, planner, plan, flow),
            Err(no_flow) if no_flow.gave_up() || !self.is_promised => {}
            Err(_) => {
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

    /// O(e log e) in the edges of the flow.
    fn check(&self, findings: &mut Findings, planner: NodeId, plan: &PlanReport, flow: &Flow) {
        let network = &plan.network;
        let name = |node: NodeId| self.network.node_name(node);
        for edge in flow.edges() {
            let requirements = network.requirements(edge.consumer);
            let requires = requirements.binary_search_by_key(&edge.item, |required| required.item).is_ok();
            if network.makes(edge.producer) != edge.item || !requires {
                findings.add(Property::FlowFits, || {
                    let (producer, consumer) = (name(edge.producer), name(edge.consumer));
                    format!(
                        "`{producer}` is to supply `{consumer}` with `{}`, which does not fit their recipes",
                        network.item_name(edge.item)
                    )
                });
            }
        }
        self.check_shares(findings, flow);
        for node in flow.working() {
            if !plan.alive.contains(node) {
                findings.add(Property::PlannedAmongTheLiving, || {
                    format!("node {planner} plans with `{}`, which it takes for dead", name(node))
                });
            }
            // A supplier without suppliers needs none, unless others may stand in for sources.
            let suppliers = flow.suppliers(node);
            let is_checked = self.is_promised || !suppliers.is_empty();
            let is_supplied = |item| suppliers.binary_search_by_key(&item, |edge| edge.item).is_ok();
            if is_checked && !network.requirements(node).iter().all(|required| is_supplied(required.item)) {
                findings.add(Property::FlowFits, || {
                    format!("`{}` is not supplied with all that it requires", name(node))
                });
            }
        }
    }

    /// The shares of each requirement's suppliers are to add up to the whole.
    fn check_shares(&self, findings: &mut Findings, flow: &Flow) {
        let supplies: Vec<_> = flow.supplies().collect();
        for suppliers in supplies.chunk_by(|(a, _), (b, _)| (a.consumer, a.item) == (b.consumer, b.item)) {
            let total: u64 = suppliers.iter().map(|(_, share)| u64::from(share.millionths())).sum();
            if total != u64::from(Share::WHOLE.millionths()) {
                let SupplyEdge { consumer, item, .. } = suppliers[0].0;
                findings.add(Property::FlowFits, || {
                    let (consumer, item) = (self.network.node_name(consumer), self.network.item_name(item));
                    format!("the shares of those who supply `{consumer}` with `{item}` add up to {total} millionths")
                });
            }
        }
    }
}
