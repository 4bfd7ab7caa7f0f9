//! The lifecycle of a node: start, crash, freeze and recovery.

use dmos_audit::Observation;
use dmos_audit::observation::{LogAtStart, StateAtCrash};
use dmos_core::settings::Mailbox;
use dmos_core::{FaultKind, NodeId, Span};
use dmos_node::Input;

use super::Simulator;
use crate::cpu::WorkerId;
use crate::event::{Event, FaultEnd};
use crate::nodes::{CrashDiscards, Downtime, Frozen, HoldOutcome, State};
use crate::rng::{Purpose, phase, stream};

impl Simulator<'_> {
    /// Starts a node, for the first time or from its log.
    pub(super) fn start(&mut self, node: NodeId) {
        let (seed, period, now) = (self.scenario.seed, self.scenario.protocol.heartbeat, self.now);
        let mut effects = self.buffers.pop().unwrap_or_default();
        let sim_node = self.node_mut(node);
        let recovering = sim_node.state != State::Absent;
        (sim_node.state, sim_node.loses_next_message) = (State::Up, false);
        self.end_outage(node);
        let sim_node = self.node_mut(node);
        let log =
            LogAtStart { torn: sim_node.disk.remove_torn_frame(), compacted: sim_node.disk.is_compacted() };
        let incarnation = sim_node.incarnation;
        let phase = phase(seed, node, incarnation, period);
        let scrapped = if recovering { sim_node.scrapped } else { Default::default() };
        let input = Input::Start { records: sim_node.disk.records(), recovering, phase, scrapped };
        sim_node.node.handle(sim_node.clock.local_time(now), input, &mut effects);
        self.recorder.on_occupancy(now, node, &self.nodes[node]);
        self.observe(node, &Observation::Started { recovering, log });
        self.execute(node, effects);
        for notice in self.blackboard.notices() {
            if self.node(node).incarnation == incarnation {
                self.handle(node, Input::Notice(&notice));
            }
        }
        // The node may have crashed during its start.
        if self.node(node).incarnation == incarnation {
            let holdings = self.node(node).node.holdings();
            self.observe(node, &Observation::Holds(holdings));
            self.drain(node, WorkerId::Messages);
            self.deliver_commands(node);
        }
    }

    /// Takes a node down, which loses all state but its log.
    pub(super) fn go_down(&mut self, node: NodeId, downtime: Downtime) {
        let keeps_mailbox = self.scenario.protocol.mailbox == Mailbox::SurvivesCrash;
        self.observe_crash(node);
        self.begin_outage(node);
        let Self { nodes, transport, queue, cpu, recorder, now, .. } = self;
        let sim_node = &mut nodes[node];
        let CrashDiscards { running_tasks, messages } =
            sim_node.crash(downtime == Downtime::Permanent, keeps_mailbox);
        messages.into_iter().for_each(|message| transport.messages.discard(message));
        recorder.on_occupancy(*now, node, sim_node);
        if let Downtime::For(span) = downtime {
            let incarnation = sim_node.incarnation;
            queue.push(*now + span, Event::FaultEnd(FaultEnd::Down { node, incarnation }));
        }
        cpu.abort(*now, queue, running_tasks);
    }

    /// Freezes a node for `span`.
    pub(super) fn freeze(&mut self, node: NodeId, span: Span, fault: usize) {
        let now = self.now;
        self.node_mut(node).frozen = Some(Box::new(Frozen { since: now, fault, held: Vec::new() }));
        self.queue.push(now + span, Event::FaultEnd(FaultEnd::Frozen { node, fault }));
        self.recorder.on_occupancy(now, node, &self.nodes[node]);
        self.begin_outage(node);
    }

    fn begin_outage(&mut self, node: NodeId) {
        if self.node(node).outage.is_none() {
            self.node_mut(node).outage = Some(self.recorder.begin_outage(self.now, node));
        }
    }

    fn end_outage(&mut self, node: NodeId) {
        if let Some(number) = self.node_mut(node).outage.take() {
            self.recorder.end_outage(self.now, number);
        }
    }

    /// Reports a crash to the invariant checker, and lets it lose unsynced appends.
    fn observe_crash(&mut self, node: NodeId) {
        let sim_node = self.node(node);
        let crashed = StateAtCrash {
            leads: sim_node.node.leads(),
            is_planning: sim_node.node.is_planning(),
            awaits_batches: sim_node.node.in_transit() > 0,
        };
        let mut stream = stream(self.scenario.seed, Purpose::Crash, node, sim_node.incarnation);
        let lost = self.nodes[node].disk.crash(&self.scenario.faults.disks, &mut stream);
        // Records that survived the crash are durable.
        self.sync(node);
        for record in &lost {
            self.lose(node, record);
            self.observe(node, &Observation::LostAppend(record));
        }
        let torn = u64::from(!lost.is_empty() && self.scenario.faults.disks.torn);
        self.faults.counts.count(FaultKind::LostAppend, lost.len() as u64, lost.len() as u64);
        self.faults.counts.count(FaultKind::TornAppend, torn, torn);
        self.observe(node, &Observation::Crashed(crashed));
    }

    /// Recovers a node from its log. A node that is up, or was never started, is left alone.
    pub(super) fn recover(&mut self, node: NodeId) {
        let fault = self.faults.counts.record(self.now, FaultKind::Recover, Some(node));
        if matches!(self.node(node).state, State::Down { .. }) {
            self.faults.counts.mark_effective(fault);
            self.start(node);
        }
    }

    /// Holds an event for a frozen node.
    pub(super) fn hold_event(&mut self, node: NodeId, event: Event) {
        let mailbox_limit = self.scenario.protocol.mailbox_limit.map(|limit| limit.get() as usize);
        match self.nodes[node].hold(self.now, event, mailbox_limit) {
            HoldOutcome::By { fault } => self.faults.counts.mark_effective(fault),
            HoldOutcome::Dropped(message) => self.transport.messages.discard(message),
        }
    }

    /// Thaws a frozen node, which continues as if no time had passed: its pending timers are delayed
    /// accordingly.
    pub(super) fn thaw(&mut self, node: NodeId) {
        let now = self.now;
        let sim_node = self.node_mut(node);
        let Some(frozen) = sim_node.frozen.take() else {
            return;
        };
        sim_node.end_freeze(now.since(frozen.since));
        self.recorder.on_occupancy(now, node, &self.nodes[node]);
        let sim_node = self.node_mut(node);
        let incarnation = sim_node.incarnation;
        self.end_outage(node);
        for (came, event) in frozen.held {
            match event {
                // The timer is due at a time that the node's clock has not reached yet.
                Event::Completion { node, epoch, completion } if completion.follows_node_clock() => {
                    if let Some(time_lost) = self.node(node).time_lost(epoch) {
                        self.schedule_completion(node, (came + time_lost).since(now), completion);
                    }
                }
                event => self.dispatch(event),
            }
        }
        for notice in self.blackboard.notices() {
            if self.node(node).incarnation == incarnation && self.node(node).is_running() {
                self.handle(node, Input::Notice(&notice));
            }
        }
        self.deliver_commands(node);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use dmos_core::faults::FailureMode;

    use super::*;

    const NODE: NodeId = NodeId::new(0);

    /// Returns the next state by state and event, from the table in the documentation of the driver.
    fn documented() -> BTreeMap<(String, String), String> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../dmos-node/src/driver.rs");
        let text = std::fs::read_to_string(path).expect("the file is in the repository");
        let rows = text.lines().skip_while(|line| !line.starts_with("//! | state | event |")).skip(2);
        let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
        let rows = rows.take_while(|line| line.starts_with("//! |")).map(cells);
        rows.map(|cells| ((cells[1].clone(), cells[2].clone()), cells[3].clone())).collect()
    }

    fn state(simulator: &Simulator<'_>) -> &'static str {
        let sim_node = simulator.node(NODE);
        match sim_node.state {
            State::Absent => "absent",
            State::Down { .. } => "down",
            State::Up if sim_node.is_frozen() => "frozen",
            State::Up => "up",
        }
    }

    fn apply(simulator: &mut Simulator<'_>, event: &str) {
        match event {
            "start" => {
                simulator.dispatch(Event::Start(NODE));
                simulator.recover(NODE);
            }
            "crash" => simulator.fail(NODE, FailureMode::Crash, Downtime::For(Span::from_secs(1))),
            "freeze" => simulator.fail(NODE, FailureMode::Freeze, Downtime::For(Span::from_secs(1))),
            "thaw" => simulator.thaw(NODE),
            event => panic!("unknown event {event}"),
        }
    }

    #[test]
    fn states_follow_the_table_of_the_driver() {
        let scenario = dmos_testkit::scenario("network: {named: three-nodes}\nduration: 60s\n");
        let documented = documented();
        assert_eq!(documented.len(), 6, "all rows are read");
        let paths = [("absent", &[][..]), ("up", &["start"]), ("frozen", &["start", "freeze"])];
        for (from, path) in paths.into_iter().chain([("down", &["start", "crash"][..])]) {
            for event in ["start", "crash", "freeze", "thaw"] {
                let mut simulator = Simulator::new(&scenario);
                path.iter().for_each(|event| apply(&mut simulator, event));
                assert_eq!(state(&simulator), from);
                apply(&mut simulator, event);
                let next = documented.get(&(from.to_owned(), event.to_owned()));
                assert_eq!(state(&simulator), next.map_or(from, |next| next), "{from}, {event}");
            }
        }
    }
}
