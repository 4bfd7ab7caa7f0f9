//! The inbound asks suppliers for batches, receives them, and keeps them until they are consumed.
//!
//! A batch that comes in is entered in the log before its arrival is confirmed, and its number is
//! remembered, so that an announcement which comes again is recognised and only confirmed. Its supplier
//! says which numbers are settled, and those are remembered as one.

use std::collections::VecDeque;

use dmos_core::settings::{Receiving, Recovery};
use dmos_core::{
    Assignment, BatchId, ItemId, Metric, Network, NodeId, RequestId, Requirement, Share, Supply, Time,
};

use crate::batch_set::BatchSet;
use crate::context::Context;
use crate::failure_detector::FailureDetector;
use crate::interface::Effect;
use crate::log::LogRecord;
use crate::message::Message;

/// A request without an answer.
struct PendingRequest {
    request: RequestId,
    item: ItemId,
    supplier: NodeId,
    since: Time,
    tries: u32,
}

/// A batch in transit to this node.
struct IncomingBatch {
    batch: BatchId,
    from: NodeId,
    request: Option<RequestId>,
    /// It was in the log before: it will be confirmed, not taken in.
    duplicate: bool,
}

/// The batches of one item at hand.
struct ItemBuffer {
    item: ItemId,
    /// Oldest first.
    batches: VecDeque<BatchId>,
    /// If there are several suppliers: what became of each since the flow is active, in their order.
    supplier_uses: Vec<SupplierUse>,
}

/// How a supplier among several has been asked.
#[derive(Clone, Copy, Default)]
struct SupplierUse {
    /// So often, but for what it refused.
    asked: u64,
    /// When it had none.
    refused: Option<Time>,
}

/// What the node has received, is about to receive and has asked for.
pub(crate) struct Inbound {
    /// Sorted by item: one for each requirement, and for what is left of earlier ones.
    buffers: Vec<ItemBuffer>,
    pending: Vec<PendingRequest>,
    incoming: Vec<IncomingBatch>,
    /// Every batch that ever came in and, where the logs are mixed up, every own one sent off.
    seen: BatchSet,
    next_request: RequestId,
    log_entries: u64,
    /// Used by askings alone, whose memory it keeps: for each requirement, how many are at hand or will be.
    expected: Vec<usize>,
}

impl Inbound {
    /// Returns an empty inbound for a node with these requirements.
    pub(crate) fn new(requirements: &[Requirement]) -> Self {
        let buffer = |required: &Requirement| ItemBuffer::new(required.item);
        Self {
            buffers: requirements.iter().map(buffer).collect(),
            pending: Vec::new(),
            incoming: Vec::new(),
            seen: BatchSet::default(),
            next_request: RequestId::default(),
            log_entries: 0,
            expected: Vec::new(),
        }
    }

    /// Batches in the inbound log.
    pub(crate) fn log_entries(&self) -> u64 {
        self.log_entries
    }

    /// Requests without an answer.
    pub(crate) fn unanswered(&self) -> usize {
        self.pending.len()
    }

