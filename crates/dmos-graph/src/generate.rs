//! The prototype's random networks, reproduced exactly.
//!
//! Item 0 requires nothing and the last item is final; between them a random acyclic graph determines the
//! requirements of the inner items. The first and the last item have one producer each, all inner items the
//! same number.

use dmos_core::network::Names;
use dmos_core::{ItemId, Network, Recipe, Requirement};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::description::NODES_MAX;
use dmos_util::python_random::PythonRandom;

/// Parameters of a random network.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generate {
    /// Number of items, from 3.
    pub types: u32,
    /// Number of producers of each inner item, from 1.
    #[serde(default = "two")]
    pub nodes_per_type: u32,
    /// Density of the requirements among inner items.
    #[serde(default)]
    pub complexity: Complexity,
    /// Seed; the prototype uses 0.
    #[serde(default)]
    pub seed: u64,
}

fn two() -> u32 {
    2
}

/// Number of edges sampled between `n` inner items.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Complexity {
    /// `n`.
    Low,
    /// A quarter of `n (n - 1)`, rounded down.
    Medium,
    /// Half of `n (n - 1)`: as many as a complete acyclic graph has, but some are sampled twice.
    #[default]
    High,
}

/// Maximum number of items: generation takes memory quadratic in it, and some twenty seconds for the maximum
/// at high complexity.
const TYPES_MAX: u32 = 10_000;

/// Error of generating a network.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// There are too few items.
    #[error("`types` is {0}, but a network needs at least 3: a first, an inner and a last item")]
    TooFewTypes(u32),
    /// A single inner item cannot require another one.
    #[error(
        "with 3 types there is one inner item, but complexity low requires an edge between two; use 4 types or complexity high"
    )]
    NoPair,
    /// The inner items have no producers.
    #[error("`nodes_per_type` is 0, but inner items need producers")]
    NoNodes,
    /// The network is too large to be generated in reasonable memory and time.
    #[error("{nodes} nodes of {types} types exceed the maximum of {NODES_MAX} nodes or {TYPES_MAX} types")]
    TooLarge {
        /// Number of items.
        types: u32,
        /// Number of nodes.
        nodes: u64,
    },
}

impl Generate {
    /// Generates the network.
    ///
    /// Generation takes time up to cubic in the items, with a small constant, and linear in the nodes for the
    /// rest.
    ///
    /// # Errors
    /// See [`GenerateError`].
    pub fn network(&self) -> Result<Network, GenerateError> {
        let requires = self.generate_requirements()?;
        let last = self.types as usize - 1;
        let nodes = self.node_count() as usize;
        let per_type = self.nodes_per_type as usize;
        let recipes = (0..nodes).map(|node| {
            let item = if node == nodes - 1 { last } else { node.div_ceil(per_type) };
            let requires =
                requires[item].iter().map(|&item| Requirement { item: ItemId::new(item), quantity: 1 });
            Recipe { requires: requires.collect(), ..Recipe::of(ItemId::new(item), []) }
        });
        let names = (Names::Numbers(last + 1), Names::Numbers(nodes));
        Ok(Network::new(names.0, names.1, recipes, vec![ItemId::new(last)])
            .expect("generated networks are acyclic and complete"))
    }

    fn node_count(&self) -> u64 {
        u64::from(self.types - 2) * u64::from(self.nodes_per_type) + 2
    }

    fn check(&self) -> Result<(), GenerateError> {
        let types = self.types;
        if types < 3 {
            return Err(GenerateError::TooFewTypes(types));
        }
        if self.nodes_per_type == 0 {
            return Err(GenerateError::NoNodes);
        }
        if types == 3 && self.complexity == Complexity::Low {
            return Err(GenerateError::NoPair);
        }
        let nodes = self.node_count();
        if types > TYPES_MAX || nodes > NODES_MAX {
            return Err(GenerateError::TooLarge { types, nodes });
        }
        Ok(())
    }

    /// Returns for each item the items that it requires, in ascending order.
    fn generate_requirements(&self) -> Result<Vec<Vec<usize>>, GenerateError> {
        self.check()?;
        let inner = self.types - 2;
        let pairs = u64::from(inner) * u64::from(inner - 1);
        let edges = match self.complexity {
            Complexity::Low => u64::from(inner),
            Complexity::Medium => pairs / 4,
            Complexity::High => pairs / 2,
        };
        let mut random = PythonRandom::new(self.seed);
        let mut graph = AcyclicGraph::new(self.types as usize);
        let mut added = 0;
        while added < edges {
            let from = random.integer(1, inner);
            let mut to = random.integer(1, inner);
            while to == from {
                to = random.integer(1, inner);
            }
            // A repeated edge counts as sampled: the prototype's graph has fewer edges than samples.
            added += u64::from(graph.add(from as usize, to as usize));
        }
        Ok(graph.requirements())
    }
}

