//! Who can make what with some of the nodes alive.

use dmos_core::{ItemId, Network, NoFlow, NodeId, NodeSet};

/// For each item the live nodes that can make it: all that they require can be made as well.
///
/// One sweep over the items, each after all that it is made of: time and space linear in the recipes' entries.
///
/// ```
/// use dmos_core::NodeSet;
/// use dmos_graph::{Feasibility, NamedNetwork};
///
/// let (network, _) = NamedNetwork::SevenNodes.description().build().unwrap();
/// let mut alive = NodeSet::all(network.node_count());
/// alive.remove(network.find_node("wood-2").unwrap());
/// let producers = Feasibility::of(&network, &alive);
/// let wood = network.find_item("wood").unwrap();
/// assert_eq!(producers.of_item(wood).len(), 2);
/// assert_eq!(producers.finals(&network), Ok(network.final_items().to_vec()));
/// ```
#[derive(Clone, Debug)]
pub struct Feasibility {
    /// Where an item's producers begin and end in `nodes`.
    ranges: Vec<(u32, u32)>,
    nodes: Vec<NodeId>,
    steps: u64,
    is_anybody_alive: bool,
}

impl Feasibility {
    /// Returns the producers of each item, if only these nodes are alive.
    ///
    /// # Panics
    /// If the set is not one of this network's nodes.
    #[must_use]
    pub fn of(network: &Network, alive: &NodeSet) -> Self {
        let mut producers = Self {
            ranges: vec![(0, 0); network.item_count()],
            nodes: Vec::new(),
            steps: 0,
            is_anybody_alive: !alive.is_empty(),
        };
        for &item in network.topological_order() {
            let from = producers.nodes.len();
            for &node in network.producers(item) {
                let requirements = network.requirements(node);
                producers.steps += 1 + requirements.len() as u64;
                let is_supplied = || requirements.iter().all(|required| producers.can_make(required.item));
                if alive.contains(node) && is_supplied() {
                    producers.nodes.push(node);
                }
            }
            producers.ranges[item.index()] = (offset(from), offset(producers.nodes.len()));
        }
        producers
    }

    /// Returns those who can make `item`, in ascending order.
    #[must_use]
    pub fn of_item(&self, item: ItemId) -> &[NodeId] {
        let (from, to) = self.ranges[item.index()];
        &self.nodes[from as usize..to as usize]
    }

    /// Returns whether anybody can make `item`.
    #[must_use]
    pub fn can_make(&self, item: ItemId) -> bool {
        !self.of_item(item).is_empty()
    }

    /// Returns whether `node` can make what it makes. O(log producers).
    #[must_use]
    pub fn contains(&self, network: &Network, node: NodeId) -> bool {
        self.of_item(network.makes(node)).binary_search(&node).is_ok()
    }

    /// Returns the final items that can be made: at least one.
    ///
    /// # Errors
    /// If there is none, what a planner has to answer.
    pub fn finals(&self, network: &Network) -> Result<Vec<ItemId>, NoFlow> {
        let finals: Vec<_> =
            network.final_items().iter().copied().filter(|&item| self.can_make(item)).collect();
        match finals.is_empty() {
            true if self.is_anybody_alive => Err(NoFlow::Infeasible(network.final_items()[0])),
            true => Err(NoFlow::NoNodeAlive),
            false => Ok(finals),
        }
    }

    /// How many elementary steps it took to find out: one for each node, and one for each of its requirements.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }
}

fn offset(length: usize) -> u32 {
    u32::try_from(length).expect("a network has at most 2^32 nodes")
}
