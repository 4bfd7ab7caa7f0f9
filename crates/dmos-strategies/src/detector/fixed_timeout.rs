//! Fixed timeout: the same silence is tolerated of every node.

use dmos_core::strategy::{
    ArrivalHistory, DetectorConfig, DetectorDescriptor, DetectorStrategy, Guarantee, ParamKind, ParamSpec,
    Params, register_detector,
};
use dmos_core::{Span, Time};

register_detector!(DetectorDescriptor {
    name: "fixed-timeout",
    summary: "suspects a node after a fixed silence",
    source: "Chandra and Toueg 1996, Unreliable failure detectors for reliable distributed systems",
    notes: "predictable; has to be set for the slowest link and the worst loss",
    // A fifth of the default of `suspect_after` is one heartbeat interval.
    guarantees: |params| if params.integer("percent") >= 20 { &[Guarantee::Accuracy] } else { &[] },
    params: &[ParamSpec {
        name: "percent",
        summary: "tolerated silence in percent of `protocol.suspect_after`",
        kind: ParamKind::Integer { min: 1, max: 200, default: 100 },
    }],
    build: |params: &Params| Box::new(FixedTimeout { percent: params.integer("percent") }),
});

struct FixedTimeout {
    percent: u64,
}

impl DetectorStrategy for FixedTimeout {
    fn history(&self, config: &DetectorConfig) -> Box<dyn ArrivalHistory> {
        Box::new(History { timeout: self.silence_max(config) })
    }

    fn silence_max(&self, config: &DetectorConfig) -> Span {
        super::percent(config.suspect_after, self.percent)
    }
}

struct History {
    timeout: Span,
}

impl ArrivalHistory for History {
    fn on_response(&mut self, _now: Time) -> Span {
        self.timeout
    }
}
