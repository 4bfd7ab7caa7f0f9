//! Log records, and the state that a log represents.
//!
//! The log is a write-ahead log: a record is durable before anything that depends on it leaves the node. It
//! has an inbound half (batches received and consumed) and an outbound half (batches made and shipped). A
//! production run is atomic although it takes several records: the inputs are logged first, and count as
//! consumed only once the product is logged.
//!
//! From time to time the log is replaced by one record of its whole state, so that its length is proportional
//! to what the node holds, not to what it ever made.

use std::collections::{BTreeMap, BTreeSet};

use dmos_core::{BatchId, FlowVersion, NodeId, RequestId, SerialSet};
use serde::{Deserialize, Serialize};

use crate::batch_range::BatchRange;
use crate::batch_set::BatchSet;
use crate::node_config::{Command, NodeConfig};

/// A record of a node's log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum LogRecord {
    /// The node recovered from a crash and starts a new incarnation.
    Restarted,
    /// Outbound: batches were made and are in stock; their inputs are consumed.
    Made {
        /// The first of the batches.
        first: BatchId,
        /// Number of batches.
        count: u32,
        /// Number of the directly preceding [`LogRecord::Consumed`] records that belong to this run.
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
    /// Outbound, under `log: mixed_up`: the consumer acknowledged the announcement.
    InTransit(BatchId),
    /// Outbound: the consumer confirmed the arrival.
    Delivered(BatchId),
    /// Inbound: the transit of a batch to this node started.
    TransitStarted(BatchId),
    /// Inbound: the batch is in its input buffer.
    Received(BatchId),
    /// Inbound: the batch is an input of the next [`LogRecord::Made`].
    Consumed(BatchId),
    /// A production run ended, under `production: server`: its inputs are consumed and its product is in stock.
    Ran {
        /// The product.
        product: BatchRange,
        /// The inputs.
        inputs: Box<[BatchRange]>,
    },
    /// Outbound: batches are shipped to a consumer, which is irrevocable.
    Shipped {
        /// The batches.
        batches: BatchRange,
        /// The consumer.
        to: NodeId,
        /// Its incarnation, whose order they fill.
        incarnation: u32,
    },
    /// Outbound: a consumer has restarted, which voids the orders of its incarnations before this one.
    OrdersVoided {
        /// The consumer.
        of: NodeId,
        /// Its new incarnation.
        before: u32,
    },
    /// Outbound: the consumer has logged a shipment.
    Acknowledged {
        /// The batches.
        batches: BatchRange,
        /// The consumer.
        by: NodeId,
    },
    /// Outbound: batches of a final item that other nodes consume as well have left the factory.
    Left(BatchRange),
    /// Inbound: a shipment is in transit to this node, which answers for it from now on.
    Accepted(BatchRange),
    /// Inbound: a shipment has arrived and is in the input buffer.
    Arrived(BatchRange),
    /// Inbound, under `log: mixed_up`: a batch of the node itself was shipped.
    LocalBatchSent(BatchId),
    /// Either half: a crash destroyed the batch, which was in a buffer.
    Scrapped(BatchId),
    /// The node accepted the flow of this version, and accepts no earlier one again.
    FlowAccepted(FlowVersion),
    /// The node received a command.
    Commanded(Command),
    /// Durable state of the election; replaces the one before.
    Election(Box<[u8]>),
    /// State of the log when it was compacted; always the first record.
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

/// A shipment that its consumer has not acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ShipmentState {
    /// Number of batches.
    pub count: u32,
    /// The consumer's incarnation whose order it fills.
    pub incarnation: u32,
}

