//! The number of plans, and the cheapest ones.

use std::fmt::Write as _;

use dmos_core::Network;
use dmos_graph::plans::{NotCounted, Plan, Plans};
use num_bigint::BigUint;
use serde::Serialize;
use serde_json::Value;

use crate::commands::{about, json_name};

/// Maximum number of changes named for a plan.
const NAMED_MAX: usize = 20;

/// Formats the number of plans, as a number and as factors.
pub(crate) fn count(network: &Network, plans: &Result<Plans, NotCounted>) -> String {
    match plans {
        Ok(plans) => {
            let power = |(producers, items): (usize, usize)| match items {
                1 => producers.to_string(),
                items => format!("{producers}^{items}"),
            };
            let factors: Vec<_> = plans.factors().map(power).collect();
            let factors = if factors.len() > 1 || factors.iter().any(|factor| factor.contains('^')) {
                format!(" ({})", factors.join(" x "))
            } else {
                String::new()
            };
            format!("{}{factors} plans with one producer for each item", about(&plans.count().to_string()))
        }
        Err(NotCounted::NoFlow(_)) => "no plan".to_owned(),
        Err(NotCounted::UnlikeProducers(item)) => {
            format!("plans not counted: producers of `{}` differ in their recipes", network.item_name(*item))
        }
    }
}

/// Formats the cheapest plans with their costs and their differences from the first.
pub(super) fn best(network: &Network, plans: &Plans, times: usize) -> String {
    let best: Vec<Plan> = plans.best().take(times).collect();
    let mut text =
        String::from("\ncheapest plans with one producer per item (cost of all production runs):\n");
    for plan in &best {
        let changes = plan.producers.iter().zip(&best[0].producers).filter(|(this, first)| this != first);
        let mut changes: Vec<_> = changes
            .map(|((_, this), (_, first))| {
                format!("{} instead of {}", network.node_name(*this), network.node_name(*first))
            })
            .collect();
        let more = changes.len().saturating_sub(NAMED_MAX);
        changes.truncate(NAMED_MAX);
        if more > 0 {
            changes.push(format!("{more} more"));
        }
        let changes = match changes.is_empty() {
            true => "cheapest producer of each item".to_owned(),
            false => changes.join(", "),
        };
        let _ = writeln!(text, "{}: {changes}", cost(plan, plans));
    }
    text
}

/// Formats the cost of a plan for one batch of each final item, with two decimals.
fn cost(plan: &Plan, plans: &Plans) -> String {
    let hundredths = &plan.cost * 100_u32 / plans.batches();
    let (whole, part) = (&hundredths / 100_u32, &hundredths % 100_u32);
    let whole = about(&whole.to_string());
    match part == BigUint::ZERO || whole.contains('e') {
        true => whole,
        false => format!("{whole}.{:0>2}", part.to_string()),
    }
}

#[derive(Serialize)]
pub(super) struct PlansDocument {
    /// Number of plans with one producer for each item, as digits, because it exceeds any integer type.
    count: String,
    /// The same number as factors: a number of producers, and the number of items with so many.
    factors: Vec<(usize, usize)>,
    /// The cheapest plans, if requested.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    best: Vec<BestEntry>,
}

#[derive(Serialize)]
struct BestEntry {
    /// Cost for one batch of each final item.
    cost: String,
    /// Item and producer.
    producers: Vec<[Value; 2]>,
}

impl PlansDocument {
    pub(super) fn of(network: &Network, plans: &Plans, times: usize) -> Self {
        let names = network.node_names();
        let entry = |plan: Plan| BestEntry {
            cost: cost(&plan, plans),
            producers: plan
                .producers
                .iter()
                .map(|&(item, node)| [network.item_name(item), network.node_name(node)])
                .map(|both| both.map(|name| json_name(names, name)))
                .collect(),
        };
        Self {
            count: plans.count().to_string(),
            factors: plans.factors().collect(),
            best: plans.best().take(times).map(entry).collect(),
        }
    }
}
