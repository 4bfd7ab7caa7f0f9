//! The plan whose final item is made first, if every stock is empty at the beginning.
//!
//! A node is ready one production run after the last of its supplies has arrived, so a plan takes as long as its longest
//! chain of production runs and transits: the critical path of J. E. Kelley and M. R. Walker, "Critical-path planning and
//! scheduling", 1959. Who needs several batches waits until its supplier has made them all, each making after as
//! long as the supplier's own supplies take. Each node takes the producers that have what it needs first; to be ready is
//! a superior function of the supplies (Knuth 1977) as long as each needs a batch, so the choice requirement by
//! requirement is the best one; with larger amounts it is a good one. That a supplier may have others to serve as
//! well is left out.

use std::collections::BTreeMap;

use dmos_core::strategy::{
    FlowDescriptor, FlowStrategy, Guarantee, Meter, NoFlow, PlanRequest, Rating, register_flow,
};
use dmos_core::{Flow, ItemId, Network, NodeId};
use dmos_graph::Feasibility;

register_flow!(FlowDescriptor {
    name: "shortest-lead-time",
    summary: "the plan whose final item is made first, from empty stocks",
    source: "Kelley and Walker 1959, Critical-path planning and scheduling; on AND/OR graphs Knuth 1977",
    notes: "finds a flow if one exists; in single batches none has a shorter critical path, if nobody has to wait because a supplier serves another; linear in the recipes' entries, times the amounts that an item is needed in",
    guarantees: |_| &[Guarantee::FindsFlow, Guarantee::LinearTime],
    params: &[],
    build: |_| Box::new(ShortestLeadTime { ready: Vec::new() }),
});

struct ShortestLeadTime {
    /// By node, when its first batches are ready, in seconds, in the last plan.
    ready: Vec<Option<f64>>,
}

/// How a node makes: when it is ready first, and how long each further production run takes, in seconds.
#[derive(Clone, Copy)]
struct Course {
    ready: f64,
    interval: f64,
}

impl Course {
    /// When a node that yields so many batches a production run has made so many.
    fn has_made(self, batches: u32, yields: u32) -> f64 {
        self.ready + f64::from(batches.div_ceil(yields) - 1) * self.interval
    }
}

impl FlowStrategy for ShortestLeadTime {
    fn plan(&mut self, request: &PlanRequest<'_>, meter: &mut Meter) -> Result<Flow, NoFlow> {
        let network = request.network;
        let producers = Feasibility::of(network, request.alive);
        meter.charge(producers.steps())?;
        let finals = producers.finals(network)?;
        let (cycle, transit) =
            (request.mean_durations.cycle.as_secs_f64(), request.mean_durations.transit.as_secs_f64());
        let amounts = amounts(network, &producers);
        meter.charge(producers.steps())?;
        let mut courses: Vec<Option<Course>> = vec![None; network.node_count()];
        // The producer that has so many batches of an item first.
        let mut first: BTreeMap<(ItemId, u32), NodeId> = BTreeMap::new();
        for &item in network.topological_order() {
            let of_item = producers.of_item(item);
            for &node in of_item {
                let making = cycle * f64::from(network.cycles(node));
                let (mut supplied, mut interval) = (0.0_f64, making);
                for required in network.requirements(node) {
                    let supplier = first[&(required.item, required.quantity)];
                    let course = courses[supplier.index()].expect("suppliers come first");
                    let yields = network.yield_per_run(supplier);
                    supplied = supplied.max(course.has_made(required.quantity, yields) + transit);
                    interval =
                        interval.max(f64::from(required.quantity) * course.interval / f64::from(yields));
                }
                courses[node.index()] = Some(Course { ready: supplied + making, interval });
            }
            for &amount in &amounts[item.index()] {
                meter.charge(of_item.len() as u64)?;
                let has_made = |node: &NodeId| {
                    let course = courses[node.index()].expect("it was looked at above");
                    course.has_made(amount, network.yield_per_run(*node))
                };
                let best = of_item.iter().copied().min_by(|a, b| has_made(a).total_cmp(&has_made(b)));
                first.extend(best.map(|node| ((item, amount), node)));
            }
        }
        let ends = finals.iter().map(|&item| first[&(item, 1)]).collect();
        let flow = Flow::upstream_of(network, ends, |consumer, item| {
            let requirements = network.requirements(consumer);
            let at = requirements.binary_search_by_key(&item, |required| required.item);
            first[&(item, requirements[at.expect("it is required")].quantity)]
        });
        meter.charge(flow.edges().len() as u64)?;
        self.ready = courses.iter().map(|course| course.map(|course| course.ready)).collect();
        Ok(flow)
    }

    fn rating(&self, node: NodeId) -> Option<Rating> {
        let value = self.ready.get(node.index()).copied().flatten()?;
        Some(Rating { measure: "first batch after s", more: "later", value })
    }
}

/// By item, the amounts in which somebody needs it, in ascending order; of a final item one batch is needed.
fn amounts(network: &Network, producers: &Feasibility) -> Vec<Vec<u32>> {
    let mut amounts = vec![Vec::new(); network.item_count()];
    network.final_items().iter().for_each(|item| amounts[item.index()].push(1));
    for &node in network.items().flat_map(|item| producers.of_item(item)) {
        for required in network.requirements(node) {
            let of_item: &mut Vec<u32> = &mut amounts[required.item.index()];
            if let Err(at) = of_item.binary_search(&required.quantity) {
                of_item.insert(at, required.quantity);
            }
        }
    }
    amounts
}
