//! The output side of a node: its output buffer, its order book, and shipments to consumers.
//!
//! Batches leave the buffer in the order of their serial numbers, in shipments of consecutive ones. A shipment
//! is logged before it is announced, and announced again until its consumer acknowledges that it has logged
//! it; from then on the consumer answers for it.

use dmos_core::flow::PlannedRate;
use dmos_core::{BatchId, Metric, NodeId, SerialSet};
use litemap::LiteMap;

use super::order_book::{Entry, Order, OrderBook, OrderStatus};
use crate::batch_range::BatchRange;
use crate::context::Context;
use crate::interface::Timer;
use crate::log::{LogRecord, ShipmentState};
use crate::message::Message;
use crate::retransmission::{Retransmission, RetransmissionTimer};

/// A shipment that is announced and not acknowledged.
#[derive(Clone, Copy, Debug)]
struct Shipment {
    state: ShipmentState,
    retransmission: Retransmission,
}

/// Output buffer, order book and shipments.
#[derive(Debug)]
pub(crate) struct Output {
    me: NodeId,
    /// True for a final item that leaves the factory from the buffer, because other nodes can consume it.
    leaves_later: bool,
    /// Batches in the output buffer.
    stock: SerialSet,
    /// Number of batches of a final item that have left the factory, where other nodes consume the item as
    /// well.
    left: u64,
    /// Number of batches made in all incarnations.
    made: u32,
    book: OrderBook,
    /// By consumer, then first batch.
    shipments: LiteMap<(NodeId, BatchId), Shipment>,
    timer: RetransmissionTimer,
    /// Consumers that are served, with their numbers of batches; kept to be reused.
    allotted: Vec<(NodeId, u32)>,
    /// Shipments that are logged and not yet announced; kept to be reused.
    unannounced: Vec<(NodeId, BatchId)>,
}

impl Output {
    pub(crate) fn new(me: NodeId, leaves_later: bool) -> Self {
        Self {
            me,
            leaves_later,
            stock: SerialSet::default(),
            left: 0,
            made: 0,
            book: OrderBook::default(),
            shipments: LiteMap::new(),
            timer: RetransmissionTimer::default(),
            allotted: Vec::new(),
            unannounced: Vec::new(),
        }
    }

    /// Restores the state of the last commit. Shipments that are not acknowledged are announced again.
    pub(crate) fn restore(&mut self, cx: &mut Context<'_>, state: &crate::log::LogState) {
        (self.stock, self.left, self.made) = (state.stock.clone(), state.left, state.made);
        for (&consumer, &(incarnation, shipped)) in &state.shipped {
            self.book.restore(consumer, incarnation, shipped);
        }
        for (&(consumer, first), &shipment) in &state.shipments {
            self.track(cx, consumer, first, shipment);
        }
        self.announce(cx);
    }

    /// Returns what is known of a consumer's orders.
    pub(crate) fn order_status(&self, consumer: NodeId) -> OrderStatus {
        self.book.status(consumer)
    }

    pub(crate) fn stock(&self) -> &SerialSet {
        &self.stock
    }

    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    pub(crate) fn made(&self) -> u32 {
        self.made
    }

