//! Planning: a leader plans the flow, and tells every node its part.
//!
//! A plan is computed at once but takes effect when the time has passed that its steps take. Each part
//! is offered to its node again and again until it is acknowledged; who does not acknowledge for as
//! long as silence is tolerated is taken for dead. Nodes that were struck are offered an idle part as
//! well: if one acknowledges, it is alive, and is planned with again.

use std::collections::BTreeMap;
use std::sync::Arc;

use dmos_core::settings::{Dissemination, FailureReports, PlanningMode, Rejoin};
use dmos_core::strategy::{Change, FlowChoice, FlowStrategy, MeanDurations, Meter, NoFlow, PlanRequest};
use dmos_core::{
    Assignment, Flow, FlowVersion, Metric, Network, NodeId, NodeSet, Requirement, Span, Term, Time,
};

use crate::context::Context;
use crate::interface::{Effect, Notice, PlanReport, Report, Timer};
use crate::message::Message;
use crate::standing::Standing;

/// What a leader keeps; nodes that do not lead have none.
pub(crate) struct Planning {
    term: Term,
    number: u32,
    strategy: Box<dyn FlowStrategy>,
    mean_durations: MeanDurations,
    seed: u64,
    /// With every recipe as this leader knows it.
    network: Arc<Network>,
    /// What was ordered, of the nodes that told.
    standings: BTreeMap<NodeId, Arc<Standing>>,
    alive: NodeSet,
    active: Option<Arc<Flow>>,
    changes: Vec<Change>,
    in_transit: Option<Plan>,
    /// Whether something has changed since the plan under way was begun.
    plan_again: bool,
    /// How many plans were begun in this term.
    begun: u32,
    /// How often in a row the planner itself has failed, and when it is asked again.
    failures: u32,
    failed_until: Option<Time>,
    /// Feasibility of final items in the flow in force: nobody else watches them from downstream.
    ends: Vec<NodeId>,
    /// Parts not acknowledged. At a start there is one for every node.
    offered: BTreeMap<NodeId, Offer>,
    /// When they are looked at next.
    offers_due: Option<Time>,
}

/// A plan whose time is not over.
struct Plan {
    ticket: FlowVersion,
    flow: Result<Arc<Flow>, NoFlow>,
    network: Arc<Network>,
    alive: NodeSet,
    steps: u64,
    listing_steps: u64,
    begun: Time,
}

struct Offer {
    version: FlowVersion,
    part: Arc<Assignment>,
    first: Time,
    last: Time,
    tries: u32,
}

/// What a leader starts from.
pub(crate) struct Beginning<'a, D> {
    pub(crate) term: Term,
    pub(crate) flow: &'a FlowChoice,
    pub(crate) budget: u64,
    pub(crate) mean_durations: MeanDurations,
    pub(crate) seed: u64,
    /// The network as all know it at first.
    pub(crate) network: &'a Arc<Network>,
    /// The nodes that are taken for dead.
    pub(crate) dead: D,
    /// Where the leader itself stands.
    pub(crate) standing: &'a Arc<Standing>,
}

impl Planning {
    /// Takes office and begins the first plan, without the nodes that are taken for dead. If one of them
    /// is alive, it will acknowledge its part.
    pub(crate) fn begin(cx: &mut Context<'_>, from: Beginning<'_, impl Iterator<Item = NodeId>>) -> Self {
        let mut alive = NodeSet::all(cx.network.node_count());
        for node in from.dead {
            alive.remove(node);
        }
        alive.insert(cx.me);
        let mut planning = Self {
            term: from.term,
            number: 0,
            strategy: from.flow.build(),
            mean_durations: from.mean_durations,
            seed: from.seed,
            network: Arc::clone(from.network),
            standings: BTreeMap::new(),
            alive,
            active: None,
            changes: Vec::new(),
            in_transit: None,
            plan_again: false,
            begun: 0,
            failures: 0,
            failed_until: None,
            ends: Vec::new(),
            offered: BTreeMap::new(),
            offers_due: None,
        };
        if from.standing.orders > 0 {
            planning.take_note(cx.me, from.standing);
        }
        planning.plan(cx, from.budget, false);
        planning
    }

