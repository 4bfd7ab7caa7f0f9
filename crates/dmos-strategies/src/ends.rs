//! Where the prototype's search begins and ends.

use dmos_core::strategy::{ParamKind, ParamSpec, Params, PlanRequest, Promise};
use dmos_core::{Flow, Network, NoFlow, NodeId, NodeSet, SupplyEdge};

/// The parameter that the prototype's search and its twin share.
pub(crate) const STAND_INS: ParamSpec = ParamSpec {
    name: "stand_ins",
    summary: "the first and last live nodes stand in for a dead source and a dead final node, as in the prototype",
    kind: ParamKind::Flag { default: true },
};

/// What the two promise: with stand-ins, a flow may count on nodes that can make nothing.
pub(crate) fn promises(params: &Params) -> &'static [Promise] {
    if params.flag("stand_ins") { &[] } else { &[Promise::FindsFlow] }
}

/// Who needs no supplies, and whose supplies are to be planned.
pub(crate) struct Ends {
    /// The node that counts as a source whatever its recipe says.
    start: Option<NodeId>,
    /// The nodes to plan for, one for each final item that has a live producer.
    pub(crate) ends: Vec<NodeId>,
}

impl Ends {
    /// The ends for a request. The prototype plans for the last live node of its list, which makes
    /// the final item unless its only producer is dead.
    pub(crate) fn of(request: &PlanRequest<'_>, stand_ins: bool) -> Result<Self, NoFlow> {
        let (network, alive) = (request.network, request.alive);
        let (Some(first), Some(last)) = (alive.first(), alive.last()) else {
            return Err(NoFlow::NobodyAlive);
        };
        let last_producer =
            |&item| network.producers(item).iter().rev().copied().find(|&node| alive.contains(node));
        let mut ends: Vec<_> = network.final_items().iter().filter_map(last_producer).collect();
        if ends.is_empty() && stand_ins {
            ends.push(last);
        }
        Ok(Self { start: stand_ins.then_some(first), ends })
    }

    /// Whether `node` can make its item without supplies.
    pub(crate) fn is_source(&self, network: &Network, node: NodeId) -> bool {
        self.start == Some(node) || network.requirements(node).is_empty()
    }

    /// The flow that supplies `consumers`, those who supply them, and so on back to the sources.
    /// `supplier` says who meets a node's requirement of the given index.
    pub(crate) fn flow_back_from(
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
