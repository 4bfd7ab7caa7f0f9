//! The ring election of Chang and Roberts: the highest number that travels around the ring leads.
//!
//! After E. Chang and R. Roberts, "An improved algorithm for decentralized extrema-finding in circular
//! configurations of processes", Communications of the ACM 22(5), 1979. Candidates form a ring in the order
//! of their numbers. A candidate without a leader sends its number to the next one. Lower candidates forward
//! a number; higher ones stop it and send their own instead. A candidate whose number returns becomes leader
//! and announces itself around the ring.
//!
//! The published algorithm tolerates no failures. Here each message is acknowledged, a candidate that fails
//! to acknowledge twice is skipped until it is heard from, no message circulates more than once, and an
//! election that does not finish is restarted. Terms are an addition, as in [`bully`](super::bully): a number
//! collects the latest term known on its way.

use std::collections::{BTreeMap, BTreeSet};

use dmos_core::strategy::{
    Election, ElectionConfig, ElectionEffects, ElectionInput, Guarantee, LeaderDescriptor, LeaderStrategy,
    ParamKind, ParamSpec, Params, register_leader,
};
use dmos_core::{NodeId, Span, Term, Time};

use super::wire;

register_leader!(LeaderDescriptor {
    name: "ring",
    summary: "Chang-Roberts ring election: the highest number on the ring of candidates leads",
    source: "Chang and Roberts 1979, An improved algorithm for decentralized extrema-finding",
    notes: "at most one leader per term; one leader once messages are acknowledged within the timeout",
    guarantees: |_| &[Guarantee::OneLeaderPerTerm, Guarantee::OneLeaderEventually, Guarantee::LinearMessages],
    params: &[ParamSpec {
        name: "timeout",
        summary: "timeout for an acknowledgement; longer than a round trip",
        kind: ParamKind::Duration { min: Span::from_millis(1), default: Span::from_millis(500) },
    }],
    build: |params: &Params| Box::new(Ring { timeout: params.duration("timeout") }),
});

struct Ring {
    timeout: Span,
}

impl LeaderStrategy for Ring {
    fn election(&self, config: ElectionConfig) -> Box<dyn Election> {
        Box::new(Candidate {
            timeout: self.timeout,
            config,
            takes_part: false,
            leader: None,
            known_term: 0,
            silent: BTreeSet::new(),
            in_transit: Vec::new(),
            next_message: 0,
            seen: BTreeMap::new(),
            last_forwarded: None,
            last_announcement: None,
            election: 0,
        })
    }
}

/// A number on its way: the latest known term, the number's owner, the message's own number, and the hops so
/// far.
const NUMBER: u8 = 0;
/// Announcement of a leader: its term, its number, and the same two.
const LEADER: u8 = 1;
/// Acknowledges the message with a number.
const ACK: u8 = 2;
/// Timers from here on identify elections, those below messages.
const ELECTION_TIMER: u32 = 1 << 31;

/// An unacknowledged message.
#[derive(Clone, Debug)]
struct PendingMessage {
    number: u32,
    to: NodeId,
    kind: u8,
    term: u64,
    candidate: NodeId,
    hops: u64,
    tries: u32,
}

#[derive(Clone, Debug)]
struct Candidate {
    config: ElectionConfig,
    timeout: Span,
    takes_part: bool,
    leader: Option<NodeId>,
    known_term: u64,
    /// Candidates that did not acknowledge; the ring skips them.
    silent: BTreeSet<NodeId>,
    in_transit: Vec<PendingMessage>,
    next_message: u32,
    /// By sender, the last message received, to recognise retransmissions.
    seen: BTreeMap<NodeId, u64>,
    /// The highest number forwarded in this election, and the latest announcement: neither is forwarded
    /// twice, however often late messages are repeated.
    last_forwarded: Option<NodeId>,
    last_announcement: Option<u64>,
    /// Number of the current election; timers of earlier ones are void.
    election: u32,
}

