//! Keeps the flow active and moves only what a change touches.
//!
//! Every move costs: a node that gets a new supplier waits for its material. So after a death only the edges of
//! the dead are replaced, and whoever takes over works already, if anybody that can does: then nothing else
//! moves. A return moves nothing, unless an item could not be made without it. This is plan repair with the
//! least perturbation (M. Fox, A. Gerevini, D. Long and I. Serina, "Plan stability: replanning versus plan
//! repair", ICAPS 2006).
//!
//! Who can make what is kept up to date as nodes come and go: each node counts its requirements that nobody can
//! meet, each item those who can make it. A change is followed through these counts only as far as it reaches,
//! so a plan takes time in proportion to what moves, not to the network. The first plan is linear in it.

use dmos_core::strategy::{
    Change, FlowDescriptor, FlowStrategy, Guarantee, Meter, NoFlow, PlanRequest, register_flow,
};
use dmos_core::{Flow, FlowChange, ItemId, Network, NodeId, Share, SupplyEdge};

register_flow!(FlowDescriptor {
    name: "sticky",
    summary: "keeps the flow in force: after a death or a return as few edges change as possible",
    source: "Fox et al. 2006, Plan stability: replanning versus plan repair",
    notes: "finds a flow if one exists; replaces the edges of the dead alone if those who work can take over, and lets those work on whom nobody needs any more; the first plan is linear in the recipes' entries, later ones in what changes",
    guarantees: |_| &[Guarantee::FindsFlow, Guarantee::LinearTime],
    params: &[],
    build: |_| Box::new(Sticky { state: None }),
});

struct Sticky {
    /// What the last plan left behind; none after a plan that failed.
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
        let recipes_changed = request.changes.iter().any(|change| matches!(change, Change::RecipeChanged(_)));
        let known = self.state.take().filter(|state| !recipes_changed && state.edges == active.edges().len());
        let Some(mut state) = known else {
            return Ok(active.change_to(&self.plan(request, meter)?));
        };
        for change in request.changes {
            let node = change.node();
            if request.alive.contains(node) {
                state.revive(request.network, node, meter)?;
            } else {
                state.bury(request.network, node, meter)?;
            }
        }
        state.repair(request.network, meter)?;
        let change = state.take_change();
        self.state = Some(state);
        Ok(change)
    }
}

/// The flow as it can be changed in few places, and who could take over.
///
/// A requirement is named by its place among all requirements of all nodes; its node's come one after the other.
struct State {
    /// Where a node's requirements begin; one more entry than nodes.
    requirements_from: Vec<u32>,
    /// By requirement: whose it is.
    consumers: Vec<NodeId>,
    /// By requirement: who supplies it, if its node works.
    suppliers: Vec<Option<NodeId>>,
    /// By requirement: the next and the one before among those with the same supplier.
    links: Vec<(Option<u32>, Option<u32>)>,
    /// By node: the first requirement that it supplies.
    supplied: Vec<Option<u32>>,
    /// Where an item's requirements begin in `wanted`; one more entry than items.
    wanted_from: Vec<u32>,
    /// Requirements by item.
    wanted: Vec<u32>,
    is_alive: Vec<bool>,
    /// By node: how many of its requirements nobody can meet.
    missing: Vec<u32>,
    /// By item: its producers; those first who work and can make it, then the others who can.
    producers: Vec<Vec<NodeId>>,
    /// By node: its place among the producers of its item.
    places: Vec<u32>,
    /// By item: how many of its producers work and can make it, how many can make it, and whose turn it is.
    ranks: Vec<Ranks>,
    works: Vec<bool>,
    /// By final item: who makes it.
    ends: Vec<Option<NodeId>>,
    /// Nodes that have become unable to make what they make, and still stand in the flow.
    fallen: Vec<NodeId>,
    /// Nodes that work, but are not supplied yet.
    to_supply: Vec<NodeId>,
    edges: usize,
    removed: Vec<SupplyEdge>,
    added: Vec<(SupplyEdge, Share)>,
}

#[derive(Clone, Copy, Default)]
struct Ranks {
    working: u32,
    able: u32,
    turn: u32,
}

