//! Outbound side of a node: keeps the output buffer and ships batches on request.
//!
//! A batch is committed to one consumer in the log before it is announced, and its announcement is
//! retransmitted until the consumer confirms it, so it is never delivered to two consumers. Competing
//! consumers are served in the order of their first refusal, so none starves. Batches leave the stock in the
//! order of their serial numbers, so that a consumer can be told up to which number all batches are settled.

use std::collections::BTreeMap;

use dmos_core::settings::{LogKeeping, Recovery, Serving};
use dmos_core::{BatchId, ItemId, Metric, NodeId, RequestId, SerialSet, Time};

use crate::assignment::ActiveAssignment;
use crate::batch_set::BatchSet;
use crate::context::Context;
use crate::inbound::Inbound;
use crate::interface::Timer;
use crate::log::{Commitment, LogRecord};
use crate::message::Message;
use crate::retransmission::{Retransmission, RetransmissionTimer, timeout};

/// A batch that is announced and not confirmed.
#[derive(Clone, Copy)]
pub(crate) struct Shipment {
    request: Option<RequestId>,
    retransmission: Retransmission,
}

/// A consumer whose request was refused.
#[derive(Clone, Copy)]
struct WaitingConsumer {
    node: NodeId,
    /// Consumers are served in ascending order of this number, given at their first refusal.
    position: u64,
    /// Time of its last request. A waiting consumer requests in every cycle, so one that stopped requesting
    /// is skipped.
    requested: Time,
}

impl WaitingConsumer {
    fn still_waits(&self, cx: &Context<'_>) -> bool {
        let waiting_limit = timeout(cx.protocol, 0).unwrap_or(cx.protocol.heartbeat) + cx.protocol.cycle * 2;
        cx.now.since(self.requested) <= waiting_limit
    }
}

/// Batches made and not delivered.
pub(crate) struct Outbound {
    me: NodeId,
    pub(crate) stock: SerialSet,
    /// By consumer, then batch.
    pub(crate) shipments: BTreeMap<(NodeId, BatchId), Shipment>,
    /// Number of batches made in all incarnations.
    made: u32,
    log_entries: u64,
    /// Refused consumers, of which some may have given up; sorted by node.
    waiting: Vec<WaitingConsumer>,
    next_position: u64,
    timer: RetransmissionTimer,
    /// Under `recovery: replay`: batches whose last logged state is delivered.
    pub(crate) logged_deliveries: BatchSet,
}

impl Outbound {
    pub(crate) fn new(me: NodeId) -> Self {
        Self {
            me,
            stock: SerialSet::default(),
            shipments: BTreeMap::new(),
            made: 0,
            log_entries: 0,
            waiting: Vec::new(),
            next_position: 0,
            timer: RetransmissionTimer::default(),
            logged_deliveries: BatchSet::default(),
        }
    }

    /// Returns the serial numbers of the batches in stock.
    pub(crate) fn stock(&self) -> &SerialSet {
        &self.stock
    }

