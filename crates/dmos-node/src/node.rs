//! The node: dispatches each input to the component that handles it.

use std::fmt;
use std::sync::Arc;

use dmos_core::settings::{Production, Protocol, Recovery, Rejoin};
use dmos_core::strategy::{DetectorStrategy, ElectionConfig, ElectionInput, FlowChoice, LeaderStrategy};
use dmos_core::{FlowVersion, Metric, Network, NodeId, NodeMetrics, Requirement, Routes, Span, Term, Time};

use crate::assignment::ActiveAssignment;
use crate::batch_range::BatchRange;
use crate::commands::Commands;
use crate::context::Context;
use crate::failure_detector::FailureDetector;
use crate::inbound::Inbound;
use crate::interface::{Effect, Effects, Input, Notice, Report, Scrapped, Timer};
use crate::leadership::{Leadership, PeerEvent};
use crate::log::{LogRecord, LogState};
use crate::node_config::Command;
use crate::outbound::Outbound;
use crate::planning::{LeadershipStart, Planning};
use crate::production::Production as PolledProduction;
use crate::prototype::Replay;
use crate::relay::Relay;
use crate::server::{Occupancy, Server, Surroundings};

mod holdings;
mod recovery;
mod routing;

pub use holdings::{Holdings, Load, MaterialPlace};

/// Settings shared by all nodes of a run.
#[derive(Clone)]
pub struct NodeSettings {
    /// The network.
    pub network: Arc<Network>,
    /// The protocol.
    pub protocol: Protocol,
    /// Flow strategy.
    pub flow: FlowChoice,
    /// Maximum number of steps of a plan.
    pub planning_budget: u64,
    /// Delays and costs of transport between the nodes.
    pub routes: Arc<Routes>,
    /// Seed of the strategies.
    pub seed: u64,
    /// Leader strategy.
    pub leader: Arc<dyn LeaderStrategy>,
    /// Failure detector.
    pub detector: Arc<dyn DetectorStrategy>,
    /// Nodes that may lead, in ascending order.
    pub candidates: Arc<[NodeId]>,
    /// Nodes that are added later and do not start at the beginning.
    pub added_later: Arc<[NodeId]>,
}

/// One node of the network. The module [`driver`](crate::driver) has an example of its use.
pub struct Node {
    me: NodeId,
    settings: Arc<NodeSettings>,
    /// The network as this node knows it, with its own current recipe.
    network: Arc<Network>,
    metrics: NodeMetrics,
    volatile: VolatileState,
    relay: Box<Relay>,
    /// Number of records in the log; at `compact_at` records it is compacted.
    log_length: u64,
    compact_at: u64,
}

/// State that a crash discards.
struct VolatileState {
    active: ActiveAssignment,
    production: PolledProduction,
    inbound: Inbound,
    outbound: Outbound,
    /// Production, input and output under `production: server`, in place of the three parts above.
    server: Option<Box<Server>>,
    failure_detector: FailureDetector,
    leadership: Leadership,
    planning: Option<Box<Planning>>,
    commands: Commands,
    /// Under `recovery: replay`, a recovery that waits until a flow is known.
    replay: Option<Box<Replay>>,
}

impl VolatileState {
    fn new(me: NodeId, settings: &NodeSettings, network: &Network, phase: Span) -> Self {
        let dissemination = settings.protocol.dissemination;
        Self {
            active: ActiveAssignment::default(),
            production: PolledProduction::default(),
            inbound: Inbound::new(network.requirements(me)),
            outbound: Outbound::new(me),
            server: (settings.protocol.production == Production::Server)
                .then(|| Box::new(Server::new(me, &settings.network, Arc::clone(&settings.routes)))),
            failure_detector: FailureDetector::new(phase),
            leadership: Leadership::new(
                ElectionConfig { me, candidates: Arc::clone(&settings.candidates), seed: settings.seed },
                &*settings.leader,
                dissemination,
            ),
            planning: None,
            commands: Commands::default(),
            replay: None,
        }
    }
}

impl fmt::Debug for Node {
    /// Formats the state of production, orders and shipments under `production: server`, and the version of the assignment.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("me", &self.me)
            .field("assignment", &self.volatile.active.version())
            .field("server", &self.volatile.server)
            .finish_non_exhaustive()
    }
}