    pub(crate) fn term(&self) -> Term {
        self.term
    }

    /// Whether a plan is being made.
    pub(crate) fn is_under_way(&self) -> bool {
        self.in_transit.is_some()
    }

    fn plan(&mut self, cx: &mut Context<'_>, budget: u64, blocking: bool) {
        if self.in_transit.is_some() {
            self.plan_again = true;
            return;
        }
        let mut meter = Meter::new(budget);
        let request = PlanRequest {
            network: &self.network,
            alive: &self.alive,
            active: self.active.as_deref(),
            changes: &self.changes,
            mean_durations: self.mean_durations,
            seed: self.seed,
        };
        let flow = match self.active.as_deref() {
            Some(flow) => self.strategy.replan(&request, &mut meter).map(|change| flow.changed(&change)),
            None => self.strategy.plan(&request, &mut meter),
        };
        let flow = flow.map(Arc::new);
        // A planner that gave up has yet to take note of what has changed.
        if !flow.as_ref().is_err_and(NoFlow::is_inconclusive) {
            self.changes.clear();
        }
        let steps = meter.steps();
        self.begun += 1;
        let ticket = FlowVersion { term: self.term, number: self.begun };
        let listing_steps = meter.counter("possible_edges").min(steps);
        let (network, alive) = (Arc::clone(&self.network), self.alive.clone());
        self.in_transit = Some(Plan { ticket, flow, network, alive, steps, listing_steps, begun: cx.now });
        cx.effects.push(Effect::Plan { ticket, steps, blocking });
    }

    /// The time of a plan is over: puts it in force if this node still leads.
    ///
    /// Returns the version and the node's own part, if there is a new one. Plans of an earlier term are
    /// void.
    pub(crate) fn planned(
        &mut self,
        cx: &mut Context<'_>,
        ticket: FlowVersion,
        still_leads: bool,
        budget: u64,
    ) -> Option<(FlowVersion, Assignment)> {
        let plan = self.in_transit.take_if(|plan| plan.ticket == ticket)?;
        let took = cx.now.since(plan.begun);
        self.count(cx, &plan, took);
        // That nothing can be made is an answer; that the search was given up is none.
        let is_inconclusive = plan.flow.as_ref().is_err_and(NoFlow::is_inconclusive);
        if is_inconclusive {
            cx.metrics.count(Metric::FailedFlowUpdate);
        }
        self.note_failure(cx, matches!(plan.flow, Err(NoFlow::PlannerFailed { .. })));
        let active = still_leads && !is_inconclusive;
        let flow = plan.flow.as_ref().ok().cloned();
        let report = PlanReport {
            took,
            steps: plan.steps,
            network: plan.network,
            alive: plan.alive,
            flow: plan.flow,
            active,
        };
        cx.report(Report::Planned(Box::new(report)));
        let own = if active { self.publish(cx, flow.unwrap_or_default()) } else { None };
        if std::mem::take(&mut self.plan_again) && still_leads {
            self.plan(cx, budget, blocking(cx));
        }
        own
    }

    /// A planner that is a program of its own may do better the next time; a budget is as small the next time.
    fn note_failure(&mut self, cx: &mut Context<'_>, has_failed: bool) {
        self.failures = if has_failed { self.failures + 1 } else { 0 };
        self.failed_until = None;
        if let Some(patience) = self.failures.checked_sub(1).and_then(|tries| cx.patience(tries)) {
            self.failed_until = Some(cx.now + patience);
            cx.set_timer(patience, Timer::PlanAgain);
        }
    }

    /// Asks a planner again that has failed.
    pub(crate) fn plan_after_failure(&mut self, cx: &mut Context<'_>, budget: u64) {
        if self.failed_until.take_if(|until| *until <= cx.now).is_some() {
            self.plan(cx, budget, blocking(cx));
        }
    }

    fn count(&self, cx: &mut Context<'_>, plan: &Plan, took: Span) {
        cx.metrics.count(Metric::PlansComputed);
        cx.metrics.add(Metric::PlanningSteps, plan.steps);
        cx.metrics.set(Metric::FullFlowBootstrapTimeSec, took.as_nanos());
        let share =
            u128::from(took.as_nanos()) * u128::from(plan.listing_steps) / u128::from(plan.steps.max(1));
        cx.metrics.set(Metric::BootstrapAllPathsTimeSec, u64::try_from(share).unwrap_or(u64::MAX));
    }

