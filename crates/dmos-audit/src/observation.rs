//! What the invariant checker are told.

use dmos_node::{Holdings, LogRecord, LogState, Report};

/// Something that happened at a node. A driver tells of everything, in the order in which it happened.
#[derive(Debug)]
pub enum Observation<'a> {
    /// It starts, for the first time or after a crash.
    Started {
        /// True if it was up before.
        recovering: bool,
        /// What it finds in its log.
        log: FoundLog,
    },
    /// It has handled its start, and holds this.
    Holds(Holdings),
    /// It went down.
    Crashed(Crashed),
    /// A record became durable.
    Durable(&'a LogRecord),
    /// One record took the place of its whole log.
    Compacted {
        /// The log as it was.
        before: &'a [LogRecord],
        /// What that record says the log added up to.
        state: &'a LogState,
    },
    /// A record was appended, but a crash took it before it was durable.
    LostAppend(&'a LogRecord),
    /// It says something for the record.
    Reported(&'a Report),
}

/// In which state a log is found at a start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FoundLog {
    /// Its last record was torn.
    pub torn: bool,
    /// It begins with a compacted record.
    pub compacted: bool,
}

/// In the middle of what a node went down.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Crashed {
    /// It believed that it led.
    pub leads: bool,
    /// A plan of its own was under way.
    pub is_planning: bool,
    /// Batches were in transit to it.
    pub awaits_batches: bool,
}
