//! The election of Raft, with pre-vote: the winner of a majority vote leads.
//!
//! After D. Ongaro and J. Ousterhout, "In search of an understandable consensus algorithm", USENIX ATC 2014,
//! and for pre-vote section 9.6 of D. Ongaro's thesis, "Consensus: bridging theory and practice", 2014. A
//! candidate that hears from no leader within a random timeout first asks whether it would get votes; only if
//! a majority agrees does it raise the term and request votes. A candidate votes once in a term, and term and
//! vote are durable before an answer is sent. The leader sends heartbeats, and steps down if it hears from no majority
//! within an election timeout (check quorum, section 6.2 of the thesis).
//!
//! There is no log to replicate, so all candidates are equally up to date.

use std::collections::BTreeSet;

use dmos_core::strategy::{
    Election, ElectionConfig, ElectionEffects, ElectionInput, Guarantee, LeaderDescriptor, LeaderStrategy,
    ParamKind, ParamSpec, Params, register_leader,
};
use dmos_core::{NodeId, Span, Term, Time};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::wire;

register_leader!(LeaderDescriptor {
    name: "raft",
    summary: "Raft leader election with pre-vote: the candidate with the votes of a majority leads",
    source: "Ongaro and Ousterhout 2014, In search of an understandable consensus algorithm; with pre-vote",
    notes: "at most one leader per term, if durable state survives crashes; one leader once a majority is up and its messages arrive within the timeout",
    // A follower whose timeout is shorter than two heartbeat intervals would lose its leader repeatedly.
    guarantees: |params| match params.duration("heartbeat") * 2 <= params.duration("timeout") {
        true => &[Guarantee::OneLeaderPerTerm, Guarantee::LeaderByMajority, Guarantee::LinearMessages],
        false => &[Guarantee::OneLeaderPerTerm, Guarantee::LinearMessages],
    },
    params: &[
        ParamSpec {
            name: "heartbeat",
            summary: "interval of the leader's heartbeats",
            kind: ParamKind::Duration { min: Span::from_millis(1), default: Span::from_secs(1) },
        },
        ParamSpec {
            name: "timeout",
            summary: "election timeout: silence of the leader after which a candidate starts an election, at least two heartbeats; randomised between this value and twice it",
            kind: ParamKind::Duration { min: Span::from_millis(1), default: Span::from_secs(3) },
        },
    ],
    build: |params: &Params| Box::new(Raft {
        heartbeat: params.duration("heartbeat"),
        timeout: params.duration("timeout"),
    }),
});

#[derive(Clone, Copy, Debug)]
struct Raft {
    heartbeat: Span,
    timeout: Span,
}

