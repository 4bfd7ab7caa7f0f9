//! Progress: after the last fault is healed, production resumes within a bound whenever it can, and
//! leadership settles.

use std::collections::BTreeMap;

use dmos_core::faults::Fault;
use dmos_core::settings::{Production, Receiving, Requests};
use dmos_core::strategy::Guarantee;
use dmos_core::{
    Distribution, ItemId, Network, NodeId, NodeSet, Property, Requirement, Route, Scenario, Span, Term, Time,
};
use dmos_graph::Feasibility;
use dmos_node::{Command, LogRecord};

use crate::violations::Violations;

/// Nodes that are up, and the times at which final items were made.
pub(crate) struct Progress<'a> {
    scenario: &'a Scenario,
    up: NodeSet,
    retired: NodeSet,
    recipes: BTreeMap<NodeId, Box<[Requirement]>>,
    /// For each final item, the time of the last batch, and the longest period without one since the last
    /// fault was healed.
    finals: Vec<(Option<Time>, Span)>,
    /// The last change of leadership.
    last_leadership_change: Option<(Time, NodeId, Term)>,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(scenario: &'a Scenario) -> Self {
        let nodes = scenario.network.node_count();
        Self {
            scenario,
            up: NodeSet::none(nodes),
            retired: NodeSet::none(nodes),
            recipes: BTreeMap::new(),
            finals: vec![(None, Span::ZERO); scenario.network.final_items().len()],
            last_leadership_change: None,
        }
    }

    pub(crate) fn on_started(&mut self, node: NodeId) {
        self.up.insert(node);
    }

    pub(crate) fn on_crashed(&mut self, node: NodeId) {
        self.up.remove(node);
    }

    pub(crate) fn on_became_leader(&mut self, at: Time, node: NodeId, term: Term) {
        self.last_leadership_change = Some((at, node, term));
    }

    pub(crate) fn on_durable(&mut self, at: Time, node: NodeId, record: &LogRecord) {
        match record {
            LogRecord::Made { .. } | LogRecord::Ran { .. } => {
                let network = &self.scenario.network;
                let makes = network.makes(node);
                if let Some(index) = network.final_items().iter().position(|item| *item == makes) {
                    self.on_made(at, index);
                }
            }
            LogRecord::Commanded(Command::Retire) => drop(self.retired.insert(node)),
            LogRecord::Commanded(Command::Recipe(requires)) => {
                drop(self.recipes.insert(node, requires.clone()))
            }
            _ => {}
        }
    }

    /// Records that a final item was made, or that the run ended.
    fn on_made(&mut self, at: Time, index: usize) {
        let (last, longest) = &mut self.finals[index];
        if let Some(healed) = self.scenario.faults.heal_at.filter(|healed| *healed <= at) {
            let since = last.map_or(healed, |last| last.max(healed));
            *longest = (*longest).max(at.since(since));
        }
        *last = Some(at);
    }

    /// Finishes the checks, and lists the properties that were judged. Returns whether production resumed after the last fault was healed, or the reason
    /// why that could not be checked; `false` if nothing is ever healed.
    pub(crate) fn finish(
        mut self,
        violations: &mut Violations,
        end: Time,
        judged: &mut Vec<Property>,
    ) -> Result<bool, String> {
        let Some(healed) = self.scenario.faults.heal_at else {
            return Ok(false);
        };
        let bound = resume_bound(self.scenario)
            .ok_or("these settings imply no bound on the recovery time (see docs/auditing.md)")?;
        if end.since(healed) < bound {
            let (needed, available) = (bound.as_secs_f64(), end.since(healed).as_secs_f64());
            return Err(format!(
                "the check needs {needed:.0} s after `heal_at`, but the run has {available:.0} s"
            ));
        }
        self.leader_is_guaranteed()?;
        self.check_leadership(violations, healed, bound);
        judged.push(Property::LeadershipSettles);
        let can = self.can_resume()?;
        judged.push(Property::ProductionResumes);
        let mut has_resumed = true;
        for index in (0..can.len()).filter(|&index| can[index]) {
            self.on_made(end, index);
            let longest = self.finals[index].1;
            if longest > bound {
                has_resumed = false;
                let (longest, bound) = (longest.as_secs_f64(), bound.as_secs_f64());
                let item = self.scenario.network.final_items()[index];
                violations.add(Property::ProductionResumes, || {
                    format!(
                        "no batch of `{}` for {longest:.0} s after the last fault was healed; the bound is \
                         {bound:.0} s",
                        self.scenario.network.item_name(item)
                    )
                });
            }
        }
        Ok(has_resumed)
    }

    fn check_leadership(&self, violations: &mut Violations, healed: Time, bound: Span) {
        if let Some((at, node, term)) = self.last_leadership_change.filter(|change| change.0 > healed + bound)
        {
            violations.add(Property::LeadershipSettles, || {
                let (name, since) = (self.scenario.network.node_name(node), at.since(healed).as_secs_f64());
                let bound = bound.as_secs_f64();
                format!(
                    "`{name}` became leader in term {term}, {since:.0} s after the last fault was healed; the bound \
                     is {bound:.0} s"
                )
            });
        }
    }

    /// Returns whether a leader is guaranteed among the nodes that are up.
    pub(crate) fn leader_is_guaranteed(&self) -> Result<(), &'static str> {
        let scenario = self.scenario;
        let up = scenario.candidates.iter().filter(|&&node| self.up.contains(node)).count();
        let has_majority = up > scenario.candidates.len() / 2;
        match scenario.leader.guarantees(Guarantee::LeaderByMajority) {
            true if !has_majority => Err("fewer than a majority of the candidates are up"),
            false if !scenario.leader.guarantees(Guarantee::OneLeaderEventually) => {
                Err("the leader strategy does not guarantee a leader")
            }
            _ if up == 0 => Err("no candidate is up"),
            _ => Ok(()),
        }
    }

    /// Returns for each final item whether the nodes that are up can make it.
    fn can_resume(&self) -> Result<Vec<bool>, &'static str> {
        let scenario = self.scenario;
        if !scenario.flow.guarantees(Guarantee::FindsFlow) {
            return Err("the flow strategy does not guarantee a flow");
        }
        let changed = self.recipes.iter().map(|(&node, requires)| (node, &requires[..]));
        let network = scenario.network.with_requirements(changed);
        let network = network.map_err(|_| "the recipe changes form a cycle")?;
        let mut active_nodes = self.up.clone();
        for node in self.retired.iter() {
            active_nodes.remove(node);
        }
        let producers = Feasibility::of(&network, &active_nodes);
        let finals: Vec<bool> = network.final_items().iter().map(|&item| producers.can_make(item)).collect();
        if finals.contains(&true) { Ok(finals) } else { Err("the live nodes cannot make a final item") }
    }
}

