//! Planned rates of a flow: the production rate of each node and the consumption rate on each edge.

use serde::{Deserialize, Serialize};

use super::{Assignment, Flow};
use crate::ids::NodeId;
use crate::network::Network;
use crate::time::Span;

/// Maximum number of times that saturated nodes are looked for. More are only needed if that many final
/// producers are limited by different nodes.
const ROUNDS_MAX: usize = 100;

/// Relative difference below which a node counts as saturated.
const SATURATED: f64 = 1.0 - 1e-9;

/// A rate in billionths per second, so that rates are equal on every machine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct PlannedRate(u64);

impl PlannedRate {
    /// Returns a rate per second, rounded to billionths: 0 for anything below.
    #[must_use]
    pub fn per_second(rate: f64) -> Self {
        // A cast saturates, and maps what is not a number to zero.
        Self((rate * 1e9).round() as u64)
    }

    /// Returns the rate in billionths per second.
    #[must_use]
    pub fn billionths(self) -> u64 {
        self.0
    }

    /// Returns the rate per second, for display.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// Returns the number of occurrences in a span, each of `size` units, rounded up.
    #[must_use]
    pub fn units_in(self, span: Span, size: u32) -> u64 {
        let units = u128::from(self.0) * u128::from(span.as_nanos()) * u128::from(size);
        u64::try_from(units.div_ceil(1_000_000_000_000_000_000)).unwrap_or(u64::MAX)
    }
}

/// Planned rates of a flow.
///
/// ```
/// use dmos_core::flow::FlowRates;
/// use dmos_core::{Flow, ItemId, Network, NodeId, Recipe, Span, SupplyEdge, network::Names};
///
/// let (wood, door) = (ItemId::new(0), ItemId::new(1));
/// let slow = Recipe { process_time: Span::from_secs(4), ..Recipe::of(door, [wood]) };
/// let recipes = [Recipe::of(wood, []), slow].into_iter();
/// let network = Network::new(Names::Numbers(2), Names::Numbers(2), recipes, vec![door]).expect("a network");
/// let edge = SupplyEdge { producer: NodeId::new(0), consumer: NodeId::new(1), item: wood };
/// let rates = FlowRates::derive(&network, &Flow::new(vec![edge]));
/// // The door producer is the bottleneck: it runs all the time, the wood producer a quarter of it.
/// assert_eq!(rates.runs(NodeId::new(0)).as_f64(), 0.25);
/// assert_eq!(rates.runs(NodeId::new(1)).as_f64(), 0.25);
/// ```
#[derive(Clone, PartialEq, Debug, Default)]
pub struct FlowRates {
    /// By node, production runs per second; empty if no rates are planned.
    runs: Vec<PlannedRate>,
    /// By node, batches of a final item per second that leave the factory.
    leaving: Vec<PlannedRate>,
}

impl FlowRates {
    /// Returns the rates of a plan: by node, the production runs per second, and the batches of a final item per
    /// second that leave the factory.
    ///
    /// # Panics
    /// If the lists differ in length.
    #[must_use]
    pub fn new(runs: Vec<PlannedRate>, leaving: Vec<PlannedRate>) -> Self {
        assert_eq!(runs.len(), leaving.len(), "one rate per node");
        Self { runs, leaving }
    }

    /// Derives the highest rates that the machines of a flow allow, with the shares of the flow.
    ///
    /// Demand is exploded from the final producers through the recipes (Orlicky, "Material requirements
    /// planning", 1975). The rates of final items rise together, in proportion to their weights, and the producers of one final item in
    /// proportion to their speeds, until a node is saturated; those that do not depend on it rise further
    /// (progressive filling, Bertsekas and Gallager, "Data networks", 1987). O(edges) for each of at most
    /// 100 rounds.
    #[must_use]
    pub fn derive(network: &Network, flow: &Flow) -> Self {
        let explosion = Explosion { network, flow, order: nodes_downstream_first(network, flow) };
        let mut rising = explosion.final_producers();
        let mut leaving = vec![0.0; network.node_count()];
        for _ in 0..ROUNDS_MAX {
            let direction = explosion.proportions(&rising);
            let (base, slope) = (explosion.utilisations(&leaving), explosion.utilisations(&direction));
            let room = |(base, slope): (&f64, &f64)| (*slope > 0.0).then(|| (1.0 - base).max(0.0) / slope);
            let Some(step) = base.iter().zip(&slope).filter_map(room).reduce(f64::min) else {
                break;
            };
            leaving.iter_mut().zip(&direction).for_each(|(rate, slope)| *rate += step * slope);
            let limited = explosion.limited(&explosion.utilisations(&leaving));
            rising.retain(|node| !limited[node.index()]);
            if rising.is_empty() {
                break;
            }
        }
        let runs = explosion.runs(&leaving).into_iter().map(PlannedRate::per_second).collect();
        Self { runs, leaving: leaving.into_iter().map(PlannedRate::per_second).collect() }
    }

