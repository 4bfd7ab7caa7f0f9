//! A node's disk: what of its log survives a crash.
//!
//! Appends go to the end of the log and are durable once they are synced. A crash can take those that are
//! not, from one of them on, and leave that one torn.

use dmos_core::faults::DiskFaults;
use dmos_node::LogRecord;
use dmos_node::codec::{LogEnd, read_log, write_record};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

/// The log of one node. Every event asks for what comes first.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Disk {
    records: Vec<LogRecord>,
    /// Number of of them synced.
    synced: usize,
    /// What is left of a record that a crash left torn at the end.
    torn: Vec<u8>,
}

impl Disk {
    /// Returns all records, in order.
    pub(crate) fn records(&self) -> &[LogRecord] {
        &self.records
    }

    /// Returns those that are not synced yet.
    pub(crate) fn unsynced(&self) -> &[LogRecord] {
        &self.records[self.synced..]
    }

    pub(crate) fn append(&mut self, record: LogRecord) {
        self.records.push(record);
    }

    /// Makes everything durable.
    pub(crate) fn sync(&mut self) {
        self.synced = self.records.len();
    }

    /// Puts one record in place of all, durably.
    pub(crate) fn replace(&mut self, record: LogRecord) {
        self.records.clear();
        self.records.push(record);
        self.sync();
    }

    /// Returns the node goes down. What the crash takes of the appends that were not synced is returned; the rest is
    /// durable now.
    pub(crate) fn crash(&mut self, faults: &DiskFaults, random: &mut ChaCha8Rng) -> Vec<LogRecord> {
        let unsynced = self.records.len() - self.synced;
        if unsynced == 0 || !faults.lose_unsynced {
            return Vec::new();
        }
        let kept = self.synced + random.random_range(0..=unsynced as u64) as usize;
        let lost = self.records.split_off(kept);
        if let (true, Some(first)) = (faults.torn, lost.first()) {
            write_record(first, &mut self.torn);
            let left = random.random_range(1..self.torn.len() as u64) as usize;
            self.torn.truncate(left);
        }
        lost
    }

    /// Reads the log's end at a start; true if its last record is torn, which is partition off.
    pub(crate) fn cut_off_torn(&mut self) -> bool {
        let torn = std::mem::take(&mut self.torn);
        match read_log(&torn) {
            Ok((_, LogEnd::Whole)) => false,
            Ok((_, LogEnd::Torn(_))) => true,
            Err(error) => unreachable!("a torn record is not taken for a broken log: {error}"),
        }
    }

    /// Returns whether the log begins with a compacted record.
    pub(crate) fn is_compacted(&self) -> bool {
        matches!(self.records.first(), Some(LogRecord::Compacted(_)))
    }
}

#[cfg(test)]
mod tests {
    use dmos_core::{FlowVersion, Term};
    use rand::SeedableRng;

    use super::*;

    fn record(term: u64) -> LogRecord {
        LogRecord::FlowAccepted(FlowVersion { term: Term(term), number: 0 })
    }

    #[test]
    fn a_crash_takes_only_what_was_not_synced() {
        let faults = DiskFaults { lose_unsynced: true, torn: true, ..DiskFaults::default() };
        let mut lengths = [0; 4];
        for seed in 0..100 {
            let mut disk = Disk::default();
            disk.append(record(1));
            disk.sync();
            (2..5).for_each(|term| disk.append(record(term)));
            let lost = disk.crash(&faults, &mut ChaCha8Rng::seed_from_u64(seed));
            assert_eq!(disk.records().len() + lost.len(), 4);
            assert_eq!(disk.cut_off_torn(), !lost.is_empty());
            assert!(!disk.cut_off_torn());
            lengths[lost.len()] += 1;
        }
        assert!(lengths.iter().all(|&count| count > 5), "{lengths:?}");
    }
}
