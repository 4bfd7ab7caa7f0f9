//! The event loop of the simulation.

mod effects;
mod injection;
mod lifecycle;
mod outbox;
#[cfg(test)]
mod residence;
mod work;

use dmos_audit::Observation;
use dmos_core::faults::Condition;
use dmos_core::scenario::SameTimeOrder;
use dmos_core::settings::Mailbox;
use dmos_core::{FlowVersion, NodeId, RunRecord, Scenario, Span, Time};
use dmos_node::{Effect, Input};

use crate::cpu::{Cpu, WorkItem, WorkerId};
use crate::event::{Completion, Event};
use crate::event_queue::EventQueue;
use crate::faults::FaultInjector;
use crate::nodes::{Nodes, SimNode, State};
use crate::prototype::Blackboard;
use crate::recorder::Recorder;
use crate::rng::{ProcessTimeSampler, Purpose, stream};
use crate::transport::{MessageId, MessageStore, Transport};
use outbox::Outbox;

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

/// A simulation in progress.
pub(crate) struct Simulator<'a> {
    scenario: &'a Scenario,
    now: Time,
    queue: EventQueue<Event>,
    nodes: Nodes,
    cpu: Cpu,
    transport: Transport,
    process_times: ProcessTimeSampler<'a>,
    blackboard: Blackboard,
    faults: FaultInjector,
    recorder: Recorder<'a>,
    /// Identifiers that nodes gave to their plans, by number.
    plan_ids: Vec<FlowVersion>,
    /// Empty buffers for effects, kept for reuse.
    buffers: Vec<Vec<Effect>>,
}

impl<'a> Simulator<'a> {
    pub(crate) fn new(scenario: &'a Scenario) -> Self {
        let same_time_order = (scenario.same_time_order == SameTimeOrder::Shuffled)
            .then(|| stream(scenario.seed, Purpose::SameTimeOrder, NodeId::new(0), 0));
        let mut simulator = Self {
            scenario,
            now: Time::ZERO,
            queue: EventQueue::new(same_time_order),
            nodes: Nodes::new(scenario),
            cpu: Cpu::new(scenario),
            transport: Transport::new(scenario),
            process_times: ProcessTimeSampler::new(scenario),
            blackboard: Blackboard::default(),
            faults: FaultInjector::new(scenario),
            recorder: Recorder::new(scenario),
            plan_ids: Vec::new(),
            buffers: Vec::new(),
        };
        simulator.faults.count_clock_drift(scenario, &simulator.nodes);
        simulator.schedule_initial_events();
        simulator
    }

    fn schedule_initial_events(&mut self) {
        let scenario = self.scenario;
        let later: Vec<NodeId> = scenario.added_later().collect();
        for node in scenario.network.nodes().filter(|node| !later.contains(node)) {
            let at = Time::ZERO + scenario.between_starts * node.index() as u64;
            self.queue.push(at, Event::Start(node));
        }
        self.faults.schedule(scenario, &mut self.queue);
        self.queue.push_first(Time::ZERO, Event::Sample);
        if !scenario.measure_from.is_zero() {
            self.queue.push(Time::ZERO + scenario.measure_from, Event::WarmUpEnd);
        }
    }

    /// Runs to the end. Passes every event to `watch` before it is handled, with its time and the message
    /// store.
    pub(crate) fn run(mut self, mut watch: impl FnMut(Time, Event, &MessageStore)) -> RunRecord {
        let end = Time::ZERO + self.scenario.duration;
        let (mut at_one_time, events_at_one_time_max) = (0, self.events_at_one_time_max());
        while let Some((now, event)) = self.queue.pop_until(end) {
            at_one_time = if now == self.now { at_one_time + 1 } else { 0 };
            self.now = now;
            self.recorder.count_event();
            watch(now, event, &self.transport.messages);
            self.dispatch(event);
            if at_one_time > events_at_one_time_max {
                self.recorder.on_zero_delay_loop(now, at_one_time);
                break;
            }
        }
        self.now = end;
        self.recorder.sample(end, &self.nodes);
        self.finish()
    }

    fn finish(mut self) -> RunRecord {
        debug_assert_eq!(
            self.transport.messages.len(),
            self.unread(),
            "stored and pending messages must match"
        );
        // Where appending takes time, the run may end during an append.
        self.scenario.network.nodes().for_each(|node| self.sync(node));
        self.recorder.finish(self.now, &self.nodes, self.faults)
    }

