//! The node itself: it hands each input to the part whose job it is.

use std::sync::Arc;

use dmos_core::settings::{Knowledge, Protocol, Readmission, Recovery};
use dmos_core::strategy::{ElectionInput, FlowChoice, LeaderStrategy};
use dmos_core::{BatchId, Metric, Network, NodeId, NodeMetrics, Span, Stamp, Term, Time};

use crate::context::Context;
use crate::dock::Dock;
use crate::interface::{Effect, Input, Notice, Timer};
use crate::leadership::{Leadership, Verdict};
use crate::liveness::Liveness;
use crate::log::{LogRecord, Recovered};
use crate::message::Message;
use crate::planning::Planning;
use crate::role::Role;
use crate::shipping::Shipping;
use crate::stage::Stage;

mod recovery;

/// What all nodes of a run have in common.
#[derive(Clone)]
pub struct NodeSettings {
    /// The network.
    pub network: Arc<Network>,
    /// The rules.
    pub protocol: Protocol,
    /// How flows are planned.
    pub flow: FlowChoice,
    /// The most steps a plan may take.
    pub planning_budget: u64,
    /// How the leader is found.
    pub leader: Arc<dyn LeaderStrategy>,
    /// Who may lead, in ascending order.
    pub candidates: Arc<[NodeId]>,
}

/// One node of the network.
pub struct Node {
    me: NodeId,
    settings: Arc<NodeSettings>,
    metrics: NodeMetrics,
    memory: Memory,
}

/// What a crash wipes out.
struct Memory {
    role: Role,
    stage: Stage,
    dock: Dock,
    shipping: Shipping,
    liveness: Liveness,
    leadership: Leadership,
    planning: Option<Planning>,
    /// What is to be replayed once there is a flow, under `recovery: replay`.
    replay: Option<Recovered>,
}

/// Figures by which a driver may reckon how much work an input is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Load {
    /// Batches in the inbound log.
    pub inbound_entries: u64,
    /// Batches in the outbound log.
    pub outbound_entries: u64,
    /// Edges of the flow that the node knows.
    pub flow_edges: u64,
    /// Neighbours that it watches.
    pub neighbours: u64,
}

/// Which batches a node holds, by its own account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holdings {
    /// Own batches in stock.
    pub stock: Vec<BatchId>,
    /// Own batches announced to a consumer and not confirmed.
    pub under_way: Vec<BatchId>,
    /// Batches of others in the dock.
    pub received: Vec<BatchId>,
}

impl Memory {
    fn new(me: NodeId, settings: &NodeSettings, phase: Span) -> Self {
        let knowledge = settings.protocol.knowledge;
        Self {
            role: Role::default(),
            stage: Stage::default(),
            dock: Dock::new(settings.network.requirements(me).len()),
            shipping: Shipping::new(me),
            liveness: Liveness::new(phase),
            leadership: Leadership::new(me, &*settings.leader, &settings.candidates, knowledge),
            planning: None,
            replay: None,
        }
    }
}

impl Node {
    /// A node that waits for its [`Input::Start`].
    #[must_use]
    pub fn new(me: NodeId, settings: Arc<NodeSettings>) -> Self {
        let memory = Memory::new(me, &settings, Span::ZERO);
        Self { me, settings, metrics: NodeMetrics::default(), memory }
    }

    /// Its metrics. They belong to who watches it: crashes leave them alone.
    #[must_use]
    pub fn metrics(&self) -> &NodeMetrics {
        &self.metrics
    }

    /// How much there is to work through.
    #[must_use]
    pub fn load(&self) -> Load {
        Load {
            inbound_entries: self.memory.dock.log_entries(),
            outbound_entries: self.memory.shipping.log_entries(),
            flow_edges: self.memory.role.edges() as u64,
            neighbours: self.memory.liveness.neighbours() as u64,
        }
    }

    /// How many batches are in stock.
    #[must_use]
    pub fn stock(&self) -> u64 {
        self.memory.shipping.stock().len() as u64
    }

