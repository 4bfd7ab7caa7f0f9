//! The node itself: it hands each input to the part whose job it is.

use std::sync::Arc;

use dmos_core::settings::{Dissemination, Protocol, Recovery, Rejoin};
use dmos_core::strategy::{ElectionConfig, ElectionInput, FlowChoice, LeaderStrategy, MeanDurations};
use dmos_core::{
    BatchId, FlowVersion, Metric, Network, NodeId, NodeMetrics, Requirement, SerialSet, Span, Term, Time,
};

use crate::context::Context;
use crate::dock::Dock;
use crate::interface::{Effect, Effects, Input, Notice, Report, Scrapped, Timer};
use crate::leadership::{Leadership, Verdict};
use crate::liveness::Liveness;
use crate::log::{History, LogRecord, LogState};
use crate::message::Message;
use crate::orders::Orders;
use crate::planning::{Beginning, Planning};
use crate::role::Role;
use crate::shipping::Shipping;
use crate::stage::Stage;
use crate::standing::Order;

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
    /// How long things take on average, for planners to reckon with.
    pub mean_durations: MeanDurations,
    /// The number from which strategies draw.
    pub seed: u64,
    /// How the leader is found.
    pub leader: Arc<dyn LeaderStrategy>,
    /// Who may lead, in ascending order.
    pub candidates: Arc<[NodeId]>,
    /// Nodes that are not there from the beginning, but will be added.
    pub added_later: Arc<[NodeId]>,
}

/// One node of the network.
pub struct Node {
    me: NodeId,
    settings: Arc<NodeSettings>,
    /// The network as this node knows it: with its own recipe as it is now.
    network: Arc<Network>,
    metrics: NodeMetrics,
    memory: Memory,
    /// How many records the log has, and from how many on it is compacted.
    log_length: u64,
    compact_at: u64,
}

/// What a crash wipes out.
struct Memory {
    role: Role,
    stage: Stage,
    dock: Dock,
    shipping: Shipping,
    liveness: Liveness,
    leadership: Leadership,
    planning: Option<Box<Planning>>,
    orders: Orders,
    /// What is to be replayed once there is a flow, under `recovery: replay`.
    replay: Option<Box<History>>,
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
    /// The serial numbers of own batches in stock.
    pub stock: SerialSet,
    /// Own batches announced to a consumer and not confirmed.
    pub in_transit: Vec<BatchId>,
    /// Batches of others in the dock.
    pub received: Vec<BatchId>,
}

impl Memory {
    fn new(me: NodeId, settings: &NodeSettings, network: &Network, phase: Span) -> Self {
        let dissemination = settings.protocol.dissemination;
        Self {
            role: Role::default(),
            stage: Stage::default(),
            dock: Dock::new(network.requirements(me)),
            shipping: Shipping::new(me),
            liveness: Liveness::new(phase),
            leadership: Leadership::new(
                ElectionConfig { me, candidates: Arc::clone(&settings.candidates), seed: settings.seed },
                &*settings.leader,
                dissemination,
            ),
            planning: None,
            orders: Orders::default(),
            replay: None,
        }
    }
}

impl Node {
    /// A node that waits for its [`Input::Start`].
    #[must_use]
    pub fn new(me: NodeId, settings: Arc<NodeSettings>) -> Self {
        let memory = Memory::new(me, &settings, &settings.network, Span::ZERO);
        let (network, metrics) = (Arc::clone(&settings.network), NodeMetrics::default());
        Self { me, settings, network, metrics, memory, log_length: 0, compact_at: u64::MAX }
    }

