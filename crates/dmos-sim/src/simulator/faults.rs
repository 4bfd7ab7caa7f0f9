//! Faults of nodes: crashes, freezes, slow-downs and recoveries.

use std::collections::VecDeque;

use dmos_audit::Observation;
use dmos_audit::observation::{Crashed, FoundLog};
use dmos_core::faults::{FailureMode, RandomFailures};
use dmos_core::record::Outage;
use dmos_core::settings::{Dissemination, Mailbox};
use dmos_core::{FaultKind, NodeId, Scenario, Span};
use dmos_node::{Command, Input};

use super::script::Script;
use super::sim_node::{Down, Frozen, PendingFailure, State, nodes};
use super::{Event, FaultEnd, Simulator};
use crate::fault_counts::FaultCounts;
use crate::op_generator::{Actions, OpGenerator};
use crate::rng::{Purpose, Sampler, phase, stream};
use crate::workers::{WorkItem, WorkerId};

/// Sources of faults, and their counts.
pub(super) struct FaultInjector {
    pub(super) script: Script,
    pub(super) op_generator: Option<OpGenerator>,
    /// Samplers of the downtime and of the time to the next failure, for each entry.
    pub(super) random_failures: Vec<(Sampler, Sampler)>,
    /// True once all faults have ended.
    pub(super) is_healed: bool,
    pub(super) counts: FaultCounts,
}

