//! The bully election: of the candidates that are alive, the one with the highest number leads.
//!
//! After H. Garcia-Molina, "Elections in a distributed computing system", IEEE Transactions on
//! Computers C-31(1), 1982. A candidate that starts, or suspects the leader, asks all higher ones
//! whether they are there. If none answers in time it takes office and tells the lower ones; if one
//! answers, it waits to be told.
//!
//! Terms are our addition. A term is a round and the candidate's place, so no two candidates ever hold
//! the same one, and each message carries the highest term its sender knows: a leader that hears of a
//! later term than its own takes office again under a new one.

use dmos_core::strategy::{
    Election, ElectionEffects, ElectionInput, LeaderDescriptor, LeaderStrategy, ParamKind, ParamSpec, Params,
    Promise, Seat, register_leader,
};
use dmos_core::{NodeId, Span, Term, Time};

register_leader!(LeaderDescriptor {
    name: "bully",
    summary: "the live candidate with the highest number leads",
    source: "Garcia-Molina 1982, Elections in a distributed computing system",
    guarantee: "at most one leader per term; one leader once messages arrive within the timeout",
    promises: |_| &[Promise::OneLeaderPerTerm, Promise::OneLeaderEventually],
    params: &[ParamSpec {
        name: "timeout",
        summary: "how long to wait for an answer; longer than a message and its answer take",
        kind: ParamKind::Duration { min: Span::from_nanos(1), default: Span::from_millis(500) },
    }],
    build: |params: &Params| Box::new(Bully { timeout: params.duration("timeout") }),
});

struct Bully {
    timeout: Span,
}

impl LeaderStrategy for Bully {
    fn machine(&self, seat: Seat) -> Box<dyn Election> {
        Box::new(Candidate {
            seat,
            timeout: self.timeout,
            state: State::Follows(None),
            known_term: 0,
            timer: 0,
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Obeys this leader, or knows none yet.
    Follows(Option<NodeId>),
    /// Has asked the higher ones and heard nothing.
    Asks,
    /// A higher one is there; waits for it to take office.
    Waits,
    /// Leads.
    Leads,
}

/// A message: what, and the highest term the sender knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Message {
    /// Are you there?
    Election,
    /// I am.
    Answer,
    /// I lead, under the term that comes along.
    Coordinator,
}

/// No honest candidate comes to such a term; who counted on from one would run out of numbers.
const TERM_MAX: u64 = 1 << 62;

fn encode(message: Message, term: u64) -> Box<[u8]> {
    let mut bytes = Vec::with_capacity(9);
    bytes.push(message as u8);
    bytes.extend_from_slice(&term.to_le_bytes());
    bytes.into()
}

fn decode(bytes: &[u8]) -> Option<(Message, u64)> {
    let (&kind, term) = bytes.split_first()?;
    let message =
        [Message::Election, Message::Answer, Message::Coordinator].into_iter().find(|&m| m as u8 == kind)?;
    let term = u64::from_le_bytes(term.try_into().ok()?);
    (term < TERM_MAX).then_some((message, term))
}

struct Candidate {
    seat: Seat,
    timeout: Span,
    state: State,
    known_term: u64,
    /// The timer that counts; earlier ones are void.
    timer: u32,
}

impl Election for Candidate {
    fn handle(&mut self, _: Time, input: ElectionInput<'_>, effects: &mut ElectionEffects) {
        match input {
            ElectionInput::Start { durable } => {
                self.known_term =
                    durable.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes);
                self.ask(effects);
            }
            ElectionInput::Message { from, bytes } => {
                // Bytes that are no message of ours come from nobody of ours.
                if let Some((message, term)) = decode(bytes) {
                    self.hear(from, message, term, effects);
                }
            }
            ElectionInput::Timer(timer) if timer == self.timer => match self.state {
                State::Asks => self.take_office(effects),
                State::Waits => self.ask(effects),
                State::Follows(_) | State::Leads => {}
            },
            ElectionInput::Timer(_) => {}
            ElectionInput::Suspect(node) if self.state == State::Follows(Some(node)) => self.ask(effects),
            ElectionInput::Return(node) if node > self.seat.me || self.state == State::Leads => {
                self.ask(effects)
            }
            ElectionInput::Suspect(_) | ElectionInput::Return(_) => {}
            ElectionInput::Learned(leader, term) if term.0 > self.known_term => {
                self.known_term = term.0;
                match self.state {
                    // A higher one leads, though it may not be heard of here: to outbid it would be to be
                    // outbid again, without end.
                    State::Leads if leader < self.seat.me => self.take_office(effects),
                    State::Follows(_) | State::Leads => {
                        self.state = State::Follows(Some(leader));
                        effects.durable = Some(self.known_term.to_le_bytes().into());
                    }
                    State::Asks | State::Waits => {
                        effects.durable = Some(self.known_term.to_le_bytes().into());
                    }
                }
            }
            ElectionInput::Learned(..) => {}
        }
    }
}

impl Candidate {
    fn hear(&mut self, from: NodeId, message: Message, term: u64, effects: &mut ElectionEffects) {
        let later = term > self.known_term;
        match message {
            Message::Coordinator if from > self.seat.me && term >= self.known_term => {
                self.state = State::Follows(Some(from));
                effects.leader = Some((from, Term(term)));
            }
            // Its term is old: it hears of ours and takes office again.
            Message::Coordinator if from > self.seat.me => {
                effects.sends.push(self.say(from, Message::Answer))
            }
            Message::Coordinator => self.ask(effects),
            Message::Election if self.state == State::Leads => {
                effects.sends.push(self.say(from, Message::Answer));
                effects.sends.push(self.say(from, Message::Coordinator));
            }
            Message::Election => {
                effects.sends.push(self.say(from, Message::Answer));
                if matches!(self.state, State::Follows(_)) {
                    self.ask(effects);
                }
            }
            Message::Answer if self.state == State::Asks => {
                self.state = State::Waits;
                self.wait(self.timeout * 3, effects);
            }
            Message::Answer => {}
        }
        if later {
            self.known_term = term;
            if self.state == State::Leads {
                self.take_office(effects);
            } else {
                effects.durable = Some(self.known_term.to_le_bytes().into());
            }
        }
    }

