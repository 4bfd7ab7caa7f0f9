//! Coverage: counts states that a search should reach.

use std::collections::BTreeMap;

use dmos_core::{Metric, Network, NodeId, NodeMetrics, NodeSet, Property};
use dmos_node::PlanReport;

use crate::observation::{LogAtStart, StateAtCrash};

/// Coverage counters, and the state needed to detect coverage.
pub(crate) struct CoverageTracker<'a> {
    network: &'a Network,
    seen: BTreeMap<Property, u64>,
    up: NodeSet,
    first_leader: Option<NodeId>,
}

impl<'a> CoverageTracker<'a> {
    pub(crate) fn new(network: &'a Network) -> Self {
        let up = NodeSet::none(network.node_count());
        Self { network, seen: BTreeMap::new(), up, first_leader: None }
    }

    pub(crate) fn record(&mut self, property: Property) {
        self.record_times(property, 1);
    }

    pub(crate) fn record_times(&mut self, property: Property, times: u64) {
        if times > 0 {
            *self.seen.entry(property).or_default() += times;
        }
    }

    fn record_if(&mut self, property: Property, condition: bool) {
        self.record_times(property, u64::from(condition));
    }

    pub(crate) fn on_started(&mut self, node: NodeId, log: &LogAtStart) {
        self.up.insert(node);
        self.record_if(Property::TornAppendFound, log.torn);
        self.record_if(Property::CompactedLogRead, log.compacted);
    }

    pub(crate) fn on_crashed(&mut self, node: NodeId, crashed: StateAtCrash) {
        self.up.remove(node);
        self.record_if(Property::LeaderCrashed, crashed.leads);
        self.record_if(Property::PlanInterrupted, crashed.leads && crashed.is_planning);
        self.record_if(Property::TransitInterrupted, crashed.awaits_batches);
    }

    pub(crate) fn on_became_leader(&mut self, node: NodeId) {
        let first = *self.first_leader.get_or_insert(node);
        self.record_if(Property::LeaderReplaced, first != node);
    }

    pub(crate) fn on_planned(&mut self, plan: &PlanReport) {
        self.record_if(
            Property::Infeasible,
            plan.flow.as_ref().is_err_and(|no_flow| !no_flow.is_inconclusive()),
        );
        let removed = self.network.nodes().any(|node| self.up.contains(node) && !plan.alive.contains(node));
        self.record_if(Property::LiveNodeRemoved, removed);
        let edges = plan.flow.iter().flat_map(|flow| flow.edges());
        let failed =
            edges.flat_map(|edge| [edge.producer, edge.consumer]).any(|node| !self.up.contains(node));
        self.record_if(Property::FailedNodePlanned, failed);
        // Networks are copied only for a changed recipe.
        self.record_if(Property::RecipePlanned, !std::ptr::eq(&*plan.network, self.network));
    }