    /// Returns the assignment of a node, with its planned rates.
    #[must_use]
    pub fn assignment(&self, network: &Network, flow: &Flow, node: NodeId) -> Assignment {
        let assignment = flow.assignment(node);
        if self.runs.is_empty() {
            return assignment;
        }
        let rate = |&consumer: &NodeId| self.edge(network, flow, node, consumer);
        Assignment {
            rate: self.runs(node),
            consumer_rates: assignment.consumers.iter().map(rate).collect(),
            leaving: self.leaving(node),
            ..assignment
        }
    }

    /// Returns the nodes whose assignment may have other rates than under `before`, in any order: those with
    /// another rate, and their suppliers.
    #[must_use]
    pub fn changed_nodes(&self, before: &Self, flow: &Flow) -> Vec<NodeId> {
        let nodes = (0..self.runs.len()).map(NodeId::new);
        let is_changed = |node: &NodeId| {
            self.runs(*node) != before.runs(*node) || self.leaving(*node) != before.leaving(*node)
        };
        let changed = nodes.filter(is_changed);
        changed.flat_map(|node| flow.suppliers(node).iter().map(|edge| edge.producer).chain([node])).collect()
    }

    /// Returns the planned production runs of a node per second.
    #[must_use]
    pub fn runs(&self, node: NodeId) -> PlannedRate {
        self.runs.get(node.index()).copied().unwrap_or_default()
    }

    /// Returns the batches per second of a final item that a node makes to leave the factory.
    #[must_use]
    pub fn leaving(&self, node: NodeId) -> PlannedRate {
        self.leaving.get(node.index()).copied().unwrap_or_default()
    }

    /// Returns the complete sets of final items per second.
    #[must_use]
    pub fn complete_sets(&self, network: &Network) -> f64 {
        let leaving = |item| network.producers(item).iter().map(|&node| self.leaving(node).as_f64());
        let sets = |(item, weight)| leaving(item).sum::<f64>() / f64::from(weight);
        network.final_weights().map(sets).reduce(f64::min).unwrap_or(0.0)
    }

    /// Returns the batches per second that a producer supplies to a consumer.
    #[must_use]
    pub fn edge(&self, network: &Network, flow: &Flow, producer: NodeId, consumer: NodeId) -> PlannedRate {
        let item = network.makes(producer);
        let required = network.requirements(consumer).iter().find(|required| required.item == item);
        let share = flow.share(producer, consumer);
        match (required, share) {
            (Some(required), Some(share)) => {
                let runs = u128::from(self.runs(consumer).billionths());
                let batches =
                    runs * u128::from(required.quantity) * u128::from(share.millionths()) / 1_000_000;
                PlannedRate(u64::try_from(batches).unwrap_or(u64::MAX))
            }
            _ => PlannedRate::default(),
        }
    }
}

/// Computation of the rates of all nodes from those of the final producers.
struct Explosion<'a> {
    network: &'a Network,
    flow: &'a Flow,
    /// Assigned nodes and final producers, each after all its consumers.
    order: Vec<NodeId>,
}

