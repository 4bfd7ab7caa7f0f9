//! Levels of inputs, and their distribution over several suppliers.

use dmos_core::flow::PlannedRate;
use dmos_core::{NodeId, Requirement, Routes, Share, Span, Supply};

use crate::context::Context;

/// The level up to which an input is ordered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    quantity: u64,
    /// The quantity of a run and the planned need during the lead time. With `runs_ahead`, the inputs of that many
    /// runs.
    base: u64,
}

impl Level {
    pub(super) fn of(
        cx: &Context<'_>,
        required: &Requirement,
        rate: PlannedRate,
        suppliers: &[Supply],
        routes: &Routes,
    ) -> Self {
        let quantity = u64::from(required.quantity);
        let base = match cx.protocol.runs_ahead {
            Some(runs) => quantity * u64::from(runs.get()),
            None => {
                let need = rate.units_in(lead_time(cx.me, suppliers, routes), required.quantity);
                need.saturating_add(quantity)
            }
        };
        Self { quantity, base }
    }

    /// Returns what is ordered from a supplier beyond the need: a lot, so that the node gets its part of it, or the
    /// quantity of a run if that is more.
    fn reserve(self, cx: &Context<'_>, supply: &Supply) -> u64 {
        self.quantity.max(u64::from(cx.network.lot(supply.producer)))
    }

    /// Returns the inventory position up to which the input is ordered from all suppliers together.
    pub(super) fn total(self, cx: &Context<'_>, suppliers: &[Supply]) -> u64 {
        if cx.protocol.runs_ahead.is_some() {
            return self.base;
        }
        let (mut planned, mut standby) = (0, 0);
        for supply in suppliers {
            let reserve = self.reserve(cx, supply);
            match supply.share {
                Share::STANDBY => standby = reserve.max(standby),
                _ => planned += reserve,
            }
        }
        self.base.saturating_add(planned.max(standby))
    }

    /// Returns the number of open orders up to which a supplier gets further ones: its share of the need, of all
    /// suppliers that answer, and its reserve.
    pub(super) fn open_orders_max(self, cx: &Context<'_>, supply: &Supply, answering: u64) -> u64 {
        let share = u64::from(supply.share.millionths());
        let of_base = match share == 0 || share >= answering {
            true => self.base,
            false => {
                let part = (u128::from(self.base) * u128::from(share)).div_ceil(u128::from(answering));
                u64::try_from(part).expect("a part is no more than the whole")
            }
        };
        of_base.saturating_add(self.reserve(cx, supply))
    }
}

/// Returns the time from an order to the arrival of its batches, if there is stock: the mean over the suppliers
/// by their shares, of times that are a maximum or a 95th percentile.
fn lead_time(me: NodeId, suppliers: &[Supply], routes: &Routes) -> Span {
    let from = |supplier: NodeId| routes.upper_transit(supplier, me) + routes.upper_round_trip(me, supplier);
    let weighted = |supply: &Supply| {
        u128::from(from(supply.producer).as_nanos()) * u128::from(supply.share.millionths())
    };
    let sum: u128 = suppliers.iter().map(weighted).sum();
    Span::from_nanos(u64::try_from(sum / u128::from(Share::WHOLE.millionths())).unwrap_or(u64::MAX))
}