    pub(crate) fn count_metrics<'m>(&mut self, nodes: impl Iterator<Item = &'m NodeMetrics>) {
        for metrics in nodes {
            self.record_times(Property::OlderAssignmentRefused, metrics.get(Metric::AssignmentsRefused));
            self.record_times(Property::DuplicateRecognised, metrics.get(Metric::DuplicatesRecognised));
            self.record_times(Property::RequestRedirected, metrics.get(Metric::RequestsRedirected));
        }
    }

    pub(crate) fn into_vec(self) -> Vec<(Property, u64)> {
        self.seen.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dmos_core::{Flow, ItemId, NoFlow, Scenario, Span, SupplyEdge};

    use super::*;

    fn scenario() -> Scenario {
        dmos_testkit::scenario(
            "network: {nodes: [{makes: wood, count: 2}, {makes: house, needs: [wood]}]}\nduration: 1h\n",
        )
    }

    /// Returns the properties that some events reach, with their counts.
    fn reached(scenario: &Scenario, events: impl FnOnce(&mut CoverageTracker<'_>)) -> Vec<(Property, u64)> {
        let mut tracker = CoverageTracker::new(&scenario.network);
        (0..3).for_each(|node| tracker.on_started(NodeId::new(node), &LogAtStart::default()));
        events(&mut tracker);
        tracker.into_vec()
    }

    #[test]
    fn states_at_starts_and_crashes_count() {
        let scenario = scenario();
        let started = |torn, compacted| {
            reached(&scenario, |tracker| tracker.on_started(NodeId::new(0), &LogAtStart { torn, compacted }))
        };
        assert_eq!(started(false, false), []);
        assert_eq!(started(true, false), [(Property::TornAppendFound, 1)]);
        assert_eq!(started(false, true), [(Property::CompactedLogRead, 1)]);
        let crashed = |leads, is_planning, awaits_batches| {
            let state = StateAtCrash { leads, is_planning, awaits_batches };
            let found = reached(&scenario, |tracker| tracker.on_crashed(NodeId::new(0), state));
            found.into_iter().map(|(property, _)| property).collect::<Vec<Property>>()
        };
        assert_eq!(crashed(false, true, false), []);
        assert_eq!(crashed(true, false, false), [Property::LeaderCrashed]);
        assert_eq!(crashed(true, true, false), [Property::LeaderCrashed, Property::PlanInterrupted]);
        assert_eq!(crashed(false, false, true), [Property::TransitInterrupted]);
    }

    #[test]
    fn another_leader_than_the_first_replaces_it() {
        let scenario = scenario();
        let lead = |nodes: &[usize]| {
            reached(&scenario, |tracker| {
                nodes.iter().for_each(|&node| tracker.on_became_leader(NodeId::new(node)));
            })
        };
        assert_eq!(lead(&[1, 1]), []);
        assert_eq!(lead(&[1, 2, 0, 1]), [(Property::LeaderReplaced, 2)]);
    }

    #[test]
    fn plans_count_by_what_they_get_wrong() {
        let scenario = scenario();
        let edge = |producer: usize| SupplyEdge {
            producer: NodeId::new(producer),
            consumer: NodeId::new(2),
            item: ItemId::new(0),
        };
        let plan = |alive: &[usize], flow: Result<usize, NoFlow>, network: Network| {
            let mut set = NodeSet::none(3);
            for &node in alive {
                set.insert(NodeId::new(node));
            }
            PlanReport {
                duration: Span::ZERO,
                steps: 1,
                network: Arc::new(network),
                alive: set,
                broken_links: dmos_core::BrokenLinks::NONE,
                flow: flow.map(|producer| Arc::new(Flow::new(vec![edge(producer)]))),
                active: true,
            }
        };
        let found = |alive: &[usize], flow: Result<usize, NoFlow>| {
            let mut plan = plan(alive, flow, (*scenario.network).clone());
            plan.network = Arc::clone(&scenario.network);
            reached(&scenario, |tracker| {
                tracker.on_crashed(NodeId::new(1), StateAtCrash::default());
                tracker.on_planned(&plan);
            })
        };
        assert_eq!(found(&[0, 2], Ok(0)), []);
        assert_eq!(found(&[2], Ok(0)), [(Property::LiveNodeRemoved, 1)]);
        assert_eq!(found(&[0, 1, 2], Ok(1)), [(Property::FailedNodePlanned, 1)]);
        assert_eq!(found(&[0, 2], Err(NoFlow::Infeasible(ItemId::new(1)))), [(Property::Infeasible, 1)]);
        assert_eq!(found(&[0, 2], Err(NoFlow::BudgetExhausted { budget: 1 })), []);
        let copied = plan(&[0, 1, 2], Ok(0), (*scenario.network).clone());
        assert_eq!(reached(&scenario, |tracker| tracker.on_planned(&copied)), [(Property::RecipePlanned, 1)]);
    }

    #[test]
    fn counts_of_nodes_add_up() {
        let scenario = scenario();
        let mut metrics = NodeMetrics::new(dmos_core::settings::Production::Server);
        metrics.add(Metric::AssignmentsRefused, 2);
        metrics.add(Metric::DuplicatesRecognised, 3);
        metrics.add(Metric::RequestsRedirected, 4);
        let found = reached(&scenario, |tracker| tracker.count_metrics([&metrics, &metrics].into_iter()));
        let count = |property| found.iter().find(|found| found.0 == property).map(|found| found.1);
        assert_eq!(count(Property::OlderAssignmentRefused), Some(4));
        assert_eq!(count(Property::DuplicateRecognised), Some(6));
        assert_eq!(count(Property::RequestRedirected), Some(8));
        assert_eq!(found.len(), 3);
    }
}
