//! Maximum throughput: the highest rate of complete sets of final items.
//!
//! Each node makes at most the yield of its recipe per process time. The recipes determine the quantity of every
//! item per finished good, and the item whose producers are fully utilised first limits the rate. Where all
//! producers of an item share a recipe, that is a closed form: demand is exploded through the recipes
//! (bill-of-materials explosion, J. Orlicky, "Material requirements planning", 1975). Where recipes differ,
//! the quantity made by each recipe is the solution of a linear program (T. C. Koopmans, "Activity analysis
//! of production and allocation", 1951), with one variable for each recipe of each item.
//!
//! The **bottleneck** is a smallest set of nodes of which more speed of all raises the rate, while more speed of all
//! others does not. The fully utilised nodes are such a set (complementary slackness). Where recipes differ, nodes
//! are left out one after the other as long as linear programs with twice the speed of some nodes confirm it.
//!
//! In a deep assembly, demands differ by more than the tolerances of a solver and the range of a float. The
//! program is therefore scaled by a known plan, and only the proportions in which recipes share an item are
//! taken from the solution; the rate is then recomputed and compared with the solver's. If the plan has
//! improved, the scaling improves as well, and the program is solved again.

mod program;
mod rates;
mod variants;

use dmos_core::flow::FlowRates;
use dmos_core::strategy::{
    FlowDescriptor, FlowStrategy, Guarantee, Meter, NoFlow, PlanRequest, Rating, ThroughputBound,
    register_flow,
};
use dmos_core::{Flow, NodeId};
use dmos_graph::Feasibility;

use super::wide::Wide;
use program::improve;
use rates::Rates;
use variants::RecipeVariants;

register_flow!(FlowDescriptor {
    name: "max-throughput",
    summary: "maximum throughput of complete sets under the nodes' capacities, with the bottleneck",
    source: "Orlicky 1975, Material requirements planning; where recipes differ Koopmans 1951, Activity analysis",
    notes: "finds a flow if one exists; the maximum rate in linear time if the producers of each item share a recipe, otherwise by a verified linear program; uses mean process times",
    guarantees: |_| &[Guarantee::FindsFlow],
    params: &[],
    build: |_| Box::new(MaxThroughput { utilisation: Vec::new(), rates: None }),
});

struct MaxThroughput {
    /// By node, its utilisation in the last plan.
    utilisation: Vec<f64>,
    /// Rates of the last plan.
    rates: Option<FlowRates>,
}

/// An optimal plan, or the best that was found.
struct Optimum {
    rates: Rates,
    is_optimal: bool,
    /// Complete sets per second that no plan can exceed.
    bound: Wide,
}

impl Optimum {
    fn of(variants: &RecipeVariants<'_>, meter: &mut Meter) -> Result<Self, NoFlow> {
        let mut rates = Rates::of(variants, variants.mix_by_reach());
        let is_optimal = !variants.have_choices() || improve(variants, &mut rates, meter)?;
        let bound = match variants.missing() {
            Some(_) => Wide::ZERO,
            None if is_optimal => rates.rate,
            None => variants.rate_of_reach(),
        };
        Ok(Self { rates, is_optimal, bound })
    }
}

impl FlowStrategy for MaxThroughput {
    fn plan(&mut self, request: &PlanRequest<'_>, meter: &mut Meter) -> Result<Flow, NoFlow> {
        let producers = Feasibility::of_request(request);
        meter.charge(producers.steps())?;
        let variants = RecipeVariants::of(request, &producers)?;
        meter.charge(producers.steps())?;
        let optimum = Optimum::of(&variants, meter)?;
        meter.note("is_optimal", u64::from(optimum.is_optimal));
        remark(&variants, &optimum).into_iter().for_each(|remark| meter.remark(remark));
        let (supplies, is_exact) = optimum.rates.supplies(&variants);
        meter.charge(supplies.len() as u64)?;
        self.utilisation = optimum.rates.utilisation_of_all(&variants);
        // Around broken links some suppliers may be overloaded, so that the rates follow from the shares.
        self.rates = is_exact.then(|| optimum.rates.flow_rates(&variants));
        if !is_exact {
            meter.remark("broken links reduce the planned rate below the bound".to_owned());
        }
        Ok(Flow::with_shares(supplies))
    }

    fn rates(&self) -> Option<&FlowRates> {
        self.rates.as_ref()
    }

    fn bound(&self, request: &PlanRequest<'_>) -> Option<ThroughputBound> {
        let producers = Feasibility::of_request(request);
        let variants = RecipeVariants::of(request, &producers).ok()?;
        let optimum = Optimum::of(&variants, &mut Meter::new(u64::MAX)).ok()?;
        let bottleneck = match optimum.is_optimal && variants.missing().is_none() {
            true => variants.bottleneck(&optimum.rates),
            false => Vec::new(),
        };
        Some(ThroughputBound { sets_per_second: optimum.bound.to_f64(), bottleneck })
    }

    fn rating(&self, node: NodeId) -> Option<Rating> {
        let value = *self.utilisation.get(node.index())?;
        Some(Rating { measure: "utilisation", more: "more loaded", value })
    }
}

/// Returns what limits a plan other than its bound.
fn remark(variants: &RecipeVariants<'_>, optimum: &Optimum) -> Option<String> {
    if let Some(missing) = variants.missing() {
        let missing = variants.request.network.item_name(missing);
        return Some(format!("no complete sets: the nodes that are alive cannot make `{missing}`"));
    }
    let planned = per_hour(optimum.rates.rate.to_f64());
    (!optimum.is_optimal)
        .then(|| format!("planned {planned} complete sets per hour, which may not be the most"))
}

/// Formats a rate per hour with about four digits.
fn per_hour(rate_per_second: f64) -> String {
    match rate_per_second * 3_600.0 {
        small if small < 1e-3 => format!("{small:.3e}"),
        rate => format!("{rate:.4}").trim_end_matches('0').trim_end_matches('.').to_owned(),
    }
}
