//! The φ accrual failure detector: suspicion grows with the improbability of the silence.
//!
//! N. Hayashibara, X. Défago, R. Yared and T. Katayama, "The φ accrual failure detector", SRDS 2004. The intervals
//! between the latest responses are taken as normally distributed. φ is -log10 of the probability that the next interval
//! is longer than the silence so far; a node is suspected once φ exceeds a threshold. That is the same as a silence
//! longer than the mean interval plus a multiple of the standard deviation, which depends on the threshold alone.
//!
//! As in implementations of practical use, the standard deviation has a minimum, because it would be zero on a quiet
//! network, and a pause is tolerated in addition, because losses are not normally distributed.

use dmos_core::strategy::{
    ArrivalHistory, DetectorConfig, DetectorDescriptor, DetectorStrategy, Guarantee, ParamKind, ParamSpec,
    Params, register_detector,
};
use dmos_core::{Span, Time};

use super::window::Window;

register_detector!(DetectorDescriptor {
    name: "phi-accrual",
    summary: "suspects a node once its silence is improbable, by the intervals between its latest responses",
    source: "Hayashibara, Défago, Yared and Katayama 2004, The φ accrual failure detector",
    notes: "adapts to delays and losses; after a change of the network it needs a window of responses to adapt",
    guarantees: |_| &[Guarantee::Accuracy],
    params: &[
        ParamSpec {
            name: "threshold",
            summary: "suspicion level φ: one wrong suspicion in 10^threshold responses, if the model holds",
            kind: ParamKind::Integer { min: 1, max: DEVIATIONS.len() as u64, default: 8 },
        },
        ParamSpec {
            name: "window",
            summary: "number of intervals from which mean and deviation are estimated",
            kind: ParamKind::Integer { min: 1, max: 10_000, default: 100 },
        },
        ParamSpec {
            name: "deviation",
            summary: "minimum of the standard deviation, in percent of the heartbeat interval",
            kind: ParamKind::Integer { min: 1, max: 1_000, default: 20 },
        },
        ParamSpec {
            name: "pause",
            summary: "silence that is tolerated in addition, in percent of the heartbeat interval",
            kind: ParamKind::Integer { min: 0, max: 10_000, default: 100 },
        },
    ],
    build: |params: &Params| Box::new(PhiAccrual {
        threshold: params.integer("threshold") as usize,
        window: params.integer("window") as usize,
        deviation: params.integer("deviation"),
        pause: params.integer("pause"),
    }),
});

/// By threshold from 1, the standard deviations above the mean that a normal variable exceeds with a probability of
/// 10^-threshold, in thousandths.
const DEVIATIONS: [u64; 12] =
    [1_282, 2_326, 3_090, 3_719, 4_265, 4_753, 5_199, 5_612, 5_998, 6_361, 6_706, 7_034];

struct PhiAccrual {
    threshold: usize,
    window: usize,
    deviation: u64,
    pause: u64,
}

impl DetectorStrategy for PhiAccrual {
    fn history(&self, config: &DetectorConfig) -> Box<dyn ArrivalHistory> {
        Box::new(History {
            config: *config,
            thousandths: DEVIATIONS[self.threshold - 1],
            deviation_min: super::percent(config.heartbeat, self.deviation).as_nanos(),
            pause: super::percent(config.heartbeat, self.pause),
            intervals: Window::new(self.window),
            last: None,
        })
    }
}

struct History {
    config: DetectorConfig,
    /// Thousandths of the standard deviation that are tolerated above the mean.
    thousandths: u64,
    /// In nanoseconds.
    deviation_min: u64,
    pause: Span,
    intervals: Window,
    last: Option<Time>,
}

impl ArrivalHistory for History {
    fn on_response(&mut self, now: Time) -> Span {
        let interval = self.last.replace(now).map(|last| now.since(last));
        // A longer silence was an outage, which says nothing of the delays.
        if let Some(interval) = interval.filter(|&interval| interval <= self.config.silence_max()) {
            self.intervals.push(i64::try_from(interval.as_nanos()).unwrap_or(i64::MAX));
        }
        let Some(mean) = self.intervals.mean().and_then(|mean| u64::try_from(mean).ok()) else {
            return self.config.suspect_after;
        };
        let deviation = self.intervals.deviation().max(self.deviation_min);
        let above_mean = u128::from(deviation) * u128::from(self.thousandths) / 1_000;
        Span::from_nanos(mean) + Span::from_nanos(u64::try_from(above_mean).unwrap_or(u64::MAX)) + self.pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: DetectorConfig =
        DetectorConfig { heartbeat: Span::from_secs(10), suspect_after: Span::from_secs(50) };

    fn at(seconds: u64) -> Time {
        Time::ZERO + Span::from_secs(seconds)
    }

    #[test]
    fn a_higher_threshold_tolerates_a_longer_silence() {
        // Intervals of 8 and 12 s: mean 10 s, standard deviation 2 s.
        let tolerated = |threshold| {
            let detector = PhiAccrual { threshold, window: 4, deviation: 1, pause: 0 };
            let mut history = detector.history(&CONFIG);
            assert_eq!(history.on_response(at(0)), Span::from_secs(50));
            [8, 20, 28, 40].map(|second| history.on_response(at(second)))[3]
        };
        assert_eq!(tolerated(1), Span::from_millis(12_564));
        assert_eq!(tolerated(3), Span::from_millis(16_180));
        assert_eq!(tolerated(8), Span::from_millis(21_224));
    }

    #[test]
    fn outages_are_no_intervals_and_regular_responses_keep_a_minimum_of_deviation() {
        let detector = PhiAccrual { threshold: 1, window: 3, deviation: 50, pause: 100 };
        let mut history = detector.history(&CONFIG);
        let tolerated = [0, 10, 20, 30, 131, 141].map(|second| history.on_response(at(second)));
        assert_eq!(tolerated[5], Span::from_millis(10_000 + 5_000 * 1_282 / 1_000 + 10_000));
        assert_eq!(tolerated[4], tolerated[5]);
    }
}
