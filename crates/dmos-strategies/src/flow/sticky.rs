//! Plan repair: keeps the active flow and changes only what is necessary.
//!
//! Every change has a cost, because a node with a new supplier waits for its material. After a failure only
//! the edges of the failed node are replaced, and by producers that are already assigned, if any are
//! feasible; then nothing else changes. A return changes nothing, unless an item could not be made without
//! it. This is plan repair with minimal perturbation (M. Fox, A. Gerevini, D. Long and I. Serina, "Plan
//! stability: replanning versus plan repair", ICAPS 2006).
//!
//! Feasibility is maintained incrementally: each node counts its unmet requirements, each item its feasible
//! producers. A change is propagated through these counts only as far as its effect reaches, so planning
//! takes time proportional to the change, not to the network. The first plan is linear in the network.

use dmos_core::strategy::{
    Change, FlowDescriptor, FlowStrategy, Guarantee, Meter, NoFlow, PlanRequest, register_flow,
};
use dmos_core::{BrokenLinks, Flow, FlowChange, ItemId, Network, NodeId, Share, SupplyEdge};
use dmos_graph::Feasibility;

register_flow!(FlowDescriptor {
    name: "sticky",
    summary: "minimum change: after a failure or a rejoin, as few edges of the active flow change as possible",
    source: "Fox et al. 2006, Plan stability: replanning versus plan repair",
    notes: "finds a flow if one exists; replaces only the edges of failed nodes if the assigned nodes can take over, and keeps assigned nodes that are no longer needed; the first plan is linear in the recipes' entries, later plans in the number of changes",
    guarantees: |_| &[Guarantee::FindsFlow, Guarantee::LinearTime],
    params: &[],
    build: |_| Box::new(Sticky { state: None }),
});

struct Sticky {
    /// State after the last plan, or `None` after a failed plan.
    state: Option<State>,
}

impl FlowStrategy for Sticky {
    fn plan(&mut self, request: &PlanRequest<'_>, meter: &mut Meter) -> Result<Flow, NoFlow> {
        self.state = None;
        let mut state = State::adopt(request, meter)?;
        state.take_change();
        let flow = state.flow(request.network);
        meter.charge(flow.edges().len() as u64)?;
        self.state = Some(state);
        Ok(flow)
    }

    fn replan(&mut self, request: &PlanRequest<'_>, meter: &mut Meter) -> Result<FlowChange, NoFlow> {
        let active = request.active.expect("replanning changes a flow");
        let is_local = |change: &Change| matches!(change, Change::Failed(_) | Change::Rejoined(_));
        let is_repairable = request.broken_links.is_empty() && request.changes.iter().all(is_local);
        let known = self.state.take().filter(|state| is_repairable && state.edges == active.edges().len());
        let Some(mut state) = known else {
            return Ok(active.change_to(&self.plan(request, meter)?));
        };
        for node in request.changes.iter().filter_map(|change| change.node()) {
            if request.alive.contains(node) {
                state.on_rejoin(request.network, node, meter)?;
            } else {
                state.on_failure(request.network, node, meter)?;
            }
        }
        state.repair(request.network, meter)?;
        let change = state.take_change();
        self.state = Some(state);
        Ok(change)
    }
}

/// The flow in a form that allows local changes, with candidates for replacement.
///
/// A requirement is identified by its index among the requirements of all nodes; those of one node are
/// contiguous.
struct State {
    /// Start of a node's requirements; one more entry than nodes.
    requirements_from: Vec<u32>,
    /// By requirement, its consumer.
    consumers: Vec<NodeId>,
    /// By requirement, its supplier, if its node is assigned.
    suppliers: Vec<Option<NodeId>>,
    /// By requirement, the next and the previous one with the same supplier.
    chain: Vec<(Option<u32>, Option<u32>)>,
    /// By node, the first requirement that it supplies.
    supplied: Vec<Option<u32>>,
    /// Start of an item's requirements in `wanted`; one more entry than items.
    wanted_from: Vec<u32>,
    /// Requirements by item.
    wanted: Vec<u32>,
    /// Broken links, which no edge uses.
    links: BrokenLinks,
    is_alive: Vec<bool>,
    /// By node, the number of its requirements without a feasible producer.
    missing: Vec<u32>,
    /// By item, its producers: assigned feasible ones first, then other feasible ones, then the rest.
    producers: Vec<Vec<NodeId>>,
    /// By node, its index among the producers of its item.
    indices: Vec<u32>,
    /// By item, the number of assigned feasible and of all feasible producers, and the next one in turn.
    bounds: Vec<PartitionBounds>,
    is_assigned: Vec<bool>,
    /// By final item, its producer.
    ends: Vec<Option<NodeId>>,
    /// Nodes that have become infeasible and are still in the flow.
    failed_assigned: Vec<NodeId>,
    /// Assigned nodes that are not supplied yet.
    to_supply: Vec<NodeId>,
    edges: usize,
    removed: Vec<SupplyEdge>,
    added: Vec<(SupplyEdge, Share)>,
}

