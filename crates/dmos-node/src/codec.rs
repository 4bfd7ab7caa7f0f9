//! Binary encoding of messages, and checks of messages and logs against a network.
//!
//! Input from outside is never trusted: any bytes yield a value or an error. The encoding of logs is in
//! [`log_file`](crate::log_file).

use dmos_core::{BatchId, FlowVersion, Network, NodeId, Requirement, Term};
use thiserror::Error;

use crate::batch_range::BatchRange;
use crate::log::{LogRecord, LogState};
use crate::message::{Membership, Message};
use crate::node_config::Command;

/// Error of decoding a log or a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum CodecError {
    /// A record before the last is corrupt: the disk has lost durable data.
    #[error(
        "corrupt record at byte {at}, before the end of the log; restore the log from a backup, or replace the node"
    )]
    CorruptLog {
        /// Offset of the corrupt record.
        at: usize,
    },
    /// The log refers to nodes or items outside the network, or belongs to another node.
    #[error("record {number} belongs to another network or node; use the log of this node")]
    ForeignLog {
        /// Number of the record, counting from 1.
        number: usize,
    },
    /// The bytes are not exactly one message.
    #[error("not a valid message of this version")]
    InvalidMessage,
    /// The message refers to nodes or items outside the network.
    #[error("the message belongs to another network")]
    ForeignMessage,
}

/// Upper bound for terms and counters, so that counting on from them cannot overflow.
const NUMBER_MAX: u64 = 1 << 62;

/// Upper bound for counters of 32 bits, for the same reason.
const COUNT_MAX: u32 = 1 << 30;

/// Encodes a message.
#[must_use]
pub fn write_message(message: &Message) -> Vec<u8> {
    postcard::to_stdvec(message).expect("every message can be written to memory")
}

/// Decodes a message between nodes of `network`.
///
/// # Errors
/// [`CodecError::InvalidMessage`] if the bytes are no message, [`CodecError::ForeignMessage`] if it refers to
/// another network.
pub fn read_message(bytes: &[u8], network: &Network) -> Result<Message, CodecError> {
    match postcard::take_from_bytes(bytes) {
        Ok((message, [])) if NetworkCheck(network).message(&message) => Ok(message),
        Ok((_, [])) => Err(CodecError::ForeignMessage),
        _ => Err(CodecError::InvalidMessage),
    }
}

/// Checks that a log belongs to node `me` of `network`, so that the node can start from it.
///
/// # Errors
/// [`CodecError::ForeignLog`] if it does not.
pub fn check_log(records: &[LogRecord], network: &Network, me: NodeId) -> Result<(), CodecError> {
    let fit = NetworkCheck(network);
    for (index, record) in records.iter().enumerate() {
        if !fit.record(record, me) {
            return Err(CodecError::ForeignLog { number: index + 1 });
        }
    }
    Ok(())
}

/// Checks that values refer to a network.
struct NetworkCheck<'a>(&'a Network);

