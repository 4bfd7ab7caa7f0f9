//! The flow: which producers supply which consumers.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::ids::{ItemId, NodeId};
use crate::network::{Network, Requirement};
use crate::node_set::NodeSet;

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

/// A part of what a consumer takes of an item, in millionths.
///
/// The shares of all suppliers of one requirement add up to [`Share::WHOLE`]. A supplier with no share is a
/// standby: it works, but is asked only as long as those with a share are silent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "u32")]
pub struct Share(u32);

impl TryFrom<u32> for Share {
    type Error = &'static str;

    fn try_from(millionths: u32) -> Result<Self, Self::Error> {
        if millionths <= Self::WHOLE.0 { Ok(Self(millionths)) } else { Err("a share is a part of the whole") }
    }
}

impl Share {
    /// Nothing: the share of a standby.
    pub const STANDBY: Self = Self(0);
    /// All of it.
    pub const WHOLE: Self = Self(1_000_000);

    /// So many millionths.
    ///
    /// # Panics
    /// If that is more than the whole.
    #[must_use]
    pub fn from_millionths(millionths: u32) -> Self {
        assert!(millionths <= Self::WHOLE.0, "a share is a part of the whole");
        Self(millionths)
    }

    /// In millionths.
    #[must_use]
    pub fn millionths(self) -> u32 {
        self.0
    }

    /// Splits the whole in proportion to weights, so that the parts add up exactly: each is rounded down, and
    /// what is left goes to the largest remainders, the first of them first (Hamilton's method).
    ///
    /// All are standbys if no weight is above zero.
    #[must_use]
    pub fn split(weights: &[u64]) -> Vec<Self> {
        let whole = u128::from(Self::WHOLE.0);
        let total: u128 = weights.iter().map(|&weight| u128::from(weight)).sum();
        if total == 0 {
            return vec![Self::STANDBY; weights.len()];
        }
        let exact = |&weight: &u64| u128::from(weight) * whole;
        let mut shares: Vec<u128> = weights.iter().map(|weight| exact(weight) / total).collect();
        let left = usize::try_from(whole - shares.iter().sum::<u128>()).expect("less than one for each");
        let mut order: Vec<usize> = (0..weights.len()).collect();
        order.sort_by_key(|&at| std::cmp::Reverse(exact(&weights[at]) % total));
        order.iter().take(left).for_each(|&at| shares[at] += 1);
        shares.iter().map(|&share| Self(u32::try_from(share).expect("a part of a million"))).collect()
    }
}

impl fmt::Display for Share {
    /// In percent, or `standby`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("standby"),
            share => write!(f, "{} %", f64::from(share) / 10_000.0),
        }
    }
}

/// The chosen suppliers of every working node.
///
/// A node works if it stands in an edge, as producer or as consumer; the others are spares. A flow
/// without edges is a valid plan to make nothing.
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
    /// A flow of these edges, in any order; an edge given twice counts once. Where a requirement has several
    /// suppliers, their shares are equal.
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

    /// A flow of these edges with their shares, in any order.
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

    /// The flow that supplies `consumers`, those who supply them, and so on back to those who need nothing:
    /// `supplier` says who meets each requirement. Time is linear in the edges chosen.
    #[must_use]
    pub fn back_from(
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

    /// All edges, sorted by consumer, item, producer.
    #[must_use]
    pub fn edges(&self) -> &[SupplyEdge] {
        &self.edges
    }

    /// All edges with their shares, sorted by consumer, item, producer.
    pub fn supplies(&self) -> impl Iterator<Item = (SupplyEdge, Share)> + '_ {
        self.edges.iter().copied().zip(self.shares.iter().copied())
    }

    /// Whether nobody supplies anybody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.edges.is_empty()
    }

    /// The edges that supply `node`, sorted by item, then producer. O(log edges).
    #[must_use]
    pub fn suppliers(&self, node: NodeId) -> &[SupplyEdge] {
        &self.edges[self.suppliers_range(node)]
    }

    fn suppliers_range(&self, node: NodeId) -> Range<usize> {
        let from = self.edges.partition_point(|edge| edge.consumer < node);
        from..from + self.edges[from..].partition_point(|edge| edge.consumer == node)
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

    /// The nodes that stand in an edge, in ascending order. O(edges log edges).
    #[must_use]
    pub fn working(&self) -> Vec<NodeId> {
        let mut nodes: Vec<_> = self.edges.iter().flat_map(|edge| [edge.consumer, edge.producer]).collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    /// What is to be taken from this flow and added to it to come to the other. O(edges).
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
                (Some(_), None) => unreachable!("the arm before takes what only we have"),
            }
        }
    }

    /// This flow, changed. O(edges).
    ///
    /// # Panics
    /// If an edge is to be removed that is not there, or added that is.
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
        assert!(removed.peek().is_none(), "only an edge that is there can be removed");
        supplies.extend(added);
        let (edges, shares): (Vec<_>, Vec<_>) = supplies.into_iter().unzip();
        assert!(edges.windows(2).all(|pair| pair[0] < pair[1]), "an edge has one share");
        Self::of_sorted(edges, shares)
    }

    /// What `node` needs to know of the flow.
    #[must_use]
    pub fn part(&self, node: NodeId) -> FlowPart {
        let range = self.suppliers_range(node);
        let supplies = self.edges[range.clone()].iter().zip(&self.shares[range]);
        let supply = |(edge, &share): (&SupplyEdge, &Share)| Supply {
            item: edge.item,
            producer: edge.producer,
            share,
        };
        FlowPart {
            suppliers: supplies.map(supply).collect(),
            consumers: self.consumers(node).iter().map(|edge| edge.1).collect(),
        }
    }
}