/// The state that a log represents.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct LogState {
    /// Number of recoveries from crashes.
    pub restarts: u32,
    /// Number of batches made; the serial number of the next.
    pub made: u32,
    /// Number of batches consumed.
    pub consumed: u64,
    /// Serial numbers of the batches in stock.
    pub stock: SerialSet,
    /// Own batches committed and not confirmed.
    pub committed: BTreeMap<BatchId, Commitment>,
    /// Own batches that, under `log: mixed_up`, some consumer acknowledged.
    pub in_transit: BTreeSet<BatchId>,
    /// Batches in the input buffers and in process.
    pub received: BatchSet,
    /// Number of batches of a final item that have left the factory, if other nodes consume the item as well.
    pub left: u64,
    /// By consumer, its latest incarnation and the number of batches shipped to it.
    pub shipped: BTreeMap<NodeId, (u32, u32)>,
    /// Shipments that are not acknowledged, by consumer and first batch.
    pub shipments: BTreeMap<(NodeId, BatchId), ShipmentState>,
    /// Shipments in transit to this node: first batch and number of batches.
    pub incoming: BTreeMap<BatchId, u32>,
    /// All batches ever received and, under `log: mixed_up`, all batches that the node shipped.
    pub seen: BatchSet,
    /// Number of batches in the inbound log.
    pub inbound_entries: u64,
    /// Number of batches in the outbound log.
    pub outbound_entries: u64,
    /// Configuration of the node after all commands.
    pub node_config: NodeConfig,
    /// The latest flow that the node accepted.
    pub accepted_flow: FlowVersion,
    /// The last durable state of the election.
    pub election: Option<Box<[u8]>>,
}

impl LogState {
    /// Replays a log from its start. O(n log n) in its records and in what the node holds.
    ///
    /// # Panics
    /// If a number in the log overflows; [`check_log`](crate::codec::check_log) refuses such a log.
    #[must_use]
    pub fn of(records: &[LogRecord]) -> Self {
        let mut state = Self::default();
        let mut consumed_inputs = Vec::new();
        for record in records {
            state.apply(record, &mut consumed_inputs);
        }
        state
    }

    /// Returns a measure of the state's size, in records, for deciding when to compact.
    #[must_use]
    pub(crate) fn size(&self) -> u64 {
        let outbound = self.committed.len() + self.stock.ranges().len();
        let shipments = self.shipped.len() + self.shipments.len() + self.incoming.len();
        (outbound + shipments + self.seen.range_count()) as u64 + self.received.len()
    }