impl Explosion<'_> {
    /// Returns the producers of final items that can produce in the flow.
    fn final_producers(&self) -> Vec<NodeId> {
        let is_supplied = |node: &NodeId| {
            self.network.requirements(*node).is_empty() || !self.flow.suppliers(*node).is_empty()
        };
        let finals = self.order.iter().copied().filter(|&node| self.network.is_final(node));
        finals.filter(is_supplied).collect()
    }

    /// Returns the batches per second that a node makes at full speed.
    fn speed(&self, node: NodeId) -> f64 {
        f64::from(self.network.yield_per_run(node)) / self.process_time(node)
    }

    fn process_time(&self, node: NodeId) -> f64 {
        self.network.process_time(node).as_secs_f64().max(1e-9)
    }

    /// Returns by node the proportions in which these final producers raise their output: the weight of each
    /// final item, divided among its producers by speed.
    fn proportions(&self, rising: &[NodeId]) -> Vec<f64> {
        let mut speeds = vec![0.0; self.network.item_count()];
        for &node in rising {
            speeds[self.network.makes(node).index()] += self.speed(node);
        }
        let mut weights = vec![0.0; self.network.item_count()];
        self.network.final_weights().for_each(|(item, weight)| weights[item.index()] = f64::from(weight));
        let mut proportions = vec![0.0; self.network.node_count()];
        for &node in rising {
            let item = self.network.makes(node).index();
            proportions[node.index()] = weights[item] * self.speed(node) / speeds[item];
        }
        proportions
    }

    /// Returns by node the production runs per second, given the batches that leave the factory.
    fn runs(&self, leaving: &[f64]) -> Vec<f64> {
        let mut batches = leaving.to_vec();
        for &node in &self.order {
            let runs = batches[node.index()] / f64::from(self.network.yield_per_run(node));
            for (edge, share) in self.flow.supplies_of(node) {
                let requirements = self.network.requirements(node);
                let required = requirements.binary_search_by_key(&edge.item, |required| required.item);
                let quantity = required.map_or(0, |at| requirements[at].quantity);
                let share = f64::from(share.millionths()) / 1e6;
                batches[edge.producer.index()] += runs * f64::from(quantity) * share;
            }
        }
        let runs = |(batches, node): (&f64, NodeId)| batches / f64::from(self.network.yield_per_run(node));
        batches.iter().zip(self.network.nodes()).map(runs).collect()
    }

    /// Returns by node the fraction of its time that it works.
    fn utilisations(&self, leaving: &[f64]) -> Vec<f64> {
        let runs = self.runs(leaving);
        runs.into_iter()
            .zip(self.network.nodes())
            .map(|(runs, node)| runs * self.process_time(node))
            .collect()
    }

    /// Returns by node whether it is saturated, or depends on a saturated node.
    fn limited(&self, utilisations: &[f64]) -> Vec<bool> {
        let mut limited: Vec<bool> =
            utilisations.iter().map(|&utilisation| utilisation >= SATURATED).collect();
        for &node in self.order.iter().rev() {
            let mut supplies = self.flow.supplies_of(node);
            limited[node.index()] |=
                supplies.any(|(edge, share)| share.millionths() > 0 && limited[edge.producer.index()]);
        }
        limited
    }
}