impl FaultInjector {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let (faults, seed) = (&scenario.faults, scenario.seed);
        let samplers = |(index, entry): (usize, &RandomFailures)| {
            let sampler = |of, purpose| {
                Sampler::with_substream(of, seed, purpose, scenario.network.nodes(), index as u32)
            };
            (
                sampler(&entry.time_to_repair, Purpose::Repair),
                sampler(&entry.time_to_failure, Purpose::RandomFailures),
            )
        };
        Self {
            script: Script::new(scenario),
            op_generator: faults.op_generator.as_ref().map(|settings| OpGenerator::new(settings, seed)),
            random_failures: faults.random_failures.iter().enumerate().map(samplers).collect(),
            is_healed: false,
            counts: FaultCounts::default(),
        }
    }
}

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
            FoundLog { torn: sim_node.disk.remove_torn_record(), compacted: sim_node.disk.is_compacted() };
        let incarnation = sim_node.incarnation;
        let phase = phase(seed, node, incarnation, period);
        let scrapped = if recovering { sim_node.scrapped } else { Default::default() };
        let input = Input::Start { records: sim_node.disk.records(), recovering, phase, scrapped };
        sim_node.node.handle(sim_node.clock.local_time(now), input, &mut effects);
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

    /// Delivers pending commands to a node that is running. A node that is not, or that goes down before a
    /// command is durable, receives them later.
    pub(super) fn deliver_commands(&mut self, node: NodeId) {
        while self.node(node).is_running()
            && let Some((command, _)) = self.node(node).commands.front()
        {
            let (command, waiting) = (command.clone(), self.node(node).commands.len());
            self.handle(node, Input::Command(&command));
            if self.node(node).commands.len() == waiting {
                break;
            }
        }
    }

    /// Handles the logging of a command by its node.
    pub(super) fn on_command_logged(&mut self, node: NodeId) {
        let (_, fault) =
            self.node_mut(node).commands.pop_front().expect("an command is followed that was given");
        self.faults.counts.mark_effective(fault);
    }

    /// Sends a command to a node.
    pub(super) fn command(&mut self, node: NodeId, kind: FaultKind, command: Command) {
        let fault = self.faults.counts.record(self.now, kind, Some(node));
        self.node_mut(node).commands.push_back((command, fault));
        self.deliver_commands(node);
    }

    /// Injects a failure into a node, if its state allows.
    pub(super) fn fail(&mut self, node: NodeId, mode: FailureMode, downtime: Down) {
        let (now, kind) = (self.now, kind(mode));
        let fault = self.faults.counts.record(now, kind, Some(node));
        let sim_node = self.node_mut(node);
        let armed = PendingFailure { fault, downtime };
        match (mode, downtime) {
            (FailureMode::Crash, _) if sim_node.is_up() => {
                self.faults.counts.mark_effective(fault);
                self.go_down(node, downtime);
            }
            (FailureMode::CrashMidway, _) if sim_node.is_up() => {
                sim_node.crash_midway = Some(Box::new(armed))
            }
            (FailureMode::Freeze, Down::For(span)) if sim_node.is_running() => {
                sim_node.frozen = Some(Box::new(Frozen { since: now, fault, held: Vec::new() }));
                self.queue.push(now + span, Event::FaultEnd(FaultEnd::Frozen { node, fault }));
                self.begin_outage(node);
            }
            _ => {}
        }
    }

    /// Crashes a node between two effects.
    pub(super) fn crash_midway(&mut self, node: NodeId) {
        if let Some(armed) = self.node_mut(node).crash_midway.take() {
            self.faults.counts.mark_effective(armed.fault);
            self.go_down(node, armed.downtime);
        }
    }

    /// Takes a node down, which loses all state but its log.
    pub(super) fn go_down(&mut self, node: NodeId, downtime: Down) {
        let keeps_mail = self.scenario.protocol.mailbox == Mailbox::SurvivesCrash;
        let now = self.now;
        self.observe_crash(node);
        self.begin_outage(node);
        let sim_node = &mut self.nodes[node.index()];
        sim_node.state = State::Down { for_good: downtime == Down::ForGood };
        sim_node.end_incarnation();
        let running = sim_node.running_pieces();
        let frozen = sim_node.frozen.take();
        (sim_node.slow, sim_node.crash_midway, sim_node.append_failure) = (None, None, None);
        let messages = sim_node.workers.get_mut(WorkerId::Messages);
        sim_node.loses_next_message = keeps_mail && messages.blocked_on.is_none() && messages.job.is_none();
        let mut kept = VecDeque::new();
        if keeps_mail {
            let is_message = |work_item: &WorkItem| matches!(work_item, WorkItem::Message { .. });
            kept.extend(messages.waiting.iter().copied().filter(is_message));
            messages.waiting.retain(|work_item| !is_message(work_item));
        }
        let lost = std::mem::take(&mut sim_node.workers);
        if !kept.is_empty() {
            sim_node.workers.get_mut(WorkerId::Messages).waiting = kept;
        }
        lost.message_ids().for_each(|message| self.messages.discard(message));
        let held = frozen.iter().flat_map(|frozen| &frozen.held).filter_map(|(_, event)| event.message_id());
        held.for_each(|message| self.messages.discard(message));
        if let Down::For(span) = downtime {
            let incarnation = sim_node.incarnation;
            self.queue.push(now + span, Event::FaultEnd(FaultEnd::Down { node, incarnation }));
        }
        if let Some(shared_cpu) = &mut self.shared_cpu {
            (0..running).for_each(|_| shared_cpu.abort(now));
            self.set_shared_cpu_tick();
        }
    }

    /// Records the start of an outage.
    fn begin_outage(&mut self, node: NodeId) {
        if self.node(node).outage.is_none() {
            let was_assigned = self.active.as_ref().is_some_and(|(flow, _)| flow.is_assigned(node));
            self.node_mut(node).outage = Some(self.recorder.outages.len());
            self.recorder.outages.push(Outage { node, from: self.now, until: None, was_assigned });
        }
    }

    /// Records the end of an outage.
    fn end_outage(&mut self, node: NodeId) {
        if let Some(number) = self.node_mut(node).outage.take() {
            self.recorder.outages[number].until = Some(self.now);
        }
    }

    /// Reports a crash to the invariant checker, and lets it lose unsynced appends.
    fn observe_crash(&mut self, node: NodeId) {
        let sim_node = self.node(node);
        let crashed = Crashed {
            leads: sim_node.node.leads(),
            is_planning: sim_node.node.is_planning(),
            awaits_batches: sim_node.node.in_transit() > 0,
        };
        let mut stream = stream(self.scenario.seed, Purpose::Crash, node, sim_node.incarnation);
        let lost = self.nodes[node.index()].disk.crash(&self.scenario.faults.disks, &mut stream);
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
        let (now, limit) = (self.now, self.scenario.protocol.mailbox_limit);
        let sim_node = self.node_mut(node);
        let frozen = sim_node.frozen.as_mut().expect("events are held for frozen nodes only");
        let is_full = limit.is_some_and(|limit| frozen.held.len() >= limit.get() as usize);
        if let (true, Some(message)) = (is_full, event.message_id()) {
            sim_node.node.count(dmos_core::Metric::MessagesDropped);
            self.messages.discard(message);
            return;
        }
        let fault = frozen.fault;
        frozen.held.push((now, event));
        self.faults.counts.mark_effective(fault);
    }

    /// Thaws a frozen node, which continues as if no time had passed: its pending timers are delayed
    /// accordingly.
    fn thaw(&mut self, node: NodeId) {
        let now = self.now;
        let sim_node = self.node_mut(node);
        let Some(frozen) = sim_node.frozen.take() else {
            return;
        };
        sim_node.end_freeze(now.since(frozen.since));
        let incarnation = sim_node.incarnation;
        self.end_outage(node);
        for (came, event) in frozen.held {
            match event {
                // The timer is due at a time that the node's clock has not reached yet.
                Event::Completion { node, epoch, completion } if completion.follows_node_clock() => {
                    if let Some(time_lost) = self.node(node).time_lost(epoch) {
                        self.schedule(node, (came + time_lost).since(now), completion);
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

    /// Ends a temporary fault.
    pub(super) fn end_fault(&mut self, over: FaultEnd) {
        match over {
            FaultEnd::Down { node, incarnation } => {
                if self.node(node).incarnation == incarnation
                    && matches!(self.node(node).state, State::Down { .. })
                {
                    self.recover(node);
                }
            }
            FaultEnd::Frozen { node, fault } => {
                if self.node(node).frozen.as_ref().is_some_and(|frozen| frozen.fault == fault) {
                    self.thaw(node);
                }
            }
            FaultEnd::Slow { node, fault } => {
                self.node_mut(node).slow.take_if(|slow| slow.fault == fault);
            }
            FaultEnd::Links { fault } => self.links.end_fault(fault),
        }
    }

    /// Injects a random failure, and samples the downtime and the time to the next failure.
    pub(super) fn random_failure(&mut self, entry: usize, node: NodeId) {
        if self.faults.is_healed {
            return;
        }
        let (time_to_repair, time_to_failure) = &mut self.faults.random_failures[entry];
        let down = time_to_repair.draw(node).max(Span::from_millis(1));
        let next = time_to_failure.draw(node).max(Span::from_millis(1));
        self.fail(node, self.scenario.faults.random_failures[entry].mode, Down::For(down));
        self.queue.push(self.now + down + next, Event::RandomFailure { entry, node });
    }

    /// Ends all faults and repairs everything.
    pub(super) fn heal_all(&mut self) {
        self.faults.is_healed = true;
        self.links.heal();
        for node in self.scenario.network.nodes() {
            let sim_node = self.node_mut(node);
            (sim_node.slow, sim_node.crash_midway, sim_node.append_failure) = (None, None, None);
            match sim_node.state {
                State::Down { for_good: false } => self.recover(node),
                State::Up => self.thaw(node),
                State::Down { for_good: true } | State::Absent => {}
            }
        }
    }

    // The prototype's op generator.

    pub(super) fn op_generator_cycle(&mut self) {
        let Some(mut op_generator) = self.faults.op_generator.take().filter(|_| !self.faults.is_healed)
        else {
            return;
        };
        let Actions { recover, crash } = op_generator.run_cycle(|| self.op_generator_targets());
        self.faults.op_generator = Some(op_generator);
        if let Some(node) = recover {
            self.recover(node);
        }
        if let Some(node) = crash {
            self.fail(node, FailureMode::Crash, Down::UntilRepaired);
        }
        if let Some(settings) = &self.scenario.faults.op_generator {
            self.queue.push(self.now + settings.cycle, Event::OpGeneratorCycle);
        }
    }

    /// Returns the nodes that the op generator may crash: assigned nodes that are in the membership.
    fn op_generator_targets(&self) -> Vec<NodeId> {
        let (Some(settings), Some((flow, leader))) = (&self.scenario.faults.op_generator, &self.active)
        else {
            return Vec::new();
        };
        let last = self.scenario.network.node_count() - 1;
        let spared = |node: NodeId| {
            (!settings.leader_can_fail && node == *leader)
                || (!settings.ends_can_fail && (node.index() == 0 || node.index() == last))
        };
        // With a blackboard, as in the prototype, a failed node that is not removed yet may be chosen,
        // without effect.
        let on_board = self.scenario.protocol.dissemination == Dissemination::Blackboard;
        let nodes =
            nodes(&self.nodes).filter(|(_, sim_node)| on_board || sim_node.is_up()).map(|(node, _)| node);
        nodes
            .filter(|&node| !self.blackboard.is_removed(node) && !spared(node) && flow.is_assigned(node))
            .collect()
    }
}

fn kind(mode: FailureMode) -> FaultKind {
    match mode {
        FailureMode::Crash => FaultKind::Crash,
        FailureMode::CrashMidway => FaultKind::CrashMidway,
        FailureMode::Freeze => FaultKind::Freeze,
    }
}
