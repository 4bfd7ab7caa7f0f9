//! What a node makes of its log after a crash.

use dmos_core::Metric;

use super::Memory;
use crate::context::Context;
use crate::log::{Inbound, LogRecord, Outbound, Recovered};
use crate::message::Message;

impl Memory {
    /// Restores the state of the last durable point. What is under way is announced again.
    pub(super) fn restore(&mut self, cx: &mut Context<'_>, recovered: &Recovered) {
        for (&batch, state) in &recovered.inbound {
            match state {
                Inbound::Received => self.dock.take_in(cx.network, cx.me, batch),
                Inbound::Consumed => {
                    self.dock.remember(batch);
                    self.stage.consumed += 1;
                }
                Inbound::SentOff => self.dock.remember(batch),
                // Its supplier will announce it again.
                Inbound::Coming => continue,
            }
            cx.metrics.count(Metric::WalRecoveredInboundBatches);
        }
        for (&batch, state) in &recovered.outbound {
            match *state {
                Outbound::InStock => self.shipping.restock(batch),
                Outbound::Promised { to, request } => self.shipping.announce(cx, batch, to, Some(request)),
                Outbound::Delivered => {}
                Outbound::OnItsWay => {
                    cx.metrics.count(Metric::WalGhostOutboundBatches);
                    continue;
                }
            }
            cx.metrics.count(Metric::WalRecoveredOutboundBatches);
        }
        self.stage.produced = recovered.outbound.len() as u64;
        self.dock.number_requests_from(cx.now);
        // A batch that is coming is entered, and counted, once more when it is announced again.
        let entries = recovered.inbound.values().filter(|state| **state != Inbound::Coming);
        self.dock.set_log_entries(entries.count());
        self.shipping.set_made(recovered.outbound.len());
    }

    /// The prototype's recovery waits until a flow is known.
    pub(super) fn prepare_replay(
        &mut self,
        cx: &mut Context<'_>,
        mut recovered: Recovered,
        recovering: bool,
    ) {
        if recovering {
            // The stage was asleep when the node went down, and counts that turn before it sees the crash.
            cx.metrics.count(Metric::TotalManufactureCycles);
        }
        let arrived = self.dock.end_transits(cx).into_iter();
        recovered.inbound.extend(arrived.map(|batch| (batch, Inbound::Received)));
        for (&batch, state) in &recovered.outbound {
            if *state == Outbound::Delivered {
                self.shipping.remember_delivered(batch);
            }
        }
        self.dock.set_log_entries(recovered.inbound.len());
        self.shipping.set_made(recovered.outbound.len());
        for &batch in recovered.inbound.keys() {
            self.dock.remember(batch);
        }
        if !recovered.inbound.is_empty() || !recovered.outbound.is_empty() {
            self.replay = Some(recovered);
        }
    }

    /// The prototype's recovery: each batch by its last state, with today's neighbours.
    pub(super) fn replay(&mut self, cx: &mut Context<'_>, recovered: &Recovered) {
        cx.metrics.count(Metric::FlowQueries);
        let part = self.role.part().cloned().unwrap_or_default();
        for (&batch, state) in &recovered.inbound {
            let metric = match (state, part.supplier(cx.network.makes(batch.maker))) {
                (Inbound::Coming, Some(supplier)) => {
                    cx.append(LogRecord::Received(batch));
                    cx.send(supplier, Message::Delivered(batch));
                    self.dock.take_in(cx.network, cx.me, batch);
                    continue;
                }
                (Inbound::Received, _) => {
                    self.dock.take_in(cx.network, cx.me, batch);
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
        for (&batch, state) in &recovered.outbound {
            let metric = match (state, part.consumers.last()) {
                (Outbound::OnItsWay | Outbound::Promised { .. }, Some(&consumer)) => {
                    self.shipping.announce(cx, batch, consumer, None);
                    continue;
                }
                (Outbound::OnItsWay | Outbound::Promised { .. }, None) => Metric::WalGhostOutboundBatches,
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
