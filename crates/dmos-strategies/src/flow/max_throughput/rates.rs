//! Rates of all items and nodes under a mix of recipes.

use dmos_core::flow::{FlowRates, PlannedRate};
use dmos_core::{ItemId, NodeId, Share, SupplyEdge};

use super::variants::{Mix, RecipeVariant, RecipeVariants};
use crate::flow::spread::{capacity, edges, restriction, spread, weights};
use crate::flow::wide::Wide;

/// Quantities of all items, by variant.
pub(super) struct Rates {
    pub(super) mix: Mix,
    /// By item, the number of batches per complete set.
    pub(super) demand: Vec<Wide>,
    /// Maximum number of complete sets per second.
    pub(super) rate: Wide,
}

impl Rates {
    /// Computes the rates of a mix: the highest that the capacities allow.
    pub(super) fn of(variants: &RecipeVariants<'_>, mix: Mix) -> Self {
        let mut demand = vec![Wide::ZERO; variants.of_item.len()];
        variants.weighted().for_each(|(item, weight)| demand[item.index()] = Wide::from(weight));
        let mut least: Option<Wide> = None;
        for &item in &variants.items {
            for (variant, &part) in variants.of_item[item.index()].iter().zip(&mix[item.index()]) {
                let made = demand[item.index()] * Wide::new(part);
                if made == Wide::ZERO {
                    continue;
                }
                let rate = variant.capacity / made;
                if least.is_none_or(|least| rate < least) {
                    least = Some(rate);
                }
                for required in variant.requires {
                    let taken = made * Wide::from(required.quantity) / Wide::from(variant.yields);
                    demand[required.item.index()] = demand[required.item.index()] + taken;
                }
            }
        }
        Self { mix, demand, rate: least.expect("a final item is made") }
    }

    /// Returns the utilisation of the nodes of a variant.
    pub(super) fn utilisation(&self, item: ItemId, variant: &RecipeVariant<'_>, part: f64) -> Wide {
        self.rate * self.demand[item.index()] * Wide::new(part) / variant.capacity
    }

    pub(super) fn utilisation_of_all(&self, variants: &RecipeVariants<'_>) -> Vec<f64> {
        let mut all = vec![0.0; variants.request.network.node_count()];
        for &item in &variants.items {
            for (variant, &part) in variants.of_item[item.index()].iter().zip(&self.mix[item.index()]) {
                let utilisation = self.utilisation(item, variant, part).to_f64();
                variant.nodes.iter().for_each(|node| all[node.index()] = utilisation);
            }
        }
        all
    }

    /// Returns the rates of all nodes. The batches of a final item that leave the factory come from its producers
    /// in proportion to what they make.
    pub(super) fn flow_rates(&self, variants: &RecipeVariants<'_>) -> FlowRates {
        let network = variants.request.network;
        let mut runs = vec![PlannedRate::default(); network.node_count()];
        let mut leaving = runs.clone();
        let mut weights = vec![0_u32; network.item_count()];
        variants.weighted().for_each(|(item, weight)| weights[item.index()] = weight);
        for &item in &variants.items {
            let demand = self.demand[item.index()];
            if demand == Wide::ZERO {
                continue;
            }
            let leaves = Wide::from(weights[item.index()]) / demand;
            for (variant, &part) in variants.of_item[item.index()].iter().zip(&self.mix[item.index()]) {
                let utilisation = self.utilisation(item, variant, part);
                for &node in &variant.nodes {
                    let made = capacity(network, node) * utilisation;
                    let run = made / Wide::from(variant.yields);
                    runs[node.index()] = PlannedRate::per_second(run.to_f64());
                    leaving[node.index()] = PlannedRate::per_second((made * leaves).to_f64());
                }
            }
        }
        FlowRates::new(runs, leaving)
    }

    /// Returns supply edges with shares that utilise all nodes of a variant equally, and whether broken links allow
    /// that.
    pub(super) fn supplies(&self, variants: &RecipeVariants<'_>) -> (Vec<(SupplyEdge, Share)>, bool) {
        let network = variants.request.network;
        let mut consumers: Vec<Vec<(NodeId, Wide)>> = vec![Vec::new(); variants.of_item.len()];
        let (mut supplies, mut is_exact) = (Vec::new(), true);
        for &item in &variants.items {
            let served = std::mem::take(&mut consumers[item.index()]);
            let (producers, made): (Vec<NodeId>, Vec<Wide>) = {
                let mut outputs = self.outputs(variants, item);
                is_exact &= !add_reachable(variants, item, &served, &mut outputs);
                outputs.into_iter().unzip()
            };
            for (&node, &made) in producers.iter().zip(&made) {
                for required in network.requirements(node) {
                    let yields = Wide::from(network.yield_per_run(node));
                    let taken = made * Wide::from(required.quantity) / yields;
                    consumers[required.item.index()].push((node, taken));
                }
            }
            if !served.is_empty() {
                let demands: Vec<Wide> = served.iter().map(|consumer| consumer.1).collect();
                let restriction = |consumer: usize| {
                    let consumer: (NodeId, Wide) = served[consumer];
                    restriction(variants.producers, &producers, consumer.0, item)
                };
                is_exact &= spread(&weights(&demands), &weights(&made), restriction, |consumer, shares| {
                    supplies.extend(edges(served[consumer].0, item, &producers, shares));
                });
            }
        }
        (supplies, is_exact)
    }

    /// Returns the producers of an item that are used, and what each makes per second.
    fn outputs(&self, variants: &RecipeVariants<'_>, item: ItemId) -> Vec<(NodeId, Wide)> {
        let mut outputs = Vec::new();
        for (variant, &part) in variants.of_item[item.index()].iter().zip(&self.mix[item.index()]) {
            let utilisation = self.utilisation(item, variant, part);
            if utilisation > Wide::ZERO {
                let made = |&node| (node, capacity(variants.request.network, node) * utilisation);
                outputs.extend(variant.nodes.iter().map(made));
            }
        }
        outputs
    }
}

/// Adds a producer for each consumer of an item that has a broken link to all that are used. Returns whether there is
/// such a consumer.
fn add_reachable(
    variants: &RecipeVariants<'_>,
    item: ItemId,
    consumers: &[(NodeId, Wide)],
    outputs: &mut Vec<(NodeId, Wide)>,
) -> bool {
    let before = outputs.len();
    for &(consumer, demand) in consumers {
        let is_usable = |&(node, _): &(NodeId, Wide)| variants.producers.has_working_link(node, consumer);
        if outputs.is_empty()
            || (variants.producers.is_restricted(consumer, item) && !outputs.iter().any(is_usable))
        {
            let reachable = variants.producers.with_working_link(consumer, item).next();
            outputs.push((reachable.expect("a feasible node can be supplied"), demand));
        }
    }
    outputs.len() > before
}
