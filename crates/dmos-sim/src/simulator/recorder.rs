//! The recorder: samples of the time series, and the record at the end.

use dmos_audit::NodeAtEnd;
use dmos_core::record::{LeadershipChange, Outage, PlanRecord, Removal, Sample};
use dmos_core::{Metric, NodeId, RunRecord};

use super::{Event, Simulator};

/// Results of a run so far, except those of nodes, faults and invariant checkers.
#[derive(Default)]
pub(super) struct Recorder {
    pub(super) series: Vec<Sample>,
    pub(super) plans: Vec<PlanRecord>,
    pub(super) outages: Vec<Outage>,
    pub(super) leadership_changes: Vec<LeadershipChange>,
    pub(super) removals: Vec<Removal>,
    /// Number of events handled.
    pub(super) events: u64,
}

impl Simulator<'_> {
    pub(super) fn sample(&mut self) {
        let mut sample = Sample { at: self.now, nodes_up: 0, made: 0, finished: 0, stock: 0, messages: 0 };
        for (node, sim_node) in self.scenario.network.nodes().zip(&self.nodes) {
            let metrics = sim_node.node.metrics();
            let made = u64::from(self.scenario.network.yield_per_run(node));
            sample.made += metrics.get(Metric::SuccessfulManufactureCycles) * made;
            sample.finished += metrics.get(Metric::FinishedGoodsMade);
            sample.messages += metrics.get(Metric::SentMessages);
            if sim_node.is_up() {
                sample.nodes_up += 1;
                sample.stock += sim_node.node.stock();
            }
        }
        // The last sample is taken at the end of the run, where a regular one may be due as well.
        if self.recorder.series.last().is_none_or(|last| last.at < sample.at) {
            self.recorder.series.push(sample);
        }
    }

    /// Returns the number of messages that are sent and not read.
    fn unread(&self) -> usize {
        let held = self.nodes.iter().flat_map(|sim_node| &sim_node.frozen).flat_map(|frozen| &frozen.held);
        let events = self.queue.pending().chain(held.map(|(_, event)| *event));
        let in_workers =
            self.nodes.iter().map(|sim_node| sim_node.workers.message_ids().count()).sum::<usize>();
        events.filter_map(Event::message_id).count() + in_workers
    }

    pub(super) fn finish(mut self) -> RunRecord {
        debug_assert_eq!(self.messages.len(), self.unread(), "stored and pending messages must match");
        // Where appending takes time, the run may end during an append.
        self.scenario.network.nodes().for_each(|node| self.sync(node));
        let nodes = &self.nodes;
        let audit = self.checker.finish(self.now, |node: NodeId| {
            let sim_node = &nodes[node.index()];
            NodeAtEnd {
                holdings: sim_node.is_up().then(|| sim_node.node.holdings()),
                metrics: sim_node.node.metrics(),
            }
        });
        let (faults, fault_counts) = self.faults.counts.into_parts();
        RunRecord {
            nodes: nodes.iter().map(|sim_node| sim_node.node.metrics().clone()).collect(),
            op_generator: self.faults.op_generator.map(|op_generator| op_generator.record),
            series: self.recorder.series,
            plans: self.recorder.plans,
            faults,
            outages: self.recorder.outages,
            leadership_changes: self.recorder.leadership_changes,
            removals: self.recorder.removals,
            fault_counts,
            material: audit.material,
            violations: audit.violations,
            coverage: audit.coverage,
            liveness_not_checked: audit.liveness_not_checked,
            events: self.recorder.events,
        }
    }
}
