//! A node's clock, which may run at a wrong rate, and stops while the node is frozen.

use dmos_core::{Span, Time};

/// Resolution of rates: parts per unit.
const PARTS: u64 = 1_000_000_000;

/// The clock of one node.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    /// Clock seconds per true second, in parts.
    rate: u64,
    /// Total time for which the clock was stopped.
    stopped: Span,
}

impl Clock {
    /// Returns a clock with this relative rate error, from -0.5 to 0.5: with 0.01 it runs 1 % fast.
    pub(crate) fn new(error: f64) -> Self {
        let parts = (error.clamp(-0.5, 0.5) * PARTS as f64) as i64;
        Self { rate: (PARTS as i64 + parts) as u64, stopped: Span::ZERO }
    }

    /// Returns whether the clock runs at the true rate.
    pub(crate) fn is_accurate(&self) -> bool {
        self.rate == PARTS
    }

    /// Returns the clock's time.
    pub(crate) fn local_time(&self, now: Time) -> Time {
        let ran = now.since(Time::ZERO + self.stopped);
        let shown = if self.is_accurate() { ran } else { scale(ran, self.rate, PARTS) };
        Time::ZERO + shown
    }

    /// Returns the true time until the clock has counted `span`.
    pub(crate) fn true_duration(&self, span: Span) -> Span {
        if self.is_accurate() { span } else { scale(span, PARTS, self.rate) }
    }

    /// Adds a period for which the clock was stopped.
    pub(crate) fn add_stopped_time(&mut self, span: Span) {
        self.stopped += span;
    }

    /// Returns the total time for which the clock was stopped.
    pub(crate) fn stopped(&self) -> Span {
        self.stopped
    }
}

fn scale(span: Span, times: u64, parts: u64) -> Span {
    let nanos = (u128::from(span.as_nanos()) * u128::from(times)).div_ceil(parts.into());
    Span::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::ZERO + Span::from_secs(seconds)
    }

    #[test]
    fn a_fast_clock_shows_more_and_waits_less() {
        let clock = Clock::new(0.25);
        assert_eq!(clock.local_time(at(100)), at(125));
        assert_eq!(clock.true_duration(Span::from_secs(5)), Span::from_secs(4));
        assert_eq!(Clock::new(0.0).true_duration(Span::from_secs(5)), Span::from_secs(5));
    }

    #[test]
    fn timers_expire_no_earlier_than_requested() {
        for error in [-0.3, -0.01, 0.0, 0.003, 0.4] {
            let clock = Clock::new(error);
            for (now, span) in [(3, 1_000_000_007), (77, 15_000_000_000), (5_000_000, 999)] {
                let (now, span) = (at(now), Span::from_nanos(span));
                assert!(
                    clock.local_time(now + clock.true_duration(span)).since(clock.local_time(now))
                        + Span::from_nanos(1)
                        >= span
                );
            }
        }
    }

    #[test]
    fn stopped_time_does_not_count() {
        let mut clock = Clock::new(0.0);
        clock.add_stopped_time(Span::from_secs(30));
        assert_eq!(clock.local_time(at(100)), at(70));
    }
}
