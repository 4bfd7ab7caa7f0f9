//! The recorder: everything observed of a run, with the invariant checkers, and the record at its end.

mod flow_time;
mod sample;
mod usage;

use std::sync::Arc;

use dmos_audit::{InvariantChecker, NodeAtEnd, Observation};
use dmos_core::record::{
    Finished, ItemSample, LeadershipChange, Outage, PlanRecord, Removal, Sample, Suspicion,
};
use dmos_core::settings::Production;
use dmos_core::{Flow, Metric, NodeId, NodeMetrics, RunRecord, Scenario, Time};
use dmos_node::batch_range::BatchRange;
use dmos_node::{LogRecord, PlanReport, Report};

use crate::faults::FaultInjector;
use crate::nodes::{Nodes, SimNode};
use flow_time::FlowTimes;
use sample::sample;
use usage::UsageIntegrator;

/// Observations of a run so far, except those of faults and the metrics of nodes.
pub(crate) struct Recorder<'a> {
    scenario: &'a Scenario,
    checker: InvariantChecker<'a>,
    series: Vec<Sample>,
    item_series: Vec<ItemSample>,
    plans: Vec<PlanRecord>,
    outages: Vec<Outage>,
    leadership_changes: Vec<LeadershipChange>,
    suspicions: Vec<Suspicion>,
    removals: Vec<Removal>,
    /// The active flow and the node that activated it.
    active: Option<(Arc<Flow>, NodeId)>,
    /// By node; empty unless `production: server`.
    usage: Vec<UsageIntegrator>,
    flow_times: FlowTimes,
    /// By node, finished goods so far.
    finished_so_far: Vec<u64>,
    finished: Vec<Finished>,
    /// End of the warm-up, and the metrics of all nodes at that time.
    measured_from: Time,
    before: Vec<NodeMetrics>,
    /// Number of events handled.
    events: u64,
}

impl<'a> Recorder<'a> {
    pub(crate) fn new(scenario: &'a Scenario) -> Self {
        Self {
            scenario,
            checker: InvariantChecker::new(scenario),
            series: Vec::new(),
            item_series: Vec::new(),
            plans: Vec::new(),
            outages: Vec::new(),
            leadership_changes: Vec::new(),
            suspicions: Vec::new(),
            removals: Vec::new(),
            active: None,
            usage: match scenario.protocol.production {
                Production::Server => vec![UsageIntegrator::default(); scenario.network.node_count()],
                Production::Polled => Vec::new(),
            },
            flow_times: FlowTimes::new(scenario.network.node_count()),
            finished_so_far: vec![0; scenario.network.node_count()],
            finished: Vec::new(),
            measured_from: Time::ZERO,
            before: Vec::new(),
            events: 0,
        }
    }

    /// Ends the warm-up: what was recorded before does not count.
    pub(crate) fn end_warm_up(&mut self, now: Time, nodes: &Nodes) {
        self.measured_from = now;
        self.before = nodes.iter().map(|(_, sim_node)| sim_node.node.metrics().clone()).collect();
        self.usage.iter_mut().for_each(|usage| usage.restart(now));
        self.flow_times.restart();
    }

    /// Records finished goods of a node after a change that is durable. `product` is that of the last run, if it
    /// left the factory at once.
    pub(crate) fn on_finished(
        &mut self,
        now: Time,
        node: NodeId,
        metrics: &NodeMetrics,
        product: Option<BatchRange>,
    ) {
        let finished = metrics.get(Metric::FinishedGoodsMade);
        let before = std::mem::replace(&mut self.finished_so_far[node.index()], finished);
        if finished == before {
            return;
        }
        if let Some(product) = product {
            self.flow_times.on_finished(now, product);
        }
        let change = finished.cast_signed() - before.cast_signed();
        let batches = i32::try_from(change).expect("a commit has fewer than 2^31 batches");
        self.finished.push(Finished { at: now, item: self.scenario.network.makes(node), batches });
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
        match observation {
            Observation::RunStarted { .. } => self.flow_times.on_run_started(now, node.index()),
            Observation::Durable(LogRecord::Ran { product, inputs }) => {
                self.flow_times.on_run_ended(*product, inputs);
            }
            Observation::Durable(LogRecord::Left(batches)) => self.flow_times.on_finished(now, *batches),
            Observation::Durable(LogRecord::Scrapped(batch)) => self.flow_times.on_scrapped(*batch),
            _ => {}
        }
        self.checker.observe(now, node, observation);
    }

    /// Records the end of the handling of an input that arrived at a node earlier.
    pub(crate) fn on_handled(&mut self, now: Time, arrived: Time) {
        self.checker.on_handled(now, now.since(arrived));
    }

    /// Records that a message is dropped because the mailbox of its receiver is full.
    pub(crate) fn on_dropped(&mut self, now: Time) {
        self.checker.on_dropped(now);
    }

    /// Observes and records the report of a node.
    pub(crate) fn on_report(&mut self, now: Time, node: NodeId, report: Report) {
        self.observe(now, node, &Observation::Reported(&report));
        match report {
            Report::BecameLeader(term) => {
                let change = LeadershipChange { at: now, node, term, stepped_down: None };
                self.leadership_changes.push(change);
            }
            Report::SteppedDown(term) => {
                let mut changes = self.leadership_changes.iter_mut().rev();
                if let Some(change) = changes.find(|change| (change.node, change.term) == (node, term)) {
                    change.stepped_down = Some(now);
                }
            }
            Report::Planned(plan) => self.record_plan(now, node, *plan),
            Report::Suspected { node: suspected, silence } => {
                let silent_since = Time::ZERO + now.since(Time::ZERO + silence);
                self.suspicions.push(Suspicion { at: now, node: suspected, by: node, silent_since });
            }
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
        // The last sample is taken at the end of the run, where a regular one may be due as well.
        if self.series.last().is_none_or(|last| last.at < now) {
            self.series.push(sample(self.scenario, now, nodes, &mut self.item_series));
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
        let from = self.measured_from;
        let (fault_records, fault_counts) = faults.counts.into_parts(from);
        let metrics = |(node, sim_node): (NodeId, &SimNode)| {
            let metrics = sim_node.node.metrics();
            self.before.get(node.index()).map_or_else(|| metrics.clone(), |before| metrics.since(before))
        };
        RunRecord {
            measured_from: from,
            nodes: nodes.iter().map(metrics).collect(),
            finished: self.finished.into_iter().filter(|finished| finished.at >= from).collect(),
            op_generator: faults.op_generator.map(|op_generator| op_generator.record),
            series: self.series,
            item_series: self.item_series,
            plans: self.plans.into_iter().filter(|plan| plan.at >= from).collect(),
            faults: fault_records,
            outages: self
                .outages
                .into_iter()
                .filter(|outage| outage.until.is_none_or(|until| until > from))
                .collect(),
            leadership_changes: self.leadership_changes,
            suspicions: self.suspicions.into_iter().filter(|suspicion| suspicion.at >= from).collect(),
            removals: self.removals.into_iter().filter(|removal| removal.at >= from).collect(),
            fault_counts,
            material: audit.material,
            violations: audit.violations,
            coverage: audit.coverage,
            judged: audit.judged,
            liveness_not_checked: audit.liveness_not_checked,
            flow_time: self.flow_times.finish(),
            usage: self.usage.into_iter().map(|usage| usage.finish(from, now)).collect(),
            events: self.events,
        }
    }
}
