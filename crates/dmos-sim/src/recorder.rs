//! The recorder: everything observed of a run, with the invariant checkers, and the record at its end.

mod usage;

use std::sync::Arc;

use dmos_audit::{InvariantChecker, NodeAtEnd, Observation};
use dmos_core::record::{LeadershipChange, Outage, PlanRecord, Removal, Sample};
use dmos_core::settings::Production;
use dmos_core::{Flow, Metric, NodeId, RunRecord, Scenario, Time};
use dmos_node::{PlanReport, Report};

use crate::faults::FaultInjector;
use crate::nodes::{Nodes, SimNode};
use usage::UsageIntegrator;

/// Observations of a run so far, except those of faults and the metrics of nodes.
pub(crate) struct Recorder<'a> {
    scenario: &'a Scenario,
    checker: InvariantChecker<'a>,
    series: Vec<Sample>,
    plans: Vec<PlanRecord>,
    outages: Vec<Outage>,
    leadership_changes: Vec<LeadershipChange>,
    removals: Vec<Removal>,
    /// The active flow and the node that activated it.
    active: Option<(Arc<Flow>, NodeId)>,
    /// By node; empty unless `production: server`.
    usage: Vec<UsageIntegrator>,
    /// Number of events handled.
    events: u64,
}

impl<'a> Recorder<'a> {
    pub(crate) fn new(scenario: &'a Scenario) -> Self {
        Self {
            scenario,
            checker: InvariantChecker::new(scenario),
            series: Vec::new(),
            plans: Vec::new(),
            outages: Vec::new(),
            leadership_changes: Vec::new(),
            removals: Vec::new(),
            active: None,
            usage: match scenario.protocol.production {
                Production::Server => vec![UsageIntegrator::default(); scenario.network.node_count()],
                Production::Polled => Vec::new(),
            },
            events: 0,
        }
    }

    /// Returns the active flow and the node that activated it.
    pub(crate) fn active(&self) -> Option<(&Flow, NodeId)> {
        self.active.as_ref().map(|(flow, leader)| (&**flow, *leader))
    }

    /// Returns the node that became leader last.
    pub(crate) fn last_leader(&self) -> Option<NodeId> {
        self.leadership_changes.last().map(|change| change.node)
    }

    #[inline]
    pub(crate) fn count_event(&mut self) {
        self.events += 1;
    }

    /// Reports a run in which virtual time no longer advances.
    pub(crate) fn on_zero_delay_loop(&mut self, now: Time, events: u64) {
        self.checker.on_zero_delay_loop(now, events);
    }

    #[inline]
    pub(crate) fn observe(&mut self, now: Time, node: NodeId, observation: &Observation<'_>) {
        self.checker.observe(now, node, observation);
    }

    /// Observes and records the report of a node.
    pub(crate) fn on_report(&mut self, now: Time, node: NodeId, report: Report) {
        self.observe(now, node, &Observation::Reported(&report));
        match report {
            Report::BecameLeader(term) => {
                self.leadership_changes.push(LeadershipChange { at: now, node, term });
            }
            Report::Planned(plan) => self.record_plan(now, node, *plan),
            Report::Removed(removed) => self.removals.push(Removal { at: now, node: removed, by: node }),
            Report::Adopted(_) | Report::Ordered { .. } => {}
        }
    }

    fn record_plan(&mut self, now: Time, node: NodeId, plan: PlanReport) {
        let before = self.active.as_ref().map(|(flow, _)| &**flow);
        let changed = plan.active.then(|| match (before, &plan.flow) {
            (Some(before), Ok(flow)) => before.edges_not_in_both(flow),
            (Some(flow), Err(_)) => flow.edges().len() as u64,
            (None, flow) => flow.as_ref().map_or(0, |flow| flow.edges().len() as u64),
        });
        self.plans.push(PlanRecord {
            at: now,
            by: node,
            duration: plan.duration,
            steps: plan.steps,
            edges: plan.flow.as_ref().ok().map(|flow| flow.edges().len() as u64),
            changed,
            no_flow: plan.flow.as_ref().err().cloned(),
            active: plan.active,
        });
        if plan.active {
            self.active = Some((plan.flow.unwrap_or_default(), node));
        }
    }

    /// Records the start of an outage and returns its number.
    pub(crate) fn begin_outage(&mut self, now: Time, node: NodeId) -> usize {
        let was_assigned = self.active.as_ref().is_some_and(|(flow, _)| flow.is_assigned(node));
        self.outages.push(Outage { node, from: now, until: None, was_assigned });
        self.outages.len() - 1
    }

    /// Records the end of the outage with this number.
    pub(crate) fn end_outage(&mut self, now: Time, number: usize) {
        self.outages[number].until = Some(now);
    }

    /// Records the occupancy of a node after it may have changed.
    #[inline]
    pub(crate) fn on_occupancy(&mut self, now: Time, node: NodeId, sim_node: &SimNode) {
        if let Some(usage) = self.usage.get_mut(node.index()) {
            usage.set(now, if sim_node.is_running() { sim_node.node.occupancy() } else { None });
        }
    }

    /// Takes a sample of the time series.
    pub(crate) fn sample(&mut self, now: Time, nodes: &Nodes) {
        let network = &self.scenario.network;
        let mut finished = vec![0; network.item_count()];
        let mut sample =
            Sample { at: now, nodes_up: 0, made: 0, finished: 0, complete_sets: 0, stock: 0, messages: 0 };
        for (node, sim_node) in nodes.iter() {
            let metrics = sim_node.node.metrics();
            let made = u64::from(network.yield_per_run(node));
            sample.made += metrics.get(Metric::SuccessfulManufactureCycles) * made;
            finished[network.makes(node).index()] += metrics.get(Metric::FinishedGoodsMade);
            sample.messages += metrics.get(Metric::SentMessages);
            if sim_node.is_up() {
                sample.nodes_up += 1;
                sample.stock += sim_node.node.stock();
            }
        }
        sample.finished = finished.iter().sum();
        sample.complete_sets = network.complete_sets(|item| finished[item.index()]);
        // The last sample is taken at the end of the run, where a regular one may be due as well.
        if self.series.last().is_none_or(|last| last.at < sample.at) {
            self.series.push(sample);
        }
    }

    /// Returns the record of the run, which ends now.
    pub(crate) fn finish(self, now: Time, nodes: &Nodes, faults: FaultInjector) -> RunRecord {
        let audit = self.checker.finish(now, |node: NodeId| {
            let sim_node = &nodes[node];
            NodeAtEnd {
                holdings: sim_node.is_up().then(|| sim_node.node.holdings()),
                metrics: sim_node.node.metrics(),
            }
        });
        let (fault_records, fault_counts) = faults.counts.into_parts();
        RunRecord {
            nodes: nodes.iter().map(|(_, sim_node)| sim_node.node.metrics().clone()).collect(),
            op_generator: faults.op_generator.map(|op_generator| op_generator.record),
            series: self.series,
            plans: self.plans,
            faults: fault_records,
            outages: self.outages,
            leadership_changes: self.leadership_changes,
            removals: self.removals,
            fault_counts,
            material: audit.material,
            violations: audit.violations,
            coverage: audit.coverage,
            judged: audit.judged,
            liveness_not_checked: audit.liveness_not_checked,
            usage: self.usage.into_iter().map(|usage| usage.finish(now)).collect(),
            events: self.events,
        }
    }
}
