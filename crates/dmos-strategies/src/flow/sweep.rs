//! The best producer of every item in one sweep over the items, suppliers first.

use dmos_core::strategy::{Meter, PlanRequest};
use dmos_core::{Flow, ItemId, NoFlow, NodeId};
use dmos_graph::Feasibility;

/// The best producer of each item, and by what all of them were judged.
pub(crate) struct Best<V> {
    /// By item: the producer with the smallest value, the first of several; none if nobody can make it.
    pub(crate) producers: Vec<Option<NodeId>>,
    /// By node: its value, if it can make what it makes.
    pub(crate) values: Vec<Option<V>>,
    /// The final items that can be made.
    pub(crate) finals: Vec<ItemId>,
    /// All that can make each item.
    pub(crate) all: Feasibility,
}

impl<V: Copy + PartialOrd> Best<V> {
    /// Judges every node that can make its item by what `judge` says, which is given the values of the best
    /// producers of what the node requires, in the order of its requirements.
    ///
    /// On items without rings, where suppliers can be judged first, this is all that is left of Knuth's
    /// generalisation of Dijkstra's algorithm: no queue is needed. Time is linear in the recipes' entries.
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

    /// Returns the producer of an item that can be made.
    pub(crate) fn producer(&self, item: ItemId) -> NodeId {
        self.producers[item.index()].expect("an item that is needed can be made")
    }

    /// Returns the value of the best producer of an item that can be made.
    pub(crate) fn value_of(&self, item: ItemId) -> V {
        self.values[self.producer(item).index()].expect("a producer is judged")
    }

    /// Returns the flow that makes every final item by the best producers.
    pub(crate) fn flow(&self, request: &PlanRequest<'_>, meter: &mut Meter) -> Result<Flow, NoFlow> {
        let ends = self.finals.iter().map(|&item| self.producer(item)).collect();
        let flow = Flow::upstream_of(request.network, ends, |_, item| self.producer(item));
        meter.charge(flow.edges().len() as u64)?;
        Ok(flow)
    }
}
