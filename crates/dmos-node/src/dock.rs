//! The dock asks suppliers for batches, receives them, and keeps them until they are used up.
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
use crate::interface::Effect;
use crate::liveness::Liveness;
use crate::log::LogRecord;
use crate::message::Message;

/// A request without an answer.
struct Asked {
    request: RequestId,
    item: ItemId,
    supplier: NodeId,
    since: Time,
    tries: u32,
}

/// A batch in transit to this node.
struct Coming {
    batch: BatchId,
    from: NodeId,
    request: Option<RequestId>,
    /// It was in the log before: it will be confirmed, not taken in.
    duplicate: bool,
}

/// The batches of one item at hand.
struct Shelf {
    item: ItemId,
    /// Oldest first.
    batches: VecDeque<BatchId>,
    /// If there are several suppliers: what became of each since the flow is in force, in their order.
    turns: Vec<Turn>,
}

/// How a supplier among several has been asked.
#[derive(Clone, Copy, Default)]
struct Turn {
    /// So often, but for what it refused.
    asked: u64,
    /// When it had none.
    refused: Option<Time>,
}

/// What the node has received, is about to receive and has asked for.
pub(crate) struct Dock {
    /// Sorted by item: one for each requirement, and for what is left of earlier ones.
    shelves: Vec<Shelf>,
    asked: Vec<Asked>,
    coming: Vec<Coming>,
    /// Every batch that ever came in and, where the logs are mixed up, every own one sent off.
    seen: BatchSet,
    next_request: RequestId,
    log_entries: u64,
    /// Used by askings alone, whose memory it keeps: for each requirement, how many are at hand or will be.
    expected: Vec<usize>,
}

impl Dock {
    /// An empty dock for a node with these requirements.
    pub(crate) fn new(requirements: &[Requirement]) -> Self {
        let shelf = |required: &Requirement| Shelf::new(required.item);
        Self {
            shelves: requirements.iter().map(shelf).collect(),
            asked: Vec::new(),
            coming: Vec::new(),
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
        self.asked.len()
    }

    /// All batches at hand.
    pub(crate) fn batches(&self) -> impl Iterator<Item = BatchId> + '_ {
        self.shelves.iter().flat_map(|shelf| &shelf.batches).copied()
    }

    /// How many batches are in transit to this node.
    pub(crate) fn in_transit(&self) -> usize {
        self.coming.len()
    }

    pub(crate) fn seen(&self) -> &BatchSet {
        &self.seen
    }

    pub(crate) fn incarnation(&self) -> u32 {
        self.next_request.incarnation
    }

    /// How many batches of an item are at hand.
    fn at_hand(&self, item: ItemId) -> usize {
        let at = self.shelves.binary_search_by_key(&item, |shelf| shelf.item);
        at.map_or(0, |at| self.shelves[at].batches.len())
    }

    /// The shelf of an item; a new one, if there was none.
    fn shelf(&mut self, item: ItemId) -> &mut Shelf {
        let at = self.shelves.binary_search_by_key(&item, |shelf| shelf.item).unwrap_or_else(|at| {
            self.shelves.insert(at, Shelf::new(item));
            at
        });
        &mut self.shelves[at]
    }

    fn lacks(&self, required: &Requirement) -> bool {
        self.at_hand(required.item) < required.quantity as usize
    }

    /// Counts the items of which less is at hand than one making takes; true if there are none.
    pub(crate) fn note_missing(&self, cx: &mut Context<'_>) -> bool {
        let missing = cx.network.requirements(cx.me).iter().filter(|required| self.lacks(required)).count();
        cx.metrics.add(Metric::EmptyInboundInventoryOccurrences, missing as u64);
        missing == 0
    }

    /// Takes what one making takes, entering it in the log; says how many batches that was.
    pub(crate) fn use_up(&mut self, cx: &mut Context<'_>) -> u32 {
        let mut used = 0;
        for required in cx.network.requirements(cx.me) {
            for batch in self.shelf(required.item).batches.drain(..required.quantity as usize) {
                cx.append(LogRecord::Consumed(batch));
                used += 1;
            }
        }
        used
    }

    /// Asks for everything that is missing now, whatever was asked before.
    pub(crate) fn ask_for_missing(&mut self, cx: &mut Context<'_>, part: &Assignment, liveness: &Liveness) {
        for required in cx.network.requirements(cx.me) {
            let silent = |node| liveness.suspects(node);
            if let (true, Some(supplier)) =
                (self.lacks(required), self.supplier(cx, part, required.item, silent))
            {
                self.ask(cx, part, required.item, supplier);
            }
        }
    }

