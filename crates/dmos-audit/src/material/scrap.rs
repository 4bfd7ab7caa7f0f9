//! Scrap: exactly the batches that a crash destroyed are logged as scrap; and retired nodes make nothing.

use dmos_core::faults::CrashEffect;
use dmos_core::{BatchId, NodeId, Property, Time};

use super::Material;
use crate::violations::Violations;

impl Material<'_> {
    /// Handles a start. An interrupted production run consumed nothing, and the material that the crash
    /// destroyed must be logged as scrap.
    pub(crate) fn on_started(&mut self, at: Time, node: NodeId, recovering: bool) {
        let (destroys_outbound, destroys_inbound) = self.scrapped_by_crash(node);
        let account = self.account(node);
        account.pending_inputs.clear();
        account.changed = at;
        if recovering {
            account.recovered = at;
            let own = account.stock.iter().map(|serial| BatchId { producer: node, serial });
            let stock = own.filter(|_| destroys_outbound);
            let inbound = account.received.iter().copied().filter(|_| destroys_inbound);
            account.destroyed = stock.chain(inbound).collect();
        }
    }

    /// Returns whether a crash of a node destroys its output buffer, and whether it destroys its input
    /// buffers.
    pub(super) fn scrapped_by_crash(&self, node: NodeId) -> (bool, bool) {
        let material_faults = &self.scenario.faults.material;
        let stock =
            if self.network.is_final(node) { material_faults.finished } else { material_faults.outbound };
        (stock == CrashEffect::Scrapped, material_faults.inbound == CrashEffect::Scrapped)
    }

    /// Handles the logging of a batch as scrap.
    pub(super) fn on_scrapped(&mut self, violations: &mut Violations, node: NodeId, batch: BatchId) {
        let account = self.account(node);
        let is_destroyed = account.destroyed.remove(&batch);
        let own = batch.producer == node && account.stock.remove(batch.serial);
        if own || account.received.remove(&batch) {
            self.audit.scrapped += 1;
        } else {
            self.report_misplaced(violations, node, batch, "scrap");
        }
        if !is_destroyed {
            violations.add(Property::ScrapRecorded, || {
                let name = self.network.node_name(node);
                format!("`{name}` logs batch {batch} as scrap, which no crash has destroyed")
            });
        }
    }

    /// Checks that destroyed material is logged before the node makes or commits a batch.
    pub(super) fn check_work(&self, violations: &mut Violations, node: NodeId, what: &str) {
        let account = &self.accounts[node.index()];
        if account.has_retired {
            violations.add(Property::RetiredNodeIdle, || {
                format!("`{}` {what} although it has retired", self.network.node_name(node))
            });
        }
        if !account.destroyed.is_empty() {
            let count = account.destroyed.len();
            violations.add(Property::ScrapRecorded, || {
                format!(
                    "`{}` {what} before it logs {count} batches as scrap that a crash has destroyed",
                    self.network.node_name(node)
                )
            });
        }
    }
}