    /// Returns the batches shipped to each consumer in its latest incarnation.
    pub(crate) fn shipped(&self) -> impl Iterator<Item = (NodeId, (u32, u32))> + '_ {
        self.book.shipped().filter(|(consumer, _)| *consumer != self.me)
    }

    /// Returns the shipments that are not acknowledged.
    pub(crate) fn shipments(&self) -> impl Iterator<Item = ((NodeId, BatchId), ShipmentState)> + '_ {
        self.shipments.iter().map(|(key, shipment)| (*key, shipment.state))
    }

    /// Returns the batches that are announced and not acknowledged.
    pub(crate) fn in_transit(&self) -> impl Iterator<Item = BatchRange> + '_ {
        self.shipments().map(|((_, first), state)| BatchRange { first, count: state.count })
    }

    /// Returns whether the output buffer has room for one more production run: for the stock limit, or for two
    /// yields if that is more. Final items always have room, because they leave the factory.
    pub(crate) fn has_room(&self, cx: &Context<'_>) -> bool {
        if cx.network.is_final(cx.me) {
            return true;
        }
        let yields = u64::from(cx.network.yield_per_run(cx.me));
        let fits =
            |limit: std::num::NonZeroU32| self.stock.len() + yields <= u64::from(limit.get()).max(2 * yields);
        cx.protocol.stock_limit.is_none_or(fits)
    }

    /// Adds the product of a run.
    pub(crate) fn add(&mut self, count: u32) {
        let next = self.made.checked_add(count).expect("a node makes fewer than 2^32 batches");
        self.stock.insert_range(self.made..next);
        self.made = next;
    }

    /// Adopts the consumers of an assignment. A final item that other nodes can consume leaves the factory at the
    /// rate `leaving`, like a consumer that always waits; `None` if the node is not in the flow.
    pub(crate) fn assign(
        &mut self,
        cx: &mut Context<'_>,
        consumers: impl Iterator<Item = (NodeId, PlannedRate)>,
        leaving: Option<PlannedRate>,
    ) {
        let leaving = leaving.filter(|_| self.leaves_later);
        let leaves = leaving.is_some();
        let consumers: Vec<_> = consumers.chain(leaving.map(|rate| (self.me, rate))).collect();
        self.book.assign(consumers);
        if leaves {
            self.book.enter(self.me, Order { incarnation: 0, number: 1, total: u32::MAX });
        }
        self.serve(cx);
    }

    /// Handles an order. An order that was sent before and still waits is acknowledged.
    pub(crate) fn on_order(&mut self, cx: &mut Context<'_>, from: NodeId, order: Order, is_repeated: bool) {
        let entry = self.book.enter(from, order);
        if entry == Entry::NewIncarnation {
            cx.append(LogRecord::OrdersVoided { of: from, before: order.incarnation });
        }
        let is_served = entry != Entry::Outdated && {
            self.serve(cx);
            self.allotted.iter().any(|(consumer, _)| *consumer == from)
        };
        if is_repeated && !is_served {
            cx.send(from, Message::OrderAck(self.book.status(from)));
        }
    }

    /// Ships what is in stock to waiting consumers.
    pub(crate) fn serve(&mut self, cx: &mut Context<'_>) {
        self.book.allot(self.stock.len(), &mut self.allotted);
        for at in 0..self.allotted.len() {
            let (consumer, mut count) = self.allotted[at];
            while count > 0 {
                let range = self.take(count);
                count -= range.count;
                if consumer == self.me {
                    self.leave(cx, range);
                } else {
                    let OrderStatus { incarnation, .. } = self.book.status(consumer);
                    let state = ShipmentState { count: range.count, incarnation };
                    cx.append(LogRecord::Shipped { batches: range, to: consumer, incarnation });
                    // A command can make a node consume an item that was final only. What it takes has counted as
                    // finished.
                    if !self.leaves_later && cx.network.is_final(self.me) {
                        cx.metrics.subtract(Metric::FinishedGoodsMade, u64::from(range.count));
                    }
                    self.track(cx, consumer, range.first, state);
                }
            }
        }
        self.announce(cx);
    }

    /// Tracks a logged shipment until it is acknowledged.
    fn track(&mut self, cx: &Context<'_>, to: NodeId, first: BatchId, state: ShipmentState) {
        let retransmission = Retransmission::new(cx.now);
        self.shipments.insert((to, first), Shipment { state, retransmission });
        self.unannounced.push((to, first));
    }

    /// Announces the shipments that were logged since the last call.
    fn announce(&mut self, cx: &mut Context<'_>) {
        for at in 0..self.unannounced.len() {
            let (consumer, first) = self.unannounced[at];
            self.send(cx, consumer, first);
            self.timer.set(cx, Timer::RetransmitBatches);
        }
        self.unannounced.clear();
    }

    /// Takes the first batches of the stock, as far as they are consecutive.
    fn take(&mut self, count: u32) -> BatchRange {
        let (first, end) = self.stock.ranges().first().copied().expect("allotted batches are in stock");
        let count = count.min(end - first);
        self.stock.remove_range(first..first + count);
        BatchRange { first: BatchId { producer: self.me, serial: first }, count }
    }

    /// Records that batches of a final item leave the factory.
    fn leave(&mut self, cx: &mut Context<'_>, batches: BatchRange) {
        cx.append(LogRecord::Left(batches));
        self.left += u64::from(batches.count);
        cx.metrics.add(Metric::FinishedGoodsMade, u64::from(batches.count));
    }

    fn send(&self, cx: &mut Context<'_>, to: NodeId, first: BatchId) {
        let Some(Shipment { state, .. }) = self.shipments.get(&(to, first)) else {
            return;
        };
        let OrderStatus { number: order, .. } = self.book.status(to);
        let message = Message::Shipment {
            batches: BatchRange { first, count: state.count },
            incarnation: state.incarnation,
            order,
            settled: self.settled_before(to),
        };
        cx.send(to, message);
    }

    /// Returns the serial number before which all batches are settled with a consumer.
    fn settled_before(&self, to: NodeId) -> u32 {
        let all = (to, BatchId { producer: NodeId::new(0), serial: 0 });
        let (Ok(at) | Err(at)) = self.shipments.find_index(&all);
        let first = self.shipments.get_indexed(at).filter(|((consumer, _), _)| *consumer == to);
        first.map_or(0, |((_, first), _)| first.serial)
    }

    /// Handles the acknowledgement of a shipment: its consumer has logged it.
    pub(crate) fn on_shipment_ack(&mut self, cx: &mut Context<'_>, from: NodeId, first: BatchId) {
        if let Some(shipment) = self.shipments.remove(&(from, first)) {
            let batches = BatchRange { first, count: shipment.state.count };
            cx.metrics.add(Metric::BatchesDelivered, u64::from(batches.count));
            cx.append(LogRecord::Acknowledged { batches, by: from });
        }
    }

    /// Announces overdue shipments again.
    pub(crate) fn retransmit_overdue(&mut self, cx: &mut Context<'_>) {
        self.timer.expire();
        let mut after = None;
        loop {
            let mut shipments = self.shipments.iter_mut().filter(|(key, _)| Some(**key) > after);
            let is_due = |shipment: &Shipment| shipment.retransmission.is_due(cx.now, cx.protocol);
            let Some((&(to, first), shipment)) = shipments.find(|(_, shipment)| is_due(shipment)) else {
                break;
            };
            shipment.retransmission = shipment.retransmission.again(cx.now);
            cx.metrics.count(Metric::BatchesRetransmitted);
            self.send(cx, to, first);
            after = Some((to, first));
        }
        if !self.shipments.is_empty() {
            self.timer.set(cx, Timer::RetransmitBatches);
        }
    }
}