impl Node {
    /// Returns a node that waits for its [`Input::Start`].
    #[must_use]
    pub fn new(me: NodeId, settings: Arc<NodeSettings>) -> Self {
        let volatile = VolatileState::new(me, &settings, &settings.network, Span::ZERO);
        let (network, metrics) =
            (Arc::clone(&settings.network), NodeMetrics::new(settings.protocol.production));
        let relay = Box::new(Relay::new(me, &settings.candidates));
        Self { me, settings, network, metrics, volatile, relay, log_length: 0, compact_at: u64::MAX }
    }

    /// Returns the node's identifier.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.me
    }

    /// Returns the metrics. They belong to the observer, so crashes do not reset them.
    #[must_use]
    pub fn metrics(&self) -> &NodeMetrics {
        &self.metrics
    }

    /// Returns the quantities from which a driver computes CPU time.
    #[must_use]
    pub fn load(&self) -> Load {
        Load {
            inbound_entries: self.volatile.inbound.log_entries(),
            outbound_entries: self.volatile.outbound.log_entries(),
            flow_edges: self.volatile.active.edges() as u64,
            neighbours: self.volatile.failure_detector.neighbours() as u64,
        }
    }

    /// Returns the number of batches in the output buffer.
    #[must_use]
    pub fn stock(&self) -> u64 {
        match &self.volatile.server {
            Some(server) => server.output().stock().len(),
            None => self.volatile.outbound.stock().len(),
        }
    }

    /// Returns the activity and the material of the node, under `production: server`.
    #[must_use]
    #[inline]
    pub fn occupancy(&self) -> Option<Occupancy> {
        self.volatile.server.as_ref().map(|server| server.occupancy())
    }

    /// Counts an event that happened to the node from outside.
    pub fn count(&mut self, metric: Metric) {
        self.metrics.count(metric);
    }

    /// Undoes the metrics of a record that a crash interrupted before it was durable.
    pub fn undo(&mut self, record: &LogRecord) {
        let finished = match record {
            LogRecord::Made { count, .. } => {
                self.metrics.subtract(Metric::SuccessfulManufactureCycles, 1);
                if self.network.is_final(self.me) { *count } else { 0 }
            }
            LogRecord::Ran { product, .. } => {
                self.metrics.subtract(Metric::SuccessfulManufactureCycles, 1);
                if self.leaves_at_once() { product.count } else { 0 }
            }
            LogRecord::Left(batches) => batches.count,
            LogRecord::Committed { .. } | LogRecord::LocalBatchSent(_) if self.network.is_final(self.me) => {
                self.metrics.count(Metric::FinishedGoodsMade);
                0
            }
            LogRecord::Shipped { batches, .. } if self.leaves_at_once() => {
                self.metrics.add(Metric::FinishedGoodsMade, u64::from(batches.count));
                0
            }
            _ => 0,
        };
        self.metrics.subtract(Metric::FinishedGoodsMade, u64::from(finished));
    }

    /// Returns whether the node makes a final item that leaves the factory when it is made.
    fn leaves_at_once(&self) -> bool {
        let server = self.volatile.server.as_ref();
        self.network.is_final(self.me) && server.is_some_and(|server| !server.leaves_later())
    }

    /// Returns whether the node is computing a plan.
    #[must_use]
    pub fn is_planning(&self) -> bool {
        self.volatile.planning.as_ref().is_some_and(|planning| planning.is_planning())
    }

    /// Returns the number of batches in transit to this node.
    #[must_use]
    pub fn in_transit(&self) -> usize {
        match &self.volatile.server {
            Some(server) => server.inputs().incoming().count(),
            None => self.volatile.inbound.in_transit(),
        }
    }

    /// Returns whether this node believes that it leads.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.volatile.leadership.leads()
    }

    /// Returns all batches that the node holds.
    #[must_use]
    pub fn holdings(&self) -> Holdings {
        match &self.volatile.server {
            Some(server) => Holdings {
                stock: server.output().stock().clone(),
                left: server.output().left(),
                in_transit: server.output().in_transit().collect(),
                incoming: server.inputs().incoming().collect(),
                received: server.on_hand().collect(),
            },
            None => Holdings {
                stock: self.volatile.outbound.stock().clone(),
                left: 0,
                in_transit: self.volatile.outbound.in_transit().map(BatchRange::from).collect(),
                incoming: Vec::new(),
                received: self.volatile.inbound.batches().map(BatchRange::from).collect(),
            },
        }
    }

    /// Visits the batches in transit to the node and in its input buffers and machine, as ranges. Under
    /// `production: polled` a consumer knows of no batch in transit to it; there, the batches that the node has
    /// announced are visited as in transit.
    pub fn visit_material(&self, mut visit: impl FnMut(MaterialPlace, BatchRange)) {
        match &self.volatile.server {
            Some(server) => {
                server.inputs().incoming().for_each(|batches| visit(MaterialPlace::InTransit, batches));
                server.on_hand().for_each(|batches| visit(MaterialPlace::Input, batches));
            }
            None => {
                let announced = self.volatile.outbound.in_transit();
                announced.for_each(|batch| visit(MaterialPlace::InTransit, batch.into()));
                let received = self.volatile.inbound.batches();
                received.for_each(|batch| visit(MaterialPlace::Input, batch.into()));
            }
        }
    }

    /// Handles one input and passes the resulting effects to `effects`, in order.
    ///
    /// Between a crash and the next [`Input::Start`] no input may be passed. Timers, transports and plans
    /// from before a crash are no longer valid and must not be returned.
    ///
    /// # Panics
    /// If an input violates that contract.
    pub fn handle(&mut self, now: Time, input: Input<'_>, effects: &mut dyn Effects) {
        let (volatile, settings, mut cx) = self.split(now, effects);
        match input {
            Input::Message { from, message } => volatile.on_message(&mut cx, settings, from, message),
            Input::Timer(timer) => volatile.on_timer(&mut cx, settings, timer),
            Input::Arrived(batch) => match volatile.with_server() {
                Some((server, around)) => server.on_arrived(&mut cx, &around, batch),
                None => volatile.inbound.on_arrived(&mut cx, batch),
            },
            Input::Planned(plan_id) => volatile.on_plan_ready(&mut cx, plan_id),
            Input::Notice(notice) => volatile.on_notice(&mut cx, notice),
            Input::Start { records, recovering, phase, scrapped } => {
                self.start(now, effects, records, recovering, phase, scrapped);
            }
            Input::Command(command) => self.on_command(now, effects, command),
        }
        if self.log_length >= self.compact_at {
            self.compact(effects);
        }
    }

    #[inline(always)]
    fn split<'a>(
        &'a mut self,
        now: Time,
        effects: &'a mut dyn Effects,
    ) -> (&'a mut VolatileState, &'a NodeSettings, Context<'a>) {
        let cx = Context {
            now,
            me: self.me,
            network: &self.network,
            protocol: &self.settings.protocol,
            metrics: &mut self.metrics,
            effects,
            relay: &mut self.relay,
            log_length: &mut self.log_length,
        };
        (&mut self.volatile, &self.settings, cx)
    }

    fn start(
        &mut self,
        now: Time,
        effects: &mut dyn Effects,
        records: &[LogRecord],
        recovering: bool,
        phase: Span,
        scrapped: Scrapped,
    ) {
        let state = LogState::of(records);
        self.log_length = records.len() as u64;
        self.compact_at = self.compaction_point(state.size());
        self.network = match &state.node_config.requires {
            Some(requires) => self.changed_network(requires),
            None => Arc::clone(&self.settings.network),
        };
        let volatile = VolatileState::new(self.me, &self.settings, &self.network, phase);
        let before = std::mem::replace(&mut self.volatile, volatile);
        *self.relay = Relay::new(self.me, &self.settings.candidates);
        if self.settings.protocol.recovery == Recovery::Replay {
            self.volatile.inbound.keep_requests(before.inbound);
        }
        let (volatile, settings, mut cx) = self.split(now, effects);
        volatile.start(&mut cx, settings, records, state, recovering, scrapped);
    }

    /// Returns the network with this node's recipe changed.
    fn changed_network(&self, requires: &[Requirement]) -> Arc<Network> {
        let network = self.network.with_requirements([(self.me, requires)]);
        Arc::new(network.expect("recipe changes are checked against the network when the scenario is read"))
    }

    fn on_command(&mut self, now: Time, effects: &mut dyn Effects, command: &Command) {
        if let Command::Recipe(requires) = command {
            self.network = self.changed_network(requires);
        }
        let (volatile, _, mut cx) = self.split(now, effects);
        volatile.commands.on_command(&mut cx, command);
        volatile.send_node_config(&mut cx);
        if let Some((server, around)) = volatile.with_server() {
            server.redirect(&mut cx, &around);
        }
    }

    /// Returns the log length at which a log with this content is compacted.
    fn compaction_point(&self, held: u64) -> u64 {
        let protocol = &self.settings.protocol;
        match protocol.compact_after {
            Some(after) if protocol.has_exact_logs() => 1 + u64::from(after.get()) + 2 * held,
            _ => u64::MAX,
        }
    }

    fn compact(&mut self, effects: &mut dyn Effects) {
        self.volatile.inbound.on_compacted();
        self.volatile.outbound.on_compacted();
        let state = self.volatile.log_state();
        self.metrics.count(Metric::LogCompactions);
        self.log_length = 1;
        self.compact_at = self.compaction_point(state.size());
        effects.push(Effect::Compact(Box::new(state)));
    }
}

