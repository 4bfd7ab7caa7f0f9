//! Takes one event after the other and carries out what nodes want.

use std::collections::VecDeque;
use std::sync::Arc;

use dmos_core::record::{PlanRecord, Sample};
use dmos_core::settings::{Fault, Knowledge, Mailbox, TimedFault};
use dmos_core::{Flow, Metric, NodeId, RunRecord, Scenario, Span, Time};
use dmos_node::{Effect, Input, LogRecord, Message, Node, NodeSettings, Notice};

use crate::auditor::goods::GoodsAuditor;
use crate::board::Board;
use crate::costs::{appending, handling};
use crate::host::Host;
use crate::lanes::{Hold, Job, LANES, Lane, LaneId, Letter};
use crate::operator::{Operator, Orders};
use crate::queue::EventQueue;
use crate::streams::{Purpose, Sampler, phase};

/// Simulates a scenario from beginning to end.
///
/// Takes time in proportion to the events, each with the logarithm of those pending.
#[must_use]
pub fn run(scenario: &Scenario) -> RunRecord {
    let mut simulator = Simulator::new(scenario);
    let end = Time::ZERO + scenario.duration;
    while let Some((now, event)) = simulator.queue.pop_until(end) {
        simulator.now = now;
        simulator.events += 1;
        simulator.happen(event);
    }
    simulator.now = end;
    simulator.sample();
    simulator.finish()
}

/// Something that happens at a moment.
enum Event {
    /// A node starts for the first time.
    Start(NodeId),
    /// A message reaches a node.
    Message { to: NodeId, from: NodeId, message: Message },
    /// Something that a node set going in this life of its own; void after a crash.
    Own { node: NodeId, life: u32, letter: Letter },
    /// A piece of work is done, on a core of its own.
    WorkDone(Piece),
    /// A piece of work may be done on the shared host, unless the host was touched since.
    HostTick(u64),
    /// The operator's turn.
    OperatorTurn,
    /// The scripted fault of this number.
    Scripted(usize),
    /// A look at the whole network.
    Sample,
}

/// A piece of work: who does it, in which lane and in which life.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Piece {
    node: NodeId,
    lane: usize,
    life: u32,
}

/// A node with everything around it that is its own.
struct Slot {
    node: Node,
    /// The disk: it survives crashes.
    log: Vec<LogRecord>,
    is_up: bool,
    has_started: bool,
    /// Counts crashes, so that timers from before one are known to be void.
    life: u32,
    lanes: [Lane; LANES],
    /// Under `mailbox: survives_crash`, whether the node was idle at its crash.
    loses_next_message: bool,
}

struct Simulator<'a> {
    scenario: &'a Scenario,
    now: Time,
    queue: EventQueue<Event>,
    slots: Vec<Slot>,
    board: Board,
    /// The flow put in force last, by whomever, and who that was.
    in_force: Option<(Arc<Flow>, NodeId)>,
    delays: Sampler,
    transits: Sampler,
    work_is_instant: bool,
    host: Option<Host<Piece>>,
    host_ticks: u64,
    operator: Option<Operator>,
    auditor: GoodsAuditor<'a>,
    series: Vec<Sample>,
    plans: Vec<PlanRecord>,
    faults: Vec<TimedFault>,
    events: u64,
    /// Empty buffers for effects, to be used again.
    buffers: Vec<Vec<Effect>>,
}

