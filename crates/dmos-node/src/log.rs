//! The log's records, and what they add up to after a crash.
//!
//! The log is written ahead: a record is durable before anything that depends on it leaves the node.
//! It has an inbound half (batches received and consumed_inputs up) and an outbound half (batches made and sent
//! off). Making is one step although it takes several records: the inputs are entered first, and count as
//! consumed_inputs up only once the batch is entered that they went into.
//!
//! From time to time the log is replaced by one record of all that it adds up to, so that it stays as long
//! as what the node holds, however much it ever made.

use std::collections::{BTreeMap, BTreeSet};

use dmos_core::{BatchId, FlowVersion, NodeId, RequestId, SerialSet};
use serde::{Deserialize, Serialize};

use crate::batch_set::BatchSet;
use crate::node_config::{Command, NodeConfig};

/// An entry of a node's log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum LogRecord {
    /// The node is back from a crash: it numbers its requests anew.
    Restarted,
    /// Outbound: batches were made and are in stock; what went into them is consumed_inputs up.
    Made {
        /// The first of them.
        first: BatchId,
        /// How many.
        count: u32,
        /// How many of the last [`LogRecord::Consumed`] before this one went into them.
        inputs: u32,
    },
    /// Outbound: a batch in stock is committed to a consumer.
    Committed {
        /// The batch.
        batch: BatchId,
        /// The consumer.
        to: NodeId,
        /// The request it answers.
        request: RequestId,
    },
    /// Outbound, under `log: mixed_up`: the consumer knows of the batch.
    InTransit(BatchId),
    /// Outbound: the consumer has the batch.
    Delivered(BatchId),
    /// Inbound: a batch is in transit to this node.
    TransitStarted(BatchId),
    /// Inbound: the batch is in the inbound.
    Received(BatchId),
    /// Inbound: the batch goes into those of the next [`LogRecord::Made`].
    Consumed(BatchId),
    /// Inbound, under `log: mixed_up`: an own batch was sent off.
    OwnBatchSent(BatchId),
    /// Either half: the batch was in stock or in the inbound when a crash destroyed it.
    Scrapped(BatchId),
    /// The node obeys the flow of this version, and no earlier one again.
    FlowAccepted(FlowVersion),
    /// The op generator ordered something.
    Commanded(Command),
    /// What the election machine must not forget; replaces what it wrote before.
    Election(Box<[u8]>),
    /// All that the log added up to when it was compacted; the first record, if there is one.
    Compacted(Box<LogState>),
}

/// A batch committed to a consumer that has not confirmed it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Commitment {
    /// The consumer.
    pub to: NodeId,
    /// The request it answers.
    pub request: RequestId,
}

/// What a log adds up to.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct LogState {
    /// How often the node has returned from a crash.
    pub restarts: u32,
    /// How many batches it has made; the serial number of the next.
    pub made: u32,
    /// How many batches it has consumed_inputs up.
    pub consumed: u64,
    /// The serial numbers of the batches in stock.
    pub stock: SerialSet,
    /// Own batches committed and not confirmed.
    pub committed: BTreeMap<BatchId, Commitment>,
    /// Own batches that, under `log: mixed_up`, a consumer knew of, whoever that was.
    pub in_transit: BTreeSet<BatchId>,
    /// Batches in the inbound.
    pub received: BTreeSet<BatchId>,
    /// Every batch that ever came in and, under `log: mixed_up`, every own one sent off.
    pub seen: BatchSet,
    /// Batches that the inbound log has entries of.
    pub inbound_entries: u64,
    /// Batches that the outbound log has entries of.
    pub outbound_entries: u64,
    /// What the op generator ordered.
    pub node_config: NodeConfig,
    /// The latest flow that the node obeyed.
    pub accepted_flow: FlowVersion,
    /// What the election machine wrote last.
    pub election: Option<Box<[u8]>>,
}

