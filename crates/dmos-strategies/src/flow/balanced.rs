//! Load balancing: all producers of an item are utilised equally.
//!
//! All producers of the final items are assigned. Item by item, consumers first, the consumers are spread
//! over the producers in proportion to capacity: with one supplier each by list scheduling, largest demand
//! first; with several by McNaughton's wrap-around rule, which balances loads exactly and gives each consumer
//! few suppliers, with shares. A consumer's demand follows from its own load. Final items are made in proportion to
//! their weights, the slowest at full speed. Producers of the same item are dealt out far apart, so that no supplier serves only
//! underutilised ones.

use dmos_core::strategy::{
    FlowDescriptor, FlowStrategy, Guarantee, Meter, NoFlow, ParamKind, ParamSpec, Params, PlanRequest,
    Rating, register_flow,
};
use dmos_core::{Flow, ItemId, Network, NodeId, Share, SupplyEdge};
use dmos_graph::Feasibility;

use super::spread::{Remaining, capacity, edges, restriction, weights};
use super::wide::Wide;

register_flow!(FlowDescriptor {
    name: "balanced",
    summary: "list scheduling: distributes consumers over the live producers of an item by capacity, with shares where that balances the load",
    source: "Graham 1969, list scheduling; McNaughton 1959, wrap-around rule",
    notes: "finds a flow if one exists; for equal demands and capacities loads differ by at most one; linear in the recipes' entries, with a logarithmic factor if producers differ",
    guarantees: |_| &[Guarantee::FindsFlow, Guarantee::LinearTime],
    params: &[ParamSpec {
        name: "max_suppliers",
        summary: "maximum number of suppliers per requirement",
        kind: ParamKind::Integer { min: 1, max: 1_000, default: 2 },
    }],
    build: |params: &Params| Box::new(Balanced {
        max_suppliers: params.integer("max_suppliers"),
        loads: Vec::new(),
    }),
});

struct Balanced {
    max_suppliers: u64,
    /// By node, its utilisation in the last plan.
    loads: Vec<f64>,
}

/// Consumers of an item, with the quantity that each needs per second.
type Needs = Vec<(NodeId, Wide)>;

/// A plan in progress, from the final items upstream.
struct Partial {
    /// By node, the number of batches that it has to make per second.
    loads: Vec<Wide>,
    supplies: Vec<(SupplyEdge, Share)>,
}

impl Partial {
    /// Adds the suppliers of a consumer that needs a quantity per second, and their loads.
    fn supply(
        &mut self,
        (consumer, demand): (NodeId, Wide),
        item: ItemId,
        producers: &[NodeId],
        shares: &[(usize, Share)],
    ) {
        self.supplies.extend(edges(consumer, item, producers, shares));
        for &(producer, share) in shares {
            let part = Wide::from(share.millionths()) / Wide::from(Share::WHOLE.millionths());
            let load = &mut self.loads[producers[producer].index()];
            *load = *load + demand * part;
        }
    }
}

impl FlowStrategy for Balanced {
    fn plan(&mut self, request: &PlanRequest<'_>, meter: &mut Meter) -> Result<Flow, NoFlow> {
        let network = request.network;
        let producers = Feasibility::of_request(request);
        meter.charge(producers.steps())?;
        let mut needed: Vec<Needs> = vec![Needs::new(); network.item_count()];
        let mut plan = Partial { loads: vec![Wide::ZERO; network.node_count()], supplies: Vec::new() };
        load_finals(network, &producers, &mut plan.loads)?;
        for &item in network.topological_order().iter().rev() {
            let consumers = interleaved(network, std::mem::take(&mut needed[item.index()]));
            if !consumers.is_empty() {
                self.supply(network, item, &producers, &consumers, &mut plan, meter)?;
            }
            for &node in producers.of_item(item).iter().filter(|&&node| plan.loads[node.index()] > Wide::ZERO)
            {
                let production_runs = plan.loads[node.index()] / Wide::from(network.yield_per_run(node));
                for required in network.requirements(node) {
                    needed[required.item.index()]
                        .push((node, production_runs * Wide::from(required.quantity)));
                }
            }
        }
        let over_capacity = |node| (plan.loads[NodeId::index(node)] / capacity(network, node)).to_f64();
        self.loads = network.nodes().map(over_capacity).collect();
        Ok(Flow::with_shares(plan.supplies))
    }

    fn rating(&self, node: NodeId) -> Option<Rating> {
        let load = *self.loads.get(node.index())?;
        Some(Rating { measure: "load over capacity", more: "more loaded", value: load })
    }
}

/// Loads the producers of the final items in proportion to their capacities, for the highest number of complete
/// sets that they can make.
fn load_finals(network: &Network, producers: &Feasibility, loads: &mut [Wide]) -> Result<(), NoFlow> {
    let finals = producers.finals(network)?;
    let capacities = |item: ItemId| producers.of_item(item).iter().map(|&node| capacity(network, node));
    // Complete sets per second that the producers of each item can make.
    let sets = |item: ItemId, weight: u32| {
        capacities(item).fold(Wide::ZERO, |sum, capacity| sum + capacity) / Wide::from(weight)
    };
    let weighted = || network.final_weights().filter(|(item, _)| finals.contains(item));
    let slowest = weighted().map(|(item, weight)| sets(item, weight));
    let slowest = slowest.reduce(|least, other| if other < least { other } else { least });
    for (item, weight) in weighted() {
        let share = slowest.unwrap_or(Wide::ZERO) / sets(item, weight);
        for &node in producers.of_item(item) {
            loads[node.index()] = capacity(network, node) * share;
        }
    }
    Ok(())
}

/// Orders consumers so that producers of the same item are far apart.
fn interleaved(network: &Network, consumers: Needs) -> Needs {
    let groups = consumers.chunk_by(|a, b| network.makes(a.0) == network.makes(b.0));
    let placed = groups.flat_map(|group| {
        let count = group.len() as u64;
        (0..).zip(group).map(move |(nth, &consumer)| ((2 * nth + 1) * (1 << 40) / count, consumer))
    });
    let mut placed: Vec<(u64, (NodeId, Wide))> = placed.collect();
    placed.sort_by_key(|placed| placed.0);
    placed.into_iter().map(|placed| placed.1).collect()
}

impl Balanced {
    /// Spreads the consumers of an item over its producers.
    fn supply(
        &self,
        network: &Network,
        item: ItemId,
        producers: &Feasibility,
        consumers: &Needs,
        plan: &mut Partial,
        meter: &mut Meter,
    ) -> Result<(), NoFlow> {
        let nodes = producers.of_item(item);
        let demands = weights(&consumers.iter().map(|consumer| consumer.1).collect::<Vec<_>>());
        let capacities = weights(&nodes.iter().map(|&node| capacity(network, node)).collect::<Vec<_>>());
        let most = usize::try_from(self.max_suppliers).unwrap_or(usize::MAX);
        let restriction = |consumer: usize| restriction(producers, nodes, consumers[consumer].0, item);
        let mut assign = |consumer: usize, shares: &[(usize, Share)]| {
            plan.supply(consumers[consumer], item, nodes, shares);
        };
        let mut remaining = Remaining::of(&demands, &capacities);
        remaining.take_restricted(most, restriction, &mut assign);
        meter.charge(remaining.take_rest(most, assign))
    }
}