    /// Applies a record. `consumed_inputs` collects the inputs of a production run whose product is not
    /// logged yet.
    fn apply(&mut self, record: &LogRecord, consumed_inputs: &mut Vec<BatchId>) {
        match *record {
            LogRecord::Restarted => self.restarts += 1,
            LogRecord::Made { first, count, inputs } => {
                self.made = first.serial.saturating_add(count);
                self.stock.insert_range(first.serial..self.made);
                self.outbound_entries += u64::from(count);
                // Earlier inputs belong to a production run that a crash interrupted.
                let interrupted = consumed_inputs.len().saturating_sub(inputs as usize);
                for batch in consumed_inputs.drain(..).skip(interrupted) {
                    self.received.remove(batch);
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
            // The supplier announces the batch again.
            LogRecord::TransitStarted(_) => {}
            LogRecord::Received(batch) => {
                self.inbound_entries += u64::from(self.seen.insert(batch));
                self.received.insert(batch);
            }
            LogRecord::Consumed(batch) => consumed_inputs.push(batch),
            LogRecord::LocalBatchSent(batch) => self.inbound_entries += u64::from(self.seen.insert(batch)),
            LogRecord::Ran { product, ref inputs } => {
                self.made = product.serials().end;
                self.stock.insert_range(product.serials());
                self.outbound_entries += u64::from(product.count);
                for &range in inputs {
                    self.received.remove_range(range);
                    self.consumed += u64::from(range.count);
                }
            }
            LogRecord::OrdersVoided { of, before } => drop(self.shipped.insert(of, (before, 0))),
            LogRecord::Shipped { batches, to, incarnation } => self.ship(batches, to, incarnation),
            LogRecord::Acknowledged { batches, by } => drop(self.shipments.remove(&(by, batches.first))),
            LogRecord::Left(batches) => {
                self.stock.remove_range(batches.serials());
                self.left += u64::from(batches.count);
            }
            LogRecord::Accepted(batches) => {
                self.inbound_entries += u64::from(batches.count);
                self.seen.insert_range(batches);
                self.incoming.insert(batches.first, batches.count);
            }
            LogRecord::Arrived(batches) => {
                self.incoming.remove(&batches.first);
                self.received.insert_range(batches);
            }
            LogRecord::Scrapped(batch) => {
                if !self.received.remove(batch) {
                    self.stock.remove(batch.serial);
                }
            }
            LogRecord::FlowAccepted(version) => self.accepted_flow = version,
            LogRecord::Commanded(ref command) => self.node_config.apply(command),
            LogRecord::Election(ref bytes) => self.election = Some(bytes.clone()),
            LogRecord::Compacted(ref state) => *self = (**state).clone(),
        }
    }

    fn ship(&mut self, batches: BatchRange, to: NodeId, incarnation: u32) {
        self.stock.remove_range(batches.serials());
        self.shipments.insert((to, batches.first), ShipmentState { count: batches.count, incarnation });
        let shipped = self.shipped.entry(to).or_insert((incarnation, 0));
        if shipped.0 < incarnation {
            *shipped = (incarnation, 0);
        }
        if shipped.0 == incarnation {
            shipped.1 = shipped.1.saturating_add(batches.count);
        }
    }

    fn remove_own(&mut self, batch: BatchId) {
        self.stock.remove(batch.serial);
        self.committed.remove(&batch);
        self.in_transit.remove(&batch);
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
    fn an_interrupted_run_consumed_nothing() {
        let received = [batch(1, 0), batch(1, 1)].map(LogRecord::Received);
        let interrupted = LogRecord::Consumed(batch(1, 0));
        let whole =
            [LogRecord::Consumed(batch(1, 1)), LogRecord::Made { first: batch(0, 0), count: 2, inputs: 1 }];
        let records: Vec<_> = received.into_iter().chain([interrupted]).chain(whole).collect();
        let state = LogState::of(&records);
        assert_eq!((state.received, state.consumed), ([batch(1, 0)].into_iter().collect(), 1));
        assert_eq!((state.stock.len(), state.made), (2, 2));
    }

    #[test]
    fn the_last_record_of_a_batch_counts() {
        let (made, to, request) = (batch(0, 0), NodeId::new(2), RequestId { incarnation: 0, number: 4 });
        let mut records = vec![LogRecord::Made { first: made, count: 1, inputs: 0 }];
        records.push(LogRecord::Committed { batch: made, to, request });
        let state = LogState::of(&records);
        assert_eq!((state.committed[&made], state.stock.len()), (Commitment { to, request }, 0));
        records.push(LogRecord::Delivered(made));
        assert!(LogState::of(&records).committed.is_empty());
    }

    fn range(producer: usize, serial: u32, count: u32) -> BatchRange {
        BatchRange { first: batch(producer, serial), count }
    }

    #[test]
    fn a_run_consumes_ranges_of_inputs() {
        let (first, second) = (range(1, 0, 5), range(2, 7, 1));
        let log = [
            LogRecord::Accepted(first),
            LogRecord::Arrived(first),
            LogRecord::Received(second.first),
            LogRecord::Ran { product: range(0, 0, 3), inputs: Box::new([range(1, 1, 2), second]) },
        ];
        let state = LogState::of(&log);
        assert!(state.received.iter().eq([batch(1, 0), batch(1, 3), batch(1, 4)]));
        assert_eq!((state.consumed, state.made, state.stock.len()), (3, 3, 3));
        assert_eq!((state.inbound_entries, state.outbound_entries), (6, 3));
    }

    #[test]
    fn a_batch_is_counted_once() {
        let log = [
            LogRecord::Received(batch(1, 0)),
            LogRecord::Received(batch(1, 0)),
            LogRecord::LocalBatchSent(batch(0, 0)),
            LogRecord::LocalBatchSent(batch(0, 0)),
        ];
        let state = LogState::of(&log);
        assert_eq!((state.inbound_entries, state.received.len(), state.seen.len()), (2, 1, 2));
    }

    #[test]
    fn shipments_count_for_the_incarnation_that_ordered_them() {
        let to = NodeId::new(2);
        let ship = |serial, count, incarnation| LogRecord::Shipped {
            batches: range(0, serial, count),
            to,
            incarnation,
        };
        let shipped = |log: &[LogRecord]| LogState::of(log).shipped.get(&to).copied();
        let made = LogRecord::Made { first: batch(0, 0), count: 20, inputs: 0 };
        let mut log = vec![made, ship(0, 2, 1)];
        assert_eq!(shipped(&log), Some((1, 2)));
        log.push(ship(2, 3, 1));
        assert_eq!(shipped(&log), Some((1, 5)));
        log.push(ship(5, 4, 2));
        assert_eq!(shipped(&log), Some((2, 4)), "a later incarnation starts from zero");
        log.push(ship(9, 1, 1));
        assert_eq!(shipped(&log), Some((2, 4)), "an earlier incarnation does not count any more");
        log.push(LogRecord::OrdersVoided { of: to, before: 3 });
        assert_eq!(shipped(&log), Some((3, 0)));
        log.push(LogRecord::Acknowledged { batches: range(0, 2, 3), by: to });
        let state = LogState::of(&log);
        assert_eq!(state.stock.len(), 10);
        assert!(state.shipments.keys().map(|key| key.1.serial).eq([0, 5, 9]));
        assert_eq!(state.shipments[&(to, batch(0, 5))], ShipmentState { count: 4, incarnation: 2 });
    }

    #[test]
    fn batches_leave_the_stock_in_every_way() {
        let (to, request) = (NodeId::new(2), RequestId::default());
        let log = [
            LogRecord::Made { first: batch(0, 0), count: 10, inputs: 0 },
            LogRecord::InTransit(batch(0, 0)),
            LogRecord::Left(range(0, 1, 2)),
            LogRecord::Committed { batch: batch(0, 3), to, request },
            LogRecord::InTransit(batch(0, 3)),
            LogRecord::Scrapped(batch(0, 4)),
            LogRecord::Delivered(batch(0, 0)),
            LogRecord::Received(batch(1, 9)),
            LogRecord::Scrapped(batch(1, 9)),
        ];
        let state = LogState::of(&log);
        assert_eq!((state.stock.ranges(), state.left), (&[(5, 10)][..], 2));
        assert!(state.committed.is_empty() && state.received.is_empty());
        assert_eq!(state.in_transit, BTreeSet::from([batch(0, 3)]));
    }

    #[test]
    fn the_latest_flow_command_and_election_count() {
        let version = FlowVersion { term: Term(2), number: 7 };
        let log = [
            LogRecord::FlowAccepted(FlowVersion::default()),
            LogRecord::FlowAccepted(version),
            LogRecord::Commanded(Command::Retire),
            LogRecord::Election(Box::new([1])),
            LogRecord::Election(Box::new([2])),
            LogRecord::TransitStarted(batch(1, 0)),
            LogRecord::Restarted,
        ];
        let node_config = NodeConfig { commands: 1, requires: None, retired: true };
        let state = LogState {
            restarts: 1,
            accepted_flow: version,
            node_config,
            election: Some([2].into()),
            ..LogState::default()
        };
        assert_eq!(LogState::of(&log), state);
    }

    #[test]
    fn the_size_counts_what_the_node_holds() {
        let (to, request) = (NodeId::new(2), RequestId::default());
        let mut log = vec![LogRecord::Made { first: batch(0, 0), count: 10, inputs: 0 }];
        let mut sizes = vec![LogState::of(&log).size()];
        for record in [
            // Two ranges of stock, and a commitment.
            LogRecord::Committed { batch: batch(0, 4), to, request },
            // A count of batches shipped, and a shipment.
            LogRecord::Shipped { batches: range(0, 0, 2), to, incarnation: 0 },
            // A shipment on its way, and a range of batches seen.
            LogRecord::Accepted(range(1, 0, 3)),
            // Three batches instead.
            LogRecord::Arrived(range(1, 0, 3)),
            LogRecord::Delivered(batch(0, 4)),
        ] {
            log.push(record);
            sizes.push(LogState::of(&log).size());
        }
        assert_eq!(sizes, [1, 3, 5, 7, 9, 8]);
    }

    #[test]
    fn a_compacted_log_has_the_same_state() {
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
