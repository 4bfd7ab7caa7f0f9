//! Maximum throughput: the highest rate at which every final item can be made.
//!
//! Each node makes at most the yield of its recipe per process time. The recipes determine the quantity of every
//! item per finished good, and the item whose producers are fully utilised first limits the rate. Where all
//! producers of an item share a recipe, that is a closed form: demand is exploded through the recipes
//! (bill-of-materials explosion, J. Orlicky, "Material requirements planning", 1975). Where recipes differ,
//! the quantity made by each recipe is the solution of a linear program (T. C. Koopmans, "Activity analysis
//! of production and allocation", 1951), with one variable for each recipe of each item.
//!
//! In a deep assembly, demands differ by more than the tolerances of a solver and the range of a float. The
//! program is therefore scaled by a known plan, and only the proportions in which recipes share an item are
//! taken from the solution; the rate is then recomputed and compared with the solver's. If the plan has
//! improved, the scaling improves as well, and the program is solved again.

use std::collections::BTreeMap;

use dmos_core::strategy::{
    FlowDescriptor, FlowStrategy, Guarantee, Meter, NoFlow, PlanRequest, Rating, register_flow,
};
use dmos_core::{Flow, ItemId, NodeId, Requirement, Share, SupplyEdge};
use dmos_graph::Feasibility;
use microlp::{ComparisonOp, OptimizationDirection, Problem, SolveOutcome};

use super::spread::{capacity, edges, weights, wrap_around};
use super::wide::Wide;

register_flow!(FlowDescriptor {
    name: "max-throughput",
    summary: "maximum throughput of final items under the nodes' capacities, with the bottlenecks",
    source: "Orlicky 1975, Material requirements planning; where recipes differ Koopmans 1951, Activity analysis",
    notes: "finds a flow if one exists; the maximum rate in linear time if the producers of each item share a recipe, otherwise by a verified linear program; uses mean process times",
    guarantees: |_| &[Guarantee::FindsFlow],
    params: &[],
    build: |_| Box::new(MaxThroughput { utilisation: Vec::new() }),
});

/// Maximum number of entries of a linear program: a solver takes a minute for ten times as many.
const ENTRIES_MAX: usize = 20_000;

/// Maximum number of solutions, each scaled by a better plan.
const ROUNDS_MAX: usize = 20;

/// Relative difference below which rates count as equal.
const TOLERANCE: f64 = 1e-6;

/// Maximum number of bottlenecks named.
const NAMED_MAX: usize = 3;

/// Fraction of an item below which a supplier is not worth including.
const NOISE: f64 = 1e-9;

struct MaxThroughput {
    /// By node, its utilisation in the last plan.
    utilisation: Vec<f64>,
}

impl FlowStrategy for MaxThroughput {
    fn plan(&mut self, request: &PlanRequest<'_>, meter: &mut Meter) -> Result<Flow, NoFlow> {
        let network = request.network;
        let producers = Feasibility::of(network, request.alive);
        meter.charge(producers.steps())?;
        let finals = producers.finals(network)?;
        let variants = RecipeVariants::of(request, &producers, &finals);
        meter.charge(producers.steps())?;
        let mut plan = Rates::of(&variants, variants.mix_by_reach());
        let is_optimal = if variants.have_choices() { improve(&variants, &mut plan, meter)? } else { true };
        meter.note("is_optimal", u64::from(is_optimal));
        let bottlenecks = plan.bottlenecks(&variants);
        let names: Vec<_> = bottlenecks
            .iter()
            .take(NAMED_MAX)
            .map(|&item| format!("`{}`", network.item_name(item)))
            .collect();
        meter.remark(format!(
            "{} {} batches of each final item per hour; bottlenecks: all producers of {}{}",
            if is_optimal { "at most" } else { "at least" },
            in_batches(plan.rate * Wide::from(3600_u64)),
            names.join(", "),
            if bottlenecks.len() > NAMED_MAX { ", and others" } else { "" },
        ));
        let supplies = plan.supplies(&variants);
        meter.charge(supplies.len() as u64)?;
        self.utilisation = plan.utilisation_of_all(&variants);
        Ok(Flow::with_shares(supplies))
    }

