//! Lets the time pass that work takes: on a core of its own, or on the shared shared_cpu.

use dmos_core::{Metric, NodeId, Span};
use dmos_node::{Effect, Input};

use super::{Event, Piece, Simulator};
use crate::costs::{appending, handling};
use crate::lanes::{Due, Job, LaneId, Letter};
use crate::shared_cpu::SharedCpu;

impl Simulator<'_> {
    /// Whether a node acts at once on what comes to a lane: mostly nothing takes time and nothing waits, and then
    /// there is nothing to reckon either.
    #[inline]
    pub(super) fn acts_at_once(&self, node: NodeId, id: LaneId) -> bool {
        let slot = self.slot(node);
        self.work_is_instant && slot.is_working() && slot.slow.is_none() && slot.lanes.is_idle(id)
    }

    /// Works on a letter, or lets it wait for its turn.
    pub(super) fn hand_in(&mut self, node: NodeId, letter: Letter) {
        let id = letter.lane();
        let lane = self.slot_mut(node).lanes.get_mut(id);
        let released = lane.delay.is_some() && lane.takes(letter);
        if released {
            lane.delay = None;
        }
        if released || (lane.takes(letter) && lane.waiting.is_empty()) {
            self.work_on(node, id, letter);
            self.work_off(node, id);
        } else {
            self.wait(node, id, letter);
        }
    }

    /// Lets a letter wait. Where too many messages wait already, one more is dropped, as if the network had
    /// lost it.
    pub(super) fn wait(&mut self, node: NodeId, id: LaneId, letter: Letter) {
        let limit = self.scenario.protocol.mailbox_limit;
        let slot = self.slot_mut(node);
        let waiting = &mut slot.lanes.get_mut(id).waiting;
        let is_full = limit.is_some_and(|limit| waiting.len() >= limit.get() as usize);
        if let (true, Some(message)) = (is_full, letter.mail()) {
            slot.node.count(Metric::MessagesDropped);
            self.mail.throw_away(message);
        } else {
            waiting.push_back(letter);
        }
    }

    /// Works on what waits in a lane, as long as nothing takes time.
    pub(super) fn work_off(&mut self, node: NodeId, id: LaneId) {
        loop {
            let slot = self.slot_mut(node);
            if slot.lanes.is_idle(id) {
                return;
            }
            let lane = slot.lanes.get_mut(id);
            let Some(&letter) = lane.waiting.front() else {
                return;
            };
            if !slot.state.is_up() || !lane.takes(letter) {
                return;
            }
            lane.delay = None;
            lane.waiting.pop_front();
            self.work_on(node, id, letter);
        }
    }

    fn work_on(&mut self, node: NodeId, id: LaneId, letter: Letter) {
        let (span, job) = match letter {
            Letter::Outgoing { to, message } => (self.scenario.work.send, Job::Release { to, message }),
            Letter::Think { plan, span } => (span, Job::EndPlan(plan)),
            letter => return self.work_on_input(node, id, letter),
        };
        self.begin_work(node, id, span, job);
    }

    /// Reckons the work of an input, which passes before the node acts on it.
    fn work_on_input(&mut self, node: NodeId, id: LaneId, letter: Letter) {
        let slow = self.slot(node).slow.as_ref().map(|slow| (slow.by, slow.fault));
        if let Some((_, fault)) = slow {
            self.tally.is_effective(fault);
        }
        if self.work_is_instant && slow.is_none() {
            let mut effects = self.buffers.pop().unwrap_or_default();
            self.hand_over(node, letter, &mut effects);
            self.carry_out(node, effects);
            return;
        }
        let load = self.slot(node).node.load();
        let span =
            handling(&self.scenario.work, self.scenario.network.node_count(), load, letter, &self.mail);
        let longer = slow.map_or(Span::ZERO, |slow| slow.0);
        self.begin_work(node, id, span + longer, Job::Act(letter));
    }

    /// Lets a node act on an input. What it appends takes time as well, before anything leaves it.
    fn act(&mut self, node: NodeId, id: LaneId, letter: Letter) {
        let mut effects = self.buffers.pop().unwrap_or_default();
        let incarnation = self.slot(node).incarnation;
        self.hand_over(node, letter, &mut effects);
        if !effects.iter().any(Effect::is_for_the_log) {
            return self.carry_out(node, effects);
        }
        let span = appending(&self.scenario.work, self.slot(node).node.load(), &effects);
        self.append_all(node, &mut effects);
        if self.slot(node).incarnation == incarnation {
            self.begin_work(node, id, span, Job::CarryOut(effects));
        }
    }

    /// Hands a node what a letter is about.
    ///
    /// # Panics
    /// For what is no input: an outgoing message, or a plan's thinking.
    fn hand_over(&mut self, node: NodeId, letter: Letter, effects: &mut Vec<Effect>) {
        let now = self.now;
        match letter {
            Letter::Message { from, message } => {
                let message = &self.mail.take(message);
                self.slot_mut(node).hand(now, Input::Message { from, message }, effects);
            }
            Letter::Due(due) => {
                let input = self.input_of(due);
                self.slot_mut(node).hand(now, input, effects);
            }
            Letter::Outgoing { .. } | Letter::Think { .. } => unreachable!("it is work, not an input"),
        }
    }

    /// Lets the time of a piece of work pass, then does its job.
    fn begin_work(&mut self, node: NodeId, id: LaneId, span: Span, job: Job) {
        if span.is_zero() {
            self.do_job(node, id, job);
            return;
        }
        let now = self.now;
        let slot = self.slot_mut(node);
        let lane = slot.lanes.get_mut(id);
        assert!(lane.job.is_none(), "a lane does one thing after the other");
        lane.job = Some(job);
        let piece = Piece { node, lane: id, incarnation: slot.incarnation };
        match &mut self.shared_cpu {
            Some(shared_cpu) => {
                shared_cpu.begin(now, span, piece);
                self.set_shared_cpu_tick();
            }
            None => self.queue.push(now + span, Event::WorkDone(piece)),
        }
    }

    fn is_live(&self, piece: Piece) -> bool {
        self.slot(piece.node).incarnation == piece.incarnation
    }

    /// A piece of work is done, unless its node has crashed since; a frozen node sees it later.
    pub(super) fn work_done(&mut self, piece: Piece) {
        if !self.is_live(piece) {
            return;
        }
        if self.slot(piece.node).is_frozen() {
            return self.hold_event(piece.node, Event::WorkDone(piece));
        }
        let lane = self.slot_mut(piece.node).lanes.get_mut(piece.lane);
        let job = lane.job.take().expect("a lane that works has a job");
        self.do_job(piece.node, piece.lane, job);
        self.work_off(piece.node, piece.lane);
    }

    fn do_job(&mut self, node: NodeId, id: LaneId, job: Job) {
        match job {
            Job::Act(letter) => self.act(node, id, letter),
            Job::CarryOut(effects) => self.carry_out(node, effects),
            Job::EndPlan(plan) => self.come_back(node, Span::ZERO, Due::Planned(plan)),
            Job::Release { to, message } => self.release(node, to, message),
        }
    }

    pub(super) fn set_shared_cpu_tick(&mut self) {
        let at = self.shared_cpu.as_ref().and_then(SharedCpu::next_end);
        self.queue.put_tick(at, Event::SharedCpuTick);
    }

    pub(super) fn shared_cpu_tick(&mut self) {
        let (now, slots) = (self.now, &self.slots);
        let is_live = |piece: &Piece| slots[piece.node.index()].incarnation == piece.incarnation;
        let ended = self.shared_cpu.as_mut().and_then(|shared_cpu| shared_cpu.take_ended(now, is_live));
        if let Some(piece) = ended {
            self.work_done(piece);
        }
        self.set_shared_cpu_tick();
    }
}