impl Election for Candidate {
    fn handle(&mut self, now: Time, input: ElectionInput<'_>, effects: &mut ElectionEffects) {
        match input {
            ElectionInput::Start { durable } => {
                let known = durable.and_then(wire::read::<1>);
                self.known_term = known.map_or(0, |(_, [term])| term);
                // Distinguishes messages of this incarnation from earlier ones.
                self.next_message = (now.as_nanos() / 1_000 % u64::from(ELECTION_TIMER)) as u32;
                match known {
                    // After a crash there may be a leader, which will be announced soon.
                    Some(_) => self.watch_election(effects),
                    None => self.begin(effects),
                }
            }
            ElectionInput::Message { from, bytes } => {
                if let Some((kind, numbers)) = wire::read::<4>(bytes) {
                    self.silent.remove(&from);
                    self.on_message(from, kind, numbers, effects);
                }
            }
            ElectionInput::Timer(timer) if timer >= ELECTION_TIMER => {
                if timer == ELECTION_TIMER + self.election && (self.takes_part || self.leader.is_none()) {
                    self.begin(effects);
                }
            }
            ElectionInput::Timer(number) => self.on_ack_timeout(number, effects),
            ElectionInput::Suspected(node) if self.leader == Some(node) => {
                self.leader = None;
                self.begin(effects);
                self.silent.insert(node);
            }
            ElectionInput::Trusted(node) => drop(self.silent.remove(&node)),
            // The candidate led before it crashed and others believe that it still does, or it leads in a term
            // that is out of date.
            ElectionInput::LeaderLearned(leader, term) if leader == self.config.me => {
                if self.leader == Some(self.config.me) && term.0 > self.known_term {
                    self.observe_term(term.0, effects);
                    self.leader = None;
                }
                if self.leader.is_none() && !self.takes_part {
                    self.begin(effects);
                }
            }
            ElectionInput::LeaderLearned(leader, term) if term.0 > self.known_term => {
                let led = self.leader == Some(self.config.me);
                self.observe_term(term.0, effects);
                if led {
                    // Two candidates have led, each in a part of the ring: an election on the whole ring
                    // decides.
                    self.leader = None;
                    self.begin(effects);
                } else {
                    self.leader = Some(leader);
                }
            }
            ElectionInput::Suspected(_) | ElectionInput::LeaderLearned(..) => {}
        }
    }
}

impl Candidate {
    fn on_message(&mut self, from: NodeId, kind: u8, numbers: [u64; 4], effects: &mut ElectionEffects) {
        let [term, candidate, number, hops] = numbers;
        if kind == ACK {
            self.in_transit.retain(|sent| u64::from(sent.number) != number);
            return;
        }
        let Some(candidate) =
            self.config.candidates.iter().copied().find(|node| node.index() as u64 == candidate)
        else {
            return;
        };
        effects.sends.push((from, wire::write(ACK, [0, 0, number, 0])));
        let has_come_before = self.seen.insert(from, number) == Some(number);
        if has_come_before || hops > self.config.candidates.len() as u64 {
            return;
        }
        match kind {
            NUMBER => self.forward(candidate, term, hops, effects),
            LEADER
                if candidate != self.config.me
                    && term >= self.known_term
                    && self.last_announcement != Some(term) =>
            {
                (self.takes_part, self.leader, self.last_announcement) = (false, Some(candidate), Some(term));
                self.observe_term(term, effects);
                effects.leader = Some((candidate, Term(term)));
                self.send(LEADER, term, candidate, hops + 1, effects);
            }
            _ => {}
        }
    }