    fn rating(&self, node: NodeId) -> Option<Rating> {
        let value = *self.utilisation.get(node.index())?;
        Some(Rating { measure: "utilisation", more: "more loaded", value })
    }
}

/// Formats a rate in batches, with about four digits.
fn in_batches(rate: Wide) -> String {
    match rate.to_f64() {
        small if small < 1e-3 => format!("{small:.3e}"),
        rate => format!("{rate:.4}"),
    }
}

/// Solves the linear program scaled by the plan, and repeats with the better plan until it no longer
/// improves. Returns whether the rate equals that of the solver.
fn improve(variants: &RecipeVariants<'_>, plan: &mut Rates, meter: &mut Meter) -> Result<bool, NoFlow> {
    for _ in 0..ROUNDS_MAX {
        if variants.entries() > ENTRIES_MAX {
            return Ok(false);
        }
        // At least one pass over every row for every variable.
        meter.charge((variants.entries() * variants.items.len()) as u64)?;
        let Some((mix, claimed)) = variants.solve(plan) else {
            return Ok(false);
        };
        let solved = Rates::of(variants, mix);
        let is_better = solved.rate > plan.rate * Wide::new(1.0 + TOLERANCE);
        if solved.rate > plan.rate {
            *plan = solved;
        }
        if plan.rate * Wide::new(1.0 + TOLERANCE) >= claimed {
            return Ok(true);
        }
        if !is_better {
            return Ok(false);
        }
    }
    Ok(false)
}

/// A recipe variant of an item: a recipe, and all producers that use it.
struct RecipeVariant<'a> {
    requires: &'a [Requirement],
    yields: u32,
    nodes: Vec<NodeId>,
    /// Total capacity of the producers, in batches per second.
    capacity: Wide,
}

/// All recipe variants of the needed items.
struct RecipeVariants<'a> {
    request: &'a PlanRequest<'a>,
    finals: &'a [ItemId],
    /// Needed items, each after all items that require it.
    items: Vec<ItemId>,
    /// By item; empty for items that are not needed.
    of_item: Vec<Vec<RecipeVariant<'a>>>,
}

/// By item and variant, the fraction of the item that is made by it. The fractions of a needed item add up to
/// one.
type Mix = Vec<Vec<f64>>;

impl<'a> RecipeVariants<'a> {
    fn of(request: &'a PlanRequest<'a>, producers: &Feasibility, finals: &'a [ItemId]) -> Self {
        let network = request.network;
        let mut is_needed = vec![false; network.item_count()];
        finals.iter().for_each(|item| is_needed[item.index()] = true);
        let mut variants = Self { request, finals, items: Vec::new(), of_item: Vec::new() };
        variants.of_item.resize_with(network.item_count(), Vec::new);
        for &item in network.topological_order().iter().rev() {
            if is_needed[item.index()] {
                variants.items.push(item);
                variants.of_item[item.index()] = ways_of(request, producers.of_item(item));
                for required in variants.of_item[item.index()].iter().flat_map(|variant| variant.requires) {
                    is_needed[required.item.index()] = true;
                }
            }
        }
        variants
    }

    fn have_choices(&self) -> bool {
        self.of_item.iter().any(|variants| variants.len() > 1)
    }

    /// Returns the number of entries of the linear program.
    fn entries(&self) -> usize {
        self.of_item.iter().flatten().map(|variant| 1 + variant.requires.len()).sum()
    }

    fn mix_by_capacity(&self) -> Mix {
        self.of_item
            .iter()
            .map(|variants| proportions(variants.iter().map(|variant| variant.capacity)))
            .collect()
    }

