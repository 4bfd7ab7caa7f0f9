//! The event loop of the simulation.

mod effects;
mod faults;
mod outbox;
mod recorder;
mod script;
mod sim_node;
mod trace;
mod transmit;
mod work;

use std::sync::Arc;

use dmos_audit::{InvariantChecker, Observation};
use dmos_core::scenario::SameTimeOrder;
use dmos_core::settings::Mailbox;
use dmos_core::{FaultKind, Flow, FlowVersion, NodeId, RunRecord, Scenario, Time};
use dmos_node::{Effect, Input, Node, NodeSettings};
use rand::RngExt;

use crate::blackboard::Blackboard;
use crate::event_queue::EventQueue;
use crate::links::Links;
use crate::message_store::{MessageId, MessageStore};
use crate::node_clock::Clock;
use crate::rng::{Purpose, Sampler, stream};
use crate::shared_cpu::SharedCpu;
use crate::workers::{Completion, WorkItem, WorkerId};
use faults::FaultInjector;
use outbox::Outbox;
use recorder::Recorder;
use sim_node::{SimNode, State};
pub use trace::{Line, Trace, run_traced};
use transmit::{MessageEffect, Transmitter};

/// Simulates a scenario from beginning to end.
///
/// Time is linear in the number of events, however many are pending.
///
/// ```
/// use dmos_core::{Metric, Registry};
/// use dmos_strategies as _;
///
/// let text = "network: {named: three-nodes}\nduration: 60s\n";
/// let registry = Registry::collect().expect("unique names");
/// let loaded = dmos_scenario::parse("example.yaml", "example", text.to_owned(), &[], &registry);
/// let record = dmos_sim::run(&loaded.expect("a valid scenario").scenario);
/// let finished: u64 = record.nodes.iter().map(|node| node.get(Metric::FinishedGoodsMade)).sum();
/// assert!(record.is_clean() && finished > 10);
/// ```
#[must_use]
pub fn run(scenario: &Scenario) -> RunRecord {
    Simulator::new(scenario).run(|_, _, _| {})
}

/// An event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Event {
    /// A node starts for the first time.
    Start(NodeId),
    /// A message arrives at a node.
    Message { to: NodeId, from: NodeId, message: MessageId },
    /// An action that a node initiated completes; `epoch` is the node's epoch at that time.
    Completion { node: NodeId, epoch: u32, completion: Completion },
    /// A piece of work ends on a core of its own.
    WorkDone(Piece),
    /// A piece of work ends on the shared CPU.
    SharedCpuTick,
    /// A cycle of the op generator.
    OpGeneratorCycle,
    /// The scripted fault with this number occurs.
    ScriptedFault(usize),
    /// A random failure of a node, from this entry of `faults.random_failures`.
    RandomFailure { entry: usize, node: NodeId },
    /// A temporary fault ends.
    FaultEnd(FaultEnd),
    /// All faults end and everything is repaired.
    HealAll,
    /// A sample of the time series is taken.
    Sample,
}

impl Event {
    /// Returns the identifier of the message that the event carries.
    fn message_id(self) -> Option<MessageId> {
        match self {
            Self::Message { message, .. } => Some(message),
            _ => None,
        }
    }
}

/// The end of a temporary fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum FaultEnd {
    /// The node recovers, if it is still in the incarnation in which it went down.
    Down { node: NodeId, incarnation: u32 },
    /// The node thaws, if it is still frozen by the fault with this number.
    Frozen { node: NodeId, fault: usize },
    /// The node runs at full speed again, if it is still slowed by the fault with this number.
    Slow { node: NodeId, fault: usize },
    /// The fault of links ends.
    Links { fault: usize },
}

/// A piece of work of one worker of a node, in one incarnation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Piece {
    node: NodeId,
    worker: WorkerId,
    incarnation: u32,
}

struct Simulator<'a> {
    scenario: &'a Scenario,
    now: Time,
    queue: EventQueue<Event>,
    messages: MessageStore,
    /// Identifiers that nodes gave to their plans, by number.
    plan_ids: Vec<FlowVersion>,
    nodes: Vec<SimNode>,
    blackboard: Blackboard,
    /// The active flow and the node that activated it.
    active: Option<(Arc<Flow>, NodeId)>,
    /// The node that became leader last.
    last_leader: Option<NodeId>,
    links: Links,
    transits: Sampler,
    work_is_instant: bool,
    /// True if messages and timers can be dispatched while a node is still handling its input.
    dispatches_early: bool,
    shared_cpu: Option<SharedCpu<Piece>>,
    faults: FaultInjector,
    checker: InvariantChecker<'a>,
    recorder: Recorder,
    /// Empty buffers for effects, kept for reuse.
    buffers: Vec<Vec<Effect>>,
    /// Faults of messages that are not counted yet.
    message_effects: Vec<MessageEffect>,
}

