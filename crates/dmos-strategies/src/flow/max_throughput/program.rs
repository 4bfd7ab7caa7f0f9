//! The linear program of all plans, and what it tells: the optimal mix of recipes, and the bottleneck.

use dmos_core::strategy::{Meter, NoFlow};
use dmos_core::{ItemId, NodeId};
use microlp::{ComparisonOp, OptimizationDirection, Problem, SolveOutcome};

use super::rates::Rates;
use super::variants::{Mix, RecipeVariant, RecipeVariants};
use crate::flow::wide::Wide;

/// Maximum number of entries of a linear program: a solver takes a minute for ten times as many.
const ENTRIES_MAX: usize = 20_000;

/// Maximum number of solutions, each scaled by a better plan.
const ROUNDS_MAX: usize = 20;

/// Relative difference below which rates count as equal.
const TOLERANCE: f64 = 1e-6;

/// Relative increase of a rate that counts as one; the solver's tolerance is far below it.
const RAISED: f64 = 1e-5;

/// Maximum number of fully utilised variants of which those that do not matter are left out of the bottleneck.
const REDUCED_MAX: usize = 50;

/// Fraction of an item below which a supplier is not worth including.
const NOISE: f64 = 1e-9;

/// Solves the linear program scaled by the plan, and repeats with the better plan until it no longer
/// improves. Returns whether the rate equals that of the solver.
pub(super) fn improve(
    variants: &RecipeVariants<'_>,
    plan: &mut Rates,
    meter: &mut Meter,
) -> Result<bool, NoFlow> {
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

impl RecipeVariants<'_> {
    /// Returns the optimal mix by a linear program scaled by a known plan, and the rate that the solver
    /// reports, or `None` if it finds no solution.
    fn solve(&self, known: &Rates) -> Option<(Mix, Wide)> {
        let program = Program::new(self, known, |_| 1.0);
        let Ok(SolveOutcome::Solution(solution)) = program.problem.solve() else {
            return None;
        };
        let mut mix = known.mix.clone();
        for item in &self.items {
            let of_item = program.variables[item.index()].iter();
            let made: Vec<f64> = of_item.map(|&variant| solution.var_value(variant).max(0.0)).collect();
            let total: f64 = made.iter().sum();
            // Negligible quantities are solver noise.
            let made = made.iter().map(|&part| if part > total * NOISE { part } else { 0.0 });
            let total: f64 = made.clone().sum();
            if total > 0.0 {
                mix[item.index()] = made.map(|part| part / total).collect();
            }
        }
        let claimed = solution.var_value(program.rate);
        (claimed.is_finite() && claimed >= 0.0).then(|| (mix, Wide::new(claimed) * known.rate))
    }

    /// Returns the nodes that set the rate of an optimal plan: more speed of all of them raises it, more speed of
    /// all others does not. The fully utilised nodes are such a set; those that it does not need are left out.
    pub(super) fn bottleneck(&self, optimal: &Rates) -> Vec<NodeId> {
        let mut full = self.fully_utilised(optimal);
        if self.have_choices() && full.len() <= REDUCED_MAX {
            for variant in full.clone() {
                let rest: Vec<_> = full.iter().copied().filter(|other| *other != variant).collect();
                let others_raise = self.is_raised(optimal, |doubled| !rest.contains(&doubled));
                if !others_raise && self.is_raised(optimal, |doubled| rest.contains(&doubled)) {
                    full = rest;
                }
            }
        }
        let nodes = full.iter().flat_map(|&(item, nth)| &self.of_item[item.index()][nth].nodes);
        let mut nodes: Vec<NodeId> = nodes.copied().collect();
        nodes.sort_unstable();
        nodes
    }

    /// Returns the variants without capacity to spare, consumers first.
    fn fully_utilised(&self, plan: &Rates) -> Vec<VariantIndex> {
        let mut full = Vec::new();
        for &item in &self.items {
            let parts = self.of_item[item.index()].iter().zip(&plan.mix[item.index()]).enumerate();
            let is_full = |(variant, &part): (&RecipeVariant<'_>, &f64)| {
                plan.utilisation(item, variant, part).to_f64() > 1.0 - TOLERANCE
            };
            full.extend(parts.filter(|(_, parts)| is_full(*parts)).map(|(nth, _)| (item, nth)));
        }
        full
    }

    /// Returns whether twice the speed of some variants raises the optimal rate.
    fn is_raised(&self, optimal: &Rates, is_doubled: impl Fn(VariantIndex) -> bool) -> bool {
        let program = Program::new(self, optimal, |variant| if is_doubled(variant) { 2.0 } else { 1.0 });
        match program.problem.solve() {
            Ok(SolveOutcome::Solution(solution)) => solution.var_value(program.rate) > 1.0 + RAISED,
            _ => false,
        }
    }
}

/// An item, and the number of one of its variants.
type VariantIndex = (ItemId, usize);

/// The linear program of all plans.
///
/// A variable is the quantity of an item made by one variant, relative to the quantity of the item in a known plan,
/// if every variant has a small minimum fraction in it. The rate is relative to that of the known plan.
struct Program {
    problem: Problem,
    rate: microlp::Variable,
    /// By item and variant.
    variables: Vec<Vec<microlp::Variable>>,
    /// By item, the unit of its variables in batches per batch of a complete set.
    units: Vec<Wide>,
}

impl Program {
    /// Returns the program in which each variant has a multiple of its speed.
    fn new(variants: &RecipeVariants<'_>, known: &Rates, speed: impl Fn(VariantIndex) -> f64) -> Self {
        let blend = |(parts, others): (&Vec<f64>, Vec<f64>)| -> Vec<f64> {
            parts.iter().zip(others).map(|(part, other)| part * (1.0 - 1e-6) + other * 1e-6).collect()
        };
        let mix = known.mix.iter().zip(variants.mix_by_capacity()).map(blend).collect();
        let units = Rates::of(variants, mix).demand;
        let mut problem = Problem::new(OptimizationDirection::Maximize);
        let rate = problem.add_var(1.0, (0.0, f64::INFINITY));
        let variables = vec![Vec::new(); variants.of_item.len()];
        let mut program = Self { problem, rate, variables, units };
        program.add_items(variants, known, speed);
        program
    }

    fn add_items(
        &mut self,
        variants: &RecipeVariants<'_>,
        known: &Rates,
        speed: impl Fn(VariantIndex) -> f64,
    ) {
        let mut rows: Vec<Vec<(microlp::Variable, f64)>> = vec![Vec::new(); variants.of_item.len()];
        for &item in &variants.items {
            for (nth, variant) in variants.of_item[item.index()].iter().enumerate() {
                let made = self.units[item.index()] * known.rate;
                let most = (variant.capacity / made).to_f64() * speed((item, nth));
                let variable =
                    self.problem.add_var(0.0, (0.0, if most < 1e9 { most } else { f64::INFINITY }));
                self.variables[item.index()].push(variable);
                rows[item.index()].push((variable, 1.0));
                for required in variant.requires {
                    let taken =
                        self.units[item.index()] * Wide::from(required.quantity) / Wide::from(variant.yields);
                    let over = (taken / self.units[required.item.index()]).to_f64();
                    rows[required.item.index()].push((variable, -over));
                }
            }
        }
        for (item, weight) in variants.weighted() {
            rows[item.index()].push((self.rate, -(Wide::from(weight) / self.units[item.index()]).to_f64()));
        }
        for item in &variants.items {
            self.problem.add_constraint(&rows[item.index()][..], ComparisonOp::Ge, 0.0);
        }
    }
}
