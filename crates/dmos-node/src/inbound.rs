//! Inbound side of a node: requests batches, receives them, and stores them in input buffers.
//!
//! An arriving batch is logged before its arrival is confirmed, and its serial number is remembered, so that
//! a repeated announcement is recognised and only confirmed. The supplier states which serial numbers are
//! settled; those are remembered as one range.

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
use crate::retransmission::{Retransmission, timeout};

/// An unanswered request.
pub(crate) struct PendingRequest {
    request: RequestId,
    item: ItemId,
    supplier: NodeId,
    retransmission: Retransmission,
}

/// A batch in transit to this node.
pub(crate) struct IncomingBatch {
    pub(crate) batch: BatchId,
    from: NodeId,
    pub(crate) request: Option<RequestId>,
    /// True if the batch was logged before: its arrival is confirmed, but the batch is not stored again.
    pub(crate) duplicate: bool,
}

/// Input buffer of one item.
struct ItemBuffer {
    item: ItemId,
    /// Oldest first.
    batches: VecDeque<BatchId>,
    /// Use of each supplier since the flow became active, in the order of the assignment; empty unless there
    /// are several suppliers.
    supplier_uses: Vec<SupplierUse>,
}

/// Use of one of several suppliers.
#[derive(Clone, Copy, Default)]
struct SupplierUse {
    /// Number of requests sent, less those refused.
    asked: u64,
    /// Time of the last refusal.
    refused: Option<Time>,
}

/// Received, incoming and requested batches.
pub(crate) struct Inbound {
    /// Sorted by item: one for each requirement, and for leftovers of earlier recipes.
    buffers: Vec<ItemBuffer>,
    pub(crate) pending: Vec<PendingRequest>,
    pub(crate) incoming: Vec<IncomingBatch>,
    /// All batches ever received and, under `log: mixed_up`, all batches that the node shipped.
    pub(crate) seen: BatchSet,
    pub(crate) next_request: RequestId,
    pub(crate) log_entries: u64,
    /// Scratch buffer of [`Inbound::request_for_next_run`]: for each requirement, the number of batches on
    /// hand, in transit or requested.
    expected: Vec<usize>,
}

impl Inbound {
    /// Returns empty input buffers for a node with these requirements.
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

    /// Returns the number of batches in the inbound log.
    pub(crate) fn log_entries(&self) -> u64 {
        self.log_entries
    }

    /// Returns the number of unanswered requests.
    pub(crate) fn unanswered(&self) -> usize {
        self.pending.len()
    }

    /// Returns all batches in the input buffers.
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

    /// Returns the number of batches of an item in its input buffer.
    fn at_hand(&self, item: ItemId) -> usize {
        let at = self.buffers.binary_search_by_key(&item, |buffer| buffer.item);
        at.map_or(0, |at| self.buffers[at].batches.len())
    }

    /// Returns the input buffer of an item, which is created if it does not exist.
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

    /// Counts the required items of which a production run lacks batches, adds them to the metric, and returns
    /// their number.
    pub(crate) fn count_missing_inputs(&self, cx: &mut Context<'_>) -> usize {
        let missing = cx.network.requirements(cx.me).iter().filter(|required| self.lacks(required)).count();
        cx.metrics.add(Metric::EmptyInboundInventoryOccurrences, missing as u64);
        missing
    }

    /// Removes the inputs of one production run, logs them, and returns the number of batches.
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

    /// Requests everything that is missing now, regardless of earlier requests.
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

    /// Requests what the next production run lacks beyond the batches on hand, in transit or requested, and
    /// retransmits overdue requests.
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