    /// Puts a flow in force. Returns the node's own part, unless a board tells the node as it tells all.
    fn publish(&mut self, cx: &mut Context<'_>, flow: Arc<Flow>) -> Option<(FlowVersion, Assignment)> {
        self.number += 1;
        let version = FlowVersion { term: self.term, number: self.number };
        let before = self.active.replace(Arc::clone(&flow));
        if cx.protocol.dissemination == Dissemination::Blackboard {
            cx.effects.push(Effect::Post(Notice::Flow(version, flow)));
            return None;
        }
        self.ends = self.ends_of(&flow);
        // At first nobody knows anything; later, only those whose part has changed need to hear.
        let nodes = match before {
            Some(before) => before.change_to(&flow).nodes(),
            None => cx.network.nodes().collect(),
        };
        let me = cx.me;
        // Spares are many: all of them share what they do not have.
        let idle = Arc::new(Assignment::default());
        for node in nodes.into_iter().filter(|&node| node != me) {
            let part = flow.assignment(node);
            let part = if part.is_idle() { Arc::clone(&idle) } else { Arc::new(part) };
            self.offer(cx, node, version, part);
        }
        Some((version, flow.assignment(me)))
    }

    /// Whom the leader watches, so that no part of the flow can die unnoticed: all others that work are
    /// watched by those whom they supply.
    pub(crate) fn ends(&self) -> &[NodeId] {
        &self.ends
    }

    fn ends_of(&self, flow: &Flow) -> Vec<NodeId> {
        let network = &self.network;
        let mut ends = Vec::new();
        for &item in network.final_items() {
            let before = ends.len();
            let producers = network.producers(item).iter().copied();
            ends.extend(producers.clone().filter(|&node| flow.is_assigned(node)));
            if ends.len() == before {
                // Whoever makes it out of nothing stands in no edge.
                let needs_nothing = |&node: &NodeId| network.requirements(node).is_empty();
                ends.extend(producers.filter(|&node| self.alive.contains(node)).filter(needs_nothing));
            }
        }
        ends
    }

    fn offer(&mut self, cx: &mut Context<'_>, node: NodeId, version: FlowVersion, part: Arc<Assignment>) {
        cx.send(node, Message::Part(version, Arc::clone(&part)));
        let offer = Offer { version, part, first: cx.now, last: cx.now, tries: 0 };
        self.offered.insert(node, offer);
        self.set_offer_timer(cx);
    }

    /// Offers a node its part of the flow in force.
    fn offer_current(&mut self, cx: &mut Context<'_>, node: NodeId) {
        if let Some(flow) = self.active.as_ref().filter(|_| node != cx.me) {
            let version = FlowVersion { term: self.term, number: self.number };
            let part = Arc::new(flow.assignment(node));
            self.offer(cx, node, version, part);
        }
    }

    fn set_offer_timer(&mut self, cx: &mut Context<'_>) {
        if let (None, Some(span)) = (self.offers_due, cx.protocol.retry_after) {
            self.offers_due = Some(cx.now + span);
            cx.set_timer(span, Timer::Offer);
        }
    }

    /// Offers once more what was not acknowledged.
    pub(crate) fn offer_again(&mut self, cx: &mut Context<'_>, budget: u64) {
        // A timer that an earlier term set is not ours.
        if self.offers_due.take_if(|due| *due <= cx.now).is_none() {
            return;
        }
        let mut silent = Vec::new();
        for (&node, offer) in &mut self.offered {
            if cx.is_overdue(offer.last, offer.tries) {
                (offer.last, offer.tries) = (cx.now, offer.tries + 1);
                cx.send(node, Message::Part(offer.version, Arc::clone(&offer.part)));
            }
            if cx.now.since(offer.first) > cx.protocol.suspect_after && self.alive.contains(node) {
                silent.push(node);
            }
        }
        if !self.offered.is_empty() {
            self.set_offer_timer(cx);
        }
        for node in silent {
            self.report(cx, node, budget);
        }
    }