    /// Whether this node believes that it leads.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.memory.leadership.leads()
    }

    /// Every batch that the node holds.
    #[must_use]
    pub fn holdings(&self) -> Holdings {
        Holdings {
            stock: self.memory.shipping.stock().iter().copied().collect(),
            under_way: self.memory.shipping.under_way().collect(),
            received: self.memory.dock.batches().collect(),
        }
    }

    /// Takes one input and appends to `effects` what is to be done, in order.
    ///
    /// Between a crash and the next [`Input::Start`] nothing may be handed in; timers, transports and
    /// plans from before a crash are void and must not come back.
    ///
    /// # Panics
    /// If an input breaks that contract.
    pub fn handle(&mut self, now: Time, input: Input<'_>, effects: &mut Vec<Effect>) {
        let Self { me, settings, metrics, memory } = self;
        if let Input::Start { phase, .. } = input {
            let before = std::mem::replace(memory, Memory::new(*me, settings, phase));
            if settings.protocol.recovery == Recovery::Replay {
                memory.dock.live_on(before.dock);
            }
        }
        let mut cx = Context {
            now,
            me: *me,
            network: &settings.network,
            protocol: &settings.protocol,
            metrics,
            effects,
        };
        match input {
            Input::Start { records, recovering, .. } => memory.start(&mut cx, settings, records, recovering),
            Input::Message { from, message } => memory.receive(&mut cx, settings, from, message),
            Input::Timer(timer) => memory.wake(&mut cx, settings, timer),
            Input::Arrived(batch) => memory.dock.arrived(&mut cx, batch),
            Input::Planned(ticket) => memory.planned(&mut cx, settings, ticket),
            Input::Notice(notice) => memory.read(&mut cx, notice),
        }
    }
}

impl Memory {
    fn start(
        &mut self,
        cx: &mut Context<'_>,
        settings: &NodeSettings,
        records: &[LogRecord],
        recovering: bool,
    ) {
        let protocol = cx.protocol;
        let startup = if recovering { Span::ZERO } else { protocol.startup };
        let warm_up = if recovering { Span::ZERO } else { protocol.warm_up };
        let recovered = Recovered::from_records(records);
        let election = recovered.election.clone();
        match protocol.recovery {
            Recovery::Exact => self.restore(cx, &recovered),
            Recovery::Replay => self.prepare_replay(cx, recovered, recovering),
        }
        cx.set_timer(startup + warm_up + protocol.cycle, Timer::Stage);
        cx.set_timer(startup, Timer::AwaitNeighbours);
        let office = self.leadership.elect(cx, ElectionInput::Start { durable: election.as_deref() });
        self.take_office(cx, settings, office);
        if recovering && protocol.readmission == Readmission::OnReturn {
            // Not at once: a board, if there is one, tells who leads right after the start.
            cx.set_timer(Span::ZERO, Timer::Return);
        }
    }

    fn take_office(&mut self, cx: &mut Context<'_>, settings: &NodeSettings, office: Option<Term>) {
        if let Some(term) = office {
            let dead = self.liveness.dead();
            self.planning = Some(Planning::begin(cx, term, &settings.flow, settings.planning_budget, dead));
        }
    }

    fn receive(&mut self, cx: &mut Context<'_>, settings: &NodeSettings, from: NodeId, message: Message) {
        cx.metrics.count(Metric::ReceivedMessages);
        cx.metrics.count(message.received_metric());
        let budget = settings.planning_budget;
        match message {
            Message::Request { request, item } => {
                self.shipping.serve(cx, &self.role, &mut self.dock, from, (request, item));
            }
            Message::Sent { request, batch } => self.dock.announced(cx, from, request, batch),
            Message::Unavailable { request } => self.dock.refused(cx, request),
            Message::Waiting(batch) => self.shipping.waited_for(cx, batch),
            Message::Delivered(batch) => self.shipping.delivered(cx, batch),
            Message::HeartbeatRequest => cx.send(from, Message::HeartbeatResponse),
            Message::HeartbeatResponse => {
                let verdict = self.liveness.heard(cx.now, from);
                self.consider(cx, settings, verdict);
            }
            Message::Suspicion(node) => match self.office() {
                Some(planning) => planning.report(cx, node, budget),
                None => self.leadership.tell_leader(cx, from),
            },
            Message::Part(stamp, part) => {
                self.learn(cx, settings, from, stamp.term);
                if stamp < self.role.stamp() {
                    self.leadership.tell_leader(cx, from);
                } else {
                    let edges = part.edge_count();
                    self.adopt(cx, stamp, part, edges);
                    cx.send(from, Message::PartAck(stamp));
                }
            }
            Message::PartAck(stamp) => {
                if let Some(planning) = self.office() {
                    planning.acknowledged(cx, from, stamp, budget);
                }
            }
            Message::Return => match self.office() {
                Some(planning) => planning.returned(cx, from, budget),
                None => self.leadership.tell_leader(cx, from),
            },
            Message::Leads(leader, term) => {
                if self.learn(cx, settings, leader, term) && self.role.part().is_none() && leader != cx.me {
                    cx.send(leader, Message::Return);
                }
            }
            Message::Election(bytes) => {
                let office = self.leadership.elect(cx, ElectionInput::Message { from, bytes: &bytes });
                self.take_office(cx, settings, office);
            }
        }
    }

