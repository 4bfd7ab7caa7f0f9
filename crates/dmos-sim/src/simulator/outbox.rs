//! Fast path: dispatches messages and timers while the node is still handling its input.

use dmos_core::{NodeId, Span, Time};
use dmos_node::{Effect, Effects, Message, Timer};

use crate::event::{Completion, Event};
use crate::event_queue::EventQueue;
use crate::nodes::Clock;
use crate::transport::Transport;

/// Receives the effects of one input. Messages and timers are dispatched at once, as long as they are not
/// preceded by an effect that must be durable first or that may change their outcome.
pub(super) struct Outbox<'a> {
    pub(super) now: Time,
    pub(super) transport: &'a mut Transport,
    pub(super) queue: &'a mut EventQueue<Event>,
    pub(super) node: NodeId,
    pub(super) epoch: u32,
    pub(super) clock: Clock,
    /// True if effects can be dispatched at once.
    pub(super) is_open: bool,
    /// Effects left for regular execution.
    pub(super) left: Vec<Effect>,
    /// True if the occupancy of the node has changed.
    pub(super) occupancy_has_changed: bool,
    /// Empty buffers.
    pub(super) buffers: &'a mut Vec<Vec<Effect>>,
}

impl Outbox<'_> {
    fn dispatches_early(&self) -> bool {
        self.is_open && self.left.is_empty()
    }
}

impl Effects for Outbox<'_> {
    fn push(&mut self, effect: Effect) {
        if self.left.capacity() == 0 {
            self.left = self.buffers.pop().unwrap_or_default();
        }
        self.left.push(effect);
    }

    fn send(&mut self, to: NodeId, message: Message) {
        if !self.dispatches_early() {
            return self.push(Effect::Send { to, message });
        }
        let message = self.transport.messages.put(message);
        self.transport.send(self.now, self.queue, self.node, to, message);
    }

    fn set_timer(&mut self, after: Span, timer: Timer) {
        if !self.dispatches_early() {
            return self.push(Effect::SetTimer { after, timer });
        }
        let Self { node, epoch, .. } = *self;
        let at = self.now + self.clock.true_duration(after);
        self.queue.push(at, Event::Completion { node, epoch, completion: Completion::Timer(timer) });
    }

    fn occupancy_changed(&mut self) {
        self.occupancy_has_changed = true;
    }
}

#[cfg(test)]
mod tests {
    use dmos_core::{RunRecord, Scenario};

    use crate::simulator::Simulator;
    use crate::trace::Trace;

    /// Returns a scenario of six nodes with the given faults.
    fn scenario(seed: u64, faults: &str) -> Scenario {
        let nodes = "{makes: start}, {makes: a, needs: [start], count: 2}, {makes: b, needs: [a], count: 2}, {makes: fin, needs: [b]}";
        let text =
            format!("network: {{nodes: [{nodes}]}}\nduration: 10min\nseed: {seed}\nfaults: {{{faults}}}\n");
        dmos_testkit::scenario(&text)
    }

    fn run(scenario: &Scenario, dispatches_early: bool) -> (RunRecord, Trace) {
        let mut simulator = Simulator::new(scenario);
        simulator.cpu.sending_is_instant = dispatches_early;
        Trace::record(&scenario.network, simulator)
    }

    #[test]
    fn early_dispatch_is_equivalent_to_execution() {
        let random_failures = |how| {
            format!(
                "random_failures: [{{nodes: all, mode: {how}, time_to_failure: {{exponential: 60s}}, time_to_repair: 10s}}]"
            )
        };
        let faults = [
            String::new(),
            random_failures("crash"),
            random_failures("crash_midway"),
            random_failures("freeze"),
            format!("{}, disks: {{lose_unsynced: true, torn: true, append_failure: 0.01}}", random_failures("crash")),
            "messages: {loss: 0.1, duplication: 0.05, reordering: 0.2}".to_owned(),
            "clocks: {drift: 0.1}".to_owned(),
            "script: [{at: 60s, partition: [[b-1], [fin]]}, {when: delivered, nth: 3, crash: {role: leader}, for: 60s}]".to_owned(),
        ];
        for (faults, seed) in faults.iter().flat_map(|faults| (0..3).map(move |seed| (faults, seed))) {
            let scenario = scenario(seed, faults);
            let ((record, events), (listed, others)) = (run(&scenario, true), run(&scenario, false));
            assert!(record.events > 1_000, "{faults}");
            assert_eq!(events.first_difference(&others), None, "{faults}");
            assert!(record == listed, "{faults}");
        }
    }
}
