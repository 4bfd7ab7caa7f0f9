//! The stage makes batches: one making per manufacture cycle, if everything is there.

use dmos_core::settings::Requests;
use dmos_core::{BatchId, Metric};

use crate::context::Context;
use crate::dock::Dock;
use crate::interface::Timer;
use crate::liveness::Liveness;
use crate::log::LogRecord;
use crate::role::Role;
use crate::shipping::Shipping;

/// Counts what the node made and used up, as far as it remembers.
#[derive(Default)]
pub(crate) struct Stage {
    /// Batches made; after a recovery by replay only the delivered ones.
    pub(crate) produced: u64,
    /// Batches used up.
    pub(crate) consumed: u64,
}

impl Stage {
    /// One manufacture cycle.
    pub(crate) fn cycle(
        &mut self,
        cx: &mut Context<'_>,
        role: &Role,
        dock: &mut Dock,
        shipping: &mut Shipping,
        liveness: &Liveness,
    ) {
        cx.metrics.count(Metric::TotalManufactureCycles);
        self.show_gauges(cx, dock, shipping);
        self.turn(cx, role, dock, shipping, liveness);
        cx.set_timer(cx.protocol.cycle * u64::from(cx.network.cycles(cx.me)), Timer::Stage);
    }

    fn turn(
        &mut self,
        cx: &mut Context<'_>,
        role: &Role,
        dock: &mut Dock,
        shipping: &mut Shipping,
        liveness: &Liveness,
    ) {
        cx.metrics.count(Metric::FlowQueries);
        let Some(part) = role.assignment() else {
            cx.metrics.count(Metric::FailedFlowQueries);
            cx.metrics.count(Metric::SkippedManufactureCycles);
            return;
        };
        if part.suppliers.is_empty() && !cx.network.requirements(cx.me).is_empty() {
            return;
        }
        let complete = dock.note_missing(cx);
        let makes = complete && shipping.has_room(cx);
        if makes {
            self.make(cx, dock, shipping);
        } else {
            cx.metrics.count(Metric::SkippedManufactureCycles);
        }
        match cx.protocol.requests {
            Requests::UntilAnswered => dock.ask_for_next(cx, part, liveness),
            Requests::EveryCycle if !complete => dock.ask_for_missing(cx, part, liveness),
            Requests::EveryCycle => {}
        }
    }

    fn make(&mut self, cx: &mut Context<'_>, dock: &mut Dock, shipping: &mut Shipping) {
        let count = cx.network.yield_per_run(cx.me);
        let inputs = dock.use_up(cx);
        let first = BatchId { producer: cx.me, serial: shipping.next_serial() };
        cx.append(LogRecord::Made { first, count, inputs });
        shipping.put_in_stock(count);
        self.consumed += u64::from(inputs);
        self.produced += u64::from(count);
        cx.metrics.count(Metric::SuccessfulManufactureCycles);
        if cx.network.is_final(cx.me) {
            cx.metrics.add(Metric::FinishedGoodsMade, u64::from(count));
        }
    }

    /// The gauges show the state before the cycle.
    fn show_gauges(&self, cx: &mut Context<'_>, dock: &Dock, shipping: &Shipping) {
        let metrics = &mut *cx.metrics;
        metrics.set(Metric::BatchesProducedTotal, self.produced);
        metrics.set(Metric::BatchesConsumedTotal, self.consumed);
        metrics.set(Metric::OutboundMaterialBuildup, shipping.stock().len());
        metrics.set(Metric::InboundWalSize, dock.log_entries());
        metrics.set(Metric::OutboundWalSize, shipping.log_entries());
        metrics.set(Metric::UnansweredBatchRequestsCurrent, dock.unanswered() as u64);
    }
}
