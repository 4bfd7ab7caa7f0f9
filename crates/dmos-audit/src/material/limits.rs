//! Limits: commitments to one consumer, and log length.

use dmos_core::settings::Production;
use dmos_core::{NodeId, Property};

use super::Material;
use crate::violations::Violations;

impl Material<'_> {
    /// Counts a record. Compacted logs are never much longer than their content.
    pub(super) fn check_length(&mut self, violations: &mut Violations, node: NodeId) {
        let protocol = &self.scenario.protocol;
        let Some(after) = protocol.compact_after.filter(|_| protocol.has_exact_logs()) else {
            return;
        };
        let account = &mut self.accounts[node.index()];
        let in_transit = account.in_transit.len() + account.incoming.len();
        let held = account.stock.ranges().len() + account.received.len() + in_transit;
        account.log_length += 1;
        // The log keeps a shipment until it is acknowledged, possibly long after its batches have arrived.
        account.held_at_most = account.held_at_most.max(held as u64 + account.unacknowledged);
        // Ranges of seen serial numbers are few for each supplier, unless messages are lost.
        let (length, held, seen) = (account.log_length, account.held_at_most, account.seen_ranges);
        if length > 1_000 + 2 * u64::from(after.get()) + 20 * held + 3 * seen {
            violations.add(Property::WithinLimits, || {
                let name = self.network.node_name(node);
                format!(
                    "the log of `{name}` has {length} records, although the node held at most {held} batches"
                )
            });
        }
    }

    /// Checks the number of batches committed to one consumer after a commitment.
    pub(super) fn check_commitments_to(&self, violations: &mut Violations, node: NodeId, to: Option<NodeId>) {
        // A server ships whatever is ordered.
        let protocol = &self.scenario.protocol;
        let limit = protocol.commitment_limit.filter(|_| protocol.production == Production::Polled);
        let limit = limit.map_or(u64::MAX, |limit| u64::from(limit.get()));
        let committed =
            self.accounts[node.index()].in_transit.values().filter(|commitment| commitment.0 == to).count();
        if committed as u64 > limit {
            violations.add(Property::WithinLimits, || {
                let name = self.network.node_name(node);
                format!("`{name}` has committed {committed} batches to one consumer; the limit is {limit}")
            });
        }
    }
}
