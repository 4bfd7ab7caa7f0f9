//! The measured bottleneck of a run.

use std::cmp::Reverse;

use super::RunRecord;
use crate::ids::{ItemId, NodeId};
use crate::network::Network;
use crate::time::Span;

/// Share of the measured time that a node must have had an assignment to count as a bottleneck.
const ASSIGNED_MIN: f64 = 0.1;

/// Difference of working shares below which nodes are equally busy.
const EQUALLY_BUSY: f64 = 0.002;

/// The node that limited the output of a run, as measured.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct MeasuredBottleneck {
    /// The node with the highest working share of the time in which it was up and had an assignment. Of nodes that
    /// are equally busy, the one furthest downstream limits: the others may work for other final items as well. Of
    /// several producers of an item, the one with the longest uninterrupted period of work.
    pub node: NodeId,
    /// The working share.
    pub working: f64,
    /// The longest uninterrupted period of work (Roser, Nakano and Tanaka, "A practical bottleneck detection
    /// method", 2001).
    pub longest_working: Span,
}

impl RunRecord {
    /// Returns the measured bottleneck, or `None` if no node worked. It makes the final item that limits the number of
    /// complete sets, or an item that goes into it: other final items may be made at full speed beyond that number.
    #[must_use]
    pub fn bottleneck(&self, network: &Network) -> Option<MeasuredBottleneck> {
        let is_upstream = self.items_of_limiting_item(network);
        let nodes = self.usage.iter().enumerate().filter(|(_, usage)| !usage.working.is_zero());
        let nodes = nodes.map(|(index, usage)| (NodeId::new(index), usage));
        let measured = nodes.filter(|(node, _)| is_upstream[network.makes(*node).index()]);
        let measured = measured.filter_map(|(node, usage)| {
            let assigned = (usage.up() - usage.idle).as_secs_f64();
            let is_assigned = assigned >= ASSIGNED_MIN * (usage.up() + usage.down).as_secs_f64();
            is_assigned.then(|| MeasuredBottleneck {
                node,
                working: usage.working.as_secs_f64() / assigned,
                longest_working: usage.longest_working,
            })
        });
        let measured: Vec<MeasuredBottleneck> = measured.collect();
        let most = measured.iter().map(|bottleneck| bottleneck.working).fold(0.0, f64::max);
        let order = network.topological_order();
        let position = |node| order.iter().position(|&item| item == network.makes(node));
        let busiest = measured.into_iter().filter(|bottleneck| bottleneck.working >= most - EQUALLY_BUSY);
        busiest.max_by_key(|bottleneck| {
            (position(bottleneck.node), bottleneck.longest_working, Reverse(bottleneck.node))
        })
    }

    /// Returns by item whether it is the final item of which the fewest complete sets were finished, or goes into it.
    fn items_of_limiting_item(&self, network: &Network) -> Vec<bool> {
        let sets =
            |(item, weight): (ItemId, u32)| (self.finished(network, item) as f64 / f64::from(weight), item);
        let least = network.final_weights().map(sets).reduce(|a, b| if b.0 < a.0 { b } else { a });
        let mut is_upstream = vec![false; network.item_count()];
        least.into_iter().for_each(|(_, item)| is_upstream[item.index()] = true);
        for &item in network.topological_order().iter().rev().filter(|_| least.is_some()) {
            if is_upstream[item.index()] {
                let requirements =
                    network.producers(item).iter().flat_map(|&node| network.requirements(node));
                requirements.for_each(|required| is_upstream[required.item.index()] = true);
            }
        }
        is_upstream
    }
}

#[cfg(test)]
mod tests {
    use super::super::NodeUsage;
    use super::*;
    use crate::metrics::{Metric, NodeMetrics};
    use crate::network::{Names, Recipe};
    use crate::settings::Production;

    #[test]
    fn a_bottleneck_is_assigned_for_a_tenth_of_the_time() {
        let wood = ItemId::new(0);
        let names = (Names::Numbers(1), Names::Numbers(2));
        let recipes = [Recipe::of(wood, []), Recipe::of(wood, [])].into_iter();
        let network = Network::new(names.0, names.1, recipes, vec![wood]).expect("a valid network");
        let bottleneck = |assigned: u64| {
            let usage = |working, idle, down| NodeUsage {
                working: Span::from_secs(working),
                idle: Span::from_secs(idle),
                down: Span::from_secs(down),
                ..NodeUsage::default()
            };
            let slower = NodeUsage { blocked: Span::from_secs(50), ..usage(50, 0, 0) };
            let record = RunRecord {
                nodes: vec![NodeMetrics::new(Production::Server); 2],
                usage: vec![usage(assigned, 50 - assigned, 50), slower],
                ..RunRecord::default()
            };
            record.bottleneck(&network).map(|bottleneck| (bottleneck.node.index(), bottleneck.working))
        };
        assert_eq!(bottleneck(10), Some((0, 1.0)));
        assert_eq!(bottleneck(9), Some((1, 0.5)));
    }

