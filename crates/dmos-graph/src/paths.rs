//! All paths from sources to final nodes, without listing them.
//!
//! A *source* requires nothing; a path leads from a source along possible supply edges to a producer of a
//! final item. Their number can be astronomical, but the graph is acyclic, so one sweep over the items in
//! topological order counts them: the number of paths that end at a node is the sum over all producers of its
//! requirements. The counts state, at every step of a path, how many paths continue in each direction, so
//! paths can be numbered, found by number, sampled uniformly, and enumerated without dead ends.
//!
//! Paths are ordered from the final node back to the source, by item, then by node, at each step. Counting a
//! class of combinatorial objects in order to number and sample them is the recursive method of Nijenhuis and
//! Wilf ("Combinatorial Algorithms", 1978).

mod number;
mod walk;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use dmos_core::network::Requirement;
use dmos_core::{ItemId, Network, NodeId};
use num_bigint::BigUint;
use rand::Rng;

use number::Number;
pub use walk::Walk;

/// The paths of a network.
///
/// Construction takes time linear in the entries of the recipes, and again as much for each 64 bits that the
/// counts need beyond the first 128.
///
/// ```
/// use dmos_graph::{Complexity, Generate, paths::Paths};
///
/// let network = Generate { types: 20, nodes_per_type: 2, complexity: Complexity::High, seed: 0 }.network().unwrap();
/// assert_eq!(Paths::new(&network).count().to_string(), "23082560");
/// ```
#[derive(Clone, Debug)]
pub struct Paths<'a> {
    network: &'a Network,
    counts: Counts,
    /// The producers of each item at which paths end, and their start and end.
    producers: Vec<NodeId>,
    ranges: Vec<(u32, u32)>,
}

#[derive(Clone, Debug)]
enum Counts {
    /// The counts fit 128 bits.
    Small(Table<u128>),
    Large(Table<BigUint>),
}

#[derive(Clone, Debug)]
struct Table<N> {
    /// Number of paths that end at any producer of each item.
    items: Vec<N>,
    /// For each producer, in the order of `Paths::producers`: number of paths that end at earlier producers
    /// of its item. Empty if this would take too much space; then it is computed on demand.
    before: Vec<N>,
}

impl<'a> Paths<'a> {
    /// Counts the paths of a network.
    #[must_use]
    pub fn new(network: &'a Network) -> Self {
        let mut producers = Vec::with_capacity(network.node_count());
        let mut ranges = vec![(0, 0); network.item_count()];
        let mut is_reached = vec![false; network.item_count()];
        for &item in network.topological_order() {
            let from = producers.len();
            let is_end = |node: &NodeId| {
                let requirements = network.requirements(*node);
                requirements.is_empty()
                    || requirements.iter().any(|required| is_reached[required.item.index()])
            };
            producers.extend(network.producers(item).iter().copied().filter(is_end));
            let place = |length: usize| u32::try_from(length).expect("a network has at most 2^32 nodes");
            ranges[item.index()] = (place(from), place(producers.len()));
            is_reached[item.index()] = producers.len() > from;
        }
        let mut paths = Self { network, counts: Counts::Large(Table::default()), producers, ranges };
        paths.counts = match paths.table::<u128>(true) {
            Some(table) => Counts::Small(table),
            None => Counts::Large(paths.table(false).expect("big numbers do not overflow")),
        };
        paths
    }

