//! Counters of faults: injected, and effective.

use dmos_core::record::{FaultCount, FaultRecord};
use dmos_core::{FaultKind, NodeId, Time};

use crate::transport::AppliedMessageFault;

/// Fault counters of a run.
#[derive(Default)]
pub(crate) struct FaultCounts {
    /// Individual faults of nodes.
    records: Vec<FaultRecord>,
    /// All other faults, by kind: number injected and number effective.
    counts: [(u64, u64); FaultKind::ALL.len()],
    /// Those of them that were counted in the warm-up.
    in_warm_up: [(u64, u64); FaultKind::ALL.len()],
}

impl FaultCounts {
    /// Records a fault and returns its number, for [`FaultCounts::mark_effective`].
    pub(crate) fn record(&mut self, at: Time, kind: FaultKind, node: Option<NodeId>) -> usize {
        self.records.push(FaultRecord { at, kind, node, effective: false });
        self.records.len() - 1
    }

    /// Marks the fault with this number as effective: it changed something.
    pub(crate) fn mark_effective(&mut self, number: usize) {
        self.records[number].effective = true;
    }

    /// Counts faults of a kind that is too frequent to record individually.
    pub(crate) fn count(&mut self, kind: FaultKind, injected: u64, effective: u64) {
        let count = &mut self.counts[kind as usize];
        count.0 += injected;
        count.1 += effective;
    }

    /// Counts the fault of a message: effective if its receiver is up.
    pub(crate) fn count_message_fault(&mut self, applied: AppliedMessageFault, receiver_is_up: bool) {
        if let Some(fault) = applied.link_fault {
            self.mark_effective(fault);
        }
        if let Some(kind) = applied.fault {
            self.count(kind, 1, u64::from(receiver_is_up));
        }
    }

    /// Ends the warm-up: faults of messages before do not count.
    pub(crate) fn end_warm_up(&mut self) {
        self.in_warm_up = self.counts;
        // A clock that drifts does so all the time.
        self.in_warm_up[FaultKind::Drift as usize] = (0, 0);
    }

    /// Returns the faults that were recorded from a time on, and the counts by kind.
    pub(crate) fn into_parts(mut self, from: Time) -> (Vec<FaultRecord>, Vec<FaultCount>) {
        for (count, before) in self.counts.iter_mut().zip(self.in_warm_up) {
            *count = (count.0 - before.0, count.1 - before.1);
        }
        self.records.retain(|record| record.at >= from);
        for record in &self.records {
            let count = &mut self.counts[record.kind as usize];
            count.0 += 1;
            count.1 += u64::from(record.effective);
        }
        let counts = FaultKind::ALL.iter().copied().zip(self.counts);
        let counts = counts.filter(|(_, count)| count.0 > 0);
        let counts = counts.map(|(kind, (injected, effective))| FaultCount { kind, injected, effective });
        (self.records, counts.collect())
    }
}