    /// Asks for what the next making will miss beyond what is at hand, in transit or asked for, and
    /// once more for what was asked for too long ago.
    pub(crate) fn ask_for_next(&mut self, cx: &mut Context<'_>, part: &Assignment, liveness: &Liveness) {
        let supplies = |asked: &Asked, supply: &Supply| supply.producer == asked.supplier;
        self.asked.retain(|asked| part.suppliers_of(asked.item).iter().any(|supply| supplies(asked, supply)));
        self.ask_again(cx, part, liveness);
        let (network, me) = (cx.network, cx.me);
        let requirements = network.requirements(me);
        let mut expected = std::mem::take(&mut self.expected);
        expected.extend(requirements.iter().map(|required| self.at_hand(required.item)));
        let coming = self.coming.iter().map(|coming| network.makes(coming.batch.producer));
        for item in coming.chain(self.asked.iter().map(|asked| asked.item)) {
            if let Ok(at) = requirements.binary_search_by_key(&item, |required| required.item) {
                expected[at] += 1;
            }
        }
        for (required, expected) in requirements.iter().zip(expected.drain(..)) {
            for _ in expected..required.quantity as usize {
                if let Some(supplier) = self.supplier(cx, part, required.item, |node| liveness.suspects(node))
                {
                    self.ask(cx, part, required.item, supplier);
                }
            }
        }
        self.expected = expected;
    }

    /// Whose turn it is to be asked for an item: of those that are not silent, who has got the least for its
    /// share, and rather not who had none a moment ago. Standbys only come in if nobody else is there.
    fn supplier(
        &self,
        cx: &Context<'_>,
        part: &Assignment,
        item: ItemId,
        silent: impl Fn(NodeId) -> bool,
    ) -> Option<NodeId> {
        let suppliers = part.suppliers_of(item);
        if let [] | [_] = suppliers {
            return suppliers.first().map(|supply| supply.producer);
        }
        let shelf = self.shelves.binary_search_by_key(&item, |shelf| shelf.item).map(|at| &self.shelves[at]);
        let turns = shelf.map_or(&[][..], |shelf| &shelf.turns);
        // As long as a supplier keeps a place in its queue for who was refused.
        let moment = cx.patience(0).unwrap_or(cx.protocol.heartbeat);
        let key = |(at, supply): &(usize, &Supply)| {
            let turn = turns.get(*at).copied().unwrap_or_default();
            let has_none = turn.refused.is_some_and(|refused| cx.now.since(refused) < moment);
            let share = u128::from(supply.share.millionths().max(1));
            // One more, over its share, in parts that are fine enough to tell all shares apart.
            let due = u128::from(turn.asked + 1) * 1_000_000_000_000 / share;
            (silent(supply.producer), supply.share == Share::STANDBY, has_none, due)
        };
        suppliers.iter().enumerate().min_by_key(key).map(|(_, supply)| supply.producer)
    }

    /// What is known of a supplier of an item, if it is one of several.
    fn turn(&mut self, part: &Assignment, item: ItemId, supplier: NodeId) -> Option<&mut Turn> {
        let suppliers = part.suppliers_of(item);
        if suppliers.len() < 2 {
            return None;
        }
        let at = suppliers.binary_search_by_key(&supplier, |supply| supply.producer).ok()?;
        let turns = &mut self.shelf(item).turns;
        turns.resize(suppliers.len(), Turn::default());
        Some(&mut turns[at])
    }

    /// What was not answered in time is asked for again, and so is at once what was asked of somebody who is
    /// suspected: from another supplier, if the flow has several.
    fn ask_again(&mut self, cx: &mut Context<'_>, part: &Assignment, liveness: &Liveness) {
        for at in 0..self.asked.len() {
            let Asked { item, supplier, since, tries, .. } = self.asked[at];
            let overdue = cx.is_overdue(since, tries);
            if !overdue && !liveness.suspects(supplier) {
                continue;
            }
            let silent = |node| liveness.suspects(node) || node == supplier;
            let next = self.supplier(cx, part, item, silent).unwrap_or(supplier);
            if next != supplier && (overdue || !liveness.suspects(next)) {
                // Another request, to another node: the first may still be answered.
                let request = self.number();
                self.count_turn(part, item, next);
                self.asked[at] = Asked { request, item, supplier: next, since: cx.now, tries: tries + 1 };
                cx.metrics.count(Metric::RequestsRedirected);
            } else if overdue {
                let asked = &mut self.asked[at];
                (asked.since, asked.tries) = (cx.now, tries + 1);
                cx.metrics.count(Metric::RequestsRetransmitted);
            } else {
                continue;
            }
            let asked = &self.asked[at];
            cx.send(asked.supplier, Message::Request { request: asked.request, item });
        }
    }

    fn number(&mut self) -> RequestId {
        let request = self.next_request;
        self.next_request.number = request.number.wrapping_add(1);
        request
    }

    fn count_turn(&mut self, part: &Assignment, item: ItemId, supplier: NodeId) {
        if let Some(turn) = self.turn(part, item, supplier) {
            turn.asked += 1;
        }
    }

    fn ask(&mut self, cx: &mut Context<'_>, part: &Assignment, item: ItemId, supplier: NodeId) {
        let request = self.number();
        self.count_turn(part, item, supplier);
        self.asked.push(Asked { request, item, supplier, since: cx.now, tries: 0 });
        cx.metrics.count(Metric::BatchesRequested);
        cx.send(supplier, Message::Request { request, item });
    }