impl VolatileState {
    fn start(
        &mut self,
        cx: &mut Context<'_>,
        settings: &NodeSettings,
        records: &[LogRecord],
        mut state: LogState,
        recovering: bool,
        scrapped: Scrapped,
    ) {
        let protocol = cx.protocol;
        let start_delay = if recovering { Span::ZERO } else { protocol.start_delay };
        let production_delay = if recovering { Span::ZERO } else { protocol.production_delay };
        self.commands = Commands::new(std::mem::take(&mut state.node_config));
        let election = state.election.take();
        self.leadership.restore(state.accepted_flow, election.clone());
        match protocol.recovery {
            Recovery::Exact => {
                self.scrap(cx, &mut state, scrapped);
                match &mut self.server {
                    Some(server) => server.restore(cx, state, recovering),
                    None => self.restore(cx, state, recovering),
                }
            }
            Recovery::Replay => {
                let replay = Replay::prepare(cx, records, recovering, &mut self.inbound, &mut self.outbound);
                self.replay = replay.map(Box::new);
            }
        }
        self.failure_detector.set_incarnation(self.incarnation());
        if self.server.is_none() {
            cx.set_timer(start_delay + production_delay + protocol.cycle, Timer::ProductionCycle);
        }
        cx.set_timer(start_delay, Timer::AwaitNeighbours);
        self.run_election(cx, settings, ElectionInput::Start { durable: election.as_deref() });
        let is_new_here = settings.added_later.contains(&cx.me);
        if (recovering || is_new_here) && protocol.rejoin == Rejoin::OnReturn {
            // Not at once: a blackboard, if there is one, posts the leader right after the start.
            cx.set_timer(Span::ZERO, Timer::AnnounceRejoin);
        }
        self.send_node_config(cx);
    }

