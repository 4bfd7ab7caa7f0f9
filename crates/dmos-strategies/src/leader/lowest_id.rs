//! Eventual leader election (Ω) by heartbeats: the live candidate with the lowest number leads.
//!
//! Ω is the weakest failure detector that solves consensus (T. D. Chandra, V. Hadzilacos and S. Toueg, "The
//! weakest failure detector for solving consensus", Journal of the ACM 43(4), 1996). Only the leader sends
//! heartbeats, to all others (M. Larrea, A. Fernández and S. Arévalo, "Optimal implementation of the weakest
//! failure detector", 2000). A candidate that hears from no lower one for a while asks
//! the others whether they do, in case only its own link is broken, and otherwise becomes leader; the higher
//! its number, the longer it waits, so that usually only one does. One that did so wrongly waits longer from
//! then on: once delays are bounded, mistakes end.
//!
//! Terms are an addition, as in [`bully`](super::bully): no two candidates ever hold the same term, and a
//! leader that learns a later term becomes leader again.

use dmos_core::strategy::{
    Election, ElectionConfig, ElectionEffects, ElectionInput, Guarantee, LeaderDescriptor, LeaderStrategy,
    ParamKind, ParamSpec, Params, register_leader,
};
use dmos_core::{NodeId, Span, Term, Time};

use super::wire;

register_leader!(LeaderDescriptor {
    name: "lowest-id",
    summary: "Omega failure detector: the live candidate with the lowest number leads and announces it by heartbeats",
    source: "Chandra, Hadzilacos and Toueg 1996, The weakest failure detector (Ω); Larrea et al. 2000",
    notes: "at most one leader per term; one leader once messages arrive within some bound",
    // A follower whose timeout is shorter than two heartbeat intervals would lose its leader repeatedly.
    guarantees: |params| match params.duration("every") * 2 <= params.duration("timeout") {
        true => &[Guarantee::OneLeaderPerTerm, Guarantee::OneLeaderEventually, Guarantee::LinearMessages],
        false => &[Guarantee::OneLeaderPerTerm, Guarantee::LinearMessages],
    },
    params: &[
        ParamSpec {
            name: "every",
            summary: "interval of the leader's heartbeats",
            kind: ParamKind::Duration { min: Span::from_millis(1), default: Span::from_secs(1) },
        },
        ParamSpec {
            name: "timeout",
            summary: "silence of all candidates with lower numbers after which a candidate leads; at least two heartbeats",
            kind: ParamKind::Duration { min: Span::from_millis(1), default: Span::from_secs(4) },
        },
        ParamSpec {
            name: "step",
            summary: "additional waiting time per rank of a candidate, and after a failed claim",
            kind: ParamKind::Duration { min: Span::from_millis(1), default: Span::from_millis(300) },
        },
    ],
    build: |params: &Params| Box::new(LowestId {
        every: params.duration("every"),
        timeout: params.duration("timeout"),
        step: params.duration("step"),
    }),
});

#[derive(Clone, Copy, Debug)]
struct LowestId {
    every: Span,
    timeout: Span,
    step: Span,
}

impl LeaderStrategy for LowestId {
    fn election(&self, config: ElectionConfig) -> Box<dyn Election> {
        let lower = config.candidates.iter().filter(|&&node| node < config.me).count() as u64;
        Box::new(Candidate {
            settings: *self,
            leader_timeout: self.timeout + self.step * lower,
            config,
            leads: false,
            known_term: 0,
            leader: None,
            evidence: None,
            is_asking: false,
            timer: 0,
        })
    }
}

/// A heartbeat of the leader, with its term.
const ALIVE: u8 = 0;
/// Asks whether the receiver hears from a lower candidate than the sender.
const ASK: u8 = 2;
/// Answers with a leader, the age of its last heartbeat, and its term; 0 if the term is not known.
const REPORT: u8 = 3;
/// Reports a known term with its leader, or a term alone in the durable state.
const KNOWN: u8 = 1;