    /// Returns the batches that are announced and not confirmed.
    pub(crate) fn in_transit(&self) -> impl Iterator<Item = BatchId> + '_ {
        self.shipments.keys().map(|(_, batch)| *batch)
    }

    /// Returns the commitments that are not fulfilled.
    pub(crate) fn commitments(&self) -> BTreeMap<BatchId, Commitment> {
        let commitment = |(&(to, batch), sent): (&(NodeId, BatchId), &Shipment)| {
            Some((batch, Commitment { to, request: sent.request? }))
        };
        self.shipments.iter().filter_map(commitment).collect()
    }

    /// Returns the number of batches in the outbound log.
    pub(crate) fn log_entries(&self) -> u64 {
        self.log_entries
    }

    pub(crate) fn next_serial(&self) -> u32 {
        self.made
    }

    /// Returns whether the output buffer has room for one more production run. Final items always have room,
    /// because they leave the factory.
    pub(crate) fn has_room(&self, cx: &Context<'_>) -> bool {
        if cx.network.is_final(cx.me) {
            return true;
        }
        cx.protocol.stock_limit.is_none_or(|limit| self.stock.len() < u64::from(limit.get()))
    }

    pub(crate) fn add_to_stock(&mut self, count: u32) {
        let next = self.made.checked_add(count).expect("a node makes fewer than 2^32 batches");
        self.stock.insert_range(self.made..next);
        self.log_entries += u64::from(count);
        self.made = next;
    }

    /// Handles a request for a batch.
    pub(crate) fn on_request(
        &mut self,
        cx: &mut Context<'_>,
        active: &ActiveAssignment,
        inbound: &mut Inbound,
        from: NodeId,
        request: RequestId,
        item: ItemId,
    ) {
        cx.metrics.count(Metric::FlowQueries);
        if active.assignment().is_none() {
            return;
        }
        if cx.protocol.recovery == Recovery::Exact && self.repeat_shipments(cx, from, request) {
            return;
        }
        let makes_item = item == cx.network.makes(cx.me);
        let is_within_limit = self.is_within_limit(cx, from);
        let can_serve = makes_item && is_within_limit && self.is_next(cx, from);
        let in_stock = if can_serve { self.stock.pop_first() } else { None };
        let Some(serial) = in_stock else {
            if makes_item && is_within_limit {
                self.enqueue(cx, from);
            }
            if is_within_limit {
                cx.metrics.count(Metric::EmptyOutboundInventoryOccurrences);
            } else {
                cx.metrics.count(Metric::RequestsOverLimit);
            }
            self.refuse(cx, from, request);
            return;
        };
        if let Ok(at) = self.position_of(from) {
            self.waiting.remove(at);
        }
        let batch = BatchId { producer: self.me, serial };
        match cx.protocol.log {
            LogKeeping::Separate => cx.append(LogRecord::Committed { batch, to: from, request }),
            LogKeeping::MixedUp => inbound.log_shipment(cx, batch),
        }
        // What other nodes consume of a final item does not leave the factory. Under `recovery: replay` the stock
        // can hold batches that were never counted.
        if cx.network.is_final(cx.me) && cx.metrics.get(Metric::FinishedGoodsMade) > 0 {
            cx.metrics.subtract(Metric::FinishedGoodsMade, 1);
        }
        self.ship(cx, batch, from, Some(request));
    }

    /// Returns the index of a consumer among the waiting ones, or the index at which it would be inserted.
    fn position_of(&self, node: NodeId) -> Result<usize, usize> {
        self.waiting.binary_search_by_key(&node, |waits| waits.node)
    }

    /// Returns whether stock is available for a consumer after serving all others that were refused before
    /// it.
    fn is_next(&self, cx: &Context<'_>, from: NodeId) -> bool {
        let own = self.position_of(from).map(|at| &self.waiting[at]).ok();
        let position = own.filter(|own| own.still_waits(cx)).map_or(u64::MAX, |own| own.position);
        let stock = self.stock.len() as usize;
        let ahead = self.waiting.iter().filter(|other| other.position < position && other.still_waits(cx));
        ahead.take(stock).count() < stock
    }

    fn enqueue(&mut self, cx: &Context<'_>, from: NodeId) {
        if cx.protocol.serving != Serving::InTurn {
            return;
        }
        if let Ok(at) = self.position_of(from)
            && self.waiting[at].still_waits(cx)
        {
            self.waiting[at].requested = cx.now;
            return;
        }
        // Consumers that gave up, possibly including this one, are removed first.
        self.waiting.retain(|other| other.still_waits(cx));
        let at = self.position_of(from).unwrap_or_else(|at| at);
        self.waiting
            .insert(at, WaitingConsumer { node: from, position: self.next_position, requested: cx.now });
        self.next_position += 1;
    }

    /// Refuses a request.
    pub(crate) fn refuse(&self, cx: &mut Context<'_>, to: NodeId, request: RequestId) {
        cx.metrics.count(Metric::BatchUnavailableMessagesSent);
        cx.send(to, Message::Unavailable { request });
    }

    /// Returns whether another batch can be committed to a consumer within `commitment_limit`.
    fn is_within_limit(&self, cx: &Context<'_>, to: NodeId) -> bool {
        cx.protocol.commitment_limit.is_none_or(|limit| self.shipments_to(to).count() < limit.get() as usize)
    }

    fn shipments_to(&self, to: NodeId) -> impl Iterator<Item = (BatchId, &Shipment)> {
        let first = BatchId { producer: NodeId::new(0), serial: 0 };
        let all = self.shipments.range((to, first)..).take_while(move |((node, _), _)| *node == to);
        all.map(|((_, batch), sent)| (*batch, sent))
    }

    /// Retransmits at once the announcements that a requesting consumer missed. Returns whether the request
    /// was answered by one of them.
    fn repeat_shipments(&mut self, cx: &mut Context<'_>, from: NodeId, request: RequestId) -> bool {
        let mut is_answered = false;
        let mut due = Vec::new();
        for (batch, sent) in self.shipments_to(from) {
            let answers = sent.request == Some(request);
            is_answered |= answers;
            if answers || sent.retransmission.is_repeated() {
                due.push(batch);
            }
        }
        for batch in due {
            self.retransmit(cx, (from, batch), Retransmission::new(cx.now));
        }
        is_answered
    }

    fn retransmit(&mut self, cx: &mut Context<'_>, key: (NodeId, BatchId), retransmission: Retransmission) {
        let settled = self.settled_before(key.0);
        let sent = self.shipments.get_mut(&key).expect("only pending shipments are retransmitted");
        sent.retransmission = retransmission;
        let message = Message::Announcement { request: sent.request, batch: key.1, settled };
        cx.metrics.count(Metric::BatchesRetransmitted);
        cx.send(key.0, message);
    }

    /// Returns the serial number before which all batches are settled with a consumer: none of them is in
    /// transit to it.
    fn settled_before(&self, to: NodeId) -> u32 {
        self.shipments_to(to).next().map_or(0, |(batch, _)| batch.serial)
    }

    /// Announces a batch to a consumer and tracks it until it is confirmed.
    pub(crate) fn ship(
        &mut self,
        cx: &mut Context<'_>,
        batch: BatchId,
        to: NodeId,
        request: Option<RequestId>,
    ) {
        self.shipments.insert((to, batch), Shipment { request, retransmission: Retransmission::new(cx.now) });
        let settled = self.settled_before(to);
        cx.send(to, Message::Announcement { request, batch, settled });
        self.timer.set(cx, Timer::RetransmitBatches);
    }

    /// Retransmits overdue announcements.
    pub(crate) fn retransmit_overdue(&mut self, cx: &mut Context<'_>) {
        self.timer.expire();
        let overdue = |(key, sent): (&(NodeId, BatchId), &Shipment)| {
            let retransmission = sent.retransmission;
            retransmission.is_due(cx.now, cx.protocol).then_some((*key, retransmission.again(cx.now)))
        };
        let overdue: Vec<_> = self.shipments.iter().filter_map(overdue).collect();
        for (key, retransmission) in overdue {
            self.retransmit(cx, key, retransmission);
        }
        if !self.shipments.is_empty() {
            self.timer.set(cx, Timer::RetransmitBatches);
        }
    }

    /// Handles the acknowledgement of an announcement: the transit has started.
    pub(crate) fn on_transit_started(&mut self, cx: &mut Context<'_>, from: NodeId, batch: BatchId) {
        if let Some(sent) = self.shipments.get_mut(&(from, batch)) {
            sent.retransmission.postpone(cx.now);
        }
        if cx.protocol.log == LogKeeping::MixedUp {
            self.log_transit_started(cx, batch);
        }
    }

    /// Handles the confirmation of an arrival.
    pub(crate) fn on_delivered(&mut self, cx: &mut Context<'_>, from: NodeId, batch: BatchId) {
        let counts = match cx.protocol.recovery {
            Recovery::Exact => self.shipments.remove(&(from, batch)).is_some(),
            Recovery::Replay => self.confirm_by_log(batch),
        };
        if counts {
            cx.metrics.count(Metric::BatchesDelivered);
        }
        if counts && batch.producer == cx.me {
            cx.append(LogRecord::Delivered(batch));
        }
    }

    /// Restores the state from the log after a crash.
    pub(crate) fn restore(&mut self, made: u32, stock: SerialSet, log_entries: u64) {
        (self.made, self.stock, self.log_entries) = (made, stock, log_entries);
    }

    /// Adjusts the count of log entries after a compaction, which leaves only batches in stock or in transit.
    pub(crate) fn on_compacted(&mut self) {
        self.log_entries = self.stock.len() + self.shipments.len() as u64;
    }
}
