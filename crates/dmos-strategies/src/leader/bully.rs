//! The bully algorithm: the live candidate with the highest number leads.
//!
//! After H. Garcia-Molina, "Elections in a distributed computing system", IEEE Transactions on Computers
//! C-31(1), 1982. A candidate that starts, or suspects the leader, sends an election message to all higher
//! ones. If none answers in time it becomes leader and informs the lower ones; if one answers, it waits for
//! the announcement of the leader.
//!
//! Terms are an addition. A term is a round number times the number of candidates plus the candidate's index,
//! so no two candidates ever hold the same term, and each message carries the highest term its sender knows:
//! a leader that learns a later term than its own becomes leader again in a new one.

use dmos_core::strategy::{
    Election, ElectionConfig, ElectionEffects, ElectionInput, Guarantee, LeaderDescriptor, LeaderStrategy,
    ParamKind, ParamSpec, Params, register_leader,
};
use dmos_core::{NodeId, Span, Term, Time};

use super::wire;

register_leader!(LeaderDescriptor {
    name: "bully",
    summary: "bully algorithm: the live candidate with the highest number leads",
    source: "Garcia-Molina 1982, Elections in a distributed computing system",
    notes: "at most one leader per term; one leader once messages arrive within the timeout",
    guarantees: |_| &[Guarantee::OneLeaderPerTerm, Guarantee::OneLeaderEventually, Guarantee::LinearMessages],
    params: &[ParamSpec {
        name: "timeout",
        summary: "timeout for an answer; longer than a round trip",
        kind: ParamKind::Duration { min: Span::from_nanos(1), default: Span::from_millis(500) },
    }],
    build: |params: &Params| Box::new(Bully { timeout: params.duration("timeout") }),
});

struct Bully {
    timeout: Span,
}

impl LeaderStrategy for Bully {
    fn election(&self, config: ElectionConfig) -> Box<dyn Election> {
        Box::new(Candidate {
            config,
            timeout: self.timeout,
            state: State::Follows(None),
            known_term: 0,
            timer: 0,
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Follows this leader, or knows none yet.
    Follows(Option<NodeId>),
    /// Has sent election messages and received no answer.
    AwaitingAnswer,
    /// A higher candidate has answered; waits for it to become leader.
    AwaitingCoordinator,
    /// Is the leader.
    Leads,
}

/// A message and the highest term its sender knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Message {
    /// Starts an election.
    Election,
    /// Answers an election message.
    Answer,
    /// Announces the leader, with its term.
    Coordinator,
}

fn encode(message: Message, term: u64) -> Box<[u8]> {
    wire::write(message as u8, [term])
}

fn decode(bytes: &[u8]) -> Option<(Message, u64)> {
    let (kind, [term]) = wire::read::<1>(bytes)?;
    let all = [Message::Election, Message::Answer, Message::Coordinator];
    Some((all.into_iter().find(|&message| message as u8 == kind)?, term))
}

#[derive(Clone, Debug)]
struct Candidate {
    config: ElectionConfig,
    timeout: Span,
    state: State,
    known_term: u64,
    /// Number of the current timer; earlier ones are void.
    timer: u32,
}

impl Election for Candidate {
    fn handle(&mut self, _: Time, input: ElectionInput<'_>, effects: &mut ElectionEffects) {
        match input {
            ElectionInput::Start { durable } => {
                self.known_term = durable.and_then(wire::read::<1>).map_or(0, |(_, [term])| term);
                self.start_election(effects);
            }
            ElectionInput::Message { from, bytes } => {
                // Invalid messages are ignored.
                if let Some((message, term)) = decode(bytes) {
                    self.on_message(from, message, term, effects);
                }
            }
            ElectionInput::Timer(timer) if timer == self.timer => match self.state {
                State::AwaitingAnswer => self.become_leader(effects),
                State::AwaitingCoordinator => self.start_election(effects),
                State::Follows(_) | State::Leads => {}
            },
            ElectionInput::Timer(_) => {}
            ElectionInput::Suspected(node) if self.state == State::Follows(Some(node)) => {
                self.start_election(effects)
            }
            ElectionInput::Trusted(node) if node > self.config.me || self.state == State::Leads => {
                self.start_election(effects)
            }
            ElectionInput::Suspected(_) | ElectionInput::Trusted(_) => {}
            ElectionInput::LeaderLearned(leader, term) if term.0 > self.known_term => {
                self.known_term = term.0;
                match self.state {
                    // A higher candidate leads although it may be unreachable here: outbidding it would lead
                    // to endless outbidding.
                    State::Leads if leader <= self.config.me => return self.become_leader(effects),
                    State::Follows(_) | State::Leads if leader != self.config.me => {
                        self.state = State::Follows(Some(leader));
                    }
                    _ => {}
                }
                self.persist(effects);
            }
            ElectionInput::LeaderLearned(..) => {}
        }
    }
}

impl Candidate {
    fn on_message(&mut self, from: NodeId, message: Message, term: u64, effects: &mut ElectionEffects) {
        let later = term > self.known_term;
        match message {
            Message::Coordinator if from > self.config.me && term >= self.known_term => {
                self.state = State::Follows(Some(from));
                effects.leader = Some((from, Term(term)));
            }
            // The sender's term is old: it will learn the current one and become leader again.
            Message::Coordinator if from > self.config.me => {
                effects.sends.push(self.message_to(from, Message::Answer))
            }
            Message::Coordinator => self.start_election(effects),
            Message::Election if self.state == State::Leads => {
                effects.sends.push(self.message_to(from, Message::Answer));
                effects.sends.push(self.message_to(from, Message::Coordinator));
            }
            Message::Election => {
                effects.sends.push(self.message_to(from, Message::Answer));
                if matches!(self.state, State::Follows(_)) {
                    self.start_election(effects);
                }
            }
            Message::Answer if self.state == State::AwaitingAnswer => {
                self.state = State::AwaitingCoordinator;
                self.wait(self.timeout * 3, effects);
            }
            Message::Answer => {}
        }
        if later {
            self.known_term = term;
            if self.state == State::Leads {
                self.become_leader(effects);
            } else {
                self.persist(effects);
            }
        }
    }

    fn persist(&self, effects: &mut ElectionEffects) {
        effects.durable = Some(wire::write(Message::Coordinator as u8, [self.known_term]));
    }

    fn message_to(&self, to: NodeId, message: Message) -> (NodeId, Box<[u8]>) {
        (to, encode(message, self.known_term))
    }

    fn wait(&mut self, span: Span, effects: &mut ElectionEffects) {
        self.timer += 1;
        effects.timers.push((span, self.timer));
    }

    fn start_election(&mut self, effects: &mut ElectionEffects) {
        let higher = self.config.candidates.iter().copied().filter(|&node| node > self.config.me);
        let before = effects.sends.len();
        effects.sends.extend(higher.map(|node| self.message_to(node, Message::Election)));
        if effects.sends.len() == before {
            self.become_leader(effects);
        } else {
            self.state = State::AwaitingAnswer;
            self.wait(self.timeout, effects);
        }
    }

    fn become_leader(&mut self, effects: &mut ElectionEffects) {
        self.known_term = self.config.own_term_after(self.known_term);
        self.state = State::Leads;
        self.persist(effects);
        effects.leader = Some((self.config.me, Term(self.known_term)));
        let lower = self.config.candidates.iter().copied().filter(|&node| node < self.config.me);
        effects.sends.extend(lower.map(|node| self.message_to(node, Message::Coordinator)));
    }
}