#[derive(Clone, Debug)]
struct Candidate {
    settings: LowestId,
    config: ElectionConfig,
    /// Timeout for heartbeats of lower candidates.
    leader_timeout: Span,
    leads: bool,
    known_term: u64,
    /// Leader of the known term, if it is another candidate and known.
    leader: Option<NodeId>,
    /// The lower candidate that leads as far as is known, and the time at which it last sent a heartbeat.
    evidence: Option<(NodeId, Time)>,
    /// True if it has asked the others, and waits for their reports.
    is_asking: bool,
    /// Number of the current timer; earlier ones are void.
    timer: u32,
}

impl Election for Candidate {
    fn handle(&mut self, now: Time, input: ElectionInput<'_>, effects: &mut ElectionEffects) {
        match input {
            ElectionInput::Start { durable } => {
                let known = durable.and_then(wire::read::<2>);
                self.known_term = known.map_or(0, |(_, [term, _])| term);
                self.wait(effects);
            }
            ElectionInput::Message { from, bytes } => match wire::read::<2>(bytes) {
                Some((ALIVE, [term, _])) if from < self.config.me => {
                    self.evidence = Some((from, now));
                    self.on_message_from_lower(from, term, effects)
                }
                Some((ASK, _)) => self.on_ask(now, from, effects),
                None => {
                    if let Some((REPORT, [term, leader, age])) = wire::read::<3>(bytes) {
                        self.on_report(now, self.candidate(leader), term, Span::from_nanos(age), effects);
                    }
                }
                Some((ALIVE, [term, _])) => self.on_message_from_higher(from, term, effects),
                Some((KNOWN, [term, leader])) => {
                    self.on_known(
                        self.candidate(leader).filter(|&node| node != self.config.me),
                        term,
                        effects,
                    );
                }
                _ => {}
            },
            ElectionInput::Timer(timer) if timer == self.timer => {
                if self.leads {
                    self.send_heartbeats(effects)
                } else if self.is_asking || self.config.candidates.len() == 1 {
                    self.become_leader(effects)
                } else {
                    self.ask(effects)
                }
            }
            ElectionInput::LeaderLearned(leader, term)
                if leader != self.config.me && term.0 > self.known_term =>
            {
                self.on_known(Some(leader), term.0, effects);
            }
            // Its term is out of date.
            ElectionInput::LeaderLearned(_, term) if self.leads && term.0 > self.known_term => {
                self.observe_term(term.0, effects);
            }
            ElectionInput::Timer(_)
            | ElectionInput::Suspected(_)
            | ElectionInput::Trusted(_)
            | ElectionInput::LeaderLearned(..) => {}
        }
    }
}

impl Candidate {
    fn on_message_from_lower(&mut self, from: NodeId, term: u64, effects: &mut ElectionEffects) {
        if self.leads {
            self.step_back(effects);
        } else {
            self.wait(effects);
        }
        if term >= self.known_term {
            self.observe_term(term, effects);
            self.leader = Some(from);
            effects.leader = Some((from, Term(term)));
        } else {
            // The sender's term is old: it becomes leader again, unless a lower candidate leads.
            let leader = self.leader.map_or(0, |node| node.index() as u64 + 1);
            effects.sends.push((from, wire::write(KNOWN, [self.known_term, leader])));
        }
    }

    /// Asks the other candidates for a leader that this one may not hear itself.
    fn ask(&mut self, effects: &mut ElectionEffects) {
        let ask = |node| (node, wire::write(ASK, [self.known_term, 0]));
        effects.sends.extend(self.config.others().map(ask));
        self.set_timer(self.settings.step, effects);
        self.is_asking = true;
    }

    fn on_ask(&self, now: Time, from: NodeId, effects: &mut ElectionEffects) {
        let known = if self.leads { Some((self.config.me, now)) } else { self.evidence };
        if let Some((leader, heard)) = known.filter(|known| known.0 < from) {
            // The known term may belong to another leader than the one that this candidate hears.
            let is_its_term = self.leads || self.leader == Some(leader);
            let term = if is_its_term { self.known_term } else { 0 };
            let numbers = [term, leader.index() as u64 + 1, now.since(heard).as_nanos()];
            effects.sends.push((from, wire::write(REPORT, numbers)));
        }
    }

