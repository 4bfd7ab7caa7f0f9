//! Recovery of a node from its log.

use dmos_core::{BatchId, Metric, SerialSet};

use super::VolatileState;
use crate::context::Context;
use crate::interface::Scrapped;
use crate::log::{LogRecord, LogState};

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
        for batch in state.received.iter() {
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
        for batch in stock.iter().map(|serial| BatchId { producer, serial }).chain(inbound.iter()) {
            cx.append(LogRecord::Scrapped(batch));
            cx.metrics.count(Metric::BatchesScrapped);
        }
    }
}