    fn answered(&mut self, request: Option<RequestId>) -> Option<Asked> {
        let at = self.asked.iter().position(|asked| Some(asked.request) == request)?;
        Some(self.asked.swap_remove(at))
    }

    /// The supplier has none; the next cycle asks again, and another one if there is.
    pub(crate) fn refused(&mut self, cx: &mut Context<'_>, part: Option<&Assignment>, request: RequestId) {
        cx.metrics.count(Metric::BatchUnavailableMessagesReceived);
        let (Some(asked), Some(part)) = (self.answered(Some(request)), part) else {
            return;
        };
        if let Some(turn) = self.turn(part, asked.item, asked.supplier) {
            // What it did not give is no part of its share.
            turn.asked = turn.asked.saturating_sub(1);
            turn.refused = Some(cx.now);
        }
    }

    /// Another flow is in force: shares are kept from now on.
    pub(crate) fn begin_shares(&mut self) {
        self.shelves.iter_mut().for_each(|shelf| shelf.turns.clear());
    }

    /// A supplier announces a batch.
    pub(crate) fn announced(
        &mut self,
        cx: &mut Context<'_>,
        from: NodeId,
        request: Option<RequestId>,
        (batch, settled): (BatchId, u32),
    ) {
        if !self.may_take(cx, from, batch) {
            return;
        }
        if cx.protocol.has_exact_logs() {
            self.seen.insert_all_before(BatchId { serial: settled.min(batch.serial), ..batch });
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
        let blocking = cx.protocol.receiving == Receiving::Blocking;
        if !blocking {
            self.answered(request);
        }
        cx.append(LogRecord::Coming(batch));
        self.log_entries += u64::from(!duplicate);
        self.coming.push(Coming { batch, from, request, duplicate });
        cx.send(from, Message::Waiting(batch));
        cx.effects.push(Effect::Transport { batch, blocking });
    }

    /// The prototype takes what it requires. The right protocol takes all that its producer promised to it:
    /// the recipe may have changed since it asked, and the batch is nobody else's.
    fn may_take(&self, cx: &Context<'_>, from: NodeId, batch: BatchId) -> bool {
        match cx.protocol.recovery {
            Recovery::Exact => batch.producer == from && from.index() < cx.network.node_count(),
            Recovery::Replay => requires(cx.network, cx.me, cx.network.makes(batch.producer)),
        }
    }

    /// A batch is at the dock.
    pub(crate) fn arrived(&mut self, cx: &mut Context<'_>, batch: BatchId) {
        let at = self.coming.iter().position(|coming| coming.batch == batch);
        let coming = self.coming.remove(at.expect("a batch arrives whose transport was asked for"));
        cx.append(LogRecord::Received(batch));
        cx.send(coming.from, Message::Delivered(batch));
        if !coming.duplicate {
            cx.metrics.count(Metric::BatchesReceived);
            self.take_in(cx.network, batch);
        }
        self.answered(coming.request);
    }

    /// Puts a batch where the stage finds it.
    pub(crate) fn take_in(&mut self, network: &Network, batch: BatchId) {
        self.seen.insert(batch);
        self.shelf(network.makes(batch.producer)).batches.push_back(batch);
    }

    /// After a crash: what the log says of earlier deliveries.
    pub(crate) fn restore(&mut self, incarnation: u32, seen: BatchSet, log_entries: u64) {
        self.next_request = RequestId { incarnation, number: 0 };
        self.seen = seen;
        self.log_entries = log_entries;
    }

    /// The log was compacted: it has entries only of what is here, or is coming.
    pub(crate) fn compacted(&mut self) {
        self.log_entries = (self.batches().count() + self.coming.len()) as u64;
    }

    /// After a crash, under `recovery: replay`: the prototype's process incarnations on, remembers what it asked
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

    /// After a crash, under `recovery: replay`: the log knows the batch, wherever it is now.
    pub(crate) fn remember(&mut self, batch: BatchId) {
        self.seen.insert(batch);
    }

    /// After a crash, under `recovery: replay`: how many batches the inbound log has.
    pub(crate) fn set_log_entries(&mut self, entries: usize) {
        self.log_entries = entries as u64;
    }

    /// Enters an own batch in the inbound log, as the prototype does when it sends one off.
    pub(crate) fn mix_up(&mut self, cx: &mut Context<'_>, batch: BatchId) {
        cx.append(LogRecord::SentOff(batch));
        self.log_entries += u64::from(self.seen.insert(batch));
    }
}

impl Shelf {
    fn new(item: ItemId) -> Self {
        Self { item, batches: VecDeque::new(), turns: Vec::new() }
    }
}

/// Whether the node's recipe takes an item.
pub(crate) fn requires(network: &Network, me: NodeId, item: ItemId) -> bool {
    network.requirements(me).binary_search_by_key(&item, |required| required.item).is_ok()
}
