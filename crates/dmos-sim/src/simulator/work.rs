//! Lets the time pass that work takes: on a core of its own, or on the shared shared CPU.

use dmos_core::{Metric, NodeId, Span};
use dmos_node::{Effect, Input};

use super::{Event, Piece, Simulator};
use crate::costs::{appending, handling};
use crate::shared_cpu::SharedCpu;
use crate::workers::{Completion, Job, WorkItem, WorkerId};

impl Simulator<'_> {
    /// Returns whether a node acts at once on what comes to a worker: mostly nothing takes time and nothing waits, and then
    /// there is nothing to reckon either.
    #[inline]
    pub(super) fn acts_at_once(&self, node: NodeId, id: WorkerId) -> bool {
        let sim_node = self.node(node);
        self.work_is_instant
            && sim_node.is_working()
            && sim_node.slow.is_none()
            && sim_node.workers.is_idle(id)
    }

    /// Works on a work_item, or lets it wait for its turn.
    pub(super) fn enqueue(&mut self, node: NodeId, work_item: WorkItem) {
        let id = work_item.worker();
        let worker = self.node_mut(node).workers.get_mut(id);
        let released = worker.delay.is_some() && worker.takes(work_item);
        if released {
            worker.delay = None;
        }
        if released || (worker.takes(work_item) && worker.waiting.is_empty()) {
            self.work_on(node, id, work_item);
            self.drain(node, id);
        } else {
            self.wait(node, id, work_item);
        }
    }

    /// Lets a work_item wait. Where too many messages wait already, one more is dropped, as if the network had
    /// lost it.
    pub(super) fn wait(&mut self, node: NodeId, id: WorkerId, work_item: WorkItem) {
        let limit = self.scenario.protocol.mailbox_limit;
        let sim_node = self.node_mut(node);
        let waiting = &mut sim_node.workers.get_mut(id).waiting;
        let is_full = limit.is_some_and(|limit| waiting.len() >= limit.get() as usize);
        if let (true, Some(message)) = (is_full, work_item.mail()) {
            sim_node.node.count(Metric::MessagesDropped);
            self.mail.discard(message);
        } else {
            waiting.push_back(work_item);
        }
    }

    /// Works on what waits in a worker, as long as nothing takes time.
    pub(super) fn drain(&mut self, node: NodeId, id: WorkerId) {
        loop {
            let sim_node = self.node_mut(node);
            if sim_node.workers.is_idle(id) {
                return;
            }
            let worker = sim_node.workers.get_mut(id);
            let Some(&work_item) = worker.waiting.front() else {
                return;
            };
            if !sim_node.state.is_up() || !worker.takes(work_item) {
                return;
            }
            worker.delay = None;
            worker.waiting.pop_front();
            self.work_on(node, id, work_item);
        }
    }

    fn work_on(&mut self, node: NodeId, id: WorkerId, work_item: WorkItem) {
        let (span, job) = match work_item {
            WorkItem::Outgoing { to, message } => (self.scenario.work.send, Job::Release { to, message }),
            WorkItem::Think { plan, span } => (span, Job::EndPlan(plan)),
            work_item => return self.work_on_input(node, id, work_item),
        };
        self.begin_work(node, id, span, job);
    }

    /// Reckons the work of an input, which passes before the node acts on it.
    fn work_on_input(&mut self, node: NodeId, id: WorkerId, work_item: WorkItem) {
        let slow = self.node(node).slow.as_ref().map(|slow| (slow.by, slow.fault));
        if let Some((_, fault)) = slow {
            self.fault_counts.mark_effective(fault);
        }
        if self.work_is_instant && slow.is_none() {
            let mut effects = self.buffers.pop().unwrap_or_default();
            self.deliver_item(node, work_item, &mut effects);
            self.execute(node, effects);
            return;
        }
        let load = self.node(node).node.load();
        let span =
            handling(&self.scenario.work, self.scenario.network.node_count(), load, work_item, &self.mail);
        let longer = slow.map_or(Span::ZERO, |slow| slow.0);
        self.begin_work(node, id, span + longer, Job::Act(work_item));
    }

    /// Lets a node act on an input. What it appends takes time as well, before anything leaves it.
    fn act(&mut self, node: NodeId, id: WorkerId, work_item: WorkItem) {
        let mut effects = self.buffers.pop().unwrap_or_default();
        let incarnation = self.node(node).incarnation;
        self.deliver_item(node, work_item, &mut effects);
        if !effects.iter().any(Effect::changes_log) {
            return self.execute(node, effects);
        }
        let span = appending(&self.scenario.work, self.node(node).node.load(), &effects);
        self.append_all(node, &mut effects);
        if self.node(node).incarnation == incarnation {
            self.begin_work(node, id, span, Job::CarryOut(effects));
        }
    }

    /// Hands a node what a work_item is about.
    ///
    /// # Panics
    /// For what is no input: an outgoing message, or a plan's thinking.
    fn deliver_item(&mut self, node: NodeId, work_item: WorkItem, effects: &mut Vec<Effect>) {
        let now = self.now;
        match work_item {
            WorkItem::Message { from, message } => {
                let message = &self.mail.take(message);
                self.node_mut(node).deliver(now, Input::Message { from, message }, effects);
            }
            WorkItem::Completion(completion) => {
                let input = self.input_of(completion);
                self.node_mut(node).deliver(now, input, effects);
            }
            WorkItem::Outgoing { .. } | WorkItem::Think { .. } => unreachable!("it is work, not an input"),
        }
    }

    /// Lets the time of a piece of work pass, then does its job.
    fn begin_work(&mut self, node: NodeId, id: WorkerId, span: Span, job: Job) {
        if span.is_zero() {
            self.do_job(node, id, job);
            return;
        }
        let now = self.now;
        let sim_node = self.node_mut(node);
        let worker = sim_node.workers.get_mut(id);
        assert!(worker.job.is_none(), "a worker does one thing after the other");
        worker.job = Some(job);
        let piece = Piece { node, worker: id, incarnation: sim_node.incarnation };
        match &mut self.shared_cpu {
            Some(shared_cpu) => {
                shared_cpu.begin(now, span, piece);
                self.set_shared_cpu_tick();
            }
            None => self.queue.push(now + span, Event::WorkDone(piece)),
        }
    }

    fn is_live(&self, piece: Piece) -> bool {
        self.node(piece.node).incarnation == piece.incarnation
    }

    /// A piece of work is done, unless its node has crashed since; a frozen node sees it later.
    pub(super) fn work_done(&mut self, piece: Piece) {
        if !self.is_live(piece) {
            return;
        }
        if self.node(piece.node).is_frozen() {
            return self.hold_event(piece.node, Event::WorkDone(piece));
        }
        let worker = self.node_mut(piece.node).workers.get_mut(piece.worker);
        let job = worker.job.take().expect("a worker that works has a job");
        self.do_job(piece.node, piece.worker, job);
        self.drain(piece.node, piece.worker);
    }

    fn do_job(&mut self, node: NodeId, id: WorkerId, job: Job) {
        match job {
            Job::Act(work_item) => self.act(node, id, work_item),
            Job::CarryOut(effects) => self.execute(node, effects),
            Job::EndPlan(plan) => self.schedule(node, Span::ZERO, Completion::Planned(plan)),
            Job::Release { to, message } => self.release(node, to, message),
        }
    }

    pub(super) fn set_shared_cpu_tick(&mut self) {
        let at = self.shared_cpu.as_ref().and_then(SharedCpu::next_end);
        self.queue.put_tick(at, Event::SharedCpuTick);
    }

    pub(super) fn shared_cpu_tick(&mut self) {
        let (now, nodes) = (self.now, &self.nodes);
        let is_live = |piece: &Piece| nodes[piece.node.index()].incarnation == piece.incarnation;
        let ended = self.shared_cpu.as_mut().and_then(|shared_cpu| shared_cpu.take_ended(now, is_live));
        if let Some(piece) = ended {
            self.work_done(piece);
        }
        self.set_shared_cpu_tick();
    }
}
