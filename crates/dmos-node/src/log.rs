//! The log's records, and what they add up to after a crash.
//!
//! The log is written ahead: a record is durable before anything that depends on it leaves the node.
//! It has an inbound half (batches received and used up) and an outbound half (batches made and sent
//! off). Making is one step although it takes several records: the inputs are entered first, and count as
//! used up only once the batch is entered that they went into.

use std::collections::BTreeMap;

use dmos_core::{BatchId, NodeId, RequestId};

/// An entry of a node's log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LogRecord {
    /// Outbound: batches were made and are in stock; what went into them is used up.
    Made {
        /// The first of them.
        first: BatchId,
        /// How many.
        count: u32,
        /// How many of the last [`LogRecord::Consumed`] before this one went into them.
        inputs: u32,
    },
    /// Outbound: a batch in stock is promised to a consumer.
    Promised {
        /// The batch.
        batch: BatchId,
        /// The consumer.
        to: NodeId,
        /// The request it answers.
        request: RequestId,
    },
    /// Outbound, under `log: mixed_up`: the consumer knows of the batch.
    OnItsWay(BatchId),
    /// Outbound: the consumer has the batch.
    Delivered(BatchId),
    /// Inbound: a batch is in transit to this node.
    Coming(BatchId),
    /// Inbound: the batch is in the dock.
    Received(BatchId),
    /// Inbound: the batch goes into those of the next [`LogRecord::Made`].
    Consumed(BatchId),
    /// Inbound, under `log: mixed_up`: an own batch was sent off.
    SentOff(BatchId),
    /// What the election machine must not forget; replaces what it wrote before.
    Election(Box<[u8]>),
}

/// The last that the log says of a batch that came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Inbound {
    Coming,
    Received,
    Consumed,
    SentOff,
}

/// The last that the log says of an own batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outbound {
    InStock,
    Promised { to: NodeId, request: RequestId },
    OnItsWay,
    Delivered,
}

/// What a whole log adds up to.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    pub(crate) inbound: BTreeMap<BatchId, Inbound>,
    pub(crate) outbound: BTreeMap<BatchId, Outbound>,
    pub(crate) election: Option<Box<[u8]>>,
}

impl Recovered {
    /// Reads a log from its beginning. O(n log n) in its records.
    pub(crate) fn from_records(records: &[LogRecord]) -> Self {
        let mut recovered = Self::default();
        let mut used = Vec::new();
        for record in records {
            recovered.apply(record, &mut used);
        }
        recovered
    }

    /// `used` collects inputs that are entered for a making which is not entered yet.
    fn apply(&mut self, record: &LogRecord, used: &mut Vec<BatchId>) {
        match *record {
            LogRecord::Made { first, count, inputs } => {
                let serials = first.serial..first.serial + count;
                self.outbound.extend(serials.map(|serial| (BatchId { serial, ..first }, Outbound::InStock)));
                // Anything earlier was entered for a making that a crash cut off.
                let cut_off = used.len().saturating_sub(inputs as usize);
                self.inbound.extend(used.drain(..).skip(cut_off).map(|batch| (batch, Inbound::Consumed)));
            }
            LogRecord::Promised { batch, to, request } => {
                self.outbound.insert(batch, Outbound::Promised { to, request });
            }
            LogRecord::OnItsWay(batch) => {
                self.outbound.insert(batch, Outbound::OnItsWay);
            }
            LogRecord::Delivered(batch) => {
                self.outbound.insert(batch, Outbound::Delivered);
            }
            LogRecord::Coming(batch) => {
                self.inbound.insert(batch, Inbound::Coming);
            }
            LogRecord::Received(batch) => {
                self.inbound.insert(batch, Inbound::Received);
            }
            LogRecord::Consumed(batch) => used.push(batch),
            LogRecord::SentOff(batch) => {
                self.inbound.insert(batch, Inbound::SentOff);
            }
            LogRecord::Election(ref bytes) => self.election = Some(bytes.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(maker: usize, serial: u32) -> BatchId {
        BatchId { maker: NodeId::new(maker), serial }
    }

    #[test]
    fn a_making_that_was_cut_off_used_nothing_up() {
        let received = [batch(1, 0), batch(1, 1)].map(LogRecord::Received);
        let cut_off = LogRecord::Consumed(batch(1, 0));
        let whole =
            [LogRecord::Consumed(batch(1, 1)), LogRecord::Made { first: batch(0, 0), count: 2, inputs: 1 }];
        let records: Vec<_> = received.into_iter().chain([cut_off]).chain(whole).collect();
        let recovered = Recovered::from_records(&records);
        assert_eq!(recovered.inbound[&batch(1, 0)], Inbound::Received);
        assert_eq!(recovered.inbound[&batch(1, 1)], Inbound::Consumed);
        assert_eq!(recovered.outbound.len(), 2);
    }

    #[test]
    fn the_last_word_on_a_batch_counts() {
        let (made, to, request) = (batch(0, 0), NodeId::new(2), RequestId(4));
        let mut records = vec![LogRecord::Made { first: made, count: 1, inputs: 0 }];
        records.push(LogRecord::Promised { batch: made, to, request });
        assert_eq!(Recovered::from_records(&records).outbound[&made], Outbound::Promised { to, request });
        records.push(LogRecord::Delivered(made));
        assert_eq!(Recovered::from_records(&records).outbound[&made], Outbound::Delivered);
    }
}
