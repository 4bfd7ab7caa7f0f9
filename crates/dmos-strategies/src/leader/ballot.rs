//! Ballot leader election of Omni-Paxos: among the candidates that are connected to a majority, the one with
//! the highest ballot leads.
//!
//! After H. Ng, S. Haridi and P. Carbone, "Omni-Paxos: breaking the barriers of partial connectivity",
//! EuroSys 2023. In rounds, every candidate asks all others for their ballots, and whether they are connected
//! to a majority (quorum-connected). A candidate that hears from a majority elects the highest ballot among
//! the quorum-connected ones; if that is lower than the leader's, the leader has failed or lost its majority,
//! and the candidate raises its own ballot above it. No majority of votes is needed, so one node that all
//! others can reach suffices, even if they cannot reach each other.
//!
//! A ballot is a round number times the number of candidates plus the candidate's index, so it is a term that
//! no other candidate ever holds. No candidate uses a ballot again after a restart, because others may have elected it and
//! it stands for flows that are lost. A candidate that knows another leader when it restarts has no ballot until
//! that one fails, so that restarts replace no leader.

use std::collections::BTreeMap;

use dmos_core::strategy::{
    Election, ElectionConfig, ElectionEffects, ElectionInput, Guarantee, LeaderDescriptor, LeaderStrategy,
    ParamKind, ParamSpec, Params, register_leader,
};
use dmos_core::{NodeId, Span, Term, Time};

use super::wire;

register_leader!(LeaderDescriptor {
    name: "ballot",
    summary: "ballot leader election (Omni-Paxos): the highest ballot among the candidates connected to a majority leads",
    source: "Ng, Haridi and Carbone 2023, Omni-Paxos: ballot leader election",
    notes: "at most one leader per term; elects a leader when a candidate and a majority can exchange messages within a round, even if others cannot",
    guarantees: |_| &[Guarantee::OneLeaderPerTerm, Guarantee::LeaderByMajority],
    params: &[ParamSpec {
        name: "round",
        summary: "round length of a candidate; longer than a round trip",
        kind: ParamKind::Duration { min: Span::from_millis(50), default: Span::from_secs(2) },
    }],
    build: |params: &Params| Box::new(Ballots { round: params.duration("round") }),
});

struct Ballots {
    round: Span,
}

impl LeaderStrategy for Ballots {
    fn election(&self, config: ElectionConfig) -> Box<dyn Election> {
        Box::new(Candidate {
            round_takes: self.round,
            own: 0,
            used: 0,
            leader: None,
            reaches_majority: true,
            round: 0,
            answers: BTreeMap::new(),
            config,
        })
    }
}

/// Asks for a ballot, in a round.
const ASK: u8 = 0;
/// A ballot, and whether its owner is quorum-connected, in a round.
const ANSWER: u8 = 1;

#[derive(Clone, Debug)]
struct Candidate {
    config: ElectionConfig,
    round_takes: Span,
    /// The candidate's own ballot; 0 if it has none yet.
    own: u64,
    /// The highest ballot that it ever had.
    used: u64,
    /// The last elected ballot and its owner.
    leader: Option<(u64, NodeId)>,
    reaches_majority: bool,
    round: u32,
    /// By owner, the ballots received in this round, and whether their owners are quorum-connected.
    answers: BTreeMap<NodeId, (u64, bool)>,
}

impl Election for Candidate {
    fn handle(&mut self, now: Time, input: ElectionInput<'_>, effects: &mut ElectionEffects) {
        match input {
            ElectionInput::Start { durable } => {
                if let Some((_, [used, leader, candidate])) = durable.and_then(wire::read::<3>) {
                    let leader = (leader > 0).then_some((leader, NodeId::new(candidate as usize)));
                    self.leader = leader.filter(|leader| leader.1 != self.config.me);
                    self.used = used;
                }
                if self.leader.is_none() {
                    self.raise(0);
                }
                // Distinguishes this incarnation's rounds from earlier ones, whose answers may still arrive.
                self.round = (now.as_nanos() / 1_000_000) as u32;
                self.persist(effects);
                self.begin_round(effects);
            }
            ElectionInput::Message { from, bytes } => match wire::read::<3>(bytes) {
                Some((ASK, [_, round, _])) => {
                    let answer = [self.own, round, u64::from(self.reaches_majority)];
                    effects.sends.push((from, wire::write(ANSWER, answer)));
                }
                Some((ANSWER, [ballot, round, reaches])) if round == u64::from(self.round) => {
                    self.answers.insert(from, (ballot, reaches == 1));
                }
                _ => {}
            },
            ElectionInput::Timer(round) if round == self.round => {
                self.end_round(effects);
                self.begin_round(effects);
            }
            ElectionInput::LeaderLearned(leader, term)
                if leader != self.config.me && self.leader.is_none_or(|(known, _)| term.0 > known) =>
            {
                self.leader = Some((term.0, leader));
                self.persist(effects);
            }
            ElectionInput::Timer(_)
            | ElectionInput::Suspected(_)
            | ElectionInput::Trusted(_)
            | ElectionInput::LeaderLearned(..) => {}
        }
    }
}

impl Candidate {
    fn begin_round(&mut self, effects: &mut ElectionEffects) {
        self.answers.clear();
        self.round = self.round.wrapping_add(1);
        let ask = |node| (node, wire::write(ASK, [0, u64::from(self.round), 0]));
        effects.sends.extend(self.config.others().map(ask));
        // A single candidate need not wait for answers.
        let takes = if self.config.candidates.len() == 1 && self.leader.is_none() {
            Span::ZERO
        } else {
            self.round_takes
        };
        effects.timers.push((takes, self.round));
    }

    fn end_round(&mut self, effects: &mut ElectionEffects) {
        if self.answers.len() + 1 < self.config.majority() {
            self.reaches_majority = false;
            return;
        }
        self.answers.insert(self.config.me, (self.own, self.reaches_majority));
        self.reaches_majority = true;
        // The ballot 0 of a candidate that has none is below that of any known leader.
        let eligible = self.answers.iter().filter(|(_, (_, reaches))| *reaches);
        let highest = eligible.map(|(&node, &(ballot, _))| (ballot, node)).max();
        let known = self.leader.map(|leader| leader.0);
        match highest {
            Some(highest) if known.is_none_or(|known| highest.0 > known) => {
                self.leader = Some(highest);
                self.persist(effects);
                effects.leader = Some((highest.1, Term(highest.0)));
            }
            Some(highest) if known == Some(highest.0) => {}
            // The leader did not answer, or is not quorum-connected.
            _ => {
                self.raise(known.unwrap_or(0));
                self.persist(effects);
            }
        }
    }

    /// Takes a new ballot above a known one.
    fn raise(&mut self, known: u64) {
        self.own = self.config.own_term_after(known.max(self.used));
        self.used = self.own;
    }

    /// Makes the ballot durable, so that it is never used again after a crash.
    fn persist(&self, effects: &mut ElectionEffects) {
        let (leader, candidate) = self.leader.map_or((0, 0), |(ballot, node)| (ballot, node.index() as u64));
        effects.durable = Some(wire::write(ANSWER, [self.used, leader, candidate]));
    }
}
