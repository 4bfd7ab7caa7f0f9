//! Recipe variants: producers of an item grouped by recipe.

use std::collections::BTreeMap;

use dmos_core::strategy::{NoFlow, PlanRequest};
use dmos_core::{ItemId, NodeId, Requirement};
use dmos_graph::Feasibility;

use crate::flow::spread::capacity;
use crate::flow::wide::Wide;

/// A recipe variant of an item: a recipe, and all producers that use it.
pub(super) struct RecipeVariant<'a> {
    pub(super) requires: &'a [Requirement],
    pub(super) yields: u32,
    pub(super) nodes: Vec<NodeId>,
    /// Total capacity of the producers, in batches per second.
    pub(super) capacity: Wide,
}

/// All recipe variants of the needed items.
pub(super) struct RecipeVariants<'a> {
    pub(super) request: &'a PlanRequest<'a>,
    pub(super) producers: &'a Feasibility,
    /// Final items that can be made.
    pub(super) finals: Vec<ItemId>,
    /// Needed items, each after all items that require it.
    pub(super) items: Vec<ItemId>,
    /// By item; empty for items that are not needed.
    pub(super) of_item: Vec<Vec<RecipeVariant<'a>>>,
}

/// By item and variant, the fraction of the item that is made by it. The fractions of a needed item add up to
/// one.
pub(super) type Mix = Vec<Vec<f64>>;

impl<'a> RecipeVariants<'a> {
    pub(super) fn of(request: &'a PlanRequest<'a>, producers: &'a Feasibility) -> Result<Self, NoFlow> {
        let network = request.network;
        let finals = producers.finals(network)?;
        let mut is_needed = vec![false; network.item_count()];
        finals.iter().for_each(|item| is_needed[item.index()] = true);
        let mut variants = Self { request, producers, finals, items: Vec::new(), of_item: Vec::new() };
        variants.of_item.resize_with(network.item_count(), Vec::new);
        for &item in network.topological_order().iter().rev() {
            if is_needed[item.index()] {
                variants.items.push(item);
                variants.of_item[item.index()] = variants_of(request, producers.of_item(item));
                for required in variants.of_item[item.index()].iter().flat_map(|variant| variant.requires) {
                    is_needed[required.item.index()] = true;
                }
            }
        }
        Ok(variants)
    }

    /// Returns a final item that cannot be made.
    pub(super) fn missing(&self) -> Option<ItemId> {
        self.request.network.final_items().iter().copied().find(|item| !self.finals.contains(item))
    }

    /// Returns the final items that can be made, with their weights.
    pub(super) fn weighted(&self) -> impl Iterator<Item = (ItemId, u32)> + '_ {
        self.request.network.final_weights().filter(|(item, _)| self.finals.contains(item))
    }

    pub(super) fn have_choices(&self) -> bool {
        self.of_item.iter().any(|variants| variants.len() > 1)
    }

    /// Returns the number of entries of the linear program.
    pub(super) fn entries(&self) -> usize {
        self.of_item.iter().flatten().map(|variant| 1 + variant.requires.len()).sum()
    }

    pub(super) fn mix_by_capacity(&self) -> Mix {
        self.of_item
            .iter()
            .map(|variants| proportions(variants.iter().map(|variant| variant.capacity)))
            .collect()
    }

    /// Returns a mix in which each variant has a fraction proportional to what it could make with all
    /// supplies to itself.
    pub(super) fn mix_by_reach(&self) -> Mix {
        self.reach().1
    }

    /// Returns a rate that no plan can exceed: that at which each final item has all supplies to itself.
    pub(super) fn rate_of_reach(&self) -> Wide {
        let reach = self.reach().0;
        let rates = self.weighted().map(|(item, weight)| reach[item.index()] / Wide::from(weight));
        rates.reduce(|least, rate| if rate < least { rate } else { least }).unwrap_or(Wide::ZERO)
    }

    /// Returns by item what could be made with all supplies to itself, in batches per second, and by variant the
    /// fraction that it contributes.
    pub(super) fn reach(&self) -> (Vec<Wide>, Mix) {
        let mut reach = vec![Wide::ZERO; self.of_item.len()];
        let mut mix = vec![Vec::new(); self.of_item.len()];
        for &item in self.items.iter().rev() {
            let of_variant = |variant: &RecipeVariant<'_>| {
                let supplied = variant.requires.iter().map(|required| {
                    reach[required.item.index()] * Wide::from(variant.yields) / Wide::from(required.quantity)
                });
                supplied
                    .fold(variant.capacity, |least, supplied| if supplied < least { supplied } else { least })
            };
            let reaches: Vec<Wide> = self.of_item[item.index()].iter().map(of_variant).collect();
            reach[item.index()] = reaches.iter().fold(Wide::ZERO, |sum, &reach| sum + reach);
            mix[item.index()] = proportions(reaches.into_iter());
        }
        (reach, mix)
    }
}

/// Scales numbers so that they add up to one.
fn proportions(numbers: impl Iterator<Item = Wide> + Clone) -> Vec<f64> {
    let total = numbers.clone().fold(Wide::ZERO, |sum, number| sum + number);
    numbers.map(|number| (number / total).to_f64()).collect()
}

/// Groups the producers of an item by recipe, in the order of their first members.
fn variants_of<'a>(request: &PlanRequest<'a>, producers: &[NodeId]) -> Vec<RecipeVariant<'a>> {
    let network = request.network;
    let mut variants: Vec<RecipeVariant<'a>> = Vec::new();
    let mut places: BTreeMap<(&[Requirement], u32), usize> = BTreeMap::new();
    for &node in producers {
        let (requires, yields) = (network.requirements(node), network.yield_per_run(node));
        let is_as_before =
            variants.last().is_some_and(|variant| (variant.requires, variant.yields) == (requires, yields));
        let place = match is_as_before {
            true => variants.len() - 1,
            false => *places.entry((requires, yields)).or_insert(variants.len()),
        };
        if place == variants.len() {
            variants.push(RecipeVariant { requires, yields, nodes: Vec::new(), capacity: Wide::ZERO });
        }
        variants[place].nodes.push(node);
        variants[place].capacity = variants[place].capacity + capacity(network, node);
    }
    variants
}
