//! The flow: the assignment of suppliers to consumers.

mod rates;
mod share;
mod violations;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::ids::{ItemId, NodeId};
use crate::network::{Network, Requirement, SupplyEdge};
use crate::node_set::NodeSet;

pub use rates::{FlowRates, PlannedRate};
pub use share::Share;
pub use violations::FlowViolation;

/// A flow: the chosen suppliers of every assigned node.
///
/// A node is assigned if it is the producer or the consumer of an edge; all others are idle spares. A flow
/// without edges is a valid plan to make nothing.
///
/// ```
/// use dmos_core::{Flow, ItemId, NodeId, SupplyEdge};
/// let (wood, door) = (NodeId::new(0), NodeId::new(1));
/// let flow = Flow::new(vec![SupplyEdge { consumer: door, item: ItemId::new(0), producer: wood }]);
/// assert!(flow.is_assigned(wood));
/// assert_eq!(flow.assignment(door).supplier(ItemId::new(0)), Some(wood));
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Flow {
    /// Sorted by consumer, item, producer; no edge twice.
    edges: Vec<SupplyEdge>,
    /// The share of each edge.
    shares: Vec<Share>,
    /// The same edges as (producer, consumer), sorted.
    by_producer: Vec<(NodeId, NodeId)>,
}

impl Flow {
    /// Returns a flow of these edges, in any order; duplicates count once. Where a requirement has several
    /// suppliers, they have equal shares.
    #[must_use]
    pub fn new(mut edges: Vec<SupplyEdge>) -> Self {
        edges.sort_unstable();
        edges.dedup();
        let mut shares = Vec::with_capacity(edges.len());
        for suppliers in edges.chunk_by(|a, b| (a.consumer, a.item) == (b.consumer, b.item)) {
            match suppliers.len() {
                1 => shares.push(Share::WHOLE),
                count => shares.extend(Share::split(&vec![1; count])),
            }
        }
        Self::of_sorted(edges, shares)
    }

    /// Returns a flow of these edges with their shares, in any order.
    ///
    /// # Panics
    /// If an edge is given twice.
    #[must_use]
    pub fn with_shares(mut supplies: Vec<(SupplyEdge, Share)>) -> Self {
        supplies.sort_unstable();
        let (edges, shares): (Vec<_>, Vec<_>) = supplies.into_iter().unzip();
        assert!(edges.windows(2).all(|pair| pair[0] < pair[1]), "an edge has one share");
        Self::of_sorted(edges, shares)
    }

    /// Returns the flow that supplies `consumers`, their suppliers, and so on upstream to the nodes that
    /// require nothing; `supplier` chooses the producer for each requirement. Time is linear in the chosen
    /// edges.
    #[must_use]
    pub fn upstream_of(
        network: &Network,
        mut consumers: Vec<NodeId>,
        mut supplier: impl FnMut(NodeId, ItemId) -> NodeId,
    ) -> Self {
        let mut planned = NodeSet::none(network.node_count());
        let mut edges = Vec::new();
        while let Some(consumer) = consumers.pop() {
            if planned.insert(consumer) {
                for &Requirement { item, .. } in network.requirements(consumer) {
                    let producer = supplier(consumer, item);
                    edges.push(SupplyEdge { consumer, item, producer });
                    consumers.push(producer);
                }
            }
        }
        Self::new(edges)
    }

    fn of_sorted(edges: Vec<SupplyEdge>, shares: Vec<Share>) -> Self {
        let mut by_producer: Vec<_> = edges.iter().map(|edge| (edge.producer, edge.consumer)).collect();
        by_producer.sort_unstable();
        by_producer.dedup();
        Self { edges, shares, by_producer }
    }

    /// Returns all edges, sorted by consumer, item, producer.
    #[must_use]
    pub fn edges(&self) -> &[SupplyEdge] {
        &self.edges
    }

