//! All plans in which each item has one producer, without listing them: their number, and the cheapest ones.
//!
//! A *plan* here chooses one producer for each needed item. If all producers of an item have the same recipe,
//! the needs do not depend on the choice of producers, so the choices are independent: the number of plans is
//! the product of the numbers of producers, and the cost of a plan is the sum of the costs of its choices.
//! Plans are therefore counted as factors, and the cheapest ones are enumerated, each by one change of an
//! earlier one: the smallest sums of one number from each of several lists (compare E. Lawler, "A procedure
//! for computing the k best solutions to discrete optimization problems", Management Science 18, 1972, which
//! partitions the remaining solutions in the same way).
//!
//! The cost covers every production run, with exact counts: unfolded, a network of some hundred items takes
//! more production runs than a float can represent.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use dmos_core::{ItemId, Network, NoFlow, NodeId, NodeSet};
use num_bigint::BigUint;
use thiserror::Error;

use crate::Feasibility;

/// The plans of a network, given the nodes that are alive.
///
/// Construction takes time linear in the entries of the recipes, with numbers as long as the production runs
/// need.
///
/// ```
/// use dmos_core::NodeSet;
/// use dmos_graph::{Complexity, Generate, plans::Plans};
///
/// let network = Generate { types: 20, nodes_per_type: 2, complexity: Complexity::High, seed: 0 }.network().unwrap();
/// let plans = Plans::of(&network, &NodeSet::all(network.node_count())).unwrap();
/// assert_eq!(plans.count().to_string(), "262144"); // 18 inner items with two producers each
/// assert_eq!(plans.factors().collect::<Vec<_>>(), [(2, 18)]);
/// ```
#[derive(Clone, Debug)]
pub struct Plans {
    /// One choice for each needed item, in topological order.
    choices: Vec<Choice>,
    batches: BigUint,
}

/// The feasible producers of a needed item.
#[derive(Clone, Debug)]
struct Choice {
    item: ItemId,
    /// Producers with the cost of a production run, cheapest first.
    producers: Vec<(u32, NodeId)>,
    /// Number of production runs.
    runs: BigUint,
}

impl Choice {
    /// Returns the cost of all production runs by the producer of this rank.
    fn cost(&self, rank: usize) -> BigUint {
        &self.runs * self.producers[rank].0
    }
}

/// Reason why plans cannot be counted.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum NotCounted {
    /// There is no plan.
    #[error("there is no plan")]
    NoFlow(NoFlow),
    /// The producers of this item have different recipes, so that further needs depend on the choice of the
    /// producer.
    #[error("the producers of an item have different recipes")]
    UnlikeProducers(ItemId),
}

/// A plan with its cost.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Cost of all production runs for [`Plans::batches`] of each final item.
    pub cost: BigUint,
    /// The producer of each needed item, in topological order.
    pub producers: Vec<(ItemId, NodeId)>,
}

impl Plans {
    /// Returns the plans, given the nodes that are alive.
    ///
    /// # Errors
    /// If there is no plan, or if plans cannot be counted as factors.
    ///
    /// # Panics
    /// If the set does not belong to this network.
    pub fn of(network: &Network, alive: &NodeSet) -> Result<Self, NotCounted> {
        let producers = Feasibility::of(network, alive);
        let finals = producers.finals(network).map_err(NotCounted::NoFlow)?;
        let mut is_needed = vec![false; network.item_count()];
        finals.iter().for_each(|item| is_needed[item.index()] = true);
        let mut needed = Vec::new();
        for &item in network.topological_order().iter().rev() {
            if !is_needed[item.index()] {
                continue;
            }
            let all = producers.of_item(item);
            let recipe = |node: NodeId| (network.yield_per_run(node), network.requirements(node));
            if all.windows(2).any(|pair| recipe(pair[0]) != recipe(pair[1])) {
                return Err(NotCounted::UnlikeProducers(item));
            }
            network.requirements(all[0]).iter().for_each(|required| is_needed[required.item.index()] = true);
            needed.push(item);
        }
        // So many batches that the number of production runs is always whole.
        let yields = needed.iter().map(|&item| network.yield_per_run(producers.of_item(item)[0]));
        let batches: BigUint = yields.map(BigUint::from).product();
        let mut amounts = vec![BigUint::ZERO; network.item_count()];
        finals.iter().for_each(|item| amounts[item.index()] = batches.clone());
        let mut choices = Vec::with_capacity(needed.len());
        for item in needed {
            let mut producers: Vec<_> =
                producers.of_item(item).iter().map(|&node| (network.cost(node), node)).collect();
            let any = producers[0].1;
            let runs = std::mem::take(&mut amounts[item.index()]) / network.yield_per_run(any);
            for required in network.requirements(any) {
                amounts[required.item.index()] += &runs * required.quantity;
            }
            producers.sort_unstable();
            choices.push(Choice { item, producers, runs });
        }
        choices.reverse();
        Ok(Self { choices, batches })
    }

