//! Executes the effects of nodes in order: nothing becomes visible outside a node before its appends are
//! durable.

use dmos_audit::Observation;
use dmos_core::NodeId;
use dmos_core::faults::Condition;
use dmos_node::{Effect, Input, LogRecord, LogState, Notice, Report, Timer};
use rand::RngExt;

use super::Simulator;
use crate::cpu::{Blocker, WorkItem, WorkerId};
use crate::event::Completion;
use crate::rng::{Purpose, stream};
use crate::transport::MessageId;

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
            // Later records of the commit were not written, so none of it is durable.
            if effects.first().is_some_and(Effect::changes_log) {
                self.discard_commit(node);
            }
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
        self.node_mut(node).node.undo(record);
    }

    /// Discards the records of a commit that will not be completed.
    pub(super) fn discard_commit(&mut self, node: NodeId) {
        for record in self.node_mut(node).disk.discard_commit() {
            self.lose(node, &record);
            self.observe(node, &Observation::LostAppend(&record));
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
        let Self { nodes, recorder, now, .. } = self;
        let disk = &mut nodes[node].disk;
        recorder.observe(*now, node, &Observation::Compacted { before: disk.records(), state: &state });
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
        let Self { nodes, recorder, now, scenario, .. } = self;
        let disk = &mut nodes[node].disk;
        let (mut delivered, mut finished, mut commands_logged) = (0, 0, 0);
        let (mut product, mut leaves_later) = (None, false);
        for record in disk.unsynced() {
            recorder.observe(*now, node, &Observation::Durable(record));
            match record {
                LogRecord::Received(_) => delivered += 1,
                LogRecord::Commanded(_) => commands_logged += 1,
                LogRecord::Arrived(batches) => delivered += batches.count,
                LogRecord::Made { count, .. } if scenario.network.is_final(node) => finished += count,
                LogRecord::Ran { product: made, .. } if scenario.network.is_final(node) => {
                    finished += made.count;
                    product = Some(*made);
                }
                LogRecord::Left(_) => leaves_later = true,
                _ => {}
            }
        }
        disk.sync();
        if scenario.network.is_final(node) {
            let product = product.filter(|_| !leaves_later);
            recorder.on_finished(*now, node, nodes[node].node.metrics(), product);
        }
        (0..commands_logged).for_each(|_| self.on_command_logged(node));
        (0..delivered).for_each(|_| self.on_condition(Condition::Delivered));
        (0..finished).for_each(|_| self.on_condition(Condition::FinishedGoodMade));
    }

    #[inline(always)]
    fn effect(&mut self, node: NodeId, effect: Effect) {
        match effect {
            Effect::Append(_) | Effect::Compact(_) => unreachable!("the log is written elsewhere"),
            Effect::Send { to, message } => {
                let message = self.transport.messages.put(message);
                if self.cpu.sending_is_instant {
                    self.send(node, to, message);
                } else {
                    self.enqueue(node, WorkItem::Outgoing { to, message });
                }
            }
            Effect::SetTimer { after, timer } => {
                let after = self.node(node).clock.true_duration(after);
                self.schedule_completion(node, after, Completion::Timer(timer));
            }
            Effect::Transport { batch, blocking } => {
                if blocking {
                    self.block_messages(node, Blocker::Batch(batch));
                }
                let span = self.transport.sample_transit_time(batch.producer, node);
                self.schedule_completion(node, span, Completion::Arrived(batch));
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
            Effect::StartRun { number } => {
                let span = self.process_times.sample(node, number) + self.node(node).slowdown();
                let after = self.node(node).clock.true_duration(span);
                self.observe(node, &Observation::RunStarted { ends: self.now + after });
                self.schedule_completion(node, after, Completion::Timer(Timer::RunEnd));
            }
            Effect::Post(notice) => self.post(&notice),
            Effect::Report(report) => self.report(node, report),
        }
    }

    fn report(&mut self, node: NodeId, report: Report) {
        let became_leader = matches!(report, Report::BecameLeader(_));
        self.recorder.on_report(self.now, node, report);
        if became_leader {
            self.on_condition(Condition::LeaderElected);
        }
    }

    fn block_messages(&mut self, node: NodeId, blocker: Blocker) {
        self.node_mut(node).workers.get_mut(WorkerId::Messages).blocked_on = Some(blocker);
    }

    /// Sends a message over the network.
    #[inline(always)]
    pub(super) fn send(&mut self, from: NodeId, to: NodeId, message: MessageId) {
        self.transport.send(self.now, &mut self.queue, from, to, message);
        self.count_applied_faults();
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
}
