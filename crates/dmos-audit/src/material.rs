//! Conservation of material: every batch is in one place, is consumed at most once, and was made according to
//! its recipe. Further checks on the same accounts are in separate files.
//!
//! The accounts are kept from durable records, and their size is proportional to what nodes hold.

mod limits;
mod orders;
mod ranges;
mod recovery;
mod runs;
mod scrap;
mod shipments;

use std::collections::{BTreeMap, BTreeSet};

use dmos_core::record::MaterialBalance;
use dmos_core::{BatchId, ItemId, Network, NodeId, Property, Requirement, Scenario, SerialSet, Time};
use dmos_node::{Command, LogRecord};

use crate::NodeAtEnd;
use crate::violations::Violations;
use orders::Orders;
use recovery::Shortage;
use runs::Run;

/// Account of one node.
#[derive(Default)]
struct Account {
    /// Number of batches made.
    made: u32,
    stock: SerialSet,
    /// Own batches that left the stock and are not received: the consumer to which each is committed, and the
    /// time.
    in_transit: BTreeMap<u32, (Option<NodeId>, Time)>,
    /// Own batches that were consumed.
    used: SerialSet,
    /// Batches of a final item that have left the factory, if other nodes consume the item as well.
    left: SerialSet,
    /// Batches of other nodes in transit to this node, which it has logged.
    incoming: BTreeSet<BatchId>,
    /// Batches in the input buffers.
    received: BTreeSet<BatchId>,
    /// Batches logged as inputs of the next production run.
    pending_inputs: Vec<BatchId>,
    /// The production run in process, under `production: server`.
    run: Option<Run>,
    /// Inputs of a production run, if they were changed.
    requires: Option<Box<[Requirement]>>,
    has_retired: bool,
    /// Batches that a crash destroyed and that are not logged as scrap yet.
    destroyed: BTreeSet<BatchId>,
    /// Orders of its consumers.
    orders: Orders,
    /// Time of the last recovery.
    recovered: Time,
    /// Time of the last start or change of the assignment.
    changed: Time,
    /// Number of records since the last compaction.
    log_length: u64,
    /// Maximum number of batches held since then.
    held_at_most: u64,
    /// Number of shipments that the consumer has not acknowledged; it may have logged their batches.
    unacknowledged: u64,
    /// Number of ranges of seen batches in its state.
    seen_ranges: u64,
}

/// All accounts.
pub(crate) struct Material<'a> {
    scenario: &'a Scenario,
    network: &'a Network,
    accounts: Vec<Account>,
    audit: MaterialBalance,
    /// Scratch buffer: the items of the inputs of a production run.
    items: Vec<ItemId>,
}

impl<'a> Material<'a> {
    pub(crate) fn new(scenario: &'a Scenario) -> Self {
        let network = &*scenario.network;
        let accounts = network.nodes().map(|_| Account::default()).collect();
        Self { scenario, network, accounts, audit: MaterialBalance::default(), items: Vec::new() }
    }