    /// Which node it is.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.me
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
        self.memory.shipping.stock().len()
    }

    /// Counts something that happened to the node without its doing.
    pub fn count(&mut self, metric: Metric) {
        self.metrics.count(metric);
    }

    /// Takes back the count of a making of so many batches: a crash took it before it was durable.
    pub fn unmake(&mut self, count: u32) {
        self.metrics.subtract(Metric::SuccessfulManufactureCycles, 1);
        if self.network.is_final(self.me) {
            self.metrics.subtract(Metric::FinishedGoodsMade, u64::from(count));
        }
    }

    /// Whether a plan of this node is under way.
    #[must_use]
    pub fn is_planning(&self) -> bool {
        self.memory.planning.as_ref().is_some_and(|planning| planning.is_under_way())
    }

    /// How many batches are in transit to this node.
    #[must_use]
    pub fn in_transit(&self) -> usize {
        self.memory.dock.in_transit()
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
            stock: self.memory.shipping.stock().clone(),
            in_transit: self.memory.shipping.in_transit().collect(),
            received: self.memory.dock.batches().collect(),
        }
    }

    /// Takes one input and says to `effects` what is to be done, in order.
    ///
    /// Between a crash and the next [`Input::Start`] nothing may be handed in; timers, transports and
    /// plans from before a crash are void and must not come back.
    ///
    /// # Panics
    /// If an input breaks that contract.
    pub fn handle(&mut self, now: Time, input: Input<'_>, effects: &mut dyn Effects) {
        let (memory, settings, mut cx) = self.parts(now, effects);
        match input {
            Input::Message { from, message } => memory.receive(&mut cx, settings, from, message),
            Input::Timer(timer) => memory.wake(&mut cx, settings, timer),
            Input::Arrived(batch) => memory.dock.arrived(&mut cx, batch),
            Input::Planned(ticket) => memory.planned(&mut cx, settings, ticket),
            Input::Notice(notice) => memory.read(&mut cx, notice),
            Input::Start { records, recovering, phase, scrapped } => {
                self.start(now, effects, (records, recovering, phase, scrapped));
            }
            Input::Order(order) => self.follow(now, effects, order),
        }
        if self.log_length >= self.compact_at {
            self.compact(effects);
        }
    }

    #[inline(always)]
    fn parts<'a>(
        &'a mut self,
        now: Time,
        effects: &'a mut dyn Effects,
    ) -> (&'a mut Memory, &'a NodeSettings, Context<'a>) {
        let cx = Context {
            now,
            me: self.me,
            network: &self.network,
            protocol: &self.settings.protocol,
            metrics: &mut self.metrics,
            effects,
            log_length: &mut self.log_length,
        };
        (&mut self.memory, &self.settings, cx)
    }

    fn start(
        &mut self,
        now: Time,
        effects: &mut dyn Effects,
        (records, recovering, phase, scrapped): (&[LogRecord], bool, Span, Scrapped),
    ) {
        let state = LogState::of(records);
        self.log_length = records.len() as u64;
        self.compact_at = self.compaction_point(state.size());
        self.network = match &state.standing.requires {
            Some(requires) => self.changed_network(requires),
            None => Arc::clone(&self.settings.network),
        };
        let memory = Memory::new(self.me, &self.settings, &self.network, phase);
        let before = std::mem::replace(&mut self.memory, memory);
        if self.settings.protocol.recovery == Recovery::Replay {
            self.memory.dock.live_on(before.dock);
        }
        let (memory, settings, mut cx) = self.parts(now, effects);
        memory.start(&mut cx, settings, (records, state), recovering, scrapped);
    }

    /// The network with this node's recipe changed.
    fn changed_network(&self, requires: &[Requirement]) -> Arc<Network> {
        let network = self.network.with_requirements([(self.me, requires)]);
        Arc::new(network.expect("whoever orders a recipe has checked that it fits the network"))
    }

    fn follow(&mut self, now: Time, effects: &mut dyn Effects, order: &Order) {
        if let Order::Recipe(requires) = order {
            self.network = self.changed_network(requires);
        }
        let (memory, settings, mut cx) = self.parts(now, effects);
        memory.orders.follow(&mut cx, order);
        memory.tell_leader_of_orders(&mut cx, settings);
    }

    /// From how many records on the log is to be compacted, if it holds so much.
    fn compaction_point(&self, held: u64) -> u64 {
        let protocol = &self.settings.protocol;
        match protocol.compact_after {
            Some(after) if protocol.has_exact_logs() => 1 + u64::from(after.get()) + 2 * held,
            _ => u64::MAX,
        }
    }

    fn compact(&mut self, effects: &mut dyn Effects) {
        self.memory.dock.compacted();
        self.memory.shipping.compacted();
        let state = self.memory.log_state();
        self.metrics.count(Metric::LogCompactions);
        self.log_length = 1;
        self.compact_at = self.compaction_point(state.size());
        effects.push(Effect::Compact(Box::new(state)));
    }
}

impl Memory {
    fn start(
        &mut self,
        cx: &mut Context<'_>,
        settings: &NodeSettings,
        (records, mut state): (&[LogRecord], LogState),
        recovering: bool,
        scrapped: Scrapped,
    ) {
        let protocol = cx.protocol;
        let start_delay = if recovering { Span::ZERO } else { protocol.start_delay };
        let production_delay = if recovering { Span::ZERO } else { protocol.production_delay };
        self.orders = Orders::new(std::mem::take(&mut state.standing));
        let election = state.election.take();
        self.leadership.restore(state.obeyed, election.clone());
        match protocol.recovery {
            Recovery::Exact => {
                self.scrap(cx, &mut state, scrapped);
                self.restore(cx, state, recovering);
            }
            Recovery::Replay => self.prepare_replay(cx, History::of(records), recovering),
        }
        cx.set_timer(start_delay + production_delay + protocol.cycle, Timer::Stage);
        cx.set_timer(start_delay, Timer::AwaitNeighbours);
        self.elect(cx, settings, ElectionInput::Start { durable: election.as_deref() });
        let is_new_here = settings.added_later.contains(&cx.me);
        if (recovering || is_new_here) && protocol.rejoin == Rejoin::OnReturn {
            // Not at once: a board, if there is one, tells who leads right after the start.
            cx.set_timer(Span::ZERO, Timer::Return);
        }
        self.tell_leader_of_orders(cx, settings);
    }

