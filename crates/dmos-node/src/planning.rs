//! Planning by the leader, and distribution of the flow to all nodes.
//!
//! A plan is computed at once but becomes active after the virtual time that its steps take. Each assignment
//! is retransmitted until its node acknowledges it; a node that does not acknowledge within `suspect_after`
//! is declared failed. A removed node receives an idle assignment: if it acknowledges, it is alive and
//! rejoins.

use std::collections::BTreeMap;
use std::sync::Arc;

use dmos_core::flow::FlowRates;
use dmos_core::settings::{Dissemination, FailureReports, PlanningMode, Production, Rejoin};
use dmos_core::strategy::{Change, FlowChoice, FlowStrategy, Meter, NoFlow, PlanRequest};
use dmos_core::{
    Assignment, BrokenLinks, Flow, FlowVersion, Metric, Network, NodeId, NodeSet, Requirement, Routes, Span,
    Term, Time,
};

use crate::context::Context;
use crate::interface::{Effect, Notice, PlanReport, Report, Timer};
use crate::message::Message;
use crate::node_config::NodeConfig;
use crate::prototype::blackboard;
use crate::retransmission::{Retransmission, timeout};

/// Planning state of a leader.
pub(crate) struct Planning {
    term: Term,
    number: u32,
    strategy: Box<dyn FlowStrategy>,
    /// Maximum number of steps of a plan.
    budget: u64,
    routes: Arc<Routes>,
    seed: u64,
    /// The network with all recipes as the leader knows them.
    network: Arc<Network>,
    /// Configurations that nodes have reported after commands.
    node_configs: BTreeMap<NodeId, Arc<NodeConfig>>,
    alive: NodeSet,
    broken_links: BrokenLinks,
    active: Option<Arc<Flow>>,
    /// Planned rates of the active flow, under `production: server`.
    rates: FlowRates,
    changes: Vec<Change>,
    current_plan: Option<Plan>,
    /// True if something changed after the current plan was started.
    plan_again: bool,
    /// Number of plans started in this term.
    plans_started: u32,
    /// Number of consecutive failures of the planner itself; it is retried at `retry_plan_at`.
    planner_failures: u32,
    retry_plan_at: Option<Time>,
    /// Producers of final items in the active flow. They have no consumers that would monitor them, so the
    /// leader does.
    monitored_producers: Vec<NodeId>,
    /// Unacknowledged assignments. After a leader's first plan there is one for every node.
    unacknowledged: BTreeMap<NodeId, PendingAssignment>,
    /// Time of the next retransmission.
    retransmit_at: Option<Time>,
}

/// A plan that is being computed.
struct Plan {
    plan_id: FlowVersion,
    flow: Result<Arc<Flow>, NoFlow>,
    /// Rates of the flow, if the strategy plans them.
    rates: Option<FlowRates>,
    network: Arc<Network>,
    alive: NodeSet,
    broken_links: BrokenLinks,
    steps: u64,
    listing_steps: u64,
    started: Time,
}

struct PendingAssignment {
    version: FlowVersion,
    assignment: Arc<Assignment>,
    first_sent: Time,
    retransmission: Retransmission,
}

/// Initial state of a leader.
pub(crate) struct LeadershipStart<'a, D> {
    pub(crate) term: Term,
    pub(crate) flow: &'a FlowChoice,
    pub(crate) budget: u64,
    pub(crate) routes: &'a Arc<Routes>,
    pub(crate) seed: u64,
    /// The network with the initial recipes.
    pub(crate) network: &'a Arc<Network>,
    /// Nodes that are presumed to have failed.
    pub(crate) presumed_failed: D,
    /// Configuration of the leader itself.
    pub(crate) node_config: &'a Arc<NodeConfig>,
}

impl Planning {
    /// Starts planning as a new leader. The first plan excludes nodes that are presumed to have failed; one
    /// that is alive rejoins by acknowledging its assignment.
    pub(crate) fn start(
        cx: &mut Context<'_>,
        from: LeadershipStart<'_, impl Iterator<Item = NodeId>>,
    ) -> Self {
        let mut alive = NodeSet::all(cx.network.node_count());
        for node in from.presumed_failed {
            alive.remove(node);
        }
        alive.insert(cx.me);
        let mut planning = Self {
            term: from.term,
            number: 0,
            strategy: from.flow.build(),
            budget: from.budget,
            routes: Arc::clone(from.routes),
            seed: from.seed,
            network: Arc::clone(from.network),
            node_configs: BTreeMap::new(),
            alive,
            broken_links: BrokenLinks::NONE,
            active: None,
            rates: FlowRates::default(),
            changes: Vec::new(),
            current_plan: None,
            plan_again: false,
            plans_started: 0,
            planner_failures: 0,
            retry_plan_at: None,
            monitored_producers: Vec::new(),
            unacknowledged: BTreeMap::new(),
            retransmit_at: None,
        };
        if from.node_config.commands > 0 {
            planning.apply_node_config(cx.me, from.node_config);
        }
        planning.plan(cx, false);
        planning
    }

