//! The flow: which producers supply which consumers.

use serde::{Deserialize, Serialize};

use crate::ids::{ItemId, NodeId};

/// One producer supplies one consumer with an item.
///
/// Edges are ordered by consumer, then item, then producer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SupplyEdge {
    /// Who is supplied.
    pub consumer: NodeId,
    /// With what.
    pub item: ItemId,
    /// By whom.
    pub producer: NodeId,
}

/// The chosen suppliers of every working node.
///
/// A node works if it stands in an edge, as producer or as consumer; the others are spares. A flow
/// without edges is a valid plan to make nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Flow {
    /// Sorted by consumer, item, producer; no edge twice.
    edges: Vec<SupplyEdge>,
    /// The same edges as (producer, consumer), sorted.
    by_producer: Vec<(NodeId, NodeId)>,
}

impl Flow {
    /// A flow of these edges, in any order; an edge given twice counts once.
    #[must_use]
    pub fn new(mut edges: Vec<SupplyEdge>) -> Self {
        edges.sort_unstable();
        edges.dedup();
        let mut by_producer: Vec<_> = edges.iter().map(|edge| (edge.producer, edge.consumer)).collect();
        by_producer.sort_unstable();
        by_producer.dedup();
        Self { edges, by_producer }
    }

    /// All edges, sorted by consumer, item, producer.
    #[must_use]
    pub fn edges(&self) -> &[SupplyEdge] {
        &self.edges
    }

    /// Whether nobody supplies anybody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.edges.is_empty()
    }

    /// The edges that supply `node`, sorted by item, then producer. O(log edges).
    #[must_use]
    pub fn suppliers(&self, node: NodeId) -> &[SupplyEdge] {
        let from = self.edges.partition_point(|edge| edge.consumer < node);
        let to = from + self.edges[from..].partition_point(|edge| edge.consumer == node);
        &self.edges[from..to]
    }

    /// Those whom `node` supplies, as (node, consumer), sorted. O(log edges).
    #[must_use]
    pub fn consumers(&self, node: NodeId) -> &[(NodeId, NodeId)] {
        let from = self.by_producer.partition_point(|edge| edge.0 < node);
        let to = from + self.by_producer[from..].partition_point(|edge| edge.0 == node);
        &self.by_producer[from..to]
    }

    /// Whether `node` supplies anybody or is supplied.
    #[must_use]
    pub fn works(&self, node: NodeId) -> bool {
        !self.suppliers(node).is_empty() || !self.consumers(node).is_empty()
    }

    /// The nodes with an edge that only one of the two flows has, in ascending order: no other node's part
    /// differs. O(edges).
    #[must_use]
    pub fn nodes_that_differ(&self, other: &Self) -> Vec<NodeId> {
        let (mut ours, mut theirs) = (self.edges.iter().peekable(), other.edges.iter().peekable());
        let mut nodes = Vec::new();
        loop {
            let edge = match (ours.peek(), theirs.peek()) {
                (Some(a), Some(b)) if a == b => {
                    ours.next();
                    theirs.next();
                    continue;
                }
                (Some(a), Some(b)) if a > b => theirs.next(),
                (Some(_), _) => ours.next(),
                (None, _) => theirs.next(),
            };
            match edge {
                Some(edge) => nodes.extend([edge.consumer, edge.producer]),
                None => break,
            }
        }
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    /// What `node` needs to know of the flow.
    #[must_use]
    pub fn part(&self, node: NodeId) -> FlowPart {
        FlowPart {
            suppliers: self.suppliers(node).iter().map(|edge| (edge.item, edge.producer)).collect(),
            consumers: self.consumers(node).iter().map(|edge| edge.1).collect(),
        }
    }
}

/// One node's part of a flow: who supplies it and whom it supplies.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct FlowPart {
    /// Its suppliers, sorted by item, then producer.
    pub suppliers: Box<[(ItemId, NodeId)]>,
    /// Its consumers in ascending order.
    pub consumers: Box<[NodeId]>,
}

impl FlowPart {
    /// How many edges the node stands in.
    #[must_use]
    pub fn edge_count(&self) -> usize {
        self.suppliers.len() + self.consumers.len()
    }

    /// Whether the node has no role: it is a spare.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.edge_count() == 0
    }

    /// The chosen supplier of `item`, the first if there are several.
    #[must_use]
    pub fn supplier(&self, item: ItemId) -> Option<NodeId> {
        self.suppliers.iter().find(|supply| supply.0 == item).map(|supply| supply.1)
    }

    /// All chosen suppliers of `item`, in ascending order.
    pub fn suppliers_of(&self, item: ItemId) -> impl Iterator<Item = NodeId> + '_ {
        self.suppliers.iter().filter(move |supply| supply.0 == item).map(|supply| supply.1)
    }

    /// All nodes that the node exchanges goods with; one may come up twice.
    pub fn neighbours(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.suppliers.iter().map(|supply| supply.1).chain(self.consumers.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(producer: usize, consumer: usize, item: usize) -> SupplyEdge {
        SupplyEdge {
            producer: NodeId::new(producer),
            consumer: NodeId::new(consumer),
            item: ItemId::new(item),
        }
    }

    #[test]
    fn knows_whose_part_differs() {
        let before = Flow::new(vec![edge(0, 1, 0), edge(1, 3, 1), edge(5, 6, 2)]);
        let after = Flow::new(vec![edge(0, 2, 0), edge(2, 3, 1), edge(5, 6, 2)]);
        let differ: Vec<_> = before.nodes_that_differ(&after).iter().map(|node| node.index()).collect();
        assert_eq!(differ, [0, 1, 2, 3]);
        assert_eq!(after.nodes_that_differ(&before), before.nodes_that_differ(&after));
        assert_eq!(before.nodes_that_differ(&before), []);
        for node in (0..7).map(NodeId::new) {
            let differs = before.part(node) != after.part(node);
            assert_eq!(differs, before.nodes_that_differ(&after).contains(&node));
        }
    }

    #[test]
    fn finds_both_sides_of_a_node() {
        let flow = Flow::new(vec![edge(1, 2, 1), edge(0, 2, 0), edge(0, 1, 0), edge(0, 1, 0)]);
        assert_eq!(flow.edges().len(), 3);
        let part = flow.part(NodeId::new(1));
        assert_eq!(part.supplier(ItemId::new(0)), Some(NodeId::new(0)));
        assert_eq!(*part.consumers, [NodeId::new(2)]);
        assert_eq!(part.neighbours().count(), 2);
        assert!(flow.works(NodeId::new(2)) && !flow.works(NodeId::new(3)));
        assert!(flow.part(NodeId::new(3)).is_idle() && Flow::default().is_empty());
    }
}