    pub(crate) fn network(&self) -> &'a Network {
        self.network
    }

    fn account(&mut self, node: NodeId) -> &mut Account {
        &mut self.accounts[node.index()]
    }

    /// Returns a description of a batch's location.
    fn location(&self, batch: BatchId) -> String {
        let producer = &self.accounts[batch.producer.index()];
        if producer.stock.contains(batch.serial) {
            return "in stock".to_owned();
        }
        match producer.in_transit.get(&batch.serial) {
            Some((Some(to), _)) => return format!("in transit to `{}`", self.network.node_name(*to)),
            Some((None, _)) => return "in transit".to_owned(),
            None => {}
        }
        if producer.used.contains(batch.serial) {
            return "consumed".to_owned();
        }
        let buffers = self.network.nodes().zip(&self.accounts);
        match buffers.into_iter().find(|(_, account)| account.received.contains(&batch)) {
            Some((node, _)) => format!("in an input buffer of `{}`", self.network.node_name(node)),
            None if producer.left.contains(batch.serial) => "out of the factory".to_owned(),
            None if self.accounts.iter().any(|account| account.incoming.contains(&batch)) => {
                "in transit".to_owned()
            }
            None if batch.serial >= producer.made => "never made".to_owned(),
            None => "scrapped or lost".to_owned(),
        }
    }

    fn report_misplaced(&self, violations: &mut Violations, node: NodeId, batch: BatchId, state: &str) {
        violations.add(Property::BatchInOnePlace, || {
            let name = self.network.node_name(node);
            format!("`{name}` logs batch {batch} as {state}, but it was {}", self.location(batch))
        });
    }

    /// Handles a record that became durable.
    pub(crate) fn on_durable(&mut self, violations: &mut Violations, node: NodeId, record: &LogRecord) {
        // Scrap is logged batch by batch before the log can be compacted, so it may exceed the limit.
        if !matches!(record, LogRecord::Scrapped(_)) {
            self.check_length(violations, node);
        }
        match record {
            LogRecord::Made { first, count, inputs } => {
                self.on_made(violations, node, *first, *count, *inputs)
            }
            LogRecord::Committed { batch, to, .. } => self.on_committed(violations, node, *batch, Some(*to)),
            LogRecord::LocalBatchSent(batch) => self.on_committed(violations, node, *batch, None),
            LogRecord::Received(batch) => self.on_received(violations, node, *batch),
            LogRecord::Delivered(batch) => self.on_settled(violations, node, *batch, "delivered"),
            LogRecord::Consumed(batch) => self.account(node).pending_inputs.push(*batch),
            LogRecord::Ran { .. }
            | LogRecord::Shipped { .. }
            | LogRecord::Acknowledged { .. }
            | LogRecord::Left(_)
            | LogRecord::Accepted(_)
            | LogRecord::Arrived(_) => self.on_durable_ranges(violations, node, record),
            LogRecord::Scrapped(batch) => self.on_scrapped(violations, node, *batch),
            LogRecord::Commanded(Command::Recipe(requires)) => {
                self.on_recipe(node, requires);
            }
            LogRecord::Commanded(Command::Retire) => self.account(node).has_retired = true,
            LogRecord::OrdersVoided { of, before } => self.on_orders_voided(node, *of, *before),
            LogRecord::Restarted
            | LogRecord::InTransit(_)
            | LogRecord::TransitStarted(_)
            | LogRecord::FlowAccepted(_)
            | LogRecord::Election(_)
            | LogRecord::Compacted(_) => {}
        }
    }

    /// Checks that the consumer of a settled batch has logged it.
    fn on_settled(&self, violations: &mut Violations, node: NodeId, batch: BatchId, state: &str) {
        if self.accounts[batch.producer.index()].in_transit.contains_key(&batch.serial) {
            self.report_misplaced(violations, node, batch, state);
        }
    }

    fn on_committed(
        &mut self,
        violations: &mut Violations,
        node: NodeId,
        batch: BatchId,
        to: Option<NodeId>,
    ) {
        self.check_work(violations, node, "commits a batch");
        let now = violations.now;
        if batch.producer == node && self.account(node).stock.remove(batch.serial) {
            self.account(node).in_transit.insert(batch.serial, (to, now));
        } else {
            self.report_misplaced(violations, node, batch, "shipped");
        }
        if to.is_some() {
            self.check_commitments_to(violations, node, to);
        }
    }

    fn on_received(&mut self, violations: &mut Violations, node: NodeId, batch: BatchId) {
        if self.hand_over(node, batch) {
            self.account(node).received.insert(batch);
        } else {
            self.report_misplaced(violations, node, batch, "received");
        }
    }

    /// Ends the shipment of a batch by its producer. Returns whether it was in transit to this node.
    fn hand_over(&mut self, node: NodeId, batch: BatchId) -> bool {
        let in_transit = &mut self.accounts[batch.producer.index()].in_transit;
        let is_addressee =
            in_transit.get(&batch.serial).is_some_and(|(to, _)| to.is_none_or(|to| to == node));
        is_addressee && in_transit.remove(&batch.serial).is_some()
    }

    fn on_made(
        &mut self,
        violations: &mut Violations,
        node: NodeId,
        first: BatchId,
        count: u32,
        inputs: u32,
    ) {
        self.check_work(violations, node, "makes a batch");
        // Both buffers are reused, so that checking a production run allocates nothing.
        let mut pending_inputs = std::mem::take(&mut self.account(node).pending_inputs);
        let mut items = std::mem::take(&mut self.items);
        let interrupted = pending_inputs.len().saturating_sub(inputs as usize);
        for &batch in &pending_inputs[interrupted..] {
            items.push(self.network.makes(batch.producer));
            self.consume(violations, node, batch);
        }
        items.sort_unstable();
        let account = &self.accounts[node.index()];
        let current = account.requires.as_deref().unwrap_or(self.network.requirements(node));
        let requires = account.run.as_ref().and_then(|run| run.requires.as_deref()).unwrap_or(current);
        let used = |item: ItemId| {
            items.partition_point(|used| *used <= item) - items.partition_point(|used| *used < item)
        };
        let is_by_recipe = requires.len() == items.chunk_by(ItemId::eq).count()
            && requires.iter().all(|required| used(required.item) == required.quantity as usize);
        let is_next = first.producer == node && first.serial == account.made;
        if !is_by_recipe || !is_next || count != self.network.yield_per_run(node) {
            violations.add(Property::MadeByRecipe, || {
                let name = self.network.node_name(node);
                let by_item: BTreeMap<_, _> = items.iter().map(|&item| (item, used(item))).collect();
                format!(
                    "`{name}` makes {count} batches from {first} on, of {by_item:?} instead of {requires:?}"
                )
            });
        }
        items.clear();
        self.items = items;
        pending_inputs.clear();
        let account = self.account(node);
        account.pending_inputs = pending_inputs;
        account.made = first.serial.saturating_add(count);
        account.stock.insert_range(first.serial..account.made);
        self.audit.made += u64::from(count);
    }

    fn consume(&mut self, violations: &mut Violations, node: NodeId, batch: BatchId) {
        let is_there = self.account(node).received.remove(&batch);
        let is_first = self.account(batch.producer).used.insert(batch.serial);
        self.audit.consumed += u64::from(is_first);
        if !is_first {
            self.audit.consumed_twice += 1;
            violations.add(Property::BatchConsumedOnce, || {
                format!(
                    "`{}` consumes batch {batch}, which was consumed before",
                    self.network.node_name(node)
                )
            });
        } else if !is_there {
            self.report_misplaced(violations, node, batch, "an input");
        }
    }

    /// Finishes the checks: counts every batch at its location. For a node that is down, its log counts.
    pub(crate) fn finish(mut self, violations: &mut Violations, nodes: &[NodeAtEnd<'_>]) -> MaterialBalance {
        for (node, end) in self.network.nodes().zip(nodes) {
            let shortage = match &end.holdings {
                Some(holdings) => self.compare(violations, Property::BatchInOnePlace, node, holdings),
                None => Shortage::default(),
            };
            let (destroys_outbound, destroys_inbound) = self.scrapped_by_crash(node);
            let account = &self.accounts[node.index()];
            let (stock, inbound) = (account.stock.len(), account.received.len() as u64);
            let in_transit = (account.in_transit.len() + account.incoming.len()) as u64;
            let stock = stock + account.left.len();
            let is_gone = |flag: bool| end.holdings.is_none() && flag;
            self.audit.lost += shortage.total();
            self.audit.in_transit += in_transit - shortage.in_transit - shortage.incoming;
            let (in_stock, gone) = if is_gone(destroys_outbound) { (0, stock) } else { (stock, 0) };
            self.audit.in_stock += in_stock - shortage.stock;
            self.audit.scrapped += gone;
            let (in_inbound, gone) = if is_gone(destroys_inbound) { (0, inbound) } else { (inbound, 0) };
            self.audit.received += in_inbound - shortage.received;
            if end.holdings.is_none() {
                self.audit.stranded += in_stock + in_transit + in_inbound;
            }
            self.audit.scrapped += gone;
        }
        self.audit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dmos_core::record::Violation;
    use dmos_core::settings::Production;
    use dmos_core::{NodeMetrics, RequestId};
    use dmos_node::batch_range::BatchRange;
    use dmos_node::log::ShipmentState;
    use dmos_node::{Holdings, LogState};

    /// Returns a scenario in which node 0 supplies node 1, and a crash destroys the output buffer.
    fn scenario() -> Scenario {
        let text = "network: {nodes: [{makes: wood}, {makes: door, needs: [wood]}]}\nduration: 1s\n\
                    faults: {material: {outbound: scrapped}}\nprotocol: {production: polled, commitment_limit: 1}\n";
        dmos_testkit::scenario(text)
    }

    fn batch(producer: usize) -> BatchId {
        BatchId { producer: NodeId::new(producer), serial: 0 }
    }

    fn made(producer: usize, inputs: u32) -> (usize, LogRecord) {
        (producer, LogRecord::Made { first: batch(producer), count: 1, inputs })
    }

    fn committed(to: usize) -> (usize, LogRecord) {
        let request = RequestId::default();
        (0, LogRecord::Committed { batch: batch(0), to: NodeId::new(to), request })
    }

    fn received() -> (usize, LogRecord) {
        (1, LogRecord::Received(batch(0)))
    }

    fn consumed() -> (usize, LogRecord) {
        (1, LogRecord::Consumed(batch(0)))
    }

    fn audit(
        records: &[(usize, LogRecord)],
        holdings: impl Fn(usize) -> Option<Holdings>,
    ) -> (MaterialBalance, Vec<Violation>) {
        let (scenario, metrics) = (scenario(), NodeMetrics::new(Production::Polled));
        let (mut material, mut violations) = (Material::new(&scenario), Violations::default());
        for (node, record) in records {
            material.on_durable(&mut violations, NodeId::new(*node), record);
        }
        let end = |node| NodeAtEnd { holdings: holdings(node), metrics: &metrics };
        (material.finish(&mut violations, &[end(0), end(1)]), violations.into_vec())
    }

    #[track_caller]
    fn assert_only_violation(records: &[(usize, LogRecord)], property: Property) {
        let (_, violations) = audit(records, |_| None);
        assert_eq!(violations.iter().map(|violation| violation.property).collect::<Vec<_>>(), [property]);
    }

    fn nothing(_: usize) -> Option<Holdings> {
        Some(Holdings::default())
    }

    #[test]
    fn a_batch_made_shipped_and_consumed_violates_nothing() {
        let records = [made(0, 0), committed(1), received(), consumed(), made(1, 1)];
        let (audit, violations) = audit(&records, |_| None);
        assert_eq!(violations, []);
        assert_eq!((audit.made, audit.consumed, audit.in_stock), (2, 1, 1));
        assert_eq!(audit.stranded, 1, "no node is up at the end");
    }

    #[test]
    fn finds_lost_batches() {
        let (audit, violations) = audit(&[made(0, 0)], nothing);
        assert_eq!((audit.lost, audit.in_stock, violations.len()), (1, 0, 1));
        let in_transit = [made(0, 0), committed(1)];
        assert_eq!(self::audit(&in_transit, nothing).0.lost, 1, "no node announces it again");
        let received = [made(0, 0), committed(1), received()];
        assert_eq!(self::audit(&received, nothing).0.lost, 1);
    }

    #[test]
    fn finds_batches_consumed_twice_or_by_no_recipe() {
        let again = LogRecord::Made { first: BatchId { serial: 1, ..batch(1) }, count: 1, inputs: 1 };
        let twice = [made(0, 0), committed(1), received(), consumed(), made(1, 1), consumed(), (1, again)];
        assert_only_violation(&twice, Property::BatchConsumedOnce);
        assert_only_violation(&[made(1, 0)], Property::MadeByRecipe);
        assert_only_violation(&[made(0, 0), consumed(), made(1, 1)], Property::BatchInOnePlace);
    }

    #[test]
    fn an_interrupted_run_consumes_nothing() {
        let records = [made(0, 0), committed(1), received(), consumed(), consumed(), made(1, 1)];
        assert_eq!(audit(&records, |_| None).1, []);
    }

    #[test]
    fn finds_misplaced_batches() {
        assert_only_violation(&[made(0, 0), committed(0), received()], Property::BatchInOnePlace);
        assert_only_violation(
            &[made(0, 0), committed(1), (0, LogRecord::Delivered(batch(0)))],
            Property::BatchInOnePlace,
        );
        assert_only_violation(&[made(0, 0), received()], Property::BatchInOnePlace);
        let both = |node: usize| {
            let received = if node == 1 { vec![batch(0).into()] } else { vec![] };
            let stock = SerialSet::from(if node == 0 { vec![(0, 1)] } else { vec![] });
            Some(Holdings { stock, received, ..Holdings::default() })
        };
        assert_eq!(audit(&[made(0, 0)], both).1.len(), 1);
    }

    /// Returns the violations of an incarnation of node 0 after it made a batch and crashed.
    fn after_a_crash(records: &[LogRecord]) -> (MaterialBalance, Vec<Property>) {
        let scenario = scenario();
        let (mut material, mut violations) = (Material::new(&scenario), Violations::default());
        material.on_durable(&mut violations, NodeId::new(0), &made(0, 0).1);
        material.on_started(Time::ZERO, NodeId::new(0), true);
        records.iter().for_each(|record| material.on_durable(&mut violations, NodeId::new(0), record));
        let properties = violations.into_vec().iter().map(|violation| violation.property).collect();
        (material.audit, properties)
    }

    #[test]
    fn scrap_is_exactly_what_a_crash_destroyed() {
        let scrap = LogRecord::Scrapped(batch(0));
        let next = LogRecord::Made { first: BatchId { serial: 1, ..batch(0) }, count: 1, inputs: 0 };
        let (audit, found) = after_a_crash(&[scrap.clone(), next.clone()]);
        assert_eq!((audit.scrapped, found), (1, vec![]));
        assert_eq!(
            after_a_crash(std::slice::from_ref(&next)).1,
            [Property::ScrapRecorded],
            "it is not found"
        );
        assert_eq!(after_a_crash(&[committed(1).1]).1, [Property::ScrapRecorded], "it is committed");
        assert_eq!(
            audit_of(&[made(0, 0), (0, scrap)]),
            [Property::ScrapRecorded],
            "without a crash there is no scrap"
        );
    }

    #[test]
    fn scrap_was_in_stock_or_received() {
        let other = BatchId { serial: 1, ..batch(0) };
        let (audit, found) = after_a_crash(&[LogRecord::Scrapped(other)]);
        assert_eq!((audit.scrapped, found), (0, vec![Property::BatchInOnePlace, Property::ScrapRecorded]));
    }

    fn audit_of(records: &[(usize, LogRecord)]) -> Vec<Property> {
        audit(records, |_| None).1.iter().map(|violation| violation.property).collect()
    }

    #[test]
    fn retired_nodes_make_and_commit_nothing() {
        let retire = (0, LogRecord::Commanded(Command::Retire));
        assert_only_violation(&[retire.clone(), made(0, 0)], Property::RetiredNodeIdle);
        assert_only_violation(&[made(0, 0), retire, committed(1)], Property::RetiredNodeIdle);
    }

    #[test]
    fn exceeded_limits_are_violations() {
        let next = LogRecord::Made { first: BatchId { serial: 1, ..batch(0) }, count: 1, inputs: 0 };
        let second = LogRecord::Committed {
            batch: BatchId { serial: 1, ..batch(0) },
            to: NodeId::new(1),
            request: RequestId::default(),
        };
        assert_only_violation(&[made(0, 0), committed(1), (0, next), (0, second)], Property::WithinLimits);
        let much = vec![(0, LogRecord::Restarted); 4_000];
        assert!(audit_of(&much).contains(&Property::WithinLimits), "the log is never compacted");
    }

    #[test]
    fn a_log_may_be_as_long_as_its_shipments_require() {
        let shipment = |serial| BatchRange { first: BatchId { serial, ..batch(0) }, count: 1 };
        let consumer = NodeId::new(1);
        let exceeds = |shipments: u32| {
            let scenario = scenario();
            let (mut material, mut violations) = (Material::new(&scenario), Violations::default());
            let state = ShipmentState { count: 1, incarnation: 0 };
            let shipments = (0..shipments).map(|serial| ((consumer, shipment(serial).first), state));
            let state = LogState { shipments: shipments.collect(), ..LogState::default() };
            material.on_compacted(&mut violations, NodeId::new(0), &[], &state);
            for serial in 0..4_000 {
                let record = LogRecord::Acknowledged { batches: shipment(serial), by: consumer };
                material.on_durable(&mut violations, NodeId::new(0), &record);
            }
            violations.into_vec().iter().any(|violation| violation.property == Property::WithinLimits)
        };
        assert!(!exceeds(4_000), "the consumer has the batches; their acknowledgements come later");
        assert!(exceeds(4));
    }

    #[test]
    fn a_compacted_log_with_another_state_is_a_violation() {
        let compacted = |state: LogState| {
            let scenario = scenario();
            let (mut material, mut violations) = (Material::new(&scenario), Violations::default());
            let log = [made(0, 0).1];
            material.on_durable(&mut violations, NodeId::new(0), &log[0]);
            material.on_compacted(&mut violations, NodeId::new(0), &log, &state);
            violations.into_vec().iter().map(|violation| violation.property).collect::<Vec<_>>()
        };
        let kept = LogState { made: 1, stock: SerialSet::from(vec![(0, 1)]), ..LogState::default() };
        assert_eq!(compacted(kept.clone()), []);
        assert_eq!(compacted(LogState { restarts: 1, ..kept.clone() }), [Property::LogRecovers]);
        assert!(compacted(LogState { stock: SerialSet::default(), ..kept }).contains(&Property::LogRecovers));
    }
}
