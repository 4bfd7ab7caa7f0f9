//! Progress: after the last fault is healed, production resumes within a bound whenever it can, and
//! leadership settles.

use std::collections::BTreeMap;

use dmos_core::strategy::Guarantee;
use dmos_core::{NodeId, NodeSet, Property, Requirement, Scenario, Span, Term, Time};
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

    /// Finishes the checks, and lists the properties that were judged. Returns whether production resumed within `bound`
    /// after the last fault was healed, or the reason why that could not be checked; `false` if nothing is ever healed.
    pub(crate) fn finish(
        mut self,
        violations: &mut Violations,
        end: Time,
        bound: Option<Span>,
        judged: &mut Vec<Property>,
    ) -> Result<bool, String> {
        let Some(healed) = self.scenario.faults.heal_at else {
            return Ok(false);
        };
        let bound =
            bound.ok_or("these settings imply no bound on the recovery time (see docs/auditing.md)")?;
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