#[derive(Clone, Copy, Default)]
struct PartitionBounds {
    assigned: u32,
    feasible: u32,
    next: u32,
}

impl State {
    /// Imports the active flow as far as it is still valid, and completes it.
    fn adopt(request: &PlanRequest<'_>, meter: &mut Meter) -> Result<Self, NoFlow> {
        let network = request.network;
        if request.alive.is_empty() {
            return Err(NoFlow::NoNodeAlive);
        }
        let mut state = Self::empty(network);
        meter.charge((network.node_count() + state.consumers.len()) as u64)?;
        // With broken links, feasibility depends on the consumer and is not maintained incrementally.
        let restricted = (!request.broken_links.is_empty()).then(|| Feasibility::of_request(request));
        let is_usable = |node| restricted.as_ref().is_none_or(|feasible| feasible.contains(network, node));
        state.links = request.broken_links.clone();
        for &item in network.topological_order() {
            for &node in network.producers(item) {
                if request.alive.contains(node) && is_usable(node) {
                    state.is_alive[node.index()] = true;
                    state.mark_feasible_if_supplied(network, node);
                }
            }
            if state.bounds[item.index()].feasible > 0 {
                state.wanted_of(item).for_each(|at| {
                    let consumer = state.consumers[state.wanted[at] as usize];
                    state.missing[consumer.index()] -= 1;
                });
            }
        }
        for edge in request.active.map_or(&[][..], Flow::edges) {
            let requirements = network.requirements(edge.consumer);
            let nth = requirements.binary_search_by_key(&edge.item, |required| required.item);
            let fits = network.makes(edge.producer) == edge.item
                && !state.links.contains(edge.producer, edge.consumer);
            if let (Ok(nth), true) =
                (nth, fits && state.is_feasible(edge.consumer) && state.is_feasible(edge.producer))
            {
                state.assign(network, edge.consumer);
                state.assign(network, edge.producer);
                let requirement = state.requirements_from[edge.consumer.index()] + nth as u32;
                if state.suppliers[requirement as usize].is_none() {
                    state.connect(network, requirement, edge.producer);
                }
            }
        }
        state.repair(network, meter)?;
        Ok(state)
    }

    fn empty(network: &Network) -> Self {
        let (nodes, items) = (network.node_count(), network.item_count());
        let mut requirements_from = vec![0];
        let mut consumers = Vec::new();
        let mut wanted_from = vec![0_u32; items + 1];
        for node in network.nodes() {
            for required in network.requirements(node) {
                consumers.push(node);
                wanted_from[required.item.index() + 1] += 1;
            }
            requirements_from.push(consumers.len() as u32);
        }
        for item in 0..items {
            wanted_from[item + 1] += wanted_from[item];
        }
        let (mut next, mut wanted) = (wanted_from.clone(), vec![0; consumers.len()]);
        for node in network.nodes() {
            for (requirement, required) in (requirements_from[node.index()]..).zip(network.requirements(node))
            {
                let next = &mut next[required.item.index()];
                wanted[*next as usize] = requirement;
                *next += 1;
            }
        }
        let mut indices = vec![0; nodes];
        for item in network.items() {
            (0..).zip(network.producers(item)).for_each(|(index, node)| indices[node.index()] = index);
        }
        let missing = network.nodes().map(|node| network.requirements(node).len() as u32).collect();
        Self {
            suppliers: vec![None; consumers.len()],
            chain: vec![(None, None); consumers.len()],
            supplied: vec![None; nodes],
            requirements_from,
            consumers,
            wanted_from,
            wanted,
            links: BrokenLinks::NONE,
            is_alive: vec![false; nodes],
            missing,
            producers: network.items().map(|item| network.producers(item).to_vec()).collect(),
            indices,
            bounds: vec![PartitionBounds::default(); items],
            is_assigned: vec![false; nodes],
            ends: vec![None; network.final_items().len()],
            failed_assigned: Vec::new(),
            to_supply: Vec::new(),
            edges: 0,
            removed: Vec::new(),
            added: Vec::new(),
        }
    }

    fn requirements(&self, node: NodeId) -> std::ops::Range<u32> {
        self.requirements_from[node.index()]..self.requirements_from[node.index() + 1]
    }