/// An acyclic graph that rejects edges that would close a cycle. It keeps the transitive closure as bits, so
/// that the test is O(1); most edges of a dense graph do not change it.
struct AcyclicGraph {
    words: usize,
    edges: Vec<u64>,
    reaches: Vec<u64>,
}

impl AcyclicGraph {
    fn new(size: usize) -> Self {
        let words = size.div_ceil(64);
        Self { words, edges: vec![0; size * words], reaches: vec![0; size * words] }
    }

    fn size(&self) -> usize {
        self.edges.len() / self.words
    }

    fn has(bits: &[u64], words: usize, from: usize, to: usize) -> bool {
        bits[from * words + to / 64] & (1 << (to % 64)) != 0
    }

    /// Adds an edge unless it would close a cycle; returns whether the graph has the edge now.
    fn add(&mut self, from: usize, to: usize) -> bool {
        let words = self.words;
        if Self::has(&self.reaches, words, to, from) {
            return false;
        }
        self.edges[from * words + to / 64] |= 1 << (to % 64);
        if !Self::has(&self.reaches, words, from, to) {
            let mut beyond = self.reaches[to * words..(to + 1) * words].to_vec();
            beyond[to / 64] |= 1 << (to % 64);
            for node in 0..self.size() {
                if node == from || Self::has(&self.reaches, words, node, from) {
                    let row = &mut self.reaches[node * words..(node + 1) * words];
                    row.iter_mut().zip(&beyond).for_each(|(word, more)| *word |= more);
                }
            }
        }
        true
    }

    /// Returns the requirements. An edge leads from a required item to one that requires it. Inner items
    /// without requirements require item 0; the last item requires those that no other item requires.
    fn requirements(&self) -> Vec<Vec<usize>> {
        let last = self.size() - 1;
        let mut requires = vec![Vec::new(); self.size()];
        for from in 1..last {
            let needed_by = (1..last).filter(|&to| Self::has(&self.edges, self.words, from, to));
            let mut is_unused = true;
            for to in needed_by {
                requires[to].push(from);
                is_unused = false;
            }
            if is_unused {
                requires[last].push(from);
            }
        }
        for needs in &mut requires[1..last] {
            if needs.is_empty() {
                needs.push(0);
            }
        }
        requires
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generate(types: u32, nodes_per_type: u32, complexity: Complexity) -> Network {
        Generate { types, nodes_per_type, complexity, seed: 0 }.network().expect("a valid network")
    }

    fn requires(network: &Network) -> Vec<Vec<usize>> {
        let items = |node| network.requirements(node).iter().map(|required| required.item.index()).collect();
        network.nodes().map(items).collect()
    }

    #[test]
    fn the_smallest_of_the_prototype() {
        let network = generate(5, 2, Complexity::High);
        let expected: [&[usize]; 8] = [&[], &[2], &[2], &[0], &[0], &[2], &[2], &[1, 3]];
        assert_eq!(requires(&network), expected);
    }

    #[test]
    fn the_largest_of_the_prototype() {
        let network = generate(20, 2, Complexity::High);
        assert_eq!((network.node_count(), network.supply_edges().count()), (38, 410));
        // Each edge between inner items occurs in the recipes of two nodes.
        let inner = requires(&network)[1..37].iter().flatten().filter(|&&item| item != 0).count();
        assert_eq!(inner, 2 * 101);
        assert_eq!(requires(&network)[37], [6, 14]);
    }

    #[test]
    fn every_size_is_a_valid_network() {
        for types in 3..40 {
            for per_type in [1, 3] {
                for complexity in [Complexity::Low, Complexity::Medium, Complexity::High] {
                    if types > 3 || complexity != Complexity::Low {
                        let network = generate(types, per_type, complexity);
                        assert_eq!(network.node_count() as u32, (types - 2) * per_type + 2);
                    }
                }
            }
        }
    }

    #[test]
    fn refuses_invalid_generator_settings() {
        let generate = |types, nodes_per_type, complexity| {
            Generate { types, nodes_per_type, complexity, seed: 0 }.network()
        };
        assert_eq!(generate(2, 2, Complexity::High), Err(GenerateError::TooFewTypes(2)));
        assert_eq!(generate(5, 0, Complexity::High), Err(GenerateError::NoNodes));
        assert_eq!(generate(3, 2, Complexity::Low), Err(GenerateError::NoPair));
        assert!(matches!(generate(30_000, 1, Complexity::Low), Err(GenerateError::TooLarge { .. })));
        assert!(matches!(
            generate(2_000, 4_000_000_000, Complexity::Low),
            Err(GenerateError::TooLarge { .. })
        ));
    }
}
