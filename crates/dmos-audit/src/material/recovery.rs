//! Logs recover: what a node holds is what its log held, and a compacted log adds up to what it was.

use std::collections::BTreeSet;

use dmos_core::{BatchId, NodeId, Property, SerialSet};
use dmos_node::{Holdings, LogRecord, LogState};

use super::Material;
use crate::violations::Violations;

impl Material<'_> {
    /// A log was compacted: it must add up to what it was, and to what the books say.
    pub(crate) fn on_compacted(
        &mut self,
        violations: &mut Violations,
        node: NodeId,
        before: &[LogRecord],
        state: &LogState,
    ) {
        let holdings = Holdings {
            stock: state.stock.clone(),
            in_transit: state.committed.keys().copied().collect(),
            received: state.received.iter().copied().collect(),
        };
        self.compare(violations, Property::LogRecovers, node, &holdings);
        let whole = LogState::of(before);
        // What is settled is remembered as one run: more numbers, but never fewer.
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
                format!("the compacted log of `{name}` does not add up to what the log was")
            });
        }
        let account = self.account(node);
        (account.log_length, account.held_at_most) = (1, 0);
    }

    /// A node has recovered: it must hold what its log held.
    pub(crate) fn on_recovered(&self, violations: &mut Violations, node: NodeId, holdings: &Holdings) {
        self.compare(violations, Property::LogRecovers, node, holdings);
    }

    /// Compares what a node holds with what the books say; says how many batches it lacks. Batches that have
    /// arrived and were not confirmed are still under way for their producer.
    pub(super) fn compare(
        &self,
        violations: &mut Violations,
        property: Property,
        node: NodeId,
        holdings: &Holdings,
    ) -> Shortage {
        let account = &self.accounts[node.index()];
        let received: BTreeSet<BatchId> = holdings.received.iter().copied().collect();
        let in_transit: BTreeSet<u32> = holdings.in_transit.iter().map(|batch| batch.serial).collect();
        let shortage = Shortage {
            stock: surplus(&account.stock, &holdings.stock),
            in_transit: account.in_transit.keys().filter(|serial| !in_transit.contains(serial)).count()
                as u64,
            received: account.received.difference(&received).count() as u64,
        };
        let doubled = holdings.received.len() - received.len();
        let elsewhere = surplus(&holdings.stock, &account.stock)
            + (received.difference(&account.received).count() + doubled) as u64;
        if shortage.total() > 0 || elsewhere > 0 {
            violations.add(property, || {
                let parts = [
                    (shortage.stock, "in stock that its log has are missing"),
                    (shortage.in_transit, "under way that its log has are missing"),
                    (shortage.received, "in its dock that its log has are missing"),
                    (elsewhere, "that it has are elsewhere by its log"),
                ];
                let parts = parts.iter().filter(|(count, _)| *count > 0);
                let words: Vec<_> = parts.map(|(count, what)| format!("{count} batches {what}")).collect();
                format!("at `{}`: {}", self.network.node_name(node), words.join(", "))
            });
        }
        shortage
    }
}

/// How many numbers of one set the other has not. O(1) if they are the same run.
fn surplus(of: &SerialSet, over: &SerialSet) -> u64 {
    if of == over { 0 } else { of.iter().filter(|serial| !over.contains(*serial)).count() as u64 }
}

/// How many batches a node lacks, by where the books have them.
#[derive(Default)]
pub(super) struct Shortage {
    pub(super) stock: u64,
    pub(super) in_transit: u64,
    pub(super) received: u64,
}

impl Shortage {
    pub(super) fn total(&self) -> u64 {
        self.stock + self.in_transit + self.received
    }
}