/// Something that makes a flow invalid.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum FlowFault {
    /// An edge names a node or an item that is not in the network.
    #[error("the edge [{}, {}, {}] (producer, consumer, item) names what is not in the network", .0.producer, .0.consumer, .0.item)]
    Unknown(SupplyEdge),
    /// The producer does not make the item, or the consumer does not require it.
    #[error("node {} is to supply node {} with item {}, which does not fit their recipes", .0.producer, .0.consumer, .0.item)]
    Misfit(SupplyEdge),
    /// A node works that is dead.
    #[error("node {0} is dead, and planned with")]
    Dead(NodeId),
    /// A node works that nobody supplies with an item that it requires.
    #[error("node {node} works, but nobody supplies it with item {item}")]
    Unsupplied {
        /// The node.
        node: NodeId,
        /// The item.
        item: ItemId,
    },
    /// The shares of those who supply a node with an item do not add up to the whole.
    #[error("the shares of those who supply node {node} with item {item} add up to {total} millionths")]
    Shares {
        /// The node.
        node: NodeId,
        /// The item.
        item: ItemId,
        /// What they add up to.
        total: u64,
    },
}

impl Flow {
    /// All that makes this flow invalid in a network of which these nodes are alive, in no order. O(e log e) in
    /// the edges.
    ///
    /// With `stand_ins`, a node without any supplier may work, whatever it requires.
    #[must_use]
    pub fn faults(&self, network: &Network, alive: &NodeSet, stand_ins: bool) -> Vec<FlowFault> {
        let is_known = |edge: &SupplyEdge| {
            let nodes = network.node_count();
            edge.producer.index() < nodes
                && edge.consumer.index() < nodes
                && edge.item.index() < network.item_count()
        };
        let unknown = self.edges.iter().filter(|edge| !is_known(edge)).map(|&edge| FlowFault::Unknown(edge));
        let mut faults: Vec<_> = unknown.collect();
        if !faults.is_empty() {
            return faults;
        }
        let fits = |edge: &SupplyEdge| {
            let requirements = network.requirements(edge.consumer);
            let requires = requirements.binary_search_by_key(&edge.item, |required| required.item).is_ok();
            network.makes(edge.producer) == edge.item && requires
        };
        faults.extend(self.edges.iter().filter(|edge| !fits(edge)).map(|&edge| FlowFault::Misfit(edge)));
        let supplies: Vec<_> = self.supplies().collect();
        for suppliers in supplies.chunk_by(|(a, _), (b, _)| (a.consumer, a.item) == (b.consumer, b.item)) {
            let total = suppliers.iter().map(|(_, share)| u64::from(share.0)).sum();
            if total != u64::from(Share::WHOLE.0) {
                let (node, item) = (suppliers[0].0.consumer, suppliers[0].0.item);
                faults.push(FlowFault::Shares { node, item, total });
            }
        }
        for node in self.working() {
            if !alive.contains(node) {
                faults.push(FlowFault::Dead(node));
            }
            let suppliers = self.suppliers(node);
            if stand_ins && suppliers.is_empty() {
                continue;
            }
            let lacks = |item: &ItemId| suppliers.binary_search_by_key(item, |edge| edge.item).is_err();
            let lacking = network.requirements(node).iter().map(|required| required.item).filter(lacks);
            faults.extend(lacking.map(|item| FlowFault::Unsupplied { node, item }));
        }
        faults
    }
}

