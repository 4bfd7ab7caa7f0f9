//! What makes a flow invalid: the one place that says so.

use thiserror::Error;

use super::{Flow, Share};
use crate::ids::{ItemId, NodeId};
use crate::network::{Network, SupplyEdge};
use crate::node_set::NodeSet;

/// Something that makes a flow invalid.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum FlowViolation {
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
    pub fn violations(&self, network: &Network, alive: &NodeSet, stand_ins: bool) -> Vec<FlowViolation> {
        let is_known = |edge: &SupplyEdge| {
            let nodes = network.node_count();
            edge.producer.index() < nodes
                && edge.consumer.index() < nodes
                && edge.item.index() < network.item_count()
        };
        let unknown =
            self.edges.iter().filter(|edge| !is_known(edge)).map(|&edge| FlowViolation::Unknown(edge));
        let mut violations: Vec<_> = unknown.collect();
        if !violations.is_empty() {
            return violations;
        }
        let fits = |edge: &SupplyEdge| {
            let requirements = network.requirements(edge.consumer);
            let requires = requirements.binary_search_by_key(&edge.item, |required| required.item).is_ok();
            network.makes(edge.producer) == edge.item && requires
        };
        violations
            .extend(self.edges.iter().filter(|edge| !fits(edge)).map(|&edge| FlowViolation::Misfit(edge)));
        let supplies: Vec<_> = self.supplies().collect();
        for suppliers in supplies.chunk_by(|(a, _), (b, _)| (a.consumer, a.item) == (b.consumer, b.item)) {
            let total = suppliers.iter().map(|(_, share)| u64::from(share.millionths())).sum();
            if total != u64::from(Share::WHOLE.millionths()) {
                let (node, item) = (suppliers[0].0.consumer, suppliers[0].0.item);
                violations.push(FlowViolation::Shares { node, item, total });
            }
        }
        for node in self.assigned_nodes() {
            if !alive.contains(node) {
                violations.push(FlowViolation::Dead(node));
            }
            let suppliers = self.suppliers(node);
            if stand_ins && suppliers.is_empty() {
                continue;
            }
            let lacks = |item: &ItemId| suppliers.binary_search_by_key(item, |edge| edge.item).is_err();
            let lacking = network.requirements(node).iter().map(|required| required.item).filter(lacks);
            violations.extend(lacking.map(|item| FlowViolation::Unsupplied { node, item }));
        }
        violations
    }
}

impl FlowViolation {
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