    /// Returns the state that the log represents, from the node's memory.
    fn log_state(&self) -> LogState {
        let common = LogState {
            node_config: (**self.commands.config()).clone(),
            accepted_flow: self.leadership.accepted_flow(),
            election: self.leadership.durable().map(Into::into),
            ..LogState::default()
        };
        if let Some(server) = &self.server {
            let mut state = common;
            server.save(&mut state);
            return state;
        }
        LogState {
            restarts: self.inbound.incarnation(),
            made: self.outbound.next_serial(),
            consumed: self.production.consumed,
            stock: self.outbound.stock().clone(),
            committed: self.outbound.commitments(),
            received: self.inbound.batches().collect(),
            seen: self.inbound.seen().clone(),
            inbound_entries: self.inbound.batches().count() as u64,
            outbound_entries: self.outbound.log_entries(),
            ..common
        }
    }

    /// Returns the server with the parts of the node that it consults, under `production: server`.
    fn with_server(&mut self) -> Option<(&mut Server, Surroundings<'_>)> {
        let server = self.server.as_deref_mut()?;
        let around = Surroundings {
            active: &self.active,
            detector: &self.failure_detector,
            is_retired: self.commands.retired(),
        };
        Some((server, around))
    }

    /// Passes an input to the election, and starts planning if this node becomes leader.
    fn run_election(&mut self, cx: &mut Context<'_>, settings: &NodeSettings, input: ElectionInput<'_>) {
        let new_term = self.leadership.run_election(cx, &mut self.failure_detector, input);
        self.start_planning(cx, settings, new_term);
        // A new leader does not know this node's commands, however it was elected.
        self.commands.send_config(cx, self.leadership.current());
    }

    fn start_planning(&mut self, cx: &mut Context<'_>, settings: &NodeSettings, new_term: Option<Term>) {
        if let Some(term) = new_term {
            let start = LeadershipStart {
                term,
                flow: &settings.flow,
                budget: settings.planning_budget,
                routes: &settings.routes,
                seed: settings.seed,
                network: &settings.network,
                presumed_failed: self
                    .failure_detector
                    .presumed_failed()
                    .chain(settings.added_later.iter().copied()),
                node_config: self.commands.config(),
                links: (
                    self.failure_detector.links().revision(),
                    self.failure_detector.links().broken().collect(),
                ),
            };
            self.planning = Some(Box::new(Planning::start(cx, start)));
        }
    }