impl<'a> Simulator<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        let network = &scenario.network;
        let settings = Arc::new(NodeSettings {
            network: Arc::clone(network),
            protocol: scenario.protocol.clone(),
            flow: scenario.flow.clone(),
            planning_budget: scenario.planning_budget.get(),
            leader: scenario.leader.build().into(),
            candidates: Arc::clone(&scenario.candidates),
        });
        let slot = |node| Slot {
            node: Node::new(node, Arc::clone(&settings)),
            log: Vec::new(),
            is_up: false,
            has_started: false,
            life: 0,
            lanes: Default::default(),
            loses_next_message: false,
        };
        let seed = scenario.seed;
        let sampler = |law, purpose| Sampler::new(law, seed, purpose, network.nodes());
        let mut simulator = Self {
            scenario,
            now: Time::ZERO,
            queue: EventQueue::new(),
            slots: network.nodes().map(slot).collect(),
            board: Board::default(),
            in_force: None,
            delays: sampler(&scenario.delays.message, Purpose::Message),
            transits: sampler(&scenario.delays.transit, Purpose::Transit),
            work_is_instant: scenario.work.is_instant(),
            host: scenario.work.host.map(|host| Host::new(host.cores.get())),
            host_ticks: 0,
            operator: scenario.faults.operator.as_ref().map(|operator| Operator::new(operator, seed)),
            auditor: GoodsAuditor::new(network),
            series: Vec::new(),
            plans: Vec::new(),
            faults: Vec::new(),
            events: 0,
            buffers: Vec::new(),
        };
        simulator.schedule_beginnings();
        simulator
    }

    fn schedule_beginnings(&mut self) {
        let scenario = self.scenario;
        for node in scenario.network.nodes() {
            let at = Time::ZERO + scenario.delays.between_starts * node.index() as u64;
            self.queue.push(at, Event::Start(node));
        }
        if let Some(operator) = &scenario.faults.operator {
            self.queue.push(Time::ZERO + operator.pause + operator.turn, Event::OperatorTurn);
        }
        for (number, fault) in scenario.faults.script.iter().enumerate() {
            self.queue.push(fault.at, Event::Scripted(number));
        }
        self.queue.push(Time::ZERO, Event::Sample);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Start(node) => {
                if !self.slot(node).has_started {
                    self.start(node);
                }
            }
            Event::Message { to, from, message } => self.arrive(to, from, message),
            Event::Own { node, life, letter } => {
                if self.slot(node).life == life {
                    self.hand_in(node, letter);
                }
            }
            Event::WorkDone(piece) => {
                if self.is_live(piece) {
                    self.end_work(piece);
                }
            }
            Event::HostTick(tick) => {
                if tick == self.host_ticks {
                    self.host_tick();
                }
            }
            Event::OperatorTurn => self.operator_turn(),
            Event::Scripted(number) => match self.scenario.faults.script[number].fault {
                Fault::Crash(node) => self.crash(node),
                Fault::Recover(node) => self.recover(node),
            },
            Event::Sample => {
                self.sample();
                self.queue.push(self.now + self.scenario.sample_every, Event::Sample);
            }
        }
    }

    fn slot(&self, node: NodeId) -> &Slot {
        &self.slots[node.index()]
    }

    fn slot_mut(&mut self, node: NodeId) -> &mut Slot {
        &mut self.slots[node.index()]
    }

    // Inputs

    /// A message reaches a node, or what is left of it.
    fn arrive(&mut self, to: NodeId, from: NodeId, message: Message) {
        let letter = Letter::Message { from, message };
        if self.slot(to).is_up {
            self.hand_in(to, letter);
        } else if std::mem::take(&mut self.slot_mut(to).loses_next_message) {
            // The prototype's idle node was waiting for a message when it went down: it takes and drops it.
        } else if self.scenario.protocol.mailbox == Mailbox::SurvivesCrash {
            self.slot_mut(to).lanes[LaneId::Messages as usize].waiting.push_back(letter);
        }
    }

    /// Works on a letter, or lets it wait for its turn.
    fn hand_in(&mut self, node: NodeId, letter: Letter) {
        let id = letter.lane();
        let lane = &mut self.slot_mut(node).lanes[id as usize];
        let released = lane.held_for.is_some() && lane.takes(&letter);
        if released {
            lane.held_for = None;
        }
        if released || (lane.takes(&letter) && lane.waiting.is_empty()) {
            self.work_on(node, id, letter);
            self.work_off(node, id);
        } else {
            lane.waiting.push_back(letter);
        }
    }

    /// Works on what waits in a lane, as long as nothing takes time.
    fn work_off(&mut self, node: NodeId, id: LaneId) {
        loop {
            let lane = &mut self.slot_mut(node).lanes[id as usize];
            let Some(letter) = lane.waiting.front() else {
                return;
            };
            if !lane.takes(letter) {
                return;
            }
            lane.held_for = None;
            if let Some(letter) = lane.waiting.pop_front() {
                self.work_on(node, id, letter);
            }
        }
    }

    fn work_on(&mut self, node: NodeId, id: LaneId, letter: Letter) {
        let (span, job) = match letter {
            Letter::Outgoing { to, message } => (self.scenario.work.send, Job::Release { to, message }),
            Letter::Think { ticket, span } => (span, Job::EndPlan(ticket)),
            letter => return self.work_on_input(node, id, letter),
        };
        self.begin_work(node, id, span, job);
    }

    /// Reckons the work of an input, which passes before the node acts on it.
    fn work_on_input(&mut self, node: NodeId, id: LaneId, letter: Letter) {
        if self.work_is_instant {
            self.handle(node, letter.into_input());
            return;
        }
        let load = self.slot(node).node.load();
        let span = handling(&self.scenario.work, self.scenario.network.node_count(), load, &letter);
        self.begin_work(node, id, span, Job::Act(letter));
    }

    /// Lets a node act on an input. What it appends takes time as well, before anything leaves it.
    fn act(&mut self, node: NodeId, id: LaneId, letter: Letter) {
        let mut effects = self.buffers.pop().unwrap_or_default();
        let now = self.now;
        self.slot_mut(node).node.handle(now, letter.into_input(), &mut effects);
        let span = appending(&self.scenario.work, self.slot(node).node.load(), &effects);
        self.append_all(node, &mut effects);
        self.begin_work(node, id, span, Job::CarryOut(effects));
    }

    /// Hands an input to a node and carries out at once what it wants.
    fn handle(&mut self, node: NodeId, input: Input<'_>) {
        let mut effects = self.buffers.pop().unwrap_or_default();
        let now = self.now;
        self.slot_mut(node).node.handle(now, input, &mut effects);
        self.carry_out(node, effects);
    }

    // Effects

    /// Appends are made when their work begins: nothing leaves the node before it ends.
    fn append_all(&mut self, node: NodeId, effects: &mut Vec<Effect>) {
        let auditor = &mut self.auditor;
        let log = &mut self.slots[node.index()].log;
        effects.retain_mut(|effect| match effect {
            Effect::Append(record) => {
                auditor.appended(node, record);
                log.push(record.clone());
                false
            }
            _ => true,
        });
    }

    fn carry_out(&mut self, node: NodeId, mut effects: Vec<Effect>) {
        for effect in effects.drain(..) {
            self.effect(node, effect);
        }
        self.buffers.push(effects);
    }

    fn effect(&mut self, node: NodeId, effect: Effect) {
        match effect {
            Effect::Append(record) => {
                self.auditor.appended(node, &record);
                self.slot_mut(node).log.push(record);
            }
            Effect::Send { to, message } if self.scenario.work.send.is_zero() => {
                self.release(node, to, message)
            }
            Effect::Send { to, message } => self.hand_in(node, Letter::Outgoing { to, message }),
            Effect::SetTimer { after, timer } => self.come_back(node, after, Letter::Timer(timer)),
            Effect::Transport { batch, blocking } => {
                if blocking {
                    self.hold(node, Hold::Batch(batch));
                }
                let span = self.transits.draw(node);
                self.come_back(node, span, Letter::Arrived(batch));
            }
            Effect::Plan { ticket, steps, blocking } => {
                let span = self.scenario.work.planning_step.of(steps);
                if blocking {
                    self.hold(node, Hold::Plan(ticket));
                }
                self.hand_in(node, Letter::Think { ticket, span });
            }
            Effect::Post(notice) => self.post(&notice),
            Effect::Report(report) => {
                self.plans.push(PlanRecord {
                    at: self.now,
                    by: node,
                    took: report.took,
                    steps: report.steps,
                    edges: report.flow.as_ref().map(|flow| flow.edges().len() as u64),
                    in_force: report.in_force,
                });
                if report.in_force {
                    self.in_force = Some((report.flow.unwrap_or_default(), node));
                }
            }
        }
    }

    fn hold(&mut self, node: NodeId, hold: Hold) {
        self.slot_mut(node).lanes[LaneId::Messages as usize].held_for = Some(hold);
    }

    fn come_back(&mut self, node: NodeId, after: Span, letter: Letter) {
        let life = self.slot(node).life;
        self.queue.push(self.now + after, Event::Own { node, life, letter });
    }

    fn release(&mut self, from: NodeId, to: NodeId, message: Message) {
        let at = self.now + self.delays.draw(from);
        self.queue.push(at, Event::Message { to, from, message });
    }

    fn post(&mut self, notice: &Notice) {
        if self.board.post(notice) {
            for node in self.scenario.network.nodes() {
                if self.slot(node).is_up {
                    self.handle(node, Input::Notice(notice));
                }
            }
        }
    }

    // Work

    /// Lets the time of a piece of work pass, then does its job.
    fn begin_work(&mut self, node: NodeId, id: LaneId, span: Span, job: Job) {
        if span.is_zero() {
            self.do_job(node, id, job);
            return;
        }
        let now = self.now;
        let slot = self.slot_mut(node);
        let lane = &mut slot.lanes[id as usize];
        assert!(lane.job.is_none(), "a lane does one thing after the other");
        lane.job = Some(job);
        let piece = Piece { node, lane: id as usize, life: slot.life };
        match &mut self.host {
            Some(host) => {
                host.begin(now, span, piece);
                self.set_host_tick();
            }
            None => self.queue.push(now + span, Event::WorkDone(piece)),
        }
    }

    fn is_live(&self, piece: Piece) -> bool {
        self.slot(piece.node).life == piece.life
    }

    fn end_work(&mut self, piece: Piece) {
        let lane = &mut self.slot_mut(piece.node).lanes[piece.lane];
        let job = lane.job.take().expect("a lane that works has a job");
        let id = LaneId::ALL[piece.lane];
        self.do_job(piece.node, id, job);
        self.work_off(piece.node, id);
    }

    fn do_job(&mut self, node: NodeId, id: LaneId, job: Job) {
        match job {
            Job::Act(letter) => self.act(node, id, letter),
            Job::CarryOut(effects) => self.carry_out(node, effects),
            Job::EndPlan(ticket) => self.come_back(node, Span::ZERO, Letter::Planned(ticket)),
            Job::Release { to, message } => self.release(node, to, message),
        }
    }

    fn set_host_tick(&mut self) {
        self.host_ticks += 1;
        if let Some(at) = self.host.as_ref().and_then(Host::next_end) {
            self.queue.push(at, Event::HostTick(self.host_ticks));
        }
    }

    fn host_tick(&mut self) {
        let (now, slots) = (self.now, &self.slots);
        let is_live = |piece: &Piece| slots[piece.node.index()].life == piece.life;
        let ended = self.host.as_mut().and_then(|host| host.take_ended(now, is_live));
        if let Some(piece) = ended {
            self.end_work(piece);
        }
        self.set_host_tick();
    }

    // Faults

    fn start(&mut self, node: NodeId) {
        let seed = self.scenario.seed;
        let period = self.scenario.protocol.heartbeat;
        let now = self.now;
        let mut effects = self.buffers.pop().unwrap_or_default();
        let slot = self.slot_mut(node);
        let recovering = slot.has_started;
        (slot.is_up, slot.has_started, slot.loses_next_message) = (true, true, false);
        let phase = phase(seed, node, slot.life, period);
        slot.node.handle(now, Input::Start { records: &slot.log, recovering, phase }, &mut effects);
        self.carry_out(node, effects);
        for notice in self.board.notices() {
            self.handle(node, Input::Notice(&notice));
        }
        self.work_off(node, LaneId::Messages);
    }

    /// A node stops and forgets all but its log. One that is down stays down.
    fn crash(&mut self, node: NodeId) {
        let keeps_mail = self.scenario.protocol.mailbox == Mailbox::SurvivesCrash;
        let now = self.now;
        let slot = &mut self.slots[node.index()];
        if !slot.is_up {
            return;
        }
        self.faults.push(TimedFault { at: now, fault: Fault::Crash(node) });
        slot.is_up = false;
        slot.life += 1;
        let under_way = slot.lanes.iter().filter(|lane| lane.job.is_some()).count();
        let messages = &mut slot.lanes[LaneId::Messages as usize];
        slot.loses_next_message = keeps_mail && messages.held_for.is_none() && messages.job.is_none();
        let mail = std::mem::take(&mut messages.waiting);
        slot.lanes = Default::default();
        if keeps_mail {
            let is_message = |letter: &Letter| matches!(letter, Letter::Message { .. });
            let mail: VecDeque<_> = mail.into_iter().filter(is_message).collect();
            slot.lanes[LaneId::Messages as usize].waiting = mail;
        }
        if let Some(host) = &mut self.host {
            (0..under_way).for_each(|_| host.give_up(now));
            self.set_host_tick();
        }
    }

    /// A node starts again from its log. One that is up, or was never started, is left alone.
    fn recover(&mut self, node: NodeId) {
        let slot = self.slot(node);
        if !slot.is_up && slot.has_started {
            self.faults.push(TimedFault { at: self.now, fault: Fault::Recover(node) });
            self.start(node);
        }
    }

    fn operator_turn(&mut self) {
        let Some(mut operator) = self.operator.take() else {
            return;
        };
        let Orders { recover, crash } = operator.turn(|| self.targets());
        self.operator = Some(operator);
        if let Some(node) = recover {
            self.recover(node);
        }
        if let Some(node) = crash {
            self.crash(node);
        }
        if let Some(settings) = &self.scenario.faults.operator {
            self.queue.push(self.now + settings.turn, Event::OperatorTurn);
        }
    }

    /// Whom the operator may kill: nodes that work in the flow and count as living.
    fn targets(&self) -> Vec<NodeId> {
        let (Some(settings), Some((flow, leader))) = (&self.scenario.faults.operator, &self.in_force) else {
            return Vec::new();
        };
        let last = self.scenario.network.node_count() - 1;
        let spared = |node: NodeId| {
            (!settings.leader_can_fail && node == *leader)
                || (!settings.ends_can_fail && (node.index() == 0 || node.index() == last))
        };
        // On a board, as in the prototype, a dead node that is not struck yet may be drawn, for nothing.
        let on_board = self.scenario.protocol.knowledge == Knowledge::Board;
        let nodes = self.scenario.network.nodes().filter(|&node| on_board || self.slot(node).is_up);
        nodes.filter(|&node| !self.board.is_struck(node) && !spared(node) && flow.works(node)).collect()
    }

    // The record

    fn sample(&mut self) {
        let mut sample = Sample { at: self.now, nodes_up: 0, made: 0, final_made: 0, stock: 0, messages: 0 };
        for (node, slot) in self.scenario.network.nodes().zip(&self.slots) {
            let metrics = slot.node.metrics();
            let made = u64::from(self.scenario.network.quantity_made(node));
            sample.made += metrics.get(Metric::SuccessfulManufactureCycles) * made;
            sample.final_made += metrics.get(Metric::FinalBatchesMade);
            sample.messages += metrics.get(Metric::SentMessages);
            if slot.is_up {
                sample.nodes_up += 1;
                sample.stock += slot.node.stock();
            }
        }
        // The last look is at the end, where one may be due anyway.
        if self.series.last().is_none_or(|last| last.at < sample.at) {
            self.series.push(sample);
        }
    }

    fn finish(self) -> RunRecord {
        let slots = &self.slots;
        let holdings = |node: NodeId| {
            let slot = &slots[node.index()];
            slot.is_up.then(|| slot.node.holdings())
        };
        RunRecord {
            goods: self.auditor.finish(holdings),
            nodes: self.slots.iter().map(|slot| slot.node.metrics().clone()).collect(),
            operator: self.operator.map(|operator| operator.record),
            series: self.series,
            plans: self.plans,
            faults: self.faults,
            events: self.events,
        }
    }
}
