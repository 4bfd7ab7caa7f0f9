//! The input side of a node: its input buffers, and the orders that keep them filled.
//!
//! Inputs are ordered up to a level that covers the planned need during the lead time, so that transport costs
//! time and not capacity (continuous review; Silver, Pyke and Thomas, "Inventory and production management in
//! supply chains", 2017). Compared with the level is the inventory position: batches on hand, in transit and
//! on order. A shipment is logged before it is acknowledged, and is the node's own from then on: its transport
//! starts again if a crash interrupts it.

use std::collections::{BTreeMap, VecDeque};

use dmos_core::{Assignment, BatchId, ItemId, Metric, NodeId, Requirement, Routes, Share, Supply, Time};
use litemap::LiteMap;

use super::level::Level;
use super::order_book::{Order, OrderStatus};
use crate::batch_range::BatchRange;
use crate::batch_set::BatchSet;
use crate::context::Context;
use crate::failure_detector::FailureDetector;
use crate::interface::{Effect, Report, Timer};
use crate::log::{LogRecord, LogState};
use crate::message::Message;
use crate::retransmission::{Retransmission, RetransmissionTimer};

/// Number of retransmissions of an unacknowledged order after which its supplier counts as silent.
const RETRIES_MAX: u32 = 3;

/// Input buffer of one item.
#[derive(Default, Debug)]
struct Buffer {
    /// Oldest first.
    batches: VecDeque<BatchRange>,
    count: u64,
    /// Number of batches in transit to the buffer.
    incoming: u64,
}

/// Orders to one supplier, in this incarnation.
#[derive(Clone, Copy, Default, Debug)]
struct Account {
    number: u32,
    ordered: u32,
    /// Batches accepted of those ordered.
    accepted: u32,
    /// The latest order while it is not acknowledged.
    unanswered: Option<Retransmission>,
    /// True if orders were not acknowledged for too long, until the supplier answers.
    is_silent: bool,
    /// Incarnation of the supplier, as far as it is known.
    supplier_incarnation: u32,
    /// Batches ordered since the flow became active.
    used: u64,
    /// Batches ordered of which the supplier has not been told.
    unplaced: u32,
}

impl Account {
    fn order(&mut self, count: u32) {
        self.ordered = self.ordered.saturating_add(count);
        self.used += u64::from(count);
        self.unplaced += count;
    }

    fn open(&self) -> u64 {
        u64::from(self.ordered.saturating_sub(self.accepted))
    }

    fn is_overdue(&self, cx: &Context<'_>) -> bool {
        self.unanswered.is_some_and(|unanswered| unanswered.is_due(cx.now, cx.protocol))
    }

    /// Records that the latest order is sent again.
    fn retransmit(&mut self, now: Time) {
        self.unanswered = self.unanswered.map(|unanswered| unanswered.again(now));
        self.is_silent |= self.unanswered.is_some_and(|unanswered| unanswered.retries() >= RETRIES_MAX);
    }
}

/// Input buffers, shipments in transit to this node, and orders.
#[derive(Default, Debug)]
pub(crate) struct Inputs {
    buffers: LiteMap<ItemId, Buffer>,
    /// By first batch, the number of batches in transit to this node.
    incoming: BTreeMap<BatchId, u32>,
    /// All batches ever accepted.
    seen: BatchSet,
    incarnation: u32,
    accounts: LiteMap<NodeId, Account>,
    timer: RetransmissionTimer,
}

impl Inputs {
    /// Restores the state of the last commit, and starts the interrupted transports again.
    pub(crate) fn restore(&mut self, cx: &mut Context<'_>, state: &LogState) {
        self.incarnation = state.restarts;
        self.seen = state.seen.clone();
        for range in state.received.ranges() {
            self.store(cx, range);
        }
        for (&first, &count) in &state.incoming {
            self.expect(cx, BatchRange { first, count });
            cx.effects.push(Effect::Transport { batch: first, blocking: false });
        }
    }

