//! A run as one JSON document.

use std::collections::BTreeMap;

use dmos_core::metrics::Metric;
use dmos_core::record::{
    FaultCount, FaultRecord, LeadershipChange, MaterialBalance, Outage, PlanRecord, Removal, Violation,
};
use dmos_core::scenario::SameTimeOrder;
use dmos_core::settings::{Delays, Protocol, Work};
use dmos_core::{Faults, Network, RunRecord, Scenario, Span};
use serde::Serialize;

use crate::summary::{Statistics, Summary};

/// Where a run comes from: everything needed to make it again.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Provenance {
    /// The version of DMOS.
    pub version: String,
    /// The scenario file as it was given.
    pub file: String,
    /// The SHA-256 of the scenario's text, in hexadecimal.
    pub sha256: String,
    /// Settings from the command line, as they were given.
    pub overrides: Vec<String>,
    /// The scenario's text.
    pub text: String,
}

/// A run, ready to be written as JSON.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct RunDocument {
    /// The scenario's name.
    pub scenario: String,
    /// The seed of everything drawn.
    pub seed: u64,
    /// The flow strategy with its parameters.
    pub flow: String,
    /// The leader strategy with its parameters.
    pub leader: String,
    /// How long the run lasted, in seconds of virtual time.
    pub duration_s: f64,
    /// Number of events simulated.
    pub events: u64,
    /// Batches of final items made.
    pub finished_goods: u64,
    /// The statistics of each metric, by name.
    pub metrics: BTreeMap<&'static str, Statistics>,
    /// The metrics of each node, by name of the node.
    pub nodes: BTreeMap<String, BTreeMap<&'static str, f64>>,
    /// Every plan, in the order in which they were ready.
    pub plans: Vec<PlanEntry>,
    /// Every fault that happened to nodes, in the order of time.
    pub faults: Vec<FaultEntry>,
    /// Every time that a node was down or stood still.
    pub outages: Vec<OutageEntry>,
    /// Every office that was taken.
    pub leadership_changes: Vec<LeadershipEntry>,
    /// Every time that a leader struck a node from the living.
    pub removals: Vec<RemovalEntry>,
    /// How often each kind of fault was injected, and how often it changed anything.
    pub fault_counts: Vec<FaultCount>,
    /// Where all batches were at the end.
    pub material: MaterialBalance,
    /// What should never have happened.
    pub violations: Vec<Violation>,
    /// States that were come to, and how often.
    pub coverage: BTreeMap<&'static str, u64>,
    /// Why nobody looked whether production resumes after `heal_at`, if there is one and nobody did.
    pub liveness_not_checked: Option<String>,
}

/// A fault, for output.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct FaultEntry {
    /// When, in seconds.
    pub at_s: f64,
    /// Its kind.
    pub fault: &'static str,
    /// The node it happened to; none if it was no node alone, or nobody could be hit.
    pub node: Option<String>,
    /// True if it changed anything.
    pub effective: bool,
}

/// A time in which a node did nothing, for output.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct OutageEntry {
    /// The node.
    pub node: String,
    /// When it went down or stood still, in seconds.
    pub from_s: f64,
    /// When it went on, in seconds; none if it did not.
    pub until_s: Option<f64>,
    /// True if it was_assigned in the flow active.
    pub was_assigned: bool,
}

/// An office that was taken, for output.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct LeadershipEntry {
    /// When, in seconds.
    pub at_s: f64,
    /// Who leads from then on.
    pub node: String,
    /// In which term.
    pub term: u64,
}

/// A node that was removed from the membership, for output.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct RemovalEntry {
    /// When, in seconds.
    pub at_s: f64,
    /// The node.
    pub node: String,
    /// The leader that struck it.
    pub by: String,
}

