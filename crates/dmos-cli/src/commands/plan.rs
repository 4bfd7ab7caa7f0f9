//! `dmos plan`: plans the flow once, as a leader would, and explains it.

mod dot;
mod explain;
pub(crate) mod plans;
mod text;

use std::collections::BTreeMap;

use dmos_core::flow::FlowRates;
use dmos_core::strategy::{
    Change, FlowChoice, FlowStrategy, Meter, PlanRequest, StrategyCall, ThroughputBound,
};
use dmos_core::{Flow, Network, NoFlow, NodeId, NodeSet, Registry, Scenario, Span, SupplyEdge};
use dmos_graph::plans::{NotCounted, Plans};
use dmos_scenario::unknown_node;
use serde::Serialize;
use serde_json::Value;

use crate::args::{PlanArguments, PlanFormat};
use crate::commands::bound::{bound, request};
use crate::commands::{json_name, load};
use crate::error::CliError;
use crate::output::{eprint_message, print, print_json};
use explain::{Alternative, Explanation, Supplier};
use plans::PlansDocument;

/// A plan with everything that is reported on it.
struct Planned<'a> {
    network: &'a Network,
    strategy: String,
    alive: &'a NodeSet,
    flow: Flow,
    /// Planned rates of the flow.
    rates: FlowRates,
    /// Bound of the machines, and the nodes that set it, if a planner computes them.
    bound: Option<ThroughputBound>,
    explanation: Explanation,
    meter: Meter,
    /// Virtual time of planning in the scenario.
    took: Span,
    no_flow: Option<NoFlow>,
    comparisons: Vec<Comparison>,
    /// All plans with one producer for each item.
    plans: Result<Plans, NotCounted>,
    /// Number of cheapest plans to be listed.
    best: usize,
}

impl Planned<'_> {
    /// Returns the planned complete sets of final items per hour.
    fn sets_per_hour(&self) -> f64 {
        self.rates.complete_sets(self.network) * 3_600.0
    }

    /// Returns the planned batches per hour of a supply edge.
    fn batches_per_hour(&self, producer: NodeId, consumer: NodeId) -> f64 {
        self.rates.edge(self.network, &self.flow, producer, consumer).as_f64() * 3_600.0
    }
}

/// Difference between two plans.
struct Comparison {
    /// Name of the other strategy.
    with: String,
    added: Vec<SupplyEdge>,
    removed: Vec<SupplyEdge>,
    kept: usize,
    /// Number of common edges with a different share.
    reshared: usize,
}

impl Comparison {
    fn new(with: String, other: &Flow, flow: &Flow) -> Self {
        let change = other.change_to(flow);
        let mut removed = change.removed;
        let mut added: Vec<_> = change.added.into_iter().map(|(edge, _)| edge).collect();
        let both: Vec<_> =
            removed.iter().filter(|&edge| added.binary_search(edge).is_ok()).copied().collect();
        for edges in [&mut removed, &mut added] {
            edges.retain(|edge| both.binary_search(edge).is_err());
        }
        Self { with, kept: other.edges().len() - removed.len(), added, removed, reshared: both.len() }
    }
}