    /// Selects the next supplier of `item`: among those not suspected, the one furthest below its share,
    /// avoiding recent refusals. Standbys are a last resort.
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
        // Equals the time for which a supplier keeps a refused consumer in its queue.
        let refusal_backoff = timeout(cx.protocol, 0).unwrap_or(cx.protocol.heartbeat);
        let key = |(at, supply): &(usize, &Supply)| {
            let supplier_use = supplier_uses.get(*at).copied().unwrap_or_default();
            let refused_recently =
                supplier_use.refused.is_some_and(|refused| cx.now.since(refused) < refusal_backoff);
            let share = u128::from(supply.share.millionths().max(1));
            // Relative use after one more request, in units fine enough to distinguish all shares.
            let relative_use = u128::from(supplier_use.asked + 1) * 1_000_000_000_000 / share;
            (silent(supply.producer), supply.share == Share::STANDBY, refused_recently, relative_use)
        };
        suppliers.iter().enumerate().min_by_key(key).map(|(_, supply)| supply.producer)
    }

    /// Returns the use of a supplier of an item, if the item has several suppliers.
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

    /// Retransmits overdue requests, and redirects requests that are overdue or whose supplier is suspected
    /// to another supplier of the flow, if there is one.
    fn retransmit(
        &mut self,
        cx: &mut Context<'_>,
        assignment: &Assignment,
        failure_detector: &FailureDetector,
    ) {
        for at in 0..self.pending.len() {
            let PendingRequest { item, supplier, retransmission, .. } = self.pending[at];
            let overdue = retransmission.is_due(cx.now, cx.protocol);
            if !overdue && !failure_detector.suspects(supplier) {
                continue;
            }
            let silent = |node| failure_detector.suspects(node) || node == supplier;
            let next = self.supplier(cx, assignment, item, silent).unwrap_or(supplier);
            if next != supplier && (overdue || !failure_detector.suspects(next)) {
                // A new number, because the first supplier may still answer the old request.
                let request = self.next_number();
                self.count_use(assignment, item, next);
                self.pending[at] = PendingRequest {
                    request,
                    item,
                    supplier: next,
                    retransmission: retransmission.again(cx.now),
                };
                cx.metrics.count(Metric::RequestsRedirected);
            } else if overdue {
                self.pending[at].retransmission = retransmission.again(cx.now);
                cx.metrics.count(Metric::RequestsRetransmitted);
            } else {
                continue;
            }
            let pending = &self.pending[at];
            cx.send(pending.supplier, Message::Request { request: pending.request, item });
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
        self.pending.push(PendingRequest {
            request,
            item,
            supplier,
            retransmission: Retransmission::new(cx.now),
        });
        cx.metrics.count(Metric::BatchesRequested);
        cx.send(supplier, Message::Request { request, item });
    }

    pub(crate) fn take_pending(&mut self, request: Option<RequestId>) -> Option<PendingRequest> {
        let at = self.pending.iter().position(|asked| Some(asked.request) == request)?;
        Some(self.pending.swap_remove(at))
    }

    /// Handles a refusal; the next production cycle requests again, from another supplier if there is one.
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
            // A refused request does not count towards the supplier's share.
            supplier_use.asked = supplier_use.asked.saturating_sub(1);
            supplier_use.refused = Some(cx.now);
        }
    }

    /// Resets the use of suppliers when another flow becomes active.
    pub(crate) fn reset_shares(&mut self) {
        self.buffers.iter_mut().for_each(|buffer| buffer.supplier_uses.clear());
    }

    /// Handles the announcement of a batch by a supplier.
    pub(crate) fn on_announced(
        &mut self,
        cx: &mut Context<'_>,
        from: NodeId,
        request: Option<RequestId>,
        batch: BatchId,
        settled: u32,
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

    /// Returns whether the node accepts a batch. The correct protocol accepts every batch that its producer
    /// commits to this node, because the recipe may have changed since the request and the batch belongs to
    /// no other node. The prototype accepts only items that its recipe requires.
    fn accepts(&self, cx: &Context<'_>, from: NodeId, batch: BatchId) -> bool {
        match cx.protocol.recovery {
            Recovery::Exact => batch.producer == from && from.index() < cx.network.node_count(),
            Recovery::Replay => requires(cx.network, cx.me, cx.network.makes(batch.producer)),
        }
    }

    /// Handles the arrival of a batch at the end of its transit.
    pub(crate) fn on_arrived(&mut self, cx: &mut Context<'_>, batch: BatchId) {
        let at = self.incoming.iter().position(|incoming| incoming.batch == batch);
        let incoming = self.incoming.remove(at.expect("only a batch in transit arrives"));
        cx.append(LogRecord::Received(batch));
        cx.send(incoming.from, Message::Delivered(batch));
        if !incoming.duplicate {
            cx.metrics.count(Metric::BatchesReceived);
            self.store(cx.network, batch);
        }
        self.take_pending(incoming.request);
    }

    /// Puts a batch into its input buffer.
    pub(crate) fn store(&mut self, network: &Network, batch: BatchId) {
        self.seen.insert(batch);
        self.buffer(network.makes(batch.producer)).batches.push_back(batch);
    }

    /// Restores the state of earlier deliveries from the log after a crash.
    pub(crate) fn restore(&mut self, incarnation: u32, seen: BatchSet, log_entries: u64) {
        self.next_request = RequestId { incarnation, number: 0 };
        self.seen = seen;
        self.log_entries = log_entries;
    }

    /// Adjusts the count of log entries after a compaction, which leaves only batches on hand or in transit.
    pub(crate) fn on_compacted(&mut self) {
        self.log_entries = (self.batches().count() + self.incoming.len()) as u64;
    }
}

impl ItemBuffer {
    fn new(item: ItemId) -> Self {
        Self { item, batches: VecDeque::new(), supplier_uses: Vec::new() }
    }
}

/// Returns whether the node's recipe requires an item.
pub(crate) fn requires(network: &Network, me: NodeId, item: ItemId) -> bool {
    network.requirements(me).binary_search_by_key(&item, |required| required.item).is_ok()
}
