//! The dock asks suppliers for batches, receives them, and keeps them until they are used up.
//!
//! A batch that comes in is entered in the log before its arrival is confirmed, and its number is
//! remembered for good, so that an announcement which comes again is recognised and only confirmed.

use std::collections::VecDeque;

use dmos_core::settings::{Dock as DockKind, Recovery};
use dmos_core::{BatchId, FlowPart, ItemId, Metric, Network, NodeId, RequestId, Requirement, Time};

use crate::batch_set::BatchSet;
use crate::context::Context;
use crate::interface::Effect;
use crate::log::LogRecord;
use crate::message::Message;

/// A request without an answer.
struct Asked {
    request: RequestId,
    item: ItemId,
    supplier: NodeId,
    since: Time,
}

/// A batch in transit to this node.
struct Coming {
    batch: BatchId,
    from: NodeId,
    request: Option<RequestId>,
    /// It was in the log before: it will be confirmed, not taken in.
    duplicate: bool,
}

/// What the node has received, is about to receive and has asked for.
pub(crate) struct Dock {
    /// Batches at hand, for each requirement of the node, oldest first.
    queues: Vec<VecDeque<BatchId>>,
    asked: Vec<Asked>,
    coming: Vec<Coming>,
    /// Every batch that ever came in and, where the logs are mixed up, every own one sent off.
    seen: BatchSet,
    next_request: u32,
    log_entries: u64,
}

/// Which of the node's requirements an item is.
fn requirement(network: &Network, me: NodeId, item: ItemId) -> Option<usize> {
    network.requirements(me).binary_search_by_key(&item, |required| required.item).ok()
}

impl Dock {
    /// An empty dock for a node with this many requirements.
    pub(crate) fn new(requirements: usize) -> Self {
        Self {
            queues: vec![VecDeque::new(); requirements],
            asked: Vec::new(),
            coming: Vec::new(),
            seen: BatchSet::default(),
            next_request: 0,
            log_entries: 0,
        }
    }

    /// Batches in the inbound log.
    pub(crate) fn log_entries(&self) -> u64 {
        self.log_entries
    }

    /// Requests without an answer.
    pub(crate) fn unanswered(&self) -> usize {
        self.asked.len()
    }

