//! Recovery: a node holds what its log held, and a compacted log has the same state.

use std::collections::BTreeSet;

use dmos_core::{BatchId, NodeId, Property, SerialSet};
use dmos_node::batch_range::BatchRange;
use dmos_node::batch_set::BatchSet;
use dmos_node::log::ShipmentState;
use dmos_node::{Holdings, LogRecord, LogState};

use super::Material;
use crate::violations::Violations;

impl Material<'_> {
    /// Checks a compaction: the new state must equal that of the old log, and match the accounts.
    pub(crate) fn on_compacted(
        &mut self,
        violations: &mut Violations,
        node: NodeId,
        before: &[LogRecord],
        state: &LogState,
    ) {
        let shipment = |(&(_, first), shipment): (&(NodeId, BatchId), &ShipmentState)| BatchRange {
            first,
            count: shipment.count,
        };
        let incoming = |(&first, &count): (&BatchId, &u32)| BatchRange { first, count };
        let shipments = state.shipments.iter().map(shipment);
        let committed = state.committed.keys().copied().map(BatchRange::from);
        let holdings = Holdings {
            stock: state.stock.clone(),
            left: state.left,
            in_transit: committed.chain(shipments).collect(),
            incoming: state.incoming.iter().map(incoming).collect(),
            received: state.received.ranges().collect(),
        };
        self.compare(violations, Property::LogRecovers, node, &holdings);
        let whole = LogState::of(before);
        // Settled serial numbers are remembered as one range: possibly more numbers, but never fewer.
        let forgotten = !state.seen.contains_all(&whole.seen);
        let compacted = LogState {
            seen: whole.seen.clone(),
            inbound_entries: whole.inbound_entries,
            outbound_entries: whole.outbound_entries,
            ..state.clone()
        };
        if compacted != whole || forgotten {
            violations.add(Property::LogRecovers, || {
                let name = self.network.node_name(node);
                format!("the state of the compacted log of `{name}` differs from that of the log before")
            });
        }
        let account = self.account(node);
        (account.log_length, account.held_at_most) = (1, 0);
        account.unacknowledged = state.shipments.len() as u64;
        account.seen_ranges = state.seen.range_count() as u64;
    }

    /// Checks a recovery: the node must hold what its log held.
    pub(crate) fn on_recovered(&self, violations: &mut Violations, node: NodeId, holdings: &Holdings) {
        self.compare(violations, Property::LogRecovers, node, holdings);
    }

    /// Compares what a node holds with its account and returns the shortage. Batches that have arrived and
    /// are not confirmed are still in transit for their producer.
    pub(super) fn compare(
        &self,
        violations: &mut Violations,
        property: Property,
        node: NodeId,
        holdings: &Holdings,
    ) -> Shortage {
        let account = &self.accounts[node.index()];
        let in_transit: BatchSet = holdings.in_transit.iter().copied().collect();
        let own = |serial: &&u32| BatchId { producer: node, serial: **serial };
        let shortage = Shortage {
            stock: surplus(&account.stock, &holdings.stock),
            in_transit: account.in_transit.keys().filter(|serial| !in_transit.contains(own(serial))).count()
                as u64,
            incoming: missing(&account.incoming, &holdings.incoming),
            received: missing(&account.received, &holdings.received),
        };
        let elsewhere = surplus(&holdings.stock, &account.stock)
            + account.left.len().abs_diff(holdings.left)
            + unaccounted(&holdings.incoming, &account.incoming)
            + unaccounted(&holdings.received, &account.received);
        if shortage.total() > 0 || elsewhere > 0 {
            violations.add(property, || {
                let parts = [
                    (shortage.stock, "missing from stock"),
                    (shortage.in_transit, "missing in transit"),
                    (shortage.incoming, "missing on their way to it"),
                    (shortage.received, "missing from input buffers"),
                    (elsewhere, "held, but logged elsewhere"),
                ];
                let parts = parts.iter().filter(|(count, _)| *count > 0);
                let counts: Vec<_> = parts.map(|(count, state)| format!("{count} {state}")).collect();
                let name = self.network.node_name(node);
                format!("the batches of `{name}` disagree with its log: {}", counts.join(", "))
            });
        }
        shortage
    }
}

/// Returns the number of serial numbers in one set that are not in the other. O(1) for equal sets.
fn surplus(of: &SerialSet, over: &SerialSet) -> u64 {
    if of == over { 0 } else { of.iter().filter(|serial| !over.contains(*serial)).count() as u64 }
}

