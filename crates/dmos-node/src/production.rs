//! Production: at most one production run per production cycle, when all inputs are on hand.

use dmos_core::settings::Requests;
use dmos_core::{BatchId, Metric};

use crate::assignment::ActiveAssignment;
use crate::context::Context;
use crate::failure_detector::FailureDetector;
use crate::inbound::Inbound;
use crate::interface::Timer;
use crate::log::LogRecord;
use crate::outbound::Outbound;

/// Counters of production, since the last recovery by replay, or ever.
#[derive(Default)]
pub(crate) struct Production {
    /// Batches made; after a recovery by replay only delivered ones.
    pub(crate) produced: u64,
    /// Batches consumed.
    pub(crate) consumed: u64,
}

impl Production {
    /// Runs one production cycle.
    pub(crate) fn run_cycle(
        &mut self,
        cx: &mut Context<'_>,
        active: &ActiveAssignment,
        inbound: &mut Inbound,
        outbound: &mut Outbound,
        failure_detector: &FailureDetector,
    ) {
        cx.metrics.count(Metric::TotalManufactureCycles);
        self.update_gauges(cx, inbound, outbound);
        self.try_produce(cx, active, inbound, outbound, failure_detector);
        cx.set_timer(cx.network.process_time(cx.me), Timer::ProductionCycle);
    }

    fn try_produce(
        &mut self,
        cx: &mut Context<'_>,
        active: &ActiveAssignment,
        inbound: &mut Inbound,
        outbound: &mut Outbound,
        failure_detector: &FailureDetector,
    ) {
        cx.metrics.count(Metric::FlowQueries);
        let Some(assignment) = active.assignment() else {
            cx.metrics.count(Metric::FailedFlowQueries);
            cx.metrics.count(Metric::SkippedManufactureCycles);
            return;
        };
        if assignment.suppliers.is_empty() && !cx.network.requirements(cx.me).is_empty() {
            return;
        }
        let complete = inbound.count_missing_inputs(cx) == 0;
        let runs = complete && outbound.has_room(cx);
        if runs {
            self.produce(cx, inbound, outbound);
        } else {
            cx.metrics.count(Metric::SkippedManufactureCycles);
        }
        match cx.protocol.requests {
            Requests::UntilAnswered => inbound.request_for_next_run(cx, assignment, failure_detector),
            Requests::EveryCycle if !complete => inbound.request_missing(cx, assignment, failure_detector),
            Requests::EveryCycle => {}
        }
    }

    fn produce(&mut self, cx: &mut Context<'_>, inbound: &mut Inbound, outbound: &mut Outbound) {
        let count = cx.network.yield_per_run(cx.me);
        let inputs = inbound.consume_inputs(cx);
        let first = BatchId { producer: cx.me, serial: outbound.next_serial() };
        cx.append(LogRecord::Made { first, count, inputs });
        outbound.add_to_stock(count);
        self.consumed += u64::from(inputs);
        self.produced += u64::from(count);
        cx.metrics.count(Metric::SuccessfulManufactureCycles);
        if cx.network.is_final(cx.me) {
            cx.metrics.add(Metric::FinishedGoodsMade, u64::from(count));
        }
    }

    /// Updates the gauges, which show the state before the cycle.
    fn update_gauges(&self, cx: &mut Context<'_>, inbound: &Inbound, outbound: &Outbound) {
        let metrics = &mut *cx.metrics;
        metrics.set(Metric::BatchesProducedTotal, self.produced);
        metrics.set(Metric::BatchesConsumedTotal, self.consumed);
        metrics.set(Metric::OutboundMaterialBuildup, outbound.stock().len());
        metrics.set(Metric::InboundWalSize, inbound.log_entries());
        metrics.set(Metric::OutboundWalSize, outbound.log_entries());
        metrics.set(Metric::UnansweredBatchRequestsCurrent, inbound.unanswered() as u64);
    }
}