impl LogState {
    /// Reads a log from its beginning. O(n log n) in its records and in what the node holds.
    #[must_use]
    pub fn of(records: &[LogRecord]) -> Self {
        let mut state = Self::default();
        let mut consumed_inputs = Vec::new();
        for record in records {
            state.apply(record, &mut consumed_inputs);
        }
        state
    }

    /// Returns the number of records this worth when one decides whether a log is long.
    #[must_use]
    pub(crate) fn size(&self) -> u64 {
        let held =
            self.committed.len() + self.received.len() + self.stock.runs().len() + self.seen.run_count();
        held as u64
    }

    /// `consumed_inputs` collects inputs that are entered for a production run which is not entered yet.
    fn apply(&mut self, record: &LogRecord, consumed_inputs: &mut Vec<BatchId>) {
        match *record {
            LogRecord::Restarted => self.restarts += 1,
            LogRecord::Made { first, count, inputs } => {
                self.made = first.serial.saturating_add(count);
                self.stock.insert_run(first.serial..self.made);
                self.outbound_entries += u64::from(count);
                // Anything earlier was entered for a production run that a crash cut off.
                let interrupted = consumed_inputs.len().saturating_sub(inputs as usize);
                for batch in consumed_inputs.drain(..).skip(interrupted) {
                    self.received.remove(&batch);
                    self.consumed += 1;
                }
            }
            LogRecord::Committed { batch, to, request } => {
                self.stock.remove(batch.serial);
                self.committed.insert(batch, Commitment { to, request });
            }
            LogRecord::InTransit(batch) => {
                self.remove_own(batch);
                self.in_transit.insert(batch);
            }
            LogRecord::Delivered(batch) => self.remove_own(batch),
            // Its supplier announces it again.
            LogRecord::TransitStarted(_) => {}
            LogRecord::Received(batch) => {
                self.inbound_entries += u64::from(self.seen.insert(batch));
                self.received.insert(batch);
            }
            LogRecord::Consumed(batch) => consumed_inputs.push(batch),
            LogRecord::OwnBatchSent(batch) => self.inbound_entries += u64::from(self.seen.insert(batch)),
            LogRecord::Scrapped(batch) => {
                if !self.received.remove(&batch) {
                    self.stock.remove(batch.serial);
                }
            }
            LogRecord::FlowAccepted(version) => self.accepted_flow = version,
            LogRecord::Commanded(ref command) => self.node_config.apply(command),
            LogRecord::Election(ref bytes) => self.election = Some(bytes.clone()),
            LogRecord::Compacted(ref state) => *self = (**state).clone(),
        }
    }

    fn remove_own(&mut self, batch: BatchId) {
        self.stock.remove(batch.serial);
        self.committed.remove(&batch);
        self.in_transit.remove(&batch);
    }
}

/// The last that a log says of a batch that came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum InboundState {
    InTransit,
    Received,
    Consumed,
    OwnBatchSent,
}

/// The last that a log says of an own batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OutboundState {
    InStock,
    Committed,
    InTransit,
    Delivered,
}

/// The last word of a log on every batch, as the prototype keeps it. Such a log is never compacted.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) inbound: BTreeMap<BatchId, InboundState>,
    pub(crate) outbound: BTreeMap<BatchId, OutboundState>,
}

impl History {
    /// Reads a log from its beginning. O(n log n) in its records.
    pub(crate) fn of(records: &[LogRecord]) -> Self {
        let mut history = Self::default();
        let mut consumed_inputs = Vec::new();
        for record in records {
            history.apply(record, &mut consumed_inputs);
        }
        history
    }

