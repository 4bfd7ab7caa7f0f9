//! A node's disk, and what a crash does to its log.
//!
//! Records are appended to a commit, which becomes durable as a whole when it is synced. A crash can lose the
//! commit in progress, and leave its frame torn.

use dmos_core::faults::DiskFaults;
use dmos_node::LogRecord;
use dmos_node::log_file::{LogEnd, read_log, write_frame};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

/// The log of one node. The fields that every event reads come first.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Disk {
    records: Vec<LogRecord>,
    /// Number of synced records.
    synced: usize,
    /// Remaining bytes of a frame that a crash left torn at the end.
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

    /// Removes and returns the records of a commit that is not complete.
    pub(crate) fn discard_commit(&mut self) -> Vec<LogRecord> {
        self.records.split_off(self.synced)
    }

    /// Crashes the disk while it may be syncing. Returns the records of the commit in progress if they were
    /// lost.
    pub(crate) fn crash(&mut self, faults: &DiskFaults, random: &mut ChaCha8Rng) -> Vec<LogRecord> {
        if self.unsynced().is_empty() || !faults.lose_unsynced || random.random() {
            return Vec::new();
        }
        let lost = self.discard_commit();
        if faults.torn {
            write_frame(0, &lost, &mut self.torn);
            let left = random.random_range(1..self.torn.len() as u64) as usize;
            self.torn.truncate(left);
        }
        lost
    }

    /// Reads the end of the log at a start, and removes a torn frame. Returns whether there was one.
    pub(crate) fn remove_torn_frame(&mut self) -> bool {
        match read_log(&std::mem::take(&mut self.torn)) {
            Ok(log) => log.end != LogEnd::Complete,
            Err(error) => unreachable!("a truncated frame was read as a corrupt one: {error}"),
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
    fn a_crash_loses_the_commit_in_progress_or_nothing() {
        let faults = DiskFaults { lose_unsynced: true, torn: true, ..DiskFaults::default() };
        let mut losses = 0;
        for seed in 0..100 {
            let mut disk = Disk::default();
            disk.append(record(1));
            disk.sync();
            (2..5).for_each(|term| disk.append(record(term)));
            let lost = disk.crash(&faults, &mut ChaCha8Rng::seed_from_u64(seed));
            assert!([0, 3].contains(&lost.len()));
            assert_eq!(disk.records().len() + lost.len(), 4);
            // A few bytes that are all zero do not show.
            assert!(!disk.remove_torn_frame() || !lost.is_empty());
            assert!(!disk.remove_torn_frame());
            losses += usize::from(!lost.is_empty());
        }
        assert!((30..70).contains(&losses), "{losses}");
    }
}