impl<'a> Simulator<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        let (network, seed) = (&scenario.network, scenario.seed);
        let settings = Arc::new(NodeSettings {
            network: Arc::clone(network),
            protocol: scenario.protocol.clone(),
            flow: scenario.flow.clone(),
            planning_budget: scenario.planning_budget.get(),
            mean_durations: scenario.mean_durations(),
            seed,
            leader: scenario.leader.build().into(),
            candidates: Arc::clone(&scenario.candidates),
            added_later: scenario.added_later().collect(),
        });
        let drift = scenario.faults.clocks.drift;
        let clock = |node| match drift {
            0.0 => Clock::new(0.0),
            drift => Clock::new(drift * (stream(seed, Purpose::Clock, node, 0).random::<f64>() * 2.0 - 1.0)),
        };
        let sim_node = |node| SimNode::new(Node::new(node, Arc::clone(&settings)), clock(node), scenario);
        let same_time_order = (scenario.same_time_order == SameTimeOrder::Shuffled)
            .then(|| stream(seed, Purpose::SameTimeOrder, NodeId::new(0), 0));
        let mut simulator = Self {
            scenario,
            now: Time::ZERO,
            queue: EventQueue::new(same_time_order),
            messages: MessageStore::default(),
            plan_ids: Vec::new(),
            nodes: network.nodes().map(sim_node).collect(),
            blackboard: Blackboard::default(),
            active: None,
            last_leader: None,
            links: Links::new(scenario),
            transits: Sampler::new(&scenario.delays.transit, seed, Purpose::Transit, network.nodes()),
            work_is_instant: scenario.work.is_instant(),
            dispatches_early: scenario.work.send.is_zero(),
            shared_cpu: scenario.work.shared_cpu.map(|shared_cpu| SharedCpu::new(shared_cpu.cores.get())),
            faults: FaultInjector::new(scenario),
            checker: InvariantChecker::new(scenario),
            recorder: Recorder::default(),
            buffers: Vec::new(),
            message_effects: Vec::new(),
        };
        if drift != 0.0 {
            let wrong =
                simulator.nodes.iter().filter(|sim_node| !sim_node.clock.is_accurate()).count() as u64;
            simulator.faults.counts.count(FaultKind::Drift, network.node_count() as u64, wrong);
        }
        simulator.schedule_initial_events();
        simulator
    }

    fn schedule_initial_events(&mut self) {
        let scenario = self.scenario;
        let later: Vec<NodeId> = scenario.added_later().collect();
        for node in scenario.network.nodes().filter(|node| !later.contains(node)) {
            let at = Time::ZERO + scenario.delays.between_starts * node.index() as u64;
            self.queue.push(at, Event::Start(node));
        }
        if let Some(op_generator) = &scenario.faults.op_generator {
            self.queue.push(Time::ZERO + op_generator.pause + op_generator.cycle, Event::OpGeneratorCycle);
        }
        for (at, number) in self.faults.script.timed(scenario) {
            self.queue.push_first(at, Event::ScriptedFault(number));
        }
        for (entry, failures) in scenario.faults.random_failures.iter().enumerate() {
            for &node in &failures.nodes {
                let at = Time::ZERO + self.faults.random_failures[entry].1.draw(node);
                self.queue.push(at, Event::RandomFailure { entry, node });
            }
        }
        if let Some(at) = scenario.faults.heal_at {
            self.queue.push_first(at, Event::HealAll);
        }
        self.queue.push(Time::ZERO, Event::Sample);
    }

    /// Runs to the end. Passes every event to `watch` before it is handled, with its time and the message
    /// store.
    fn run(mut self, mut watch: impl FnMut(Time, Event, &MessageStore)) -> RunRecord {
        let end = Time::ZERO + self.scenario.duration;
        let (mut at_this_instant, instant_max) = (0, self.instant_max());
        while let Some(next) = self.queue.next_until(end) {
            let now = next.at;
            at_this_instant = if now == self.now { at_this_instant + 1 } else { 0 };
            self.now = now;
            self.recorder.events += 1;
            let event = self.queue.take(next);
            watch(now, event, &self.messages);
            self.dispatch(event);
            if at_this_instant > instant_max {
                self.checker.on_endless_instant(now, at_this_instant);
                break;
            }
        }
        self.now = end;
        self.sample();
        self.finish()
    }

    fn dispatch(&mut self, event: Event) {
        match event {
            Event::Start(node) => {
                if self.node(node).state == State::Absent {
                    self.start(node);
                }
            }
            Event::Message { to, from, message } if self.acts_at_once(to, WorkerId::Messages) => {
                let message = &self.messages.take(message);
                self.handle(to, Input::Message { from, message });
            }
            Event::Message { to, from, message } => self.arrive(to, from, message),
            Event::Completion { node, epoch, completion } => self.complete(node, epoch, completion),
            Event::WorkDone(piece) => self.work_done(piece),
            Event::SharedCpuTick => self.shared_cpu_tick(),
            Event::OpGeneratorCycle => self.op_generator_cycle(),
            Event::ScriptedFault(number) => self.scripted(number),
            Event::RandomFailure { entry, node } => self.random_failure(entry, node),
            Event::FaultEnd(over) => self.end_fault(over),
            Event::HealAll => self.heal_all(),
            Event::Sample => {
                self.sample();
                self.queue.push(self.now + self.scenario.sample_every, Event::Sample);
            }
        }
    }

    /// Returns the number of events at one instant beyond which the run is considered to be stuck: several
    /// thousand for each node.
    fn instant_max(&self) -> u64 {
        100_000 + 10_000 * self.nodes.len() as u64
    }

    fn node(&self, node: NodeId) -> &SimNode {
        &self.nodes[node.index()]
    }

    fn node_mut(&mut self, node: NodeId) -> &mut SimNode {
        &mut self.nodes[node.index()]
    }

    fn observe(&mut self, node: NodeId, observation: &Observation<'_>) {
        self.checker.observe(self.now, node, observation);
    }

    // Inputs of nodes.

    /// Completes an action that a node initiated, unless the node has crashed since, is frozen, or its clock
    /// was stopped in between.
    #[inline]
    fn complete(&mut self, node: NodeId, epoch: u32, completion: Completion) {
        if self.node(node).epoch() == epoch && self.acts_at_once(node, completion.worker()) {
            self.handle(node, self.input_of(completion));
        } else {
            self.complete_later(node, epoch, completion);
        }
    }

    #[inline(never)]
    fn complete_later(&mut self, node: NodeId, epoch: u32, completion: Completion) {
        let sim_node = self.node(node);
        match sim_node.time_lost(epoch) {
            None => {}
            Some(_) if sim_node.is_frozen() => {
                self.hold_event(node, Event::Completion { node, epoch, completion })
            }
            Some(time_lost) if sim_node.epoch() != epoch && completion.follows_node_clock() => {
                self.schedule(node, time_lost, completion);
            }
            Some(_) => self.enqueue(node, WorkItem::Completion(completion)),
        }
    }

    /// Handles the arrival of a message at a node that is busy or not running.
    #[inline(never)]
    fn arrive(&mut self, to: NodeId, from: NodeId, message: MessageId) {
        if self.node(to).is_running() {
            self.enqueue(to, WorkItem::Message { from, message });
        } else if self.node(to).is_frozen() {
            self.hold_event(to, Event::Message { to, from, message });
        } else if std::mem::take(&mut self.node_mut(to).loses_next_message) {
            // The prototype's idle node was waiting for a message when it went down; it takes that message
            // and loses it.
            self.messages.discard(message);
        } else if self.scenario.protocol.mailbox == Mailbox::SurvivesCrash {
            self.wait(to, WorkerId::Messages, WorkItem::Message { from, message });
        } else {
            self.messages.discard(message);
        }
    }

    /// Returns the input for the completion of an action.
    #[inline]
    fn input_of(&self, completion: Completion) -> Input<'static> {
        match completion {
            Completion::Timer(timer) => Input::Timer(timer),
            Completion::Arrived(batch) => Input::Arrived(batch),
            Completion::Planned(plan) => Input::Planned(self.plan_ids[plan as usize]),
        }
    }

    /// Passes an input to a node and executes its effects.
    #[inline(always)]
    fn handle(&mut self, node: NodeId, input: Input<'_>) {
        let Self { nodes, links, messages, queue, buffers, message_effects, .. } = self;
        let (now, sim_node) = (self.now, &mut nodes[node.index()]);
        let is_open =
            self.dispatches_early && sim_node.crash_midway.is_none() && sim_node.disk.unsynced().is_empty();
        let (epoch, clock, left) = (sim_node.epoch(), sim_node.clock, Vec::new());
        let transmitter = Transmitter { now, links, messages, queue };
        let mut outbox = Outbox { transmitter, node, epoch, clock, is_open, left, buffers, message_effects };
        sim_node.deliver(now, input, &mut outbox);
        let left = outbox.left;
        while let Some(message_effect) = self.message_effects.pop() {
            self.count_message_effect(message_effect);
        }
        if !(is_open && left.is_empty()) {
            self.execute(node, left);
        }
    }
}
