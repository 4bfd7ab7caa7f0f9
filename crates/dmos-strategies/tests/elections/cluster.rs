//! A set of candidates in virtual time, with links that can be cut individually.
//!
//! It does what a node does around an election: monitors the leader, announces it, and restores durable state
//! at a restart. It keeps a transcript of what the candidates do.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt::Write as _;
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
    candidates: Vec<Candidate>,
    is_cut: Vec<Vec<bool>>,
    now: Time,
    events: BinaryHeap<Reverse<(Time, u64, Event)>>,
    scheduled: u64,
    /// Changes of leadership: term and node, in order of time.
    pub(crate) leadership_changes: Vec<(u64, usize)>,
    pub(crate) messages: u64,
    seed: u64,
    /// The actions of the candidates, one line each. A message that repeats the sender's last one to its receiver is left out.
    pub(crate) transcript: String,
    latest: BTreeMap<(usize, usize), Box<[u8]>>,
}

impl Cluster {
    /// Returns a number of candidates that are not started yet.
    pub(crate) fn new(call: &str, candidates: usize, seed: u64) -> Self {
        let network = dmos_testkit::network(NamedNetwork::DoorFactory);
        let mut cluster = Self {
            strategy: dmos_testkit::leader_strategy(call, &network),
            candidates: Vec::new(),
            is_cut: vec![vec![false; candidates]; candidates],
            now: Time::ZERO,
            events: BinaryHeap::new(),
            scheduled: 0,
            leadership_changes: Vec::new(),
            messages: 0,
            seed,
            transcript: String::new(),
            latest: BTreeMap::new(),
        };
        cluster.candidates.resize_with(candidates, Candidate::default);
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
        let candidates: Arc<[NodeId]> = (0..self.candidates.len()).map(NodeId::new).collect();
        let machine =
            self.strategy.election(ElectionConfig { me: NodeId::new(node), candidates, seed: self.seed });
        let candidate = &mut self.candidates[node];
        (candidate.machine, candidate.incarnation, candidate.leader) =
            (Some(machine), candidate.incarnation + 1, None);
        (candidate.heard, candidate.suspects) = (self.now, false);
        let durable = candidate.durable.clone();
        self.handle(node, ElectionInput::Start { durable: durable.as_deref() });
    }

    pub(crate) fn crash(&mut self, node: usize) {
        self.candidates[node].machine = None;
        self.candidates[node].leader = None;
    }

    /// Wipes a candidate's disk.
    pub(crate) fn wipe_disk(&mut self, node: usize) {
        self.candidates[node].durable = None;
    }

    /// Cuts every link between different groups; a candidate in no group is cut off from all others.
    pub(crate) fn partition(&mut self, groups: &[&[usize]]) {
        let together =
            |a: usize, b: usize| groups.iter().any(|group| group.contains(&a) && group.contains(&b));
        let count = self.candidates.len();
        for (from, to) in (0..count).flat_map(|from| (0..count).map(move |to| (from, to))) {
            self.is_cut[from][to] = !together(from, to);
        }
    }

    /// Cuts one link, in one direction.
    pub(crate) fn cut_link(&mut self, from: usize, to: usize) {
        self.is_cut[from][to] = true;
    }

    pub(crate) fn heal(&mut self) {
        self.is_cut.iter_mut().for_each(|links| links.fill(false));
    }

    pub(crate) fn run(&mut self, span: Span) {
        let end = self.now + span;
        while self.events.peek().is_some_and(|Reverse((at, ..))| *at <= end) {
            let Reverse((at, _, event)) = self.events.pop().expect("a pending event");
            self.now = at;
            match event {
                Event::Message { from, to, bytes } => {
                    self.messages += 1;
                    self.handle(to, ElectionInput::Message { from: NodeId::new(from), bytes: &bytes });
                }
                Event::Timer { node, incarnation, timer }
                    if self.candidates[node].incarnation == incarnation =>
                {
                    self.handle(node, ElectionInput::Timer(timer));
                }
                Event::Timer { .. } => {}
                Event::Watch => self.watch(),
            }
        }
        self.now = end;
    }

    fn is_up(&self, node: usize) -> bool {
        self.candidates[node].machine.is_some()
    }

    fn reaches(&self, from: usize, to: usize) -> bool {
        self.is_up(from) && self.is_up(to) && !self.is_cut[from][to]
    }

