//! A failure detector: tolerates twice the longest interval between two responses of a node.

use dmos_core::strategy::*;
use dmos_core::{Span, Time};

register_detector!(DetectorDescriptor {
    name: "longest-interval",
    summary: "suspects a node after twice the longest interval between two of its responses",
    source: "an example",
    notes: "adapts to losses, and never forgets one",
    guarantees: |_| &[Guarantee::Accuracy],
    params: &[],
    build: |_| Box::new(Strategy),
});

struct Strategy;

impl DetectorStrategy for Strategy {
    fn history(&self, config: &DetectorConfig) -> Box<dyn ArrivalHistory> {
        Box::new(History { last: None, longest: config.heartbeat })
    }
}

struct History {
    last: Option<Time>,
    longest: Span,
}

impl ArrivalHistory for History {
    fn on_response(&mut self, now: Time) -> Span {
        let interval = self.last.replace(now).map_or(Span::ZERO, |last| now.since(last));
        self.longest = self.longest.max(interval);
        self.longest * 2
    }
}