/// Returns the assigned nodes and the producers of final items, each after all its consumers.
fn nodes_downstream_first(network: &Network, flow: &Flow) -> Vec<NodeId> {
    let is_included = |node: &NodeId| network.is_final(*node) || flow.is_assigned(*node);
    let items = network.topological_order().iter().rev();
    items.flat_map(|&item| network.producers(item).iter().copied()).filter(is_included).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Share;
    use crate::ids::ItemId;
    use crate::network::{Names, Recipe, Requirement, SupplyEdge};

    fn network(recipes: Vec<Recipe>, items: usize, finals: &[usize]) -> Network {
        let finals = finals.iter().map(|&item| ItemId::new(item)).collect();
        let names = (Names::Numbers(items), Names::Numbers(recipes.len()));
        Network::new(names.0, names.1, recipes.into_iter(), finals).expect("a valid network")
    }

    fn with_times(network: Network, seconds: &[u64]) -> Network {
        network.with_process_times(|node| Span::from_secs(seconds[node.index()]))
    }

    fn recipe(makes: usize, quantity: u32, requires: &[(usize, u32)]) -> Recipe {
        let requires = requires.iter();
        let requires = requires.map(|&(item, quantity)| Requirement { item: ItemId::new(item), quantity });
        Recipe { quantity, requires: requires.collect(), ..Recipe::of(ItemId::new(makes), []) }
    }

    fn edge(producer: usize, consumer: usize, item: usize) -> SupplyEdge {
        SupplyEdge {
            producer: NodeId::new(producer),
            consumer: NodeId::new(consumer),
            item: ItemId::new(item),
        }
    }

    fn runs(rates: &FlowRates, nodes: usize) -> Vec<f64> {
        (0..nodes).map(|node| rates.runs(NodeId::new(node)).as_f64()).collect()
    }

    #[test]
    fn quantities_and_yields_are_exploded() {
        // A run of node 0 yields 20; node 1 takes 3 of them for 5; node 2 takes 2 of those.
        let network =
            network(vec![recipe(0, 20, &[]), recipe(1, 5, &[(0, 3)]), recipe(2, 1, &[(1, 2)])], 3, &[2]);
        let flow = Flow::new(vec![edge(0, 1, 0), edge(1, 2, 1)]);
        let network = with_times(network, &[100, 10, 5]);
        let rates = FlowRates::derive(&network, &flow);
        // Node 2 would run 0.2 times a second, node 1 then 0.08 and node 0 0.012, which takes 1.2 s.
        assert_eq!(runs(&rates, 3), [0.01, 0.066_666_667, 0.166_666_667]);
        assert_eq!(rates.edge(&network, &flow, NodeId::new(1), NodeId::new(2)).as_f64(), 0.333_333_334);
    }

    #[test]
    fn final_items_rise_together_and_then_alone() {
        // Items 1 and 2 take the item of the slow node 0, item 4 that of the fast node 3.
        let network = network(
            vec![
                recipe(0, 1, &[]),
                recipe(1, 1, &[(0, 1)]),
                recipe(2, 1, &[(0, 1)]),
                recipe(3, 1, &[]),
                recipe(4, 1, &[(3, 1)]),
            ],
            5,
            &[1, 2, 4],
        );
        let flow = Flow::new(vec![edge(0, 1, 0), edge(0, 2, 0), edge(3, 4, 3)]);
        let network = with_times(network, &[10, 1, 1, 1, 1]);
        let rates = FlowRates::derive(&network, &flow);
        assert_eq!(runs(&rates, 5), [0.1, 0.05, 0.05, 1.0, 1.0]);
        assert_eq!(rates.leaving(NodeId::new(2)).as_f64(), 0.05);
    }

    #[test]
    fn shares_divide_demand_and_standbys_get_none() {
        let network = network(
            vec![recipe(0, 1, &[]), recipe(0, 1, &[]), recipe(0, 1, &[]), recipe(1, 1, &[(0, 4)])],
            2,
            &[1],
        );
        let share = Share::from_millionths;
        let flow = Flow::with_shares(vec![
            (edge(0, 3, 0), share(750_000)),
            (edge(1, 3, 0), share(250_000)),
            (edge(2, 3, 0), Share::STANDBY),
        ]);
        let rates = FlowRates::derive(&network, &flow);
        assert_eq!(runs(&rates, 4), [1.0, 0.333_333_333, 0.0, 0.333_333_333]);
    }

    #[test]
    fn a_final_item_that_is_consumed_leaves_in_part() {
        let network = network(vec![recipe(0, 1, &[]), recipe(1, 1, &[(0, 2)])], 2, &[0, 1]);
        let flow = Flow::new(vec![edge(0, 1, 0)]);
        let network = with_times(network, &[3, 1]);
        let rates = FlowRates::derive(&network, &flow);
        let leaving = [0, 1].map(|node| rates.leaving(NodeId::new(node)).as_f64());
        assert_eq!((runs(&rates, 2), leaving), (vec![0.333_333_333, 0.111_111_111], [0.111_111_111; 2]));
    }

    #[test]
    fn producers_of_a_final_item_share_a_supplier_by_their_speeds() {
        // Node 0 makes a batch in two seconds. Node 1 makes half a batch a second of one, node 2 three quarters of a third.
        let network =
            network(vec![recipe(0, 1, &[]), recipe(1, 1, &[(0, 1)]), recipe(1, 3, &[(0, 1)])], 2, &[1]);
        let flow = Flow::new(vec![edge(0, 1, 0), edge(0, 2, 0)]);
        let rates = FlowRates::derive(&with_times(network, &[2, 2, 4]), &flow);
        assert_eq!(runs(&rates, 3), [0.5, 0.333_333_333, 0.166_666_667]);
    }

    #[test]
    fn a_saturated_standby_does_not_limit() {
        let network = network(
            vec![recipe(0, 1, &[]), recipe(0, 1, &[]), recipe(1, 1, &[(0, 1)]), recipe(2, 1, &[(0, 1)])],
            3,
            &[1, 2],
        );
        let flow = Flow::with_shares(vec![
            (edge(0, 2, 0), Share::WHOLE),
            (edge(1, 2, 0), Share::STANDBY),
            (edge(1, 3, 0), Share::WHOLE),
        ]);
        let rates = FlowRates::derive(&with_times(network, &[1, 10, 1, 1]), &flow);
        assert_eq!(runs(&rates, 4), [1.0, 0.1, 1.0, 0.1]);
    }

    #[test]
    fn the_scarcest_final_item_limits_the_sets() {
        let network = network(vec![recipe(0, 1, &[]), recipe(1, 1, &[]), recipe(1, 1, &[])], 2, &[0, 1]);
        let per_second = |rates: &[f64]| rates.iter().map(|&rate| PlannedRate::per_second(rate)).collect();
        let rates = FlowRates::new(per_second(&[0.0; 3]), per_second(&[0.5, 0.25, 0.5]));
        assert_eq!(rates.complete_sets(&network), 0.5);
        let weighted = network.with_final_weights(vec![1, 3]);
        assert_eq!(rates.complete_sets(&weighted), 0.25);
    }

    #[test]
    fn another_rate_changes_the_node_and_its_suppliers() {
        let flow = Flow::new(vec![edge(0, 2, 0), edge(1, 3, 0)]);
        let rates = |runs: [f64; 4], leaving: [f64; 4]| {
            let list = |rates: [f64; 4]| rates.map(PlannedRate::per_second).to_vec();
            FlowRates::new(list(runs), list(leaving))
        };
        let before = rates([1.0; 4], [0.0; 4]);
        let changed = |now: FlowRates| {
            let mut nodes = now.changed_nodes(&before, &flow);
            nodes.sort_unstable();
            nodes.iter().map(|node| node.index()).collect::<Vec<_>>()
        };
        assert_eq!(changed(before.clone()), [0; 0]);
        assert_eq!(changed(rates([1.0, 1.0, 2.0, 1.0], [0.0; 4])), [0, 2]);
        assert_eq!(changed(rates([1.0; 4], [0.0, 0.0, 0.0, 1.0])), [1, 3]);
        assert_eq!(changed(rates([1.0, 2.0, 1.0, 1.0], [0.0; 4])), [1]);
    }

    #[test]
    fn an_assignment_has_the_rates_of_its_edges() {
        let network =
            network(vec![recipe(0, 6, &[]), recipe(1, 1, &[(0, 2)]), recipe(1, 1, &[(0, 2)])], 2, &[1]);
        let flow = Flow::new(vec![edge(0, 1, 0), edge(0, 2, 0)]);
        let network = with_times(network, &[3, 4, 2]);
        let rates = FlowRates::derive(&network, &flow);
        let supplier = rates.assignment(&network, &flow, NodeId::new(0));
        assert_eq!(supplier.rate.as_f64(), 0.25);
        assert_eq!(supplier.consumer_rates.iter().map(|rate| rate.as_f64()).collect::<Vec<_>>(), [0.5, 1.0]);
        let consumer = rates.assignment(&network, &flow, NodeId::new(2));
        assert_eq!((consumer.rate.as_f64(), consumer.leaving.as_f64()), (0.5, 0.5));
        let unplanned = FlowRates::default().assignment(&network, &flow, NodeId::new(0));
        assert_eq!((unplanned.rate, unplanned.consumer_rates.len()), (PlannedRate::default(), 0));
        let none = rates.edge(&network, &flow, NodeId::new(1), NodeId::new(2));
        assert_eq!(none, PlannedRate::default(), "there is no such edge");
    }

    #[test]
    fn units_are_rounded_up() {
        let rate = PlannedRate::per_second(0.25);
        let units = [0, 4, 5].map(|seconds| rate.units_in(Span::from_secs(seconds), 3));
        assert_eq!(units, [0, 3, 4]);
        assert_eq!(PlannedRate::per_second(f64::NAN), PlannedRate::default());
    }
}
