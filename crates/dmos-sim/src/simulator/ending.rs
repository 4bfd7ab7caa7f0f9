//! The record: looks at the whole network, and what is left at the end.

use dmos_audit::NodeAtEnd;
use dmos_core::record::Sample;
use dmos_core::{Metric, NodeId, RunRecord};

use super::{Event, Simulator};

impl Simulator<'_> {
    pub(super) fn sample(&mut self) {
        let mut sample = Sample { at: self.now, nodes_up: 0, made: 0, finished: 0, stock: 0, messages: 0 };
        for (node, slot) in self.scenario.network.nodes().zip(&self.slots) {
            let metrics = slot.node.metrics();
            let made = u64::from(self.scenario.network.yield_per_run(node));
            sample.made += metrics.get(Metric::SuccessfulManufactureCycles) * made;
            sample.finished += metrics.get(Metric::FinishedGoodsMade);
            sample.messages += metrics.get(Metric::SentMessages);
            if slot.is_up() {
                sample.nodes_up += 1;
                sample.stock += slot.node.stock();
            }
        }
        // The last look is at the end, where one may be due anyway.
        if self.series.last().is_none_or(|last| last.at < sample.at) {
            self.series.push(sample);
        }
    }

    /// How many messages somebody still has to read.
    fn unread(&self) -> usize {
        let held = self.slots.iter().flat_map(|slot| &slot.frozen).flat_map(|frozen| &frozen.held);
        let events = self.queue.pending().chain(held.map(|(_, event)| *event));
        let in_lanes = self.slots.iter().map(|slot| slot.lanes.mail().count()).sum::<usize>();
        events.filter_map(Event::mail).count() + in_lanes
    }

    pub(super) fn finish(mut self) -> RunRecord {
        debug_assert_eq!(self.mail.len(), self.unread(), "a message is read once, or thrown away");
        // Where appending takes time, the run may end in the middle of it.
        self.scenario.network.nodes().for_each(|node| self.sync(node));
        let slots = &self.slots;
        let audit = self.auditor.finish(self.now, |node: NodeId| {
            let slot = &slots[node.index()];
            NodeAtEnd { holdings: slot.is_up().then(|| slot.node.holdings()), metrics: slot.node.metrics() }
        });
        let (faults, fault_counts) = self.tally.into_parts();
        RunRecord {
            nodes: slots.iter().map(|slot| slot.node.metrics().clone()).collect(),
            op_generator: self.op_generator.map(|op_generator| op_generator.record),
            series: self.series,
            plans: self.plans,
            faults,
            outages: self.outages,
            leadership_changes: self.leadership_changes,
            removals: self.removals,
            fault_counts,
            material: audit.material,
            violations: audit.violations,
            reached: audit.reached,
            liveness_not_checked: audit.liveness_not_checked,
            events: self.events,
        }
    }
}