pub(crate) fn run(arguments: &PlanArguments, registry: &Registry) -> Result<(), CliError> {
    let scenario = load(&arguments.scenario, &arguments.changes.overrides(), registry)?.scenario;
    let network = &*scenario.network;
    let failed = failed(network, &arguments.without)?;
    let other = arguments.diff.as_ref().map(|other| choose(other, network, registry)).transpose()?;
    let mut alive = NodeSet::all(network.node_count());
    let mut planner = scenario.flow.build();
    let (plan_before, _) =
        if failed.is_empty() { (None, None) } else { first_plan(&scenario, &mut *planner, &alive) };
    for &node in &failed {
        alive.remove(node);
    }
    let changes: Vec<_> = failed.iter().map(|&node| Change::Failed(node)).collect();
    let started = now();
    let mut meter = Meter::new(scenario.planning_budget.get());
    let planned = plan(&scenario, &mut *planner, &alive, plan_before.as_ref(), &changes, &mut meter);
    let elapsed = started.elapsed();
    let (flow, no_flow) = match planned {
        Ok(flow) => (flow, None),
        // The failure of an external program is an error rather than a result.
        Err(failed @ NoFlow::PlannerFailed { .. }) => {
            return Err(CliError::Found(format!("error: {failed}")));
        }
        Err(no_flow) => (Flow::default(), Some(no_flow)),
    };
    let mut comparisons = Vec::new();
    if let Some(before) = &plan_before {
        comparisons.push(Comparison::new(
            "relative to the plan with all nodes alive".to_owned(),
            before,
            &flow,
        ));
    }
    if let Some(other) = other {
        let (other_flow, why) = first_plan(&scenario, &mut *other.build(), &alive);
        if let Some(no_flow) = why {
            eprint_message(&format!("{other} finds no flow: {}", no_flow.explain(network)));
        }
        let with = format!("relative to the plan of {other}");
        comparisons.push(Comparison::new(with, &other_flow.unwrap_or_default(), &flow));
    }
    let bound = bound(&scenario, &alive, registry);
    let derive = || FlowRates::derive(network, &flow);
    let rates = planner.rates().filter(|_| no_flow.is_none()).cloned().unwrap_or_else(derive);
    let planned = Planned {
        network,
        rates,
        bound,
        strategy: scenario.flow.to_string(),
        alive: &alive,
        explanation: Explanation::of(network, &alive, &*planner, &flow),
        flow,
        took: scenario.work.planning_step.of(meter.steps()),
        meter,
        no_flow,
        comparisons,
        plans: Plans::of(network, &alive),
        best: arguments.best,
    };
    match arguments.format {
        PlanFormat::Table => print(&text::text(&planned))?,
        PlanFormat::Json => print_json(&PlanDocument::of(&planned))?,
        PlanFormat::Dot => print(&dot::dot(&planned))?,
    }
    if let Some(no_flow) = &planned.no_flow {
        eprint_message(&format!("no flow: {}", no_flow.explain(network)));
    }
    eprint_message(&format!("planned in {elapsed:.1?} (wall-clock time)"));
    Ok(())
}

/// The real time of planning is reported to the user, and is part of no result.
#[expect(clippy::disallowed_methods)]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

fn choose(call: &StrategyCall, network: &Network, registry: &Registry) -> Result<FlowChoice, CliError> {
    registry.flow(call, network).map_err(|error| CliError::Input(format!("--diff {call}: {error}")))
}

/// Plans as a leader does: from scratch, or as a change of the active flow.
fn plan(
    scenario: &Scenario,
    planner: &mut dyn FlowStrategy,
    alive: &NodeSet,
    active: Option<&Flow>,
    changes: &[Change],
    meter: &mut Meter,
) -> Result<Flow, NoFlow> {
    let request = PlanRequest { active, changes, ..request(scenario, alive) };
    match active {
        Some(flow) => planner.replan(&request, meter).map(|change| flow.changed(&change)),
        None => planner.plan(&request, meter),
    }
}

/// Returns a first plan, or the reason why there is none.
fn first_plan(
    scenario: &Scenario,
    planner: &mut dyn FlowStrategy,
    alive: &NodeSet,
) -> (Option<Flow>, Option<NoFlow>) {
    let mut meter = Meter::new(scenario.planning_budget.get());
    match plan(scenario, planner, alive, None, &[], &mut meter) {
        Ok(flow) => (Some(flow), None),
        Err(no_flow) => (None, Some(no_flow)),
    }
}

fn failed(network: &Network, without: &[String]) -> Result<Vec<NodeId>, CliError> {
    let find = |name: &String| {
        network
            .find_node(name)
            .ok_or_else(|| CliError::Input(format!("--without: {}", unknown_node(name, network))))
    };
    let mut failed = without.iter().map(find).collect::<Result<Vec<_>, _>>()?;
    failed.sort_unstable();
    failed.dedup();
    Ok(failed)
}

#[derive(Serialize)]
struct PlanDocument<'a> {
    flow: &'a str,
    /// Complete sets of final items per hour that no plan can exceed.
    #[serde(skip_serializing_if = "Option::is_none")]
    sets_per_hour: Option<f64>,
    /// Nodes that set this bound; empty if they are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    bottleneck: Option<Vec<Value>>,
    /// Complete sets of final items per hour at the planned rates of this flow.
    planned_sets_per_hour: f64,
    /// Producer, consumer, item.
    edges: Vec<[Value; 3]>,
    steps: u64,
    /// Virtual time of the planning steps.
    took_s: f64,
    counters: BTreeMap<&'static str, u64>,
    remarks: &'a [String],
    /// Measure by which the planner scores nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    measure: Option<&'static str>,
    nodes: Vec<WorkingEntry>,
    comparisons: Vec<ComparisonEntry<'a>>,
    /// All plans with one producer for each item, unless they cannot be counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    plans: Option<PlansDocument>,
    /// Reason why there is no flow.
    #[serde(skip_serializing_if = "Option::is_none")]
    no_flow: Option<String>,
}

