//! The best producer of every item, by one sweep over the items in topological order.

use dmos_core::strategy::{Meter, PlanRequest};
use dmos_core::{Flow, ItemId, NoFlow, NodeId};
use dmos_graph::Feasibility;

/// The best producer of each item, and the values of all nodes.
pub(crate) struct Best<V> {
    /// By item, the producer with the smallest value, the first of several, or `None` if it is infeasible.
    pub(crate) producers: Vec<Option<NodeId>>,
    /// By node, its value, if it is feasible.
    pub(crate) values: Vec<Option<V>>,
    /// The final items that can be made.
    pub(crate) finals: Vec<ItemId>,
    /// All feasible producers.
    pub(crate) all: Feasibility,
}

impl<V: Copy + PartialOrd> Best<V> {
    /// Computes the value of every feasible node by `judge`, which receives the values of the best producers
    /// of the node's requirements, in their order.
    ///
    /// On acyclic items, where suppliers can be valued first, this is what remains of Knuth's generalisation
    /// of Dijkstra's algorithm: no queue is needed. Time is linear in the entries of the recipes.
    pub(crate) fn of(
        request: &PlanRequest<'_>,
        meter: &mut Meter,
        mut judge: impl FnMut(NodeId, &mut dyn Iterator<Item = V>) -> V,
    ) -> Result<Self, NoFlow> {
        let network = request.network;
        let producers = Feasibility::of(network, request.alive);
        meter.charge(producers.steps())?;
        let finals = producers.finals(network)?;
        let mut best = Self {
            producers: vec![None; network.item_count()],
            values: vec![None; network.node_count()],
            finals,
            all: producers,
        };
        for &item in network.topological_order() {
            let mut least: Option<V> = None;
            for at in 0..best.all.of_item(item).len() {
                let node = best.all.of_item(item)[at];
                let requirements = network.requirements(node);
                meter.charge(1 + requirements.len() as u64)?;
                let mut supplies = requirements.iter().map(|required| best.value_of(required.item));
                let value = judge(node, &mut supplies);
                best.values[node.index()] = Some(value);
                if least.is_none_or(|least| value < least) {
                    least = Some(value);
                    best.producers[item.index()] = Some(node);
                }
            }
        }
        Ok(best)
    }

    /// Returns the producer of a feasible item.
    pub(crate) fn producer(&self, item: ItemId) -> NodeId {
        self.producers[item.index()].expect("an item that is needed can be made")
    }

    /// Returns the value of the best producer of a feasible item.
    pub(crate) fn value_of(&self, item: ItemId) -> V {
        self.values[self.producer(item).index()].expect("the producer was evaluated")
    }

    /// Returns the flow in which the best producers make every final item.
    pub(crate) fn flow(&self, request: &PlanRequest<'_>, meter: &mut Meter) -> Result<Flow, NoFlow> {
        let ends = self.finals.iter().map(|&item| self.producer(item)).collect();
        let flow = Flow::upstream_of(request.network, ends, |_, item| self.producer(item));
        meter.charge(flow.edges().len() as u64)?;
        Ok(flow)
    }
}
