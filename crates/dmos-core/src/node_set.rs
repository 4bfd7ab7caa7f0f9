//! Sets of nodes, stored as bits.

use crate::ids::NodeId;

/// A set of nodes of one network, with one bit per node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeSet {
    words: Box<[u64]>,
    nodes: usize,
    members: usize,
}

impl NodeSet {
    /// Returns the empty set, for a network of `nodes` nodes.
    #[must_use]
    pub fn none(nodes: usize) -> Self {
        Self { words: vec![0; nodes.div_ceil(64)].into(), nodes, members: 0 }
    }

    /// Returns the set of all `nodes` nodes of a network.
    #[must_use]
    pub fn all(nodes: usize) -> Self {
        let mut words = vec![u64::MAX; nodes.div_ceil(64)];
        if let (Some(last), 1..) = (words.last_mut(), nodes % 64) {
            *last = (1 << (nodes % 64)) - 1;
        }
        Self { words: words.into(), nodes, members: nodes }
    }

    /// Returns whether the set contains `node`.
    #[must_use]
    pub fn contains(&self, node: NodeId) -> bool {
        self.words[node.index() / 64] & (1 << (node.index() % 64)) != 0
    }

    /// Adds `node` and returns whether it was new.
    pub fn insert(&mut self, node: NodeId) -> bool {
        let new = !self.contains(node);
        self.words[node.index() / 64] |= 1 << (node.index() % 64);
        self.members += usize::from(new);
        new
    }

    /// Removes `node` and returns whether it was present.
    pub fn remove(&mut self, node: NodeId) -> bool {
        let old = self.contains(node);
        self.words[node.index() / 64] &= !(1 << (node.index() % 64));
        self.members -= usize::from(old);
        old
    }

    /// Returns the number of nodes in the set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members
    }

    /// Returns whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members == 0
    }

    /// Returns the nodes of the set in ascending order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = NodeId> + '_ {
        (0..self.nodes).map(NodeId::new).filter(|&node| self.contains(node))
    }

    /// Returns the lowest node of the set.
    #[must_use]
    pub fn first(&self) -> Option<NodeId> {
        let word = self.words.iter().position(|&word| word != 0)?;
        Some(NodeId::new(word * 64 + self.words[word].trailing_zeros() as usize))
    }

    /// Returns the highest node of the set.
    #[must_use]
    pub fn last(&self) -> Option<NodeId> {
        let word = self.words.iter().rposition(|&word| word != 0)?;
        Some(NodeId::new(word * 64 + 63 - self.words[word].leading_zeros() as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_its_members() {
        for nodes in [0, 1, 63, 64, 65, 130] {
            let mut set = NodeSet::all(nodes);
            assert_eq!((set.len(), set.iter().count()), (nodes, nodes));
            assert_eq!(set.last().map(NodeId::index), nodes.checked_sub(1));
            for node in NodeSet::all(nodes).iter() {
                assert!(set.remove(node) && !set.remove(node));
            }
            assert_eq!(set, NodeSet::none(nodes));
            assert!(set.is_empty() && set.first().is_none());
        }
        let mut set = NodeSet::none(130);
        assert!(set.insert(NodeId::new(129)) && !set.insert(NodeId::new(129)) && !set.is_empty());
        assert_eq!((set.first(), set.last(), set.len()), (Some(NodeId::new(129)), Some(NodeId::new(129)), 1));
    }
}
