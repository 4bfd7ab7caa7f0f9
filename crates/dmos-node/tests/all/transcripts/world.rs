//! Nodes in virtual time, a network that a script disturbs, and the transcript of what the nodes do.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Write as _};
use std::sync::Arc;

use dmos_core::{BatchId, FlowVersion, Metric, NodeId, Scenario, Span, Time};
use dmos_node::codec::read_message;
use dmos_node::{
    Command, Effect, Input, Load, LogRecord, LogState, Message, Node, NodeSettings, Notice, Report, Scrapped,
    Timer,
};

/// Time that a message takes.
const MESSAGE: Span = Span::from_millis(10);

/// Time that a batch takes.
const TRANSIT: Span = Span::from_secs(2);

/// Time that a plan takes.
const PLANNING: Span = Span::from_millis(100);

/// The part of the protocol that a transcript shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topic {
    /// Membership, leadership, flows and links.
    Control,
    /// Production, orders and shipments.
    Material,
}

enum Event {
    Message(NodeId, Message),
    Timer(Timer),
    Arrived(BatchId),
    Planned(FlowVersion),
    Notice(Notice),
}

/// All nodes, and what is pending.
pub(crate) struct World {
    scenario: Scenario,
    topic: Topic,
    now: Time,
    nodes: Vec<Node>,
    logs: Vec<Vec<LogRecord>>,
    /// By node, the number of its starts, and whether it is up.
    lives: Vec<(u32, bool)>,
    /// By time and order of insertion: the receiver, its life if the event ends with it, and the event.
    queue: BTreeMap<(Time, u64), (NodeId, Option<u32>, Event)>,
    scheduled: u64,
    broken: BTreeSet<(NodeId, NodeId)>,
    /// The notices on the blackboard, the latest last.
    posted: Vec<Notice>,
    /// One message of so many is lost.
    loses: Option<u64>,
    /// One message of so many arrives twice, the second time a second late.
    duplicates: Option<u64>,
    sent: u64,
    transcript: String,
}

impl World {
    /// Returns the nodes of a scenario, all of which have started.
    pub(crate) fn new(scenario: Scenario, topic: Topic) -> Self {
        let settings: Arc<NodeSettings> = Arc::new(dmos_testkit::settings_of(&scenario));
        let nodes: Vec<_> =
            scenario.network.nodes().map(|node| Node::new(node, Arc::clone(&settings))).collect();
        let mut world = Self {
            topic,
            now: Time::ZERO,
            logs: vec![Vec::new(); nodes.len()],
            lives: vec![(0, false); nodes.len()],
            nodes,
            scenario,
            queue: BTreeMap::new(),
            scheduled: 0,
            broken: BTreeSet::new(),
            posted: Vec::new(),
            loses: None,
            duplicates: None,
            sent: 0,
            transcript: String::new(),
        };
        for node in world.scenario.network.nodes().collect::<Vec<_>>() {
            world.start(node, Scrapped::default());
        }
        world
    }

