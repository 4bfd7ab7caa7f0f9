//! A run as a JSON document.

use std::collections::BTreeMap;

use dmos_core::metrics::Metric;
use dmos_core::record::{
    FaultCount, FaultRecord, LeadershipChange, MaterialBalance, NodeUsage, Outage, PlanRecord, Removal,
    Violation,
};
use dmos_core::scenario::SameTimeOrder;
use dmos_core::settings::{Protocol, Work};
use dmos_core::{Distribution, Faults, Network, NodeId, NodeMetrics, RunRecord, Scenario, Span, Time};
use serde::Serialize;

use crate::factory::facts::{healthy_removals, longest_leaderless};
use crate::summary::{Statistics, Summary};

/// Provenance of a run: everything needed to repeat it.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Provenance {
    /// The version of DMOS.
    pub version: String,
    /// Scenario file as given.
    pub file: String,
    /// The SHA-256 of the scenario's text, in hexadecimal.
    pub sha256: String,
    /// Settings from the command line as given.
    pub overrides: Vec<String>,
    /// The scenario's text.
    pub text: String,
}

/// A run in serializable form.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct RunDocument {
    /// Name of the scenario.
    pub scenario: String,
    /// Seed of the run.
    pub seed: u64,
    /// Flow strategy with its parameters.
    pub flow: String,
    /// Leader strategy with its parameters.
    pub leader: String,
    /// Failure detector with its parameters.
    pub detector: String,
    /// Duration of the run, in seconds of virtual time.
    pub duration_s: f64,
    /// Time from which metrics are measured, in seconds of virtual time.
    pub measured_from_s: f64,
    /// Number of events simulated.
    pub events: u64,
    /// Finished goods made.
    pub finished_goods: u64,
    /// Finished goods made, by item.
    pub finished: BTreeMap<String, u64>,
    /// Number of complete sets of final items: the smallest quotient of finished goods and weight.
    pub complete_sets: u64,
    /// Output of each item in the measured time.
    pub items: BTreeMap<String, ItemEntry>,
    /// Node that limited the output, as measured.
    pub bottleneck: Option<BottleneckEntry>,
    /// Flow time of finished goods.
    pub flow_time: Option<FlowTimeEntry>,
    /// By node and item, the seconds in which the node lacked the item.
    pub starved: BTreeMap<String, BTreeMap<String, f64>>,
    /// Number of suspicions of nodes that were up for the whole time of their silence.
    pub wrong_suspicions: u64,
    /// Number of healthy nodes that a leader removed from the membership.
    pub healthy_removals: u64,
    /// Longest time without a leader, in seconds.
    pub longest_leaderless_s: f64,
    /// Statistics of each metric, by name.
    pub metrics: BTreeMap<&'static str, Statistics>,
    /// Metrics of each node, by name of the node. Under `production: server` also the seconds in which it was
    /// `working`, `starved`, `blocked`, `idle` and `down`, and time averages and peaks of its material.
    pub nodes: BTreeMap<String, BTreeMap<&'static str, f64>>,
    /// All plans, in the order in which they became ready.
    pub plans: Vec<PlanEntry>,
    /// All faults of nodes, in order of time.
    pub faults: Vec<FaultEntry>,
    /// All outages of nodes.
    pub outages: Vec<OutageEntry>,
    /// All changes of leadership.
    pub leadership_changes: Vec<LeadershipEntry>,
    /// All removals of nodes from the membership.
    pub removals: Vec<RemovalEntry>,
    /// Number of faults of each kind, injected and effective.
    pub fault_counts: Vec<FaultCount>,
    /// Location of all batches at the end.
    pub material: MaterialBalance,
    /// Violated invariants.
    pub violations: Vec<Violation>,
    /// Coverage properties that were reached, and how often.
    pub coverage: BTreeMap<&'static str, u64>,
    /// Reason why the liveness properties were not checked, if the scenario has a `heal_at`.
    pub liveness_not_checked: Option<String>,
}

