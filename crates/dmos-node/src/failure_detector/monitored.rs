//! One monitored node: why it is monitored, and what is known of its silence.

use dmos_core::strategy::{ArrivalHistory, DetectorConfig, DetectorStrategy};
use dmos_core::{NodeId, Span, Time};

/// Number of heartbeat rounds in which a peer is asked by relays as well, before nothing heard from it on any way counts.
const RELAYED_ROUNDS: u64 = 4;

pub(super) struct MonitoredNode {
    pub(super) node: NodeId,
    /// True if the link must work: it is a neighbour in the flow.
    pub(super) is_neighbour: bool,
    /// True if messages must arrive on any way.
    pub(super) is_peer: bool,
    /// True if it has ever responded directly since it is monitored.
    pub(super) has_responded: bool,
    /// Time of the last response that arrived directly, or since when it is monitored.
    pub(super) heard_directly: Time,
    /// Time of the last response.
    pub(super) heard: Time,
    /// Time since which its silence counts, because a new flow assigns it again.
    pub(super) trusted: Time,
    /// True if it did not respond directly for too long.
    pub(super) is_silent: bool,
    /// True if it did not respond on any way for too long.
    pub(super) is_suspected: bool,
    /// Number of rounds of relayed requests without a response by relays.
    pub(super) relayed_rounds: u32,
    /// Number of reports of its silence to the leader.
    pub(super) reports: u32,
    /// Time at which the leader found the node alive although it is silent here.
    pub(super) found_alive: Option<Time>,
    /// Silence that is tolerated.
    tolerated: Span,
    /// Its direct responses, once there is one.
    history: Option<Box<dyn ArrivalHistory>>,
}

impl MonitoredNode {
    /// Returns a neighbour that has not responded yet.
    pub(super) fn neighbour(node: NodeId, now: Time, suspect_after: Span) -> Self {
        Self { is_neighbour: true, ..Self::new(node, now, suspect_after) }
    }

    /// Returns a peer that has not responded yet.
    pub(super) fn peer(node: NodeId, now: Time, suspect_after: Span) -> Self {
        Self { is_peer: true, ..Self::new(node, now, suspect_after) }
    }

    fn new(node: NodeId, now: Time, suspect_after: Span) -> Self {
        Self {
            node,
            is_neighbour: false,
            is_peer: false,
            has_responded: false,
            heard_directly: now,
            heard: now,
            trusted: now,
            is_silent: false,
            is_suspected: false,
            relayed_rounds: 0,
            reports: 0,
            found_alive: None,
            tolerated: suspect_after,
            history: None,
        }
    }

    /// Records a response that arrived directly.
    pub(super) fn on_direct_response(
        &mut self,
        now: Time,
        strategy: &dyn DetectorStrategy,
        config: &DetectorConfig,
    ) {
        let history = self.history.get_or_insert_with(|| strategy.history(config));
        self.tolerated = history.on_response(now).min(config.silence_max());
        (self.has_responded, self.heard_directly) = (true, now);
        (self.reports, self.found_alive, self.relayed_rounds) = (0, None, 0);
    }

    /// Returns whether the last direct response was too long ago.
    pub(super) fn is_late_directly(&self, now: Time) -> bool {
        now.since(self.heard_directly.max(self.trusted)) > self.tolerated
    }

    /// Returns whether the last response on any way was too long ago: not before relays had some rounds to find one.
    pub(super) fn is_late_on_any_way(&self, now: Time, config: &DetectorConfig) -> bool {
        let least = config.suspect_after.min(config.heartbeat * RELAYED_ROUNDS);
        now.since(self.heard) > self.tolerated.max(least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tolerates one more second of silence with each response.
    struct Growing;

    impl DetectorStrategy for Growing {
        fn history(&self, config: &DetectorConfig) -> Box<dyn ArrivalHistory> {
            Box::new(Grown(config.heartbeat))
        }
    }

    struct Grown(Span);

    impl ArrivalHistory for Grown {
        fn on_response(&mut self, _: Time) -> Span {
            self.0 += Span::from_secs(1);
            self.0
        }
    }

    const CONFIG: DetectorConfig =
        DetectorConfig { heartbeat: Span::from_secs(1), suspect_after: Span::from_secs(5) };

    fn at(seconds: u64) -> Time {
        Time::ZERO + Span::from_secs(seconds)
    }

    fn peer() -> MonitoredNode {
        MonitoredNode::peer(NodeId::new(1), at(0), CONFIG.suspect_after)
    }

    #[test]
    fn the_strategy_decides_from_the_first_response_on_up_to_a_limit() {
        let mut peer = peer();
        assert_eq!([5, 6].map(|now| peer.is_late_directly(at(now))), [false, true]);
        peer.on_direct_response(at(10), &Growing, &CONFIG);
        assert_eq!([12, 13].map(|now| peer.is_late_directly(at(now))), [false, true]);
        (0..20).for_each(|_| peer.on_direct_response(at(20), &Growing, &CONFIG));
        assert_eq!([30, 31].map(|now| peer.is_late_directly(at(now))), [false, true]);
    }

    #[test]
    fn relays_have_four_rounds_to_find_a_response() {
        let mut peer = peer();
        peer.on_direct_response(at(10), &Growing, &CONFIG);
        peer.heard = at(10);
        assert_eq!([14, 15].map(|now| peer.is_late_on_any_way(at(now), &CONFIG)), [false, true]);
        // Not longer than the silence that is tolerated without history.
        let short = DetectorConfig { suspect_after: Span::from_secs(3), ..CONFIG };
        assert_eq!([13, 14].map(|now| peer.is_late_on_any_way(at(now), &short)), [false, true]);
    }

    #[test]
    fn silence_counts_from_a_new_assignment_on() {
        let mut peer = peer();
        peer.trusted = at(4);
        assert_eq!([9, 10].map(|now| peer.is_late_directly(at(now))), [false, true]);
    }
}
