//! Where the prototype's search begins and ends.

use dmos_core::strategy::{ParamKind, ParamSpec, PlanRequest};
use dmos_core::{Flow, Network, NoFlow, NodeId, NodeSet, SupplyEdge};

/// The parameter that the prototype's search and its twin share. With it a flow may count on nodes that can make
/// nothing.
pub(crate) const STAND_INS: ParamSpec = ParamSpec {
    name: "stand_ins",
    summary: "as in the prototype, the first and last live nodes stand in for a dead source and a dead final node",
    kind: ParamKind::Flag { default: false },
};

/// Who needs no supplies, and whose supplies are to be planned.
pub(crate) struct Ends {
    /// The node that counts as a source whatever its recipe says.
    start: Option<NodeId>,
    /// For each final item that has a live producer, those that may make it, the preferred one first.
    ends: Vec<Vec<NodeId>>,
}

impl Ends {
    /// Returns the ends for a request. The prototype plans for the last live node of its list, which makes
    /// the final item unless its only producer is dead. Without stand-ins an earlier producer takes over where
    /// the last one cannot be supplied.
    pub(crate) fn of(request: &PlanRequest<'_>, stand_ins: bool) -> Result<Self, NoFlow> {
        let (network, alive) = (request.network, request.alive);
        let (Some(first), Some(last)) = (alive.first(), alive.last()) else {
            return Err(NoFlow::NoNodeAlive);
        };
        let preferred = if stand_ins { 1 } else { usize::MAX };
        let producers = |&item| -> Vec<NodeId> {
            let live = network.producers(item).iter().rev().copied().filter(|&node| alive.contains(node));
            live.take(preferred).collect()
        };
        let mut ends: Vec<_> = network.final_items().iter().map(producers).collect();
        ends.retain(|producers| !producers.is_empty());
        if ends.is_empty() && stand_ins {
            ends.push(vec![last]);
        }
        Ok(Self { start: stand_ins.then_some(first), ends })
    }

    /// For each final item, the first of its producers that can be supplied.
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

    /// Returns whether `node` can make its item without supplies.
    pub(crate) fn is_source(&self, network: &Network, node: NodeId) -> bool {
        self.start == Some(node) || network.requirements(node).is_empty()
    }

    /// Returns the flow that supplies `consumers`, those who supply them, and so on back to the sources.
    /// `supplier` says who meets a node's requirement of the given index.
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