/// Output of an item.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct ItemEntry {
    /// Batches made.
    pub made: u64,
    /// Batches made per hour.
    pub made_per_hour: f64,
    /// Finished goods.
    pub finished: u64,
    /// Finished goods per hour.
    pub finished_per_hour: f64,
}

/// A measured bottleneck.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct BottleneckEntry {
    /// The node.
    pub node: String,
    /// Share of the time in which it was up and assigned that it worked.
    pub working_share: f64,
    /// Its longest uninterrupted period of work, in seconds.
    pub longest_working_s: f64,
}

/// Flow time of finished goods.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct FlowTimeEntry {
    /// Mean in seconds.
    pub mean_s: f64,
    /// Maximum in seconds.
    pub max_s: f64,
}

/// A fault.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct FaultEntry {
    /// Time in seconds.
    pub at_s: f64,
    /// Its kind.
    pub fault: &'static str,
    /// Affected node, or `None` if the fault affects no particular node or had no target.
    pub node: Option<String>,
    /// True if it changed anything.
    pub effective: bool,
}

/// An outage of a node.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct OutageEntry {
    /// The node.
    pub node: String,
    /// Start in seconds.
    pub from_s: f64,
    /// End in seconds, or `None` if it did not end.
    pub until_s: Option<f64>,
    /// True if the node had an assignment in the active flow.
    pub was_assigned: bool,
}

/// A change of leadership.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct LeadershipEntry {
    /// Time in seconds.
    pub at_s: f64,
    /// The new leader.
    pub node: String,
    /// Term of the new leader.
    pub term: u64,
}

/// A removal of a node from the membership.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct RemovalEntry {
    /// Time in seconds.
    pub at_s: f64,
    /// The node.
    pub node: String,
    /// The leader that removed it.
    pub by: String,
}

/// A plan.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct PlanEntry {
    /// Time at which it became ready, in seconds.
    pub at_s: f64,
    /// Node that planned.
    pub by: String,
    /// Duration of planning, in seconds of virtual time.
    pub duration_s: f64,
    /// Elementary planning steps.
    pub steps: u64,
    /// Number of supply edges, or `None` if no flow was found.
    pub edges: Option<u64>,
    /// Number of edges changed from the active flow, or `None` if the plan was not activated.
    pub changed: Option<u64>,
    /// Reason why nothing can be made, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_flow: Option<String>,
    /// Reason why planning was inconclusive, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inconclusive: Option<String>,
    /// True if the plan was activated.
    pub active: bool,
}

/// Effective settings of a run, including defaults.
#[derive(Debug, Serialize)]
pub struct ResolvedSettings<'a> {
    nodes: usize,
    items: usize,
    candidates: usize,
    planning_budget: u64,
    measure_from: Span,
    sample_every: Span,
    protocol: &'a Protocol,
    delays: DelaySettings<'a>,
    work: &'a Work,
    faults: &'a Faults,
    same_time_order: SameTimeOrder,
}

/// Delays of starts and of transport, in the notation of scenario files.
#[derive(Debug, Serialize)]
struct DelaySettings<'a> {
    between_starts: Span,
    message: &'a Distribution,
    transit: &'a Distribution,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    routes: Vec<RouteSettings<'a>>,
}

/// A route between two sites.
#[derive(Debug, Serialize)]
struct RouteSettings<'a> {
    from: &'a str,
    to: &'a str,
    message: &'a Distribution,
    transit: &'a Distribution,
    cost: u32,
}

impl<'a> DelaySettings<'a> {
    fn of(scenario: &'a Scenario) -> Self {
        let (routes, default) = (&scenario.routes, scenario.routes.default_route());
        let site = |index: usize| routes.site_names()[index].as_str();
        let between_sites = routes.site_routes().map(|(from, to, route)| RouteSettings {
            from: site(from),
            to: site(to),
            message: route.message(),
            transit: route.transit(),
            cost: route.cost(),
        });
        Self {
            between_starts: scenario.between_starts,
            message: default.message(),
            transit: default.transit(),
            routes: between_sites.collect(),
        }
    }
}

