//! Validity of flows.

use thiserror::Error;

use super::{Flow, Share};
use crate::broken_links::BrokenLinks;
use crate::ids::{ItemId, NodeId};
use crate::network::{Network, SupplyEdge};
use crate::node_set::NodeSet;

/// A reason why a flow is invalid.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum FlowViolation {
    /// An edge names a node or an item outside the network.
    #[error("the edge [{}, {}, {}] (producer, consumer, item) is not in the network", .0.producer, .0.consumer, .0.item)]
    Unknown(SupplyEdge),
    /// The producer does not make the item, or the consumer does not require it.
    #[error("node {} is to supply node {} with item {}, which does not match their recipes", .0.producer, .0.consumer, .0.item)]
    Misfit(SupplyEdge),
    /// An assigned node is not alive.
    #[error("node {0} has failed, but is assigned")]
    Failed(NodeId),
    /// The link between producer and consumer is broken.
    #[error("node {} is to supply node {}, but the link between them is broken", .0.producer, .0.consumer)]
    BrokenLink(SupplyEdge),
    /// An assigned node has no supplier for an item that it requires.
    #[error("node {node} is assigned, but has no supplier for item {item}")]
    Unsupplied {
        /// The node.
        node: NodeId,
        /// The item.
        item: ItemId,
    },
    /// The shares of an item's suppliers do not add up to the whole.
    #[error("the shares of the suppliers of item {item} to node {node} add up to {total} millionths")]
    Shares {
        /// The node.
        node: NodeId,
        /// The item.
        item: ItemId,
        /// Sum of the shares, in millionths.
        total: u64,
    },
}