    /// Handles another candidate's report: a lower one leads, and this one cannot hear it. Because of the age, reports do
    /// not outlive a failed leader.
    fn on_report(
        &mut self,
        now: Time,
        leader: Option<NodeId>,
        term: u64,
        age: Span,
        effects: &mut ElectionEffects,
    ) {
        let is_useful = self.is_asking && !self.leads && age < self.leader_timeout;
        let Some(leader) = leader.filter(|&leader| is_useful && leader < self.config.me) else {
            return;
        };
        self.evidence = Some((leader, Time::from_nanos(now.as_nanos().saturating_sub(age.as_nanos()))));
        if term >= self.known_term {
            self.observe_term(term, effects);
            self.leader = Some(leader);
            effects.leader = Some((leader, Term(term)));
        }
        let left = Span::from_nanos(self.leader_timeout.as_nanos() - age.as_nanos());
        self.set_timer(left.max(self.settings.step), effects);
    }

    fn on_message_from_higher(&mut self, from: NodeId, term: u64, effects: &mut ElectionEffects) {
        if self.leads && term <= self.known_term {
            effects.sends.push((from, wire::write(ALIVE, [self.known_term, 0])));
        } else if !self.leads && term > self.known_term {
            // Any leader is better than none, until the lowest becomes leader.
            effects.leader = Some((from, Term(term)));
        }
        let is_later = term > self.known_term;
        self.observe_term(term, effects);
        if is_later && !self.leads {
            self.leader = Some(from);
        }
    }

    /// Handles a term, and its leader if known. A lower candidate leads although it may be unreachable here: outbidding
    /// it would lead to endless outbidding.
    fn on_known(&mut self, leader: Option<NodeId>, term: u64, effects: &mut ElectionEffects) {
        if term > self.known_term {
            if self.leads && leader.is_some_and(|leader| leader < self.config.me) {
                self.step_back(effects);
            }
            self.observe_term(term, effects);
            self.leader = leader.filter(|_| !self.leads);
        }
    }

    /// Returns the candidate with a number from a message, which counts from 1.
    fn candidate(&self, number: u64) -> Option<NodeId> {
        self.config.candidates.iter().copied().find(|node| node.index() as u64 + 1 == number)
    }

    fn observe_term(&mut self, term: u64, effects: &mut ElectionEffects) {
        if term > self.known_term {
            (self.known_term, self.leader) = (term, None);
            if self.leads {
                self.become_leader(effects);
            } else {
                effects.durable = Some(wire::write(KNOWN, [term, 0]));
            }
        }
    }

    fn step_back(&mut self, effects: &mut ElectionEffects) {
        self.leads = false;
        self.leader_timeout += self.settings.step;
        self.wait(effects);
    }

    fn wait(&mut self, effects: &mut ElectionEffects) {
        self.set_timer(self.leader_timeout, effects);
    }

    fn set_timer(&mut self, span: Span, effects: &mut ElectionEffects) {
        self.timer = self.timer.wrapping_add(1);
        self.is_asking = false;
        effects.timers.push((span, self.timer));
    }

    fn become_leader(&mut self, effects: &mut ElectionEffects) {
        self.known_term = self.config.own_term_after(self.known_term);
        (self.leads, self.leader) = (true, None);
        effects.durable = Some(wire::write(KNOWN, [self.known_term, 0]));
        effects.leader = Some((self.config.me, Term(self.known_term)));
        self.send_heartbeats(effects);
    }

    fn send_heartbeats(&mut self, effects: &mut ElectionEffects) {
        let alive = |node| (node, wire::write(ALIVE, [self.known_term, 0]));
        effects.sends.extend(self.config.others().map(alive));
        self.set_timer(self.settings.every, effects);
    }
}