impl<'a> From<&'a Scenario> for ResolvedSettings<'a> {
    fn from(scenario: &'a Scenario) -> Self {
        Self {
            nodes: scenario.network.node_count(),
            items: scenario.network.item_count(),
            candidates: scenario.candidates.len(),
            planning_budget: scenario.planning_budget.get(),
            measure_from: scenario.measure_from,
            sample_every: scenario.sample_every,
            protocol: &scenario.protocol,
            delays: DelaySettings::of(scenario),
            work: &scenario.work,
            faults: &scenario.faults,
            same_time_order: scenario.same_time_order,
        }
    }
}

impl RunDocument {
    /// Returns the document of a run of `scenario`.
    #[must_use]
    pub fn new(scenario: &Scenario, record: &RunRecord) -> Self {
        let network = &scenario.network;
        let summary = Summary::of(record);
        let finished = finished(network, record);
        let finished_goods = record.nodes.iter().map(|node| node.get(Metric::FinishedGoodsMade)).sum();
        Self {
            scenario: scenario.name.clone(),
            seed: scenario.seed,
            flow: scenario.flow.to_string(),
            leader: scenario.leader.to_string(),
            detector: scenario.detector.to_string(),
            duration_s: scenario.duration.as_secs_f64(),
            measured_from_s: record.measured_from.as_secs_f64(),
            events: record.events,
            finished_goods,
            complete_sets: record.complete_sets(network),
            finished,
            items: items(scenario, record),
            bottleneck: record.bottleneck(network).map(|bottleneck| BottleneckEntry {
                node: network.node_name(bottleneck.node).into_owned(),
                working_share: bottleneck.working,
                longest_working_s: bottleneck.longest_working.as_secs_f64(),
            }),
            flow_time: record
                .flow_time
                .map(|time| FlowTimeEntry { mean_s: time.mean.as_secs_f64(), max_s: time.max.as_secs_f64() }),
            starved: starved(network, record),
            wrong_suspicions: record.wrong_suspicions().count() as u64,
            healthy_removals: healthy_removals(record, scenario.protocol.suspect_after).count() as u64,
            longest_leaderless_s: longest_leaderless(record, Time::ZERO + scenario.duration).as_secs_f64(),
            metrics: summary.0.iter().map(|(metric, statistics)| (metric.name(), *statistics)).collect(),
            nodes: nodes(network, record),
            plans: plans(network, record),
            faults: faults(network, record),
            outages: record.outages.iter().map(|outage| outage_entry(network, outage)).collect(),
            leadership_changes: record
                .leadership_changes
                .iter()
                .map(|change| leadership_entry(network, change))
                .collect(),
            removals: record.removals.iter().map(|removal| removal_entry(network, removal)).collect(),
            fault_counts: record.fault_counts.clone(),
            material: record.material.clone(),
            violations: record.violations.clone(),
            liveness_not_checked: record.liveness_not_checked.clone(),
            coverage: record.coverage.iter().map(|(property, count)| (property.name(), *count)).collect(),
        }
    }
}

/// Returns the finished goods by item.
fn finished(network: &Network, record: &RunRecord) -> BTreeMap<String, u64> {
    let finals = network.final_items().iter();
    finals.map(|&item| (network.item_name(item).into_owned(), record.finished(network, item))).collect()
}

/// Returns the output of each item.
fn items(scenario: &Scenario, record: &RunRecord) -> BTreeMap<String, ItemEntry> {
    let network = &*scenario.network;
    let hours = (scenario.duration - scenario.measure_from).as_secs_f64() / 3_600.0;
    let entry = |item| {
        let runs = |&node: &NodeId| {
            let runs = record.nodes[node.index()].get(Metric::SuccessfulManufactureCycles);
            runs * u64::from(network.yield_per_run(node))
        };
        let made: u64 = network.producers(item).iter().map(runs).sum();
        let finished = record.finished(network, item);
        let (made_per_hour, finished_per_hour) = (made as f64 / hours, finished as f64 / hours);
        (network.item_name(item).into_owned(), ItemEntry { made, made_per_hour, finished, finished_per_hour })
    };
    network.items().map(entry).collect()
}