    pub(crate) fn term(&self) -> Term {
        self.term
    }

    /// Returns whether a plan is being computed.
    pub(crate) fn is_planning(&self) -> bool {
        self.current_plan.is_some()
    }

    fn plan(&mut self, cx: &mut Context<'_>, blocking: bool) {
        if self.current_plan.is_some() {
            self.plan_again = true;
            return;
        }
        let mut meter = Meter::new(self.budget);
        let request = PlanRequest {
            network: &self.network,
            alive: &self.alive,
            broken_links: &self.broken_links,
            active: self.active.as_deref(),
            changes: &self.changes,
            routes: &self.routes,
            seed: self.seed,
        };
        let flow = match self.active.as_deref() {
            Some(flow) => self.strategy.replan(&request, &mut meter).map(|change| flow.changed(&change)),
            None => self.strategy.plan(&request, &mut meter),
        };
        let flow = flow.map(Arc::new);
        // After an inconclusive plan the planner has not yet handled the changes.
        if !flow.as_ref().is_err_and(NoFlow::is_inconclusive) {
            self.changes.clear();
        }
        let rates = self.strategy.rates().filter(|_| flow.is_ok()).cloned();
        let steps = meter.steps();
        self.plans_started += 1;
        let plan_id = FlowVersion { term: self.term, number: self.plans_started };
        let listing_steps = meter.counter("possible_edges").min(steps);
        self.current_plan = Some(Plan {
            plan_id,
            flow,
            rates,
            network: Arc::clone(&self.network),
            alive: self.alive.clone(),
            broken_links: self.broken_links.clone(),
            steps,
            listing_steps,
            started: cx.now,
        });
        cx.effects.push(Effect::Plan { plan_id, steps, blocking });
    }

    /// Handles the end of a plan's computation: activates the flow if this node still leads.
    ///
    /// Returns the version and the node's own assignment, if there is a new one. Plans of an earlier term are
    /// void.
    pub(crate) fn on_plan_ready(
        &mut self,
        cx: &mut Context<'_>,
        plan_id: FlowVersion,
        still_leads: bool,
    ) -> Option<(FlowVersion, Assignment)> {
        let plan = self.current_plan.take_if(|plan| plan.plan_id == plan_id)?;
        let duration = cx.now.since(plan.started);
        self.count(cx, &plan, duration);
        // An infeasible network is a conclusive result, an abandoned search is not.
        let is_inconclusive = plan.flow.as_ref().is_err_and(NoFlow::is_inconclusive);
        if is_inconclusive {
            cx.metrics.count(Metric::FailedFlowUpdate);
        }
        self.note_planner_outcome(cx, matches!(plan.flow, Err(NoFlow::PlannerFailed { .. })));
        let active = still_leads && !is_inconclusive;
        let flow = plan.flow.as_ref().ok().cloned();
        let report = PlanReport {
            duration,
            steps: plan.steps,
            network: plan.network,
            alive: plan.alive,
            broken_links: plan.broken_links,
            flow: plan.flow,
            active,
        };
        cx.report(Report::Planned(Box::new(report)));
        let own = if active { self.publish(cx, flow.unwrap_or_default(), plan.rates) } else { None };
        if std::mem::take(&mut self.plan_again) && still_leads {
            self.plan(cx, blocking(cx));
        }
        own
    }

    /// Schedules another attempt if the planner, an external program, failed. An exhausted budget is not
    /// retried, because it would be exhausted again.
    fn note_planner_outcome(&mut self, cx: &mut Context<'_>, has_failed: bool) {
        self.planner_failures = if has_failed { self.planner_failures + 1 } else { 0 };
        self.retry_plan_at = None;
        if let Some(delay) =
            self.planner_failures.checked_sub(1).and_then(|retries| timeout(cx.protocol, retries))
        {
            self.retry_plan_at = Some(cx.now + delay);
            cx.set_timer(delay, Timer::RetryPlan);
        }
    }

    /// Retries planning after the planner failed.
    pub(crate) fn plan_after_failure(&mut self, cx: &mut Context<'_>) {
        if self.retry_plan_at.take_if(|until| *until <= cx.now).is_some() {
            self.plan(cx, blocking(cx));
        }
    }