    /// Returns all edges with their shares, sorted by consumer, item, producer.
    pub fn supplies(&self) -> impl Iterator<Item = (SupplyEdge, Share)> + '_ {
        self.edges.iter().copied().zip(self.shares.iter().copied())
    }

    /// Returns whether the flow has no edges.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.edges.is_empty()
    }

    /// Returns the edges that supply `node`, sorted by item, then producer. O(log edges).
    #[must_use]
    pub fn suppliers(&self, node: NodeId) -> &[SupplyEdge] {
        &self.edges[self.suppliers_range(node)]
    }

    /// Returns the edges that supply `node` with their shares, sorted by item, then producer. O(log edges).
    pub fn supplies_of(&self, node: NodeId) -> impl Iterator<Item = (SupplyEdge, Share)> + '_ {
        let range = self.suppliers_range(node);
        self.edges[range.clone()].iter().copied().zip(self.shares[range].iter().copied())
    }

    /// Returns the share of a producer in the supply of a consumer, if the flow has that edge.
    /// O(log edges).
    #[must_use]
    pub fn share(&self, producer: NodeId, consumer: NodeId) -> Option<Share> {
        self.supplies_of(consumer).find(|(edge, _)| edge.producer == producer).map(|(_, share)| share)
    }

    fn suppliers_range(&self, node: NodeId) -> Range<usize> {
        let from = self.edges.partition_point(|edge| edge.consumer < node);
        from..from + self.edges[from..].partition_point(|edge| edge.consumer == node)
    }

    /// Returns the consumers of `node` as sorted pairs (node, consumer). O(log edges).
    #[must_use]
    pub fn consumers(&self, node: NodeId) -> &[(NodeId, NodeId)] {
        let from = self.by_producer.partition_point(|edge| edge.0 < node);
        let to = from + self.by_producer[from..].partition_point(|edge| edge.0 == node);
        &self.by_producer[from..to]
    }

    /// Returns whether `node` is the producer or the consumer of an edge.
    #[must_use]
    pub fn is_assigned(&self, node: NodeId) -> bool {
        !self.suppliers(node).is_empty() || !self.consumers(node).is_empty()
    }

    /// Returns the producers and consumers of all edges, in ascending order. O(edges log edges).
    #[must_use]
    pub fn assigned_nodes(&self) -> Vec<NodeId> {
        let mut nodes: Vec<_> = self.edges.iter().flat_map(|edge| [edge.consumer, edge.producer]).collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    /// Returns the difference that leads from this flow to the other. O(edges).
    #[must_use]
    pub fn change_to(&self, other: &Self) -> FlowChange {
        let mut change = FlowChange::default();
        let (mut ours, mut theirs) = (self.supplies().peekable(), other.supplies().peekable());
        loop {
            match (ours.peek(), theirs.peek()) {
                (None, None) => return change,
                (Some(a), Some(b)) if a == b => {
                    ours.next();
                    theirs.next();
                }
                (Some(a), b) if b.is_none_or(|b| a < b) => {
                    change.removed.push(a.0);
                    ours.next();
                }
                (_, Some(b)) => {
                    change.added.push(*b);
                    theirs.next();
                }
                (Some(_), None) => unreachable!("the arm above handles edges of this flow only"),
            }
        }
    }

    /// Returns the number of edges that only one of the two flows has, regardless of shares. O(edges).
    #[must_use]
    pub fn edges_not_in_both(&self, other: &Self) -> u64 {
        let (mut ours, mut theirs) = (self.edges.iter().peekable(), other.edges.iter().peekable());
        let mut both = 0;
        while let (Some(a), Some(b)) = (ours.peek(), theirs.peek()) {
            let order = a.cmp(b);
            both += u64::from(order.is_eq());
            if order.is_le() {
                ours.next();
            }
            if order.is_ge() {
                theirs.next();
            }
        }
        (self.edges.len() + other.edges.len()) as u64 - 2 * both
    }

    /// Returns this flow with a change applied. O(edges).
    ///
    /// # Panics
    /// If a removed edge does not exist, or an added one does.
    #[must_use]
    pub fn changed(&self, change: &FlowChange) -> Self {
        let mut removed = change.removed.clone();
        removed.sort_unstable();
        let mut added = change.added.clone();
        added.sort_unstable();
        let mut supplies: Vec<(SupplyEdge, Share)> = Vec::with_capacity(self.edges.len() + added.len());
        let (mut removed, mut added) = (removed.iter().peekable(), added.into_iter().peekable());
        for supply in self.supplies() {
            if removed.next_if_eq(&&supply.0).is_some() {
                continue;
            }
            while let Some(earlier) = added.next_if(|added| added.0 < supply.0) {
                supplies.push(earlier);
            }
            supplies.push(supply);
        }
        assert!(removed.peek().is_none(), "only a present edge can be removed");
        supplies.extend(added);
        let (edges, shares): (Vec<_>, Vec<_>) = supplies.into_iter().unzip();
        assert!(edges.windows(2).all(|pair| pair[0] < pair[1]), "an edge has one share");
        Self::of_sorted(edges, shares)
    }

    /// Returns the assignment of `node`: its suppliers and consumers.
    #[must_use]
    pub fn assignment(&self, node: NodeId) -> Assignment {
        let range = self.suppliers_range(node);
        let supplies = self.edges[range.clone()].iter().zip(&self.shares[range]);
        let supply = |(edge, &share): (&SupplyEdge, &Share)| Supply {
            item: edge.item,
            producer: edge.producer,
            share,
        };
        Assignment {
            suppliers: supplies.map(supply).collect(),
            consumers: self.consumers(node).iter().map(|edge| edge.1).collect(),
            ..Assignment::default()
        }
    }
}