/// Returns the time within which a batch of each final item must be made, whatever happened before. Returns
/// `None` if there is no bound: work takes time, nothing is retransmitted, buffers are unlimited, a
/// distribution has a long tail, or messages can accumulate because transits block or inputs are requested in
/// every cycle.
///
/// The bound allows for detecting failures, electing a leader, distributing assignments, and then for every
/// buffer to be filled before the final node receives anything.
#[must_use]
pub fn resume_bound(scenario: &Scenario) -> Option<Span> {
    let protocol = &scenario.protocol;
    if protocol.production == Production::Server {
        return server_resume_bound(scenario);
    }
    let piles_up = protocol.receiving == Receiving::Blocking || protocol.requests == Requests::EveryCycle;
    if !scenario.work.is_instant() || piles_up {
        return None;
    }
    let retry = protocol.retry_after?.max(protocol.retry_max);
    let (message, transit) = longest_delays(scenario)?;
    let settle = settling_time(scenario, retry, message);
    let network = &*scenario.network;
    let production_time = network.nodes().map(|node| network.process_time(node)).max().unwrap_or_default();
    let period = production_time * 2 + transit + message * 4;
    let limit = u64::from(protocol.stock_limit?.get());
    Some(settle + period * runs_to_fill(scenario, limit))
}

/// Returns the longest message delay and the longest transit time of all routes, if they are bounded.
fn longest_delays(scenario: &Scenario) -> Option<(Span, Span)> {
    let longest = |delay: fn(&Route) -> &Distribution| {
        let of_routes = scenario.routes.all().map(|route| longest(delay(route)));
        of_routes.collect::<Option<Vec<Span>>>()?.into_iter().max()
    };
    Some((longest(Route::message)?, longest(Route::transit)?))
}

/// Returns a time within which failures are detected and confirmed, broken links are tested, a leader is elected, plans
/// no longer wait for the end of a hold time, and assignments are distributed.
fn settling_time(scenario: &Scenario, retry: Span, message: Span) -> Span {
    let protocol = &scenario.protocol;
    let rounds = protocol.heartbeat * u64::from(protocol.neighbours_every.get());
    let confirmation = protocol.heartbeat;
    let hold = protocol.suspect_after.max(protocol.heartbeat);
    (scenario.silence_max() + rounds) * 3 + confirmation + hold + retry * 5 + message * 20
}