    fn count(&self, cx: &mut Context<'_>, plan: &Plan, duration: Span) {
        cx.metrics.count(Metric::PlansComputed);
        cx.metrics.add(Metric::PlanningSteps, plan.steps);
        cx.metrics.set(Metric::FullFlowBootstrapTimeSec, duration.as_nanos());
        let share =
            u128::from(duration.as_nanos()) * u128::from(plan.listing_steps) / u128::from(plan.steps.max(1));
        cx.metrics.set(Metric::BootstrapAllPathsTimeSec, u64::try_from(share).unwrap_or(u64::MAX));
    }

    /// Activates a flow. Returns the node's own assignment, unless a blackboard publishes the flow to all
    /// nodes.
    fn publish(
        &mut self,
        cx: &mut Context<'_>,
        flow: Arc<Flow>,
        planned: Option<FlowRates>,
    ) -> Option<(FlowVersion, Assignment)> {
        self.number += 1;
        let version = FlowVersion { term: self.term, number: self.number };
        let before = self.active.replace(Arc::clone(&flow));
        if blackboard::post(cx, || Notice::Flow(version, Arc::clone(&flow))) {
            return None;
        }
        self.monitored_producers = self.final_producers(&flow);
        let rates = match cx.protocol.production {
            Production::Server => planned.unwrap_or_else(|| FlowRates::derive(&self.network, &flow)),
            Production::Polled => FlowRates::default(),
        };
        let rates_before = std::mem::replace(&mut self.rates, rates);
        // The first flow is sent to all nodes, a later one only to those whose assignment changed.
        let nodes = match before {
            Some(before) => {
                let mut nodes = before.change_to(&flow).nodes();
                nodes.extend(self.rates.changed_nodes(&rates_before, &flow));
                nodes.sort_unstable();
                nodes.dedup();
                nodes
            }
            None => cx.network.nodes().collect(),
        };
        let me = cx.me;
        // Idle spares are many, so all of them share one empty assignment.
        let idle = Arc::new(Assignment::default());
        for node in nodes.into_iter().filter(|&node| node != me) {
            let assignment = self.rates.assignment(&self.network, &flow, node);
            let assignment = if assignment.is_idle() { Arc::clone(&idle) } else { Arc::new(assignment) };
            self.send_assignment(cx, node, version, assignment);
        }
        Some((version, self.rates.assignment(&self.network, &flow, me)))
    }

    /// Returns the nodes that the leader monitors, so that every assigned node is monitored: all others are
    /// monitored by their consumers.
    pub(crate) fn monitored_producers(&self) -> &[NodeId] {
        &self.monitored_producers
    }

    fn final_producers(&self, flow: &Flow) -> Vec<NodeId> {
        let network = &self.network;
        let mut monitored_producers = Vec::new();
        for &item in network.final_items() {
            let before = monitored_producers.len();
            let producers = network.producers(item).iter().copied();
            monitored_producers.extend(producers.clone().filter(|&node| flow.is_assigned(node)));
            if monitored_producers.len() == before {
                // A producer of a final item without inputs has no edge.
                let needs_nothing = |&node: &NodeId| network.requirements(node).is_empty();
                monitored_producers
                    .extend(producers.filter(|&node| self.alive.contains(node)).filter(needs_nothing));
            }
        }
        monitored_producers
    }

    fn send_assignment(
        &mut self,
        cx: &mut Context<'_>,
        node: NodeId,
        version: FlowVersion,
        assignment: Arc<Assignment>,
    ) {
        cx.send(node, Message::Assignment(version, Arc::clone(&assignment)));
        let pending = PendingAssignment {
            version,
            assignment,
            first_sent: cx.now,
            retransmission: Retransmission::new(cx.now),
        };
        self.unacknowledged.insert(node, pending);
        self.set_retransmit_timer(cx);
    }

    /// Sends a node its assignment in the active flow.
    fn send_current_assignment(&mut self, cx: &mut Context<'_>, node: NodeId) {
        if let Some(flow) = self.active.as_ref().filter(|_| node != cx.me) {
            let version = FlowVersion { term: self.term, number: self.number };
            let assignment = Arc::new(self.rates.assignment(&self.network, flow, node));
            self.send_assignment(cx, node, version, assignment);
        }
    }

    fn set_retransmit_timer(&mut self, cx: &mut Context<'_>) {
        if let (None, Some(span)) = (self.retransmit_at, cx.protocol.retry_after) {
            self.retransmit_at = Some(cx.now + span);
            cx.set_timer(span, Timer::RetransmitAssignments);
        }
    }

