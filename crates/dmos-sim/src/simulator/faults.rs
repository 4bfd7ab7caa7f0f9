//! What breaks: nodes go down and come back, stand still and go on, and are slow for a while.

use std::collections::VecDeque;

use dmos_audit::Observation;
use dmos_audit::observation::{Crashed, FoundLog};
use dmos_core::faults::FailureMode;
use dmos_core::record::Outage;
use dmos_core::settings::{Dissemination, Mailbox};
use dmos_core::{FaultKind, NodeId, Span};
use dmos_node::{Input, Order};

use super::slot::{Armed, Down, Frozen, State, nodes};
use super::{Event, Over, Simulator};
use crate::lanes::{LaneId, Letter};
use crate::op_generator::Orders;
use crate::streams::{Purpose, phase, stream};

impl Simulator<'_> {
    /// A node starts, for the first time or from its log.
    pub(super) fn start(&mut self, node: NodeId) {
        let (seed, period, now) = (self.scenario.seed, self.scenario.protocol.heartbeat, self.now);
        let mut effects = self.buffers.pop().unwrap_or_default();
        let slot = self.slot_mut(node);
        let recovering = slot.state != State::Absent;
        (slot.state, slot.loses_next_message) = (State::Up, false);
        self.end_outage(node);
        let slot = self.slot_mut(node);
        let log = FoundLog { torn: slot.disk.cut_off_torn(), compacted: slot.disk.is_compacted() };
        let incarnation = slot.incarnation;
        let phase = phase(seed, node, incarnation, period);
        let scrapped = if recovering { slot.scrapped } else { Default::default() };
        let input = Input::Start { records: slot.disk.records(), recovering, phase, scrapped };
        slot.node.handle(slot.clock.shows(now), input, &mut effects);
        self.observe(node, &Observation::Started { recovering, log });
        self.carry_out(node, effects);
        for notice in self.board.notices() {
            if self.slot(node).incarnation == incarnation {
                self.handle(node, Input::Notice(&notice));
            }
        }
        // It may have crashed in the middle of its start.
        if self.slot(node).incarnation == incarnation {
            let holdings = self.slot(node).node.holdings();
            self.observe(node, &Observation::Holds(holdings));
            self.work_off(node, LaneId::Messages);
            self.give_orders(node);
        }
    }

    /// The op_generator's orders reach a node that works; to one that does not they come later, and so they do to
    /// one that goes down before an order is durable.
    pub(super) fn give_orders(&mut self, node: NodeId) {
        while self.slot(node).is_working()
            && let Some((order, _)) = self.slot(node).orders.front()
        {
            let (order, waiting) = (order.clone(), self.slot(node).orders.len());
            self.handle(node, Input::Order(&order));
            if self.slot(node).orders.len() == waiting {
                break;
            }
        }
    }

    /// A node has entered its next order in its log.
    pub(super) fn ordered(&mut self, node: NodeId) {
        let (_, fault) = self.slot_mut(node).orders.pop_front().expect("an order is followed that was given");
        self.tally.is_effective(fault);
    }

    /// Gives a node an order.
    pub(super) fn order(&mut self, node: NodeId, kind: FaultKind, order: Order) {
        let fault = self.tally.record(self.now, kind, Some(node));
        self.slot_mut(node).orders.push_back((order, fault));
        self.give_orders(node);
    }

    /// A node fails, if it is in a state to.
    pub(super) fn fail(&mut self, node: NodeId, how: FailureMode, lasts: Down) {
        let (now, kind) = (self.now, kind(how));
        let fault = self.tally.record(now, kind, Some(node));
        let slot = self.slot_mut(node);
        let armed = Armed { fault, lasts };
        match (how, lasts) {
            (FailureMode::Crash, _) if slot.is_up() => {
                self.tally.is_effective(fault);
                self.go_down(node, lasts);
            }
            (FailureMode::CrashMidway, _) if slot.is_up() => slot.crash_midway = Some(Box::new(armed)),
            (FailureMode::Freeze, Down::For(span)) if slot.is_working() => {
                slot.frozen = Some(Box::new(Frozen { since: now, fault, held: Vec::new() }));
                self.queue.push(now + span, Event::Over(Over::Frozen { node, fault }));
                self.begin_outage(node);
            }
            _ => {}
        }
    }

    /// A node goes down between two effects.
    pub(super) fn crash_midway(&mut self, node: NodeId) {
        if let Some(armed) = self.slot_mut(node).crash_midway.take() {
            self.tally.is_effective(armed.fault);
            self.go_down(node, armed.lasts);
        }
    }

    /// A node that is up stops and forgets all but its log.
    pub(super) fn go_down(&mut self, node: NodeId, lasts: Down) {
        let keeps_mail = self.scenario.protocol.mailbox == Mailbox::SurvivesCrash;
        let now = self.now;
        self.observe_crash(node);
        self.begin_outage(node);
        let slot = &mut self.slots[node.index()];
        slot.state = State::Down { for_good: lasts == Down::ForGood };
        slot.end_life();
        let in_transit = slot.in_transit();
        let frozen = slot.frozen.take();
        (slot.slow, slot.crash_midway, slot.append_failure) = (None, None, None);
        let messages = slot.lanes.get_mut(LaneId::Messages);
        slot.loses_next_message = keeps_mail && messages.delay.is_none() && messages.job.is_none();
        let mut kept = VecDeque::new();
        if keeps_mail {
            let is_message = |letter: &Letter| matches!(letter, Letter::Message { .. });
            kept.extend(messages.waiting.iter().copied().filter(is_message));
            messages.waiting.retain(|letter| !is_message(letter));
        }
        let lost = std::mem::take(&mut slot.lanes);
        if !kept.is_empty() {
            slot.lanes.get_mut(LaneId::Messages).waiting = kept;
        }
        lost.mail().for_each(|message| self.mail.throw_away(message));
        let held = frozen.iter().flat_map(|frozen| &frozen.held).filter_map(|(_, event)| event.mail());
        held.for_each(|message| self.mail.throw_away(message));
        if let Down::For(span) = lasts {
            let incarnation = slot.incarnation;
            self.queue.push(now + span, Event::Over(Over::Down { node, incarnation }));
        }
        if let Some(shared_cpu) = &mut self.shared_cpu {
            (0..in_transit).for_each(|_| shared_cpu.give_up(now));
            self.set_shared_cpu_tick();
        }
    }

    /// From now on a node does nothing.
    fn begin_outage(&mut self, node: NodeId) {
        if self.slot(node).outage.is_none() {
            let worked = self.active.as_ref().is_some_and(|(flow, _)| flow.is_assigned(node));
            self.slot_mut(node).outage = Some(self.outages.len());
            self.outages.push(Outage { node, from: self.now, until: None, worked });
        }
    }

    /// From now on it does something again.
    fn end_outage(&mut self, node: NodeId) {
        if let Some(number) = self.slot_mut(node).outage.take() {
            self.outages[number].until = Some(self.now);
        }
    }

    /// Tells the auditors of a crash, and lets it take what it takes of the log.
    fn observe_crash(&mut self, node: NodeId) {
        let slot = self.slot(node);
        let crashed = Crashed {
            leads: slot.node.leads(),
            is_planning: slot.node.is_planning(),
            awaits_batches: slot.node.in_transit() > 0,
        };
        let mut stream = stream(self.scenario.seed, Purpose::Crash, node, slot.incarnation);
        let lost = self.slots[node.index()].disk.crash(&self.scenario.faults.disks, &mut stream);
        // What the crash has not taken is there to stay.
        self.sync(node);
        for record in &lost {
            self.lose(node, record);
            self.observe(node, &Observation::LostAppend(record));
        }
        let torn = u64::from(!lost.is_empty() && self.scenario.faults.disks.torn);
        self.tally.count(FaultKind::LostAppend, lost.len() as u64, lost.len() as u64);
        self.tally.count(FaultKind::TornAppend, torn, torn);
        self.observe(node, &Observation::Crashed(crashed));
    }

    /// A node starts again from its log. One that is up, or was never started, is left alone.
    pub(super) fn recover(&mut self, node: NodeId) {
        let fault = self.tally.record(self.now, FaultKind::Recover, Some(node));
        if matches!(self.slot(node).state, State::Down { .. }) {
            self.tally.is_effective(fault);
            self.start(node);
        }
    }

    /// Something comes to a node that stands still.
    pub(super) fn hold_event(&mut self, node: NodeId, event: Event) {
        let (now, limit) = (self.now, self.scenario.protocol.mailbox_limit);
        let slot = self.slot_mut(node);
        let frozen = slot.frozen.as_mut().expect("it stands still");
        let is_full = limit.is_some_and(|limit| frozen.held.len() >= limit.get() as usize);
        if let (true, Some(message)) = (is_full, event.mail()) {
            slot.node.count(dmos_core::Metric::MessagesDropped);
            self.mail.throw_away(message);
            return;
        }
        let fault = frozen.fault;
        frozen.held.push((now, event));
        self.tally.is_effective(fault);
    }

    /// A node that stood still goes on, as if no time had passed: what it waited for comes as much later.
    fn thaw(&mut self, node: NodeId) {
        let now = self.now;
        let slot = self.slot_mut(node);
        let Some(frozen) = slot.frozen.take() else {
            return;
        };
        slot.stood_still(now.since(frozen.since));
        let incarnation = slot.incarnation;
        self.end_outage(node);
        for (came, event) in frozen.held {
            match event {
                // It was due at a moment that the clock has not come to yet.
                Event::Own { node, epoch, due } if due.waits_for_the_clock() => {
                    if let Some(behind) = self.slot(node).behind(epoch) {
                        self.come_back(node, (came + behind).since(now), due);
                    }
                }
                event => self.happen(event),
            }
        }
        for notice in self.board.notices() {
            if self.slot(node).incarnation == incarnation && self.slot(node).is_working() {
                self.handle(node, Input::Notice(&notice));
            }
        }
        self.give_orders(node);
    }

    /// A fault has lasted its time.
    pub(super) fn end_fault(&mut self, over: Over) {
        match over {
            Over::Down { node, incarnation } => {
                if self.slot(node).incarnation == incarnation
                    && matches!(self.slot(node).state, State::Down { .. })
                {
                    self.recover(node);
                }
            }
            Over::Frozen { node, fault } => {
                if self.slot(node).frozen.as_ref().is_some_and(|frozen| frozen.fault == fault) {
                    self.thaw(node);
                }
            }
            Over::Slow { node, fault } => {
                self.slot_mut(node).slow.take_if(|slow| slow.fault == fault);
            }
            Over::Cut { fault } => self.links.mend(fault),
        }
    }

    /// By a distribution, a node fails; when it will be back, and when it fails next, is drawn as well.
    pub(super) fn random_failure(&mut self, distribution: usize, node: NodeId) {
        if self.is_healed {
            return;
        }
        let (time_to_repair, time_to_failure) = &mut self.random_failures[distribution];
        let down = time_to_repair.draw(node).max(Span::from_millis(1));
        let next = time_to_failure.draw(node).max(Span::from_millis(1));
        self.fail(node, self.scenario.faults.random_failures[distribution].how, Down::For(down));
        self.queue.push(self.now + down + next, Event::RandomFailures { distribution, node });
    }

    /// From now on nothing fails any more, and what is under repair is repaired.
    pub(super) fn heal_all(&mut self) {
        self.is_healed = true;
        self.links.heal();
        for node in self.scenario.network.nodes() {
            let slot = self.slot_mut(node);
            (slot.slow, slot.crash_midway, slot.append_failure) = (None, None, None);
            match slot.state {
                State::Down { for_good: false } => self.recover(node),
                State::Up => self.thaw(node),
                State::Down { for_good: true } | State::Absent => {}
            }
        }
    }

    // The prototype's op_generator

    pub(super) fn op_generator_turn(&mut self) {
        let Some(mut op_generator) = self.op_generator.take().filter(|_| !self.is_healed) else {
            return;
        };
        let Orders { recover, crash } = op_generator.turn(|| self.op_generator_targets());
        self.op_generator = Some(op_generator);
        if let Some(node) = recover {
            self.recover(node);
        }
        if let Some(node) = crash {
            self.fail(node, FailureMode::Crash, Down::UntilRepaired);
        }
        if let Some(settings) = &self.scenario.faults.op_generator {
            self.queue.push(self.now + settings.turn, Event::OperatorTurn);
        }
    }

    /// Whom the op_generator may kill: nodes that work in the flow and count as living.
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
        // On a board, as in the prototype, a dead node that is not struck yet may be drawn, for nothing.
        let on_board = self.scenario.protocol.dissemination == Dissemination::Blackboard;
        let nodes = nodes(&self.slots).filter(|(_, slot)| on_board || slot.is_up()).map(|(node, _)| node);
        nodes.filter(|&node| !self.board.is_struck(node) && !spared(node) && flow.is_assigned(node)).collect()
    }
}

fn kind(how: FailureMode) -> FaultKind {
    match how {
        FailureMode::Crash => FaultKind::Crash,
        FailureMode::CrashMidway => FaultKind::CrashMidway,
        FailureMode::Freeze => FaultKind::Freeze,
    }
}
