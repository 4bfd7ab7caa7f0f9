//! Shipping keeps the stock and sends batches off to those who ask.
//!
//! A batch is promised to one consumer in the log before it is announced, and announced to that
//! consumer again until it confirms: it can come late, but never to two.

use std::collections::VecDeque;

use dmos_core::settings::{LogKeeping, Recovery};
use dmos_core::{BatchId, ItemId, Metric, NodeId, RequestId, Time};

use crate::batch_set::BatchSet;
use crate::context::Context;
use crate::dock::Dock;
use crate::interface::Timer;
use crate::log::LogRecord;
use crate::message::Message;
use crate::role::Role;

/// A batch announced and not confirmed.
struct UnderWay {
    batch: BatchId,
    to: NodeId,
    request: Option<RequestId>,
    since: Time,
}

/// What the node has made and not delivered.
pub(crate) struct Shipping {
    me: NodeId,
    stock: VecDeque<BatchId>,
    under_way: Vec<UnderWay>,
    /// How many batches the node has made in all its life.
    made: u32,
    resend_is_set: bool,
    /// Under `recovery: replay`: batches whose last state in the log is delivered, whoever has them now.
    delivered: BatchSet,
}

impl Shipping {
    pub(crate) fn new(me: NodeId) -> Self {
        Self {
            me,
            stock: VecDeque::new(),
            under_way: Vec::new(),
            made: 0,
            resend_is_set: false,
            delivered: BatchSet::default(),
        }
    }

    /// Batches in stock, oldest first.
    pub(crate) fn stock(&self) -> &VecDeque<BatchId> {
        &self.stock
    }

    /// Batches announced and not confirmed.
    pub(crate) fn under_way(&self) -> impl Iterator<Item = BatchId> + '_ {
        self.under_way.iter().map(|sent| sent.batch)
    }

    /// Batches in the outbound log: all that were ever made.
    pub(crate) fn log_entries(&self) -> u64 {
        u64::from(self.made)
    }

    pub(crate) fn next_serial(&self) -> u32 {
        self.made
    }

    /// Whether there is room in stock for one more making. Final items leave the factory: they have room.
    pub(crate) fn has_room(&self, cx: &Context<'_>) -> bool {
        if cx.network.is_final(cx.me) {
            return true;
        }
        cx.protocol.stock_limit.is_none_or(|limit| self.stock.len() < limit.get() as usize)
    }

    pub(crate) fn put_in_stock(&mut self, count: u32) {
        let maker = self.me;
        let next = self.made.checked_add(count).expect("a node makes fewer than 2^32 batches");
        self.stock.extend((self.made..next).map(|serial| BatchId { maker, serial }));
        self.made = next;
    }

    /// A consumer asks for a batch.
    pub(crate) fn serve(
        &mut self,
        cx: &mut Context<'_>,
        role: &Role,
        dock: &mut Dock,
        from: NodeId,
        (request, item): (RequestId, ItemId),
    ) {
        cx.metrics.count(Metric::FlowQueries);
        if role.part().is_none() {
            return;
        }
        let asked_again = |sent: &&mut UnderWay| sent.to == from && sent.request == Some(request);
        if cx.protocol.recovery == Recovery::Exact
            && let Some(sent) = self.under_way.iter_mut().find(asked_again)
        {
            sent.since = cx.now;
            cx.metrics.count(Metric::BatchesResent);
            cx.send(from, Message::Sent { request: sent.request, batch: sent.batch });
            return;
        }
        let in_stock = if item == cx.network.makes(cx.me) { self.stock.pop_front() } else { None };
        let Some(batch) = in_stock else {
            cx.metrics.count(Metric::EmptyOutboundInventoryOccurrences);
            cx.metrics.count(Metric::BatchUnavailableMessagesSent);
            cx.send(from, Message::Unavailable { request });
            return;
        };
        match cx.protocol.log {
            LogKeeping::Separate => cx.append(LogRecord::Promised { batch, to: from, request }),
            LogKeeping::MixedUp => dock.mix_up(cx, batch),
        }
        self.announce(cx, batch, from, Some(request));
    }

    /// Tells a consumer that a batch is its own, and keeps an eye on it.
    pub(crate) fn announce(
        &mut self,
        cx: &mut Context<'_>,
        batch: BatchId,
        to: NodeId,
        request: Option<RequestId>,
    ) {
        self.under_way.push(UnderWay { batch, to, request, since: cx.now });
        cx.send(to, Message::Sent { request, batch });
        self.set_resend(cx);
    }

    fn set_resend(&mut self, cx: &mut Context<'_>) {
        if let (Some(span), false) = (cx.protocol.retry_after, self.resend_is_set) {
            self.resend_is_set = true;
            cx.set_timer(span, Timer::Resend);
        }
    }

    /// Announces once more what was announced too long ago.
    pub(crate) fn resend(&mut self, cx: &mut Context<'_>) {
        self.resend_is_set = false;
        for sent in &mut self.under_way {
            if cx.is_overdue(sent.since) {
                sent.since = cx.now;
                cx.metrics.count(Metric::BatchesResent);
                cx.send(sent.to, Message::Sent { request: sent.request, batch: sent.batch });
            }
        }
        if !self.under_way.is_empty() {
            self.set_resend(cx);
        }
    }

    /// The consumer knows of the batch: its transit has begun.
    pub(crate) fn waited_for(&mut self, cx: &mut Context<'_>, batch: BatchId) {
        if let Some(sent) = self.under_way.iter_mut().find(|sent| sent.batch == batch) {
            sent.since = cx.now;
        }
        if cx.protocol.log == LogKeeping::MixedUp {
            self.delivered.remove(batch);
            cx.append(LogRecord::OnItsWay(batch));
        }
    }

    /// The consumer has the batch.
    pub(crate) fn delivered(&mut self, cx: &mut Context<'_>, batch: BatchId) {
        let found = self.under_way.iter().position(|sent| sent.batch == batch);
        if let Some(at) = found {
            self.under_way.swap_remove(at);
        }
        // A replay confirms to whoever is the supplier now, and may have put back in stock what is delivered
        // now; the prototype goes by its log alone, and counts what is not yet delivered there.
        let counts = match cx.protocol.recovery {
            Recovery::Exact => found.is_some(),
            Recovery::Replay => self.delivered.insert(batch),
        };
        if counts {
            cx.metrics.count(Metric::BatchesDelivered);
        }
        if counts && batch.maker == cx.me {
            cx.append(LogRecord::Delivered(batch));
        }
    }

    /// After a crash, under `recovery: replay`: the log says that the batch is delivered.
    pub(crate) fn remember_delivered(&mut self, batch: BatchId) {
        self.delivered.insert(batch);
    }

    /// After a crash: puts a batch back in stock.
    pub(crate) fn restock(&mut self, batch: BatchId) {
        self.stock.push_back(batch);
    }

    /// After a crash: how many batches the node had made.
    pub(crate) fn set_made(&mut self, made: usize) {
        self.made = u32::try_from(made).expect("a node makes fewer than 2^32 batches");
    }
}