    fn forward(&mut self, candidate: NodeId, term: u64, hops: u64, effects: &mut ElectionEffects) {
        self.observe_term(term, effects);
        if candidate > self.config.me {
            self.join_election(effects);
            if self.last_forwarded.is_some_and(|passed| passed >= candidate) {
                return;
            }
            self.last_forwarded = Some(candidate);
            self.send(NUMBER, self.known_term, candidate, hops + 1, effects);
        } else if candidate < self.config.me && !self.takes_part {
            self.begin(effects);
        } else if candidate == self.config.me && self.takes_part {
            self.become_leader(effects);
        }
    }

    fn observe_term(&mut self, term: u64, effects: &mut ElectionEffects) {
        if term > self.known_term {
            self.known_term = term;
            effects.durable = Some(wire::write(LEADER, [term]));
        }
    }

    fn begin(&mut self, effects: &mut ElectionEffects) {
        self.takes_part = false;
        self.join_election(effects);
        self.send(NUMBER, self.known_term, self.config.me, 1, effects);
    }

    fn join_election(&mut self, effects: &mut ElectionEffects) {
        if !std::mem::replace(&mut self.takes_part, true) {
            self.last_forwarded = None;
            // Silent candidates may be back: skipping them for good would restart elections forever.
            self.silent.clear();
            self.watch_election(effects);
        }
    }

    /// Sets a timer for the time by which an election should have finished, with two timeouts for every
    /// candidate.
    fn watch_election(&mut self, effects: &mut ElectionEffects) {
        self.election = (self.election + 1) % ELECTION_TIMER;
        let places = self.config.candidates.len() as u64;
        effects.timers.push((self.timeout * (2 * places + 2), ELECTION_TIMER + self.election));
    }

    fn become_leader(&mut self, effects: &mut ElectionEffects) {
        self.takes_part = false;
        self.known_term = self.config.own_term_after(self.known_term);
        self.leader = Some(self.config.me);
        effects.durable = Some(wire::write(LEADER, [self.known_term]));
        effects.leader = Some((self.config.me, Term(self.known_term)));
        if self.next().is_some() {
            self.send(LEADER, self.known_term, self.config.me, 1, effects);
        }
    }

    /// Returns the next candidate on the ring that is not silent.
    fn next(&self) -> Option<NodeId> {
        let after = self.config.others().filter(|&node| node > self.config.me);
        let before = self.config.others().filter(|&node| node < self.config.me);
        after.chain(before).find(|node| !self.silent.contains(node))
    }

    fn send(&mut self, kind: u8, term: u64, candidate: NodeId, hops: u64, effects: &mut ElectionEffects) {
        match self.next() {
            Some(to) => {
                let number = self.next_message;
                self.next_message = (number + 1) % ELECTION_TIMER;
                self.in_transit.push(PendingMessage { number, to, kind, term, candidate, hops, tries: 0 });
                self.retransmit(self.in_transit.len() - 1, effects);
            }
            // Alone on the ring: the number has returned.
            None if kind == NUMBER => self.become_leader(effects),
            None => {}
        }
    }

    fn retransmit(&self, at: usize, effects: &mut ElectionEffects) {
        let PendingMessage { number, to, kind, term, candidate, hops, .. } = self.in_transit[at];
        let numbers = [term, candidate.index() as u64, u64::from(number), hops];
        effects.sends.push((to, wire::write(kind, numbers)));
        effects.timers.push((self.timeout, number));
    }

    /// Handles a missing acknowledgement: retransmits once, then skips the candidate.
    fn on_ack_timeout(&mut self, number: u32, effects: &mut ElectionEffects) {
        let Some(at) = self.in_transit.iter().position(|sent| sent.number == number) else {
            return;
        };
        if self.in_transit[at].tries == 0 {
            self.in_transit[at].tries = 1;
            self.retransmit(at, effects);
            return;
        }
        let PendingMessage { to, kind, term, candidate, hops, .. } = self.in_transit.swap_remove(at);
        self.silent.insert(to);
        // The owner of the number may be the skipped one: then the number has nowhere to return.
        if kind != NUMBER || candidate != to {
            self.send(kind, term, candidate, hops, effects);
        }
    }
}