/// A plan, for output.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct PlanEntry {
    /// When it was ready, in seconds.
    pub at_s: f64,
    /// Who planned.
    pub by: String,
    /// How long it took, in seconds of virtual time.
    pub took_s: f64,
    /// The elementary steps it took.
    pub steps: u64,
    /// How many supply edges it has; none if no flow was found.
    pub edges: Option<u64>,
    /// How many supply edges only this flow or the one active before has; none if it was not activated .
    pub changed: Option<u64>,
    /// Why nothing can be made, if that is what the plan came to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_flow: Option<String>,
    /// Why the plan was given up, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_inconclusive: Option<String>,
    /// True if it was activated .
    pub active: bool,
}

/// The settings that a run really had, defaults included.
#[derive(Debug, Serialize)]
pub struct ResolvedSettings<'a> {
    nodes: usize,
    items: usize,
    candidates: usize,
    planning_budget: u64,
    sample_every: Span,
    protocol: &'a Protocol,
    delays: &'a Delays,
    work: &'a Work,
    faults: &'a Faults,
    same_time_order: SameTimeOrder,
}

impl<'a> From<&'a Scenario> for ResolvedSettings<'a> {
    fn from(scenario: &'a Scenario) -> Self {
        Self {
            nodes: scenario.network.node_count(),
            items: scenario.network.item_count(),
            candidates: scenario.candidates.len(),
            planning_budget: scenario.planning_budget.get(),
            sample_every: scenario.sample_every,
            protocol: &scenario.protocol,
            delays: &scenario.delays,
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
        let finished_goods = record.nodes.iter().map(|node| node.get(Metric::FinishedGoodsMade)).sum();
        Self {
            scenario: scenario.name.clone(),
            seed: scenario.seed,
            flow: scenario.flow.to_string(),
            leader: scenario.leader.to_string(),
            duration_s: scenario.duration.as_secs_f64(),
            events: record.events,
            finished_goods,
            metrics: summary.0.iter().map(|(metric, statistics)| (metric.name(), *statistics)).collect(),
            nodes: nodes(network, record),
            plans: plans(network, record),
            faults: faults(network, record),
            outages: record.outages.iter().map(|outage| outage_entry(network, outage)).collect(),
            leadership_changes: record
                .leadership_changes
                .iter()
                .map(|office| office_entry(network, office))
                .collect(),
            removals: record.removals.iter().map(|strike| strike_entry(network, strike)).collect(),
            fault_counts: record.fault_counts.clone(),
            material: record.material.clone(),
            violations: record.violations.clone(),
            liveness_not_checked: record.liveness_not_checked.clone(),
            coverage: record.coverage.iter().map(|(property, count)| (property.name(), *count)).collect(),
        }
    }
}

fn nodes(network: &Network, record: &RunRecord) -> BTreeMap<String, BTreeMap<&'static str, f64>> {
    let reported = |node: &dmos_core::NodeMetrics| {
        Metric::ALL.iter().filter_map(|&metric| Some((metric.name(), node.reported(metric)?))).collect()
    };
    let all = network.nodes().zip(&record.nodes);
    all.map(|(node, metrics)| (network.node_name(node).into_owned(), reported(metrics))).collect()
}

fn plans(network: &Network, record: &RunRecord) -> Vec<PlanEntry> {
    let entry = |plan: &PlanRecord| PlanEntry {
        at_s: plan.at.as_secs_f64(),
        by: network.node_name(plan.by).into_owned(),
        took_s: plan.duration.as_secs_f64(),
        steps: plan.steps,
        edges: plan.edges,
        changed: plan.changed,
        no_flow: plan.no_flow.as_ref().filter(|why| !why.is_inconclusive()).map(|why| why.explain(network)),
        is_inconclusive: plan
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

fn office_entry(network: &Network, office: &LeadershipChange) -> LeadershipEntry {
    let node = network.node_name(office.node).into_owned();
    LeadershipEntry { at_s: office.at.as_secs_f64(), node, term: office.term.0 }
}

fn strike_entry(network: &Network, strike: &Removal) -> RemovalEntry {
    let name = |node| network.node_name(node).into_owned();
    RemovalEntry { at_s: strike.at.as_secs_f64(), node: name(strike.node), by: name(strike.by) }
}