    fn apply(&mut self, record: &LogRecord, consumed_inputs: &mut Vec<BatchId>) {
        match *record {
            LogRecord::Made { first, count, inputs } => {
                let serials = first.serial..first.serial + count;
                self.outbound
                    .extend(serials.map(|serial| (BatchId { serial, ..first }, OutboundState::InStock)));
                let interrupted = consumed_inputs.len().saturating_sub(inputs as usize);
                self.inbound.extend(
                    consumed_inputs.drain(..).skip(interrupted).map(|batch| (batch, InboundState::Consumed)),
                );
            }
            LogRecord::Committed { batch, .. } => drop(self.outbound.insert(batch, OutboundState::Committed)),
            LogRecord::InTransit(batch) => drop(self.outbound.insert(batch, OutboundState::InTransit)),
            LogRecord::Delivered(batch) => drop(self.outbound.insert(batch, OutboundState::Delivered)),
            LogRecord::TransitStarted(batch) => drop(self.inbound.insert(batch, InboundState::InTransit)),
            LogRecord::Received(batch) => drop(self.inbound.insert(batch, InboundState::Received)),
            LogRecord::Consumed(batch) => consumed_inputs.push(batch),
            LogRecord::OwnBatchSent(batch) => drop(self.inbound.insert(batch, InboundState::OwnBatchSent)),
            LogRecord::Scrapped(batch) => {
                // What is gone is as if it had been consumed_inputs up, or delivered.
                match self.inbound.get_mut(&batch) {
                    Some(state) => *state = InboundState::Consumed,
                    None => drop(self.outbound.insert(batch, OutboundState::Delivered)),
                }
            }
            LogRecord::Restarted
            | LogRecord::FlowAccepted(_)
            | LogRecord::Commanded(_)
            | LogRecord::Election(_)
            | LogRecord::Compacted(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use dmos_core::Term;

    use super::*;

    fn batch(producer: usize, serial: u32) -> BatchId {
        BatchId { producer: NodeId::new(producer), serial }
    }

    #[test]
    fn a_making_that_was_cut_off_used_nothing_up() {
        let received = [batch(1, 0), batch(1, 1)].map(LogRecord::Received);
        let interrupted = LogRecord::Consumed(batch(1, 0));
        let whole =
            [LogRecord::Consumed(batch(1, 1)), LogRecord::Made { first: batch(0, 0), count: 2, inputs: 1 }];
        let records: Vec<_> = received.into_iter().chain([interrupted]).chain(whole).collect();
        let state = LogState::of(&records);
        assert_eq!((state.received, state.consumed), (BTreeSet::from([batch(1, 0)]), 1));
        assert_eq!((state.stock.len(), state.made), (2, 2));
        let history = History::of(&records);
        assert_eq!(history.inbound[&batch(1, 0)], InboundState::Received);
        assert_eq!(history.inbound[&batch(1, 1)], InboundState::Consumed);
        assert_eq!(history.outbound.len(), 2);
    }

    #[test]
    fn the_last_word_on_a_batch_counts() {
        let (made, to, request) = (batch(0, 0), NodeId::new(2), RequestId { incarnation: 0, number: 4 });
        let mut records = vec![LogRecord::Made { first: made, count: 1, inputs: 0 }];
        records.push(LogRecord::Committed { batch: made, to, request });
        let state = LogState::of(&records);
        assert_eq!((state.committed[&made], state.stock.len()), (Commitment { to, request }, 0));
        assert_eq!(History::of(&records).outbound[&made], OutboundState::Committed);
        records.push(LogRecord::Delivered(made));
        assert!(LogState::of(&records).committed.is_empty());
        assert_eq!(History::of(&records).outbound[&made], OutboundState::Delivered);
    }

    #[test]
    fn a_compacted_log_adds_up_to_the_same() {
        let records = [
            LogRecord::Received(batch(1, 3)),
            LogRecord::Received(batch(1, 4)),
            LogRecord::Consumed(batch(1, 3)),
            LogRecord::Made { first: batch(0, 0), count: 2, inputs: 1 },
            LogRecord::Committed { batch: batch(0, 0), to: NodeId::new(2), request: RequestId::default() },
            LogRecord::FlowAccepted(FlowVersion { term: Term(4), number: 2 }),
        ];
        let state = LogState::of(&records);
        let more = [LogRecord::Delivered(batch(0, 0)), LogRecord::Restarted];
        let compacted = [LogRecord::Compacted(Box::new(state))];
        let whole = LogState::of(&[&records[..], &more].concat());
        assert_eq!(LogState::of(&[&compacted[..], &more].concat()), whole);
    }
}
