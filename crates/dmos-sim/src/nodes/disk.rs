//! A node's disk, and what a crash does to its log.
//!
//! Appends become durable when they are synced. A crash can lose unsynced appends from one of them on, and
//! leave that one torn.

use dmos_core::faults::DiskFaults;
use dmos_node::LogRecord;
use dmos_node::codec::{LogEnd, read_log, write_record};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

/// The log of one node. The fields that every event reads come first.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Disk {
    records: Vec<LogRecord>,
    /// Number of synced records.
    synced: usize,
    /// Remaining bytes of a record that a crash left torn at the end.
    torn: Vec<u8>,
}

impl Disk {
    /// Returns all records, in order.
    pub(crate) fn records(&self) -> &[LogRecord] {
        &self.records
    }

    /// Returns the records that are not synced yet.
    pub(crate) fn unsynced(&self) -> &[LogRecord] {
        &self.records[self.synced..]
    }

    pub(crate) fn append(&mut self, record: LogRecord) {
        self.records.push(record);
    }

    /// Makes all records durable.
    pub(crate) fn sync(&mut self) {
        self.synced = self.records.len();
    }

    /// Replaces all records by one, durably.
    pub(crate) fn replace(&mut self, record: LogRecord) {
        self.records.clear();
        self.records.push(record);
        self.sync();
    }

    /// Crashes the disk. Returns the unsynced records that were lost; the rest is durable now.
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

    /// Reads the end of the log at a start, and removes a torn last record. Returns whether there was one.
    pub(crate) fn remove_torn_record(&mut self) -> bool {
        let torn = std::mem::take(&mut self.torn);
        match read_log(&torn) {
            Ok((_, LogEnd::Complete)) => false,
            Ok((_, LogEnd::Torn(_))) => true,
            Err(error) => unreachable!("a truncated record was read as a corrupt one: {error}"),
        }
    }

    /// Returns whether the log starts with a compacted record.
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
    fn a_crash_loses_only_unsynced_records() {
        let faults = DiskFaults { lose_unsynced: true, torn: true, ..DiskFaults::default() };
        let mut lengths = [0; 4];
        for seed in 0..100 {
            let mut disk = Disk::default();
            disk.append(record(1));
            disk.sync();
            (2..5).for_each(|term| disk.append(record(term)));
            let lost = disk.crash(&faults, &mut ChaCha8Rng::seed_from_u64(seed));
            assert_eq!(disk.records().len() + lost.len(), 4);
            assert_eq!(disk.remove_torn_record(), !lost.is_empty());
            assert!(!disk.remove_torn_record());
            lengths[lost.len()] += 1;
        }
        assert!(lengths.iter().all(|&count| count > 5), "{lengths:?}");
    }
}
