//! Shipments: after the last fault, committed batches arrive.

use dmos_core::{NodeId, Property, Span, Time};

use super::Material;
use crate::NodeAtEnd;
use crate::violations::Violations;

impl Material<'_> {
    /// Checks that batches committed between nodes that are up have arrived long after the last fault. Returns
    /// whether the run is long enough to tell.
    pub(crate) fn check_shipments(
        &self,
        violations: &mut Violations,
        end: Time,
        bound: Option<Span>,
        nodes: &[NodeAtEnd<'_>],
    ) -> bool {
        let (Some(healed), Some(bound)) = (self.scenario.faults.heal_at, bound) else {
            return false;
        };
        let is_up = |node: NodeId| nodes[node.index()].holdings.is_some();
        for (node, account) in self.network.nodes().zip(&self.accounts).filter(|(node, _)| is_up(*node)) {
            for (serial, (to, since)) in &account.in_transit {
                let waits = end.since((*since).max(healed));
                if to.is_some_and(is_up) && waits > bound {
                    violations.add(Property::ShipmentsDelivered, || {
                        let (name, waits) = (self.network.node_name(node), waits.as_secs_f64());
                        format!("batch {serial} of `{name}` has been in transit for {waits:.0} s since all faults were healed")
                    });
                }
            }
        }
        end.since(healed) > bound
    }
}