    /// Returns `None` if a count does not fit.
    fn table<N: Number>(&self, with_producers: bool) -> Option<Table<N>> {
        let zero = N::ZERO();
        let mut items = vec![zero.clone(); self.network.item_count()];
        let mut before = Vec::new();
        for &item in self.network.topological_order() {
            let mut sum = zero.clone();
            // Adjacent producers usually have the same requirements.
            let alike =
                |a: &NodeId, b: &NodeId| self.network.requirements(*a) == self.network.requirements(*b);
            for nodes in self.of_item(item).chunk_by(alike) {
                let at_each = self.ending_at(nodes[0], &items)?;
                if with_producers {
                    for nth in 0..nodes.len() as u32 {
                        before.push(sum.plus(&at_each.times(nth)?)?);
                    }
                }
                sum = sum.plus(&at_each.times(nodes.len() as u32)?)?;
            }
            items[item.index()] = sum;
        }
        // The sum over all final items must fit as well.
        let finals = self.network.final_items().iter();
        finals.clone().try_fold(zero, |sum, item| sum.plus(&items[item.index()]))?;
        Some(Table { items, before })
    }

    /// Returns the number of paths that end at a node, or `None` if it does not fit.
    fn ending_at<N: Number>(&self, node: NodeId, items: &[N]) -> Option<N> {
        match self.network.requirements(node) {
            [] => Some(N::ONE()),
            requirements => requirements
                .iter()
                .try_fold(N::ZERO(), |sum, required| sum.plus(&items[required.item.index()])),
        }
    }

    /// Returns the producer of an item to whose paths a number belongs, by its index, and the number of paths
    /// that end at earlier ones.
    fn producer_at<N: Number>(&self, table: &Table<N>, item: ItemId, number: &N) -> (usize, N) {
        let (from, to) = self.ranges[item.index()];
        if let Some(before) = table.before.get(from as usize..to as usize) {
            let place = before.partition_point(|before| before <= number) - 1;
            return (place, before[place].clone());
        }
        let mut before = N::ZERO();
        for (place, &node) in self.of_item(item).iter().enumerate() {
            let after = self.with(table, &before, node);
            if *number < after {
                return (place, before);
            }
            before = after;
        }
        unreachable!("the number is below the item's count")
    }

    /// Returns the number of paths that end at the producers of an item before the one at an index.
    fn before<N: Number>(&self, table: &Table<N>, item: ItemId, place: usize) -> N {
        match table.before.get(self.ranges[item.index()].0 as usize + place) {
            Some(before) => before.clone(),
            None => {
                let earlier = self.of_item(item)[..place].iter();
                earlier.fold(N::ZERO(), |sum, &node| self.with(table, &sum, node))
            }
        }
    }

    fn with<N: Number>(&self, table: &Table<N>, sum: &N, node: NodeId) -> N {
        let here = self.ending_at(node, &table.items);
        here.and_then(|here| sum.plus(&here)).expect("the total fits, so its parts do")
    }

    /// Returns the producers of an item at which paths end.
    fn of_item(&self, item: ItemId) -> &[NodeId] {
        let (from, to) = self.ranges[item.index()];
        &self.producers[from as usize..to as usize]
    }

