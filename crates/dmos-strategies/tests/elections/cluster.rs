//! A set of candidates in virtual time, with links that can be cut individually.
//!
//! It does what a node does around an election: monitors the leader, announces it, and restores durable state
//! at a restart.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use dmos_core::strategy::{Election, ElectionConfig, ElectionEffects, ElectionInput, LeaderStrategy};
use dmos_core::{NodeId, Span, Term, Time};
use dmos_graph::NamedNetwork;

/// Interval at which a candidate monitors its leader, and the silence after which it suspects it.
const WATCH: Span = Span::from_secs(1);
const SILENCE: Span = Span::from_secs(5);
const MESSAGE: Span = Span::from_millis(10);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Message { from: usize, to: usize, bytes: Box<[u8]> },
    Timer { node: usize, incarnation: u32, timer: u32 },
    Watch,
}

/// A candidate with its state.
#[derive(Default)]
struct Candidate {
    machine: Option<Box<dyn Election>>,
    incarnation: u32,
    durable: Option<Box<[u8]>>,
    leader: Option<(usize, u64)>,
    heard: Time,
    suspects: bool,
}

pub(crate) struct Cluster {
    strategy: Box<dyn LeaderStrategy>,
    places: Vec<Candidate>,
    cut: Vec<Vec<bool>>,
    now: Time,
    events: BinaryHeap<Reverse<(Time, u64, Event)>>,
    scheduled: u64,
    /// Changes of leadership: term and node, in order of time.
    pub(crate) leadership_changes: Vec<(u64, usize)>,
    pub(crate) messages: u64,
    seed: u64,
}

impl Cluster {
    /// Returns a number of candidates that are not started yet.
    pub(crate) fn new(call: &str, candidates: usize, seed: u64) -> Self {
        let network = dmos_testkit::network(NamedNetwork::DoorFactory);
        let mut cluster = Self {
            strategy: dmos_testkit::leader_strategy(call, &network),
            places: Vec::new(),
            cut: vec![vec![false; candidates]; candidates],
            now: Time::ZERO,
            events: BinaryHeap::new(),
            scheduled: 0,
            leadership_changes: Vec::new(),
            messages: 0,
            seed,
        };
        cluster.places.resize_with(candidates, Candidate::default);
        cluster.schedule(WATCH, Event::Watch);
        cluster
    }

    /// Returns a number of candidates that have all just started.
    pub(crate) fn started(call: &str, candidates: usize, seed: u64) -> Self {
        let mut cluster = Self::new(call, candidates, seed);
        (0..candidates).for_each(|node| cluster.start(node));
        cluster
    }

    pub(crate) fn start(&mut self, node: usize) {
        let candidates: Arc<[NodeId]> = (0..self.places.len()).map(NodeId::new).collect();
        let machine =
            self.strategy.election(ElectionConfig { me: NodeId::new(node), candidates, seed: self.seed });
        let place = &mut self.places[node];
        (place.machine, place.incarnation, place.leader) = (Some(machine), place.incarnation + 1, None);
        (place.heard, place.suspects) = (self.now, false);
        let durable = place.durable.clone();
        self.give(node, ElectionInput::Start { durable: durable.as_deref() });
    }

    pub(crate) fn crash(&mut self, node: usize) {
        self.places[node].machine = None;
        self.places[node].leader = None;
    }

    /// Wipes a candidate's disk.
    pub(crate) fn forget(&mut self, node: usize) {
        self.places[node].durable = None;
    }

    /// Cuts every link between different groups; a candidate in no group is cut off from all others.
    pub(crate) fn split(&mut self, groups: &[&[usize]]) {
        let together =
            |a: usize, b: usize| groups.iter().any(|group| group.contains(&a) && group.contains(&b));
        let count = self.places.len();
        for (from, to) in (0..count).flat_map(|from| (0..count).map(move |to| (from, to))) {
            self.cut[from][to] = !together(from, to);
        }
    }

    /// Cuts one link, in one direction.
    pub(crate) fn cut(&mut self, from: usize, to: usize) {
        self.cut[from][to] = true;
    }

    pub(crate) fn heal(&mut self) {
        self.cut.iter_mut().for_each(|links| links.fill(false));
    }

    pub(crate) fn run(&mut self, span: Span) {
        let end = self.now + span;
        while self.events.peek().is_some_and(|Reverse((at, ..))| *at <= end) {
            let Reverse((at, _, event)) = self.events.pop().expect("a pending event");
            self.now = at;
            match event {
                Event::Message { from, to, bytes } => {
                    self.messages += 1;
                    self.give(to, ElectionInput::Message { from: NodeId::new(from), bytes: &bytes });
                }
                Event::Timer { node, incarnation, timer } if self.places[node].incarnation == incarnation => {
                    self.give(node, ElectionInput::Timer(timer));
                }
                Event::Timer { .. } => {}
                Event::Watch => self.watch(),
            }
        }
        self.now = end;
    }

