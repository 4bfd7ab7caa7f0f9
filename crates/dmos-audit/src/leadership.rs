//! At most one leader per term, where that is guaranteed, and no older flow in place of a newer.

use std::collections::BTreeMap;

use dmos_core::strategy::Guarantee;
use dmos_core::{FlowVersion, NodeId, Property, Scenario, Term};

use crate::violations::Violations;

/// Who led when, and whom nodes accepted.
pub(crate) struct Leadership {
    /// True if the strategy guarantees one leader per term.
    is_guaranteed: bool,
    leaders: BTreeMap<Term, NodeId>,
    /// The latest flow of which each node took over a part.
    accepted: Vec<FlowVersion>,
}

impl Leadership {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        Self {
            is_guaranteed: scenario.leader.guarantees(Guarantee::OneLeaderPerTerm),
            leaders: BTreeMap::new(),
            accepted: vec![FlowVersion::default(); scenario.network.node_count()],
        }
    }

    pub(crate) fn on_became_leader(&mut self, violations: &mut Violations, node: NodeId, term: Term) {
        if !self.is_guaranteed {
            return;
        }
        let leader = *self.leaders.entry(term).or_insert(node);
        if leader != node {
            violations.add(Property::OneLeaderPerTerm, || {
                format!("node {node} takes change in term {term}, in which node {leader} led")
            });
        }
    }

    pub(crate) fn on_adopted(&mut self, violations: &mut Violations, node: NodeId, version: FlowVersion) {
        let accepted = &mut self.accepted[node.index()];
        if version < *accepted {
            let (before, words) =
                (*accepted, |version: FlowVersion| format!("{} of term {}", version.number, version.term));
            violations.add(Property::NewerFlowWins, || {
                format!("node {node} takes over flow {}, after flow {}", words(version), words(before))
            });
        }
        *accepted = (*accepted).max(version);
    }
}
