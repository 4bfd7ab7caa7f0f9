//! The least-cost plan, where every node and every edge is paid for once, regardless of the number of its
//! users.
//!
//! Here a node that supplies three consumers costs as much as for one, as in a real factory. Finding the
//! cheapest such plan of an AND/OR graph is NP-hard (S. Sahni, "Computationally related problems", SIAM
//! Journal on Computing 3(4), 1974). It suffices to choose one producer for each item, and among producers
//! with the same requirements, the cheapest. If few choices remain, branch and bound finds the optimal plan;
//! otherwise the plan that is cheapest as a tree is improved by exchanging one producer after the other until
//! no exchange reduces the cost. The plan reports which case applied.

use std::collections::BTreeSet;

use dmos_core::strategy::{
    FlowDescriptor, FlowStrategy, Guarantee, Meter, NoFlow, ParamKind, ParamSpec, Params, PlanRequest,
    Rating, register_flow,
};
use dmos_core::{Flow, ItemId, Network, NodeId, Routes};
use dmos_graph::Feasibility;

use super::least_cost::EDGE_COST;
use super::sweep::Best;
use super::wide::Wide;

register_flow!(FlowDescriptor {
    name: "least-cost-shared",
    summary: "branch and bound for the minimum total cost of nodes and edges, each paid for once",
    source: "AND/OR graphs with sharing are NP-hard: Sahni 1974; branch and bound, else local improvement",
    notes: "finds a flow if one exists; optimal if the effort suffices, which the result states; the costs of routes do not count",
    guarantees: |_| &[Guarantee::FindsFlow],
    params: &[
        EDGE_COST,
        ParamSpec {
            name: "effort",
            summary: "maximum number of steps of each search: the exact one and the local improvement",
            kind: ParamKind::Integer { min: 0, max: 1_000_000_000, default: 1_000_000 },
        },
    ],
    build: |params: &Params| Box::new(LeastCostShared {
        edge_cost: params.integer("edge_cost"),
        effort: params.integer("effort"),
        costs: Vec::new(),
    }),
});

struct LeastCostShared {
    edge_cost: u64,
    effort: u64,
    /// By node, the cost of the last plan if this node made its item.
    costs: Vec<Option<f64>>,
}

impl FlowStrategy for LeastCostShared {
    fn plan(&mut self, request: &PlanRequest<'_>, meter: &mut Meter) -> Result<Flow, NoFlow> {
        let (network, edge) = (request.network, Wide::from(self.edge_cost));
        let tree = Best::of(request, meter, None, |node, supplies| {
            supplies.fold(Wide::from(network.cost(node)), |cost, supply| cost + supply + edge)
        })?;
        let mut choices = Choices::of(network, self.edge_cost, &tree);
        let first = choices.cost();
        // Attempts are charged as well, so they are limited by the budget.
        let effort = self.effort.min(meter.left() / 4);
        choices.improve(effort);
        let is_optimal = choices.search(effort);
        meter.charge(choices.steps)?;
        meter.note("cost", choices.cost());
        meter.note("initial_cost", first);
        let (flow, has_detour) = choices.flow(&tree);
        meter.note("is_optimal", u64::from(is_optimal && !has_detour));
        meter.remark(match is_optimal {
            _ if has_detour => {
                "not optimal: some consumers have another supplier, because a link is broken".to_owned()
            }
            true => format!("optimal: no plan costs less than {}", choices.cost()),
            false => format!("best plan found costs {}; a cheaper one may exist", choices.cost()),
        });
        self.costs = choices.costs_of_all(&tree.all);
        meter.charge(flow.edges().len() as u64)?;
        Ok(flow)
    }

    fn rating(&self, node: NodeId) -> Option<Rating> {
        let value = self.costs.get(node.index()).copied().flatten()?;
        Some(Rating { measure: "cost of the plan with it", more: "more expensive", value })
    }
}

/// Maximum number of items with a choice for an optimal search: each doubles the number of plans, and the
/// search is as deep.
const OPEN_MAX: usize = 200;

/// Maximum number of steps for computing the cost of each producer in the plan, which only serves
/// explanations.
const RATED_MAX: usize = 100_000;

/// Maximum number of producers of an item that are compared for dominance.
const COMPARED_MAX: usize = 50;

/// A producer that may be optimal for its item.
#[derive(Clone, Copy)]
struct Candidate {
    node: NodeId,
    /// Its own cost and that of its edges.
    cost: u64,
}

/// One producer for each item.
struct Choices<'a> {
    network: &'a Network,
    edge_cost: u64,
    finals: &'a [ItemId],
    /// By item, the candidates, cheapest first.
    candidates: Vec<Vec<Candidate>>,
    /// By item, the index of the chosen candidate.
    chosen: Vec<usize>,
    steps: u64,
}