    /// Retransmits overdue assignments, and declares nodes failed that have not acknowledged for too long.
    pub(crate) fn retransmit_assignments(&mut self, cx: &mut Context<'_>) {
        // A timer of an earlier term is ignored.
        if self.retransmit_at.take_if(|due| *due <= cx.now).is_none() {
            return;
        }
        let mut silent = Vec::new();
        for (&node, pending) in &mut self.unacknowledged {
            if pending.retransmission.is_due(cx.now, cx.protocol) {
                pending.retransmission = pending.retransmission.again(cx.now);
                cx.send(node, Message::Assignment(pending.version, Arc::clone(&pending.assignment)));
            }
            if cx.now.since(pending.first_sent) > cx.protocol.suspect_after && self.alive.contains(node) {
                silent.push(node);
            }
        }
        if !self.unacknowledged.is_empty() {
            self.set_retransmit_timer(cx);
        }
        for node in silent {
            self.on_failure_report(cx, node);
        }
    }

    /// Handles the acknowledgement of an assignment, which also proves that the node is alive.
    pub(crate) fn on_acknowledged(&mut self, cx: &mut Context<'_>, from: NodeId, version: FlowVersion) {
        if self.unacknowledged.get(&from).is_some_and(|pending| pending.version <= version) {
            self.unacknowledged.remove(&from);
        }
        self.rejoin(cx, from);
    }

    /// Handles the announcement of a recovered node, which has lost its assignment.
    pub(crate) fn on_rejoin(&mut self, cx: &mut Context<'_>, from: NodeId) {
        if cx.protocol.dissemination == Dissemination::Messages {
            self.send_current_assignment(cx, from);
        }
        self.rejoin(cx, from);
    }

    fn rejoin(&mut self, cx: &mut Context<'_>, node: NodeId) {
        if cx.protocol.rejoin == Rejoin::OnReturn && !self.has_retired(node) && self.alive.insert(node) {
            blackboard::post(cx, || Notice::Rejoined(node));
            self.note_change(node, Change::Rejoined(node));
            self.plan(cx, blocking(cx));
        }
    }

    fn has_retired(&self, node: NodeId) -> bool {
        self.node_configs.get(&node).is_some_and(|node_config| node_config.retired)
    }

    /// Records a change for the next plan; changes do not accumulate while a plan takes long.
    fn note_change(&mut self, node: NodeId, change: Change) {
        // Only the last failure or return of a node matters, and its recipe change beside it.
        let is_recipe = |change: &Change| matches!(change, Change::RecipeChanged(_));
        self.changes.retain(|known| known.node() != Some(node) || is_recipe(known) != is_recipe(&change));
        self.changes.push(change);
    }

    /// Handles a node's configuration after commands.
    pub(crate) fn on_node_config(
        &mut self,
        cx: &mut Context<'_>,
        from: NodeId,
        node_config: &Arc<NodeConfig>,
    ) {
        let known = self.node_configs.get(&from).map_or(0, |known| known.commands);
        if node_config.commands > known {
            if !self.apply_node_config(from, node_config) {
                return;
            }
            self.plan(cx, blocking(cx));
        }
        if from != cx.me {
            cx.send(from, Message::NodeConfigAck(self.term, node_config.commands.max(known)));
        }
    }

    /// Plans with a node's configuration from now on. Returns `false` if it does not fit the network.
    fn apply_node_config(&mut self, node: NodeId, node_config: &Arc<NodeConfig>) -> bool {
        let mut node_configs = self.node_configs.clone();
        node_configs.insert(node, Arc::clone(node_config));
        let changed = node_configs
            .iter()
            .filter_map(|(&node, node_config)| Some((node, node_config.requires.as_deref()?)))
            .collect::<Vec<(NodeId, &[Requirement])>>();
        if !changed.is_empty() {
            match self.network.with_requirements(changed) {
                Ok(network) => self.network = Arc::new(network),
                Err(_) => return false,
            }
            self.note_change(node, Change::RecipeChanged(node));
        }
        if node_config.retired && self.alive.remove(node) {
            self.note_change(node, Change::Failed(node));
        }
        self.node_configs = node_configs;
        true
    }

    /// Handles a report that a node has failed.
    pub(crate) fn on_failure_report(&mut self, cx: &mut Context<'_>, node: NodeId) {
        let plans = match cx.protocol.failure_reports {
            FailureReports::OncePerFailure => {
                let is_new = node != cx.me && self.alive.remove(node);
                cx.metrics.add(Metric::NodesDeterminedCrashed, u64::from(is_new));
                is_new
            }
            FailureReports::EveryReport => {
                self.alive.remove(node);
                true
            }
        };
        if plans {
            cx.report(Report::Removed(node));
            if !blackboard::post(cx, || Notice::Removed(node)) {
                // If the node is alive after all, it acknowledges and rejoins.
                self.send_current_assignment(cx, node);
            }
            self.note_change(node, Change::Failed(node));
            self.plan(cx, blocking(cx));
        }
    }
}

fn blocking(cx: &Context<'_>) -> bool {
    cx.protocol.planning == PlanningMode::Blocking
}