    #[test]
    fn of_equally_busy_nodes_the_one_furthest_downstream_limits() {
        let [wood, plank, door] = [0, 1, 2].map(ItemId::new);
        let recipes = [Recipe::of(wood, []), Recipe::of(plank, [wood]), Recipe::of(door, [plank])];
        let names = (Names::Numbers(3), Names::Numbers(3));
        let network = Network::new(names.0, names.1, recipes.into_iter(), vec![door]).expect("a network");
        let usage = NodeUsage { working: Span::from_secs(9), ..NodeUsage::default() };
        let record = RunRecord {
            nodes: vec![NodeMetrics::new(Production::Server); 3],
            usage: vec![usage; 3],
            ..RunRecord::default()
        };
        assert_eq!(record.bottleneck(&network).map(|found| found.node), Some(NodeId::new(2)));
    }

    #[test]
    fn the_final_item_with_the_fewest_sets_limits() {
        let (pin, anvil) = (ItemId::new(0), ItemId::new(1));
        let names = (Names::Numbers(2), Names::Numbers(2));
        let recipes = [Recipe::of(pin, []), Recipe::of(anvil, [])].into_iter();
        let network = Network::new(names.0, names.1, recipes, vec![pin, anvil]).expect("a valid network");
        let network = network.with_final_weights(vec![1, 4]);
        let bottleneck = |finished: [u64; 2]| {
            let mut nodes = vec![NodeMetrics::new(Production::Server); 2];
            nodes.iter_mut().zip(finished).for_each(|(node, made)| node.add(Metric::FinishedGoodsMade, made));
            let usage = NodeUsage { working: Span::from_secs(9), ..NodeUsage::default() };
            let record = RunRecord { nodes, usage: vec![usage.clone(), usage], ..RunRecord::default() };
            assert_eq!(record.complete_sets(&network), finished[0].min(finished[1] / 4));
            record.bottleneck(&network).expect("a node that worked").node.index()
        };
        assert_eq!([bottleneck([2, 9]), bottleneck([3, 9]), bottleneck([3, 13])], [0, 1, 0]);
        assert_eq!(bottleneck([2, 8]), 0, "the first of equal ones");
        let idle = RunRecord { usage: vec![NodeUsage::default(); 2], ..RunRecord::default() };
        let nodes = vec![NodeMetrics::new(Production::Server); 2];
        assert_eq!(RunRecord { nodes, ..idle }.bottleneck(&network), None);
    }

    #[test]
    fn a_busy_node_is_the_bottleneck_even_if_it_was_down() {
        let usage = |working, idle, down| NodeUsage {
            working: Span::from_secs(working),
            blocked: Span::from_secs(100 - working - idle - down),
            idle: Span::from_secs(idle),
            down: Span::from_secs(down),
            ..NodeUsage::default()
        };
        // The nodes 0 to 2 make item 0, which goes into item 1 of node 3. Node 4 makes the final item 2 all the time.
        let [wood, door, pin] = [0, 1, 2].map(ItemId::new);
        let recipes = [
            Recipe::of(wood, []),
            Recipe::of(wood, []),
            Recipe::of(wood, []),
            Recipe::of(door, [wood]),
            Recipe::of(pin, []),
        ];
        let (items, nodes) = (Names::Numbers(3), Names::Numbers(5));
        let network =
            Network::new(items, nodes, recipes.into_iter(), vec![door, pin]).expect("a valid network");
        let mut metrics = vec![NodeMetrics::new(Production::Server); 5];
        metrics[4].add(Metric::FinishedGoodsMade, 100);
        let record = RunRecord {
            nodes: metrics,
            usage: vec![
                usage(60, 0, 0),
                usage(45, 0, 50),
                usage(5, 95, 0),
                usage(10, 0, 0),
                usage(100, 0, 0),
            ],
            ..RunRecord::default()
        };
        let bottleneck = record.bottleneck(&network).expect("a node that worked");
        assert_eq!((bottleneck.node, bottleneck.working), (NodeId::new(1), 0.9));
    }
}
