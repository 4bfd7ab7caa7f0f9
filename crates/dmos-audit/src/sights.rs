//! States that a search should come to, counted.

use std::collections::BTreeMap;

use dmos_core::{Metric, Network, NodeId, NodeMetrics, NodeSet, Property};
use dmos_node::PlanReport;

use crate::observation::{Crashed, FoundLog};

/// What was seen, and what one must remember to see it.
pub(crate) struct Sights<'a> {
    network: &'a Network,
    seen: BTreeMap<Property, u64>,
    up: NodeSet,
    first_leader: Option<NodeId>,
}

impl<'a> Sights<'a> {
    pub(crate) fn new(network: &'a Network) -> Self {
        let up = NodeSet::none(network.node_count());
        Self { network, seen: BTreeMap::new(), up, first_leader: None }
    }

    pub(crate) fn saw(&mut self, property: Property) {
        self.saw_times(property, 1);
    }

    pub(crate) fn saw_times(&mut self, property: Property, times: u64) {
        if times > 0 {
            *self.seen.entry(property).or_default() += times;
        }
    }

    fn saw_if(&mut self, property: Property, is_so: bool) {
        self.saw_times(property, u64::from(is_so));
    }

    pub(crate) fn started(&mut self, node: NodeId, log: &FoundLog) {
        self.up.insert(node);
        self.saw_if(Property::TornAppendFound, log.torn);
        self.saw_if(Property::CompactedLogRead, log.compacted);
    }

    pub(crate) fn crashed(&mut self, node: NodeId, crashed: Crashed) {
        self.up.remove(node);
        self.saw_if(Property::LeaderCrashed, crashed.leads);
        self.saw_if(Property::PlanInterrupted, crashed.leads && crashed.is_planning);
        self.saw_if(Property::TransitInterrupted, crashed.awaits_batches);
    }

    pub(crate) fn took_office(&mut self, node: NodeId) {
        let first = *self.first_leader.get_or_insert(node);
        self.saw_if(Property::LeaderReplaced, first != node);
    }

    pub(crate) fn planned(&mut self, plan: &PlanReport) {
        self.saw_if(
            Property::Infeasible,
            plan.flow.as_ref().is_err_and(|no_flow| !no_flow.is_inconclusive()),
        );
        let struck = self.network.nodes().any(|node| self.up.contains(node) && !plan.alive.contains(node));
        self.saw_if(Property::LiveNodeRemoved, struck);
        let edges = plan.flow.iter().flat_map(|flow| flow.edges());
        let dead = edges.flat_map(|edge| [edge.producer, edge.consumer]).any(|node| !self.up.contains(node));
        self.saw_if(Property::FailedNodePlanned, dead);
        // Networks are copied only for a changed recipe.
        self.saw_if(Property::RecipePlanned, !std::ptr::eq(&*plan.network, self.network));
    }

    pub(crate) fn count_metrics<'m>(&mut self, nodes: impl Iterator<Item = &'m NodeMetrics>) {
        for metrics in nodes {
            self.saw_times(Property::OlderAssignmentRefused, metrics.get(Metric::AssignmentsRefused));
            self.saw_times(Property::DuplicateRecognised, metrics.get(Metric::DuplicatesRecognised));
            self.saw_times(Property::OrderRedirected, metrics.get(Metric::RequestsRedirected));
        }
    }

    pub(crate) fn into_vec(self) -> Vec<(Property, u64)> {
        self.seen.into_iter().collect()
    }
}
