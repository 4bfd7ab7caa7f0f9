//! Planning by the leader.
//!
//! A plan is computed at once but becomes active after the virtual time that its steps take. The modules
//! `distribution` and `membership` have the other parts of a leader's work.

mod distribution;
mod hold;
mod membership;

use std::collections::BTreeMap;
use std::sync::Arc;

use dmos_core::flow::FlowRates;
use dmos_core::settings::PlanningMode;
use dmos_core::strategy::{Change, FlowChoice, FlowStrategy, Meter, NoFlow, PlanRequest};
use dmos_core::{
    Assignment, BrokenLinks, Flow, FlowVersion, Metric, Network, NodeId, NodeSet, Requirement, Routes, Span,
    Term, Time,
};

use crate::context::Context;
use crate::interface::{Effect, PlanReport, Report, Timer};
use crate::message::{LinksRevision, Message};
use crate::node_config::NodeConfig;
use crate::retransmission::timeout;
use distribution::PendingAssignment;
use hold::Hold;
use membership::Reports;

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
    hold: Hold,
    /// Number of plans started in this term.
    plans_started: u32,
    /// Number of consecutive failures of the planner itself; it is retried at `retry_plan_at`.
    planner_failures: u32,
    retry_plan_at: Option<Time>,
    /// Producers of final items in the active flow. They have no consumers that would monitor them, so the
    /// leader does.
    monitored_producers: Vec<NodeId>,
    reports: Reports,
    /// Time of the announcement to all nodes.
    announced_at: Time,
    /// Nodes that have received a message of this leader.
    contacted: NodeSet,
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
    /// Broken links of the leader itself.
    pub(crate) links: (LinksRevision, Arc<[NodeId]>),
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
            hold: Hold::default(),
            plans_started: 0,
            planner_failures: 0,
            retry_plan_at: None,
            monitored_producers: Vec::new(),
            reports: Reports::default(),
            announced_at: cx.now,
            contacted: NodeSet::none(cx.network.node_count()),
            unacknowledged: BTreeMap::new(),
            retransmit_at: None,
        };
        if from.node_config.commands > 0 {
            planning.apply_node_config(cx.me, from.node_config);
        }
        let (revision, broken) = from.links;
        planning.set_links(cx, cx.me, revision, &broken);
        if cx.uses_relays() {
            planning.announce(cx);
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
        self.hold.on_plan(cx.now, cx.protocol);
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
            self.replan(cx);
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
            cx.set_timer(delay, Timer::Replan);
        }
    }

    /// Plans after a change, at once or after the hold time. The prototype always plans at once.
    fn replan(&mut self, cx: &mut Context<'_>) {
        if self.current_plan.is_some() || !cx.uses_relays() {
            return self.plan(cx, blocking(cx));
        }
        match self.hold.on_change(cx.now) {
            Some(Span::ZERO) => self.plan(cx, blocking(cx)),
            Some(hold) => cx.set_timer(hold, Timer::Replan),
            None => {}
        }
    }

    /// Plans after the hold time of a change, or again after the planner failed.
    pub(crate) fn on_replan_timer(&mut self, cx: &mut Context<'_>) {
        let has_failed = self.retry_plan_at.take_if(|until| *until <= cx.now).is_some();
        if has_failed || self.hold.is_over(cx.now) {
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

    fn has_retired(&self, node: NodeId) -> bool {
        self.node_configs.get(&node).is_some_and(|node_config| node_config.retired)
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
            self.replan(cx);
        }
        if from != cx.me {
            cx.send_control(from, Message::NodeConfigAck(self.term, node_config.commands.max(known)));
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
            note_change(&mut self.changes, Change::RecipeChanged(node));
        }
        if node_config.retired && self.alive.remove(node) {
            note_change(&mut self.changes, Change::Failed(node));
        }
        self.node_configs = node_configs;
        true
    }
}

fn blocking(cx: &Context<'_>) -> bool {
    cx.protocol.planning == PlanningMode::Blocking
}

/// Adds a change to those since the last plan, which do not accumulate while a plan takes long.
fn note_change(changes: &mut Vec<Change>, change: Change) {
    // Only the last failure or return of a node matters, and its recipe change beside it.
    let is_recipe = |change: &Change| matches!(change, Change::RecipeChanged(_));
    changes.retain(|known| known.node() != change.node() || is_recipe(known) != is_recipe(&change));
    changes.push(change);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_failure_or_return_of_a_node_is_kept_and_its_recipe_change() {
        let (first, second) = (NodeId::new(1), NodeId::new(2));
        let mut changes = Vec::new();
        for change in [
            Change::Failed(first),
            Change::RecipeChanged(first),
            Change::Failed(second),
            Change::Rejoined(first),
            Change::RecipeChanged(first),
        ] {
            note_change(&mut changes, change);
        }
        assert_eq!(changes, [Change::Failed(second), Change::Rejoined(first), Change::RecipeChanged(first)]);
    }
}
