//! Explanation of a plan: the suppliers of each requirement, and the alternatives.

use dmos_core::strategy::{FlowStrategy, Rating};
use dmos_core::{Flow, ItemId, Network, NodeId, NodeSet, Share};
use dmos_graph::Feasibility;

/// Explanation of a plan, node by node.
pub(super) struct Explanation {
    /// Measure by which the planner scores nodes.
    pub(super) measure: Option<&'static str>,
    /// All assigned nodes, in ascending order.
    pub(super) nodes: Vec<Working>,
}

/// An assigned node.
pub(super) struct Working {
    pub(super) node: NodeId,
    pub(super) rating: Option<f64>,
    pub(super) requirements: Vec<Met>,
}

/// A requirement with its suppliers.
pub(super) struct Met {
    pub(super) item: ItemId,
    pub(super) suppliers: Vec<Supplier>,
    /// Alternatives by the reason why they were not chosen, in ascending order.
    pub(super) alternatives: Vec<(&'static str, Vec<Alternative>)>,
}

pub(super) struct Supplier {
    pub(super) node: NodeId,
    pub(super) share: Share,
    pub(super) rating: Option<f64>,
}

pub(super) struct Alternative {
    pub(super) node: NodeId,
    pub(super) rating: Option<f64>,
}

impl Explanation {
    /// Explains the last flow of `planner`.
    pub(super) fn of(network: &Network, alive: &NodeSet, planner: &dyn FlowStrategy, flow: &Flow) -> Self {
        let producers = Feasibility::of(network, alive);
        let rating = |node| planner.rating(node).map(|rating| rating.value);
        let working = |node: NodeId| {
            let part = flow.assignment(node);
            let met = |required: &dmos_core::Requirement| {
                let item = required.item;
                let supplier = |supply: &dmos_core::Supply| Supplier {
                    node: supply.producer,
                    share: supply.share,
                    rating: rating(supply.producer),
                };
                let mut suppliers: Vec<_> = part.suppliers_of(item).iter().map(supplier).collect();
                suppliers.sort_by_key(|supplier| std::cmp::Reverse(supplier.share));
                let why = Why { network, alive, producers: &producers, planner, flow };
                let alternatives = why.alternatives(item, &suppliers);
                Met { item, suppliers, alternatives }
            };
            let requirements = network.requirements(node).iter().map(met).collect();
            Working { node, rating: rating(node), requirements }
        };
        let nodes: Vec<_> = flow.assigned_nodes().into_iter().map(working).collect();
        let measure = nodes.iter().find_map(|working| planner.rating(working.node));
        Self { measure: measure.map(|rating| rating.measure), nodes }
    }
}

/// The data that explain why a producer was not chosen.
struct Why<'a> {
    network: &'a Network,
    alive: &'a NodeSet,
    producers: &'a Feasibility,
    planner: &'a dyn FlowStrategy,
    flow: &'a Flow,
}

impl Why<'_> {
    /// Returns the reason, given the highest score of the chosen suppliers.
    fn why(&self, node: NodeId, rating: Option<Rating>, chosen: f64) -> &'static str {
        match rating {
            _ if !self.alive.contains(node) => "failed",
            _ if !self.producers.contains(self.network, node) => "infeasible",
            Some(rating) if rating.value > chosen => rating.more,
            _ if self.flow.is_assigned(node) => "equivalent",
            _ => "idle",
        }
    }

    fn alternatives(&self, item: ItemId, suppliers: &[Supplier]) -> Vec<(&'static str, Vec<Alternative>)> {
        let ratings = suppliers.iter().map(|supplier| supplier.rating.unwrap_or(f64::INFINITY));
        let chosen = ratings.fold(f64::NEG_INFINITY, f64::max);
        let mut alternatives: Vec<(&'static str, Vec<Alternative>)> = Vec::new();
        for &node in self.network.producers(item) {
            if suppliers.iter().any(|supplier| supplier.node == node) {
                continue;
            }
            let rating = self.planner.rating(node);
            let why = self.why(node, rating, chosen);
            let other = Alternative { node, rating: rating.map(|rating| rating.value) };
            match alternatives.iter_mut().find(|(known, _)| *known == why) {
                Some((_, nodes)) => nodes.push(other),
                None => alternatives.push((why, vec![other])),
            }
        }
        alternatives
    }
}
