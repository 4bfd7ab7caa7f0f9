//! After the last fault is healed, production resumes within a bound whenever it can.

use std::collections::BTreeMap;

use dmos_core::faults::Fault;
use dmos_core::settings::Delays;
use dmos_core::strategy::Promise;
use dmos_core::{Law, Network, NodeId, NodeSet, Property, Requirement, Scenario, Span, Time};
use dmos_graph::makeable;
use dmos_node::{LogRecord, Order};

use crate::findings::Findings;

/// Follows who is up, and when final batches are made.
pub(crate) struct Progress<'a> {
    scenario: &'a Scenario,
    up: NodeSet,
    retired: NodeSet,
    recipes: BTreeMap<NodeId, Box<[Requirement]>>,
    /// The last final batch, and the longest time without one since the last fault was healed.
    last: Option<Time>,
    longest: Span,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(scenario: &'a Scenario) -> Self {
        let nodes = scenario.network.node_count();
        Self {
            scenario,
            up: NodeSet::none(nodes),
            retired: NodeSet::none(nodes),
            recipes: BTreeMap::new(),
            last: None,
            longest: Span::ZERO,
        }
    }

    pub(crate) fn started(&mut self, node: NodeId) {
        self.up.insert(node);
    }

    pub(crate) fn crashed(&mut self, node: NodeId) {
        self.up.remove(node);
    }

    pub(crate) fn appended(&mut self, at: Time, node: NodeId, record: &LogRecord) {
        match record {
            LogRecord::Made { .. } if self.scenario.network.is_final(node) => self.made(at),
            LogRecord::Ordered(Order::Retire) => drop(self.retired.insert(node)),
            LogRecord::Ordered(Order::Recipe(requires)) => drop(self.recipes.insert(node, requires.clone())),
            _ => {}
        }
    }

    /// A final batch is made, or the run ends.
    fn made(&mut self, at: Time) {
        if let Some(healed) = self.scenario.faults.heal_at.filter(|healed| *healed <= at) {
            let since = self.last.map_or(healed, |last| last.max(healed));
            self.longest = self.longest.max(at.since(since));
        }
        self.last = Some(at);
    }

    /// Ends; true if production had to resume, and did.
    pub(crate) fn finish(mut self, findings: &mut Findings, end: Time) -> bool {
        let (Some(healed), Some(bound)) = (self.scenario.faults.heal_at, resume_bound(self.scenario)) else {
            return false;
        };
        if end.since(healed) < bound || !self.can_resume() {
            return false;
        }
        self.made(end);
        if self.longest > bound {
            let (longest, bound) = (self.longest.as_secs_f64(), bound.as_secs_f64());
            findings.add(Property::ProductionResumes, || {
                format!(
                    "no final batch for {longest:.0} s after the last fault was healed; {bound:.0} s is the bound"
                )
            });
        }
        self.longest <= bound
    }

    /// Whether those that are up can make a final item, and one of them may lead.
    fn can_resume(&self) -> bool {
        let scenario = self.scenario;
        let promised = scenario.leader.promises(Promise::OneLeaderEventually)
            && scenario.flow.promises(Promise::FindsFlow);
        let has_candidate = scenario.candidates.iter().any(|&node| self.up.contains(node));
        let changed = self.recipes.iter().map(|(&node, requires)| (node, &requires[..]));
        let Ok(network) = scenario.network.with_requirements(changed) else {
            return false;
        };
        let can = makeable(&network, |node| self.up.contains(node) && !self.retired.contains(node));
        promised && has_candidate && network.final_items().iter().any(|item| can[item.index()])
    }
}

/// Within what time a final batch must be made, whatever happened before; none if nodes share a machine, or
/// work takes time: then there is no saying.
///
/// It allows for finding out who is dead, electing a leader and telling everybody, and then for every stock to
/// be filled before the final node gets anything.
#[must_use]
pub fn resume_bound(scenario: &Scenario) -> Option<Span> {
    let protocol = &scenario.protocol;
    if !scenario.work.is_instant() {
        return None;
    }
    let retry = protocol.retry_after.unwrap_or(protocol.heartbeat).max(protocol.retry_at_most);
    let (message, transit) = longest(&scenario.delays);
    let settle = (protocol.suspect_after + protocol.heartbeat) * 3 + retry * 4 + message * 20;
    let period = protocol.cycle * 2 + transit + message * 4;
    let limit = u64::from(protocol.stock_limit.map_or(10, std::num::NonZeroU32::get));
    Some(settle + period * makings(scenario, limit))
}

/// The longest that a message and a transit take; of laws without an end, five times their mean.
fn longest(delays: &Delays) -> (Span, Span) {
    let longest = |law: &Law| match law {
        Law::Fixed(span) => *span,
        Law::Choice(spans) => spans.iter().copied().max().unwrap_or_default(),
        Law::Uniform(_, to) => *to,
        law => law.mean() * 5,
    };
    (longest(&delays.message), longest(&delays.transit))
}

/// How many makings it takes at most, one after the other, to fill every stock and make one final batch.
fn makings(scenario: &Scenario, limit: u64) -> u64 {
    let network = &*scenario.network;
    let mut needed = vec![0_u64; network.item_count()];
    let mut total = 0_u64;
    let changed = changed_recipes(scenario);
    for &item in network.making_order().iter().rev() {
        let is_final = network.final_items().contains(&item);
        let batches = needed[item.index()] + if is_final { 1 } else { limit };
        let producers = network.producers(item);
        let yields = producers.iter().map(|&node| u64::from(network.quantity_made(node))).min().unwrap_or(1);
        let makings = batches.div_ceil(yields);
        total = total.saturating_add(makings);
        for (required, quantity) in dearest(network, &changed, producers) {
            let more = makings.saturating_mul(quantity);
            needed[required] = needed[required].saturating_add(more);
        }
    }
    total
}

/// What one making of any of the producers takes at most, by item.
fn dearest(
    network: &Network,
    changed: &[(NodeId, &[Requirement])],
    producers: &[NodeId],
) -> BTreeMap<usize, u64> {
    let mut dearest = BTreeMap::new();
    let later = changed.iter().filter(|(node, _)| producers.contains(node)).map(|(_, requires)| *requires);
    let recipes = producers.iter().map(|&node| network.requirements(node)).chain(later);
    for required in recipes.flatten() {
        let most = dearest.entry(required.item.index()).or_insert(0);
        *most = u64::from(required.quantity).max(*most);
    }
    dearest
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
