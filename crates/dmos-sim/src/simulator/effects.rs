//! Executes the effects of nodes in order: nothing becomes visible outside a node before its appends are
//! durable.

use dmos_audit::Observation;
use dmos_core::faults::Condition;
use dmos_core::record::{LeadershipChange, PlanRecord, Removal};
use dmos_core::{FaultKind, NodeId, Span};
use dmos_node::{Effect, Input, LogRecord, LogState, Notice, PlanReport, Report};
use rand::RngExt;

use super::{Event, Simulator};
use crate::message_store::MessageId;
use crate::rng::{Purpose, stream};
use crate::workers::{Blocker, Completion, WorkItem, WorkerId};

impl Simulator<'_> {
    /// Executes effects, unless the node goes down in between.
    #[inline]
    pub(super) fn execute(&mut self, node: NodeId, mut effects: Vec<Effect>) {
        // Earlier appends, where appending takes time.
        self.sync(node);
        if !effects.is_empty() {
            self.execute_all(node, &mut effects);
        }
        // A buffer without capacity is useless to the next user, which would have to allocate.
        if effects.capacity() > 0 {
            self.buffers.push(effects);
        }
    }

    fn execute_all(&mut self, node: NodeId, effects: &mut Vec<Effect>) {
        let sim_node = self.node(node);
        let incarnation = sim_node.incarnation;
        let after_crash = match sim_node.crash_midway {
            None => None,
            Some(_) => self.crash_point(node, effects.len()).map(|before| effects.split_off(before)),
        };
        let mut is_synced = true;
        let mut left = effects.drain(..);
        while let Some(effect) = left.next() {
            match effect {
                Effect::Append(record) => {
                    self.append(node, record);
                    is_synced = false;
                }
                Effect::Compact(state) => {
                    self.replace_log(node, state);
                    is_synced = false;
                }
                effect => {
                    if !is_synced {
                        self.sync(node);
                        is_synced = true;
                    }
                    self.effect(node, effect);
                }
            }
            if self.node(node).incarnation != incarnation {
                left.chain(after_crash.into_iter().flatten())
                    .for_each(|effect| self.discard_effect(node, effect));
                return;
            }
        }
        drop(left);
        if let Some(effects) = after_crash {
            effects.into_iter().for_each(|effect| self.discard_effect(node, effect));
            self.crash_midway(node);
        } else if !is_synced {
            self.sync(node);
        }
    }

    /// Returns the number of effects before a scheduled crash in the middle of an input.
    fn crash_point(&self, node: NodeId, effects: usize) -> Option<usize> {
        if effects < 2 {
            return None;
        }
        let mut stream = stream(self.scenario.seed, Purpose::CrashPoint, node, self.node(node).incarnation);
        Some(stream.random_range(1..effects as u64) as usize)
    }

    /// Appends records when their work starts, because nothing may leave the node before it ends. The other
    /// effects remain in `effects`.
    pub(super) fn append_all(&mut self, node: NodeId, effects: &mut Vec<Effect>) {
        let incarnation = self.node(node).incarnation;
        let mut all = std::mem::replace(effects, self.buffers.pop().unwrap_or_default());
        let mut left = all.drain(..);
        for effect in left.by_ref() {
            match effect {
                Effect::Append(record) => self.append(node, record),
                // The state includes all earlier appends.
                Effect::Compact(state) => self.replace_log(node, state),
                effect => effects.push(effect),
            }
            if self.node(node).incarnation != incarnation {
                break;
            }
        }
        left.for_each(|effect| self.discard_effect(node, effect));
        self.buffers.push(all);
    }

    /// Drops an effect because the node went down. A record among them was not written.
    fn discard_effect(&mut self, node: NodeId, effect: Effect) {
        if let Effect::Append(record) = effect {
            self.lose(node, &record);
        }
    }

    /// Handles the loss of a record that did not become durable: the node has already counted its production
    /// run.
    pub(super) fn lose(&mut self, node: NodeId, record: &LogRecord) {
        if let LogRecord::Made { count, .. } = record {
            self.node_mut(node).node.undo_run(*count);
        }
    }

    /// Appends a record, which a crash can still lose. A node whose append fails stops.
    fn append(&mut self, node: NodeId, record: LogRecord) {
        if self.inject_append_failure(node) {
            self.lose(node, &record);
            return;
        }
        self.node_mut(node).disk.append(record);
    }

    /// Replaces the records of a log by its state. A node whose disk fails stops.
    fn replace_log(&mut self, node: NodeId, state: Box<LogState>) {
        self.sync(node);
        if self.inject_append_failure(node) {
            return;
        }
        let Self { nodes, checker, now, .. } = self;
        let disk = &mut nodes[node.index()].disk;
        checker.observe(*now, node, &Observation::Compacted { before: disk.records(), state: &state });
        disk.replace(LogRecord::Compacted(state));
    }

    /// Makes the appends of a node durable.
    #[inline(always)]
    pub(super) fn sync(&mut self, node: NodeId) {
        if !self.node(node).disk.unsynced().is_empty() {
            self.sync_records(node);
        }
    }

    #[inline(never)]
    fn sync_records(&mut self, node: NodeId) {
        let Self { nodes, checker, now, scenario, .. } = self;
        let disk = &mut nodes[node.index()].disk;
        let (mut delivered, mut finished, mut commands_logged) = (0, 0, 0);
        for record in disk.unsynced() {
            checker.observe(*now, node, &Observation::Durable(record));
            match record {
                LogRecord::Received(_) => delivered += 1,
                LogRecord::Commanded(_) => commands_logged += 1,
                LogRecord::Made { count, .. } if scenario.network.is_final(node) => finished += count,
                _ => {}
            }
        }
        disk.sync();
        (0..commands_logged).for_each(|_| self.on_command_logged(node));
        (0..delivered).for_each(|_| self.on_condition(Condition::Delivered));
        (0..finished).for_each(|_| self.on_condition(Condition::FinishedGoodMade));
    }

    #[inline(always)]
    fn effect(&mut self, node: NodeId, effect: Effect) {
        match effect {
            Effect::Append(_) | Effect::Compact(_) => unreachable!("the log is written elsewhere"),
            Effect::Send { to, message } => {
                let message = self.messages.put(message);
                if self.scenario.work.send.is_zero() {
                    self.release(node, to, message);
                } else {
                    self.enqueue(node, WorkItem::Outgoing { to, message });
                }
            }
            Effect::SetTimer { after, timer } => {
                let after = self.node(node).clock.true_duration(after);
                self.schedule(node, after, Completion::Timer(timer));
            }
            Effect::Transport { batch, blocking } => {
                if blocking {
                    self.block_messages(node, Blocker::Batch(batch));
                }
                let span = self.transits.draw(node);
                self.schedule(node, span, Completion::Arrived(batch));
                self.on_condition(Condition::BatchInTransit);
            }
            Effect::Plan { plan_id, steps, blocking } => {
                let span = self.scenario.work.planning_step.of(steps);
                let plan = self.plan_ids.len() as u32;
                self.plan_ids.push(plan_id);
                if blocking {
                    self.block_messages(node, Blocker::Plan(plan));
                }
                self.on_condition(Condition::PlanStarted);
                self.enqueue(node, WorkItem::Plan { plan, span });
            }
            Effect::Post(notice) => self.post(&notice),
            Effect::Report(report) => self.report(node, report),
        }
    }

    fn report(&mut self, node: NodeId, report: Report) {
        self.observe(node, &Observation::Reported(&report));
        match report {
            Report::BecameLeader(term) => {
                self.recorder.leadership_changes.push(LeadershipChange { at: self.now, node, term });
                self.last_leader = Some(node);
                self.on_condition(Condition::LeaderElected);
            }
            Report::Planned(plan) => self.note_plan(node, *plan),
            Report::Removed(removed) => {
                self.recorder.removals.push(Removal { at: self.now, node: removed, by: node })
            }
            Report::Adopted(_) => {}
        }
    }

    fn note_plan(&mut self, node: NodeId, plan: PlanReport) {
        let before = self.active.as_ref().map(|(flow, _)| &**flow);
        let changed = plan.active.then(|| match (before, &plan.flow) {
            (Some(before), Ok(flow)) => before.edges_not_in_both(flow),
            (Some(flow), Err(_)) => flow.edges().len() as u64,
            (None, flow) => flow.as_ref().map_or(0, |flow| flow.edges().len() as u64),
        });
        self.recorder.plans.push(PlanRecord {
            at: self.now,
            by: node,
            duration: plan.duration,
            steps: plan.steps,
            edges: plan.flow.as_ref().ok().map(|flow| flow.edges().len() as u64),
            changed,
            no_flow: plan.flow.as_ref().err().cloned(),
            active: plan.active,
        });
        if plan.active {
            self.active = Some((plan.flow.unwrap_or_default(), node));
        }
    }

    fn block_messages(&mut self, node: NodeId, hold: Blocker) {
        self.node_mut(node).workers.get_mut(WorkerId::Messages).blocked_on = Some(hold);
    }

    #[inline(always)]
    pub(super) fn schedule(&mut self, node: NodeId, after: Span, completion: Completion) {
        let epoch = self.node(node).epoch();
        self.queue.push(self.now + after, Event::Completion { node, epoch, completion });
    }

    /// Sends a message over the network.
    #[inline(always)]
    pub(super) fn release(&mut self, from: NodeId, to: NodeId, message: MessageId) {
        if let Some(message_effect) = self.transmitter().transmit(from, to, message) {
            self.count_message_effect(message_effect);
        }
    }

    fn post(&mut self, notice: &Notice) {
        if self.blackboard.post(notice) {
            for node in self.scenario.network.nodes() {
                if self.node(node).is_running() {
                    self.handle(node, Input::Notice(notice));
                }
            }
        }
    }

    /// Injects a due failure of an append, which takes the node down. Returns whether one was injected.
    fn inject_append_failure(&mut self, node: NodeId) -> bool {
        let share = self.scenario.faults.disks.append_failure;
        let armed = self.node_mut(node).append_failure.take().map(|armed| *armed);
        let drawn = armed.is_none() && share > 0.0 && !self.faults.is_healed && {
            let sim_node = self.node_mut(node);
            sim_node.append_failure_stream().random::<f64>() < share
        };
        if armed.is_none() && !drawn {
            return false;
        }
        let fault = armed.map_or_else(
            || self.faults.counts.record(self.now, FaultKind::FailedAppend, Some(node)),
            |armed| armed.fault,
        );
        self.faults.counts.mark_effective(fault);
        let repair_time = super::sim_node::Down::For(self.scenario.faults.disks.repair_time);
        self.go_down(node, armed.map_or(repair_time, |armed| armed.downtime));
        true
    }
}