/// A difference between two flows. A changed share is a removal and an addition.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FlowChange {
    /// Edges to be removed.
    pub removed: Vec<SupplyEdge>,
    /// Edges to be added, with their shares.
    pub added: Vec<(SupplyEdge, Share)>,
}

impl FlowChange {
    /// Returns the nodes whose assignment may differ, in ascending order; that of all other nodes is
    /// unchanged.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeId> {
        let edges = self.removed.iter().chain(self.added.iter().map(|(edge, _)| edge));
        let mut nodes: Vec<_> = edges.flat_map(|edge| [edge.consumer, edge.producer]).collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }
}

/// A supplier of a node for one item, with its share.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Supply {
    /// The item.
    pub item: ItemId,
    /// The supplier.
    pub producer: NodeId,
    /// Share of the node's consumption.
    pub share: Share,
}

/// One node's fragment of a flow: its suppliers and its consumers.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Assignment {
    /// Its suppliers, sorted by item, then producer.
    pub suppliers: Box<[Supply]>,
    /// Its consumers in ascending order.
    pub consumers: Box<[NodeId]>,
    /// Planned production runs per second; zero without planned rates.
    pub rate: PlannedRate,
    /// Planned batches per second for each consumer; empty without planned rates.
    pub consumer_rates: Box<[PlannedRate]>,
    /// Planned batches per second of a final item that leave the factory.
    pub leaving: PlannedRate,
}

impl Assignment {
    /// Returns the number of edges of the node.
    #[must_use]
    pub fn edge_count(&self) -> usize {
        self.suppliers.len() + self.consumers.len()
    }

