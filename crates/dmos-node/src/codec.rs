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
    use dmos_core::{Assignment, ItemId, Recipe, RequestId, Share, Supply};

    use super::*;
    use crate::log::{Commitment, ShipmentState};
    use crate::message::LinksRevision;
    use crate::relay::Relayed;
    use crate::server::Order;

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

    fn node(index: usize) -> NodeId {
        NodeId::new(index)
    }

    fn batch(producer: usize, serial: u32) -> BatchId {
        BatchId { producer: node(producer), serial }
    }

    fn range(producer: usize, serial: u32, count: u32) -> BatchRange {
        BatchRange { first: batch(producer, serial), count }
    }

    fn version(term: u64, number: u32) -> FlowVersion {
        FlowVersion { term: Term(term), number }
    }

    fn assignment(term: u64, item: usize, producer: usize, consumer: usize) -> Message {
        let supply = Supply { item: ItemId::new(item), producer: node(producer), share: Share::WHOLE };
        let (suppliers, consumers) = (Box::new([supply]), Box::new([node(consumer)]));
        Message::Assignment(
            version(term, 1),
            Arc::new(Assignment { suppliers, consumers, ..Assignment::default() }),
        )
    }

    fn order(incarnation: u32) -> Message {
        Message::Order { order: Order { incarnation, number: 1, total: 1 }, is_repeated: false }
    }

    fn links(nodes: &[NodeId]) -> Message {
        Message::Membership(Membership::Links { revision: LinksRevision::default(), broken: nodes.into() })
    }

    fn relayed(origin: usize, target: usize) -> Message {
        let content = write_message(&Message::Rejoin).into();
        let (origin, target) = (node(origin), node(target));
        Message::Relayed(Relayed {
            origin,
            target,
            number: 0,
            hops: 1,
            hops_left: 0,
            is_answer: false,
            content,
        })
    }

    #[test]
    fn messages_of_another_network_are_refused() {
        let (request, last, last_term) = (RequestId::default(), u32::MAX - 1, Term(NUMBER_MAX - 1));
        let announce = |batch| Message::Announcement { request: None, batch, settled: 0 };
        let ship = |batches| Message::Shipment { batches, incarnation: 0, order: 0, settled: 0 };
        let revision = LinksRevision::default();
        let network = network();
        // Each pair has one difference, at the limit of what is accepted.
        let pairs = [
            (
                Message::Request { request, item: ItemId::new(2) },
                Message::Request { request, item: ItemId::new(3) },
            ),
            (announce(batch(2, last)), announce(batch(2, u32::MAX))),
            (Message::TransitStarted(batch(2, 0)), Message::TransitStarted(batch(3, 0))),
            (Message::Delivered(batch(2, last)), Message::Delivered(batch(2, u32::MAX))),
            (order(COUNT_MAX - 1), order(COUNT_MAX)),
            (ship(range(2, last - 1, 1)), ship(range(2, last, 1))),
            (ship(range(2, 4, 1)), ship(range(3, 4, 1))),
            (ship(range(2, 4, 1)), ship(range(2, 4, 0))),
            (ship(range(2, 4, 9)), ship(range(2, 4, u32::MAX))),
            (Message::ShipmentAck(batch(2, 0)), Message::ShipmentAck(batch(3, 0))),
            (Message::Suspicion(node(2)), Message::Suspicion(node(3))),
            (assignment(1, 2, 2, 2), assignment(NUMBER_MAX, 2, 2, 2)),
            (assignment(1, 2, 2, 2), assignment(1, 3, 2, 2)),
            (assignment(1, 2, 2, 2), assignment(1, 2, 3, 2)),
            (assignment(1, 2, 2, 2), assignment(1, 2, 2, 3)),
            (
                Message::AssignmentAck(version(NUMBER_MAX - 1, COUNT_MAX - 1)),
                Message::AssignmentAck(version(NUMBER_MAX - 1, COUNT_MAX)),
            ),
            (Message::AssignmentAck(version(1, 1)), Message::AssignmentAck(version(NUMBER_MAX, 1))),
            (Message::Leader(node(2), last_term), Message::Leader(node(2), Term(NUMBER_MAX))),
            (Message::Leader(node(2), Term(1)), Message::Leader(node(3), Term(1))),
            (Message::NodeConfigAck(last_term, 0), Message::NodeConfigAck(Term(NUMBER_MAX), 0)),
            (
                Message::Membership(Membership::Present(last_term)),
                Message::Membership(Membership::Present(Term(NUMBER_MAX))),
            ),
            (
                Message::Membership(Membership::LinksAck(last_term, revision)),
                Message::Membership(Membership::LinksAck(Term(NUMBER_MAX), revision)),
            ),
            (
                Message::Membership(Membership::Alive(node(2))),
                Message::Membership(Membership::Alive(node(3))),
            ),
            (links(&[node(0), node(2)]), links(&[node(0), node(3)])),
            (relayed(2, 2), relayed(3, 2)),
            (relayed(2, 2), relayed(2, 3)),
        ];
        for (own, foreign) in pairs {
            assert_eq!(read_message(&write_message(&own), &network), Ok(own));
            let read = read_message(&write_message(&foreign), &network);
            assert_eq!(read, Err(CodecError::ForeignMessage), "{foreign:?}");
        }
    }

    #[test]
    fn records_of_another_node_or_network_are_refused() {
        use LogRecord as R;
        let (request, last, to, by) = (RequestId::default(), u32::MAX - 1, node(2), node(2));
        let made = |first, count| R::Made { first, count, inputs: 0 };
        let commit = |batch, to| R::Committed { batch, to, request };
        let ran = |product, input| R::Ran { product, inputs: Box::new([input]) };
        let ship = |batches, to| R::Shipped { batches, to, incarnation: 0 };
        let acknowledge = |batches, by| R::Acknowledged { batches, by };
        let void = |of, before| R::OrdersVoided { of: node(of), before };
        let recipe = |item| {
            R::Commanded(Command::Recipe(Box::new([Requirement { item: ItemId::new(item), quantity: 1 }])))
        };
        let pairs = [
            (made(batch(1, 0), 1), made(batch(2, 0), 1)),
            (made(batch(1, last - 1), 1), made(batch(1, last), 1)),
            (made(batch(1, 9), 1), made(batch(1, 9), u32::MAX)),
            (commit(batch(1, 0), to), commit(batch(2, 0), to)),
            (commit(batch(1, last), to), commit(batch(1, u32::MAX), to)),
            (commit(batch(1, 0), to), commit(batch(1, 0), node(3))),
            (R::InTransit(batch(1, 0)), R::InTransit(batch(2, 0))),
            (R::Delivered(batch(1, last)), R::Delivered(batch(1, u32::MAX))),
            (R::LocalBatchSent(batch(1, 0)), R::LocalBatchSent(batch(2, 0))),
            (ran(range(1, 0, 2), range(2, 0, 2)), ran(range(2, 0, 2), range(2, 0, 2))),
            (ran(range(1, 0, 2), range(2, 0, 2)), ran(range(1, 0, 0), range(2, 0, 2))),
            (ran(range(1, 0, 2), range(2, 0, 2)), ran(range(1, 0, 2), range(3, 0, 2))),
            (ship(range(1, 0, 2), to), ship(range(2, 0, 2), to)),
            (ship(range(1, 0, 2), to), ship(range(1, 0, 0), to)),
            (ship(range(1, 0, 2), to), ship(range(1, 0, 2), node(3))),
            (acknowledge(range(1, 0, 2), by), acknowledge(range(2, 0, 2), by)),
            (acknowledge(range(1, 0, 2), by), acknowledge(range(1, 0, 0), by)),
            (acknowledge(range(1, 0, 2), by), acknowledge(range(1, 0, 2), node(3))),
            (void(2, COUNT_MAX - 1), void(2, COUNT_MAX)),
            (void(2, 0), void(3, 0)),
            (R::Left(range(1, 0, 2)), R::Left(range(2, 0, 2))),
            (R::Left(range(1, 0, 2)), R::Left(range(1, 0, 0))),
            (R::Accepted(range(2, 0, 2)), R::Accepted(range(3, 0, 2))),
            (R::Arrived(range(2, 0, 2)), R::Arrived(range(3, 0, 2))),
            (R::TransitStarted(batch(2, 0)), R::TransitStarted(batch(3, 0))),
            (R::Received(batch(2, last)), R::Received(batch(2, u32::MAX))),
            (R::Consumed(batch(2, 0)), R::Consumed(batch(3, 0))),
            (R::Scrapped(batch(2, 0)), R::Scrapped(batch(3, 0))),
            (R::FlowAccepted(version(1, 1)), R::FlowAccepted(version(NUMBER_MAX, 1))),
            (recipe(2), recipe(3)),
        ];
        for (own, foreign) in pairs {
            assert_refused(own, foreign);
        }
        let log = [LogRecord::Restarted, made(batch(1, 0), 1), made(batch(2, 0), 1)];
        assert_eq!(check_log(&log, &network(), node(1)), Err(CodecError::ForeignLog { number: 3 }));
    }

    /// Returns the state of a node that has made five batches, with a change.
    fn set(change: &dyn Fn(&mut LogState)) -> LogState {
        let mut state = LogState { made: 5, ..LogState::default() };
        change(&mut state);
        state
    }

    #[test]
    fn states_with_other_counters_or_own_batches_are_refused() {
        let commitment = |to| Commitment { to: node(to), request: RequestId::default() };
        let pairs = [
            (set(&|state| state.made = u32::MAX - 1), set(&|state| state.made = u32::MAX)),
            (set(&|state| state.restarts = COUNT_MAX - 1), set(&|state| state.restarts = COUNT_MAX)),
            (set(&|state| state.consumed = NUMBER_MAX - 1), set(&|state| state.consumed = NUMBER_MAX)),
            (
                set(&|state| state.inbound_entries = NUMBER_MAX - 1),
                set(&|state| state.inbound_entries = NUMBER_MAX),
            ),
            (
                set(&|state| state.outbound_entries = NUMBER_MAX - 1),
                set(&|state| state.outbound_entries = NUMBER_MAX),
            ),
            (
                set(&|state| state.node_config.commands = COUNT_MAX - 1),
                set(&|state| state.node_config.commands = COUNT_MAX),
            ),
            (set(&|state| state.stock.insert_range(3..5)), set(&|state| state.stock.insert_range(3..6))),
            (
                set(&|state| state.committed = [(batch(1, 0), commitment(2))].into()),
                set(&|state| state.committed = [(batch(2, 0), commitment(2))].into()),
            ),
            (
                set(&|state| state.committed = [(batch(1, u32::MAX - 1), commitment(2))].into()),
                set(&|state| state.committed = [(batch(1, u32::MAX), commitment(2))].into()),
            ),
            (
                set(&|state| state.committed = [(batch(1, 0), commitment(2))].into()),
                set(&|state| state.committed = [(batch(1, 0), commitment(3))].into()),
            ),
            (
                set(&|state| state.in_transit = [batch(1, 0)].into()),
                set(&|state| state.in_transit = [batch(2, 0)].into()),
            ),
        ];
        for (own, foreign) in pairs {
            assert_refused(LogRecord::Compacted(Box::new(own)), LogRecord::Compacted(Box::new(foreign)));
        }
    }

    #[test]
    fn states_with_other_nodes_or_batches_are_refused() {
        let shipment = |count| ShipmentState { count, incarnation: 0 };
        let recipe = |item| Some([Requirement { item: ItemId::new(item), quantity: 1 }].into());
        let pairs = [
            (
                set(&|state| state.received.insert_range(range(2, 0, 4))),
                set(&|state| state.received.insert_range(range(3, 0, 4))),
            ),
            (set(&|state| state.left = 5), set(&|state| state.left = 6)),
            (
                set(&|state| state.shipped = [(node(2), (0, 0))].into()),
                set(&|state| state.shipped = [(node(3), (0, 0))].into()),
            ),
            (
                set(&|state| state.shipments = [((node(2), batch(1, 0)), shipment(1))].into()),
                set(&|state| state.shipments = [((node(3), batch(1, 0)), shipment(1))].into()),
            ),
            (
                set(&|state| state.shipments = [((node(2), batch(1, 0)), shipment(1))].into()),
                set(&|state| state.shipments = [((node(2), batch(2, 0)), shipment(1))].into()),
            ),
            (
                set(&|state| state.shipments = [((node(2), batch(1, 0)), shipment(1))].into()),
                set(&|state| state.shipments = [((node(2), batch(1, 0)), shipment(0))].into()),
            ),
            (
                set(&|state| state.incoming = [(batch(2, 0), 1)].into()),
                set(&|state| state.incoming = [(batch(2, 0), 0)].into()),
            ),
            (
                set(&|state| state.seen.insert_range(range(2, 0, 4))),
                set(&|state| state.seen.insert_range(range(3, 0, 4))),
            ),
            (
                set(&|state| state.node_config.requires = recipe(2)),
                set(&|state| state.node_config.requires = recipe(3)),
            ),
            (
                set(&|state| state.accepted_flow = version(NUMBER_MAX - 1, 0)),
                set(&|state| state.accepted_flow = version(NUMBER_MAX, 0)),
            ),
        ];
        for (own, foreign) in pairs {
            assert_refused(LogRecord::Compacted(Box::new(own)), LogRecord::Compacted(Box::new(foreign)));
        }
    }

    /// Asserts that a log of node 1 may have one of two records.
    fn assert_refused(own: LogRecord, foreign: LogRecord) {
        let (network, me) = (network(), node(1));
        assert_eq!(check_log(std::slice::from_ref(&own), &network, me), Ok(()), "{own:?}");
        let checked = check_log(std::slice::from_ref(&foreign), &network, me);
        assert_eq!(checked, Err(CodecError::ForeignLog { number: 1 }), "{foreign:?}");
    }

    /// Returns a network of three nodes without inputs.
    fn network() -> Network {
        let recipe = |item| Recipe::of(ItemId::new(item), []);
        let names = (Names::Numbers(3), Names::Numbers(3));
        Network::new(names.0, names.1, (0..3).map(recipe), vec![ItemId::new(2)]).expect("a valid network")
    }
}