    /// Returns the number of plans.
    #[must_use]
    pub fn count(&self) -> BigUint {
        self.factors().map(|(producers, items)| BigUint::from(producers).pow(items as u32)).product()
    }

    /// Returns the number of plans as a product: in ascending order, a number of producers and the number of
    /// items with so many. Items with one producer are left out.
    pub fn factors(&self) -> impl Iterator<Item = (usize, usize)> {
        let mut factors = BTreeMap::new();
        for choice in self.choices.iter().filter(|choice| choice.producers.len() > 1) {
            *factors.entry(choice.producers.len()).or_insert(0) += 1;
        }
        factors.into_iter()
    }

    /// Returns the number of batches of each final item for which costs are computed, so that all production
    /// runs are whole: one, unless a production run yields several.
    #[must_use]
    pub fn batches(&self) -> &BigUint {
        &self.batches
    }

    /// Returns the cheapest plans one after the other; the order of equal ones is reproducible.
    ///
    /// The first takes O(n log n) for n items, each further one O(n + log k) for the k-th.
    pub fn best(&self) -> impl Iterator<Item = Plan> {
        // Items with alternatives, in the order of their cheapest change, so that one change leads to the
        // next.
        let mut open: Vec<&Choice> =
            self.choices.iter().filter(|choice| choice.producers.len() > 1).collect();
        open.sort_by_cached_key(|choice| choice.cost(1) - choice.cost(0));
        let cheapest: BigUint = self.choices.iter().map(|choice| choice.cost(0)).sum();
        let mut heap = BinaryHeap::from([Reverse(Variant { cost: cheapest, changes: Vec::new() })]);
        std::iter::from_fn(move || {
            let Reverse(variant) = heap.pop()?;
            for next in variant.next(&open) {
                heap.push(Reverse(next));
            }
            Some(self.plan(&variant, &open))
        })
    }

    fn plan(&self, variant: &Variant, open: &[&Choice]) -> Plan {
        let changed: BTreeMap<ItemId, usize> =
            variant.changes.iter().map(|&(at, rank)| (open[at].item, rank)).collect();
        let producer = |choice: &Choice| choice.producers[changed.get(&choice.item).copied().unwrap_or(0)].1;
        let producers = self.choices.iter().map(|choice| (choice.item, producer(choice))).collect();
        Plan { cost: variant.cost.clone(), producers }
    }
}

/// A plan as a change of the cheapest one: choices, in ascending order, and their ranks.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Variant {
    cost: BigUint,
    changes: Vec<(usize, usize)>,
}

