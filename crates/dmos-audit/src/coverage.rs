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
