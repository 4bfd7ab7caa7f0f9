//! Feasibility: the nodes that can produce, given the nodes that are alive and the links that work.

use std::borrow::Cow;

use dmos_core::{BrokenLinks, ItemId, Network, NoFlow, NodeId, NodeSet, PlanRequest};

/// The feasible producers of each item: live nodes for which every required item has a feasible producer with a
/// working link to them.
///
/// Computed by one sweep over the items in topological order; time and space are linear in the entries of the
/// recipes.
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
    /// Start and end of each item's producers in `nodes`.
    ranges: Vec<(u32, u32)>,
    nodes: Vec<NodeId>,
    links: BrokenLinks,
    steps: u64,
    any_alive: bool,
}

impl Feasibility {
    /// Computes the feasible producers of each item, given the nodes that are alive; all links work.
    ///
    /// # Panics
    /// If the set does not belong to this network.
    #[must_use]
    pub fn of(network: &Network, alive: &NodeSet) -> Self {
        Self::with_links(network, alive, &BrokenLinks::NONE)
    }

    /// Computes the feasible producers of each item for a planner's request.
    ///
    /// # Panics
    /// As [`Feasibility::of`].
    #[must_use]
    pub fn of_request(request: &PlanRequest<'_>) -> Self {
        Self::with_links(request.network, request.alive, request.broken_links)
    }

    /// Computes the feasible producers of each item, given the nodes that are alive and the links that are broken.
    ///
    /// # Panics
    /// As [`Feasibility::of`].
    #[must_use]
    pub fn with_links(network: &Network, alive: &NodeSet, broken_links: &BrokenLinks) -> Self {
        let mut producers = Self {
            ranges: vec![(0, 0); network.item_count()],
            nodes: Vec::new(),
            links: broken_links.clone(),
            steps: 0,
            any_alive: !alive.is_empty(),
        };
        for &item in network.topological_order() {
            let from = producers.nodes.len();
            for &node in network.producers(item) {
                let requirements = network.requirements(node);
                producers.steps += 1 + requirements.len() as u64;
                let can_supply = |item: ItemId| match broken_links.touches(node) {
                    true => !producers.suppliers(node, item).is_empty(),
                    false => producers.can_make(item),
                };
                let is_supplied = || requirements.iter().all(|required| can_supply(required.item));
                if alive.contains(node) && is_supplied() {
                    producers.nodes.push(node);
                }
            }
            producers.ranges[item.index()] = (offset(from), offset(producers.nodes.len()));
        }
        producers
    }

    /// Returns the feasible producers of `item`, in ascending order.
    #[must_use]
    pub fn of_item(&self, item: ItemId) -> &[NodeId] {
        let (from, to) = self.ranges[item.index()];
        &self.nodes[from as usize..to as usize]
    }

    /// Returns the feasible producers of `item` that have a working link to `consumer`, in ascending order. At least
    /// one, if the consumer is feasible and requires the item.
    #[must_use]
    pub fn suppliers(&self, consumer: NodeId, item: ItemId) -> Cow<'_, [NodeId]> {
        let producers = self.of_item(item);
        if !self.links.touches(consumer) {
            return Cow::Borrowed(producers);
        }
        Cow::Owned(self.with_working_link(consumer, item).collect())
    }

    /// Returns the feasible producers of `item` that have a working link to `consumer`, without allocation.
    pub fn with_working_link(&self, consumer: NodeId, item: ItemId) -> impl Iterator<Item = NodeId> + '_ {
        self.of_item(item).iter().copied().filter(move |&node| self.has_working_link(node, consumer))
    }

    /// Returns whether the link between two nodes works.
    #[must_use]
    pub fn has_working_link(&self, producer: NodeId, consumer: NodeId) -> bool {
        !self.links.contains(producer, consumer)
    }

    /// Returns whether a consumer has a broken link to a feasible producer of `item`.
    #[must_use]
    pub fn is_restricted(&self, consumer: NodeId, item: ItemId) -> bool {
        self.links.touches(consumer)
            && self.of_item(item).iter().any(|&node| !self.has_working_link(node, consumer))
    }

    /// Returns whether `item` has a feasible producer.
    #[must_use]
    pub fn can_make(&self, item: ItemId) -> bool {
        !self.of_item(item).is_empty()
    }

    /// Returns whether `node` is a feasible producer. O(log producers).
    #[must_use]
    pub fn contains(&self, network: &Network, node: NodeId) -> bool {
        self.of_item(network.makes(node)).binary_search(&node).is_ok()
    }

    /// Returns the final items that can be made; at least one.
    ///
    /// # Errors
    /// [`NoFlow`] if there is none, as a planner returns it.
    pub fn finals(&self, network: &Network) -> Result<Vec<ItemId>, NoFlow> {
        let finals: Vec<_> =
            network.final_items().iter().copied().filter(|&item| self.can_make(item)).collect();
        match finals.is_empty() {
            true if self.any_alive => Err(NoFlow::Infeasible(network.final_items()[0])),
            true => Err(NoFlow::NoNodeAlive),
            false => Ok(finals),
        }
    }

    /// Returns the number of elementary steps of the computation: one for each node, and one for each of its
    /// requirements.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }
}

fn offset(length: usize) -> u32 {
    u32::try_from(length).expect("a network has at most 2^32 nodes")
}
