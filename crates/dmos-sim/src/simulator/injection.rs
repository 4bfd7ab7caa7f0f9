//! The injection of faults: scripted, random, and of the prototype's op generator.

use dmos_core::faults::{FailureMode, Fault, Target};
use dmos_core::{FaultKind, NodeId, Span};
use dmos_node::{Command, Input};
use rand::RngExt;

use super::Simulator;
use crate::event::{Event, FaultEnd};
use crate::faults::choose_targets;
use crate::nodes::{Downtime, PendingFailure, SimNode, Slow, State};
use crate::prototype::{Actions, targets};

impl Simulator<'_> {
    /// Injects a scripted fault, unless all faults have been healed.
    pub(super) fn inject_scripted_fault(&mut self, number: usize) {
        if self.faults.is_healed {
            return;
        }
        let scripted = &self.scenario.faults.script[number];
        let duration = scripted.duration;
        let down = duration.map_or(Downtime::Permanent, Downtime::For);
        match &scripted.fault {
            Fault::Fail(target, mode) => {
                for node in self.targets(number, target, FaultKind::Crash, SimNode::is_running) {
                    self.fail(node, *mode, down);
                }
            }
            Fault::Recover(target) => {
                let is_down = |sim_node: &SimNode| matches!(sim_node.state, State::Down { .. });
                for node in self.targets(number, target, FaultKind::Recover, is_down) {
                    self.recover(node);
                }
            }
            Fault::Slow(target, by) => {
                for node in self.targets(number, target, FaultKind::Slow, SimNode::is_running) {
                    self.slow_down(node, *by, duration);
                }
            }
            Fault::FailAppend(target) => {
                for node in self.targets(number, target, FaultKind::FailedAppend, SimNode::is_running) {
                    let fault = self.faults.counts.record(self.now, FaultKind::FailedAppend, Some(node));
                    if self.node(node).is_up() {
                        self.node_mut(node).append_failure =
                            Some(Box::new(PendingFailure { fault, downtime: down }));
                    }
                }
            }
            Fault::Links(fault) => {
                let number = self.faults.counts.record(self.now, fault.kind(), None);
                if self.transport.inject(number, fault) {
                    self.faults.counts.mark_effective(number);
                }
                if let Some(span) = duration {
                    self.queue.push(self.now + span, Event::FaultEnd(FaultEnd::Links { fault: number }));
                }
            }
            Fault::Recipe(node, requires) => {
                self.give_command(*node, FaultKind::Recipe, Command::Recipe(requires.clone().into()));
            }
            Fault::Retire(node) => {
                self.give_command(*node, FaultKind::Retire, Command::Retire);
            }
            Fault::Add(node) => {
                let fault = self.faults.counts.record(self.now, FaultKind::Add, Some(*node));
                if self.node(*node).state == State::Absent {
                    self.faults.counts.mark_effective(fault);
                    self.start(*node);
                }
            }
        }
    }

    fn slow_down(&mut self, node: NodeId, by: Span, duration: Option<Span>) {
        let fault = self.faults.counts.record(self.now, FaultKind::Slow, Some(node));
        if !self.node(node).is_up() {
            return;
        }
        self.node_mut(node).slow = Some(Box::new(Slow { by, fault }));
        if let Some(span) = duration {
            self.queue.push(self.now + span, Event::FaultEnd(FaultEnd::Slow { node, fault }));
        }
    }

    /// Returns the targets of a scripted fault. The lack of a target is recorded as an ineffective fault.
    fn targets(
        &mut self,
        number: usize,
        target: &Target,
        kind: FaultKind,
        is_eligible: impl Fn(&SimNode) -> bool,
    ) -> Vec<NodeId> {
        let leader = self.recorder.last_leader();
        let targets = choose_targets(self.scenario, &self.nodes, leader, number, target, is_eligible);
        if targets.is_empty() {
            self.faults.counts.record(self.now, kind, None);
        }
        targets
    }

    /// Injects a failure into a node, if its state allows.
    pub(super) fn fail(&mut self, node: NodeId, mode: FailureMode, downtime: Downtime) {
        let fault = self.faults.counts.record(self.now, kind(mode), Some(node));
        let sim_node = self.node_mut(node);
        let pending = PendingFailure { fault, downtime };
        match (mode, downtime) {
            (FailureMode::Crash, _) if sim_node.is_up() => {
                self.faults.counts.mark_effective(fault);
                self.go_down(node, downtime);
            }
            (FailureMode::CrashMidway, _) if sim_node.is_up() => {
                sim_node.crash_midway = Some(Box::new(pending))
            }
            (FailureMode::Freeze, Downtime::For(span)) if sim_node.is_running() => {
                self.freeze(node, span, fault);
            }
            _ => {}
        }
    }

    /// Crashes a node between two effects.
    pub(super) fn crash_midway(&mut self, node: NodeId) {
        if let Some(failure) = self.node_mut(node).crash_midway.take() {
            self.faults.counts.mark_effective(failure.fault);
            self.go_down(node, failure.downtime);
        }
    }

    /// Injects a due failure of an append, which takes the node down. Returns whether one was injected.
    pub(super) fn inject_append_failure(&mut self, node: NodeId) -> bool {
        let disks = &self.scenario.faults.disks;
        let failure = match self.node_mut(node).append_failure.take() {
            Some(scripted) => *scripted,
            None => {
                let share = if self.faults.is_healed { 0.0 } else { disks.append_failure };
                let stream = |sim_node: &mut SimNode| sim_node.append_failure_stream().random::<f64>();
                if share == 0.0 || stream(self.node_mut(node)) >= share {
                    return false;
                }
                let fault = self.faults.counts.record(self.now, FaultKind::FailedAppend, Some(node));
                PendingFailure { fault, downtime: Downtime::For(disks.repair_time) }
            }
        };
        self.faults.counts.mark_effective(failure.fault);
        self.discard_commit(node);
        self.go_down(node, failure.downtime);
        true
    }

    /// Sends a command to a node.
    pub(super) fn give_command(&mut self, node: NodeId, kind: FaultKind, command: Command) {
        let fault = self.faults.counts.record(self.now, kind, Some(node));
        self.node_mut(node).commands.push_back((command, fault));
        self.deliver_commands(node);
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
        let (_, fault) = self.node_mut(node).commands.pop_front().expect("a logged command was given before");
        self.faults.counts.mark_effective(fault);
    }

    /// Injects a random failure and schedules the next one.
    pub(super) fn inject_random_failure(&mut self, entry: usize, node: NodeId) {
        if self.faults.is_healed {
            return;
        }
        let (downtime, uptime) = self.faults.sample_failure(entry, node);
        self.fail(node, self.scenario.faults.random_failures[entry].mode, Downtime::For(downtime));
        self.queue.push(self.now + downtime + uptime, Event::RandomFailure { entry, node });
    }

    /// Ends a temporary fault.
    pub(super) fn end_fault(&mut self, end: FaultEnd) {
        match end {
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
            FaultEnd::Links { fault } => self.transport.end_fault(fault),
        }
    }

    /// Ends all faults and repairs everything.
    pub(super) fn heal_all(&mut self) {
        self.faults.is_healed = true;
        self.transport.heal();
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

    /// Runs a cycle of the op generator.
    pub(super) fn run_op_generator(&mut self) {
        let Some(mut op_generator) = self.faults.op_generator.take().filter(|_| !self.faults.is_healed)
        else {
            return;
        };
        let Self { scenario, nodes, blackboard, recorder, .. } = self;
        let targets = || recorder.active().map(|active| targets(scenario, nodes, blackboard, active));
        let Actions { recover, crash } = op_generator.run_cycle(|| targets().unwrap_or_default());
        self.faults.op_generator = Some(op_generator);
        if let Some(node) = recover {
            self.recover(node);
        }
        if let Some(node) = crash {
            self.fail(node, FailureMode::Crash, Downtime::UntilHealed);
        }
        if let Some(settings) = &self.scenario.faults.op_generator {
            self.queue.push(self.now + settings.cycle, Event::OpGeneratorCycle);
        }
    }
}

fn kind(mode: FailureMode) -> FaultKind {
    match mode {
        FailureMode::Crash => FaultKind::Crash,
        FailureMode::CrashMidway => FaultKind::CrashMidway,
        FailureMode::Freeze => FaultKind::Freeze,
    }
}
