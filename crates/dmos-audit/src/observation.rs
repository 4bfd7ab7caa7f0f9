//! Observations: the input of the invariant checker.

use dmos_core::Time;
use dmos_node::{Holdings, LogRecord, LogState, Report};

/// An event at a node. A driver reports all events in the order in which they occur.
#[derive(Debug)]
pub enum Observation<'a> {
    /// The node starts, for the first time or after a crash.
    Started {
        /// True if it was up before.
        recovering: bool,
        /// State of its log at the start.
        log: LogAtStart,
    },
    /// The node has handled its start, and holds these batches.
    Holds(Holdings),
    /// The node went down.
    Crashed(StateAtCrash),
    /// A record became durable.
    Durable(&'a LogRecord),
    /// The log was replaced by one record of its state.
    Compacted {
        /// The log before the compaction.
        before: &'a [LogRecord],
        /// The state in the new record.
        state: &'a LogState,
    },
    /// An appended record was lost in a crash before it was durable.
    LostAppend(&'a LogRecord),
    /// The node started a production run, which ends at this time unless the node is stopped.
    RunStarted {
        /// The earliest end.
        ends: Time,
    },
    /// The node reported an event.
    Reported(&'a Report),
}

/// State of a log at a start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LogAtStart {
    /// True if its last record was torn.
    pub torn: bool,
    /// True if it starts with a compacted record.
    pub compacted: bool,
}

/// State of a node when it went down.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StateAtCrash {
    /// True if it believed that it led.
    pub leads: bool,
    /// True if it was computing a plan.
    pub is_planning: bool,
    /// True if batches were in transit to it.
    pub awaits_batches: bool,
}