    /// All that the log adds up to, by what the node remembers.
    fn log_state(&self) -> LogState {
        LogState {
            returns: self.dock.incarnation(),
            made: self.shipping.next_serial(),
            consumed: self.stage.consumed,
            stock: self.shipping.stock().clone(),
            promised: self.shipping.promised(),
            on_their_way: Default::default(),
            received: self.dock.batches().collect(),
            seen: self.dock.seen().clone(),
            inbound_entries: self.dock.batches().count() as u64,
            outbound_entries: self.shipping.log_entries(),
            standing: (**self.orders.standing()).clone(),
            obeyed: self.leadership.obeyed(),
            election: self.leadership.durable().map(Into::into),
        }
    }

    /// Gives the election machine an input; takes office if that is what comes of it.
    fn elect(&mut self, cx: &mut Context<'_>, settings: &NodeSettings, input: ElectionInput<'_>) {
        let office = self.leadership.elect(cx, input);
        self.take_office(cx, settings, office);
        // A new leader, however it was found, has not heard of this node's orders.
        self.orders.tell(cx, self.leadership.in_office());
    }

    fn take_office(&mut self, cx: &mut Context<'_>, settings: &NodeSettings, office: Option<Term>) {
        if let Some(term) = office {
            let beginning = Beginning {
                term,
                flow: &settings.flow,
                budget: settings.planning_budget,
                mean_durations: settings.mean_durations,
                seed: settings.seed,
                network: &settings.network,
                dead: self.liveness.dead().chain(settings.added_later.iter().copied()),
                standing: self.orders.standing(),
            };
            self.planning = Some(Box::new(Planning::begin(cx, beginning)));
        }
    }

    /// The leader hears of this node's orders; if that is this node, it plans with them.
    fn tell_leader_of_orders(&mut self, cx: &mut Context<'_>, settings: &NodeSettings) {
        let standing = Arc::clone(self.orders.standing());
        match self.office() {
            Some(planning) if standing.orders > 0 => {
                planning.told(cx, cx.me, &standing, settings.planning_budget);
            }
            _ => self.orders.tell(cx, self.leadership.in_office()),
        }
    }

    fn receive(&mut self, cx: &mut Context<'_>, settings: &NodeSettings, from: NodeId, message: &Message) {
        cx.metrics.count(Metric::ReceivedMessages);
        cx.metrics.count(message.received_metric());
        let budget = settings.planning_budget;
        match *message {
            Message::Request { request, item } => {
                if self.orders.retired() {
                    self.shipping.refuse(cx, from, request);
                } else {
                    self.shipping.serve(cx, &self.role, &mut self.dock, from, (request, item));
                }
            }
            Message::Sent { request, batch, settled } => {
                self.dock.announced(cx, from, request, (batch, settled));
            }
            Message::Unavailable { request } => self.dock.refused(cx, self.role.assignment(), request),
            Message::Waiting(batch) => self.shipping.waited_for(cx, from, batch),
            Message::Delivered(batch) => self.shipping.delivered(cx, from, batch),
            Message::HeartbeatRequest => cx.send(from, Message::HeartbeatResponse),
            Message::HeartbeatResponse => {
                let verdict = self.liveness.heard(cx.now, from);
                self.consider(cx, settings, verdict);
            }
            Message::Suspicion(node) => match self.office() {
                Some(planning) => planning.report(cx, node, budget),
                None => self.leadership.tell_leader(cx, from),
            },
            Message::Part(version, ref part) => {
                self.learn(cx, settings, from, version.term);
                if version < self.role.version() || version < self.leadership.obeyed() {
                    cx.metrics.count(Metric::AssignmentsRefused);
                    self.leadership.tell_leader(cx, from);
                } else {
                    let edges = part.edge_count();
                    self.adopt(cx, version, Arc::clone(part), edges);
                    cx.send(from, Message::PartAck(version));
                }
            }
            Message::PartAck(version) => {
                if let Some(planning) = self.office() {
                    planning.acknowledged(cx, from, version, budget);
                }
            }
            Message::Return => match self.office() {
                Some(planning) => planning.returned(cx, from, budget),
                None => self.leadership.tell_leader(cx, from),
            },
            Message::Leads(leader, term) => {
                if self.learn(cx, settings, leader, term)
                    && self.role.assignment().is_none()
                    && leader != cx.me
                {
                    cx.send(leader, Message::Return);
                }
            }
            Message::Standing(ref standing) => match self.office() {
                Some(planning) => planning.told(cx, from, standing, budget),
                None => self.leadership.tell_leader(cx, from),
            },
            Message::StandingAck(term, orders) => self.orders.acknowledge(term, orders),
            Message::Election(ref bytes) => {
                self.elect(cx, settings, ElectionInput::Message { from, bytes });
            }
        }
    }

