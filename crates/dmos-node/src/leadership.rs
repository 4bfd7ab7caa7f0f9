//! Leadership hosts the election machine of a candidate, and knows who leads.
//!
//! It gives the machine the node's suspicions and returns, and carries out what the machine wants. A
//! node that is no candidate learns of the leader from what the leader sends.

use std::sync::Arc;

use dmos_core::settings::Dissemination;
use dmos_core::strategy::{Election, ElectionConfig, ElectionEffects, ElectionInput, LeaderStrategy};
use dmos_core::{FlowVersion, NodeId, Term};

use crate::assignment::ActiveAssignment;
use crate::context::Context;
use crate::interface::{Effect, Notice, Report, Timer};
use crate::log::LogRecord;
use crate::message::Message;

/// What failure_detector may change its mind about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PeerEvent {
    Suspected(NodeId),
    Trusted(NodeId),
}

/// Who leads, and this node's assignment in violation out.
pub(crate) struct Leadership {
    machine: Option<Box<dyn Election>>,
    leader: Option<(NodeId, Term)>,
    /// The latest flow that the node ever accepted_flow: an earlier one is void, also after a crash.
    accepted_flow: FlowVersion,
    /// What the election machine wrote last.
    durable: Option<Box<[u8]>>,
    me: NodeId,
    uses_blackboard: bool,
    candidates: Arc<[NodeId]>,
    /// How often the node has said that it is back.
    rejoins_sent: usize,
    /// True if it has said so to the leader itself.
    told_leader: bool,
}

impl Leadership {
    pub(crate) fn new(
        config: ElectionConfig,
        strategy: &dyn LeaderStrategy,
        dissemination: Dissemination,
    ) -> Self {
        let (me, candidates) = (config.me, Arc::clone(&config.candidates));
        let is_candidate = candidates.binary_search(&me).is_ok();
        let machine = is_candidate.then(|| strategy.election(config));
        Self {
            machine,
            leader: None,
            accepted_flow: FlowVersion::default(),
            durable: None,
            me,
            uses_blackboard: dissemination == Dissemination::Blackboard,
            candidates,
            rejoins_sent: 0,
            told_leader: false,
        }
    }

    pub(crate) fn leader(&self) -> Option<NodeId> {
        self.leader.map(|leader| leader.0)
    }

    /// Who leads, and in which term, as far as this node knows.
    pub(crate) fn current(&self) -> Option<(NodeId, Term)> {
        self.leader
    }

    /// Returns the latest flow that the node ever accepted_flow.
    pub(crate) fn accepted_flow(&self) -> FlowVersion {
        self.accepted_flow
    }

    /// After a crash: the latest flow that the log says the node accepted_flow, and what the machine wrote last.
    pub(crate) fn restore(&mut self, accepted_flow: FlowVersion, durable: Option<Box<[u8]>>) {
        (self.accepted_flow, self.durable) = (accepted_flow, durable);
    }

    /// What the election machine wrote last.
    pub(crate) fn durable(&self) -> Option<&[u8]> {
        self.durable.as_deref()
    }

    /// From now on no earlier flow is accepted_flow. That must survive a crash: an old leader could come back, or a
    /// message that was long under way.
    pub(crate) fn accept_flow(&mut self, cx: &mut Context<'_>, version: FlowVersion) {
        if version > self.accepted_flow && !self.uses_blackboard {
            self.accepted_flow = version;
            cx.append(LogRecord::FlowAccepted(version));
        }
    }

    /// Returns whether this node leads under this term.
    pub(crate) fn leads_in(&self, term: Term) -> bool {
        self.leader == Some((self.me, term))
    }

    /// Returns whether this node leads.
    pub(crate) fn leads(&self) -> bool {
        self.leader() == Some(self.me)
    }

    /// Returns the leader, if this node has to watch it.
    pub(crate) fn watched_leader(&self) -> Option<NodeId> {
        self.machine.as_ref().filter(|_| !self.uses_blackboard).and(self.leader())
    }

    /// Somebody says who leads; true if that is news.
    pub(crate) fn on_leader_learned(&mut self, leader: NodeId, term: Term) -> bool {
        let news = term >= self.accepted_flow.term && self.leader.is_none_or(|known| known.1 < term);
        if news {
            self.leader = Some((leader, term));
        }
        news
    }

    /// Gives the election machine its input; a term if this node becomes leader.
    pub(crate) fn run_election(&mut self, cx: &mut Context<'_>, input: ElectionInput<'_>) -> Option<Term> {
        let machine = self.machine.as_mut()?;
        let mut effects = ElectionEffects::default();
        machine.handle(cx.now, input, &mut effects);
        if let Some(durable) = effects.durable {
            cx.append(LogRecord::Election(durable.clone()));
            self.durable = Some(durable);
        }
        for (to, bytes) in effects.sends {
            cx.send(to, Message::Election(bytes));
        }
        for (after, timer) in effects.timers {
            cx.set_timer(after, Timer::Election(timer));
        }
        let (leader, term) = effects.leader?;
        if !self.on_leader_learned(leader, term) || leader != self.me {
            return None;
        }
        self.accept_flow(cx, FlowVersion { term, number: 0 });
        if self.uses_blackboard {
            cx.effects.push(Effect::Post(Notice::Leader(leader, term)));
        }
        cx.report(Report::BecameLeader(term));
        Some(term)
    }

    /// What the election machine is told of what failure_detector has found; nothing of who is no candidate.
    pub(crate) fn election_input(&self, event: PeerEvent) -> Option<ElectionInput<'static>> {
        let (input, node) = match event {
            PeerEvent::Suspected(node) => (ElectionInput::Suspected(node), node),
            PeerEvent::Trusted(node) => (ElectionInput::Trusted(node), node),
        };
        self.candidates.binary_search(&node).is_ok().then_some(input)
    }

    /// Returns whether the leader has heard that this node is back: on a blackboard it is enough to have told it, else
    /// it has answered with a assignment of the flow.
    pub(crate) fn rejoin_is_known(&self, active: &ActiveAssignment) -> bool {
        self.leads() || if self.uses_blackboard { self.told_leader } else { active.assignment().is_some() }
    }

    /// Says that the node is back: to the leader, or to one candidate after the other, who may know it.
    pub(crate) fn announce_rejoin(&mut self, cx: &mut Context<'_>) {
        let others = self.candidates.iter().filter(|&&node| node != self.me).count();
        let nth = self.me.index().wrapping_add(self.rejoins_sent) % others.max(1);
        let candidate = self.candidates.iter().copied().filter(|&node| node != self.me).nth(nth);
        self.rejoins_sent = self.rejoins_sent.wrapping_add(1);
        self.told_leader = self.leader.is_some();
        if let Some(to) = self.leader().or(candidate) {
            cx.send(to, Message::Rejoin);
        }
        cx.set_timer(cx.protocol.heartbeat, Timer::AnnounceRejoin);
    }

    /// Tells a node who leads, if that is known.
    pub(crate) fn send_leader(&self, cx: &mut Context<'_>, to: NodeId) {
        if let Some((leader, term)) = self.leader {
            cx.send(to, Message::Leader(leader, term));
        }
    }
}