/// Returns [`resume_bound`] under `production: server`: the time in which one producer of each item, one after
/// the other, fills all buffers.
fn server_resume_bound(scenario: &Scenario) -> Option<Span> {
    let protocol = &scenario.protocol;
    if !scenario.work.is_instant() {
        return None;
    }
    let retry = protocol.retry_after?.max(protocol.retry_max);
    let (message, transit) = longest_delays(scenario)?;
    let lead = transit + message * 4;
    let network = &*scenario.network;
    let limit = u64::from(protocol.stock_limit?.get());
    let changed = changed_recipes(scenario);
    let mut needed = vec![0_u64; network.item_count()];
    let mut total = settling_time(scenario, retry, message);
    for &item in network.topological_order().iter().rev() {
        let producers = network.producers(item);
        let yields = producers.iter().map(|&node| u64::from(network.yield_per_run(node)));
        let (least, most) = (yields.clone().min().unwrap_or(1), yields.max().unwrap_or(1));
        let batches = needed[item.index()].saturating_add(limit.max(2 * most) + most);
        let runs = batches.div_ceil(least);
        let of_run = |&node: &NodeId| {
            let times = scenario.process_times.of(node);
            Some(times.mean() * runs * 2 + longest(times)?)
        };
        let process = producers.iter().map(of_run).collect::<Option<Vec<_>>>()?.into_iter().max();
        // With inputs for a number of runs only, every so many runs wait for a transport.
        let waits = protocol.runs_ahead.map_or(3, |ahead| runs.div_ceil(u64::from(ahead.get())) + 1);
        total = total + process.unwrap_or_default() + lead * waits;
        for (required, quantity) in largest_requirements(network, &changed, producers) {
            let consumers = producers.len() as u64;
            let level = level_bound(scenario, ItemId::new(required), item, quantity, lead);
            let more = runs.saturating_mul(quantity).saturating_add(consumers.saturating_mul(level));
            needed[required] = needed[required].saturating_add(more);
        }
    }
    Some(total)
}

/// Returns an upper bound of the level to which a producer of `item` orders a required item.
fn level_bound(scenario: &Scenario, required: ItemId, item: ItemId, quantity: u64, lead: Span) -> u64 {
    let network = &*scenario.network;
    if let Some(ahead) = scenario.protocol.runs_ahead {
        return quantity * u64::from(ahead.get());
    }
    let runs = |node: NodeId| {
        let mean = network.process_time(node).as_nanos().max(1_000);
        lead.as_nanos() / mean + 1
    };
    let taken = network.producers(item).iter().map(|&node| runs(node) * quantity).max().unwrap_or(0);
    let yields = |node: NodeId| u64::from(network.yield_per_run(node));
    let made = network.producers(required).iter().map(|&node| runs(node) * yields(node)).sum();
    let reserve = |&node: &NodeId| quantity.max(u64::from(network.lot(node)));
    let reserves: u64 = network.producers(required).iter().map(reserve).sum();
    quantity + taken.min(made) + reserves.max(quantity)
}

/// Returns the maximum of a distribution; five times the mean for an unbounded one, unless it has a long
/// tail.
fn longest(distribution: &Distribution) -> Option<Span> {
    match distribution {
        Distribution::Fixed(span) => Some(*span),
        Distribution::Choice(spans) => Some(spans.iter().copied().max().unwrap_or_default()),
        Distribution::Uniform(_, to) => Some(*to),
        Distribution::Weibull { shape, .. } if *shape < 0.8 => None,
        Distribution::LogNormal { sigma, .. } if *sigma > 0.7 => None,
        distribution => Some(distribution.mean() * 5),
    }
}

/// Returns the maximum number of consecutive production runs needed to fill every buffer and make one final
/// batch.
fn runs_to_fill(scenario: &Scenario, limit: u64) -> u64 {
    let network = &*scenario.network;
    let mut needed = vec![0_u64; network.item_count()];
    let mut total = 0_u64;
    let changed = changed_recipes(scenario);
    for &item in network.topological_order().iter().rev() {
        let is_final = network.final_items().contains(&item);
        let batches = needed[item.index()] + if is_final { 1 } else { limit };
        let producers = network.producers(item);
        let yields = producers.iter().map(|&node| u64::from(network.yield_per_run(node))).min().unwrap_or(1);
        let runs = batches.div_ceil(yields);
        total = total.saturating_add(runs);
        for (required, quantity) in largest_requirements(network, &changed, producers) {
            let more = runs.saturating_mul(quantity);
            needed[required] = needed[required].saturating_add(more);
        }
    }
    total
}

/// Returns the maximum inputs of a production run of any of the producers, by item.
fn largest_requirements(
    network: &Network,
    changed: &[(NodeId, &[Requirement])],
    producers: &[NodeId],
) -> BTreeMap<usize, u64> {
    let mut largest_requirements = BTreeMap::new();
    let later = changed.iter().filter(|(node, _)| producers.contains(node)).map(|(_, requires)| *requires);
    let recipes = producers.iter().map(|&node| network.requirements(node)).chain(later);
    for required in recipes.flatten() {
        let most = largest_requirements.entry(required.item.index()).or_insert(0);
        *most = u64::from(required.quantity).max(*most);
    }
    largest_requirements
}

fn changed_recipes(scenario: &Scenario) -> Vec<(NodeId, &[Requirement])> {
    scenario
        .faults
        .script
        .iter()
        .filter_map(|scripted| match &scripted.fault {
            Fault::Recipe(node, requires) => Some((*node, &requires[..])),
            _ => None,
        })
        .collect()
}
