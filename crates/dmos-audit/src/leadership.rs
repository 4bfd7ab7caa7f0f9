//! At most one leader per term, where that is promised, and no older flow in place of a newer.

use std::collections::BTreeMap;

use dmos_core::strategy::Promise;
use dmos_core::{NodeId, Property, Scenario, Stamp, Term};

use crate::findings::Findings;

/// Who led when, and whom nodes obeyed.
pub(crate) struct Leadership {
    /// Whether the strategy promises one leader per term.
    is_promised: bool,
    leaders: BTreeMap<Term, NodeId>,
    /// The latest flow of which each node took over a part.
    obeyed: Vec<Stamp>,
}

impl Leadership {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        Self {
            is_promised: scenario.leader.promises(Promise::OneLeaderPerTerm),
            leaders: BTreeMap::new(),
            obeyed: vec![Stamp::default(); scenario.network.node_count()],
        }
    }

    pub(crate) fn took_office(&mut self, findings: &mut Findings, node: NodeId, term: Term) {
        if !self.is_promised {
            return;
        }
        let leader = *self.leaders.entry(term).or_insert(node);
        if leader != node {
            findings.add(Property::OneLeaderPerTerm, || {
                format!("node {node} takes office in term {term}, in which node {leader} led")
            });
        }
    }

    pub(crate) fn adopted(&mut self, findings: &mut Findings, node: NodeId, stamp: Stamp) {
        let obeyed = &mut self.obeyed[node.index()];
        if stamp < *obeyed {
            let (before, words) =
                (*obeyed, |stamp: Stamp| format!("{} of term {}", stamp.version, stamp.term));
            findings.add(Property::NewerFlowWins, || {
                format!("node {node} takes over flow {}, after flow {}", words(stamp), words(before))
            });
        }
        *obeyed = (*obeyed).max(stamp);
    }
}