    /// Returns all batches in the input buffers.
    pub(crate) fn batches(&self) -> impl Iterator<Item = BatchRange> + '_ {
        self.buffers.values().flat_map(|buffer| &buffer.batches).copied()
    }

    /// Returns the shipments in transit to this node.
    pub(crate) fn incoming(&self) -> impl Iterator<Item = BatchRange> + '_ {
        self.incoming.iter().map(|(&first, &count)| BatchRange { first, count })
    }

    /// Returns the number of batches in transit to this node. O(inputs).
    pub(crate) fn incoming_count(&self) -> u64 {
        self.buffers.values().map(|buffer| buffer.incoming).sum()
    }

    /// Returns the number of batches in the input buffers. O(inputs).
    pub(crate) fn count(&self) -> u64 {
        self.buffers.values().map(|buffer| buffer.count).sum()
    }

    pub(crate) fn seen(&self) -> &BatchSet {
        &self.seen
    }

    pub(crate) fn incarnation(&self) -> u32 {
        self.incarnation
    }

    fn on_hand(&self, item: ItemId) -> u64 {
        self.buffers.get(&item).map_or(0, |buffer| buffer.count)
    }

    /// Returns the first item of which a production run lacks batches.
    pub(crate) fn missing(&self, cx: &Context<'_>) -> Option<ItemId> {
        let lacks = |required: &&Requirement| self.on_hand(required.item) < u64::from(required.quantity);
        cx.network.requirements(cx.me).iter().find(lacks).map(|required| required.item)
    }

    /// Moves the inputs of one production run, none of which is missing, to `taken`.
    pub(crate) fn take(&mut self, cx: &Context<'_>, taken: &mut Vec<BatchRange>) {
        for required in cx.network.requirements(cx.me) {
            let buffer = self.buffers.entry(required.item).or_default();
            buffer.count -= u64::from(required.quantity);
            let mut missing = required.quantity;
            while missing > 0 {
                let range = buffer.batches.pop_front().expect("the buffer holds its count");
                let (used, rest) = range.split(missing);
                missing -= used.count;
                rest.into_iter().for_each(|rest| buffer.batches.push_front(rest));
                taken.push(used);
            }
        }
    }

    /// Puts batches into the buffer of their item.
    pub(super) fn store(&mut self, cx: &Context<'_>, batches: BatchRange) {
        let buffer = self.buffer(cx, batches);
        buffer.count += u64::from(batches.count);
        buffer.batches.push_back(batches);
    }

    /// Records a shipment in transit to this node.
    fn expect(&mut self, cx: &Context<'_>, batches: BatchRange) {
        self.incoming.insert(batches.first, batches.count);
        self.buffer(cx, batches).incoming += u64::from(batches.count);
    }

    fn buffer(&mut self, cx: &Context<'_>, batches: BatchRange) -> &mut Buffer {
        self.buffers.entry(cx.network.makes(batches.first.producer)).or_default()
    }

    /// Handles the announcement of a shipment. A repeated one is only acknowledged.
    pub(crate) fn on_shipment(
        &mut self,
        cx: &mut Context<'_>,
        from: NodeId,
        batches: BatchRange,
        incarnation: u32,
        order: u32,
        settled: u32,
    ) {
        if batches.first.producer != from || batches.count == 0 {
            return;
        }
        if incarnation == self.incarnation {
            self.on_order_known(from, order);
        }
        let before = BatchId { serial: settled.min(batches.first.serial), ..batches.first };
        self.seen.insert_all_before(before);
        if self.seen.contains(batches.first) {
            cx.metrics.count(Metric::DuplicatesRecognised);
        } else {
            cx.append(LogRecord::Accepted(batches));
            self.seen.insert_range(batches);
            self.expect(cx, batches);
            if incarnation == self.incarnation {
                let account = self.accounts.entry(from).or_default();
                account.accepted = account.accepted.saturating_add(batches.count);
            }
            cx.effects.push(Effect::Transport { batch: batches.first, blocking: false });
        }
        cx.send(from, Message::ShipmentAck(batches.first));
    }

    /// Handles the end of a transport.
    pub(crate) fn on_arrived(&mut self, cx: &mut Context<'_>, first: BatchId) {
        let count = self.incoming.remove(&first).expect("only a shipment in transit arrives");
        let batches = BatchRange { first, count };
        self.buffer(cx, batches).incoming -= u64::from(count);
        cx.append(LogRecord::Arrived(batches));
        cx.metrics.add(Metric::BatchesReceived, u64::from(count));
        self.store(cx, batches);
    }

    /// Handles what a supplier knows of this node's orders. Returns whether that acknowledges an order. An open
    /// order that counts as acknowledged, but is not known, is sent again: the acknowledgement may have been from
    /// before a crash of the supplier.
    pub(crate) fn on_order_status(
        &mut self,
        cx: &mut Context<'_>,
        from: NodeId,
        status: OrderStatus,
    ) -> bool {
        let own = self.incarnation;
        let Some(account) = self.accounts.get_mut(&from) else {
            return false;
        };
        account.is_silent = false;
        if (status.incarnation, status.number) != (own, account.number) {
            if account.open() > 0 && account.unanswered.is_none() {
                self.send_again(cx, from);
            }
            return false;
        }
        // A cancellation leaves what was shipped before it arrived.
        account.ordered = account.ordered.max(status.shipped);
        account.unanswered.take().is_some()
    }

    fn on_order_known(&mut self, supplier: NodeId, number: u32) {
        if let Some(account) = self.accounts.get_mut(&supplier) {
            account.is_silent = false;
            account.unanswered.take_if(|_| account.number == number);
        }
    }

    /// Handles the incarnation of a supplier: a recovered one has lost its order book, and receives the latest
    /// order again unless its status shows that it has it. [`Inputs::on_order_status`] sends acknowledged orders again.
    pub(crate) fn on_incarnation(
        &mut self,
        cx: &mut Context<'_>,
        from: NodeId,
        incarnation: u32,
        status: OrderStatus,
    ) {
        let own = self.incarnation;
        let Some(account) = self.accounts.get_mut(&from) else {
            return;
        };
        if incarnation > account.supplier_incarnation {
            account.supplier_incarnation = incarnation;
            let is_known = (status.incarnation, status.number) == (own, account.number);
            if !is_known && account.unanswered.is_some() {
                self.send_again(cx, from);
            }
        }
    }

    /// Sends the latest order again, and waits for its acknowledgement.
    fn send_again(&mut self, cx: &mut Context<'_>, supplier: NodeId) {
        self.accounts.entry(supplier).or_default().unanswered = Some(Retransmission::new(cx.now));
        self.send_order(cx, supplier, true);
        self.timer.set(cx, Timer::RetransmitOrders);
    }

    /// Orders every input up to its level.
    pub(crate) fn order_up(
        &mut self,
        cx: &mut Context<'_>,
        assignment: &Assignment,
        routes: &Routes,
        detector: &FailureDetector,
    ) {
        for at in 0..cx.network.requirements(cx.me).len() {
            let required = cx.network.requirements(cx.me)[at];
            let suppliers = assignment.suppliers_of(required.item);
            let level = Level::of(cx, &required, assignment.rate, suppliers, routes);
            let gap = level.total(cx, suppliers).saturating_sub(self.position(cx, required.item));
            if gap > 0 && !suppliers.is_empty() {
                self.order(cx, suppliers, level, gap, detector);
            }
        }
    }

    /// Returns the inventory position of an item: on hand, in transit and on order. O(suppliers), whatever is
    /// in transit.
    fn position(&self, cx: &Context<'_>, item: ItemId) -> u64 {
        let accounts = self.accounts.iter().filter(|(supplier, _)| cx.network.makes(**supplier) == item);
        let on_order: u64 = accounts.map(|(_, account)| account.open()).sum();
        self.buffers.get(&item).map_or(0, |buffer| buffer.count + buffer.incoming) + on_order
    }

    /// Orders batches from the suppliers of an item, in proportion to their shares. A supplier that lags behind its
    /// share has a limited number of open orders, so that the others supply in its place.
    fn order(
        &mut self,
        cx: &mut Context<'_>,
        suppliers: &[Supply],
        level: Level,
        gap: u64,
        detector: &FailureDetector,
    ) {
        if let [only] = suppliers {
            self.accounts.entry(only.producer).or_default().order(u32::try_from(gap).unwrap_or(u32::MAX));
        } else {
            let answering = suppliers.iter().filter(|supply| !self.is_silent(supply.producer, detector));
            let answering: u64 = answering.map(|supply| u64::from(supply.share.millionths())).sum();
            for _ in 0..gap {
                let limit = |supply: &Supply| level.open_orders_max(cx, supply, answering);
                let Some(supplier) = self.next_supplier(suppliers, limit, detector) else {
                    break;
                };
                self.accounts.entry(supplier).or_default().order(1);
            }
        }
        for supply in suppliers {
            let account = self.accounts.entry(supply.producer).or_default();
            let count = std::mem::take(&mut account.unplaced);
            if count > 0 {
                cx.metrics.add(Metric::BatchesRequested, u64::from(count));
                self.place(cx, supply.producer);
            }
        }
    }

    /// Returns whether a supplier is suspected, or has not acknowledged an order for too long.
    fn is_silent(&self, supplier: NodeId, detector: &FailureDetector) -> bool {
        detector.suspects(supplier) || self.accounts.get(&supplier).is_some_and(|account| account.is_silent)
    }

    /// Returns the supplier that is furthest below its share, among those with fewer open orders than their limit,
    /// or `None` if there are none. A supplier that is not silent is preferred; standbys are a last resort.
    fn next_supplier(
        &self,
        suppliers: &[Supply],
        limit: impl Fn(&Supply) -> u64,
        detector: &FailureDetector,
    ) -> Option<NodeId> {
        let account = |supply: &Supply| self.accounts.get(&supply.producer).copied().unwrap_or_default();
        let key = |supply: &&Supply| {
            let share = u128::from(supply.share.millionths().max(1));
            let relative_use = u128::from(account(supply).used + 1) * 1_000_000_000_000 / share;
            (self.is_silent(supply.producer, detector), supply.share == Share::STANDBY, relative_use)
        };
        let rank = |supply: &Supply| {
            let (is_silent, is_standby, _) = key(&supply);
            (is_silent, is_standby)
        };
        // Where the preferred suppliers have enough open orders, no others are asked.
        let best = suppliers.iter().map(rank).min()?;
        let preferred = suppliers.iter().filter(|supply| rank(supply) == best);
        let open = preferred.filter(|supply| account(supply).open() < limit(supply));
        open.min_by_key(key).map(|supply| supply.producer)
    }

    /// Sends a new order with the current total.
    fn place(&mut self, cx: &mut Context<'_>, supplier: NodeId) {
        let account = self.accounts.entry(supplier).or_default();
        account.number += 1;
        account.unanswered = Some(Retransmission::new(cx.now));
        // Before the message, so that a crash between the two cannot hide an order that was sent.
        cx.report(Report::Ordered { supplier, order: self.current_order(supplier) });
        self.send_order(cx, supplier, false);
        self.timer.set(cx, Timer::RetransmitOrders);
    }

    fn current_order(&self, supplier: NodeId) -> Order {
        let Account { number, ordered, .. } = self.accounts.get(&supplier).copied().unwrap_or_default();
        Order { incarnation: self.incarnation, number, total: ordered }
    }

    fn send_order(&self, cx: &mut Context<'_>, supplier: NodeId, is_repeated: bool) {
        cx.send(supplier, Message::Order { order: self.current_order(supplier), is_repeated });
    }

    /// Sends overdue orders again.
    pub(crate) fn retransmit_overdue(&mut self, cx: &mut Context<'_>) {
        self.timer.expire();
        let mut after = None;
        loop {
            let mut accounts = self.accounts.iter_mut().filter(|(supplier, _)| Some(**supplier) > after);
            let Some((&supplier, account)) = accounts.find(|(_, account)| account.is_overdue(cx)) else {
                break;
            };
            account.retransmit(cx.now);
            cx.metrics.count(Metric::RequestsRetransmitted);
            self.send_order(cx, supplier, true);
            after = Some(supplier);
        }
        if self.accounts.values().any(|account| account.unanswered.is_some()) {
            self.timer.set(cx, Timer::RetransmitOrders);
        }
    }

    /// Cancels the open orders to suppliers that the assignment does not name, and to silent or suspected ones
    /// if another supplier is neither.
    pub(crate) fn review(
        &mut self,
        cx: &mut Context<'_>,
        assignment: &Assignment,
        detector: &FailureDetector,
    ) {
        let has_other = |item: ItemId, supplier: NodeId| {
            let mut suppliers = assignment.suppliers_of(item).iter().map(|supply| supply.producer);
            suppliers.any(|other| other != supplier && !self.is_silent(other, detector))
        };
        let is_obsolete = |(&supplier, account): (&NodeId, &Account)| {
            let item = cx.network.makes(supplier);
            let is_named = assignment.suppliers_of(item).iter().any(|supply| supply.producer == supplier);
            account.open() > 0
                && (!is_named || (self.is_silent(supplier, detector) && has_other(item, supplier)))
        };
        let obsolete: Vec<NodeId> =
            self.accounts.iter().filter(|account| is_obsolete(*account)).map(|(node, _)| *node).collect();
        for supplier in obsolete {
            if let Some(account) = self.accounts.get_mut(&supplier) {
                account.ordered = account.accepted;
            }
            cx.metrics.count(Metric::RequestsRedirected);
            self.place(cx, supplier);
        }
    }

    /// Resets the use of suppliers when another flow becomes active.
    pub(crate) fn reset_shares(&mut self) {
        self.accounts.iter_mut().map(|(_, account)| account).for_each(|account| account.used = 0);
    }

    /// Returns the number of orders that are not acknowledged.
    pub(crate) fn unanswered(&self) -> usize {
        self.accounts.values().filter(|account| account.unanswered.is_some()).count()
    }
}
