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

#[cfg(test)]
mod tests {
    use super::*;
    use dmos_core::{BatchId, SerialSet};
    use dmos_node::batch_range::BatchRange;
    use dmos_node::{LogRecord, LogState};

    /// Returns the number of records after which a log that starts with a compacted state is reported as too long.
    fn limit(state: &LogState) -> usize {
        let scenario = dmos_testkit::scenario(
            "network: {nodes: [{makes: wood}, {makes: door, needs: [wood]}]}\nduration: 1h\n\
             protocol: {production: polled, compact_after: 100}\n",
        );
        let node = NodeId::new(0);
        let mut material = Material::new(&scenario);
        let mut start = Violations::default();
        for serial in 0..state.made {
            let first = BatchId { producer: node, serial };
            material.on_durable(&mut start, node, &LogRecord::Made { first, count: 1, inputs: 0 });
        }
        material.on_compacted(&mut start, node, &[], state);
        let is_reported = |_: &usize| {
            let mut violations = Violations::default();
            material.on_durable(&mut violations, node, &LogRecord::Restarted);
            !violations.into_vec().is_empty()
        };
        // The compacted record is the first of the log.
        (2..10_000).find(is_reported).map_or(0, |length| length - 1)
    }

    #[test]
    fn a_log_may_grow_with_the_batches_held_and_the_numbers_seen() {
        assert_eq!(limit(&LogState::default()), 1_200);
        let stock = SerialSet::from(vec![(0, 7)]);
        assert_eq!(limit(&LogState { made: 7, stock, ..LogState::default() }), 1_220, "one range of batches");
        let mut seen = LogState::default();
        for serial in [0, 2, 4] {
            let first = BatchId { producer: NodeId::new(1), serial };
            seen.seen.insert_range(BatchRange { first, count: 1 });
        }
        assert_eq!(limit(&seen), 1_209, "three ranges of numbers");
    }
}
