//! Counts faults: how many were injected, and how many changed anything.

use dmos_core::record::{FaultCount, FaultRecord};
use dmos_core::{FaultKind, NodeId, Time};

/// The faults of a run.
#[derive(Default)]
pub(crate) struct FaultCounts {
    /// Those that happened to nodes, each on its own.
    records: Vec<FaultRecord>,
    /// The others, by kind: injected and effective.
    counts: [(u64, u64); FaultKind::ALL.len()],
}

impl FaultCounts {
    /// A fault happens; the number by which to say later that it changed something.
    pub(crate) fn record(&mut self, at: Time, kind: FaultKind, node: Option<NodeId>) -> usize {
        self.records.push(FaultRecord { at, kind, node, effective: false });
        self.records.len() - 1
    }

    /// The fault of that number has changed something.
    pub(crate) fn mark_effective(&mut self, number: usize) {
        self.records[number].effective = true;
    }

    /// Counts faults of a kind of which there are too many to record each.
    pub(crate) fn count(&mut self, kind: FaultKind, injected: u64, effective: u64) {
        let count = &mut self.counts[kind as usize];
        count.0 += injected;
        count.1 += effective;
    }

    /// What is to be said of it at the end.
    pub(crate) fn into_parts(mut self) -> (Vec<FaultRecord>, Vec<FaultCount>) {
        for record in &self.records {
            let count = &mut self.counts[record.kind as usize];
            count.0 += 1;
            count.1 += u64::from(record.effective);
        }
        let counts = FaultKind::ALL.into_iter().zip(self.counts);
        let counts = counts.filter(|(_, count)| count.0 > 0);
        let counts = counts.map(|(kind, (injected, effective))| FaultCount { kind, injected, effective });
        (self.records, counts.collect())
    }
}