    /// A node has its part: it is alive.
    pub(crate) fn acknowledged(
        &mut self,
        cx: &mut Context<'_>,
        from: NodeId,
        version: FlowVersion,
        budget: u64,
    ) {
        if self.offered.get(&from).is_some_and(|offer| offer.version <= version) {
            self.offered.remove(&from);
        }
        self.readmit(cx, from, budget);
    }

    /// A node is back from a crash and has forgotten its part.
    pub(crate) fn returned(&mut self, cx: &mut Context<'_>, from: NodeId, budget: u64) {
        if cx.protocol.dissemination == Dissemination::Messages {
            self.offer_current(cx, from);
        }
        self.readmit(cx, from, budget);
    }

    fn readmit(&mut self, cx: &mut Context<'_>, node: NodeId, budget: u64) {
        if cx.protocol.rejoin == Rejoin::OnReturn && !self.has_retired(node) && self.alive.insert(node) {
            if cx.protocol.dissemination == Dissemination::Blackboard {
                cx.effects.push(Effect::Post(Notice::Readmitted(node)));
            }
            self.note_change(node, Change::Rejoined(node));
            self.plan(cx, budget, blocking(cx));
        }
    }

    fn has_retired(&self, node: NodeId) -> bool {
        self.standings.get(&node).is_some_and(|standing| standing.retired)
    }

    /// The last change of a node counts: while a plan takes long, others do not pile up.
    fn note_change(&mut self, node: NodeId, change: Change) {
        // A node's last coming or going is what counts; that its recipe changed still counts beside it.
        let is_recipe = |change: &Change| matches!(change, Change::RecipeChanged(_));
        self.changes.retain(|known| known.node() != node || is_recipe(known) != is_recipe(&change));
        self.changes.push(change);
    }

    /// A node says where its orders leave it.
    pub(crate) fn told(&mut self, cx: &mut Context<'_>, from: NodeId, standing: &Arc<Standing>, budget: u64) {
        let known = self.standings.get(&from).map_or(0, |known| known.orders);
        if standing.orders > known {
            if !self.take_note(from, standing) {
                return;
            }
            self.plan(cx, budget, blocking(cx));
        }
        if from != cx.me {
            cx.send(from, Message::StandingAck(self.term, standing.orders.max(known)));
        }
    }

    /// Plans with a node's orders from now on; false if they make no sense in this network.
    fn take_note(&mut self, node: NodeId, standing: &Arc<Standing>) -> bool {
        let mut standings = self.standings.clone();
        standings.insert(node, Arc::clone(standing));
        let changed = standings
            .iter()
            .filter_map(|(&node, standing)| Some((node, standing.requires.as_deref()?)))
            .collect::<Vec<(NodeId, &[Requirement])>>();
        if !changed.is_empty() {
            match self.network.with_requirements(changed) {
                Ok(network) => self.network = Arc::new(network),
                Err(_) => return false,
            }
            self.note_change(node, Change::RecipeChanged(node));
        }
        if standing.retired && self.alive.remove(node) {
            self.note_change(node, Change::Failed(node));
        }
        self.standings = standings;
        true
    }

    /// A node is reported dead.
    pub(crate) fn report(&mut self, cx: &mut Context<'_>, node: NodeId, budget: u64) {
        let plans = match cx.protocol.failure_reports {
            FailureReports::OncePerFailure => {
                let news = node != cx.me && self.alive.remove(node);
                cx.metrics.add(Metric::NodesDeterminedCrashed, u64::from(news));
                news
            }
            FailureReports::EveryReport => {
                self.alive.remove(node);
                true
            }
        };
        if plans {
            cx.report(Report::Struck(node));
            match cx.protocol.dissemination {
                Dissemination::Blackboard => cx.effects.push(Effect::Post(Notice::Struck(node))),
                // If it is alive after all, it acknowledges and is planned with again.
                Dissemination::Messages => self.offer_current(cx, node),
            }
            self.note_change(node, Change::Failed(node));
            self.plan(cx, budget, blocking(cx));
        }
    }
}

fn blocking(cx: &Context<'_>) -> bool {
    cx.protocol.planning == PlanningMode::Blocking
}