    /// Returns whether the node is an idle spare.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.edge_count() == 0
    }

    /// Returns the chosen supplier of `item`, the first if there are several.
    #[must_use]
    pub fn supplier(&self, item: ItemId) -> Option<NodeId> {
        self.suppliers_of(item).first().map(|supply| supply.producer)
    }

    /// Returns all chosen suppliers of `item`, in ascending order.
    #[must_use]
    pub fn suppliers_of(&self, item: ItemId) -> &[Supply] {
        let from = self.suppliers.partition_point(|supply| supply.item < item);
        let to = from + self.suppliers[from..].partition_point(|supply| supply.item == item);
        &self.suppliers[from..to]
    }

    /// Returns all nodes with which the node exchanges material; one may occur twice.
    pub fn neighbours(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.suppliers.iter().map(|supply| supply.producer).chain(self.consumers.iter().copied())
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
    fn a_change_leads_from_one_flow_to_the_other() {
        let before = Flow::new(vec![edge(0, 1, 0), edge(1, 3, 1), edge(5, 6, 2)]);
        let half = Share::from_millionths(500_000);
        let after = Flow::with_shares(vec![
            (edge(0, 2, 0), Share::WHOLE),
            (edge(5, 6, 2), half),
            (edge(4, 6, 2), half),
            (edge(2, 3, 1), Share::WHOLE),
        ]);
        for (from, to) in [(&before, &after), (&after, &before), (&before, &before)] {
            let change = from.change_to(to);
            assert_eq!(&from.changed(&change), to);
            for node in (0..7).map(NodeId::new).filter(|node| !change.nodes().contains(node)) {
                assert_eq!(from.assignment(node), to.assignment(node));
            }
        }
        assert_eq!(before.change_to(&before), FlowChange::default());
        assert_eq!((before.edges_not_in_both(&after), before.edges_not_in_both(&before)), (5, 0));
        let nodes: Vec<_> = before.change_to(&after).nodes().iter().map(|node| node.index()).collect();
        assert_eq!(nodes, [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn a_change_is_the_least() {
        let (a, b, c, d) = (edge(0, 1, 0), edge(1, 2, 1), edge(2, 3, 2), edge(3, 4, 3));
        let change = |from: &[SupplyEdge], to: &[SupplyEdge]| {
            let (from, to) = (Flow::new(from.to_vec()), Flow::new(to.to_vec()));
            let change = from.change_to(&to);
            assert_eq!(from.changed(&change), to);
            let added: Vec<_> = change.added.iter().map(|(edge, _)| *edge).collect();
            (change.removed, added)
        };
        assert_eq!(change(&[b], &[a, b, c]), (vec![], vec![a, c]));
        assert_eq!(change(&[a, b, c], &[b]), (vec![a, c], vec![]));
        assert_eq!(change(&[a, c], &[b, c, d]), (vec![a], vec![b, d]));
        assert_eq!(change(&[b, d], &[a, c]), (vec![b, d], vec![a, c]));
    }

    #[test]
    fn suppliers_of_an_item_have_shares() {
        let standby = (edge(4, 2, 0), Share::STANDBY);
        let flow = Flow::with_shares(vec![
            (edge(0, 2, 0), Share::WHOLE),
            standby,
            (edge(1, 2, 1), Share::WHOLE),
            (edge(0, 3, 0), Share::WHOLE),
        ]);
        let node = NodeId::new;
        assert_eq!(flow.share(node(0), node(2)), Some(Share::WHOLE));
        assert_eq!(flow.share(node(4), node(2)), Some(Share::STANDBY));
        assert_eq!(flow.share(node(4), node(3)), None);
        assert_eq!(flow.consumers(node(0)), [(node(0), node(2)), (node(0), node(3))]);
        assert_eq!(flow.suppliers(node(2)).len(), 3);
        let assigned: Vec<_> = flow.assigned_nodes().iter().map(|node| node.index()).collect();
        assert_eq!(assigned, [0, 1, 2, 3, 4]);
        let assignment = flow.assignment(node(2));
        let of_item: Vec<_> =
            assignment.suppliers_of(ItemId::new(0)).iter().map(|supply| supply.producer.index()).collect();
        assert_eq!((of_item, assignment.supplier(ItemId::new(1))), (vec![0, 4], Some(node(1))));
        assert_eq!(assignment.supplier(ItemId::new(2)), None);
    }

    #[test]
    fn a_flow_reaches_upstream_to_the_sources() {
        use crate::network::{Names, Recipe};
        let [wood, screw, door] = [0, 1, 2].map(ItemId::new);
        let recipes = [
            Recipe::of(wood, []),
            Recipe::of(wood, []),
            Recipe::of(screw, [wood]),
            Recipe::of(door, [wood, screw]),
        ];
        let names = (Names::Numbers(3), Names::Numbers(4));
        let network = Network::new(names.0, names.1, recipes.into_iter(), vec![door]).expect("a network");
        let last = |_, item| network.producers(item).last().copied().expect("a producer");
        let flow = Flow::upstream_of(&network, vec![NodeId::new(3)], last);
        assert_eq!(flow.edges(), [edge(1, 2, 0), edge(1, 3, 0), edge(2, 3, 1)]);
        assert!(!flow.is_empty());
    }

    #[test]
    fn several_suppliers_have_equal_shares() {
        let both = Flow::new(vec![edge(0, 2, 0), edge(1, 2, 0)]);
        assert!(both.supplies().all(|(_, share)| share.to_string() == "50 %"));
    }

    #[test]
    fn an_assignment_has_suppliers_and_consumers() {
        let flow = Flow::new(vec![edge(1, 2, 1), edge(0, 2, 0), edge(0, 1, 0), edge(0, 1, 0)]);
        assert_eq!(flow.edges().len(), 3);
        let part = flow.assignment(NodeId::new(1));
        assert_eq!(part.supplier(ItemId::new(0)), Some(NodeId::new(0)));
        assert_eq!(*part.consumers, [NodeId::new(2)]);
        assert_eq!((part.neighbours().count(), part.edge_count(), part.is_idle()), (2, 2, false));
        assert!(flow.is_assigned(NodeId::new(2)) && !flow.is_assigned(NodeId::new(3)));
        assert!(flow.assignment(NodeId::new(3)).is_idle() && Flow::default().is_empty());
    }
}