impl NetworkCheck<'_> {
    fn node(&self, node: NodeId) -> bool {
        node.index() < self.0.node_count()
    }

    fn batch(&self, batch: BatchId) -> bool {
        self.node(batch.producer) && batch.serial < u32::MAX
    }

    fn range(&self, range: BatchRange) -> bool {
        let end = range.first.serial.checked_add(range.count);
        self.node(range.first.producer) && range.count > 0 && end.is_some_and(|end| end < u32::MAX)
    }

    fn term(&self, term: Term) -> bool {
        term.0 < NUMBER_MAX
    }

    fn version(&self, version: FlowVersion) -> bool {
        self.term(version.term) && version.number < COUNT_MAX
    }

    fn recipe(&self, node: NodeId, requires: &[Requirement]) -> bool {
        self.0.with_requirements([(node, requires)]).is_ok()
    }

    fn message(&self, message: &Message) -> bool {
        match message {
            Message::Request { item, .. } => item.index() < self.0.item_count(),
            Message::Announcement { batch, .. }
            | Message::TransitStarted(batch)
            | Message::Delivered(batch) => self.batch(*batch),
            Message::Order { order, .. } => order.incarnation < COUNT_MAX,
            Message::Shipment { batches, .. } => self.range(*batches),
            Message::ShipmentAck(first) => self.batch(*first),
            Message::Suspicion(node) => self.node(*node),
            Message::Assignment(version, assignment) => {
                let items =
                    assignment.suppliers.iter().all(|supply| supply.item.index() < self.0.item_count());
                self.version(*version) && items && assignment.neighbours().all(|node| self.node(node))
            }
            Message::AssignmentAck(version) => self.version(*version),
            Message::Leader(leader, term) => self.node(*leader) && self.term(*term),
            Message::NodeConfigAck(term, _) => self.term(*term),
            Message::Membership(Membership::Present(term) | Membership::LinksAck(term, _)) => {
                self.term(*term)
            }
            Message::Membership(Membership::Alive(node)) => self.node(*node),
            Message::Membership(Membership::Links { broken, .. }) => {
                broken.iter().all(|&node| self.node(node))
            }
            Message::Relayed(relayed) => self.node(relayed.origin) && self.node(relayed.target),
            // Only the leader knows all recipes, so it checks whether a recipe fits.
            Message::NodeConfig(_)
            | Message::Unavailable { .. }
            | Message::HeartbeatRequest
            | Message::HeartbeatResponse { .. }
            | Message::OrderAck(_)
            | Message::Rejoin
            | Message::Election(_) => true,
        }
    }

    fn record(&self, record: &LogRecord, me: NodeId) -> bool {
        match record {
            LogRecord::Made { first, count, .. } => {
                first.producer == me && first.serial.checked_add(*count).is_some_and(|end| end < u32::MAX)
            }
            LogRecord::Committed { batch, to, .. } => {
                batch.producer == me && self.batch(*batch) && self.node(*to)
            }
            LogRecord::InTransit(batch) | LogRecord::Delivered(batch) | LogRecord::LocalBatchSent(batch) => {
                batch.producer == me && self.batch(*batch)
            }
            LogRecord::Ran { product, inputs } => {
                product.first.producer == me
                    && self.range(*product)
                    && inputs.iter().all(|range| self.range(*range))
            }
            LogRecord::Shipped { batches, to, .. } => {
                batches.first.producer == me && self.range(*batches) && self.node(*to)
            }
            LogRecord::Acknowledged { batches, by } => {
                batches.first.producer == me && self.range(*batches) && self.node(*by)
            }
            LogRecord::OrdersVoided { of, before } => self.node(*of) && *before < COUNT_MAX,
            LogRecord::Left(batches) => batches.first.producer == me && self.range(*batches),
            LogRecord::Accepted(batches) | LogRecord::Arrived(batches) => self.range(*batches),
            LogRecord::TransitStarted(batch)
            | LogRecord::Received(batch)
            | LogRecord::Consumed(batch)
            | LogRecord::Scrapped(batch) => self.batch(*batch),
            LogRecord::FlowAccepted(version) => self.version(*version),
            LogRecord::Commanded(Command::Recipe(requires)) => self.recipe(me, requires),
            LogRecord::Commanded(Command::Retire) | LogRecord::Restarted | LogRecord::Election(_) => true,
            LogRecord::Compacted(state) => self.state(state, me),
        }
    }

    fn state(&self, state: &LogState, me: NodeId) -> bool {
        let own = |batch: &BatchId| batch.producer == me && self.batch(*batch);
        state.made < u32::MAX
            && state.restarts < COUNT_MAX
            && state.consumed < NUMBER_MAX
            && state.inbound_entries < NUMBER_MAX
            && state.outbound_entries < NUMBER_MAX
            && state.node_config.commands < COUNT_MAX
            && state.stock.ranges().last().is_none_or(|run| run.1 <= state.made)
            && state.committed.iter().all(|(batch, commitment)| own(batch) && self.node(commitment.to))
            && state.in_transit.iter().all(own)
            && state.received.ranges().all(|range| self.range(range))
            && state.left <= u64::from(state.made)
            && state.shipped.keys().all(|consumer| self.node(*consumer))
            && state.shipments.iter().all(|((to, first), shipment)| {
                self.node(*to)
                    && own(first)
                    && self.range(BatchRange { first: *first, count: shipment.count })
            })
            && state.incoming.iter().all(|(&first, &count)| self.range(BatchRange { first, count }))
            && state.seen.producers().all(|producer| self.node(producer))
            && state.node_config.requires.as_ref().is_none_or(|requires| self.recipe(me, requires))
            && self.version(state.accepted_flow)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dmos_core::network::Names;
    use dmos_core::{Assignment, ItemId, Recipe, Share, Supply};

    use super::*;
    use crate::node_config::NodeConfig;

    #[test]
    fn messages_are_read_as_they_were_written() {
        let network = network();
        let supply = Supply { item: ItemId::new(1), producer: NodeId::new(2), share: Share::WHOLE };
        let assignment =
            Assignment { suppliers: Box::new([supply]), consumers: Box::new([]), ..Assignment::default() };
        let messages = [
            Message::HeartbeatRequest,
            Message::Assignment(FlowVersion { term: Term(3), number: 1 }, Arc::new(assignment)),
            Message::Election(Box::new([7; 9])),
        ];
        for message in messages {
            let bytes = write_message(&message);
            assert_eq!(read_message(&bytes, &network), Ok(message));
            assert_eq!(read_message(&bytes[..bytes.len() - 1], &network), Err(CodecError::InvalidMessage));
            assert_eq!(read_message(&[&bytes[..], &[0]].concat(), &network), Err(CodecError::InvalidMessage));
        }
    }

    #[test]
    fn foreign_messages_and_logs_are_refused() {
        let network = network();
        let foreign = [
            Message::Suspicion(NodeId::new(3)),
            Message::TransitStarted(BatchId { producer: NodeId::new(0), serial: u32::MAX }),
            Message::Leader(NodeId::new(0), Term(u64::MAX)),
        ];
        for message in foreign {
            let read = read_message(&write_message(&message), &network);
            assert_eq!(read, Err(CodecError::ForeignMessage), "{message:?}");
        }
        let me = NodeId::new(1);
        let made = |producer: usize| LogRecord::Made {
            first: BatchId { producer: NodeId::new(producer), serial: 0 },
            count: 1,
            inputs: 0,
        };
        let counters = [
            LogState { restarts: u32::MAX - 1, ..LogState::default() },
            LogState { made: u32::MAX, ..LogState::default() },
            LogState { consumed: u64::MAX - 1, ..LogState::default() },
            LogState {
                node_config: NodeConfig { commands: u32::MAX - 1, ..NodeConfig::default() },
                ..LogState::default()
            },
        ];
        let last = LogRecord::Received(BatchId { producer: NodeId::new(2), serial: u32::MAX });
        let counters = counters.map(|state| LogRecord::Compacted(Box::new(state)));
        for record in counters.into_iter().chain([last]) {
            let log = [record, LogRecord::Restarted];
            assert_eq!(check_log(&log, &network, me), Err(CodecError::ForeignLog { number: 1 }), "{log:?}");
        }
        assert_eq!(check_log(&[made(1)], &network, me), Ok(()));
        assert_eq!(check_log(&[made(1), made(2)], &network, me), Err(CodecError::ForeignLog { number: 2 }));
    }

    /// Returns a network of three nodes without inputs.
    fn network() -> Network {
        let recipe = |item| Recipe::of(ItemId::new(item), []);
        let names = (Names::Numbers(3), Names::Numbers(3));
        Network::new(names.0, names.1, (0..3).map(recipe), vec![ItemId::new(2)]).expect("a valid network")
    }
}
