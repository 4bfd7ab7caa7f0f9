//! The best producer of every item, by one sweep over the items in topological order.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Add;

use dmos_core::strategy::{Meter, PlanRequest};
use dmos_core::{Flow, ItemId, NoFlow, NodeId, Requirement, Route, Routes};
use dmos_graph::Feasibility;

/// The best producer of each item, and the values of all nodes.
pub(crate) struct Best<V> {
    /// By item, the producer with the smallest value, the first of several, or `None` if it is infeasible.
    pub(crate) producers: Vec<Option<NodeId>>,
    /// By item and place of a consumer, the producer with the smallest value including the transport to it. Empty
    /// if transport costs the same from all producers.
    delivered: BTreeMap<(ItemId, usize), NodeId>,
    /// Value of transport by a route, if it counts.
    transport: Option<Transport<V>>,
    /// By node, its value, if it is feasible.
    pub(crate) values: Vec<Option<V>>,
    /// The final items that can be made.
    pub(crate) finals: Vec<ItemId>,
    /// All feasible producers.
    pub(crate) all: Feasibility,
}

/// Value of transport by a route.
pub(crate) type Transport<V> = fn(&Route) -> V;

impl<V: Copy + PartialOrd + Add<Output = V>> Best<V> {
    /// Computes the value of every feasible node by `judge`, which receives the values of the best producers
    /// of the node's requirements, in their order, each with the value of its transport, if that counts.
    ///
    /// On acyclic items, where suppliers can be valued first, this is what remains of Knuth's generalisation
    /// of Dijkstra's algorithm: no queue is needed. Time is linear in the entries of the recipes; where transport
    /// counts and routes differ, in the producers of each item times the places of its consumers.
    pub(crate) fn of(
        request: &PlanRequest<'_>,
        meter: &mut Meter,
        transport: Option<Transport<V>>,
        mut judge: impl FnMut(NodeId, &mut dyn Iterator<Item = V>) -> V,
    ) -> Result<Self, NoFlow> {
        let network = request.network;
        let producers = Feasibility::of_request(request);
        meter.charge(producers.steps())?;
        let finals = producers.finals(network)?;
        let places = match request.routes.only_route() {
            Some(_) => Vec::new(),
            None => places_of_consumers(request, &producers),
        };
        let mut best = Self {
            producers: vec![None; network.item_count()],
            delivered: BTreeMap::new(),
            transport,
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
                let delivered = |required: &Requirement| {
                    let producer = best.supplier(request.routes, node, required.item);
                    let value = best.values[producer.index()].expect("the producer was evaluated");
                    best.with_transport(value, request.routes.route(producer, node))
                };
                let value = judge(node, &mut requirements.iter().map(delivered));
                best.values[node.index()] = Some(value);
                if least.is_none_or(|least| value < least) {
                    least = Some(value);
                    best.producers[item.index()] = Some(node);
                }
            }
            if transport.is_some() && request.routes.only_route().is_none() {
                for &place in &places[item.index()] {
                    meter.charge(best.all.of_item(item).len() as u64)?;
                    let of_item = best.all.of_item(item).iter().copied();
                    let least = best.best_of(of_item, |node| request.routes.route_to_place(node, place));
                    best.delivered.extend(least.map(|node| ((item, place), node)));
                }
            }
        }
        Ok(best)
    }

    /// Returns the producer of a feasible item.
    pub(crate) fn producer(&self, item: ItemId) -> NodeId {
        self.producers[item.index()].expect("an item that is needed can be made")
    }

    /// Returns the producer that supplies a consumer with a feasible item.
    pub(crate) fn supplier(&self, routes: &Routes, consumer: NodeId, item: ItemId) -> NodeId {
        if self.all.is_restricted(consumer, item) {
            let suppliers = self.all.with_working_link(consumer, item);
            let best = self.best_of(suppliers, |node| routes.route(node, consumer));
            return best.expect("a feasible node can be supplied");
        }
        let delivered = self.delivered.get(&(item, routes.place(consumer)));
        delivered.copied().unwrap_or_else(|| self.producer(item))
    }

    /// Returns the producer with the smallest value including the transport by its route, the first of several.
    fn best_of<'a>(
        &self,
        producers: impl Iterator<Item = NodeId>,
        route: impl Fn(NodeId) -> &'a Route,
    ) -> Option<NodeId> {
        let delivered = |node: NodeId| {
            let value = self.values[node.index()].expect("a feasible node has a value");
            (self.with_transport(value, route(node)), node)
        };
        let least =
            producers.map(delivered).reduce(|least, other| if other.0 < least.0 { other } else { least });
        least.map(|(_, node)| node)
    }

    fn with_transport(&self, value: V, route: &Route) -> V {
        self.transport.map_or(value, |transport| value + transport(route))
    }

    /// Returns the flow in which the best producers make every final item.
    pub(crate) fn flow(&self, request: &PlanRequest<'_>, meter: &mut Meter) -> Result<Flow, NoFlow> {
        let ends = self.finals.iter().map(|&item| self.producer(item)).collect();
        let supplier = |consumer, item| self.supplier(request.routes, consumer, item);
        let flow = Flow::upstream_of(request.network, ends, supplier);
        meter.charge(flow.edges().len() as u64)?;
        Ok(flow)
    }
}

/// Returns by item the places of its feasible consumers.
fn places_of_consumers(request: &PlanRequest<'_>, producers: &Feasibility) -> Vec<BTreeSet<usize>> {
    let network = request.network;
    let mut places = vec![BTreeSet::new(); network.item_count()];
    for &node in network.items().flat_map(|item| producers.of_item(item)) {
        for required in network.requirements(node) {
            places[required.item.index()].insert(request.routes.place(node));
        }
    }
    places
}