    /// Runs a script: lines of a time in seconds, an action and its arguments. Returns the transcript.
    pub(crate) fn run(mut self, script: &str) -> String {
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let words: Vec<&str> = line.split(' ').collect();
            let at = words[0].parse().unwrap_or_else(|_| panic!("no time: {line}"));
            self.run_until(Time::ZERO + Span::from_secs(at));
            self.describe();
            writeln!(self.transcript, "{:7.3} *** {}", seconds(self.now), words[1..].join(" "))
                .expect("memory");
            self.act(&words[1..]);
        }
        self.finish()
    }

    /// Describes what each node that is up tells observers of itself.
    fn describe(&mut self) {
        for node in self.nodes.iter().filter(|node| self.lives[node.id().index()].1) {
            let mut material = Vec::new();
            node.visit_material(|place, batches| material.push((place, batches)));
            let Load { inbound_entries, outbound_entries, flow_edges, neighbours } = node.load();
            let flags = [(node.leads(), "leads, "), (node.is_planning(), "plans, ")];
            let flags: String = flags.iter().filter(|flag| flag.0).map(|flag| flag.1).collect();
            let counts =
                format!("edges {flow_edges}, monitored {neighbours}, in transit {}", node.in_transit());
            let line = match self.topic {
                Topic::Control => format!("{flags}{counts}"),
                Topic::Material => format!(
                    "{counts}, log {inbound_entries} in and {outbound_entries} out, stock {}\n    {:?}\n    {:?}\n    {material:?}",
                    node.stock(),
                    node.occupancy(),
                    node.holdings(),
                ),
            };
            writeln!(self.transcript, "  {}: {line}", self.name(node.id())).expect("memory");
        }
    }

    fn act(&mut self, words: &[&str]) {
        match *words {
            ["crash", node] => self.crash(self.node(node)),
            ["start", node] => self.start(self.node(node), Scrapped::default()),
            ["start", node, "without", "buffers"] => {
                self.start(self.node(node), Scrapped { outbound: true, inbound: true });
            }
            ["cut", from, "->", to] => drop(self.broken.insert((self.node(from), self.node(to)))),
            ["mend", from, "->", to] => drop(self.broken.remove(&(self.node(from), self.node(to)))),
            ["isolate", node] => self.cut_between(|one, other, node| one == node || other == node, node),
            ["keep", "only", "links", "of", hub] => {
                self.cut_between(|one, other, hub| one != hub && other != hub, hub);
            }
            ["mend", "all"] => self.broken.clear(),
            ["lose", every] => self.loses = every.parse().ok(),
            ["duplicate", every] => self.duplicates = every.parse().ok(),
            ["retire", node] => self.command(self.node(node), &Command::Retire),
            ["require", node, quantity] => {
                let node = self.node(node);
                let mut requires: Box<[_]> = self.scenario.network.requirements(node).into();
                requires[0].quantity = quantity.parse().expect("a quantity");
                self.command(node, &Command::Recipe(requires));
            }
            ["show" | "end"] => {}
            _ => panic!("unknown action: {words:?}"),
        }
    }

    /// Breaks all links whose ends have a relation to a node.
    fn cut_between(&mut self, breaks: fn(NodeId, NodeId, NodeId) -> bool, node: &str) {
        let node = self.node(node);
        let nodes: Vec<_> = self.scenario.network.nodes().collect();
        let links = nodes.iter().flat_map(|&one| nodes.iter().map(move |&other| (one, other)));
        self.broken.extend(links.filter(|&(one, other)| breaks(one, other, node)));
    }

    fn node(&self, name: &str) -> NodeId {
        let mut nodes = self.scenario.network.nodes();
        nodes.find(|node| self.name(*node) == name).unwrap_or_else(|| panic!("no node {name}"))
    }

    fn name(&self, node: NodeId) -> String {
        self.scenario.network.node_name(node).to_string()
    }

    fn start(&mut self, node: NodeId, scrapped: Scrapped) {
        let (life, is_up) = &mut self.lives[node.index()];
        assert!(!*is_up, "the node is up");
        (*life, *is_up) = (*life + 1, true);
        let (recovering, records) = (*life > 1, self.logs[node.index()].clone());
        // Rounds of heartbeats of different nodes are spread.
        let phase = Span::from_millis(100 * node.index() as u64);
        self.handle(node, Input::Start { records: &records, recovering, phase, scrapped });
        for notice in self.posted.clone() {
            self.schedule(Span::ZERO, node, Event::Notice(notice));
        }
    }

    fn crash(&mut self, node: NodeId) {
        self.lives[node.index()].1 = false;
    }

    fn command(&mut self, node: NodeId, command: &Command) {
        self.handle(node, Input::Command(command));
    }

    fn run_until(&mut self, end: Time) {
        while let Some(entry) = self.queue.first_entry()
            && entry.key().0 < end
        {
            let ((now, _), (node, life, event)) = entry.remove_entry();
            self.now = now;
            let (present, is_up) = self.lives[node.index()];
            if !is_up || life.is_some_and(|life| life != present) {
                continue;
            }
            match event {
                Event::Message(from, message) => {
                    self.handle(node, Input::Message { from, message: &message })
                }
                Event::Timer(timer) => self.handle(node, Input::Timer(timer)),
                Event::Arrived(batch) => self.handle(node, Input::Arrived(batch)),
                Event::Planned(plan_id) => self.handle(node, Input::Planned(plan_id)),
                Event::Notice(notice) => self.handle(node, Input::Notice(&notice)),
            }
        }
        self.now = end;
    }

    fn handle(&mut self, node: NodeId, input: Input<'_>) {
        let mut effects = Vec::new();
        self.nodes[node.index()].handle(self.now, input, &mut effects);
        let compacts = effects.iter().any(|effect| matches!(effect, Effect::Compact(_)));
        for effect in effects {
            self.execute(node, effect);
        }
        if compacts && self.topic == Topic::Material {
            self.describe();
        }
    }

    fn execute(&mut self, me: NodeId, effect: Effect) {
        match effect {
            Effect::Append(record) => {
                self.note(me, topic_of_record(&record), "logs", &record);
                self.logs[me.index()].push(record);
            }
            Effect::Compact(state) => {
                self.note(me, Topic::Material, "compacts the log", &state);
                self.logs[me.index()] = vec![LogRecord::Compacted(state)];
            }
            Effect::Send { to, message } => self.send(me, to, message),
            Effect::SetTimer { after, timer } => self.schedule(after, me, Event::Timer(timer)),
            Effect::Transport { batch, .. } => self.schedule(TRANSIT, me, Event::Arrived(batch)),
            Effect::Plan { plan_id, steps, blocking } => {
                self.note(me, Topic::Control, "plans", &(plan_id, steps, blocking));
                self.schedule(PLANNING, me, Event::Planned(plan_id));
            }
            Effect::StartRun { number } => {
                self.note(me, Topic::Material, "starts run", &number);
                let time = self.scenario.network.process_time(me);
                self.schedule(time, me, Event::Timer(Timer::RunEnd));
            }
            Effect::Post(notice) => {
                self.note(me, Topic::Control, "posts", &notice);
                self.posted.push(notice.clone());
                for node in self.scenario.network.nodes().collect::<Vec<_>>() {
                    self.schedule(Span::ZERO, node, Event::Notice(notice.clone()));
                }
            }
            // The messages show what is ordered and planned.
            Effect::Report(Report::Ordered { .. }) => {}
            Effect::Report(Report::Planned(plan)) => {
                let alive: Vec<_> = plan.alive.iter().collect();
                self.note(me, Topic::Control, "has planned for", &(alive, plan.broken_links, plan.active));
            }
            Effect::Report(report) => self.note(me, Topic::Control, "reports", &report),
        }
    }

    fn send(&mut self, me: NodeId, to: NodeId, message: Message) {
        self.sent += 1;
        let is_nth = |every: Option<u64>| every.is_some_and(|every| self.sent.is_multiple_of(every));
        let is_lost = me != to && (is_nth(self.loses) || self.broken.contains(&(me, to)));
        let is_doubled = me != to && is_nth(self.duplicates);
        let lost = if is_lost { " (lost)" } else { "" };
        match &message {
            Message::Relayed(relayed) if relayed.origin == me => {
                let content = read_message(&relayed.content, &self.scenario.network).expect("a message");
                let verb = format!("-> {}{lost} to relay to {}", self.name(to), self.name(relayed.target));
                self.note(me, Topic::Control, &verb, &(relayed.hops, relayed.is_answer, content));
            }
            message => {
                let verb = format!("-> {}{lost}", self.name(to));
                if let Some(topic) = topic_of_message(message) {
                    self.note(me, topic, &verb, message);
                }
            }
        }
        if is_doubled {
            self.schedule(Span::from_secs(1), to, Event::Message(me, message.clone()));
        }
        if !is_lost {
            self.schedule(MESSAGE, to, Event::Message(me, message));
        }
    }

    /// Schedules an event. All but messages end with the life of the node.
    fn schedule(&mut self, after: Span, node: NodeId, event: Event) {
        self.scheduled += 1;
        let life = (!matches!(event, Event::Message(..))).then_some(self.lives[node.index()].0);
        self.queue.insert((self.now + after, self.scheduled), (node, life, event));
    }

    fn note(&mut self, node: NodeId, topic: Topic, verb: &str, what: &dyn Debug) {
        if topic == self.topic {
            let line = format!("{:7.3} {} {verb} {what:?}", seconds(self.now), self.name(node));
            self.transcript.push_str(&line);
            self.transcript.push('\n');
        }
    }

    /// Appends the final state of all nodes: their counts, and their logs if the transcript is about material.
    fn finish(mut self) -> String {
        for node in self.scenario.network.nodes().collect::<Vec<_>>() {
            let metrics = self.nodes[node.index()].metrics();
            let counts = Metric::ALL.iter().map(|metric| (metric.name(), metrics.get(*metric)));
            let counts: Vec<_> =
                counts.filter(|count| count.1 > 0).map(|(name, count)| format!("{name} {count}")).collect();
            writeln!(self.transcript, "\n{}: {}", self.name(node), counts.join(", ")).expect("memory");
            if self.topic == Topic::Material {
                let state = LogState::of(&self.logs[node.index()]);
                writeln!(self.transcript, "{state:?}").expect("memory");
            }
        }
        let without_rates = ", rate: PlannedRate(0), consumer_rates: [], leaving: PlannedRate(0)";
        let text = self.transcript.replace(without_rates, "");
        // Numbers of nodes are replaced by their names.
        let nodes = self.scenario.network.nodes();
        nodes.fold(text, |text, node| text.replace(&format!("{node:?}"), &self.name(node)))
    }
}

fn seconds(time: Time) -> f64 {
    time.as_secs_f64()
}

/// Returns the topic of a message; none of those that only the counts at the end show.
fn topic_of_message(message: &Message) -> Option<Topic> {
    match message {
        Message::HeartbeatRequest
        | Message::HeartbeatResponse { .. }
        | Message::Election(_)
        | Message::Relayed(_) => None,
        Message::Request { .. }
        | Message::Announcement { .. }
        | Message::Unavailable { .. }
        | Message::TransitStarted(_)
        | Message::Delivered(_)
        | Message::Order { .. }
        | Message::OrderAck(_)
        | Message::Shipment { .. }
        | Message::ShipmentAck(_) => Some(Topic::Material),
        _ => Some(Topic::Control),
    }
}

fn topic_of_record(record: &LogRecord) -> Topic {
    match record {
        LogRecord::Restarted
        | LogRecord::FlowAccepted(_)
        | LogRecord::Commanded(_)
        | LogRecord::Election(_) => Topic::Control,
        _ => Topic::Material,
    }
}