impl FlowFault {
    /// The same in words, with nodes and items by their names.
    #[must_use]
    pub fn explain(&self, network: &Network) -> String {
        let (node, item) = (|node| network.node_name(node), |item| network.item_name(item));
        match *self {
            Self::Unknown(_) => self.to_string(),
            Self::Misfit(edge) => format!(
                "`{}` is to supply `{}` with `{}`, which does not fit their recipes",
                node(edge.producer),
                node(edge.consumer),
                item(edge.item)
            ),
            Self::Dead(dead) => format!("`{}` is dead, and planned with", node(dead)),
            Self::Unsupplied { node: consumer, item: lacking } => {
                format!("`{}` works, but nobody supplies it with `{}`", node(consumer), item(lacking))
            }
            Self::Shares { node: consumer, item: supplied, total } => format!(
                "the shares of those who supply `{}` with `{}` add up to {total} millionths",
                node(consumer),
                item(supplied)
            ),
        }
    }
}

/// What is taken from a flow and added to it. A share that changes is removed and added.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FlowChange {
    /// Edges that are no longer there.
    pub removed: Vec<SupplyEdge>,
    /// Edges that are new, with their shares.
    pub added: Vec<(SupplyEdge, Share)>,
}

impl FlowChange {
    /// The nodes whose part of the flow may differ, in ascending order: no other node's does.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeId> {
        let edges = self.removed.iter().chain(self.added.iter().map(|(edge, _)| edge));
        let mut nodes: Vec<_> = edges.flat_map(|edge| [edge.consumer, edge.producer]).collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }
}

/// Who supplies a node with an item, and with how much of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Supply {
    /// The item.
    pub item: ItemId,
    /// The supplier.
    pub producer: NodeId,
    /// How much of what the node takes.
    pub share: Share,
}

/// One node's part of a flow: who supplies it and whom it supplies.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct FlowPart {
    /// Its suppliers, sorted by item, then producer.
    pub suppliers: Box<[Supply]>,
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
        self.suppliers_of(item).first().map(|supply| supply.producer)
    }

    /// All chosen suppliers of `item`, in ascending order.
    #[must_use]
    pub fn suppliers_of(&self, item: ItemId) -> &[Supply] {
        let from = self.suppliers.partition_point(|supply| supply.item < item);
        let to = from + self.suppliers[from..].partition_point(|supply| supply.item == item);
        &self.suppliers[from..to]
    }

    /// All nodes that the node exchanges goods with; one may come up twice.
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
                assert_eq!(from.part(node), to.part(node));
            }
        }
        assert_eq!(before.change_to(&before), FlowChange::default());
        let nodes: Vec<_> = before.change_to(&after).nodes().iter().map(|node| node.index()).collect();
        assert_eq!(nodes, [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn shares_add_up() {
        for weights in [&[1, 1, 1][..], &[5], &[0, 3, 0, 7], &[1; 7], &[u64::MAX, 1]] {
            let total: u32 = Share::split(weights).iter().map(|share| share.millionths()).sum();
            assert_eq!(total, Share::WHOLE.millionths(), "{weights:?}");
        }
        let thirds: Vec<_> = Share::split(&[1, 1, 1]).iter().map(|share| share.millionths()).collect();
        assert_eq!(thirds, [333_334, 333_333, 333_333]);
        assert_eq!(Share::split(&[0, 0]), [Share::STANDBY; 2]);
        assert_eq!(Share::split(&[]), []);
        let both = Flow::new(vec![edge(0, 2, 0), edge(1, 2, 0)]);
        assert!(both.supplies().all(|(_, share)| share.to_string() == "50 %"));
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
