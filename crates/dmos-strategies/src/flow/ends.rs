//! Start and end nodes of the prototype's search.

use dmos_core::strategy::{ParamKind, ParamSpec, PlanRequest};
use dmos_core::{Flow, Network, NoFlow, NodeId, NodeSet, SupplyEdge};

/// The parameter of the prototype's search and of its linear-time equivalent. With it, a flow may include
/// nodes that cannot produce.
pub(crate) const SUBSTITUTE_ENDS: ParamSpec = ParamSpec {
    name: "substitute_ends",
    summary: "as in the prototype, the first and the last live node replace a failed source and a failed final node",
    kind: ParamKind::Flag { default: false },
};

/// The nodes that need no supplies, and those whose supplies are planned.
pub(crate) struct Ends {
    /// A node that counts as a source regardless of its recipe.
    start: Option<NodeId>,
    /// For each final item with a live producer, its candidate producers in order of preference.
    ends: Vec<Vec<NodeId>>,
}

impl Ends {
    /// Returns the end nodes for a request. The prototype plans for the last live node in its list, which
    /// makes the final item unless its only producer has failed. Without substitutes, an earlier producer is
    /// used where the last one is not feasible.
    pub(crate) fn of(request: &PlanRequest<'_>, substitute_ends: bool) -> Result<Self, NoFlow> {
        let (network, alive) = (request.network, request.alive);
        let (Some(first), Some(last)) = (alive.first(), alive.last()) else {
            return Err(NoFlow::NoNodeAlive);
        };
        let preferred = if substitute_ends { 1 } else { usize::MAX };
        let producers = |&item| -> Vec<NodeId> {
            let live = network.producers(item).iter().rev().copied().filter(|&node| alive.contains(node));
            live.take(preferred).collect()
        };
        let mut ends: Vec<_> = network.final_items().iter().map(producers).collect();
        ends.retain(|producers| !producers.is_empty());
        if ends.is_empty() && substitute_ends {
            ends.push(vec![last]);
        }
        Ok(Self { start: substitute_ends.then_some(first), ends })
    }

    /// Returns for each final item the first of its producers that can be supplied.
    pub(crate) fn supplied(
        &self,
        network: &Network,
        mut can_be_supplied: impl FnMut(NodeId) -> Result<bool, NoFlow>,
    ) -> Result<Vec<NodeId>, NoFlow> {
        let mut supplied = Vec::with_capacity(self.ends.len());
        for producers in &self.ends {
            for &producer in producers {
                if can_be_supplied(producer)? {
                    supplied.push(producer);
                    break;
                }
            }
        }
        if supplied.is_empty() { Err(NoFlow::Infeasible(network.final_items()[0])) } else { Ok(supplied) }
    }

    /// Returns whether `node` can produce without supplies.
    pub(crate) fn is_source(&self, network: &Network, node: NodeId) -> bool {
        self.start == Some(node) || network.requirements(node).is_empty()
    }

    /// Returns the flow that supplies `consumers`, their suppliers, and so on upstream to the sources.
    /// `supplier` chooses the producer for a node's requirement, given by its index.
    pub(crate) fn flow_upstream_of(
        &self,
        network: &Network,
        mut consumers: Vec<NodeId>,
        supplier: impl Fn(NodeId, usize) -> NodeId,
    ) -> Flow {
        let mut planned = NodeSet::none(network.node_count());
        let mut edges = Vec::new();
        while let Some(consumer) = consumers.pop() {
            if !planned.insert(consumer) || self.is_source(network, consumer) {
                continue;
            }
            for (nth, required) in network.requirements(consumer).iter().enumerate() {
                let producer = supplier(consumer, nth);
                edges.push(SupplyEdge { consumer, item: required.item, producer });
                consumers.push(producer);
            }
        }
        Flow::new(edges)
    }
}