    fn is_up(&self, node: usize) -> bool {
        self.places[node].machine.is_some()
    }

    fn reaches(&self, from: usize, to: usize) -> bool {
        self.is_up(from) && self.is_up(to) && !self.cut[from][to]
    }

    /// Does what nodes do around an election: monitors and announces the leader.
    fn watch(&mut self) {
        self.schedule(WATCH, Event::Watch);
        for node in 0..self.places.len() {
            let Some((leader, term)) = self.places[node].leader.filter(|_| self.is_up(node)) else {
                continue;
            };
            if leader == node {
                // A leader sends every node its assignment; a node that knows a later term replies with it.
                for other in (0..self.places.len()).filter(|&other| other != node) {
                    if self.reaches(node, other) {
                        let known = self.places[other].leader;
                        self.learn(other, (node, term));
                        if let Some(known) = known.filter(|known| known.1 > term && self.reaches(other, node))
                        {
                            self.learn(node, known);
                        }
                    }
                }
            } else if self.reaches(node, leader) && self.reaches(leader, node) {
                self.places[node].heard = self.now;
                if std::mem::take(&mut self.places[node].suspects) {
                    self.give(node, ElectionInput::Trusted(NodeId::new(leader)));
                }
            } else if self.now.since(self.places[node].heard) > SILENCE {
                self.places[node].suspects = true;
                self.give(node, ElectionInput::Suspected(NodeId::new(leader)));
            }
        }
    }

    fn learn(&mut self, node: usize, leader: (usize, u64)) {
        if self.adopt(node, leader) {
            self.give(node, ElectionInput::LeaderLearned(NodeId::new(leader.0), Term(leader.1)));
        }
    }

    /// Tells a node that leads a term that is later than its own.
    pub(super) fn learn_own_term(&mut self, node: usize, term: u64) {
        self.give(node, ElectionInput::LeaderLearned(NodeId::new(node), Term(term)));
    }

    fn adopt(&mut self, node: usize, leader: (usize, u64)) -> bool {
        let place = &mut self.places[node];
        let news = place.leader.is_none_or(|known| known.1 < leader.1);
        if news {
            (place.leader, place.heard, place.suspects) = (Some(leader), self.now, false);
        }
        news
    }

    fn give(&mut self, node: usize, input: ElectionInput<'_>) {
        let Some(machine) = self.places[node].machine.as_mut() else {
            return;
        };
        let mut effects = ElectionEffects::default();
        machine.handle(self.now, input, &mut effects);
        if let Some(durable) = effects.durable {
            self.places[node].durable = Some(durable);
        }
        for (to, bytes) in effects.sends {
            let to = to.index();
            if to != node && !self.cut[node][to] {
                self.schedule(MESSAGE, Event::Message { from: node, to, bytes });
            }
        }
        let incarnation = self.places[node].incarnation;
        for (after, timer) in effects.timers {
            self.schedule(after, Event::Timer { node, incarnation, timer });
        }
        if let Some((leader, term)) = effects.leader {
            let leader = (leader.index(), term.0);
            if self.adopt(node, leader) && leader.0 == node {
                self.leadership_changes.push((leader.1, node));
            }
        }
    }

    fn schedule(&mut self, after: Span, event: Event) {
        self.scheduled += 1;
        self.events.push(Reverse((self.now + after, self.scheduled, event)));
    }

    /// Returns the leader and its term, if all of these candidates that are up agree on it, including itself.
    pub(crate) fn agreed(&self, nodes: &[usize]) -> Option<(usize, u64)> {
        let mut views = nodes.iter().filter(|&&node| self.is_up(node)).map(|&node| self.places[node].leader);
        let first = views.next()??;
        (self.is_up(first.0) && views.all(|view| view == Some(first)) && self.leads(first.0)).then_some(first)
    }

    pub(crate) fn leads(&self, node: usize) -> bool {
        self.places[node].leader.is_some_and(|leader| leader.0 == node)
    }

    /// Returns whether two candidates led in the same term.
    pub(crate) fn two_in_one_term(&self) -> bool {
        let mut of_term = BTreeMap::new();
        self.leadership_changes.iter().any(|&(term, node)| *of_term.entry(term).or_insert(node) != node)
    }
}
