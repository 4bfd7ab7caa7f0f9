//! The shortest lead time: the plan that makes its final item first, starting with empty buffers.
//!
//! A node is ready one production run after its last supply has arrived, so the lead time of a plan is its
//! longest chain of production runs and transits: the critical path of J. E. Kelley and M. R. Walker,
//! "Critical-path planning and scheduling", 1959. A consumer of several batches waits until its supplier has
//! made all of them, each run after the lead time of the supplier's own supplies. Each node takes the
//! producers that first deliver to it, by the mean transit times of their routes. The ready time is a superior function of the supplies (Knuth
//! 1977) if each requirement is one batch, so this greedy choice is optimal; for larger quantities it is a
//! heuristic. Contention for a supplier is ignored.

use std::collections::{BTreeMap, BTreeSet};

use dmos_core::strategy::{
    FlowDescriptor, FlowStrategy, Guarantee, Meter, NoFlow, PlanRequest, Rating, register_flow,
};
use dmos_core::{Flow, ItemId, Network, NodeId, Requirement, Span};
use dmos_graph::Feasibility;

register_flow!(FlowDescriptor {
    name: "shortest-lead-time",
    summary: "critical-path method: the earliest first finished good from empty buffers",
    source: "Kelley and Walker 1959, Critical-path planning and scheduling; on AND/OR graphs Knuth 1977",
    notes: "finds a flow if one exists; no flow has a shorter critical path for single batches when no supplier is shared; linear in the recipes' entries times the quantities of an item",
    guarantees: |_| &[Guarantee::FindsFlow, Guarantee::LinearTime],
    params: &[],
    build: |_| Box::new(ShortestLeadTime { ready: Vec::new() }),
});

struct ShortestLeadTime {
    /// By node, the time at which its first batches are ready in the last plan, in seconds.
    ready: Vec<Option<f64>>,
}

/// Timing of a node: its first ready time, and the duration of each further production run, in seconds.
#[derive(Clone, Copy)]
struct Timing {
    ready: f64,
    interval: f64,
}

impl Timing {
    /// Returns the time at which a node with a given yield has made a number of batches.
    fn has_made(self, batches: u32, yields: u32) -> f64 {
        self.ready + f64::from(batches.div_ceil(yields) - 1) * self.interval
    }
}

impl FlowStrategy for ShortestLeadTime {
    fn plan(&mut self, request: &PlanRequest<'_>, meter: &mut Meter) -> Result<Flow, NoFlow> {
        let network = request.network;
        let producers = Feasibility::of_request(request);
        meter.charge(producers.steps())?;
        let finals = producers.finals(network)?;
        let needs = needs(request, &producers);
        meter.charge(producers.steps())?;
        let mut ends = Vec::with_capacity(finals.len());
        let mut timings: Vec<Option<Timing>> = vec![None; network.node_count()];
        // The producer that first delivers a given number of batches of an item to a place.
        let mut first: BTreeMap<(ItemId, Need), NodeId> = BTreeMap::new();
        let place = |node| request.routes.place(node);
        for &item in network.topological_order() {
            let of_item = producers.of_item(item);
            for &node in of_item {
                let run_time = network.process_time(node).as_secs_f64();
                let (mut supplied, mut interval) = (0.0_f64, run_time);
                for required in network.requirements(node) {
                    let supplier = match restricted_supplier(request, &producers, &timings, node, required) {
                        Some(supplier) => supplier,
                        None => first[&(required.item, (required.quantity, place(node)))],
                    };
                    let transit = request.routes.mean_transit(supplier, node).as_secs_f64();
                    let timing = timings[supplier.index()].expect("suppliers come first");
                    let yields = network.yield_per_run(supplier);
                    supplied = supplied.max(timing.has_made(required.quantity, yields) + transit);
                    interval =
                        interval.max(f64::from(required.quantity) * timing.interval / f64::from(yields));
                }
                timings[node.index()] = Some(Timing { ready: supplied + run_time, interval });
            }
            for &(amount, place) in &needs[item.index()] {
                meter.charge(of_item.len() as u64)?;
                let transit = |node| request.routes.route_to_place(node, place).transit().mean();
                let best = earliest(network, &timings, of_item.iter().copied(), amount, transit);
                first.extend(best.map(|node| ((item, (amount, place)), node)));
            }
            if finals.contains(&item) {
                meter.charge(of_item.len() as u64)?;
                ends.extend(earliest(network, &timings, of_item.iter().copied(), 1, |_| Span::ZERO));
            }
        }
        let flow = Flow::upstream_of(network, ends, |consumer, item| {
            let requirements = network.requirements(consumer);
            let at = requirements.binary_search_by_key(&item, |required| required.item);
            let required = &requirements[at.expect("the item is required")];
            let restricted = restricted_supplier(request, &producers, &timings, consumer, required);
            restricted.unwrap_or_else(|| first[&(item, (required.quantity, place(consumer)))])
        });
        meter.charge(flow.edges().len() as u64)?;
        self.ready = timings.iter().map(|timing| timing.map(|timing| timing.ready)).collect();
        Ok(flow)
    }

    fn rating(&self, node: NodeId) -> Option<Rating> {
        let value = self.ready.get(node.index()).copied().flatten()?;
        Some(Rating { measure: "first batch after s", more: "later", value })
    }
}

/// Returns the producer that first delivers to a consumer that cannot use all producers because of broken links;
/// `None` for any other consumer.
fn restricted_supplier(
    request: &PlanRequest<'_>,
    producers: &Feasibility,
    timings: &[Option<Timing>],
    consumer: NodeId,
    required: &Requirement,
) -> Option<NodeId> {
    let usable = producers
        .is_restricted(consumer, required.item)
        .then(|| producers.with_working_link(consumer, required.item))?;
    let transit = |node| request.routes.mean_transit(node, consumer);
    earliest(request.network, timings, usable, required.quantity, transit)
}

/// Returns the producer of which a number of batches arrive first.
fn earliest(
    network: &Network,
    timings: &[Option<Timing>],
    producers: impl Iterator<Item = NodeId>,
    batches: u32,
    transit: impl Fn(NodeId) -> Span,
) -> Option<NodeId> {
    let delivers = |node: NodeId| {
        let timing = timings[node.index()].expect("suppliers come first");
        timing.has_made(batches, network.yield_per_run(node)) + transit(node).as_secs_f64()
    };
    producers.min_by(|&a, &b| delivers(a).total_cmp(&delivers(b)))
}

/// The quantity in which an item is required, and the place of the consumer.
type Need = (u32, usize);

/// Returns the needs of each item.
fn needs(request: &PlanRequest<'_>, producers: &Feasibility) -> Vec<BTreeSet<Need>> {
    let network = request.network;
    let mut needs = vec![BTreeSet::new(); network.item_count()];
    for &node in network.items().flat_map(|item| producers.of_item(item)) {
        for required in network.requirements(node) {
            needs[required.item.index()].insert((required.quantity, request.routes.place(node)));
        }
    }
    needs
}