/// Returns the time in which each node lacked each item.
fn starved(network: &Network, record: &RunRecord) -> BTreeMap<String, BTreeMap<String, f64>> {
    let lacked = |usage: &NodeUsage| {
        let items = usage.starved.iter();
        items.map(|(item, span)| (network.item_name(*item).into_owned(), span.as_secs_f64())).collect()
    };
    let nodes = network.nodes().zip(&record.usage).filter(|(_, usage)| !usage.starved.is_empty());
    nodes.map(|(node, usage)| (network.node_name(node).into_owned(), lacked(usage))).collect()
}

/// Returns the use of time and material of a node, by name.
fn usage(usage: &NodeUsage) -> impl Iterator<Item = (&'static str, f64)> {
    let times = [
        ("working", usage.working),
        ("longest_working", usage.longest_working),
        ("starved", usage.starved_total()),
        ("blocked", usage.blocked),
        ("idle", usage.idle),
        ("down", usage.down),
    ];
    let levels = [
        ("output_mean", "output_peak", usage.output),
        ("incoming_mean", "incoming_peak", usage.incoming),
        ("input_mean", "input_peak", usage.input),
        ("in_process_mean", "in_process_peak", usage.in_process),
    ];
    let times = times.into_iter().map(|(name, span)| (name, span.as_secs_f64()));
    times.chain(
        levels.into_iter().flat_map(|(mean, peak, level)| [(mean, level.mean), (peak, level.peak as f64)]),
    )
}

fn nodes(network: &Network, record: &RunRecord) -> BTreeMap<String, BTreeMap<&'static str, f64>> {
    let reported = |node: NodeId, metrics: &NodeMetrics| {
        let metrics =
            Metric::ALL.iter().filter_map(|&metric| Some((metric.name(), metrics.reported(metric)?)));
        let usage = record.usage.get(node.index()).into_iter().flat_map(usage);
        metrics.chain(usage).collect()
    };
    let all = network.nodes().zip(&record.nodes);
    all.map(|(node, metrics)| (network.node_name(node).into_owned(), reported(node, metrics))).collect()
}

fn plans(network: &Network, record: &RunRecord) -> Vec<PlanEntry> {
    let entry = |plan: &PlanRecord| PlanEntry {
        at_s: plan.at.as_secs_f64(),
        by: network.node_name(plan.by).into_owned(),
        duration_s: plan.duration.as_secs_f64(),
        steps: plan.steps,
        edges: plan.edges,
        changed: plan.changed,
        no_flow: plan.no_flow.as_ref().filter(|why| !why.is_inconclusive()).map(|why| why.explain(network)),
        inconclusive: plan
            .no_flow
            .as_ref()
            .filter(|why| why.is_inconclusive())
            .map(|why| why.explain(network)),
        active: plan.active,
    };
    record.plans.iter().map(entry).collect()
}

fn faults(network: &Network, record: &RunRecord) -> Vec<FaultEntry> {
    let entry = |fault: &FaultRecord| FaultEntry {
        at_s: fault.at.as_secs_f64(),
        fault: fault.kind.name(),
        node: fault.node.map(|node| network.node_name(node).into_owned()),
        effective: fault.effective,
    };
    record.faults.iter().map(entry).collect()
}

fn outage_entry(network: &Network, outage: &Outage) -> OutageEntry {
    OutageEntry {
        node: network.node_name(outage.node).into_owned(),
        from_s: outage.from.as_secs_f64(),
        until_s: outage.until.map(|until| until.as_secs_f64()),
        was_assigned: outage.was_assigned,
    }
}

fn leadership_entry(network: &Network, change: &LeadershipChange) -> LeadershipEntry {
    let node = network.node_name(change.node).into_owned();
    LeadershipEntry { at_s: change.at.as_secs_f64(), node, term: change.term.0 }
}

fn removal_entry(network: &Network, removal: &Removal) -> RemovalEntry {
    let name = |node| network.node_name(node).into_owned();
    RemovalEntry { at_s: removal.at.as_secs_f64(), node: name(removal.node), by: name(removal.by) }
}
