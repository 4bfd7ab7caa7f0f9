//! The last logged state of every batch, from which recovery by replay starts.

use std::collections::BTreeMap;

use dmos_core::BatchId;

use crate::log::LogRecord;

/// Last logged state of a received batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum InboundState {
    InTransit,
    Received,
    Consumed,
    LocalBatchSent,
}

/// Last logged state of a batch that the node made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OutboundState {
    InStock,
    Committed,
    InTransit,
    Delivered,
}

/// Last logged state of every batch, as the prototype keeps it. Such a log is never compacted.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) inbound: BTreeMap<BatchId, InboundState>,
    pub(crate) outbound: BTreeMap<BatchId, OutboundState>,
}

impl History {
    /// Replays a log from its start. O(n log n) in its records.
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
            LogRecord::LocalBatchSent(batch) => {
                let _ = self.inbound.insert(batch, InboundState::LocalBatchSent);
            }
            LogRecord::Scrapped(batch) => {
                // Scrapped batches count as consumed, or as delivered.
                match self.inbound.get_mut(&batch) {
                    Some(state) => *state = InboundState::Consumed,
                    None => drop(self.outbound.insert(batch, OutboundState::Delivered)),
                }
            }
            // The prototype has no production as a server.
            LogRecord::Ran { .. }
            | LogRecord::Shipped { .. }
            | LogRecord::OrdersVoided { .. }
            | LogRecord::Acknowledged { .. }
            | LogRecord::Left(_)
            | LogRecord::Accepted(_)
            | LogRecord::Arrived(_)
            | LogRecord::Restarted
            | LogRecord::FlowAccepted(_)
            | LogRecord::Commanded(_)
            | LogRecord::Election(_)
            | LogRecord::Compacted(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use dmos_core::{NodeId, RequestId};

    use super::*;

    fn batch(producer: usize, serial: u32) -> BatchId {
        BatchId { producer: NodeId::new(producer), serial }
    }

    #[test]
    fn an_interrupted_run_consumed_nothing() {
        let history = History::of(&[
            LogRecord::Received(batch(1, 0)),
            LogRecord::Received(batch(1, 1)),
            LogRecord::Consumed(batch(1, 0)),
            LogRecord::Consumed(batch(1, 1)),
            LogRecord::Made { first: batch(0, 0), count: 2, inputs: 1 },
        ]);
        assert_eq!(history.inbound[&batch(1, 0)], InboundState::Received);
        assert_eq!(history.inbound[&batch(1, 1)], InboundState::Consumed);
        assert_eq!(history.outbound.len(), 2);
    }

    #[test]
    fn the_last_record_of_a_batch_counts() {
        let (made, to) = (batch(0, 0), NodeId::new(2));
        let mut records = vec![
            LogRecord::Made { first: made, count: 1, inputs: 0 },
            LogRecord::Committed { batch: made, to, request: RequestId::default() },
        ];
        assert_eq!(History::of(&records).outbound[&made], OutboundState::Committed);
        records.push(LogRecord::Delivered(made));
        assert_eq!(History::of(&records).outbound[&made], OutboundState::Delivered);
    }
}
