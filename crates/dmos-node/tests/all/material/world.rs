//! Three nodes with their logs, the network between them, and the invariant checker.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;
use std::sync::{Arc, LazyLock};

use dmos_audit::observation::{LogAtStart, StateAtCrash};
use dmos_audit::{InvariantChecker, NodeAtEnd, Observation};
use dmos_core::{BatchId, FlowVersion, Metric, NodeId, Scenario, Span, Time};
use dmos_node::{Effect, Input, LogRecord, Message, Node, NodeSettings, Scrapped, Timer};

/// Bounds of an exploration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Bounds {
    /// Number of production runs that end, of all nodes.
    pub(crate) runs: u8,
    /// Number of retransmissions.
    pub(crate) retransmissions: u8,
    /// Number of heartbeat rounds.
    pub(crate) heartbeats: u8,
    /// Number of duplicates of messages.
    pub(crate) duplicates: u8,
    /// Number of crashes of each of the two suppliers.
    pub(crate) crashes: [u8; 2],
}

impl Bounds {
    /// The explorations of the test: crashes of the consumer, and of the supplier.
    pub(crate) const ALL: [Self; 2] = [
        Self { runs: 3, retransmissions: 2, heartbeats: 1, duplicates: 1, crashes: [0, 1] },
        Self { runs: 3, retransmissions: 1, heartbeats: 2, duplicates: 1, crashes: [1, 0] },
    ];
}

/// Something that happens to a node. Numbers are indices of what is pending.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    Deliver(usize),
    /// Delivers a message, a copy of which remains.
    Duplicate(usize),
    Expire(usize),
    Arrive(usize),
}

/// An event, which a crash may cut short.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Event {
    node: usize,
    kind: Kind,
    /// Number of effects before the node crashes and restarts.
    crash_after: Option<usize>,
}

impl Event {
    pub(crate) fn node(self) -> usize {
        self.node
    }

    pub(crate) fn with_crash_after(self, effects: usize) -> Self {
        Self { crash_after: Some(effects), ..self }
    }
}

#[derive(Default)]
struct Pending {
    timers: Vec<(Time, Timer)>,
    arrivals: Vec<(Time, BatchId)>,
    plans: Vec<FlowVersion>,
}

/// All nodes and what is pending.
pub(crate) struct World {
    now: Time,
    nodes: Vec<Node>,
    logs: Vec<Vec<LogRecord>>,
    pending: Vec<Pending>,
    /// Messages in flight: sender, receiver and content.
    messages: Vec<(usize, usize, Rc<Message>)>,
    checker: InvariantChecker<'static>,
    left: Bounds,
}

const NODES: usize = 3;
const TRANSIT: Span = Span::from_secs(1);

/// The scenario: a chain, whose last node plans. The first is slow, so that orders wait for it.
static SCENARIO: LazyLock<Scenario> = LazyLock::new(|| {
    dmos_testkit::scenario(
        "network: {nodes: [{makes: ore, process_time: 2s}, {makes: steel, needs: [ore]}, {makes: gear, needs: [steel]}]}\n\
         duration: 1h\ncandidates: 1\nleader: last-writer\n\
         protocol: {stock_limit: 2, compact_after: null, retry_after: 2s, retry_max: 4s, heartbeat: 2s, suspect_after: 20s}\n\
         delays: {message: 10ms, transit: 1s}\n",
    )
});

static SETTINGS: LazyLock<Arc<NodeSettings>> =
    LazyLock::new(|| Arc::new(dmos_testkit::settings_of(&SCENARIO)));