    /// All batches at hand.
    pub(crate) fn batches(&self) -> impl Iterator<Item = BatchId> + '_ {
        self.queues.iter().flatten().copied()
    }

    /// Counts the items of which less is at hand than one making takes; true if there are none.
    pub(crate) fn note_missing(&self, cx: &mut Context<'_>) -> bool {
        let missing =
            cx.network.requirements(cx.me).iter().zip(&self.queues).filter(|(r, queue)| lacks(r, queue));
        let missing = missing.count() as u64;
        cx.metrics.add(Metric::EmptyInboundInventoryOccurrences, missing);
        missing == 0
    }

    /// Takes what one making takes, entering it in the log; says how many batches that was.
    pub(crate) fn use_up(&mut self, cx: &mut Context<'_>) -> u32 {
        let mut used = 0;
        for (required, queue) in cx.network.requirements(cx.me).iter().zip(&mut self.queues) {
            for batch in queue.drain(..required.quantity as usize) {
                cx.append(LogRecord::Consumed(batch));
                used += 1;
            }
        }
        used
    }

    /// Asks for everything that is missing now, whatever was asked before.
    pub(crate) fn ask_for_missing(&mut self, cx: &mut Context<'_>, part: &FlowPart) {
        for (index, required) in cx.network.requirements(cx.me).iter().enumerate() {
            if let (true, Some(supplier)) =
                (lacks(required, &self.queues[index]), part.supplier(required.item))
            {
                self.ask(cx, required.item, supplier);
            }
        }
    }

    /// Asks for what the next making will miss beyond what is at hand, in transit or asked for, and
    /// once more for what was asked for too long ago.
    pub(crate) fn ask_for_next(&mut self, cx: &mut Context<'_>, part: &FlowPart) {
        self.asked.retain(|asked| part.supplier(asked.item) == Some(asked.supplier));
        for asked in &mut self.asked {
            if cx.is_overdue(asked.since) {
                asked.since = cx.now;
                cx.metrics.count(Metric::RequestsRepeated);
                cx.send(asked.supplier, Message::Request { request: asked.request, item: asked.item });
            }
        }
        for (index, required) in cx.network.requirements(cx.me).iter().enumerate() {
            let Some(supplier) = part.supplier(required.item) else {
                continue;
            };
            let coming =
                self.coming.iter().filter(|coming| cx.network.makes(coming.batch.maker) == required.item);
            let asked = self.asked.iter().filter(|asked| asked.item == required.item);
            let expected = self.queues[index].len() + coming.count() + asked.count();
            for _ in expected..required.quantity as usize {
                self.ask(cx, required.item, supplier);
            }
        }
    }

    fn ask(&mut self, cx: &mut Context<'_>, item: ItemId, supplier: NodeId) {
        let request = RequestId(self.next_request);
        self.next_request = self.next_request.wrapping_add(1);
        self.asked.push(Asked { request, item, supplier, since: cx.now });
        cx.metrics.count(Metric::BatchesRequested);
        cx.send(supplier, Message::Request { request, item });
    }

    fn answered(&mut self, request: Option<RequestId>) {
        if let Some(at) = self.asked.iter().position(|asked| Some(asked.request) == request) {
            self.asked.swap_remove(at);
        }
    }

    /// The supplier has none; the next cycle asks again.
    pub(crate) fn refused(&mut self, cx: &mut Context<'_>, request: RequestId) {
        cx.metrics.count(Metric::BatchUnavailableMessagesReceived);
        self.answered(Some(request));
    }

    /// A supplier announces a batch.
    pub(crate) fn announced(
        &mut self,
        cx: &mut Context<'_>,
        from: NodeId,
        request: Option<RequestId>,
        batch: BatchId,
    ) {
        if requirement(cx.network, cx.me, cx.network.makes(batch.maker)).is_none() {
            return;
        }
        let in_transit = self.coming.iter().any(|coming| coming.batch == batch);
        let duplicate = in_transit || self.seen.contains(batch);
        if duplicate {
            cx.metrics.count(Metric::DuplicatesRecognised);
        }
        if duplicate && cx.protocol.recovery == Recovery::Exact {
            self.answered(request);
            let answer = if in_transit { Message::Waiting(batch) } else { Message::Delivered(batch) };
            cx.send(from, answer);
            return;
        }
        let blocking = cx.protocol.dock == DockKind::Blocking;
        if !blocking {
            self.answered(request);
        }
        cx.append(LogRecord::Coming(batch));
        self.log_entries += u64::from(!duplicate);
        self.coming.push(Coming { batch, from, request, duplicate });
        cx.send(from, Message::Waiting(batch));
        cx.effects.push(Effect::Transport { batch, blocking });
    }

    /// A batch is at the dock.
    pub(crate) fn arrived(&mut self, cx: &mut Context<'_>, batch: BatchId) {
        let at = self.coming.iter().position(|coming| coming.batch == batch);
        let coming = self.coming.remove(at.expect("a batch arrives whose transport was asked for"));
        cx.append(LogRecord::Received(batch));
        cx.send(coming.from, Message::Delivered(batch));
        if !coming.duplicate {
            cx.metrics.count(Metric::BatchesReceived);
            self.take_in(cx.network, cx.me, batch);
        }
        self.answered(coming.request);
    }

    /// Puts a batch where the stage finds it.
    pub(crate) fn take_in(&mut self, network: &Network, me: NodeId, batch: BatchId) {
        let index =
            requirement(network, me, network.makes(batch.maker)).expect("the batch is of a required item");
        self.seen.insert(batch);
        self.queues[index].push_back(batch);
    }

    /// After a crash, under `recovery: replay`: the prototype's process lives on, remembers what it asked
    /// for, and ends a transit that was under way.
    pub(crate) fn live_on(&mut self, before: Self) {
        (self.asked, self.coming, self.next_request) = (before.asked, before.coming, before.next_request);
    }

    /// After that: the batches whose transit ended while the node was down. They are in the log now, and
    /// nobody was told.
    pub(crate) fn end_transits(&mut self, cx: &mut Context<'_>) -> Vec<BatchId> {
        let ended = std::mem::take(&mut self.coming);
        for coming in &ended {
            cx.append(LogRecord::Received(coming.batch));
            cx.metrics.add(Metric::BatchesReceived, u64::from(!coming.duplicate));
            self.answered(coming.request);
        }
        ended.iter().map(|coming| coming.batch).collect()
    }

    /// After a crash: numbers requests anew, above those of the life before. Answers to those may still be
    /// under way. A node asks for fewer than a thousand batches a second.
    pub(crate) fn number_requests_from(&mut self, now: Time) {
        self.next_request = (now.as_nanos() / 1_000_000) as u32;
    }

    /// After a crash: the log knows the batch, wherever it is now.
    pub(crate) fn remember(&mut self, batch: BatchId) {
        self.seen.insert(batch);
    }

    /// After a crash: how many batches the inbound log has.
    pub(crate) fn set_log_entries(&mut self, entries: usize) {
        self.log_entries = entries as u64;
    }

    /// Enters an own batch in the inbound log, as the prototype does when it sends one off.
    pub(crate) fn mix_up(&mut self, cx: &mut Context<'_>, batch: BatchId) {
        cx.append(LogRecord::SentOff(batch));
        self.log_entries += u64::from(self.seen.insert(batch));
    }
}

fn lacks(required: &Requirement, queue: &VecDeque<BatchId>) -> bool {
    queue.len() < required.quantity as usize
}