    fn say(&self, to: NodeId, message: Message) -> (NodeId, Box<[u8]>) {
        (to, encode(message, self.known_term))
    }

    fn wait(&mut self, span: Span, effects: &mut ElectionEffects) {
        self.timer += 1;
        effects.timers.push((span, self.timer));
    }

    fn ask(&mut self, effects: &mut ElectionEffects) {
        let higher = self.seat.candidates.iter().copied().filter(|&node| node > self.seat.me);
        let before = effects.sends.len();
        effects.sends.extend(higher.map(|node| self.say(node, Message::Election)));
        if effects.sends.len() == before {
            self.take_office(effects);
        } else {
            self.state = State::Asks;
            self.wait(self.timeout, effects);
        }
    }

    fn take_office(&mut self, effects: &mut ElectionEffects) {
        let places = self.seat.candidates.len() as u64;
        let place = self.seat.candidates.iter().position(|&node| node == self.seat.me);
        let place = place.expect("a candidate is among the candidates") as u64;
        self.known_term = (self.known_term / places + 1) * places + place;
        self.state = State::Leads;
        effects.durable = Some(self.known_term.to_le_bytes().into());
        effects.leader = Some((self.seat.me, Term(self.known_term)));
        let lower = self.seat.candidates.iter().copied().filter(|&node| node < self.seat.me);
        effects.sends.extend(lower.map(|node| self.say(node, Message::Coordinator)));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, VecDeque};

    use super::*;

    /// Candidates whose messages arrive at once, in order, unless the receiver is dead.
    struct Room {
        machines: BTreeMap<NodeId, Box<dyn Election>>,
        candidates: std::sync::Arc<[NodeId]>,
        durable: BTreeMap<NodeId, Box<[u8]>>,
        timers: VecDeque<(NodeId, u32)>,
        messages: VecDeque<(NodeId, NodeId, Box<[u8]>)>,
        leaders: BTreeMap<NodeId, (NodeId, Term)>,
    }

