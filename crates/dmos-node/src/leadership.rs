//! Leadership: runs the election of a candidate, and tracks the current leader.
//!
//! The election receives the node's suspicions, and this module executes its effects. A node that is not a
//! candidate learns the leader from the messages that the leader sends.

use std::sync::Arc;

use dmos_core::settings::Dissemination;
use dmos_core::strategy::{Election, ElectionConfig, ElectionEffects, ElectionInput, LeaderStrategy};
use dmos_core::{FlowVersion, NodeId, Term};

use crate::assignment::ActiveAssignment;
use crate::context::Context;
use crate::failure_detector::FailureDetector;
use crate::interface::{Notice, Report, Timer};
use crate::log::LogRecord;
use crate::message::Message;
use crate::prototype::blackboard;

/// A change of the suspicion of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PeerEvent {
    /// Nothing is heard from a candidate, on any way.
    Suspected(NodeId),
    /// A suspected candidate is heard from again.
    Trusted(NodeId),
    /// A neighbour no longer answers directly, or does so again.
    Silent,
}

/// The current leader, and this node's part in electing it.
pub(crate) struct Leadership {
    machine: Option<Box<dyn Election>>,
    leader: Option<(NodeId, Term)>,
    /// The latest flow that the node ever accepted. Earlier flows are refused, also after a crash.
    accepted_flow: FlowVersion,
    /// The last durable state of the election.
    durable: Option<Box<[u8]>>,
    me: NodeId,
    uses_blackboard: bool,
    candidates: Arc<[NodeId]>,
    /// Number of rejoin messages sent.
    rejoins_sent: usize,
    /// True if a rejoin message was sent to the leader itself.
    rejoin_sent_to_leader: bool,
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
            rejoin_sent_to_leader: false,
        }
    }

    pub(crate) fn leader(&self) -> Option<NodeId> {
        self.leader.map(|leader| leader.0)
    }

    /// Returns the leader and its term, as far as this node knows.
    pub(crate) fn current(&self) -> Option<(NodeId, Term)> {
        self.leader
    }

    /// Returns the latest flow that the node ever accepted.
    pub(crate) fn accepted_flow(&self) -> FlowVersion {
        self.accepted_flow
    }

    /// Restores the latest accepted flow and the durable state of the election after a crash.
    pub(crate) fn restore(&mut self, accepted_flow: FlowVersion, durable: Option<Box<[u8]>>) {
        (self.accepted_flow, self.durable) = (accepted_flow, durable);
    }

    /// Returns the last durable state of the election.
    pub(crate) fn durable(&self) -> Option<&[u8]> {
        self.durable.as_deref()
    }

    /// Accepts a flow version; earlier ones are refused from now on. This is logged, because an old leader or a
    /// delayed message could return after a crash.
    pub(crate) fn accept_flow(&mut self, cx: &mut Context<'_>, version: FlowVersion) {
        if version > self.accepted_flow && !self.uses_blackboard {
            self.accepted_flow = version;
            cx.append(LogRecord::FlowAccepted(version));
        }
    }

    /// Returns whether this node leads in this term.
    pub(crate) fn leads_in(&self, term: Term) -> bool {
        self.leader == Some((self.me, term))
    }

    /// Returns whether this node leads.
    pub(crate) fn leads(&self) -> bool {
        self.leader() == Some(self.me)
    }

    /// Returns the leader, if this node has to monitor it.
    pub(crate) fn monitored_leader(&self) -> Option<NodeId> {
        self.machine.as_ref().filter(|_| !self.uses_blackboard).and(self.leader())
    }

    /// Records the leader of a term, and returns whether it was new.
    pub(crate) fn on_leader_learned(&mut self, leader: NodeId, term: Term) -> bool {
        let is_new = term >= self.accepted_flow.term && self.leader.is_none_or(|known| known.1 < term);
        if is_new {
            self.leader = Some((leader, term));
        }
        is_new
    }

    /// Passes an input to the election. Returns a term if this node becomes its leader.
    pub(crate) fn run_election(
        &mut self,
        cx: &mut Context<'_>,
        detector: &mut FailureDetector,
        input: ElectionInput<'_>,
    ) -> Option<Term> {
        let machine = self.machine.as_mut()?;
        let mut effects = ElectionEffects::default();
        machine.handle(cx.now, input, &mut effects);
        if let Some(durable) = effects.durable {
            cx.append(LogRecord::Election(durable.clone()));
            self.durable = Some(durable);
        }
        for (to, bytes) in effects.sends {
            detector.on_contact(cx, to);
            cx.send_control(to, Message::Election(bytes));
        }
        for (after, timer) in effects.timers {
            cx.set_timer(after, Timer::Election(timer));
        }
        if let Some((_, term)) = self.leader.filter(|leader| effects.steps_down && leader.0 == self.me) {
            self.leader = None;
            cx.report(Report::SteppedDown(term));
        }
        let (leader, term) = effects.leader?;
        if !self.on_leader_learned(leader, term) || leader != self.me {
            return None;
        }
        self.accept_flow(cx, FlowVersion { term, number: 0 });
        blackboard::post(cx, || Notice::Leader(leader, term));
        cx.report(Report::BecameLeader(term));
        Some(term)
    }

    /// Returns the election input for a change of suspicion, or `None` if the node is not a candidate.
    pub(crate) fn election_input(&self, event: PeerEvent) -> Option<ElectionInput<'static>> {
        let (input, node) = match event {
            PeerEvent::Suspected(node) => (ElectionInput::Suspected(node), node),
            PeerEvent::Trusted(node) => (ElectionInput::Trusted(node), node),
            PeerEvent::Silent => return None,
        };
        self.candidates.binary_search(&node).is_ok().then_some(input)
    }

    /// Returns whether the leader knows that this node has recovered. With a blackboard it suffices that the
    /// leader was told; otherwise it has answered with an assignment.
    pub(crate) fn rejoin_is_known(&self, active: &ActiveAssignment) -> bool {
        self.leads()
            || if self.uses_blackboard { self.rejoin_sent_to_leader } else { active.assignment().is_some() }
    }

    /// Announces the node's recovery to the leader or, if it is unknown, to one candidate after another.
    pub(crate) fn announce_rejoin(&mut self, cx: &mut Context<'_>) {
        let others = self.candidates.iter().filter(|&&node| node != self.me).count();
        let nth = self.me.index().wrapping_add(self.rejoins_sent) % others.max(1);
        let candidate = self.candidates.iter().copied().filter(|&node| node != self.me).nth(nth);
        // The leader that the node knows may be wrong, or not hear it.
        let asks_others = cx.uses_relays() && self.rejoins_sent % 2 == 1;
        let leader = self.leader().filter(|_| !asks_others);
        let tries = u32::try_from(self.rejoins_sent / 4).unwrap_or(u32::MAX);
        self.rejoins_sent = self.rejoins_sent.wrapping_add(1);
        self.rejoin_sent_to_leader = self.leader.is_some();
        if let Some(to) = leader.or(candidate) {
            cx.send_again(to, Message::Rejoin, tries);
        }
        cx.set_timer(cx.protocol.heartbeat, Timer::AnnounceRejoin);
    }

    /// Answers a leader whose assignment is of an earlier flow: with the current leader or, if that was forgotten
    /// in a crash, with the term that the sender has to exceed.
    pub(crate) fn reject_leader(&self, cx: &mut Context<'_>, to: NodeId) {
        let (leader, term) = self.leader.unwrap_or((to, self.accepted_flow.term));
        cx.send_control(to, Message::Leader(leader, term));
    }

    /// Tells a node the current leader, if it is known.
    pub(crate) fn send_leader(&self, cx: &mut Context<'_>, to: NodeId) {
        if let Some((leader, term)) = self.leader {
            cx.send_control(to, Message::Leader(leader, term));
        }
    }
}