    /// The plan of a node that leads.
    fn office(&mut self) -> Option<&mut Planning> {
        self.planning.as_deref_mut().filter(|_| self.leadership.leads())
    }

    /// Somebody says who leads; true if that is news. A candidate's election machine hears of it as well:
    /// it may lead under an earlier term, which is void now.
    fn learn(&mut self, cx: &mut Context<'_>, settings: &NodeSettings, leader: NodeId, term: Term) -> bool {
        // Only its own machine makes a node lead: what it led before a crash is over.
        let news = leader != cx.me && self.leadership.learn(leader, term);
        if news || leader == cx.me {
            self.elect(cx, settings, ElectionInput::LeaderLearned(leader, term));
        }
        news
    }

    fn wake(&mut self, cx: &mut Context<'_>, settings: &NodeSettings, timer: Timer) {
        match timer {
            Timer::Stage if self.orders.retired() => {}
            Timer::Stage => {
                self.stage.cycle(cx, &self.role, &mut self.dock, &mut self.shipping, &self.liveness);
            }
            Timer::AwaitNeighbours => self.liveness.await_neighbours(cx, &self.role, &self.leadership),
            Timer::Heartbeat => {
                let planning = self.planning.as_ref().filter(|_| self.leadership.leads());
                let ends = planning.map_or(&[][..], |planning| planning.ends());
                for verdict in self.liveness.round(cx, &self.role, &self.leadership, ends) {
                    self.consider(cx, settings, Some(verdict));
                }
            }
            Timer::Resend => self.shipping.resend(cx),
            Timer::Offer => {
                if let Some(planning) = self.office() {
                    planning.offer_again(cx, settings.planning_budget);
                }
            }
            Timer::PlanAgain => {
                if let Some(planning) = self.office() {
                    planning.plan_after_failure(cx, settings.planning_budget);
                }
            }
            Timer::Return => {
                if !self.leadership.knows_of_return(&self.role) {
                    self.leadership.say_return(cx);
                }
            }
            Timer::Tell => self.orders.wake(cx, self.leadership.in_office()),
            Timer::Election(timer) => self.elect(cx, settings, ElectionInput::Timer(timer)),
        }
    }

    fn consider(&mut self, cx: &mut Context<'_>, settings: &NodeSettings, verdict: Option<Verdict>) {
        if let Some(input) = verdict.and_then(|verdict| self.leadership.input_of(verdict)) {
            self.elect(cx, settings, input);
        }
    }

    fn planned(&mut self, cx: &mut Context<'_>, settings: &NodeSettings, ticket: FlowVersion) {
        let planning = self.planning.as_mut().expect("a plan is ready, so this node plans");
        let still_leads = self.leadership.leads_in(planning.term());
        if let Some((version, part)) = planning.planned(cx, ticket, still_leads, settings.planning_budget) {
            let edges = part.edge_count();
            self.adopt(cx, version, Arc::new(part), edges);
        }
    }

    fn read(&mut self, cx: &mut Context<'_>, notice: &Notice) {
        match notice {
            Notice::Leader(leader, term) => {
                if self.leadership.learn(*leader, *term) {
                    self.orders.tell(cx, self.leadership.in_office());
                }
            }
            Notice::Flow(version, flow) => {
                self.adopt(cx, *version, Arc::new(flow.assignment(cx.me)), flow.edges().len());
            }
            Notice::Struck(node) => self.liveness.set_struck(*node, true),
            Notice::Readmitted(node) => self.liveness.set_struck(*node, false),
        }
    }

    fn adopt(
        &mut self,
        cx: &mut Context<'_>,
        version: FlowVersion,
        part: Arc<dmos_core::Assignment>,
        edges: usize,
    ) {
        if !self.role.adopt(version, part, edges) {
            return;
        }
        self.dock.begin_shares();
        self.leadership.obey(cx, version);
        cx.report(Report::Adopted(version));
        if let (Dissemination::Messages, Some(part)) = (cx.protocol.dissemination, self.role.assignment()) {
            self.liveness.trust_again(cx.now, part);
        }
        if let Some(history) = self.replay.take() {
            self.replay(cx, &history);
        }
    }
}