    /// The plan of a node that leads.
    fn office(&mut self) -> Option<&mut Planning> {
        self.planning.as_mut().filter(|_| self.leadership.leads())
    }

    /// Somebody says who leads; true if that is news. A candidate's election machine hears of it as well:
    /// it may lead under an earlier term, which is void now.
    fn learn(&mut self, cx: &mut Context<'_>, settings: &NodeSettings, leader: NodeId, term: Term) -> bool {
        let news = self.leadership.learn(leader, term);
        if news {
            let office = self.leadership.elect(cx, ElectionInput::Learned(leader, term));
            self.take_office(cx, settings, office);
        }
        news
    }

    fn wake(&mut self, cx: &mut Context<'_>, settings: &NodeSettings, timer: Timer) {
        match timer {
            Timer::Stage => self.stage.cycle(cx, &self.role, &mut self.dock, &mut self.shipping),
            Timer::AwaitNeighbours => self.liveness.await_neighbours(cx, &self.role, &self.leadership),
            Timer::Heartbeat => {
                for verdict in self.liveness.round(cx, &self.role, &self.leadership) {
                    self.consider(cx, settings, Some(verdict));
                }
            }
            Timer::Resend => self.shipping.resend(cx),
            Timer::Offer => {
                if let Some(planning) = self.office() {
                    planning.offer_again(cx, settings.planning_budget);
                }
            }
            Timer::Return => {
                if !self.leadership.knows_of_return(&self.role) {
                    self.leadership.say_return(cx);
                }
            }
            Timer::Election(timer) => {
                let office = self.leadership.elect(cx, ElectionInput::Timer(timer));
                self.take_office(cx, settings, office);
            }
        }
    }

    fn consider(&mut self, cx: &mut Context<'_>, settings: &NodeSettings, verdict: Option<Verdict>) {
        if let Some(verdict) = verdict {
            let office = self.leadership.consider(cx, verdict);
            self.take_office(cx, settings, office);
        }
    }

    fn planned(&mut self, cx: &mut Context<'_>, settings: &NodeSettings, ticket: Stamp) {
        let planning = self.planning.as_mut().expect("a plan is ready, so this node plans");
        let still_leads = self.leadership.leads_in(planning.term());
        if let Some((stamp, part)) = planning.planned(cx, ticket, still_leads, settings.planning_budget) {
            let edges = part.edge_count();
            self.adopt(cx, stamp, Arc::new(part), edges);
        }
    }

    fn read(&mut self, cx: &mut Context<'_>, notice: &Notice) {
        match notice {
            Notice::Leader(leader, term) => {
                self.leadership.learn(*leader, *term);
            }
            Notice::Flow(stamp, flow) => {
                self.adopt(cx, *stamp, Arc::new(flow.part(cx.me)), flow.edges().len());
            }
            Notice::Struck(node) => self.liveness.set_struck(*node, true),
            Notice::Readmitted(node) => self.liveness.set_struck(*node, false),
        }
    }

    fn adopt(&mut self, cx: &mut Context<'_>, stamp: Stamp, part: Arc<dmos_core::FlowPart>, edges: usize) {
        if !self.role.adopt(stamp, part, edges) {
            return;
        }
        if let (Knowledge::Messages, Some(part)) = (cx.protocol.knowledge, self.role.part()) {
            self.liveness.trust_again(cx.now, part);
        }
        if let Some(recovered) = self.replay.take() {
            self.replay(cx, &recovered);
        }
    }
}