impl World {
    /// Returns the state after events, which follow a start in which nothing fails.
    pub(crate) fn after(events: &[Event], bounds: Bounds) -> Self {
        let node = |index| Node::new(NodeId::new(index), Arc::clone(&SETTINGS));
        let mut world = Self {
            now: Time::ZERO,
            nodes: (0..NODES).map(node).collect(),
            logs: vec![Vec::new(); NODES],
            pending: (0..NODES).map(|_| Pending::default()).collect(),
            messages: Vec::new(),
            checker: InvariantChecker::new(&SCENARIO),
            left: bounds,
        };
        (0..NODES).for_each(|node| world.start(node, false));
        world.run_until(Time::ZERO + Span::from_secs(7));
        for &event in events {
            world.handle(event);
        }
        world
    }

    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for ((node, log), pending) in self.nodes.iter().zip(&self.logs).zip(&self.pending) {
            format!("{node:?}{log:?}").hash(&mut hasher);
            let timers: BTreeSet<String> = pending.timers.iter().map(|timer| format!("{timer:?}")).collect();
            (timers, &pending.arrivals).hash(&mut hasher);
        }
        let messages: BTreeSet<String> = self.messages.iter().map(|message| format!("{message:?}")).collect();
        messages.hash(&mut hasher);
        format!("{:?}{:?}", self.now, self.left).hash(&mut hasher);
        hasher.finish()
    }

    /// Returns whether a node may crash.
    pub(crate) fn can_crash(&self, node: usize) -> bool {
        self.left.crashes.get(node).is_some_and(|&crashes| crashes > 0)
    }

    /// Returns the events that can happen next.
    pub(crate) fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        let mut add = |node, kind| events.push(Event { node, kind, crash_after: None });
        for (index, message) in self.messages.iter().enumerate() {
            add(message.1, Kind::Deliver(index));
            if self.left.duplicates > 0 {
                add(message.1, Kind::Duplicate(index));
            }
        }
        for (node, pending) in self.pending.iter().enumerate() {
            for (index, timer) in pending.timers.iter().enumerate() {
                if self.budget(timer.1).is_some_and(|left| left > 0) {
                    add(node, Kind::Expire(index));
                }
            }
            (0..pending.arrivals.len()).for_each(|index| add(node, Kind::Arrive(index)));
        }
        events
    }

    fn budget(&self, timer: Timer) -> Option<u8> {
        match timer {
            Timer::RunEnd => Some(self.left.runs),
            Timer::RetransmitOrders | Timer::RetransmitBatches => Some(self.left.retransmissions),
            Timer::Heartbeat => Some(self.left.heartbeats),
            _ => None,
        }
    }

    /// Handles an event. Returns the number of its effects.
    pub(crate) fn handle(&mut self, event: Event) -> usize {
        let node = event.node;
        match event.kind {
            Kind::Deliver(index) => {
                let (from, _, message) = self.messages.remove(index);
                self.pass(event, Input::Message { from: NodeId::new(from), message: &message })
            }
            Kind::Duplicate(index) => {
                self.left.duplicates -= 1;
                let (from, _, message) = self.messages[index].clone();
                self.pass(event, Input::Message { from: NodeId::new(from), message: &message })
            }
            Kind::Expire(index) => {
                let (due, timer) = self.pending[node].timers.remove(index);
                match timer {
                    Timer::RunEnd => self.left.runs -= 1,
                    Timer::RetransmitOrders | Timer::RetransmitBatches => self.left.retransmissions -= 1,
                    _ => self.left.heartbeats -= 1,
                }
                self.now = self.now.max(due);
                self.pass(event, Input::Timer(timer))
            }
            Kind::Arrive(index) => {
                let (due, batch) = self.pending[node].arrivals.remove(index);
                self.now = self.now.max(due);
                self.pass(event, Input::Arrived(batch))
            }
        }
    }

    /// Passes an input to a node and executes its effects, up to a crash.
    fn pass(&mut self, event: Event, input: Input<'_>) -> usize {
        let node = event.node;
        let mut effects = Vec::new();
        self.nodes[node].handle(self.now, input, &mut effects);
        let count = effects.len();
        effects.truncate(event.crash_after.unwrap_or(count));
        self.execute(node, effects);
        if event.crash_after.is_some() {
            self.left.crashes[node] -= 1;
            self.crash(node);
        }
        count
    }

    fn execute(&mut self, node: usize, effects: Vec<Effect>) {
        let (now, me) = (self.now, NodeId::new(node));
        for effect in effects {
            match effect {
                Effect::Append(record) => {
                    self.checker.observe(now, me, &Observation::Durable(&record));
                    self.logs[node].push(record);
                }
                Effect::Send { to, message } => {
                    let message = (node, to.index(), Rc::new(message));
                    if !self.messages.contains(&message) {
                        self.messages.push(message);
                    }
                }
                Effect::SetTimer { after, timer } => self.pending[node].timers.push((now + after, timer)),
                Effect::Transport { batch, .. } => self.pending[node].arrivals.push((now + TRANSIT, batch)),
                Effect::Plan { plan_id, .. } => self.pending[node].plans.push(plan_id),
                Effect::StartRun { .. } => {
                    let ends = now + SCENARIO.network.process_time(me);
                    self.checker.observe(now, me, &Observation::RunStarted { ends });
                    self.pending[node].timers.push((ends, Timer::RunEnd));
                }
                Effect::Report(report) => self.checker.observe(now, me, &Observation::Reported(&report)),
                Effect::Compact(_) | Effect::Post(_) => {}
            }
        }
    }

    fn start(&mut self, node: usize, recovering: bool) {
        let (now, me) = (self.now, NodeId::new(node));
        let log = LogAtStart::default();
        self.checker.observe(now, me, &Observation::Started { recovering, log });
        let mut effects = Vec::new();
        let records = std::mem::take(&mut self.logs[node]);
        let (phase, scrapped) = (Span::ZERO, Scrapped::default());
        self.nodes[node].handle(
            now,
            Input::Start { records: &records, recovering, phase, scrapped },
            &mut effects,
        );
        self.logs[node] = records;
        let holdings = self.nodes[node].holdings();
        self.checker.observe(now, me, &Observation::Holds(holdings));
        self.execute(node, effects);
    }

    fn crash(&mut self, node: usize) {
        self.checker.observe(self.now, NodeId::new(node), &Observation::Crashed(StateAtCrash::default()));
        self.pending[node] = Pending::default();
        self.start(node, true);
    }

    /// Lets everything happen in time, without faults.
    fn run_until(&mut self, end: Time) {
        while let Some(event) = self.next_in_time() {
            match event {
                Next::Message => {
                    let (from, node, message) = self.messages.remove(0);
                    let event = Event { node, kind: Kind::Deliver(0), crash_after: None };
                    self.pass(event, Input::Message { from: NodeId::new(from), message: &message });
                }
                Next::Plan(node, plan_id) => {
                    self.pending[node].plans.clear();
                    let event = Event { node, kind: Kind::Deliver(0), crash_after: None };
                    self.pass(event, Input::Planned(plan_id));
                }
                Next::Pending(due, ..) if due > end => {
                    self.now = end;
                    return;
                }
                Next::Pending(_, node, kind) => {
                    self.left = Bounds { runs: 9, retransmissions: 9, heartbeats: 9, ..self.left };
                    self.handle(Event { node, kind, crash_after: None });
                }
            }
        }
    }

    fn next_in_time(&self) -> Option<Next> {
        if !self.messages.is_empty() {
            return Some(Next::Message);
        }
        for (node, pending) in self.pending.iter().enumerate() {
            if let Some(&plan_id) = pending.plans.first() {
                return Some(Next::Plan(node, plan_id));
            }
        }
        let all = self.pending.iter().enumerate().flat_map(|(node, pending)| {
            let timers = pending.timers.iter().enumerate();
            let timers = timers.map(move |(index, timer)| (timer.0, node, Kind::Expire(index)));
            let arrivals = pending.arrivals.iter().enumerate();
            timers.chain(arrivals.map(move |(index, arrival)| (arrival.0, node, Kind::Arrive(index))))
        });
        all.min().map(|(due, node, kind)| Next::Pending(due, node, kind))
    }

    /// Returns a violation of an invariant or, after the end of all faults, of progress.
    pub(crate) fn violation(mut self, is_completed: bool) -> Option<String> {
        if is_completed {
            let made = |world: &Self| world.nodes[2].metrics().get(Metric::FinishedGoodsMade);
            let before = made(&self);
            let end = self.now + Span::from_secs(120);
            self.run_until(end);
            if made(&self) < before + 10 {
                return Some(format!("{} gears were made in 120 s without faults", made(&self) - before));
            }
        }
        let nodes = &self.nodes;
        let report = self.checker.finish(self.now, |node: NodeId| NodeAtEnd {
            holdings: Some(nodes[node.index()].holdings()),
            metrics: nodes[node.index()].metrics(),
        });
        let violation = report.violations.first().map(|violation| violation.description.clone());
        let is_lost = report.material.lost + report.material.consumed_twice > 0;
        violation.or_else(|| is_lost.then(|| format!("{:?}", report.material)))
    }
}

/// The next event without faults.
enum Next {
    Message,
    Plan(usize, FlowVersion),
    Pending(Time, usize, Kind),
}
