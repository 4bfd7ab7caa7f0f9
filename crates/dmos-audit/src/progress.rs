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

#[cfg(test)]
mod tests {
    use dmos_core::{BatchId, ItemId};

    use super::*;

    /// Time at which the last fault is healed, and the bound after it, in seconds.
    const HEALED: u64 = 100;
    const BOUND: u64 = 60;
    const END: u64 = 400;

    const NOTHING_TO_MAKE: &str = "the live nodes cannot make a final item";

    /// Returns a scenario with two producers of wood, and a house and a chair that are made of it.
    fn scenario(settings: &str) -> Scenario {
        dmos_testkit::scenario(&format!(
            "network: {{nodes: [{{makes: wood, count: 2}}, {{makes: house, needs: [wood]}}, {{makes: chair, needs: [wood]}}], \
             final: [house, chair]}}\nduration: 400s\nfaults: {{heal_at: {HEALED}s}}\n{settings}\n"
        ))
    }

    fn at(second: u64) -> Time {
        Time::ZERO + Span::from_secs(second)
    }

    fn made(node: usize) -> LogRecord {
        LogRecord::Made { first: BatchId { producer: NodeId::new(node), serial: 0 }, count: 1, inputs: 0 }
    }

    /// Makes a house and a chair at each of these times.
    fn make_all(progress: &mut Progress<'_>, seconds: impl IntoIterator<Item = u64>) {
        for second in seconds {
            [2, 3].iter().for_each(|&node| progress.on_durable(at(second), NodeId::new(node), &made(node)));
        }
    }

    /// Returns the result and the violations of a run in which these nodes are up at the end.
    fn judge(
        settings: &str,
        up: &[usize],
        events: impl FnOnce(&mut Progress<'_>),
    ) -> (Result<bool, String>, Vec<Property>) {
        let scenario = scenario(settings);
        let mut progress = Progress::new(&scenario);
        (0..4).for_each(|node| progress.on_started(NodeId::new(node)));
        (0..4).filter(|node| !up.contains(node)).for_each(|node| progress.on_crashed(NodeId::new(node)));
        events(&mut progress);
        let mut violations = Violations::default();
        let result = progress.finish(&mut violations, at(END), Some(Span::from_secs(BOUND)), &mut Vec::new());
        (result, violations.into_vec().iter().map(|violation| violation.property).collect())
    }

    const ALL: [usize; 4] = [0, 1, 2, 3];

    #[test]
    fn a_pause_after_the_last_fault_is_as_long_as_the_bound_at_most() {
        let resumes = |seconds: &[u64]| judge("", &ALL, |progress| make_all(progress, seconds.to_vec())).1;
        let every_minute: Vec<u64> = (0..6).map(|minute| 100 + 60 * minute).collect();
        assert_eq!(resumes(&every_minute), []);
        assert_eq!(
            resumes(&[160, 220, 280, 340]),
            [],
            "the first minute, and the last, are of the same length"
        );
        let both = [Property::ProductionResumes; 2];
        assert_eq!(resumes(&[161, 220, 280, 340]), both, "a late start");
        assert_eq!(resumes(&[160, 220, 281, 340]), both, "a long pause");
        assert_eq!(resumes(&[160, 220, 280, 339]), both, "an early end");
        assert_eq!(resumes(&[10, 99, 161, 220, 280, 340]), both, "what was made before does not count");
    }

    #[test]
    fn each_final_item_that_can_be_made_has_to_be() {
        let only_houses = |progress: &mut Progress<'_>| {
            (100..400)
                .step_by(60)
                .for_each(|second| progress.on_durable(at(second), NodeId::new(2), &made(2)));
        };
        assert_eq!(judge("", &ALL, only_houses), (Ok(false), vec![Property::ProductionResumes]));
        assert_eq!(judge("", &[0, 1, 2], only_houses), (Ok(true), vec![]), "no node that is up makes chairs");
        assert_eq!(judge("", &[2, 3], |_| ()).0, Err(NOTHING_TO_MAKE.to_owned()));
        let retire = |progress: &mut Progress<'_>| {
            let record = LogRecord::Commanded(Command::Retire);
            [2, 3].iter().for_each(|&node| progress.on_durable(at(1), NodeId::new(node), &record));
        };
        assert_eq!(judge("", &ALL, retire).0, Err(NOTHING_TO_MAKE.to_owned()));
    }

    #[test]
    fn later_recipes_count() {
        let require = |node: usize, item: usize| {
            let required = Requirement { item: ItemId::new(item), quantity: 1 };
            let record = LogRecord::Commanded(Command::Recipe(Box::new([required])));
            move |progress: &mut Progress<'_>| progress.on_durable(at(1), NodeId::new(node), &record)
        };
        let (wood, house, chair) = (0, 1, 2);
        assert_eq!(judge("", &[0, 3], require(3, house)).0, Err(NOTHING_TO_MAKE.to_owned()));
        assert_eq!(judge("", &[0, 3], require(3, wood)).0, Ok(false));
        let cycle = |progress: &mut Progress<'_>| {
            require(2, chair)(progress);
            require(3, house)(progress);
        };
        assert_eq!(judge("", &ALL, cycle).0, Err("the recipe changes form a cycle".to_owned()));
    }

    #[test]
    fn leadership_settles_within_the_bound() {
        let leads = |second: u64| {
            judge("", &ALL, |progress| {
                make_all(progress, (100..400).step_by(30));
                progress.on_became_leader(at(second), NodeId::new(1), Term(3));
            })
        };
        assert_eq!(leads(HEALED + BOUND), (Ok(true), vec![]));
        assert_eq!(leads(HEALED + BOUND + 1).1, [Property::LeadershipSettles]);
    }

    #[test]
    fn a_leader_is_guaranteed_by_a_candidate_or_by_a_majority() {
        let reason =
            |leader: &str, up: &[usize]| judge(&format!("leader: {leader}\ncandidates: all"), up, |_| ()).0;
        let no_majority = Err("fewer than a majority of the candidates are up".to_owned());
        assert_eq!(reason("raft", &[0, 1, 2]), Ok(false));
        assert_eq!(reason("raft", &[0, 2]), no_majority);
        assert_eq!(reason("bully", &[0, 2]), Ok(false));
        assert_eq!(reason("bully", &[]), Err("no candidate is up".to_owned()));
        let no_guarantee = "the leader strategy does not guarantee a leader".to_owned();
        assert_eq!(reason("last-writer", &ALL), Err(no_guarantee));
        let substitutes = judge("flow: {name: memoized, substitute_ends: true}", &ALL, |_| ()).0;
        assert_eq!(substitutes, Err("the flow strategy does not guarantee a flow".to_owned()));
    }

    #[test]
    fn the_run_has_to_be_long_enough() {
        let scenario = scenario("");
        let finish = |end: u64, bound: Option<u64>| {
            let mut progress = Progress::new(&scenario);
            (0..4).for_each(|node| progress.on_started(NodeId::new(node)));
            let mut judged = Vec::new();
            let bound = bound.map(Span::from_secs);
            let result = progress.finish(&mut Violations::default(), at(end), bound, &mut judged);
            (result.is_ok(), judged.len())
        };
        assert_eq!(finish(HEALED + BOUND, Some(BOUND)), (true, 2));
        assert_eq!(finish(HEALED + BOUND - 1, Some(BOUND)), (false, 0));
        assert_eq!(finish(END, None), (false, 0));
    }
}