    /// Returns the number of messages that are sent and not read.
    fn unread(&self) -> usize {
        let in_transit = self.queue.pending().filter_map(Event::message_id).count();
        in_transit + self.nodes.iter().flat_map(|(_, sim_node)| sim_node.unread_messages()).count()
    }

    fn dispatch(&mut self, event: Event) {
        match event {
            Event::Start(node) => {
                if self.node(node).state == State::Absent {
                    self.start(node);
                }
            }
            Event::Message { to, from, message } if self.acts_at_once(to, WorkerId::Messages) => {
                let message = &self.transport.messages.take(message);
                self.handle(to, Input::Message { from, message });
            }
            Event::Message { to, from, message } => self.arrive(to, from, message),
            Event::Completion { node, epoch, completion } => self.complete(node, epoch, completion),
            Event::TaskEnd(task) => self.end_task(task),
            Event::SharedCpuTick => self.end_shared_task(),
            Event::OpGeneratorCycle => self.run_op_generator(),
            Event::ScriptedFault(number) => self.inject_scripted_fault(number),
            Event::RandomFailure { entry, node } => self.inject_random_failure(entry, node),
            Event::FaultEnd(end) => self.end_fault(end),
            Event::HealAll => self.heal_all(),
            Event::WarmUpEnd => {
                self.recorder.end_warm_up(self.now, &self.nodes);
                self.faults.counts.end_warm_up();
            }
            Event::Sample => {
                self.recorder.sample(self.now, &self.nodes);
                // Samples draw no random order, so that they do not change what they observe.
                self.queue.push_first(self.now + self.scenario.sample_every, Event::Sample);
            }
        }
    }

    /// Returns the number of events at one time beyond which the run is considered to be stuck: several
    /// thousand for each node.
    fn events_at_one_time_max(&self) -> u64 {
        100_000 + 10_000 * self.nodes.len() as u64
    }

    fn node(&self, node: NodeId) -> &SimNode {
        &self.nodes[node]
    }

    fn node_mut(&mut self, node: NodeId) -> &mut SimNode {
        &mut self.nodes[node]
    }

    fn observe(&mut self, node: NodeId, observation: &Observation<'_>) {
        self.recorder.observe(self.now, node, observation);
    }

    #[inline]
    fn on_condition(&mut self, condition: Condition) {
        self.faults.on_condition(self.now, &mut self.queue, condition);
    }

    // Inputs of nodes.

    /// Completes an action that a node initiated, unless the node has crashed since, is frozen, or its clock
    /// was stopped in between.
    #[inline]
    fn complete(&mut self, node: NodeId, epoch: u32, completion: Completion) {
        if self.node(node).epoch() == epoch && self.acts_at_once(node, WorkerId::of(completion)) {
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
                self.schedule_completion(node, time_lost, completion);
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
            self.transport.messages.discard(message);
        } else if self.scenario.protocol.mailbox == Mailbox::SurvivesCrash {
            self.queue_item(to, WorkerId::Messages, WorkItem::Message { from, message });
        } else {
            self.transport.messages.discard(message);
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
        let Self { nodes, transport, queue, buffers, .. } = self;
        let (now, sim_node) = (self.now, &mut nodes[node]);
        let is_open = self.cpu.sending_is_instant
            && sim_node.crash_midway.is_none()
            && sim_node.disk.unsynced().is_empty();
        let (epoch, clock, left) = (sim_node.epoch(), sim_node.clock, Vec::new());
        let occupancy_has_changed = false;
        let mut outbox = Outbox {
            now,
            transport,
            queue,
            node,
            epoch,
            clock,
            is_open,
            left,
            occupancy_has_changed,
            buffers,
        };
        sim_node.deliver(now, input, &mut outbox);
        let Outbox { left, occupancy_has_changed, .. } = outbox;
        if occupancy_has_changed {
            self.recorder.on_occupancy(now, node, &self.nodes[node]);
        }
        self.count_applied_faults();
        if !(is_open && left.is_empty()) {
            self.execute(node, left);
        }
    }

    /// Counts the faults of messages that were just sent.
    #[inline(always)]
    fn count_applied_faults(&mut self) {
        while let Some(applied) = self.transport.take_applied_fault() {
            let receiver_is_up = self.nodes[applied.to].is_up();
            self.faults.counts.count_message_fault(applied, receiver_is_up);
        }
    }

    /// Schedules the completion of an action that a node initiates now.
    #[inline(always)]
    fn schedule_completion(&mut self, node: NodeId, after: Span, completion: Completion) {
        let epoch = self.node(node).epoch();
        self.queue.push(self.now + after, Event::Completion { node, epoch, completion });
    }
}
