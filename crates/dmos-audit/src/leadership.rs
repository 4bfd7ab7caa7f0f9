//! Leadership properties: at most one leader per term, where that is guaranteed, and newer flows win.

use std::collections::BTreeMap;

use dmos_core::strategy::Guarantee;
use dmos_core::{FlowVersion, Network, NodeId, Property, Scenario, Term};

use crate::violations::Violations;

/// Leaders of all terms, and the flows that nodes accepted.
pub(crate) struct Leadership<'a> {
    network: &'a Network,
    /// True if the strategy guarantees one leader per term.
    is_guaranteed: bool,
    leaders: BTreeMap<Term, NodeId>,
    /// The latest flow that each node adopted.
    accepted: Vec<FlowVersion>,
}

impl<'a> Leadership<'a> {
    pub(crate) fn new(scenario: &'a Scenario) -> Self {
        Self {
            network: &scenario.network,
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
                let name = |node| self.network.node_name(node);
                format!("`{}` becomes leader in term {term}, in which `{}` led", name(node), name(leader))
            });
        }
    }

    pub(crate) fn on_adopted(&mut self, violations: &mut Violations, node: NodeId, version: FlowVersion) {
        let accepted = &mut self.accepted[node.index()];
        if version < *accepted {
            let (before, name) = (*accepted, self.network.node_name(node));
            let format = |version: FlowVersion| format!("{} of term {}", version.number, version.term);
            violations.add(Property::NewerFlowWins, || {
                format!("`{name}` adopts flow {} after flow {}", format(version), format(before))
            });
        }
        *accepted = (*accepted).max(version);
    }
}