impl Flow {
    /// Returns everything that makes this flow invalid, in no particular order, in a network of which the
    /// nodes in `alive` are alive and the links in `broken_links` are broken. O(e log e) in the edges.
    ///
    /// With `substitute_ends`, a node without suppliers may be assigned whatever it requires.
    #[must_use]
    pub fn violations(
        &self,
        network: &Network,
        alive: &NodeSet,
        broken_links: &BrokenLinks,
        substitute_ends: bool,
    ) -> Vec<FlowViolation> {
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
        let is_broken = |edge: &&SupplyEdge| broken_links.contains(edge.producer, edge.consumer);
        violations.extend(self.edges.iter().filter(is_broken).map(|&edge| FlowViolation::BrokenLink(edge)));
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
                violations.push(FlowViolation::Failed(node));
            }
            let suppliers = self.suppliers(node);
            if substitute_ends && suppliers.is_empty() {
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
    /// Returns a description with nodes and items by name.
    #[must_use]
    pub fn explain(&self, network: &Network) -> String {
        let (node, item) = (|node| network.node_name(node), |item| network.item_name(item));
        match *self {
            Self::Unknown(_) => self.to_string(),
            Self::Misfit(edge) => format!(
                "`{}` is to supply `{}` with `{}`, which does not match their recipes",
                node(edge.producer),
                node(edge.consumer),
                item(edge.item)
            ),
            Self::Failed(failed) => format!("`{}` has failed, but is assigned", node(failed)),
            Self::BrokenLink(edge) => format!(
                "`{}` is to supply `{}`, but the link between them is broken",
                node(edge.producer),
                node(edge.consumer)
            ),
            Self::Unsupplied { node: consumer, item: lacking } => {
                format!("`{}` is assigned, but has no supplier for `{}`", node(consumer), item(lacking))
            }
            Self::Shares { node: consumer, item: supplied, total } => format!(
                "the shares of the suppliers of `{}` to `{}` add up to {total} millionths",
                item(supplied),
                node(consumer)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Names, Recipe};

    /// Returns a network in which nodes 0 and 1 make wood, node 2 screws, and node 3 a door of both.
    fn network() -> Network {
        let [wood, screw, door] = [0, 1, 2].map(ItemId::new);
        let recipes = [
            Recipe::of(wood, []),
            Recipe::of(wood, []),
            Recipe::of(screw, []),
            Recipe::of(door, [wood, screw]),
        ];
        let words = |names: &[&str]| Names::Words(names.iter().map(|&name| name.to_owned()).collect());
        let names = (words(&["wood", "screw", "door"]), words(&["forest", "park", "lathe", "joiner"]));
        Network::new(names.0, names.1, recipes.into_iter(), vec![door]).expect("a valid network")
    }

    fn edge(producer: usize, consumer: usize, item: usize) -> SupplyEdge {
        SupplyEdge {
            producer: NodeId::new(producer),
            consumer: NodeId::new(consumer),
            item: ItemId::new(item),
        }
    }

    /// Returns the descriptions of the violations of a flow in which node 1 is not alive and the link between nodes 2 and
    /// 3 is broken as said.
    fn explained(flow: &Flow, dead: bool, broken: bool, substitute_ends: bool) -> Vec<String> {
        let network = network();
        let mut alive = NodeSet::all(4);
        if dead {
            alive.remove(NodeId::new(1));
        }
        let link = broken.then_some((NodeId::new(2), NodeId::new(3)));
        let links: BrokenLinks = link.into_iter().collect();
        let violations = flow.violations(&network, &alive, &links, substitute_ends);
        violations.iter().map(|violation| violation.explain(&network)).collect()
    }

    #[test]
    fn a_whole_flow_is_valid() {
        let flow = Flow::new(vec![edge(0, 3, 0), edge(2, 3, 1)]);
        assert_eq!(explained(&flow, true, false, false), [""; 0]);
        let both = Flow::new(vec![edge(0, 3, 0), edge(1, 3, 0), edge(2, 3, 1)]);
        assert_eq!(explained(&both, false, false, false), [""; 0]);
        assert_eq!(explained(&both, true, false, false), ["`park` has failed, but is assigned"]);
        assert_eq!(
            explained(&both, false, true, false),
            ["`lathe` is to supply `joiner`, but the link between them is broken"]
        );
    }

    #[test]
    fn each_item_required_has_suppliers_for_the_whole() {
        let half = Share::from_millionths(500_000);
        let lacking = Flow::with_shares(vec![(edge(0, 3, 0), half)]);
        assert_eq!(
            explained(&lacking, false, false, true),
            [
                "the shares of the suppliers of `wood` to `joiner` add up to 500000 millionths",
                "`joiner` is assigned, but has no supplier for `screw`"
            ]
        );
        let halves = Flow::with_shares(vec![
            (edge(0, 3, 0), half),
            (edge(1, 3, 0), half),
            (edge(2, 3, 1), Share::WHOLE),
        ]);
        assert_eq!(explained(&halves, false, false, false), [""; 0]);
    }

    #[test]
    fn an_edge_matches_the_recipes_of_its_nodes() {
        let misfit = |producer, consumer, item, text: &str| {
            let mut edges = vec![edge(0, 3, 0), edge(2, 3, 1)];
            edges.push(edge(producer, consumer, item));
            assert_eq!(
                explained(&Flow::new(edges), false, false, false).first().map(String::as_str),
                Some(text)
            );
        };
        misfit(1, 3, 2, "`park` is to supply `joiner` with `door`, which does not match their recipes");
        misfit(0, 2, 0, "`forest` is to supply `lathe` with `wood`, which does not match their recipes");
        for (producer, consumer, item) in [(4, 3, 0), (0, 4, 0), (0, 3, 3)] {
            let text = format!(
                "the edge [{producer}, {consumer}, {item}] (producer, consumer, item) is not in the network"
            );
            misfit(producer, consumer, item, &text);
        }
    }

    #[test]
    fn a_node_without_any_supplier_may_substitute_for_a_source() {
        let [wood, door, house] = [0, 1, 2].map(ItemId::new);
        let recipes = [Recipe::of(wood, []), Recipe::of(door, [wood]), Recipe::of(house, [door])];
        let names = (Names::Numbers(3), Names::Numbers(3));
        let network = Network::new(names.0, names.1, recipes.into_iter(), vec![house]).expect("a network");
        let flow = Flow::new(vec![edge(1, 2, 1)]);
        let violations =
            |substitute| flow.violations(&network, &NodeSet::all(3), &BrokenLinks::NONE, substitute);
        assert_eq!(violations(true), []);
        let (node, item) = (NodeId::new(1), ItemId::new(0));
        assert_eq!(violations(false), [FlowViolation::Unsupplied { node, item }]);
    }
}