impl<'a> Choices<'a> {
    fn of(network: &'a Network, edge_cost: u64, tree: &'a Best<Wide>) -> Self {
        let mut choices = Self {
            network,
            edge_cost,
            finals: &tree.finals,
            candidates: vec![Vec::new(); network.item_count()],
            chosen: vec![0; network.item_count()],
            steps: 0,
        };
        for item in network.items() {
            choices.candidates[item.index()] = choices.candidates_for(tree.all.of_item(item));
            choices.steps += tree.all.of_item(item).len() as u64;
            let Some(best) = tree.producers[item.index()] else {
                continue;
            };
            // A different producer with the same requirements may represent the tree's choice.
            let requires = choices.required(best);
            let candidates = &choices.candidates[item.index()];
            let alike =
                candidates.iter().position(|candidate| choices.required(candidate.node).is_subset(&requires));
            choices.chosen[item.index()] = alike.expect("an alternative is no better than a chosen node");
        }
        choices
    }

    fn required(&self, node: NodeId) -> BTreeSet<ItemId> {
        self.network.requirements(node).iter().map(|required| required.item).collect()
    }

    fn own_cost(&self, node: NodeId) -> u64 {
        u64::from(self.network.cost(node)) + self.edge_cost * self.network.requirements(node).len() as u64
    }

    /// Returns the producers that are not dominated by another with no further requirements and no higher
    /// cost.
    fn candidates_for(&self, producers: &[NodeId]) -> Vec<Candidate> {
        let mut sorted: Vec<_> =
            producers.iter().map(|&node| Candidate { node, cost: self.own_cost(node) }).collect();
        sorted.sort_by_key(|candidate| (candidate.cost, candidate.node));
        let mut kept: Vec<(Candidate, BTreeSet<ItemId>)> = Vec::new();
        for candidate in sorted {
            let requires = self.required(candidate.node);
            if !kept.iter().take(COMPARED_MAX).any(|(_, cheaper)| cheaper.is_subset(&requires)) {
                kept.push((candidate, requires));
            }
        }
        kept.into_iter().map(|(candidate, _)| candidate).collect()
    }

    fn candidate(&self, item: ItemId) -> Candidate {
        self.candidates[item.index()][self.chosen[item.index()]]
    }

    fn producer(&self, item: ItemId) -> NodeId {
        self.candidate(item).node
    }

    /// Returns the flow of the chosen producers. A consumer whose link to the chosen producer is broken gets the one
    /// that is best as a tree. Returns whether there is such a consumer.
    fn flow(&self, tree: &Best<Wide>) -> (Flow, bool) {
        let ends = tree.finals.iter().map(|&item| self.producer(item)).collect();
        let mut has_detour = false;
        let flow = Flow::upstream_of(self.network, ends, |consumer, item| {
            let chosen = self.producer(item);
            if tree.all.has_working_link(chosen, consumer) {
                return chosen;
            }
            has_detour = true;
            tree.supplier(&Routes::DEFAULT, consumer, item)
        });
        (flow, has_detour)
    }

    /// Returns the cost of the chosen producers of all needed items, and these items in no particular order.
    fn needed(&self) -> (u64, Vec<ItemId>) {
        let mut is_needed = vec![false; self.network.item_count()];
        let mut needed = self.finals.to_vec();
        needed.iter().for_each(|item| is_needed[item.index()] = true);
        let (mut cost, mut next) = (0, 0);
        while let Some(&item) = needed.get(next) {
            next += 1;
            let candidate = self.candidate(item);
            cost += candidate.cost;
            for required in self.network.requirements(candidate.node) {
                if !std::mem::replace(&mut is_needed[required.item.index()], true) {
                    needed.push(required.item);
                }
            }
        }
        (cost, needed)
    }

    fn cost(&self) -> u64 {
        self.needed().0
    }

    /// Exchanges one producer after the other as long as that reduces the cost.
    fn improve(&mut self, effort: u64) {
        let end = self.steps + effort;
        loop {
            let (before, needed) = self.needed();
            let mut cost = before;
            for &item in &needed {
                for other in 0..self.candidates[item.index()].len() {
                    let chosen = self.chosen[item.index()];
                    if other == chosen {
                        continue;
                    }
                    self.steps += needed.len() as u64;
                    if self.steps > end {
                        return;
                    }
                    self.chosen[item.index()] = other;
                    match self.cost() {
                        less if less < cost => cost = less,
                        _ => self.chosen[item.index()] = chosen,
                    }
                }
            }
            if cost == before {
                return;
            }
        }
    }