    /// Returns the items with which a path can continue from a node, or start.
    fn choices(&self, node: Option<NodeId>) -> Choices<'a> {
        match node {
            None => Choices::Finals(self.network.final_items()),
            Some(node) => Choices::Required(self.network.requirements(node)),
        }
    }

    /// Returns the number of paths.
    #[must_use]
    pub fn count(&self) -> BigUint {
        let finals = || self.network.final_items().iter().map(|item| item.index());
        match &self.counts {
            Counts::Small(table) => BigUint::from(finals().map(|item| table.items[item]).sum::<u128>()),
            Counts::Large(table) => finals().map(|item| &table.items[item]).sum(),
        }
    }

    /// Returns the path with a number, from the final node back to the source, or `None` if the number is too
    /// large.
    ///
    /// Time, for each node of the path: its requirements, and the logarithm of its producers.
    #[must_use]
    pub fn unrank(&self, number: &BigUint) -> Option<Vec<NodeId>> {
        if *number >= self.count() {
            return None;
        }
        let mut path = Vec::new();
        match &self.counts {
            Counts::Small(table) => {
                let digits = number.iter_u64_digits().collect::<Vec<_>>();
                let digit = |place: usize| u128::from(digits.get(place).copied().unwrap_or(0));
                self.descend(table, digit(0) | digit(1) << 64, &mut path);
            }
            Counts::Large(table) => self.descend(table, number.clone(), &mut path),
        }
        Some(path)
    }

    /// Returns the number of a path that is given from the final node back to the source, or `None` if it is
    /// not a path.
    #[must_use]
    pub fn rank(&self, path: &[NodeId]) -> Option<BigUint> {
        match &self.counts {
            Counts::Small(table) => self.number(table, path).map(BigUint::from),
            Counts::Large(table) => self.number(table, path),
        }
    }

    /// Samples a path uniformly into `path`, from the final node back to the source. It is empty if there are
    /// none.
    pub fn sample(&self, random: &mut impl Rng, path: &mut Vec<NodeId>) {
        path.clear();
        match &self.counts {
            Counts::Small(table) => self.sample_from(table, random, path),
            Counts::Large(table) => self.sample_from(table, random, path),
        }
    }

    fn sample_from<N: Number>(&self, table: &Table<N>, random: &mut impl Rng, path: &mut Vec<NodeId>) {
        let mut all = N::ZERO();
        for item in self.network.final_items() {
            all = all.plus(&table.items[item.index()]).expect("the total fits, so its parts do");
        }
        if all > N::ZERO() {
            self.descend(table, all.sample_below(random), path);
        }
    }

    /// Follows the path with a number below the count.
    fn descend<N: Number>(&self, table: &Table<N>, mut left: N, path: &mut Vec<NodeId>) {
        let mut choices = self.choices(None);
        loop {
            let mut nth = 0;
            let item = loop {
                let item = choices.get(nth).expect("the number is below the count");
                let here = &table.items[item.index()];
                if left < *here {
                    break item;
                }
                left = left.minus(here);
                nth += 1;
            };
            let (place, before) = self.producer_at(table, item, &left);
            left = left.minus(&before);
            let node = self.of_item(item)[place];
            path.push(node);
            choices = self.choices(Some(node));
            if choices.get(0).is_none() {
                return;
            }
        }
    }

    fn number<N: Number>(&self, table: &Table<N>, path: &[NodeId]) -> Option<N> {
        let mut number = N::ZERO();
        let mut choices = self.choices(None);
        for (nth, &node) in path.iter().enumerate() {
            let makes = (node.index() < self.network.node_count()).then(|| self.network.makes(node))?;
            for earlier in (0..).map(|nth| choices.get(nth)) {
                match earlier? {
                    item if item == makes => break,
                    item => number = number.plus(&table.items[item.index()])?,
                }
            }
            let in_item = self.of_item(makes).binary_search(&node).ok()?;
            number = number.plus(&self.before(table, makes, in_item))?;
            choices = self.choices(Some(node));
            if choices.get(0).is_none() {
                return (nth + 1 == path.len()).then_some(number);
            }
        }
        None
    }

    /// Enumerates all paths in order.
    #[must_use]
    pub fn walk(&self) -> Walk {
        Walk::new(self)
    }

    /// Returns the `limit` shortest paths by the sum of their nodes' lengths, shortest first; the order of
    /// equal ones is arbitrary but reproducible. Each path is given from the final node back to the source.
    ///
    /// A* search (Hart, Nilsson and Raphael 1968) from the final nodes, with the exact remaining length as
    /// its heuristic, so that it never leaves a path. Time, for each path: its length times the producers of
    /// its nodes' requirements.
    #[must_use]
    pub fn shortest(&self, limit: usize, length: impl Fn(NodeId) -> u64) -> Vec<(u64, Vec<NodeId>)> {
        let remaining = self.remaining_lengths(&length);
        let mut found = Vec::new();
        // The trail: a node, and the index of its predecessor.
        let mut trail: Vec<(NodeId, u32)> = Vec::new();
        let mut open = BinaryHeap::new();
        let mut opened = 0_u64;
        let mut open_item = |open: &mut BinaryHeap<_>, item: ItemId, distance: u64, from: u32| {
            for &node in self.of_item(item) {
                let total = distance.saturating_add(remaining[node.index()]);
                open.push(Reverse((total, opened, distance, node, from)));
                opened += 1;
            }
        };
        for &item in self.network.final_items() {
            open_item(&mut open, item, 0, u32::MAX);
        }
        while let Some(Reverse((total, _, distance, node, from))) = open.pop() {
            if found.len() == limit {
                break;
            }
            let here = u32::try_from(trail.len()).expect("fewer steps than 2^32 are remembered");
            trail.push((node, from));
            let requirements = self.network.requirements(node);
            if requirements.is_empty() {
                let back = std::iter::successors(Some(here), |&at| {
                    Some(trail[at as usize].1).filter(|&from| from != u32::MAX)
                });
                let mut path: Vec<NodeId> = back.map(|at| trail[at as usize].0).collect();
                path.reverse();
                found.push((total, path));
            }
            for required in requirements {
                open_item(&mut open, required.item, distance.saturating_add(length(node)), here);
            }
        }
        found
    }

    /// Returns for each node the length of the shortest path that ends there.
    fn remaining_lengths(&self, length: impl Fn(NodeId) -> u64) -> Vec<u64> {
        let mut nodes = vec![u64::MAX; self.network.node_count()];
        let mut items = vec![u64::MAX; self.network.item_count()];
        for &item in self.network.topological_order() {
            for &node in self.of_item(item) {
                let requirements = self.network.requirements(node).iter();
                let before = requirements.map(|required| items[required.item.index()]).min().unwrap_or(0);
                nodes[node.index()] = before.saturating_add(length(node));
                items[item.index()] = items[item.index()].min(nodes[node.index()]);
            }
        }
        nodes
    }
}

