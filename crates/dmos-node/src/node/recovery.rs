//! Recovery of a node from its log.

use dmos_core::{BatchId, Metric, SerialSet};

use super::VolatileState;
use crate::context::Context;
use crate::interface::Scrapped;
use crate::log::{History, InboundState, LogRecord, LogState, OutboundState};
use crate::message::Message;

impl VolatileState {
    /// Restores the state of the last durable point. Committed batches are announced again.
    pub(super) fn restore(&mut self, cx: &mut Context<'_>, mut state: LogState, recovering: bool) {
        if recovering {
            cx.append(LogRecord::Restarted);
            state.restarts += 1;
        }
        let inbound = state.inbound_entries;
        cx.metrics.add(Metric::WalRecoveredInboundBatches, inbound);
        let ghosts = state.in_transit.len() as u64;
        cx.metrics.add(Metric::WalRecoveredOutboundBatches, state.outbound_entries.saturating_sub(ghosts));
        cx.metrics.add(Metric::WalGhostOutboundBatches, ghosts);
        for &batch in &state.received {
            self.inbound.store(cx.network, batch);
        }
        self.inbound.restore(state.restarts, state.seen, inbound);
        self.outbound.restore(state.made, state.stock, state.outbound_entries);
        for (batch, commitment) in state.committed {
            self.outbound.ship(cx, batch, commitment.to, Some(commitment.request));
        }
        (self.production.produced, self.production.consumed) = (u64::from(state.made), state.consumed);
    }

    /// Removes the material that the crash destroyed from the recovered state.
    pub(super) fn scrap(&mut self, cx: &mut Context<'_>, state: &mut LogState, scrapped: Scrapped) {
        let producer = cx.me;
        let stock = if scrapped.outbound { std::mem::take(&mut state.stock) } else { SerialSet::default() };
        let inbound = if scrapped.inbound { std::mem::take(&mut state.received) } else { Default::default() };
        for batch in stock.iter().map(|serial| BatchId { producer, serial }).chain(inbound) {
            cx.append(LogRecord::Scrapped(batch));
            cx.metrics.count(Metric::BatchesScrapped);
        }
    }

    /// Prepares the prototype's recovery, which waits until a flow is known.
    pub(super) fn prepare_replay(&mut self, cx: &mut Context<'_>, mut history: History, recovering: bool) {
        if recovering {
            // The prototype's production thread counts the cycle during which the node went down.
            cx.metrics.count(Metric::TotalManufactureCycles);
        }
        let arrived = self.inbound.complete_transits(cx).into_iter();
        history.inbound.extend(arrived.map(|batch| (batch, InboundState::Received)));
        for (&batch, state) in &history.outbound {
            if *state == OutboundState::Delivered {
                self.outbound.remember_delivered(batch);
            }
        }
        self.inbound.set_log_entries(history.inbound.len());
        self.outbound.set_made(history.outbound.len());
        for &batch in history.inbound.keys() {
            self.inbound.mark_seen(batch);
        }
        if !history.inbound.is_empty() || !history.outbound.is_empty() {
            self.replay = Some(Box::new(history));
        }
    }

    /// Runs the prototype's recovery: handles each batch by its last logged state, with the current
    /// neighbours.
    pub(super) fn replay(&mut self, cx: &mut Context<'_>, history: &History) {
        cx.metrics.count(Metric::FlowQueries);
        let assignment = self.active.assignment().cloned().unwrap_or_default();
        for (&batch, state) in &history.inbound {
            let metric = match (state, assignment.supplier(cx.network.makes(batch.producer))) {
                (InboundState::InTransit, Some(supplier)) => {
                    cx.append(LogRecord::Received(batch));
                    cx.send(supplier, Message::Delivered(batch));
                    self.inbound.store(cx.network, batch);
                    continue;
                }
                (InboundState::Received, _) => {
                    self.inbound.store(cx.network, batch);
                    Metric::WalRecoveredInboundBatches
                }
                (InboundState::Consumed, _) => {
                    self.production.consumed += 1;
                    Metric::WalRecoveredInboundBatches
                }
                (InboundState::OwnBatchSent | InboundState::InTransit, _) => Metric::WalGhostInboundBatches,
            };
            cx.metrics.count(metric);
        }
        for (&batch, state) in &history.outbound {
            let metric = match (state, assignment.consumers.last()) {
                (OutboundState::InTransit | OutboundState::Committed, Some(&consumer)) => {
                    self.outbound.ship(cx, batch, consumer, None);
                    continue;
                }
                (OutboundState::InTransit | OutboundState::Committed, None) => {
                    Metric::WalGhostOutboundBatches
                }
                (OutboundState::InStock, _) => {
                    self.outbound.restock(batch);
                    Metric::WalRecoveredOutboundBatches
                }
                (OutboundState::Delivered, _) => {
                    self.production.produced += 1;
                    Metric::WalRecoveredOutboundBatches
                }
            };
            cx.metrics.count(metric);
        }
    }
}