    /// Returns the range of an item's requirements in `wanted`.
    fn wanted_of(&self, item: ItemId) -> std::ops::Range<usize> {
        self.wanted_from[item.index()] as usize..self.wanted_from[item.index() + 1] as usize
    }

    fn is_feasible(&self, node: NodeId) -> bool {
        self.is_alive[node.index()] && self.missing[node.index()] == 0
    }

    /// Moves a producer to another index among those of its item, in exchange with the one there.
    fn put(&mut self, item: ItemId, node: NodeId, index: u32) {
        let producers = &mut self.producers[item.index()];
        let from = self.indices[node.index()];
        let other = producers[index as usize];
        producers.swap(from as usize, index as usize);
        (self.indices[node.index()], self.indices[other.index()]) = (index, from);
    }

    fn mark_feasible_if_supplied(&mut self, network: &Network, node: NodeId) -> bool {
        if !self.is_feasible(node) {
            return false;
        }
        let item = network.makes(node);
        let feasible = self.bounds[item.index()].feasible;
        self.put(item, node, feasible);
        self.bounds[item.index()].feasible += 1;
        true
    }

    fn mark_infeasible(&mut self, network: &Network, node: NodeId) {
        let item = network.makes(node);
        if std::mem::replace(&mut self.is_assigned[node.index()], false) {
            let last = self.bounds[item.index()].assigned - 1;
            self.put(item, node, last);
            self.bounds[item.index()].assigned = last;
            self.failed_assigned.push(node);
        }
        let last = self.bounds[item.index()].feasible - 1;
        self.put(item, node, last);
        self.bounds[item.index()].feasible = last;
    }

    fn assign(&mut self, network: &Network, node: NodeId) {
        if !std::mem::replace(&mut self.is_assigned[node.index()], true) {
            let item = network.makes(node);
            let assigned = self.bounds[item.index()].assigned;
            self.put(item, node, assigned);
            self.bounds[item.index()].assigned += 1;
            self.to_supply.push(node);
        }
    }

    /// Handles the return of a node, and of all nodes that become feasible by it.
    fn on_rejoin(&mut self, network: &Network, node: NodeId, meter: &mut Meter) -> Result<(), NoFlow> {
        if std::mem::replace(&mut self.is_alive[node.index()], true) {
            return Ok(());
        }
        let mut newly_feasible = vec![node];
        while let Some(node) = newly_feasible.pop() {
            meter.charge(1)?;
            let item = network.makes(node);
            if !self.mark_feasible_if_supplied(network, node) || self.bounds[item.index()].feasible > 1 {
                continue;
            }
            for at in self.wanted_of(item) {
                meter.charge(1)?;
                let consumer = self.consumers[self.wanted[at] as usize];
                self.missing[consumer.index()] -= 1;
                if self.is_feasible(consumer) {
                    newly_feasible.push(consumer);
                }
            }
        }
        Ok(())
    }

    /// Handles the failure of a node, and of all nodes that become infeasible by it.
    fn on_failure(&mut self, network: &Network, node: NodeId, meter: &mut Meter) -> Result<(), NoFlow> {
        let was_feasible = self.is_feasible(node);
        self.is_alive[node.index()] = false;
        let mut newly_infeasible = if was_feasible { vec![node] } else { Vec::new() };
        while let Some(node) = newly_infeasible.pop() {
            meter.charge(1)?;
            self.mark_infeasible(network, node);
            let item = network.makes(node);
            if self.bounds[item.index()].feasible > 0 {
                continue;
            }
            for at in self.wanted_of(item) {
                meter.charge(1)?;
                let consumer = self.consumers[self.wanted[at] as usize];
                if self.is_feasible(consumer) {
                    newly_infeasible.push(consumer);
                }
                self.missing[consumer.index()] += 1;
            }
        }
        Ok(())
    }

    /// Removes infeasible nodes from the flow, and replaces their edges.
    fn repair(&mut self, network: &Network, meter: &mut Meter) -> Result<(), NoFlow> {
        for node in std::mem::take(&mut self.failed_assigned) {
            for requirement in self.requirements(node) {
                meter.charge(1)?;
                self.disconnect(network, requirement);
            }
            while let Some(requirement) = self.supplied[node.index()] {
                meter.charge(1)?;
                self.disconnect(network, requirement);
                let consumer = self.consumers[requirement as usize];
                if self.is_assigned[consumer.index()] {
                    self.to_supply.push(consumer);
                }
            }
        }
        for (nth, &item) in network.final_items().iter().enumerate() {
            if self.ends[nth].is_none_or(|end| !self.is_assigned[end.index()]) {
                self.ends[nth] = self.producer(item, None);
            }
            if let Some(end) = self.ends[nth] {
                self.assign(network, end);
            }
        }
        if self.ends.iter().all(Option::is_none) {
            return Err(NoFlow::Infeasible(network.final_items()[0]));
        }
        while let Some(node) = self.to_supply.pop() {
            for (requirement, required) in self.requirements(node).zip(network.requirements(node)) {
                meter.charge(1)?;
                if self.suppliers[requirement as usize].is_none() {
                    let producer = self.producer(required.item, Some(node));
                    let producer = producer.expect("an assigned node can be supplied");
                    self.assign(network, producer);
                    self.connect(network, requirement, producer);
                }
            }
        }
        Ok(())
    }

