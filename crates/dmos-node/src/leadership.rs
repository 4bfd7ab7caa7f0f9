//! Leadership hosts the election machine of a candidate, and knows who leads.
//!
//! It gives the machine the node's suspicions and returns, and carries out what the machine wants. A
//! node that is no candidate learns of the leader from what the leader sends.

use std::sync::Arc;

use dmos_core::settings::Dissemination;
use dmos_core::strategy::{Election, ElectionConfig, ElectionEffects, ElectionInput, LeaderStrategy};
use dmos_core::{FlowVersion, NodeId, Term};

use crate::context::Context;
use crate::interface::{Effect, Notice, Report, Timer};
use crate::log::LogRecord;
use crate::message::Message;
use crate::role::Role;

/// What liveness may change its mind about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Suspected(NodeId),
    HeardAgain(NodeId),
}

/// Who leads, and this node's part in violation out.
pub(crate) struct Leadership {
    machine: Option<Box<dyn Election>>,
    leader: Option<(NodeId, Term)>,
    /// The latest flow that the node ever obeyed: an earlier one is void, also after a crash.
    obeyed: FlowVersion,
    /// What the election machine wrote last.
    durable: Option<Box<[u8]>>,
    me: NodeId,
    is_on_board: bool,
    candidates: Arc<[NodeId]>,
    /// How often the node has said that it is back.
    returns_said: usize,
    /// Whether it has said so to the leader itself.
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
            obeyed: FlowVersion::default(),
            durable: None,
            me,
            is_on_board: dissemination == Dissemination::Blackboard,
            candidates,
            returns_said: 0,
            told_leader: false,
        }
    }

    pub(crate) fn leader(&self) -> Option<NodeId> {
        self.leader.map(|leader| leader.0)
    }

    /// Who leads, and in which term, as far as this node knows.
    pub(crate) fn in_office(&self) -> Option<(NodeId, Term)> {
        self.leader
    }

    /// The latest flow that the node ever obeyed.
    pub(crate) fn obeyed(&self) -> FlowVersion {
        self.obeyed
    }

    /// After a crash: the latest flow that the log says the node obeyed, and what the machine wrote last.
    pub(crate) fn restore(&mut self, obeyed: FlowVersion, durable: Option<Box<[u8]>>) {
        (self.obeyed, self.durable) = (obeyed, durable);
    }

    /// What the election machine wrote last.
    pub(crate) fn durable(&self) -> Option<&[u8]> {
        self.durable.as_deref()
    }

    /// From now on no earlier flow is obeyed. That must survive a crash: an old leader could come back, or a
    /// message that was long under way.
    pub(crate) fn obey(&mut self, cx: &mut Context<'_>, version: FlowVersion) {
        if version > self.obeyed && !self.is_on_board {
            self.obeyed = version;
            cx.append(LogRecord::Obeyed(version));
        }
    }

    /// Whether this node leads under this term.
    pub(crate) fn leads_in(&self, term: Term) -> bool {
        self.leader == Some((self.me, term))
    }

    /// Whether this node leads.
    pub(crate) fn leads(&self) -> bool {
        self.leader() == Some(self.me)
    }

    /// The leader, if this node has to watch it.
    pub(crate) fn watches(&self) -> Option<NodeId> {
        self.machine.as_ref().filter(|_| !self.is_on_board).and(self.leader())
    }

    /// Somebody says who leads; true if that is news.
    pub(crate) fn learn(&mut self, leader: NodeId, term: Term) -> bool {
        let news = term >= self.obeyed.term && self.leader.is_none_or(|known| known.1 < term);
        if news {
            self.leader = Some((leader, term));
        }
        news
    }

    /// Gives the election machine its input; a term if this node takes office.
    pub(crate) fn elect(&mut self, cx: &mut Context<'_>, input: ElectionInput<'_>) -> Option<Term> {
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
        if !self.learn(leader, term) || leader != self.me {
            return None;
        }
        self.obey(cx, FlowVersion { term, number: 0 });
        if self.is_on_board {
            cx.effects.push(Effect::Post(Notice::Leader(leader, term)));
        }
        cx.report(Report::TookOffice(term));
        Some(term)
    }

    /// What the election machine is told of what liveness has found; nothing of who is no candidate.
    pub(crate) fn input_of(&self, verdict: Verdict) -> Option<ElectionInput<'static>> {
        let (input, node) = match verdict {
            Verdict::Suspected(node) => (ElectionInput::Suspected(node), node),
            Verdict::HeardAgain(node) => (ElectionInput::Trusted(node), node),
        };
        self.candidates.binary_search(&node).is_ok().then_some(input)
    }

    /// Whether the leader has heard that this node is back: on a board it is enough to have told it, else
    /// it has answered with a part of the flow.
    pub(crate) fn knows_of_return(&self, role: &Role) -> bool {
        self.leads() || if self.is_on_board { self.told_leader } else { role.assignment().is_some() }
    }

    /// Says that the node is back: to the leader, or to one candidate after the other, who may know it.
    pub(crate) fn say_return(&mut self, cx: &mut Context<'_>) {
        let others = self.candidates.iter().filter(|&&node| node != self.me).count();
        let nth = self.me.index().wrapping_add(self.returns_said) % others.max(1);
        let candidate = self.candidates.iter().copied().filter(|&node| node != self.me).nth(nth);
        self.returns_said = self.returns_said.wrapping_add(1);
        self.told_leader = self.leader.is_some();
        if let Some(to) = self.leader().or(candidate) {
            cx.send(to, Message::Return);
        }
        cx.set_timer(cx.protocol.heartbeat, Timer::Return);
    }

    /// Tells a node who leads, if that is known.
    pub(crate) fn tell_leader(&self, cx: &mut Context<'_>, to: NodeId) {
        if let Some((leader, term)) = self.leader {
            cx.send(to, Message::Leads(leader, term));
        }
    }
}
