//! Enumeration of all paths.

use dmos_core::NodeId;

use super::{Choices, Paths};

/// Enumerates all paths.
#[derive(Clone, Debug)]
pub struct Walk {
    /// Lists of nodes with which a path can continue or start.
    next: Vec<NodeId>,
    /// Start and end of each node's list; the lists of sources are empty.
    lists: Vec<(u32, u32)>,
    path: Vec<NodeId>,
    /// For each node of the path, its position in a list, and the end of that list.
    steps: Vec<(u32, u32)>,
    /// Number of nodes of the current path.
    length: usize,
}

impl Walk {
    /// Nodes with the same requirements share a list, so space and time are linear in the possible supply
    /// edges of one node for each recipe.
    pub(super) fn new(paths: &Paths<'_>) -> Self {
        let network = paths.network;
        let mut next: Vec<NodeId> = Vec::new();
        let mut lists = vec![(0, 0); network.node_count()];
        let place = |length: usize| u32::try_from(length).expect("fewer than 2^32 positions");
        let mut add = |choices: Choices<'_>| {
            let from = place(next.len());
            for item in (0..).map_while(|nth| choices.get(nth)) {
                next.extend_from_slice(paths.of_item(item));
            }
            (from, place(next.len()))
        };
        for &item in network.topological_order() {
            let alike = |a: &NodeId, b: &NodeId| network.requirements(*a) == network.requirements(*b);
            for nodes in paths.of_item(item).chunk_by(alike) {
                let list = add(paths.choices(Some(nodes[0])));
                nodes.iter().for_each(|node| lists[node.index()] = list);
            }
        }
        let (from, to) = add(paths.choices(None));
        // No path is longer than the number of items; one more entry avoids a test at the end.
        let longest = network.item_count() + 1;
        let mut steps = vec![(0, 0); longest];
        // As if the path before the first had just ended.
        steps[0] = (from.wrapping_sub(1), to);
        Self { next, lists, path: vec![NodeId::new(0); longest], steps, length: 1 }
    }

    /// Returns the next path, from the final node back to the source, or `None` after the last. Only the
    /// difference to the previous path is written: a few nodes on average, at most a whole path.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend what it yields")]
    #[inline]
    pub fn next(&mut self) -> Option<&[NodeId]> {
        let mut length = self.length;
        // Backtracks to the last node with an alternative.
        let (mut at, mut end) = loop {
            length = length.checked_sub(1)?;
            let (at, end) = self.steps[length];
            let at = at.wrapping_add(1);
            if at < end {
                break (at, end);
            }
        };
        loop {
            let node = self.next[at as usize];
            self.steps[length] = (at, end);
            self.path[length] = node;
            length += 1;
            (at, end) = self.lists[node.index()];
            if at == end {
                break;
            }
        }
        self.length = length;
        Some(&self.path[..length])
    }
}
