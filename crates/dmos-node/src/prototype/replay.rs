//! The prototype's recovery: once a flow is known, each batch is handled by its last logged state, with the
//! current neighbours.

use dmos_core::{BatchId, Metric, SerialSet};

use super::history::{History, InboundState, OutboundState};
use crate::assignment::ActiveAssignment;
use crate::context::Context;
use crate::inbound::Inbound;
use crate::log::LogRecord;
use crate::message::Message;
use crate::outbound::Outbound;
use crate::production::Production;

/// A recovery that waits until a flow is known.
pub(crate) struct Replay(History);

impl Replay {
    /// Prepares the recovery from a log. Returns `None` if there is nothing to recover.
    pub(crate) fn prepare(
        cx: &mut Context<'_>,
        records: &[LogRecord],
        recovering: bool,
        inbound: &mut Inbound,
        outbound: &mut Outbound,
    ) -> Option<Self> {
        let mut history = History::of(records);
        if recovering {
            // The prototype's production thread counts the cycle during which the node went down.
            cx.metrics.count(Metric::TotalManufactureCycles);
        }
        let arrived = inbound.complete_transits(cx).into_iter();
        history.inbound.extend(arrived.map(|batch| (batch, InboundState::Received)));
        for &batch in history.inbound.keys() {
            inbound.seen.insert(batch);
        }
        inbound.log_entries = history.inbound.len() as u64;
        let made = u32::try_from(history.outbound.len()).expect("a node makes fewer than 2^32 batches");
        outbound.restore(made, SerialSet::default(), u64::from(made));
        for (&batch, state) in &history.outbound {
            if *state == OutboundState::Delivered {
                outbound.logged_deliveries.insert(batch);
            }
        }
        let is_empty = history.inbound.is_empty() && history.outbound.is_empty();
        (!is_empty).then_some(Self(history))
    }

    /// Handles each batch by its last logged state.
    pub(crate) fn run(
        self,
        cx: &mut Context<'_>,
        active: &ActiveAssignment,
        inbound: &mut Inbound,
        outbound: &mut Outbound,
        production: &mut Production,
    ) {
        cx.metrics.count(Metric::FlowQueries);
        let assignment = active.assignment().cloned().unwrap_or_default();
        for (&batch, state) in &self.0.inbound {
            let metric = match (state, assignment.supplier(cx.network.makes(batch.producer))) {
                (InboundState::InTransit, Some(supplier)) => {
                    cx.append(LogRecord::Received(batch));
                    cx.send(supplier, Message::Delivered(batch));
                    inbound.store(cx.network, batch);
                    continue;
                }
                (InboundState::Received, _) => {
                    inbound.store(cx.network, batch);
                    Metric::WalRecoveredInboundBatches
                }
                (InboundState::Consumed, _) => {
                    production.consumed += 1;
                    Metric::WalRecoveredInboundBatches
                }
                (InboundState::LocalBatchSent | InboundState::InTransit, _) => Metric::WalGhostInboundBatches,
            };
            cx.metrics.count(metric);
        }
        for (&batch, state) in &self.0.outbound {
            let metric = match (state, assignment.consumers.last()) {
                (OutboundState::InTransit | OutboundState::Committed, Some(&consumer)) => {
                    outbound.ship(cx, batch, consumer, None);
                    continue;
                }
                (OutboundState::InTransit | OutboundState::Committed, None) => {
                    Metric::WalGhostOutboundBatches
                }
                (OutboundState::InStock, _) => {
                    outbound.stock.insert(batch.serial);
                    Metric::WalRecoveredOutboundBatches
                }
                (OutboundState::Delivered, _) => {
                    production.produced += 1;
                    Metric::WalRecoveredOutboundBatches
                }
            };
            cx.metrics.count(metric);
        }
    }
}

impl Inbound {
    /// Keeps requests and transits across a crash: the prototype's process survives, remembers its requests,
    /// and completes transits that were in progress.
    pub(crate) fn keep_requests(&mut self, before: Self) {
        (self.pending, self.incoming, self.next_request) =
            (before.pending, before.incoming, before.next_request);
    }

    /// Completes the transits that ended while the node was down. They are logged now, without a
    /// confirmation.
    fn complete_transits(&mut self, cx: &mut Context<'_>) -> Vec<BatchId> {
        let ended = std::mem::take(&mut self.incoming);
        for incoming in &ended {
            cx.append(LogRecord::Received(incoming.batch));
            cx.metrics.add(Metric::BatchesReceived, u64::from(!incoming.duplicate));
            self.take_pending(incoming.request);
        }
        ended.iter().map(|incoming| incoming.batch).collect()
    }
}

impl Outbound {
    /// Removes a shipment, which may be to another consumer: a replay confirms to the current supplier, and
    /// may have put a batch back into stock that is delivered now. Returns whether the delivery counts: the
    /// prototype only consults its log.
    pub(crate) fn confirm_by_log(&mut self, batch: BatchId) -> bool {
        let key = self.shipments.keys().find(|(_, sent)| *sent == batch).copied();
        key.map(|key| self.shipments.remove(&key));
        self.logged_deliveries.insert(batch)
    }
}
