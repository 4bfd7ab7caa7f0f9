//! Chen's failure detector with expected arrival times (NFD-E).
//!
//! W. Chen, S. Toueg and M. K. Aguilera, "On the quality of service of failure detectors", IEEE Transactions on
//! Computers 51(5), 2002. The next response is expected one heartbeat interval after the latest, corrected by the mean
//! delay of the latest responses; a node is suspected if it has not arrived a margin later.
//!
//! The algorithm of the paper numbers its heartbeats. Here a node asks and another answers, so the round of a response
//! follows from the time since the last one.

use dmos_core::strategy::{
    ArrivalHistory, DetectorConfig, DetectorDescriptor, DetectorStrategy, Guarantee, ParamKind, ParamSpec,
    Params, register_detector,
};
use dmos_core::{Span, Time};

use super::window::Window;

register_detector!(DetectorDescriptor {
    name: "chen",
    summary: "suspects a node a margin after the expected arrival of its next response",
    source: "Chen, Toueg and Aguilera 2002, On the quality of service of failure detectors (NFD-E)",
    notes: "adapts to delays, not to losses: the margin has to cover the responses that may be lost in a row",
    // A response is judged one round after it was due.
    guarantees: |_| &[Guarantee::Accuracy],
    params: &[
        ParamSpec {
            name: "margin",
            summary: "safety margin in percent of the heartbeat interval",
            kind: ParamKind::Integer { min: 1, max: 10_000, default: 200 },
        },
        ParamSpec {
            name: "window",
            summary: "number of responses from which the arrival is estimated",
            kind: ParamKind::Integer { min: 1, max: 10_000, default: 100 },
        },
    ],
    build: |params: &Params| Box::new(Chen {
        margin: params.integer("margin"),
        window: params.integer("window") as usize,
    }),
});

struct Chen {
    margin: u64,
    window: usize,
}

impl DetectorStrategy for Chen {
    fn history(&self, config: &DetectorConfig) -> Box<dyn ArrivalHistory> {
        Box::new(History {
            heartbeat: config.heartbeat,
            margin: super::percent(config.heartbeat, self.margin),
            delays: Window::new(self.window),
            last: None,
        })
    }
}

struct History {
    heartbeat: Span,
    margin: Span,
    /// Delays of the latest responses, relative to the first one's.
    delays: Window,
    /// The latest response.
    last: Option<Arrival>,
}

#[derive(Clone, Copy)]
struct Arrival {
    at: Time,
    /// The time at which it would have arrived with the delay of the first response.
    due: Time,
}

impl ArrivalHistory for History {
    fn on_response(&mut self, now: Time) -> Span {
        let rounds = self.last.map_or(1, |last| self.rounds(now.since(last.at)));
        let due = self.last.map_or(now, |last| last.due + self.heartbeat * rounds);
        self.last = Some(Arrival { at: now, due });
        let delay = nanos(now.since(due)) - nanos(due.since(now));
        // A second response within a round answers another request.
        if rounds > 0 {
            self.delays.push(delay);
        }
        let expected_in = nanos(self.heartbeat + self.margin) + self.delays.mean().unwrap_or(0) - delay;
        Span::from_nanos(u64::try_from(expected_in).unwrap_or(0))
    }
}

impl History {
    /// Returns the number of rounds in an interval between two responses, rounded.
    fn rounds(&self, interval: Span) -> u64 {
        let round = self.heartbeat.as_nanos().max(1);
        interval.as_nanos().saturating_add(round / 2) / round
    }
}

/// Returns a duration in nanoseconds, at most a quarter of the largest number, so that sums of a few fit.
fn nanos(span: Span) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX).min(i64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(margin: u64, window: usize) -> Box<dyn ArrivalHistory> {
        let config = DetectorConfig { heartbeat: Span::from_secs(10), suspect_after: Span::from_secs(50) };
        Chen { margin, window }.history(&config)
    }

    fn tolerated(history: &mut dyn ArrivalHistory, millis: u64) -> Span {
        history.on_response(Time::ZERO + Span::from_millis(millis))
    }

    #[test]
    fn punctual_responses_are_expected_every_interval() {
        let mut history = history(50, 3);
        for round in 0..5 {
            assert_eq!(tolerated(&mut *history, 10_000 * round), Span::from_secs(15));
        }
    }

    #[test]
    fn the_expected_arrival_follows_the_mean_delay() {
        let mut history = history(100, 2);
        assert_eq!(tolerated(&mut *history, 1_000), Span::from_secs(20));
        // Two seconds late: the mean delay is one second, so the next is expected in nine.
        assert_eq!(tolerated(&mut *history, 13_000), Span::from_secs(19));
        assert_eq!(tolerated(&mut *history, 23_000), Span::from_secs(20));
        // A lost response does not count as a delay.
        assert_eq!(tolerated(&mut *history, 43_000), Span::from_secs(20));
        // The answer to an additional request is no sample; the next regular one is due two seconds earlier.
        assert_eq!(tolerated(&mut *history, 45_000), Span::from_secs(18));
    }
}