    /// Returns a feasible producer of an item for a consumer, if there is one: an assigned one in turn, or an idle spare
    /// if there is none.
    fn producer(&mut self, item: ItemId, consumer: Option<NodeId>) -> Option<NodeId> {
        if let Some(consumer) = consumer.filter(|&consumer| self.links.touches(consumer)) {
            return self.producer_with_link(item, consumer);
        }
        let (bounds, producers) = (&mut self.bounds[item.index()], &self.producers[item.index()]);
        let index = match (bounds.assigned, bounds.feasible) {
            (_, 0) => return None,
            (0, _) => 0,
            (assigned, _) => {
                bounds.next = (bounds.next + 1) % assigned;
                bounds.next
            }
        };
        Some(producers[index as usize])
    }

    /// Returns a feasible producer of an item with a working link to the consumer: the assigned one with the fewest
    /// consumers, or an idle spare if there is none.
    fn producer_with_link(&self, item: ItemId, consumer: NodeId) -> Option<NodeId> {
        let bounds = self.bounds[item.index()];
        let producers = &self.producers[item.index()];
        let (assigned, spare) = producers[..bounds.feasible as usize].split_at(bounds.assigned as usize);
        let usable = |nodes: &[NodeId]| -> Vec<NodeId> {
            nodes.iter().copied().filter(|&node| !self.links.contains(node, consumer)).collect()
        };
        let consumers = |node: &NodeId| {
            std::iter::successors(self.supplied[node.index()], |&at| self.chain[at as usize].0).count()
        };
        usable(assigned).into_iter().min_by_key(consumers).or_else(|| usable(spare).first().copied())
    }

    fn edge(&self, network: &Network, requirement: u32, producer: NodeId) -> SupplyEdge {
        let consumer = self.consumers[requirement as usize];
        let nth = requirement - self.requirements_from[consumer.index()];
        SupplyEdge { consumer, item: network.requirements(consumer)[nth as usize].item, producer }
    }

    fn connect(&mut self, network: &Network, requirement: u32, producer: NodeId) {
        let first = self.supplied[producer.index()].replace(requirement);
        self.chain[requirement as usize] = (first, None);
        if let Some(first) = first {
            self.chain[first as usize].1 = Some(requirement);
        }
        self.suppliers[requirement as usize] = Some(producer);
        self.edges += 1;
        self.added.push((self.edge(network, requirement, producer), Share::WHOLE));
    }

    fn disconnect(&mut self, network: &Network, requirement: u32) {
        let Some(producer) = self.suppliers[requirement as usize].take() else {
            return;
        };
        let (next, before) = std::mem::take(&mut self.chain[requirement as usize]);
        match before {
            Some(before) => self.chain[before as usize].0 = next,
            None => self.supplied[producer.index()] = next,
        }
        if let Some(next) = next {
            self.chain[next as usize].1 = before;
        }
        self.edges -= 1;
        self.removed.push(self.edge(network, requirement, producer));
    }

    /// Returns the changes since the last call; an edge that was removed and restored is not a change.
    fn take_change(&mut self) -> FlowChange {
        let (mut removed, mut added) = (std::mem::take(&mut self.removed), std::mem::take(&mut self.added));
        removed.sort_unstable();
        added.sort_unstable();
        let both: Vec<SupplyEdge> = removed
            .iter()
            .filter(|edge| added.binary_search_by_key(*edge, |added| added.0).is_ok())
            .copied()
            .collect();
        removed.retain(|edge| both.binary_search(edge).is_err());
        added.retain(|(edge, _)| both.binary_search(edge).is_err());
        FlowChange { removed, added }
    }

    fn flow(&self, network: &Network) -> Flow {
        let edges = (0..).zip(&self.suppliers).filter_map(|(requirement, supplier)| {
            supplier.map(|producer| self.edge(network, requirement, producer))
        });
        Flow::new(edges.collect())
    }
}