impl LeaderStrategy for Raft {
    fn election(&self, config: ElectionConfig) -> Box<dyn Election> {
        Box::new(Candidate {
            settings: *self,
            config,
            role: Role::Follows,
            term: 0,
            voted_for: None,
            votes: BTreeSet::new(),
            heard_leader: None,
            followers: BTreeSet::new(),
            checked_at: Time::ZERO,
            timer: 0,
            random_seed: [0; 32],
            drawn: 0,
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    Follows,
    /// Has sent pre-vote requests.
    PreCandidate,
    /// Has sent vote requests.
    Candidate,
    Leads,
}

/// Asks for a pre-vote in a term.
const PRE_VOTE: u8 = 0;
/// Grants a pre-vote in a term.
const WOULD: u8 = 1;
/// Asks for a vote in a term.
const VOTE: u8 = 2;
/// Grants a vote in a term.
const VOTES: u8 = 3;
/// A heartbeat of the leader of a term.
const ALIVE: u8 = 4;
/// Rejects a message, with the known term.
const NO: u8 = 5;
/// Answers a heartbeat of the leader of a term.
const HEARD: u8 = 6;

#[derive(Clone, Debug)]
struct Candidate {
    settings: Raft,
    config: ElectionConfig,
    role: Role,
    term: u64,
    voted_for: Option<NodeId>,
    /// Candidates that granted a pre-vote or a vote.
    votes: BTreeSet<NodeId>,
    heard_leader: Option<Time>,
    /// As leader, the candidates heard from since the last check of the quorum, and the time of the check.
    followers: BTreeSet<NodeId>,
    checked_at: Time,
    /// Number of the current timer; earlier ones are void.
    timer: u32,
    random_seed: [u8; 32],
    /// Position in the stream of random numbers.
    drawn: u128,
}

impl Election for Candidate {
    fn handle(&mut self, now: Time, input: ElectionInput<'_>, effects: &mut ElectionEffects) {
        match input {
            ElectionInput::Start { durable } => {
                if let Some((_, [term, vote])) = durable.and_then(wire::read::<2>) {
                    self.term = term;
                    self.voted_for = (vote > 0).then(|| NodeId::new(vote as usize - 1));
                }
                self.seed();
                self.wait(effects);
            }
            ElectionInput::Message { from, bytes } => {
                if let Some((kind, [term])) = wire::read::<1>(bytes) {
                    self.on_message(now, from, kind, term, effects);
                }
            }
            ElectionInput::Timer(timer) if timer == self.timer => match self.role {
                Role::Leads => match self.has_lost_quorum(now) {
                    true => self.step_down(effects),
                    false => self.send_heartbeats(effects),
                },
                Role::Follows | Role::PreCandidate | Role::Candidate => self.request_pre_votes(now, effects),
            },
            ElectionInput::LeaderLearned(_, term) if term.0 > self.term => self.follow(term.0, effects),
            ElectionInput::Timer(_)
            | ElectionInput::Suspected(_)
            | ElectionInput::Trusted(_)
            | ElectionInput::LeaderLearned(..) => {}
        }
    }
}

impl Candidate {
    /// Random numbers depend on the run, the candidate and the term in which it starts.
    fn seed(&mut self) {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&self.config.seed.to_le_bytes());
        key[8..16].copy_from_slice(&(self.config.me.index() as u64).to_le_bytes());
        key[16..24].copy_from_slice(&self.term.to_le_bytes());
        (self.random_seed, self.drawn) = (key, 0);
    }

    fn on_message(&mut self, now: Time, from: NodeId, kind: u8, term: u64, effects: &mut ElectionEffects) {
        // A pre-vote request does not announce a term, because no candidate has raised it yet.
        if term > self.term && !matches!(kind, PRE_VOTE | WOULD) {
            self.follow(term, effects);
        }
        match kind {
            PRE_VOTE if term > self.term && !self.has_leader(now) => self.send(from, WOULD, term, effects),
            VOTE if term == self.term && self.voted_for.is_none_or(|node| node == from) => {
                self.voted_for = Some(from);
                self.persist(effects);
                self.send(from, VOTES, term, effects);
                self.wait(effects);
            }
            ALIVE if term == self.term && self.role != Role::Leads => {
                self.role = Role::Follows;
                self.heard_leader = Some(now);
                effects.leader = Some((from, Term(term)));
                self.send(from, HEARD, term, effects);
                self.wait(effects);
            }
            HEARD if self.role == Role::Leads && term == self.term => drop(self.followers.insert(from)),
            PRE_VOTE | VOTE | ALIVE => self.send(from, NO, self.term, effects),
            WOULD if self.role == Role::PreCandidate && term == self.term + 1 => {
                self.votes.insert(from);
                self.start_vote_on_pre_vote_majority(now, effects);
            }
            VOTES if self.role == Role::Candidate && term == self.term => {
                self.votes.insert(from);
                self.become_leader_on_majority(now, effects);
            }
            _ => {}
        }
    }

    /// Returns whether there is a leader, as far as this candidate knows.
    fn has_leader(&self, now: Time) -> bool {
        let recently = |heard: Time| now.since(heard) < self.settings.timeout;
        self.role == Role::Leads || self.heard_leader.is_some_and(recently)
    }

    /// Returns whether a leader has not heard from a majority within an election timeout. Starts another period if it
    /// has.
    fn has_lost_quorum(&mut self, now: Time) -> bool {
        if now.since(self.checked_at) < self.settings.timeout {
            return false;
        }
        let heard = std::mem::take(&mut self.followers).len() + 1;
        self.checked_at = now;
        heard < self.config.majority()
    }

    fn step_down(&mut self, effects: &mut ElectionEffects) {
        self.role = Role::Follows;
        effects.steps_down = true;
        self.wait(effects);
    }

    /// Adopts a later term.
    fn follow(&mut self, term: u64, effects: &mut ElectionEffects) {
        (self.role, self.term, self.voted_for) = (Role::Follows, term, None);
        self.persist(effects);
        self.wait(effects);
    }

    /// Sends pre-vote requests.
    fn request_pre_votes(&mut self, now: Time, effects: &mut ElectionEffects) {
        self.role = Role::PreCandidate;
        self.votes = BTreeSet::from([self.config.me]);
        self.send_all(PRE_VOTE, self.term + 1, effects);
        self.wait(effects);
        self.start_vote_on_pre_vote_majority(now, effects);
    }

    fn start_vote_on_pre_vote_majority(&mut self, now: Time, effects: &mut ElectionEffects) {
        if self.votes.len() < self.config.majority() {
            return;
        }
        self.role = Role::Candidate;
        self.term += 1;
        self.voted_for = Some(self.config.me);
        self.votes = BTreeSet::from([self.config.me]);
        self.persist(effects);
        self.send_all(VOTE, self.term, effects);
        self.wait(effects);
        self.become_leader_on_majority(now, effects);
    }

    fn become_leader_on_majority(&mut self, now: Time, effects: &mut ElectionEffects) {
        if self.votes.len() >= self.config.majority() {
            self.role = Role::Leads;
            (self.followers, self.checked_at) = (BTreeSet::new(), now);
            effects.leader = Some((self.config.me, Term(self.term)));
            self.send_heartbeats(effects);
        }
    }

    fn send_heartbeats(&mut self, effects: &mut ElectionEffects) {
        self.send_all(ALIVE, self.term, effects);
        self.set_timer(self.settings.heartbeat, effects);
    }

    fn persist(&self, effects: &mut ElectionEffects) {
        let vote = self.voted_for.map_or(0, |node| node.index() as u64 + 1);
        effects.durable = Some(wire::write(VOTE, [self.term, vote]));
    }

    fn send(&self, to: NodeId, kind: u8, term: u64, effects: &mut ElectionEffects) {
        effects.sends.push((to, wire::write(kind, [term])));
    }

    fn send_all(&self, kind: u8, term: u64, effects: &mut ElectionEffects) {
        self.config.others().for_each(|node| self.send(node, kind, term, effects));
    }

    /// Waits for a new random timeout, so that two candidates rarely start an election at the same time, and
    /// not repeatedly.
    fn wait(&mut self, effects: &mut ElectionEffects) {
        let timeout = self.settings.timeout.as_nanos();
        let mut rng = ChaCha8Rng::from_seed(self.random_seed);
        rng.set_word_pos(self.drawn);
        let span = Span::from_nanos(rng.random_range(timeout..timeout.saturating_mul(2)));
        self.drawn = rng.get_word_pos();
        self.set_timer(span, effects);
    }

    fn set_timer(&mut self, span: Span, effects: &mut ElectionEffects) {
        self.timer = self.timer.wrapping_add(1);
        effects.timers.push((span, self.timer));
    }
}