    /// Does what nodes do around an election: monitors and announces the leader.
    fn watch(&mut self) {
        self.schedule(WATCH, Event::Watch);
        for node in 0..self.candidates.len() {
            let Some((leader, term)) = self.candidates[node].leader.filter(|_| self.is_up(node)) else {
                continue;
            };
            if leader == node {
                // A leader sends every node its assignment; a node that knows a later term replies with it.
                for other in (0..self.candidates.len()).filter(|&other| other != node) {
                    if self.reaches(node, other) {
                        let known = self.candidates[other].leader;
                        self.learn(other, (node, term));
                        if let Some(known) = known.filter(|known| known.1 > term && self.reaches(other, node))
                        {
                            self.learn(node, known);
                        }
                    }
                }
            } else if self.reaches(node, leader) && self.reaches(leader, node) {
                self.candidates[node].heard = self.now;
                if std::mem::take(&mut self.candidates[node].suspects) {
                    self.handle(node, ElectionInput::Trusted(NodeId::new(leader)));
                }
            } else if self.now.since(self.candidates[node].heard) > SILENCE {
                self.candidates[node].suspects = true;
                self.handle(node, ElectionInput::Suspected(NodeId::new(leader)));
            }
        }
    }

    fn learn(&mut self, node: usize, leader: (usize, u64)) {
        if self.adopt(node, leader) {
            self.handle(node, ElectionInput::LeaderLearned(NodeId::new(leader.0), Term(leader.1)));
        }
    }

    /// Tells a node that leads a term that is later than its own.
    pub(super) fn learn_own_term(&mut self, node: usize, term: u64) {
        self.handle(node, ElectionInput::LeaderLearned(NodeId::new(node), Term(term)));
    }

    fn adopt(&mut self, node: usize, leader: (usize, u64)) -> bool {
        let candidate = &mut self.candidates[node];
        let is_new = candidate.leader.is_none_or(|known| known.1 < leader.1);
        if is_new {
            (candidate.leader, candidate.heard, candidate.suspects) = (Some(leader), self.now, false);
        }
        is_new
    }

    fn handle(&mut self, node: usize, input: ElectionInput<'_>) {
        let Some(machine) = self.candidates[node].machine.as_mut() else {
            return;
        };
        let mut effects = ElectionEffects::default();
        machine.handle(self.now, input, &mut effects);
        if let Some(durable) = effects.durable {
            self.note(node, &format!("logs {}", numbers(&durable)));
            self.candidates[node].durable = Some(durable);
        }
        for (to, bytes) in effects.sends {
            let to = to.index();
            if self.latest.insert((node, to), bytes.clone()).as_ref() != Some(&bytes) {
                self.note(node, &format!("-> {to} {}", numbers(&bytes)));
            }
            if to != node && !self.is_cut[node][to] {
                self.schedule(MESSAGE, Event::Message { from: node, to, bytes });
            }
        }
        let incarnation = self.candidates[node].incarnation;
        for (after, timer) in effects.timers {
            self.schedule(after, Event::Timer { node, incarnation, timer });
        }
        if effects.steps_down {
            self.note(node, "steps down");
            self.candidates[node].leader.take_if(|leader| leader.0 == node);
        }
        if let Some((leader, term)) = effects.leader {
            let leader = (leader.index(), term.0);
            self.note(node, &format!("names leader {} of term {}", leader.0, leader.1));
            if self.adopt(node, leader) && leader.0 == node {
                self.leadership_changes.push((leader.1, node));
            }
        }
    }

    pub(crate) fn note(&mut self, node: usize, text: &str) {
        writeln!(self.transcript, "{:7.3} {node} {text}", self.now.as_secs_f64()).expect("memory");
    }

    fn schedule(&mut self, after: Span, event: Event) {
        self.scheduled += 1;
        self.events.push(Reverse((self.now + after, self.scheduled, event)));
    }

    /// Returns the leader and its term, if all of these candidates that are up agree on it, including itself.
    pub(crate) fn agreed(&self, nodes: &[usize]) -> Option<(usize, u64)> {
        let mut views =
            nodes.iter().filter(|&&node| self.is_up(node)).map(|&node| self.candidates[node].leader);
        let first = views.next()??;
        (self.is_up(first.0) && views.all(|view| view == Some(first)) && self.leads(first.0)).then_some(first)
    }

    pub(crate) fn leads(&self, node: usize) -> bool {
        self.candidates[node].leader.is_some_and(|leader| leader.0 == node)
    }

    /// Returns whether two candidates led in the same term.
    pub(crate) fn two_in_one_term(&self) -> bool {
        let mut of_term = BTreeMap::new();
        self.leadership_changes.iter().any(|&(term, node)| *of_term.entry(term).or_insert(node) != node)
    }
}

/// Returns the kind and the numbers of an encoded message or state.
pub(crate) fn numbers(bytes: &[u8]) -> String {
    let (kind, rest) = bytes.split_first().expect("a kind");
    let numbers: Vec<u64> = rest.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
    format!("{kind} {numbers:?}")
}
