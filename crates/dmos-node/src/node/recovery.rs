//! What a node makes of its log after a crash.

use dmos_core::{BatchId, Metric, SerialSet};

use super::Memory;
use crate::context::Context;
use crate::interface::Scrapped;
use crate::log::{History, Inbound, LogRecord, LogState, Outbound};
use crate::message::Message;

impl Memory {
    /// Restores the state of the last durable point. What is under way is announced again.
    pub(super) fn restore(&mut self, cx: &mut Context<'_>, mut state: LogState, recovering: bool) {
        if recovering {
            cx.append(LogRecord::Returned);
            state.returns += 1;
        }
        let inbound = state.inbound_entries;
        cx.metrics.add(Metric::WalRecoveredInboundBatches, inbound);
        let ghosts = state.on_their_way.len() as u64;
        cx.metrics.add(Metric::WalRecoveredOutboundBatches, state.outbound_entries.saturating_sub(ghosts));
        cx.metrics.add(Metric::WalGhostOutboundBatches, ghosts);
        for &batch in &state.received {
            self.dock.take_in(cx.network, batch);
        }
        self.dock.restore(state.returns, state.seen, inbound);
        self.shipping.restore(state.made, state.stock, state.outbound_entries);
        for (batch, promise) in state.promised {
            self.shipping.announce(cx, batch, promise.to, Some(promise.request));
        }
        (self.stage.produced, self.stage.consumed) = (u64::from(state.made), state.consumed);
    }

    /// Takes what the crash destroyed out of what the log says is there. Nothing of it has been used.
    pub(super) fn scrap(&mut self, cx: &mut Context<'_>, state: &mut LogState, scrapped: Scrapped) {
        let producer = cx.me;
        let stock = if scrapped.outbound { std::mem::take(&mut state.stock) } else { SerialSet::default() };
        let dock = if scrapped.inbound { std::mem::take(&mut state.received) } else { Default::default() };
        for batch in stock.iter().map(|serial| BatchId { producer, serial }).chain(dock) {
            cx.append(LogRecord::Scrapped(batch));
            cx.metrics.count(Metric::BatchesScrapped);
        }
    }

    /// The prototype's recovery waits until a flow is known.
    pub(super) fn prepare_replay(&mut self, cx: &mut Context<'_>, mut history: History, recovering: bool) {
        if recovering {
            // The stage was asleep when the node went down, and counts that turn before it sees the crash.
            cx.metrics.count(Metric::TotalManufactureCycles);
        }
        let arrived = self.dock.end_transits(cx).into_iter();
        history.inbound.extend(arrived.map(|batch| (batch, Inbound::Received)));
        for (&batch, state) in &history.outbound {
            if *state == Outbound::Delivered {
                self.shipping.remember_delivered(batch);
            }
        }
        self.dock.set_log_entries(history.inbound.len());
        self.shipping.set_made(history.outbound.len());
        for &batch in history.inbound.keys() {
            self.dock.remember(batch);
        }
        if !history.inbound.is_empty() || !history.outbound.is_empty() {
            self.replay = Some(Box::new(history));
        }
    }

    /// The prototype's recovery: each batch by its last state, with today's neighbours.
    pub(super) fn replay(&mut self, cx: &mut Context<'_>, history: &History) {
        cx.metrics.count(Metric::FlowQueries);
        let part = self.role.assignment().cloned().unwrap_or_default();
        for (&batch, state) in &history.inbound {
            let metric = match (state, part.supplier(cx.network.makes(batch.producer))) {
                (Inbound::Coming, Some(supplier)) => {
                    cx.append(LogRecord::Received(batch));
                    cx.send(supplier, Message::Delivered(batch));
                    self.dock.take_in(cx.network, batch);
                    continue;
                }
                (Inbound::Received, _) => {
                    self.dock.take_in(cx.network, batch);
                    Metric::WalRecoveredInboundBatches
                }
                (Inbound::Consumed, _) => {
                    self.stage.consumed += 1;
                    Metric::WalRecoveredInboundBatches
                }
                (Inbound::SentOff | Inbound::Coming, _) => Metric::WalGhostInboundBatches,
            };
            cx.metrics.count(metric);
        }
        for (&batch, state) in &history.outbound {
            let metric = match (state, part.consumers.last()) {
                (Outbound::OnItsWay | Outbound::Promised, Some(&consumer)) => {
                    self.shipping.announce(cx, batch, consumer, None);
                    continue;
                }
                (Outbound::OnItsWay | Outbound::Promised, None) => Metric::WalGhostOutboundBatches,
                (Outbound::InStock, _) => {
                    self.shipping.restock(batch);
                    Metric::WalRecoveredOutboundBatches
                }
                (Outbound::Delivered, _) => {
                    self.stage.produced += 1;
                    Metric::WalRecoveredOutboundBatches
                }
            };
            cx.metrics.count(metric);
        }
    }
}