/// Items with which a path can continue.
#[derive(Clone, Copy)]
enum Choices<'a> {
    Finals(&'a [ItemId]),
    Required(&'a [Requirement]),
}

impl Choices<'_> {
    #[inline]
    fn get(self, nth: usize) -> Option<ItemId> {
        match self {
            Self::Finals(items) => items.get(nth).copied(),
            Self::Required(requirements) => requirements.get(nth).map(|required| required.item),
        }
    }
}

impl<N> Default for Table<N> {
    fn default() -> Self {
        Self { items: Vec::new(), before: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::ChaCha8Rng;

    use super::*;
    use crate::{Complexity, Generate};

    fn generated(types: u32, nodes_per_type: u32, complexity: Complexity) -> Network {
        Generate { types, nodes_per_type, complexity, seed: 0 }.network().expect("a valid network")
    }

    #[test]
    fn counts_are_those_of_the_prototypes_networks() {
        for (types, count) in [(20, 23_082_560), (25, 3_486_594_504), (30, 35_612_416_128_u64)] {
            let network = generated(types, 2, Complexity::High);
            assert_eq!(Paths::new(&network).count(), BigUint::from(count), "{types} types");
        }
    }

    #[test]
    fn counts_may_outgrow_any_integer() {
        let network = generated(400, 3, Complexity::High);
        let paths = Paths::new(&network);
        assert!(matches!(&paths.counts, Counts::Large(table) if table.before.is_empty()));
        assert!(paths.count().bits() > 200, "{}", paths.count());
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut path = Vec::new();
        for _ in 0..20 {
            paths.sample(&mut random, &mut path);
            let number = paths.rank(&path).expect("the rank of a path");
            assert_eq!(paths.unrank(&number), Some(path.clone()));
        }
        assert_eq!(paths.unrank(&paths.count()), None);
    }

    #[test]
    fn every_path_is_as_likely_as_any_other() {
        let network = generated(5, 2, Complexity::High);
        let paths = Paths::new(&network);
        let count = usize::try_from(paths.count()).expect("a small count");
        let (mut sampled, mut path) = (vec![0_u32; count], Vec::new());
        let mut random = ChaCha8Rng::seed_from_u64(3);
        for _ in 0..count * 400 {
            paths.sample(&mut random, &mut path);
            sampled[usize::try_from(paths.rank(&path).expect("a path")).expect("a small count")] += 1;
        }
        // Chi-squared test: its mean is the number of paths less one, its deviation the root of twice that.
        let chi: f64 = sampled.iter().map(|&n| (f64::from(n) - 400.0).powi(2) / 400.0).sum();
        let mean = count as f64 - 1.0;
        assert!((chi - mean).abs() < 4.0 * (2.0 * mean).sqrt(), "{chi} for {count} paths");
    }

    proptest! {
        /// Enumeration, numbering and a plain search find the same paths, in the same order.
        #[test]
        fn all_algorithms_find_the_same_paths(types in 3_u32..9, per_type in 1_u32..4, seed in 0_u64..50, high: bool) {
            let complexity = if high { Complexity::High } else { Complexity::Low };
            let network = Generate { types, nodes_per_type: per_type, complexity, seed }.network();
            let Ok(network) = network else { return Ok(()) };
            let paths = Paths::new(&network);
            let mut walk = paths.walk();
            let mut walked: Vec<Vec<NodeId>> = Vec::new();
            while let Some(path) = walk.next() {
                walked.push(path.to_vec());
            }
            prop_assert_eq!(BigUint::from(walked.len()), paths.count());
            for (number, path) in walked.iter().enumerate().step_by(1 + walked.len() / 50) {
                prop_assert_eq!(paths.rank(path), Some(BigUint::from(number)));
                prop_assert_eq!(paths.unrank(&BigUint::from(number)), Some(path.clone()));
            }
            let searched = search(&network);
            prop_assert_eq!(walked.iter().cloned().collect::<BTreeSet<_>>(), searched);
            let shortest = paths.shortest(20, |node| network.makes(node).index() as u64 + node.index() as u64 % 3);
            let length = |path: &Vec<NodeId>| -> u64 {
                path.iter().map(|node| network.makes(*node).index() as u64 + node.index() as u64 % 3).sum()
            };
            let mut lengths: Vec<u64> = walked.iter().map(length).collect();
            lengths.sort_unstable();
            lengths.truncate(20);
            prop_assert_eq!(shortest.iter().map(|(total, _)| *total).collect::<Vec<_>>(), lengths);
            let different: BTreeSet<_> = shortest.iter().map(|(_, path)| path.clone()).collect();
            prop_assert!(different.len() == shortest.len() && shortest.iter().all(|(total, path)| length(path) == *total));
        }
    }

    /// Returns all simple paths by petgraph, from each final node back to each source.
    fn search(network: &Network) -> BTreeSet<Vec<NodeId>> {
        use petgraph::graph::DiGraph;
        let mut graph = DiGraph::<(), ()>::new();
        let nodes: Vec<_> = network.nodes().map(|_| graph.add_node(())).collect();
        for edge in network.supply_edges() {
            graph.add_edge(nodes[edge.consumer.index()], nodes[edge.producer.index()], ());
        }
        let mut found = BTreeSet::new();
        let finals = network.nodes().filter(|&node| network.is_final(node));
        for last in finals {
            for source in network.nodes().filter(|&node| network.requirements(node).is_empty()) {
                if source == last {
                    found.insert(vec![last]);
                    continue;
                }
                let (from, to) = (nodes[last.index()], nodes[source.index()]);
                let paths = petgraph::algo::all_simple_paths::<Vec<_>, _, std::hash::RandomState>(
                    &graph, from, to, 0, None,
                );
                found.extend(
                    paths.map(|path| path.into_iter().map(|node| NodeId::new(node.index())).collect()),
                );
            }
        }
        found
    }
}