    /// Passes this node's broken links to its planning, if it leads and they have changed.
    fn update_own_links(&mut self, cx: &mut Context<'_>) {
        let links = self.failure_detector.links();
        if let Some(planning) = self.planning.as_deref_mut().filter(|_| self.leadership.leads()) {
            let revision = links.revision();
            if !planning.knows_links(cx.me, revision) {
                planning.on_links(cx, cx.me, revision, &links.broken().collect());
            }
        }
    }

    /// Sends the node's configuration to the leader, or applies it if this node leads.
    fn send_node_config(&mut self, cx: &mut Context<'_>) {
        let node_config = Arc::clone(self.commands.config());
        match self.leader_planning() {
            Some(planning) => planning.on_node_config(cx, cx.me, &node_config),
            _ => self.commands.send_config(cx, self.leadership.current()),
        }
    }

    /// Returns the number of times that the node has recovered from a crash.
    fn incarnation(&self) -> u32 {
        match &self.server {
            Some(server) => server.inputs().incarnation(),
            None => self.inbound.incarnation(),
        }
    }

    /// Returns the planning state, if this node leads.
    fn leader_planning(&mut self) -> Option<&mut Planning> {
        self.planning.as_deref_mut().filter(|_| self.leadership.leads())
    }

    /// Records the leader of a term, and returns whether it was new. The election of a candidate is informed
    /// as well, because it may lead in an earlier term, which is over.
    fn on_leader_learned(
        &mut self,
        cx: &mut Context<'_>,
        settings: &NodeSettings,
        leader: NodeId,
        term: Term,
    ) -> bool {
        // Only its own election makes a node leader; leadership from before a crash is over.
        let is_new = leader != cx.me && self.leadership.on_leader_learned(leader, term);
        if is_new || leader == cx.me {
            self.run_election(cx, settings, ElectionInput::LeaderLearned(leader, term));
        }
        is_new
    }

    fn on_peer_event(&mut self, cx: &mut Context<'_>, settings: &NodeSettings, event: Option<PeerEvent>) {
        if let Some(input) = event.and_then(|event| self.leadership.election_input(event)) {
            self.run_election(cx, settings, input);
        }
    }

    fn on_plan_ready(&mut self, cx: &mut Context<'_>, plan_id: FlowVersion) {
        let planning = self.planning.as_mut().expect("a plan completes on a planning node");
        let still_leads = self.leadership.leads_in(planning.term());
        if let Some((version, assignment)) = planning.on_plan_ready(cx, plan_id, still_leads) {
            let edges = assignment.edge_count();
            self.adopt(cx, version, Arc::new(assignment), edges);
        }
    }

    fn on_notice(&mut self, cx: &mut Context<'_>, notice: &Notice) {
        match notice {
            Notice::Leader(leader, term) => {
                if self.leadership.on_leader_learned(*leader, *term) {
                    self.commands.send_config(cx, self.leadership.current());
                }
            }
            Notice::Flow(version, flow) => {
                self.adopt(cx, *version, Arc::new(flow.assignment(cx.me)), flow.edges().len());
            }
            Notice::Removed(node) => self.failure_detector.set_removed(*node, true),
            Notice::Rejoined(node) => self.failure_detector.set_removed(*node, false),
        }
    }

    fn adopt(
        &mut self,
        cx: &mut Context<'_>,
        version: FlowVersion,
        assignment: Arc<dmos_core::Assignment>,
        edges: usize,
    ) {
        if !self.active.adopt(version, assignment, edges) {
            return;
        }
        self.inbound.reset_shares();
        self.leadership.accept_flow(cx, version);
        cx.report(Report::Adopted(version));
        if let (true, Some(assignment)) = (cx.uses_relays(), self.active.assignment()) {
            cx.relay.set_neighbours(assignment.neighbours());
            self.failure_detector.trust_members(cx.now, assignment);
        }
        if let Some((server, around)) = self.with_server() {
            server.adopt(cx, &around);
        }
        if let Some(replay) = self.replay.take() {
            replay.run(cx, &self.active, &mut self.inbound, &mut self.outbound, &mut self.production);
        }
    }
}