#[derive(Serialize)]
struct WorkingEntry {
    node: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    rating: Option<f64>,
    /// Planned production runs per hour.
    runs_per_hour: f64,
    needs: Vec<NeedEntry>,
}

#[derive(Serialize)]
struct NeedEntry {
    item: Value,
    suppliers: Vec<SupplierEntry>,
    /// Alternatives, by the reason why they were not chosen.
    alternatives: BTreeMap<&'static str, Vec<AlternativeEntry>>,
}

#[derive(Serialize)]
struct SupplierEntry {
    node: Value,
    /// Fraction of the requirement; zero for a standby.
    share: f64,
    /// Planned batches per hour.
    batches_per_hour: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    rating: Option<f64>,
}

#[derive(Serialize)]
struct AlternativeEntry {
    node: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    rating: Option<f64>,
}

#[derive(Serialize)]
struct ComparisonEntry<'a> {
    with: &'a str,
    added: Vec<[Value; 3]>,
    removed: Vec<[Value; 3]>,
    kept: usize,
    reshared: usize,
}

impl<'a> PlanDocument<'a> {
    fn of(planned: &'a Planned<'_>) -> Self {
        let network = planned.network;
        let node = |node: NodeId| json_name(network.node_names(), network.node_name(node));
        let item = |item| json_name(network.node_names(), network.item_name(item));
        let edge = |edge: &SupplyEdge| [node(edge.producer), node(edge.consumer), item(edge.item)];
        let supplier = |consumer: NodeId, supplier: &Supplier| SupplierEntry {
            node: node(supplier.node),
            share: f64::from(supplier.share.millionths()) / 1e6,
            batches_per_hour: planned.batches_per_hour(supplier.node, consumer),
            rating: supplier.rating,
        };
        let alternative =
            |other: &Alternative| AlternativeEntry { node: node(other.node), rating: other.rating };
        let need = |consumer: NodeId, met: &explain::Met| NeedEntry {
            item: item(met.item),
            suppliers: met.suppliers.iter().map(|met| supplier(consumer, met)).collect(),
            alternatives: met
                .alternatives
                .iter()
                .map(|(why, nodes)| (*why, nodes.iter().map(alternative).collect()))
                .collect(),
        };
        let working = |working: &explain::Working| WorkingEntry {
            node: node(working.node),
            rating: working.rating,
            runs_per_hour: planned.rates.runs(working.node).as_f64() * 3_600.0,
            needs: working.requirements.iter().map(|met| need(working.node, met)).collect(),
        };
        let comparison = |comparison: &'a Comparison| ComparisonEntry {
            with: &comparison.with,
            added: comparison.added.iter().map(edge).collect(),
            removed: comparison.removed.iter().map(edge).collect(),
            kept: comparison.kept,
            reshared: comparison.reshared,
        };
        Self {
            flow: &planned.strategy,
            sets_per_hour: planned.bound.as_ref().map(|bound| bound.sets_per_second * 3_600.0),
            bottleneck: planned
                .bound
                .as_ref()
                .map(|bound| bound.bottleneck.iter().map(|&bottleneck| node(bottleneck)).collect()),
            planned_sets_per_hour: planned.sets_per_hour(),
            edges: by_producer(&planned.flow).iter().map(edge).collect(),
            steps: planned.meter.steps(),
            took_s: planned.took.as_secs_f64(),
            counters: planned.meter.counters().iter().copied().collect(),
            remarks: planned.meter.remarks(),
            measure: planned.explanation.measure,
            nodes: planned.explanation.nodes.iter().map(working).collect(),
            comparisons: planned.comparisons.iter().map(comparison).collect(),
            plans: planned.plans.as_ref().ok().map(|plans| PlansDocument::of(network, plans, planned.best)),
            no_flow: planned.no_flow.as_ref().map(|no_flow| no_flow.explain(network)),
        }
    }
}

/// Returns the edges by producer, then consumer, then item.
fn by_producer(flow: &Flow) -> Vec<SupplyEdge> {
    let mut edges = flow.edges().to_vec();
    edges.sort_unstable_by_key(|edge| (edge.producer, edge.consumer, edge.item));
    edges
}
