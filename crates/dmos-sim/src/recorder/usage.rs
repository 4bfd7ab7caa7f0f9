//! Integration of the activity and the material of each node over time.

use dmos_core::record::{Level, NodeUsage};
use dmos_core::{Span, Time};
use dmos_node::{Activity, Occupancy};

/// A quantity integrated over time.
#[derive(Clone, Copy, Default)]
struct Integral {
    /// Sum of quantity times nanoseconds.
    sum: u128,
    peak: u64,
}

impl Integral {
    fn add(&mut self, quantity: u64, span: Span) {
        self.sum += u128::from(quantity) * u128::from(span.as_nanos());
        self.peak = self.peak.max(quantity);
    }

    fn level(self, duration: Span) -> Level {
        Level { mean: self.sum as f64 / duration.as_nanos().max(1) as f64, peak: self.peak }
    }
}

/// The use of time and material of one node so far.
#[derive(Clone, Default)]
pub(crate) struct UsageIntegrator {
    /// Start of the current occupancy.
    since: Time,
    /// The current occupancy, or `None` while the node is down.
    current: Option<Occupancy>,
    /// Start and end of the last period of work, which lasts on while the node works.
    period: (Time, Time),
    usage: NodeUsage,
    output: Integral,
    incoming: Integral,
    input: Integral,
    in_process: Integral,
}

impl UsageIntegrator {
    /// Changes the occupancy: `None` while the node is down or frozen, when its material does not count.
    #[inline]
    pub(crate) fn set(&mut self, now: Time, occupancy: Option<Occupancy>) {
        if occupancy != self.current {
            self.advance(now);
            self.current = occupancy;
        }
    }

    fn advance(&mut self, now: Time) {
        let from = std::mem::replace(&mut self.since, now);
        let span = now.since(from);
        let usage = &mut self.usage;
        let Some(occupancy) = self.current else {
            usage.down += span;
            return;
        };
        match occupancy.activity {
            Activity::Idle => usage.idle += span,
            Activity::Starved(item) => *usage.starved.entry(item).or_default() += span,
            Activity::Blocked => usage.blocked += span,
            Activity::Working => {
                usage.working += span;
                self.extend_period(from, now);
            }
        }
        self.output.add(occupancy.output, span);
        self.incoming.add(occupancy.incoming, span);
        self.input.add(occupancy.input, span);
        self.in_process.add(occupancy.in_process, span);
    }

    /// Counts time at work, which extends the last period if that ended when this time began.
    fn extend_period(&mut self, from: Time, now: Time) {
        let usage = &mut self.usage;
        if from == now {
            return;
        }
        if usage.working_periods == 0 || self.period.1 != from {
            usage.working_periods += 1;
            self.period.0 = from;
        }
        self.period.1 = now;
        usage.longest_working = usage.longest_working.max(now.since(self.period.0));
    }

    /// Starts anew: what was before does not count.
    pub(crate) fn restart(&mut self, now: Time) {
        *self = Self { since: now, current: self.current, ..Self::default() };
    }

    /// Returns the use from `from` to now.
    pub(crate) fn finish(mut self, from: Time, now: Time) -> NodeUsage {
        self.advance(now);
        let duration = now.since(from);
        NodeUsage {
            output: self.output.level(duration),
            incoming: self.incoming.level(duration),
            input: self.input.level(duration),
            in_process: self.in_process.level(duration),
            ..self.usage
        }
    }
}