impl State {
    /// Makes the flow active its own, as far as it still holds, and completes it.
    fn adopt(request: &PlanRequest<'_>, meter: &mut Meter) -> Result<Self, NoFlow> {
        let network = request.network;
        if request.alive.is_empty() {
            return Err(NoFlow::NoNodeAlive);
        }
        let mut state = Self::empty(network);
        meter.charge((network.node_count() + state.consumers.len()) as u64)?;
        for &item in network.topological_order() {
            for &node in network.producers(item) {
                if request.alive.contains(node) {
                    state.is_alive[node.index()] = true;
                    state.become_able_if_supplied(network, node);
                }
            }
            if state.ranks[item.index()].able > 0 {
                state.wanted_of(item).for_each(|at| {
                    let consumer = state.consumers[state.wanted[at] as usize];
                    state.missing[consumer.index()] -= 1;
                });
            }
        }
        for edge in request.active.map_or(&[][..], Flow::edges) {
            let requirements = network.requirements(edge.consumer);
            let nth = requirements.binary_search_by_key(&edge.item, |required| required.item);
            let fits = network.makes(edge.producer) == edge.item;
            if let (Ok(nth), true) =
                (nth, fits && state.is_able(edge.consumer) && state.is_able(edge.producer))
            {
                state.start_work(network, edge.consumer);
                state.start_work(network, edge.producer);
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
        let mut places = vec![0; nodes];
        for item in network.items() {
            (0..).zip(network.producers(item)).for_each(|(place, node)| places[node.index()] = place);
        }
        let missing = network.nodes().map(|node| network.requirements(node).len() as u32).collect();
        Self {
            suppliers: vec![None; consumers.len()],
            links: vec![(None, None); consumers.len()],
            supplied: vec![None; nodes],
            requirements_from,
            consumers,
            wanted_from,
            wanted,
            is_alive: vec![false; nodes],
            missing,
            producers: network.items().map(|item| network.producers(item).to_vec()).collect(),
            places,
            ranks: vec![Ranks::default(); items],
            works: vec![false; nodes],
            ends: vec![None; network.final_items().len()],
            fallen: Vec::new(),
            to_supply: Vec::new(),
            edges: 0,
            removed: Vec::new(),
            added: Vec::new(),
        }
    }

    fn requirements(&self, node: NodeId) -> std::ops::Range<u32> {
        self.requirements_from[node.index()]..self.requirements_from[node.index() + 1]
    }

    /// Returns the places in `wanted` of an item's requirements.
    fn wanted_of(&self, item: ItemId) -> std::ops::Range<usize> {
        self.wanted_from[item.index()] as usize..self.wanted_from[item.index() + 1] as usize
    }

    fn is_able(&self, node: NodeId) -> bool {
        self.is_alive[node.index()] && self.missing[node.index()] == 0
    }

    /// Puts a producer at another place among those of its item, and whoever is there at its own.
    fn put(&mut self, item: ItemId, node: NodeId, place: u32) {
        let producers = &mut self.producers[item.index()];
        let from = self.places[node.index()];
        let other = producers[place as usize];
        producers.swap(from as usize, place as usize);
        (self.places[node.index()], self.places[other.index()]) = (place, from);
    }

    fn become_able_if_supplied(&mut self, network: &Network, node: NodeId) -> bool {
        if !self.is_able(node) {
            return false;
        }
        let item = network.makes(node);
        let able = self.ranks[item.index()].able;
        self.put(item, node, able);
        self.ranks[item.index()].able += 1;
        true
    }

    fn become_unable(&mut self, network: &Network, node: NodeId) {
        let item = network.makes(node);
        if std::mem::replace(&mut self.works[node.index()], false) {
            let last = self.ranks[item.index()].working - 1;
            self.put(item, node, last);
            self.ranks[item.index()].working = last;
            self.fallen.push(node);
        }
        let last = self.ranks[item.index()].able - 1;
        self.put(item, node, last);
        self.ranks[item.index()].able = last;
    }

    fn start_work(&mut self, network: &Network, node: NodeId) {
        if !std::mem::replace(&mut self.works[node.index()], true) {
            let item = network.makes(node);
            let working = self.ranks[item.index()].working;
            self.put(item, node, working);
            self.ranks[item.index()].working += 1;
            self.to_supply.push(node);
        }
    }

    /// A node is back: whoever can make something again, can.
    fn revive(&mut self, network: &Network, node: NodeId, meter: &mut Meter) -> Result<(), NoFlow> {
        if std::mem::replace(&mut self.is_alive[node.index()], true) {
            return Ok(());
        }
        let mut risen = vec![node];
        while let Some(node) = risen.pop() {
            meter.charge(1)?;
            let item = network.makes(node);
            if !self.become_able_if_supplied(network, node) || self.ranks[item.index()].able > 1 {
                continue;
            }
            for at in self.wanted_of(item) {
                meter.charge(1)?;
                let consumer = self.consumers[self.wanted[at] as usize];
                self.missing[consumer.index()] -= 1;
                if self.is_able(consumer) {
                    risen.push(consumer);
                }
            }
        }
        Ok(())
    }

    /// A node is dead, and with it everybody who can make nothing without it.
    fn bury(&mut self, network: &Network, node: NodeId, meter: &mut Meter) -> Result<(), NoFlow> {
        let was_able = self.is_able(node);
        self.is_alive[node.index()] = false;
        let mut falling = if was_able { vec![node] } else { Vec::new() };
        while let Some(node) = falling.pop() {
            meter.charge(1)?;
            self.become_unable(network, node);
            let item = network.makes(node);
            if self.ranks[item.index()].able > 0 {
                continue;
            }
            for at in self.wanted_of(item) {
                meter.charge(1)?;
                let consumer = self.consumers[self.wanted[at] as usize];
                if self.is_able(consumer) {
                    falling.push(consumer);
                }
                self.missing[consumer.index()] += 1;
            }
        }
        Ok(())
    }

    /// Takes the fallen out of the flow, and gives everybody who is left without a supplier another one.
    fn repair(&mut self, network: &Network, meter: &mut Meter) -> Result<(), NoFlow> {
        for node in std::mem::take(&mut self.fallen) {
            for requirement in self.requirements(node) {
                meter.charge(1)?;
                self.disconnect(network, requirement);
            }
            while let Some(requirement) = self.supplied[node.index()] {
                meter.charge(1)?;
                self.disconnect(network, requirement);
                let consumer = self.consumers[requirement as usize];
                if self.works[consumer.index()] {
                    self.to_supply.push(consumer);
                }
            }
        }
        for (nth, &item) in network.final_items().iter().enumerate() {
            if self.ends[nth].is_none_or(|end| !self.works[end.index()]) {
                self.ends[nth] = self.producer(item);
            }
            if let Some(end) = self.ends[nth] {
                self.start_work(network, end);
            }
        }
        if self.ends.iter().all(Option::is_none) {
            return Err(NoFlow::Infeasible(network.final_items()[0]));
        }
        while let Some(node) = self.to_supply.pop() {
            for (requirement, required) in self.requirements(node).zip(network.requirements(node)) {
                meter.charge(1)?;
                if self.suppliers[requirement as usize].is_none() {
                    let producer = self.producer(required.item).expect("whoever works can be supplied");
                    self.start_work(network, producer);
                    self.connect(network, requirement, producer);
                }
            }
        }
        Ok(())
    }

    /// One of those who can make an item: of those who work one after the other, and a spare if none does.
    fn producer(&mut self, item: ItemId) -> Option<NodeId> {
        let (ranks, producers) = (&mut self.ranks[item.index()], &self.producers[item.index()]);
        let place = match (ranks.working, ranks.able) {
            (_, 0) => return None,
            (0, _) => 0,
            (working, _) => {
                ranks.turn = (ranks.turn + 1) % working;
                ranks.turn
            }
        };
        Some(producers[place as usize])
    }

    fn edge(&self, network: &Network, requirement: u32, producer: NodeId) -> SupplyEdge {
        let consumer = self.consumers[requirement as usize];
        let nth = requirement - self.requirements_from[consumer.index()];
        SupplyEdge { consumer, item: network.requirements(consumer)[nth as usize].item, producer }
    }

    fn connect(&mut self, network: &Network, requirement: u32, producer: NodeId) {
        let first = self.supplied[producer.index()].replace(requirement);
        self.links[requirement as usize] = (first, None);
        if let Some(first) = first {
            self.links[first as usize].1 = Some(requirement);
        }
        self.suppliers[requirement as usize] = Some(producer);
        self.edges += 1;
        self.added.push((self.edge(network, requirement, producer), Share::WHOLE));
    }

    fn disconnect(&mut self, network: &Network, requirement: u32) {
        let Some(producer) = self.suppliers[requirement as usize].take() else {
            return;
        };
        let (next, before) = std::mem::take(&mut self.links[requirement as usize]);
        match before {
            Some(before) => self.links[before as usize].0 = next,
            None => self.supplied[producer.index()] = next,
        }
        if let Some(next) = next {
            self.links[next as usize].1 = before;
        }
        self.edges -= 1;
        self.removed.push(self.edge(network, requirement, producer));
    }

    /// What has changed since this was last asked; an edge that went and came again has not.
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
