//! The flow of the prototype's search, in linear time.
//!
//! The feasibility of a node does not depend on its consumers, so one sweep over the items in topological
//! order finds the first feasible producer of each; a walk upstream from the final node then selects the
//! needed edges. Time is linear in the entries of the recipes and the live nodes. On acyclic AND/OR graphs
//! this is the bottom-up evaluation of Nilsson (1980).

use std::collections::BTreeMap;

use dmos_core::strategy::{
    FlowDescriptor, FlowStrategy, Guarantee, Meter, NoFlow, Params, PlanRequest, register_flow,
};
use dmos_core::{Flow, ItemId, NodeId};

use super::ends::{Ends, SUBSTITUTE_ENDS};

register_flow!(FlowDescriptor {
    name: "memoized",
    summary: "memoized recursion: the same flow as `exhaustive` in linear time",
    source: "bottom-up evaluation of an acyclic AND/OR graph (Nilsson 1980, Principles of Artificial Intelligence)",
    notes: "finds a flow if one exists; linear in the recipes' entries",
    guarantees: |params| match params.flag("substitute_ends") {
        true => &[Guarantee::LinearTime],
        false => &[Guarantee::FindsFlow, Guarantee::LinearTime],
    },
    params: &[SUBSTITUTE_ENDS],
    build: |params: &Params| Box::new(Memoized { substitute_ends: params.flag("substitute_ends") }),
});

struct Memoized {
    substitute_ends: bool,
}

impl FlowStrategy for Memoized {
    fn plan(&mut self, request: &PlanRequest<'_>, meter: &mut Meter) -> Result<Flow, NoFlow> {
        let ends = Ends::of(request, self.substitute_ends)?;
        let chosen = choose(request, &ends, meter)?;
        let network = request.network;
        let can_be_supplied = |node| {
            let mut needs = network.requirements(node).iter();
            ends.is_source(network, node)
                || needs.all(|required| chosen.supplier(node, required.item).is_some())
        };
        let consumers = ends.supplied(network, |end| Ok(can_be_supplied(end)))?;
        let flow = ends.flow_upstream_of(network, consumers, |consumer, nth| {
            let item = network.requirements(consumer)[nth].item;
            chosen.supplier(consumer, item).expect("a planned node can be supplied")
        });
        meter.charge(flow.edges().len() as u64)?;
        meter.note("visited", meter.steps());
        Ok(flow)
    }
}

/// The first producers of each item that can be supplied.
struct Chosen<'a> {
    request: &'a PlanRequest<'a>,
    /// By item, the first feasible producer.
    first: Vec<Option<NodeId>>,
    /// Further feasible producers of items whose first one has a broken link, up to and including the first without one, which
    /// can supply every consumer.
    further: BTreeMap<ItemId, Vec<NodeId>>,
}

impl Chosen<'_> {
    /// Returns the first feasible producer of an item with a working link to the consumer.
    fn supplier(&self, consumer: NodeId, item: ItemId) -> Option<NodeId> {
        let first = self.first[item.index()]?;
        let is_usable = |&node: &NodeId| !self.request.broken_links.contains(node, consumer);
        if is_usable(&first) {
            return Some(first);
        }
        self.further.get(&item)?.iter().copied().find(is_usable)
    }
}

fn choose<'a>(request: &'a PlanRequest<'a>, ends: &Ends, meter: &mut Meter) -> Result<Chosen<'a>, NoFlow> {
    let network = request.network;
    let mut chosen = Chosen { request, first: vec![None; network.item_count()], further: BTreeMap::new() };
    for &item in network.topological_order() {
        for &node in network.producers(item) {
            let requirements = network.requirements(node);
            meter.charge(1 + requirements.len() as u64)?;
            let supplied =
                || requirements.iter().all(|required| chosen.supplier(node, required.item).is_some());
            if request.alive.contains(node) && (ends.is_source(network, node) || supplied()) {
                match &mut chosen.first[item.index()] {
                    first @ None => *first = Some(node),
                    Some(_) => chosen.further.entry(item).or_default().push(node),
                }
                if !request.broken_links.touches(node) {
                    break;
                }
            }
        }
    }
    Ok(chosen)
}
