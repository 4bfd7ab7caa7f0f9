//! Every maker of an item carries the same part of what it can do.
//!
//! All makers of the final items work, and item by item, consumers first, those who need the item are spread
//! over its makers in proportion to capacity. With one supplier each that is list scheduling, largest demand
//! first; with several it is McNaughton's wrap-around rule, by which loads are exactly even and each consumer
//! has few suppliers with shares. Demands are those of consumers at full speed.

use dmos_core::strategy::{
    FlowDescriptor, FlowStrategy, Meter, NoFlow, ParamKind, ParamSpec, Params, PlanRequest, Promise, Rating,
    register_flow,
};
use dmos_core::{Flow, NodeId, Share, SupplyEdge};
use dmos_graph::Makers;

use crate::spread::{capacity, demand, edges, one_each, usable, wrap_around};

register_flow!(FlowDescriptor {
    name: "balanced",
    summary: "spreads consumers over all live makers of an item by capacity, with shares where that evens the load",
    source: "Graham 1969, list scheduling; McNaughton 1959, wrap-around rule",
    guarantee: "finds a flow if one exists; for equal demands and capacities loads differ by at most one; linear in the recipes' entries, but for a logarithm where producers differ",
    promises: |_| &[Promise::FindsFlow, Promise::LinearTime],
    params: &[ParamSpec {
        name: "max_suppliers",
        summary: "the most suppliers of one requirement",
        kind: ParamKind::Integer { min: 1, max: 1_000, default: 2 },
    }],
    build: |params: &Params| Box::new(Balanced {
        max_suppliers: params.integer("max_suppliers"),
        loads: Vec::new(),
    }),
});

struct Balanced {
    max_suppliers: u64,
    /// By node, its load over its capacity in the last plan.
    loads: Vec<f64>,
}

impl FlowStrategy for Balanced {
    fn plan(&mut self, request: &PlanRequest<'_>, meter: &mut Meter) -> Result<Flow, NoFlow> {
        let network = request.network;
        let makers = Makers::of(network, request.alive);
        meter.charge(makers.steps())?;
        // By item: who needs it, and how much of it a cycle.
        let mut needed: Vec<Vec<(NodeId, u64)>> = vec![Vec::new(); network.item_count()];
        let need = |needed: &mut Vec<Vec<(NodeId, u64)>>, node: NodeId| {
            for required in network.requirements(node) {
                needed[required.item.index()].push((node, demand(network, node, required.quantity)));
            }
        };
        let mut works = vec![false; network.node_count()];
        for &node in makers.finals(network)?.iter().flat_map(|&item| makers.of_item(item)) {
            works[node.index()] = true;
            need(&mut needed, node);
        }
        let mut loads = vec![0.0; network.node_count()];
        let mut supplies: Vec<(SupplyEdge, Share)> = Vec::new();
        for &item in network.making_order().iter().rev() {
            let consumers = std::mem::take(&mut needed[item.index()]);
            if consumers.is_empty() {
                continue;
            }
            let (producers, capacities) = self.producers(request, &makers, item, &consumers);
            let demands: Vec<u64> = consumers.iter().map(|consumer| consumer.1).collect();
            let first = supplies.len();
            if self.max_suppliers == 1 {
                let steps = one_each(&demands, &capacities, |consumer, producer| {
                    let (consumer, producer) = (consumers[consumer].0, producers[producer]);
                    supplies.push((SupplyEdge { consumer, item, producer }, Share::WHOLE));
                });
                meter.charge(steps)?;
            } else {
                wrap_around(&demands, &capacities, |consumer, shares| {
                    supplies.extend(edges(consumers[consumer].0, item, &producers, shares));
                });
                meter.charge((consumers.len() + supplies.len() - first) as u64)?;
            }
            for (edge, share) in &supplies[first..] {
                let producer = edge.producer;
                let required =
                    network.requirements(edge.consumer).iter().find(|required| required.item == item);
                let demand = demand(network, edge.consumer, required.map_or(0, |required| required.quantity));
                let part = f64::from(share.millionths()) / f64::from(Share::WHOLE.millionths());
                loads[producer.index()] += part * demand as f64 / capacity(network, producer) as f64;
                if !std::mem::replace(&mut works[producer.index()], true) {
                    need(&mut needed, producer);
                }
            }
        }
        self.loads = loads;
        Ok(Flow::with_shares(supplies))
    }

    fn rating(&self, node: NodeId) -> Option<Rating> {
        let load = *self.loads.get(node.index())?;
        Some(Rating { measure: "load over capacity", more: "more loaded", value: load })
    }
}

impl Balanced {
    /// Who is to supply these consumers, with their capacities: all makers, or the largest if there are too many
    /// for so few suppliers each.
    fn producers(
        &self,
        request: &PlanRequest<'_>,
        makers: &Makers,
        item: dmos_core::ItemId,
        consumers: &[(NodeId, u64)],
    ) -> (Vec<NodeId>, Vec<u64>) {
        let mut producers = makers.of_item(item).to_vec();
        if self.max_suppliers > 1 {
            let network = request.network;
            producers.sort_by_key(|&node| std::cmp::Reverse(capacity(network, node)));
            let capacities: Vec<u64> = producers.iter().map(|&node| capacity(network, node)).collect();
            let demands: Vec<u64> = consumers.iter().map(|consumer| consumer.1).collect();
            let usable = usable(&demands, &capacities, self.max_suppliers);
            producers.truncate(usable);
        }
        let capacities = producers.iter().map(|&node| capacity(request.network, node)).collect();
        (producers, capacities)
    }
}
