//! The prototype's mixed-up log: it logs shipments in the inbound half, and acknowledgements of
//! received ones in the outbound half.

use dmos_core::BatchId;

use crate::context::Context;
use crate::inbound::Inbound;
use crate::log::LogRecord;
use crate::outbound::Outbound;

impl Inbound {
    /// Logs the shipment of a batch in the inbound log, in place of its commitment.
    pub(crate) fn log_shipment(&mut self, cx: &mut Context<'_>, batch: BatchId) {
        cx.append(LogRecord::LocalBatchSent(batch));
        self.log_entries += u64::from(self.seen.insert(batch));
    }
}

impl Outbound {
    /// Logs that the transit of a batch has started.
    pub(crate) fn log_transit_started(&mut self, cx: &mut Context<'_>, batch: BatchId) {
        self.logged_deliveries.remove(batch);
        cx.append(LogRecord::InTransit(batch));
    }
}
