//! Broken links: pairs of nodes that are both up but cannot exchange messages.

use crate::ids::NodeId;

/// A set of links that are known to be broken.
///
/// A link joins two nodes and serves both directions: a supply edge needs an order in one direction and a shipment
/// in the other, so a link that fails in one direction is broken.
///
/// ```
/// use dmos_core::{BrokenLinks, NodeId};
///
/// let (a, b) = (NodeId::new(4), NodeId::new(1));
/// let mut links = BrokenLinks::NONE;
/// assert!(links.insert(a, b));
/// assert!(links.contains(b, a) && links.touches(a) && !links.touches(NodeId::new(2)));
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BrokenLinks {
    /// Both directions of every link, sorted by the first node.
    ends: Vec<(NodeId, NodeId)>,
}

impl BrokenLinks {
    /// The empty set.
    pub const NONE: Self = Self { ends: Vec::new() };

    /// Adds the link between two nodes and returns whether it was new. O(links).
    pub fn insert(&mut self, a: NodeId, b: NodeId) -> bool {
        let mut is_new = false;
        for end in [(a, b), (b, a)] {
            if let Err(at) = self.ends.binary_search(&end) {
                self.ends.insert(at, end);
                is_new = true;
            }
        }
        is_new
    }

    /// Returns whether the link between two nodes is broken. O(log links).
    #[must_use]
    pub fn contains(&self, a: NodeId, b: NodeId) -> bool {
        self.ends.binary_search(&(a, b)).is_ok()
    }

    /// Returns whether any link of a node is broken. O(log links).
    #[must_use]
    pub fn touches(&self, node: NodeId) -> bool {
        let at = self.ends.partition_point(|end| end.0 < node);
        self.ends.get(at).is_some_and(|end| end.0 == node)
    }

    /// Returns whether no link is broken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Returns the number of broken links.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Returns the broken links in ascending order, each once, with the lower node first.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, NodeId)> + '_ {
        self.ends.iter().copied().filter(|(a, b)| a <= b)
    }
}

impl FromIterator<(NodeId, NodeId)> for BrokenLinks {
    fn from_iter<I: IntoIterator<Item = (NodeId, NodeId)>>(links: I) -> Self {
        let mut ends: Vec<_> = links.into_iter().flat_map(|(a, b)| [(a, b), (b, a)]).collect();
        ends.sort_unstable();
        ends.dedup();
        Self { ends }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: usize) -> NodeId {
        NodeId::new(number)
    }

    #[test]
    fn links_have_no_direction() {
        let mut links = BrokenLinks::NONE;
        assert!(links.insert(node(3), node(1)) && !links.insert(node(1), node(3)));
        assert!(links.insert(node(1), node(2)));
        assert!(links.contains(node(1), node(3)) && links.contains(node(3), node(1)));
        assert!(!links.contains(node(2), node(3)));
        assert_eq!([0, 1, 2, 3, 4].map(|n| links.touches(node(n))), [false, true, true, true, false]);
        assert_eq!(links.iter().collect::<Vec<_>>(), [(node(1), node(2)), (node(1), node(3))]);
        let collected: BrokenLinks =
            [(node(3), node(1)), (node(2), node(1)), (node(1), node(3))].into_iter().collect();
        assert_eq!(collected, links);
        assert_eq!((links.len(), links.is_empty()), (2, false));
        assert_eq!((BrokenLinks::NONE.len(), BrokenLinks::NONE.is_empty()), (0, true));
    }
}