    /// Returns a mix in which each variant has a fraction proportional to what it could make with all
    /// supplies to itself.
    fn mix_by_reach(&self) -> Mix {
        let mut reach = vec![Wide::ZERO; self.of_item.len()];
        let mut mix = vec![Vec::new(); self.of_item.len()];
        for &item in self.items.iter().rev() {
            let of_way = |variant: &RecipeVariant<'_>| {
                let supplied = variant.requires.iter().map(|required| {
                    reach[required.item.index()] * Wide::from(variant.yields) / Wide::from(required.quantity)
                });
                supplied
                    .fold(variant.capacity, |least, supplied| if supplied < least { supplied } else { least })
            };
            let reaches: Vec<Wide> = self.of_item[item.index()].iter().map(of_way).collect();
            reach[item.index()] = reaches.iter().fold(Wide::ZERO, |sum, &reach| sum + reach);
            mix[item.index()] = proportions(reaches.into_iter());
        }
        mix
    }

    /// Returns the optimal mix by a linear program scaled by a known plan, and the rate that the solver
    /// reports, or `None` if it finds no solution.
    ///
    /// A variable is the quantity of an item made by one variant, relative to the quantity of the item in the
    /// known plan, if every variant has a small minimum fraction in it.
    fn solve(&self, known: &Rates) -> Option<(Mix, Wide)> {
        let blend = |(parts, others): (&Vec<f64>, Vec<f64>)| -> Vec<f64> {
            parts.iter().zip(others).map(|(part, other)| part * (1.0 - 1e-6) + other * 1e-6).collect()
        };
        let units = Rates::of(self, known.mix.iter().zip(self.mix_by_capacity()).map(blend).collect()).demand;
        let mut problem = Problem::new(OptimizationDirection::Maximize);
        let rate = problem.add_var(1.0, (0.0, f64::INFINITY));
        let mut variables: Vec<Vec<microlp::Variable>> = vec![Vec::new(); self.of_item.len()];
        let mut rows: Vec<Vec<(microlp::Variable, f64)>> = vec![Vec::new(); self.of_item.len()];
        for &item in &self.items {
            let made = units[item.index()] * known.rate;
            for variant in &self.of_item[item.index()] {
                let most = (variant.capacity / made).to_f64();
                let variable = problem.add_var(0.0, (0.0, if most < 1e9 { most } else { f64::INFINITY }));
                variables[item.index()].push(variable);
                rows[item.index()].push((variable, 1.0));
                for required in variant.requires {
                    let taken =
                        units[item.index()] * Wide::from(required.quantity) / Wide::from(variant.yields);
                    let over = (taken / units[required.item.index()]).to_f64();
                    rows[required.item.index()].push((variable, -over));
                }
            }
        }
        for item in self.finals {
            rows[item.index()].push((rate, -(Wide::ONE / units[item.index()]).to_f64()));
        }
        for item in &self.items {
            problem.add_constraint(&rows[item.index()][..], ComparisonOp::Ge, 0.0);
        }
        let Ok(SolveOutcome::Solution(solution)) = problem.solve() else {
            return None;
        };
        let mut mix = known.mix.clone();
        for item in &self.items {
            let made: Vec<f64> =
                variables[item.index()].iter().map(|&variant| solution.var_value(variant).max(0.0)).collect();
            let total: f64 = made.iter().sum();
            // Negligible quantities are solver noise.
            let made = made.iter().map(|&part| if part > total * NOISE { part } else { 0.0 });
            let total: f64 = made.clone().sum();
            if total > 0.0 {
                mix[item.index()] = made.map(|part| part / total).collect();
            }
        }
        let claimed = solution.var_value(rate);
        (claimed.is_finite() && claimed >= 0.0).then(|| (mix, Wide::new(claimed) * known.rate))
    }
}

/// Scales numbers so that they add up to one.
fn proportions(numbers: impl Iterator<Item = Wide> + Clone) -> Vec<f64> {
    let total = numbers.clone().fold(Wide::ZERO, |sum, number| sum + number);
    numbers.map(|number| (number / total).to_f64()).collect()
}

/// Groups the producers of an item by recipe, in the order of their first members.
fn ways_of<'a>(request: &PlanRequest<'a>, producers: &[NodeId]) -> Vec<RecipeVariant<'a>> {
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

/// Quantities of all items, by variant.
struct Rates {
    mix: Mix,
    /// By item, the number of batches per batch of each final item.
    demand: Vec<Wide>,
    /// Maximum rate of each final item, in batches per second.
    rate: Wide,
    /// An item with a fully utilised variant.
    limit: ItemId,
}