    /// Returns all batches at hand.
    pub(crate) fn batches(&self) -> impl Iterator<Item = BatchId> + '_ {
        self.buffers.iter().flat_map(|buffer| &buffer.batches).copied()
    }

    /// Returns the number of batches in transit to this node.
    pub(crate) fn in_transit(&self) -> usize {
        self.incoming.len()
    }

    pub(crate) fn seen(&self) -> &BatchSet {
        &self.seen
    }

    pub(crate) fn incarnation(&self) -> u32 {
        self.next_request.incarnation
    }

    /// Returns the number of batches of an item at hand.
    fn at_hand(&self, item: ItemId) -> usize {
        let at = self.buffers.binary_search_by_key(&item, |buffer| buffer.item);
        at.map_or(0, |at| self.buffers[at].batches.len())
    }

    /// Returns the buffer of an item; a new one, if there was none.
    fn buffer(&mut self, item: ItemId) -> &mut ItemBuffer {
        let at = self.buffers.binary_search_by_key(&item, |buffer| buffer.item).unwrap_or_else(|at| {
            self.buffers.insert(at, ItemBuffer::new(item));
            at
        });
        &mut self.buffers[at]
    }

    fn lacks(&self, required: &Requirement) -> bool {
        self.at_hand(required.item) < required.quantity as usize
    }

    /// Counts the items of which less is at hand than one production run takes; true if there are none.
    pub(crate) fn count_missing(&self, cx: &mut Context<'_>) -> bool {
        let missing = cx.network.requirements(cx.me).iter().filter(|required| self.lacks(required)).count();
        cx.metrics.add(Metric::EmptyInboundInventoryOccurrences, missing as u64);
        missing == 0
    }

    /// Takes what one production run takes, entering it in the log; says how many batches that was.
    pub(crate) fn consume_inputs(&mut self, cx: &mut Context<'_>) -> u32 {
        let mut used = 0;
        for required in cx.network.requirements(cx.me) {
            for batch in self.buffer(required.item).batches.drain(..required.quantity as usize) {
                cx.append(LogRecord::Consumed(batch));
                used += 1;
            }
        }
        used
    }

    /// Asks for everything that is missing now, whatever was asked before.
    pub(crate) fn request_missing(
        &mut self,
        cx: &mut Context<'_>,
        assignment: &Assignment,
        failure_detector: &FailureDetector,
    ) {
        for required in cx.network.requirements(cx.me) {
            let silent = |node| failure_detector.suspects(node);
            if let (true, Some(supplier)) =
                (self.lacks(required), self.supplier(cx, assignment, required.item, silent))
            {
                self.request(cx, assignment, required.item, supplier);
            }
        }
    }

    /// Asks for what the next production run will miss beyond what is at hand, in transit or asked for, and
    /// once more for what was asked for too long ago.
    pub(crate) fn request_for_next_run(
        &mut self,
        cx: &mut Context<'_>,
        assignment: &Assignment,
        failure_detector: &FailureDetector,
    ) {
        let supplies = |pending: &PendingRequest, supply: &Supply| supply.producer == pending.supplier;
        self.pending
            .retain(|asked| assignment.suppliers_of(asked.item).iter().any(|supply| supplies(asked, supply)));
        self.retransmit(cx, assignment, failure_detector);
        let (network, me) = (cx.network, cx.me);
        let requirements = network.requirements(me);
        let mut expected = std::mem::take(&mut self.expected);
        expected.extend(requirements.iter().map(|required| self.at_hand(required.item)));
        let incoming = self.incoming.iter().map(|incoming| network.makes(incoming.batch.producer));
        for item in incoming.chain(self.pending.iter().map(|asked| asked.item)) {
            if let Ok(at) = requirements.binary_search_by_key(&item, |required| required.item) {
                expected[at] += 1;
            }
        }
        for (required, expected) in requirements.iter().zip(expected.drain(..)) {
            for _ in expected..required.quantity as usize {
                if let Some(supplier) =
                    self.supplier(cx, assignment, required.item, |node| failure_detector.suspects(node))
                {
                    self.request(cx, assignment, required.item, supplier);
                }
            }
        }
        self.expected = expected;
    }

    /// Whose supplier_use it is to be asked for an item: of those that are not silent, who has got the least for its
    /// share, and rather not who had none a moment ago. Standbys only come in if nobody else is there.
    fn supplier(
        &self,
        cx: &Context<'_>,
        assignment: &Assignment,
        item: ItemId,
        silent: impl Fn(NodeId) -> bool,
    ) -> Option<NodeId> {
        let suppliers = assignment.suppliers_of(item);
        if let [] | [_] = suppliers {
            return suppliers.first().map(|supply| supply.producer);
        }
        let buffer =
            self.buffers.binary_search_by_key(&item, |buffer| buffer.item).map(|at| &self.buffers[at]);
        let supplier_uses = buffer.map_or(&[][..], |buffer| &buffer.supplier_uses);
        // As long as a supplier keeps a place in its queue for who was refused.
        let moment = cx.patience(0).unwrap_or(cx.protocol.heartbeat);
        let key = |(at, supply): &(usize, &Supply)| {
            let supplier_use = supplier_uses.get(*at).copied().unwrap_or_default();
            let has_none = supplier_use.refused.is_some_and(|refused| cx.now.since(refused) < moment);
            let share = u128::from(supply.share.millionths().max(1));
            // One more, over its share, in assignments that are fine enough to tell all shares apart.
            let due = u128::from(supplier_use.asked + 1) * 1_000_000_000_000 / share;
            (silent(supply.producer), supply.share == Share::STANDBY, has_none, due)
        };
        suppliers.iter().enumerate().min_by_key(key).map(|(_, supply)| supply.producer)
    }

    /// What is known of a supplier of an item, if it is one of several.
    fn supplier_use(
        &mut self,
        assignment: &Assignment,
        item: ItemId,
        supplier: NodeId,
    ) -> Option<&mut SupplierUse> {
        let suppliers = assignment.suppliers_of(item);
        if suppliers.len() < 2 {
            return None;
        }
        let at = suppliers.binary_search_by_key(&supplier, |supply| supply.producer).ok()?;
        let supplier_uses = &mut self.buffer(item).supplier_uses;
        supplier_uses.resize(suppliers.len(), SupplierUse::default());
        Some(&mut supplier_uses[at])
    }

    /// What was not answered in time is asked for again, and so is at once what was asked of somebody who is
    /// suspected: from another supplier, if the flow has several.
    fn retransmit(
        &mut self,
        cx: &mut Context<'_>,
        assignment: &Assignment,
        failure_detector: &FailureDetector,
    ) {
        for at in 0..self.pending.len() {
            let PendingRequest { item, supplier, since, tries, .. } = self.pending[at];
            let overdue = cx.is_overdue(since, tries);
            if !overdue && !failure_detector.suspects(supplier) {
                continue;
            }
            let silent = |node| failure_detector.suspects(node) || node == supplier;
            let next = self.supplier(cx, assignment, item, silent).unwrap_or(supplier);
            if next != supplier && (overdue || !failure_detector.suspects(next)) {
                // Another request, to another node: the first may still be answered.
                let request = self.next_number();
                self.count_use(assignment, item, next);
                self.pending[at] =
                    PendingRequest { request, item, supplier: next, since: cx.now, tries: tries + 1 };
                cx.metrics.count(Metric::RequestsRedirected);
            } else if overdue {
                let asked = &mut self.pending[at];
                (asked.since, asked.tries) = (cx.now, tries + 1);
                cx.metrics.count(Metric::RequestsRetransmitted);
            } else {
                continue;
            }
            let asked = &self.pending[at];
            cx.send(asked.supplier, Message::Request { request: asked.request, item });
        }
    }

    fn next_number(&mut self) -> RequestId {
        let request = self.next_request;
        self.next_request.number = request.number.wrapping_add(1);
        request
    }

    fn count_use(&mut self, assignment: &Assignment, item: ItemId, supplier: NodeId) {
        if let Some(supplier_use) = self.supplier_use(assignment, item, supplier) {
            supplier_use.asked += 1;
        }
    }

    fn request(&mut self, cx: &mut Context<'_>, assignment: &Assignment, item: ItemId, supplier: NodeId) {
        let request = self.next_number();
        self.count_use(assignment, item, supplier);
        self.pending.push(PendingRequest { request, item, supplier, since: cx.now, tries: 0 });
        cx.metrics.count(Metric::BatchesRequested);
        cx.send(supplier, Message::Request { request, item });
    }

    fn take_pending(&mut self, request: Option<RequestId>) -> Option<PendingRequest> {
        let at = self.pending.iter().position(|asked| Some(asked.request) == request)?;
        Some(self.pending.swap_remove(at))
    }

    /// Returns the supplier has none; the next cycle asks again, and another one if there is.
    pub(crate) fn on_refused(
        &mut self,
        cx: &mut Context<'_>,
        assignment: Option<&Assignment>,
        request: RequestId,
    ) {
        cx.metrics.count(Metric::BatchUnavailableMessagesReceived);
        let (Some(asked), Some(assignment)) = (self.take_pending(Some(request)), assignment) else {
            return;
        };
        if let Some(supplier_use) = self.supplier_use(assignment, asked.item, asked.supplier) {
            // What it did not give is no assignment of its share.
            supplier_use.asked = supplier_use.asked.saturating_sub(1);
            supplier_use.refused = Some(cx.now);
        }
    }

    /// Another flow is active: shares are kept from now on.
    pub(crate) fn reset_shares(&mut self) {
        self.buffers.iter_mut().for_each(|buffer| buffer.supplier_uses.clear());
    }

    /// A supplier announces a batch.
    pub(crate) fn on_announced(
        &mut self,
        cx: &mut Context<'_>,
        from: NodeId,
        request: Option<RequestId>,
        (batch, settled): (BatchId, u32),
    ) {
        if !self.accepts(cx, from, batch) {
            return;
        }
        if cx.protocol.has_exact_logs() {
            self.seen.insert_all_before(BatchId { serial: settled.min(batch.serial), ..batch });
        }
        let in_transit = self.incoming.iter().any(|incoming| incoming.batch == batch);
        let duplicate = in_transit || self.seen.contains(batch);
        if duplicate {
            cx.metrics.count(Metric::DuplicatesRecognised);
        }
        if duplicate && cx.protocol.recovery == Recovery::Exact {
            self.take_pending(request);
            let answer = if in_transit { Message::TransitStarted(batch) } else { Message::Delivered(batch) };
            cx.send(from, answer);
            return;
        }
        let blocking = cx.protocol.receiving == Receiving::Blocking;
        if !blocking {
            self.take_pending(request);
        }
        cx.append(LogRecord::TransitStarted(batch));
        self.log_entries += u64::from(!duplicate);
        self.incoming.push(IncomingBatch { batch, from, request, duplicate });
        cx.send(from, Message::TransitStarted(batch));
        cx.effects.push(Effect::Transport { batch, blocking });
    }

    /// Returns the prototype takes what it requires. The right protocol takes all that its producer promised to it:
    /// the recipe may have changed since it asked, and the batch is nobody else's.
    fn accepts(&self, cx: &Context<'_>, from: NodeId, batch: BatchId) -> bool {
        match cx.protocol.recovery {
            Recovery::Exact => batch.producer == from && from.index() < cx.network.node_count(),
            Recovery::Replay => requires(cx.network, cx.me, cx.network.makes(batch.producer)),
        }
    }

    /// A batch is at the inbound.
    pub(crate) fn on_arrived(&mut self, cx: &mut Context<'_>, batch: BatchId) {
        let at = self.incoming.iter().position(|incoming| incoming.batch == batch);
        let incoming = self.incoming.remove(at.expect("a batch arrives whose transport was asked for"));
        cx.append(LogRecord::Received(batch));
        cx.send(incoming.from, Message::Delivered(batch));
        if !incoming.duplicate {
            cx.metrics.count(Metric::BatchesReceived);
            self.store(cx.network, batch);
        }
        self.take_pending(incoming.request);
    }

    /// Puts a batch where the production finds it.
    pub(crate) fn store(&mut self, network: &Network, batch: BatchId) {
        self.seen.insert(batch);
        self.buffer(network.makes(batch.producer)).batches.push_back(batch);
    }

    /// After a crash: what the log says of earlier deliveries.
    pub(crate) fn restore(&mut self, incarnation: u32, seen: BatchSet, log_entries: u64) {
        self.next_request = RequestId { incarnation, number: 0 };
        self.seen = seen;
        self.log_entries = log_entries;
    }

    /// The log was compacted: it has entries only of what is here, or is incoming.
    pub(crate) fn on_compacted(&mut self) {
        self.log_entries = (self.batches().count() + self.incoming.len()) as u64;
    }

    /// After a crash, under `recovery: replay`: the prototype's process incarnations on, remembers what it asked
    /// for, and ends a transit that was under way.
    pub(crate) fn keep_requests(&mut self, before: Self) {
        (self.pending, self.incoming, self.next_request) =
            (before.pending, before.incoming, before.next_request);
    }

    /// After that: the batches whose transit ended while the node was down. They are in the log now, and
    /// nobody was told.
    pub(crate) fn complete_transits(&mut self, cx: &mut Context<'_>) -> Vec<BatchId> {
        let ended = std::mem::take(&mut self.incoming);
        for incoming in &ended {
            cx.append(LogRecord::Received(incoming.batch));
            cx.metrics.add(Metric::BatchesReceived, u64::from(!incoming.duplicate));
            self.take_pending(incoming.request);
        }
        ended.iter().map(|incoming| incoming.batch).collect()
    }

    /// After a crash, under `recovery: replay`: the log knows the batch, wherever it is now.
    pub(crate) fn mark_seen(&mut self, batch: BatchId) {
        self.seen.insert(batch);
    }

    /// After a crash, under `recovery: replay`: how many batches the inbound log has.
    pub(crate) fn set_log_entries(&mut self, entries: usize) {
        self.log_entries = entries as u64;
    }

    /// Enters an own batch in the inbound log, as the prototype does when it sends one off.
    pub(crate) fn log_own_batch(&mut self, cx: &mut Context<'_>, batch: BatchId) {
        cx.append(LogRecord::OwnBatchSent(batch));
        self.log_entries += u64::from(self.seen.insert(batch));
    }
}

impl ItemBuffer {
    fn new(item: ItemId) -> Self {
        Self { item, batches: VecDeque::new(), supplier_uses: Vec::new() }
    }
}

/// Returns whether the node's recipe takes an item.
pub(crate) fn requires(network: &Network, me: NodeId, item: ItemId) -> bool {
    network.requirements(me).binary_search_by_key(&item, |required| required.item).is_ok()
}