    /// Searches for the optimal plan; returns whether the chosen plan is proven optimal.
    fn search(&mut self, effort: u64) -> bool {
        let open = self.candidates.iter().filter(|candidates| candidates.len() > 1).count();
        if open > OPEN_MAX {
            return false;
        }
        let least = |candidates: &Vec<Candidate>| candidates.first().map_or(0, |candidate| candidate.cost);
        let mut search = Search {
            order: self.network.topological_order().iter().rev().copied().collect(),
            least: self.candidates.iter().map(least).collect(),
            users: vec![0; self.network.item_count()],
            bound: 0,
            now: vec![0; self.network.item_count()],
            best_cost: self.cost(),
            best: None,
            left: effort,
            choices: self,
        };
        let finals = search.choices.finals;
        finals.iter().for_each(|&item| search.need(item));
        let is_done = search.from(0);
        let (best, left) = (search.best, search.left);
        self.steps += effort - left;
        if let Some(best) = best {
            self.chosen = best;
        }
        is_done
    }

    /// Returns for each node the cost of the plan if it made its item and nothing else changed.
    fn costs_of_all(&mut self, producers: &Feasibility) -> Vec<Option<f64>> {
        let mut costs = vec![None; self.network.node_count()];
        let (cost, needed) = self.needed();
        let all: usize = needed.iter().map(|item| producers.of_item(*item).len()).sum();
        if all * needed.len() > RATED_MAX {
            return costs;
        }
        for item in needed {
            let chosen = self.candidate(item);
            for &node in producers.of_item(item) {
                costs[node.index()] = Some(if node == chosen.node {
                    cost as f64
                } else {
                    let other = Candidate { node, cost: self.own_cost(node) };
                    let candidates = std::mem::replace(&mut self.candidates[item.index()], vec![other]);
                    let at = std::mem::take(&mut self.chosen[item.index()]);
                    let changed = self.cost();
                    (self.candidates[item.index()], self.chosen[item.index()]) = (candidates, at);
                    changed as f64
                });
            }
        }
        costs
    }
}

/// Branch and bound: items are decided consumers first, so that it is known which ones are needed.
struct Search<'b, 'a> {
    choices: &'b Choices<'a>,
    order: Vec<ItemId>,
    /// By item, the minimum cost of its producers.
    least: Vec<u64>,
    /// By item, the number of chosen producers that require it.
    users: Vec<u32>,
    /// Lower bound: the cost of all choices, plus the minimum for all further needed items.
    bound: u64,
    now: Vec<usize>,
    best_cost: u64,
    best: Option<Vec<usize>>,
    left: u64,
}

impl Search<'_, '_> {
    fn need(&mut self, item: ItemId) {
        self.users[item.index()] += 1;
        if self.users[item.index()] == 1 {
            self.bound += self.least[item.index()];
        }
    }

    fn release(&mut self, item: ItemId) {
        self.users[item.index()] -= 1;
        if self.users[item.index()] == 0 {
            self.bound -= self.least[item.index()];
        }
    }

    /// Chooses a producer, or undoes the choice.
    fn choose(&mut self, item: ItemId, at: usize, is_undone: bool) {
        let candidate = self.choices.candidates[item.index()][at];
        let more = candidate.cost - self.least[item.index()];
        for required in self.choices.network.requirements(candidate.node) {
            if is_undone { self.release(required.item) } else { self.need(required.item) }
        }
        if is_undone {
            self.bound -= more;
        } else {
            self.bound += more;
            self.now[item.index()] = at;
        }
    }

    /// Decides all items from an index of the order on; returns `false` if the effort is exhausted. The
    /// recursion is as deep as the number of needed items with a choice.
    fn from(&mut self, start: usize) -> bool {
        let mut decided = Vec::new();
        let mut place = start;
        let mut is_done = true;
        loop {
            if self.bound >= self.best_cost {
                break;
            }
            let Some(&item) = self.order.get(place) else {
                (self.best_cost, self.best) = (self.bound, Some(self.now.clone()));
                break;
            };
            if self.left == 0 {
                is_done = false;
                break;
            }
            self.left -= 1;
            place += 1;
            if self.users[item.index()] == 0 {
                continue;
            }
            match self.choices.candidates[item.index()].len() {
                1 => {
                    self.choose(item, 0, false);
                    decided.push(item);
                }
                count => {
                    for at in 0..count {
                        self.choose(item, at, false);
                        let inner = self.from(place);
                        self.choose(item, at, true);
                        is_done &= inner;
                        if !inner {
                            break;
                        }
                    }
                    break;
                }
            }
        }
        for item in decided.into_iter().rev() {
            self.choose(item, 0, true);
        }
        is_done
    }
}
