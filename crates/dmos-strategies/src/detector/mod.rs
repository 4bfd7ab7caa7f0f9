//! Failure detectors: the silence after which a monitored node is suspected.
//!
//! | strategy | tolerated silence |
//! |---|---|
//! | [`fixed_timeout`] | always the same |
//! | [`chen`] | until the expected arrival of the next response, plus a margin |
//! | [`phi_accrual`] | until a longer interval is improbable |
//!
//! The last two adapt to delays and losses: they judge by the latest responses, which `window` holds.

pub mod chen;
pub mod fixed_timeout;
pub mod phi_accrual;
mod window;

use dmos_core::Span;

/// Returns a percentage of a duration.
fn percent(span: Span, percent: u64) -> Span {
    Span::from_nanos(span.as_nanos().saturating_mul(percent) / 100)
}
