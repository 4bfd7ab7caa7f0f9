//! Leadership properties: at most one leader per term, where that is guaranteed, and newer flows win.

use std::collections::BTreeMap;

use dmos_core::strategy::Guarantee;
use dmos_core::{FlowVersion, NodeId, Property, Scenario, Term};

use crate::violations::Violations;

/// Leaders of all terms, and the flows that nodes accepted.
pub(crate) struct Leadership {
    /// True if the strategy guarantees one leader per term.
    is_guaranteed: bool,
    leaders: BTreeMap<Term, NodeId>,
    /// The latest flow that each node adopted.
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
                format!("node {node} becomes leader in term {term}, in which node {leader} led")
            });
        }
    }

    pub(crate) fn on_adopted(&mut self, violations: &mut Violations, node: NodeId, version: FlowVersion) {
        let accepted = &mut self.accepted[node.index()];
        if version < *accepted {
            let (before, words) =
                (*accepted, |version: FlowVersion| format!("{} of term {}", version.number, version.term));
            violations.add(Property::NewerFlowWins, || {
                format!("node {node} adopts flow {} after flow {}", words(version), words(before))
            });
        }
        *accepted = (*accepted).max(version);
    }
}