impl Variant {
    /// Returns the successors of this plan, none of which is cheaper. Each plan is the successor of exactly
    /// one, which its last change determines.
    fn next(&self, open: &[&Choice]) -> Vec<Self> {
        let with = |dropped: usize, at: usize, rank: usize| {
            let mut changes = self.changes.clone();
            let mut cost = self.cost.clone();
            for (at, rank) in changes.drain(changes.len() - dropped..) {
                cost = cost - open[at].cost(rank) + open[at].cost(0);
            }
            changes.push((at, rank));
            cost = cost - open[at].cost(0) + open[at].cost(rank);
            Self { cost, changes }
        };
        let Some(&(at, rank)) = self.changes.last() else {
            return if open.is_empty() { Vec::new() } else { vec![with(0, 0, 1)] };
        };
        let mut all = Vec::with_capacity(3);
        if rank + 1 < open[at].producers.len() {
            all.push(with(1, at, rank + 1));
        }
        if at + 1 < open.len() {
            all.push(with(0, at + 1, 1));
            if rank == 1 {
                all.push(with(1, at + 1, 1));
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use dmos_core::network::{Names, Recipe, Requirement};
    use proptest::prelude::*;

    use super::*;
    use crate::{Complexity, Generate};

    /// Items in topological order: yield, requirements, and costs of the producers.
    type RandomRecipes = Vec<(u32, Vec<(usize, u32)>, Vec<u32>)>;

    fn random_recipes() -> impl Strategy<Value = RandomRecipes> {
        let item = (
            1_u32..4,
            proptest::collection::vec((0_usize..6, 1_u32..4), 0..3),
            proptest::collection::vec(0_u32..9, 1..4),
        );
        proptest::collection::vec(item, 1..6)
    }

    fn network(random_recipes: &RandomRecipes) -> Network {
        let mut recipes = Vec::new();
        for (nth, (quantity, requires, costs)) in random_recipes.iter().enumerate() {
            let requires: BTreeMap<usize, u32> = requires
                .iter()
                .filter(|_| nth > 0)
                .map(|&(item, quantity)| (item % nth.max(1), quantity))
                .collect();
            let requires: Vec<_> = requires
                .into_iter()
                .map(|(item, quantity)| Requirement { item: ItemId::new(item), quantity })
                .collect();
            recipes.extend(costs.iter().map(|&cost| Recipe {
                makes: ItemId::new(nth),
                quantity: *quantity,
                requires: requires.clone(),
                process_time: Recipe::PROCESS_TIME,
                cost,
            }));
        }
        let last = ItemId::new(random_recipes.len() - 1);
        let names = (Names::Numbers(random_recipes.len()), Names::Numbers(recipes.len()));
        Network::new(names.0, names.1, recipes.into_iter(), vec![last]).expect("a valid network")
    }

    /// Returns the cost of a plan for a number of batches of the last item, node by node.
    fn cost(network: &Network, item: ItemId, batches: f64, producers: &BTreeMap<ItemId, NodeId>) -> f64 {
        let node = producers[&item];
        let runs = batches / f64::from(network.yield_per_run(node));
        let requirements = network.requirements(node).iter();
        let below = requirements.map(|r| cost(network, r.item, runs * f64::from(r.quantity), producers));
        runs * f64::from(network.cost(node)) + below.sum::<f64>()
    }

    proptest! {
        #[test]
        fn the_cheapest_plans_match_enumeration(random_recipes in random_recipes()) {
            let network = network(&random_recipes);
            let plans = Plans::of(&network, &NodeSet::all(network.node_count())).expect("producers with equal recipes");
            let best: Vec<Plan> = plans.best().collect();
            prop_assert_eq!(BigUint::from(best.len()), plans.count());
            let last = ItemId::new(random_recipes.len() - 1);
            let batches: f64 = plans.batches().to_string().parse().expect("a number");
            let mut seen = std::collections::BTreeSet::new();
            for plan in &best {
                let producers: BTreeMap<_, _> = plan.producers.iter().copied().collect();
                let actual = cost(&network, last, batches, &producers);
                let expected: f64 = plan.cost.to_string().parse().expect("a number");
                prop_assert!((actual - expected).abs() < 1e-6 * (1.0 + expected), "{actual} {expected}");
                prop_assert!(seen.insert(plan.producers.clone()), "each comes once");
            }
            prop_assert!(best.is_sorted_by(|a, b| a.cost <= b.cost));
        }
    }

    #[test]
    fn more_plans_than_fit_a_float_are_counted() {
        let network = Generate { types: 400, nodes_per_type: 10, complexity: Complexity::Low, seed: 0 };
        let network = network.network().expect("a valid network");
        let alive = NodeSet::all(network.node_count());
        let plans = Plans::of(&network, &alive).expect("producers with equal recipes");
        let digits = plans.count().to_string();
        assert!(digits.len() > 308 && digits.trim_end_matches('0') == "1", "{digits}");
        let costs: Vec<_> = plans.best().take(3).map(|plan| plan.cost).collect();
        assert_eq!(costs[0], costs[2], "all nodes cost the same");
    }

    #[test]
    fn plans_with_unlike_producers_are_not_counted() {
        let [raw, end] = [0, 1].map(ItemId::new);
        let recipes = [Recipe::of(raw, []), Recipe::of(end, [raw]), Recipe::of(end, [])];
        let names = (Names::Numbers(2), Names::Numbers(3));
        let network =
            Network::new(names.0, names.1, recipes.into_iter(), vec![end]).expect("a valid network");
        let mut alive = NodeSet::all(3);
        assert_eq!(Plans::of(&network, &alive).err(), Some(NotCounted::UnlikeProducers(end)));
        alive.remove(NodeId::new(2));
        assert_eq!(Plans::of(&network, &alive).map(|plans| plans.count()), Ok(BigUint::from(1_u8)));
    }
}