impl Rates {
    /// Computes the rates of a mix: the highest that the capacities allow.
    fn of(variants: &RecipeVariants<'_>, mix: Mix) -> Self {
        let mut demand = vec![Wide::ZERO; variants.of_item.len()];
        variants.finals.iter().for_each(|item| demand[item.index()] = Wide::ONE);
        let mut least: Option<(Wide, ItemId)> = None;
        for &item in &variants.items {
            for (variant, &part) in variants.of_item[item.index()].iter().zip(&mix[item.index()]) {
                let made = demand[item.index()] * Wide::new(part);
                if made == Wide::ZERO {
                    continue;
                }
                let rate = variant.capacity / made;
                if least.is_none_or(|least| rate < least.0) {
                    least = Some((rate, item));
                }
                for required in variant.requires {
                    let taken = made * Wide::from(required.quantity) / Wide::from(variant.yields);
                    demand[required.item.index()] = demand[required.item.index()] + taken;
                }
            }
        }
        let (rate, limit) = least.expect("a final item is made");
        Self { mix, demand, rate, limit }
    }

    /// Returns the items of which all producers are fully utilised, so that a higher rate needs more of them.
    /// If there are none, an item of which some producers are.
    fn bottlenecks(&self, variants: &RecipeVariants<'_>) -> Vec<ItemId> {
        let is_full = |item: ItemId| {
            let mut parts = variants.of_item[item.index()].iter().zip(&self.mix[item.index()]);
            parts.all(|(variant, &part)| self.utilisation(item, variant, part).to_f64() > 1.0 - TOLERANCE)
        };
        let full: Vec<_> = variants.items.iter().rev().copied().filter(|&item| is_full(item)).collect();
        if full.is_empty() { vec![self.limit] } else { full }
    }

    /// Returns the utilisation of the nodes of a variant.
    fn utilisation(&self, item: ItemId, variant: &RecipeVariant<'_>, part: f64) -> Wide {
        self.rate * self.demand[item.index()] * Wide::new(part) / variant.capacity
    }

    fn utilisation_of_all(&self, variants: &RecipeVariants<'_>) -> Vec<f64> {
        let mut all = vec![0.0; variants.request.network.node_count()];
        for &item in &variants.items {
            for (variant, &part) in variants.of_item[item.index()].iter().zip(&self.mix[item.index()]) {
                let utilisation = self.utilisation(item, variant, part).to_f64();
                variant.nodes.iter().for_each(|node| all[node.index()] = utilisation);
            }
        }
        all
    }

    /// Returns supply edges with shares that utilise all nodes of a variant equally.
    fn supplies(&self, variants: &RecipeVariants<'_>) -> Vec<(SupplyEdge, Share)> {
        let network = variants.request.network;
        let mut consumers: Vec<Vec<(NodeId, Wide)>> = vec![Vec::new(); variants.of_item.len()];
        let mut supplies = Vec::new();
        for &item in &variants.items {
            let (mut producers, mut capacities) = (Vec::new(), Vec::new());
            for (variant, &part) in variants.of_item[item.index()].iter().zip(&self.mix[item.index()]) {
                let use_of_capacity = self.utilisation(item, variant, part);
                if use_of_capacity == Wide::ZERO {
                    continue;
                }
                for &node in &variant.nodes {
                    let made = capacity(network, node) * use_of_capacity;
                    for required in variant.requires {
                        let taken = made * Wide::from(required.quantity) / Wide::from(variant.yields);
                        consumers[required.item.index()].push((node, taken));
                    }
                    producers.push(node);
                    capacities.push(made);
                }
            }
            let consumers = std::mem::take(&mut consumers[item.index()]);
            if !consumers.is_empty() {
                let demands: Vec<Wide> = consumers.iter().map(|consumer| consumer.1).collect();
                wrap_around(&weights(&demands), &weights(&capacities), |consumer, shares| {
                    supplies.extend(edges(consumers[consumer].0, item, &producers, shares));
                });
            }
        }
        supplies
    }
}