/// Returns the number of batches of an account that a node does not hold.
fn missing(account: &BTreeSet<BatchId>, held: &[BatchRange]) -> u64 {
    let held: BatchSet = held.iter().copied().collect();
    account.iter().filter(|batch| !held.contains(**batch)).count() as u64
}

/// Returns the number of batches that a node holds without an account of them, or a second time.
fn unaccounted(held: &[BatchRange], account: &BTreeSet<BatchId>) -> u64 {
    let set: BatchSet = held.iter().copied().collect();
    let doubled = held.iter().map(|range| u64::from(range.count)).sum::<u64>() - set.len();
    doubled + set.iter().filter(|batch| !account.contains(batch)).count() as u64
}

/// Number of missing batches, by their location according to the accounts.
#[derive(Default)]
pub(super) struct Shortage {
    pub(super) stock: u64,
    pub(super) in_transit: u64,
    pub(super) incoming: u64,
    pub(super) received: u64,
}

impl Shortage {
    pub(super) fn total(&self) -> u64 {
        self.stock + self.in_transit + self.incoming + self.received
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(serial: u32) -> BatchId {
        BatchId { producer: NodeId::new(1), serial }
    }

    fn range(serial: u32, count: u32) -> BatchRange {
        BatchRange { first: batch(serial), count }
    }

    #[test]
    fn batches_are_missing_or_surplus_or_held_twice() {
        let account: BTreeSet<BatchId> = [3, 4, 5].map(batch).into();
        let counts = |held: &[BatchRange]| (missing(&account, held), unaccounted(held, &account));
        assert_eq!(counts(&[range(3, 3)]), (0, 0));
        assert_eq!(counts(&[range(3, 1), range(5, 1)]), (1, 0));
        assert_eq!(counts(&[range(2, 2)]), (2, 1));
        assert_eq!(counts(&[range(3, 3), range(4, 2)]), (0, 2), "two are held twice");
        assert_eq!(counts(&[]), (3, 0));
    }

    #[test]
    fn serial_numbers_are_compared_one_by_one() {
        let set = |ranges: Vec<(u32, u32)>| SerialSet::from(ranges);
        assert_eq!(surplus(&set(vec![(0, 4)]), &set(vec![(0, 4)])), 0);
        assert_eq!(surplus(&set(vec![(0, 4)]), &set(vec![(1, 2)])), 3);
        assert_eq!(surplus(&set(vec![(1, 2)]), &set(vec![(0, 4)])), 0);
    }

    #[test]
    fn a_shortage_adds_up() {
        assert_eq!(Shortage { stock: 1, in_transit: 20, incoming: 300, received: 4_000 }.total(), 4_321);
    }

    /// Returns whether a compaction to a state is reported, after a run and a shipment of two batches.
    fn is_reported(change: impl Fn(&mut LogState)) -> bool {
        let scenario = dmos_testkit::scenario(
            "network: {nodes: [{makes: wood}, {makes: door, needs: [wood]}]}\nduration: 1h\n",
        );
        let (node, mut violations) = (NodeId::new(0), Violations::default());
        let product = BatchRange { first: BatchId { producer: node, serial: 0 }, count: 1 };
        let log = [
            LogRecord::Ran { product, inputs: Box::new([]) },
            LogRecord::Shipped { batches: product, to: NodeId::new(1), incarnation: 0 },
        ];
        let mut material = Material::new(&scenario);
        material.on_run_started(&mut violations, node, dmos_core::Time::ZERO);
        log.iter().for_each(|record| material.on_durable(&mut violations, node, record));
        let mut state = LogState::of(&log);
        change(&mut state);
        material.on_compacted(&mut violations, node, &log, &state);
        violations.into_vec().iter().any(|violation| violation.property == Property::LogRecovers)
    }

    #[test]
    fn a_compacted_log_has_the_state_of_the_log_before() {
        assert!(!is_reported(|_| ()));
        assert!(!is_reported(|state| state.seen.insert_range(range(0, 5))), "settled numbers are one range");
        assert!(!is_reported(|state| (state.inbound_entries, state.outbound_entries) = (7, 8)));
        assert!(is_reported(|state| state.made += 1));
        assert!(is_reported(|state| state.restarts += 1));
        assert!(is_reported(|state| state.shipments.clear()));
        assert!(is_reported(|state| state.received.insert_range(range(0, 1))));
    }
}
