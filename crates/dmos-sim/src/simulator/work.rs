//! The work of nodes: inputs wait for their worker, and are handled when their CPU time has elapsed.

use dmos_core::{Metric, NodeId, Span, Time};
use dmos_node::{Effect, Input};

use super::Simulator;
use crate::cpu::{Job, Task, WorkItem, WorkerId, appending, handling};
use crate::event::{Completion, Event};

impl Simulator<'_> {
    /// Returns whether a node handles an input of a worker at once: handling is instant, and the worker is idle.
    #[inline]
    pub(super) fn acts_at_once(&self, node: NodeId, id: WorkerId) -> bool {
        let sim_node = self.node(node);
        self.cpu.handling_is_instant
            && sim_node.is_running()
            && sim_node.slow.is_none()
            && sim_node.workers.is_idle(id)
    }

    /// Starts a work item, or queues it.
    pub(super) fn enqueue(&mut self, node: NodeId, work_item: WorkItem) {
        let (id, now) = (work_item.worker(), self.now);
        let worker = self.node_mut(node).workers.get_mut(id);
        let releases = worker.blocked_on.is_some() && worker.admits(work_item);
        if releases && worker.job.is_some() {
            // Behind a blocked item it would never be started.
            worker.waiting.push_front((now, work_item));
            return;
        }
        if releases {
            worker.blocked_on = None;
        }
        if releases || (worker.can_start(work_item) && worker.waiting.is_empty()) {
            self.work_on(node, id, now, work_item);
            self.drain(node, id);
        } else {
            self.queue_item(node, id, work_item);
        }
    }

    /// Queues a work item. Beyond `mailbox_limit` a message is dropped.
    pub(super) fn queue_item(&mut self, node: NodeId, id: WorkerId, work_item: WorkItem) {
        let limit = self.scenario.protocol.mailbox_limit;
        let now = self.now;
        let sim_node = self.node_mut(node);
        let waiting = &mut sim_node.workers.get_mut(id).waiting;
        let is_full = limit.is_some_and(|limit| waiting.len() >= limit.get() as usize);
        if let (true, Some(message)) = (is_full, work_item.message_id()) {
            sim_node.node.count(Metric::MessagesDropped);
            self.transport.messages.discard(message);
            self.recorder.on_dropped(now);
        } else {
            waiting.push_back((now, work_item));
        }
    }

    /// Starts queued items until one of them takes time or the worker is blocked.
    pub(super) fn drain(&mut self, node: NodeId, id: WorkerId) {
        loop {
            let sim_node = self.node_mut(node);
            if sim_node.workers.is_idle(id) {
                return;
            }
            let worker = sim_node.workers.get_mut(id);
            let Some(&(arrived, work_item)) = worker.waiting.front() else {
                return;
            };
            if !sim_node.state.is_up() || !worker.can_start(work_item) {
                return;
            }
            worker.blocked_on = None;
            worker.waiting.pop_front();
            self.work_on(node, id, arrived, work_item);
        }
    }

    fn work_on(&mut self, node: NodeId, id: WorkerId, arrived: Time, work_item: WorkItem) {
        let (span, job) = match work_item {
            WorkItem::Outgoing { to, message } => (self.scenario.work.send, Job::Send { to, message }),
            WorkItem::Plan { plan, span } => (span, Job::CompletePlan(plan)),
            work_item => return self.work_on_input(node, id, arrived, work_item),
        };
        self.begin_work(node, id, arrived, span, job);
    }

    /// Schedules the CPU time of an input, which the node handles afterwards.
    fn work_on_input(&mut self, node: NodeId, id: WorkerId, arrived: Time, work_item: WorkItem) {
        let slow = self.node(node).slow.as_ref().map(|slow| (slow.by, slow.fault));
        if let Some((_, fault)) = slow {
            self.faults.counts.mark_effective(fault);
        }
        if self.cpu.handling_is_instant && slow.is_none() {
            let mut effects = self.buffers.pop().unwrap_or_default();
            self.deliver_item(node, work_item, &mut effects);
            self.execute(node, effects);
            self.recorder.on_handled(self.now, arrived);
            return;
        }
        let load = self.node(node).node.load();
        let span = handling(
            &self.scenario.work,
            self.scenario.network.node_count(),
            load,
            work_item,
            &self.transport.messages,
        );
        let longer = slow.map_or(Span::ZERO, |slow| slow.0);
        self.begin_work(node, id, arrived, span + longer, Job::Handle(work_item));
    }

    /// Lets a node handle an input. The work of its appends precedes all its other effects.
    fn handle_item(&mut self, node: NodeId, id: WorkerId, work_item: WorkItem) {
        let mut effects = self.buffers.pop().unwrap_or_default();
        let incarnation = self.node(node).incarnation;
        self.deliver_item(node, work_item, &mut effects);
        if !effects.iter().any(Effect::changes_log) {
            return self.execute(node, effects);
        }
        let span = appending(&self.scenario.work, self.node(node).node.load(), &effects);
        self.append_all(node, &mut effects);
        if self.node(node).incarnation == incarnation {
            let arrived = self.node_mut(node).workers.get_mut(id).arrived;
            self.begin_work(node, id, arrived, span, Job::Execute(effects));
        }
    }

    /// Passes the input of a work item to its node.
    ///
    /// # Panics
    /// If the work item is not an input: an outgoing message, or the computation of a plan.
    fn deliver_item(&mut self, node: NodeId, work_item: WorkItem, effects: &mut Vec<Effect>) {
        let now = self.now;
        match work_item {
            WorkItem::Message { from, message } => {
                let message = &self.transport.messages.take(message);
                self.node_mut(node).deliver(now, Input::Message { from, message }, effects);
            }
            WorkItem::Completion(completion) => {
                let input = self.input_of(completion);
                self.node_mut(node).deliver(now, input, effects);
            }
            WorkItem::Outgoing { .. } | WorkItem::Plan { .. } => unreachable!("not an input"),
        }
        self.recorder.on_occupancy(now, node, &self.nodes[node]);
    }

    /// Starts a task, and performs its job when it ends.
    fn begin_work(&mut self, node: NodeId, id: WorkerId, arrived: Time, span: Span, job: Job) {
        if span.is_zero() {
            self.node_mut(node).workers.get_mut(id).arrived = arrived;
            self.do_job(node, id, job);
            return;
        }
        let now = self.now;
        let sim_node = self.node_mut(node);
        let worker = sim_node.workers.get_mut(id);
        assert!(worker.job.is_none(), "the worker is idle");
        (worker.job, worker.arrived) = (Some(job), arrived);
        let task = Task { node, worker: id, incarnation: sim_node.incarnation };
        self.cpu.begin(now, &mut self.queue, span, task);
    }

    /// Ends a task, unless its node has crashed since; for a frozen node the end is held.
    pub(super) fn end_task(&mut self, task: Task) {
        let Task { node, worker: id, incarnation } = task;
        if self.node(node).incarnation != incarnation {
            return;
        }
        if self.node(node).is_frozen() {
            return self.hold_event(node, Event::TaskEnd(task));
        }
        let worker = self.node_mut(node).workers.get_mut(id);
        let job = worker.job.take().expect("a busy worker has a job");
        self.do_job(node, id, job);
        self.drain(node, id);
    }

    /// Ends a task on the shared CPU.
    pub(super) fn end_shared_task(&mut self) {
        let Self { nodes, cpu, now, .. } = self;
        let is_live = |task: &Task| nodes[task.node].incarnation == task.incarnation;
        if let Some(task) = cpu.take_ended(*now, is_live) {
            self.end_task(task);
        }
        self.cpu.set_tick(&mut self.queue);
    }

    fn do_job(&mut self, node: NodeId, id: WorkerId, job: Job) {
        match job {
            Job::Handle(work_item) => self.handle_item(node, id, work_item),
            Job::Execute(effects) => self.execute(node, effects),
            Job::CompletePlan(plan) => {
                // A plan is no input: its duration is reported by the node.
                return self.schedule_completion(node, Span::ZERO, Completion::Planned(plan));
            }
            Job::Send { to, message } => self.send(node, to, message),
        }
        if self.scenario.faults.heal_at.is_some() {
            let arrived = self.node_mut(node).workers.get_mut(id).arrived;
            self.recorder.on_handled(self.now, arrived);
        }
    }
}