    impl Room {
        fn new(count: usize) -> Self {
            let candidates: std::sync::Arc<[_]> = (0..count).map(NodeId::new).collect();
            let mut room = Self {
                machines: BTreeMap::new(),
                candidates: candidates.clone(),
                durable: BTreeMap::new(),
                timers: VecDeque::new(),
                messages: VecDeque::new(),
                leaders: BTreeMap::new(),
            };
            candidates.iter().for_each(|&node| room.start(node));
            room.settle();
            room
        }

        fn start(&mut self, node: NodeId) {
            let strategy = Bully { timeout: Span::from_secs(1) };
            let machine = strategy.machine(Seat { me: node, candidates: self.candidates.clone(), seed: 1 });
            self.machines.insert(node, machine);
            let durable = self.durable.get(&node).cloned();
            self.give(node, ElectionInput::Start { durable: durable.as_deref() });
        }

        fn crash(&mut self, node: NodeId) {
            self.machines.remove(&node);
            self.leaders.remove(&node);
            let alive: Vec<_> = self.machines.keys().copied().collect();
            alive.into_iter().for_each(|other| self.give(other, ElectionInput::Suspect(node)));
            self.settle();
        }

        fn give(&mut self, node: NodeId, input: ElectionInput<'_>) {
            let Some(machine) = self.machines.get_mut(&node) else {
                return;
            };
            let mut effects = ElectionEffects::default();
            machine.handle(Time::ZERO, input, &mut effects);
            self.durable.extend(effects.durable.map(|bytes| (node, bytes)));
            self.leaders.extend(effects.leader.map(|leader| (node, leader)));
            self.timers.extend(effects.timers.into_iter().map(|(_, timer)| (node, timer)));
            self.messages.extend(effects.sends.into_iter().map(|(to, bytes)| (node, to, bytes)));
        }

        /// Delivers all messages, then fires one timer, and so on until nothing is left.
        fn settle(&mut self) {
            for _ in 0..10_000 {
                if let Some((from, to, bytes)) = self.messages.pop_front() {
                    self.give(to, ElectionInput::Message { from, bytes: &bytes });
                } else if let Some((node, timer)) = self.timers.pop_front() {
                    self.give(node, ElectionInput::Timer(timer));
                } else {
                    return;
                }
            }
            panic!("the election does not end");
        }

        fn leader(&self) -> (usize, u64) {
            let mut leaders = self.leaders.values();
            let first = leaders.next().expect("somebody is alive");
            assert!(leaders.all(|other| other == first), "{:?}", self.leaders);
            (first.0.index(), first.1.0)
        }
    }

    #[test]
    fn the_highest_leads_and_terms_grow() {
        let mut room = Room::new(4);
        let (leader, first) = room.leader();
        assert_eq!(leader, 3);
        room.crash(NodeId::new(3));
        let (leader, second) = room.leader();
        assert_eq!((leader, second > first), (2, true));
        room.start(NodeId::new(3));
        room.settle();
        let (leader, third) = room.leader();
        assert_eq!((leader, third > second), (3, true));
    }

    #[test]
    fn a_leader_without_memory_still_finds_a_later_term() {
        let mut room = Room::new(3);
        room.crash(NodeId::new(2));
        room.durable.remove(&NodeId::new(2));
        let (_, before) = room.leader();
        room.start(NodeId::new(2));
        room.settle();
        let (leader, term) = room.leader();
        assert_eq!((leader, term > before), (2, true));
    }

    #[test]
    fn a_leader_that_learns_of_a_later_term_takes_office_above_it() {
        let mut room = Room::new(2);
        let (leader, before) = room.leader();
        room.give(NodeId::new(leader), ElectionInput::Learned(NodeId::new(0), Term(before + 7)));
        room.settle();
        let (again, after) = room.leader();
        assert_eq!((again, after > before + 7), (leader, true));
    }

    #[test]
    fn alone_it_leads_at_once() {
        assert_eq!(Room::new(1).leader().0, 0);
    }

    #[test]
    fn what_is_no_message_is_ignored() {
        for bytes in [&[][..], &[9; 9], &[0; 8], &[2; 10]] {
            assert_eq!(decode(bytes), None);
        }
        assert_eq!(decode(&encode(Message::Coordinator, 7)), Some((Message::Coordinator, 7)));
    }
}
