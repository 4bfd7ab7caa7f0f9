//! Goods are conserved: every batch ever made is in one place, is used up at most once, and was made out of
//! what its recipe says. And logs recover: what a node holds is what its log held.
//!
//! The books are kept from the records that became durable, and take space in proportion to what is held.

use std::collections::{BTreeMap, BTreeSet};

use dmos_core::record::GoodsAudit;
use dmos_core::{BatchId, ItemId, Network, NodeId, Property, Requirement, SerialSet};
use dmos_node::{Holdings, LogRecord, LogState, Order};

use crate::NodeAtEnd;
use crate::findings::Findings;

/// What the books say of one node.
#[derive(Default)]
struct Account {
    /// How many batches it made.
    made: u32,
    stock: SerialSet,
    /// Own batches that left the stock and that nobody has received, with whom they were promised to.
    under_way: BTreeMap<u32, Option<NodeId>>,
    /// Own batches that somebody used up.
    used: SerialSet,
    /// Batches in the dock.
    received: BTreeSet<BatchId>,
    /// Batches entered as going into the next making.
    going_in: Vec<BatchId>,
    /// What one making takes, if that was changed.
    requires: Option<Box<[Requirement]>>,
}

/// The books.
pub(crate) struct Goods<'a> {
    network: &'a Network,
    accounts: Vec<Account>,
    audit: GoodsAudit,
}

impl<'a> Goods<'a> {
    pub(crate) fn new(network: &'a Network) -> Self {
        let accounts = network.nodes().map(|_| Account::default()).collect();
        Self { network, accounts, audit: GoodsAudit::default() }
    }

    pub(crate) fn network(&self) -> &'a Network {
        self.network
    }

    fn account(&mut self, node: NodeId) -> &mut Account {
        &mut self.accounts[node.index()]
    }

    /// Whether something of a node's is under way.
    pub(crate) fn has_promised(&self, node: NodeId) -> bool {
        !self.accounts[node.index()].under_way.is_empty()
    }

    /// A node starts. A making that was cut off has used nothing.
    pub(crate) fn started(&mut self, node: NodeId) {
        self.account(node).going_in.clear();
    }

    /// Where a batch is, in words.
    fn place(&self, batch: BatchId) -> String {
        let maker = &self.accounts[batch.maker.index()];
        if maker.stock.contains(batch.serial) {
            return "in stock".to_owned();
        }
        match maker.under_way.get(&batch.serial) {
            Some(Some(to)) => return format!("under way to `{}`", self.network.node_name(*to)),
            Some(None) => return "under way".to_owned(),
            None => {}
        }
        if maker.used.contains(batch.serial) {
            return "used up".to_owned();
        }
        let docks = self.network.nodes().zip(&self.accounts);
        match docks.into_iter().find(|(_, account)| account.received.contains(&batch)) {
            Some((node, _)) => format!("in the dock of `{}`", self.network.node_name(node)),
            None if batch.serial >= maker.made => "never made".to_owned(),
            None => "gone".to_owned(),
        }
    }

    fn misplaced(&self, findings: &mut Findings, node: NodeId, batch: BatchId, says: &str) {
        findings.add(Property::BatchInOnePlace, || {
            let name = self.network.node_name(node);
            format!("`{name}` says that batch {batch} is {says}, but it was {}", self.place(batch))
        });
    }

    /// A record became durable.
    pub(crate) fn appended(&mut self, findings: &mut Findings, node: NodeId, record: &LogRecord) {
        match record {
            LogRecord::Made { first, count, inputs } => self.made(findings, node, (*first, *count, *inputs)),
            LogRecord::Promised { batch, to, .. } => self.sent_off(findings, node, *batch, Some(*to)),
            LogRecord::SentOff(batch) => self.sent_off(findings, node, *batch, None),
            LogRecord::Received(batch) => self.received(findings, node, *batch),
            LogRecord::Delivered(batch) => {
                if self.accounts[batch.maker.index()].under_way.contains_key(&batch.serial) {
                    self.misplaced(findings, node, *batch, "delivered");
                }
            }
            LogRecord::Consumed(batch) => self.account(node).going_in.push(*batch),
            LogRecord::Scrapped(batch) => {
                let account = self.account(node);
                let own = batch.maker == node && account.stock.remove(batch.serial);
                if own || account.received.remove(batch) {
                    self.audit.scrapped += 1;
                } else {
                    self.misplaced(findings, node, *batch, "scrap");
                }
            }
            LogRecord::Ordered(Order::Recipe(requires)) => {
                self.account(node).requires = Some(requires.clone());
            }
            LogRecord::Compacted(state) => self.compacted(findings, node, state),
            LogRecord::Returned
            | LogRecord::OnItsWay(_)
            | LogRecord::Coming(_)
            | LogRecord::Obeyed(_)
            | LogRecord::Ordered(Order::Retire)
            | LogRecord::Election(_) => {}
        }
    }

    fn sent_off(&mut self, findings: &mut Findings, node: NodeId, batch: BatchId, to: Option<NodeId>) {
        if batch.maker == node && self.account(node).stock.remove(batch.serial) {
            self.account(node).under_way.insert(batch.serial, to);
        } else {
            self.misplaced(findings, node, batch, "sent off");
        }
    }

    fn received(&mut self, findings: &mut Findings, node: NodeId, batch: BatchId) {
        let under_way = &mut self.accounts[batch.maker.index()].under_way;
        let is_its_own = under_way.get(&batch.serial).is_some_and(|to| to.is_none_or(|to| to == node));
        if is_its_own {
            under_way.remove(&batch.serial);
            self.account(node).received.insert(batch);
        } else {
            self.misplaced(findings, node, batch, "received");
        }
    }

    fn made(&mut self, findings: &mut Findings, node: NodeId, (first, count, inputs): (BatchId, u32, u32)) {
        let going_in = std::mem::take(&mut self.account(node).going_in);
        let cut_off = going_in.len().saturating_sub(inputs as usize);
        let mut by_item: BTreeMap<ItemId, u32> = BTreeMap::new();
        for &batch in &going_in[cut_off..] {
            *by_item.entry(self.network.makes(batch.maker)).or_default() += 1;
            self.use_up(findings, node, batch);
        }
        let account = &self.accounts[node.index()];
        let requires = account.requires.as_deref().unwrap_or(self.network.requirements(node));
        let is_by_recipe = requires.len() == by_item.len()
            && requires.iter().all(|required| by_item.get(&required.item) == Some(&required.quantity));
        let is_next = first.maker == node && first.serial == account.made;
        if !is_by_recipe || !is_next || count != self.network.quantity_made(node) {
            findings.add(Property::MadeByRecipe, || {
                let name = self.network.node_name(node);
                format!("`{name}` makes {count} from batch {first} on, out of {by_item:?}, not {requires:?}")
            });
        }
        let account = self.account(node);
        account.made = first.serial.saturating_add(count);
        account.stock.insert_run(first.serial..account.made);
        self.audit.made += u64::from(count);
    }

    fn use_up(&mut self, findings: &mut Findings, node: NodeId, batch: BatchId) {
        let is_there = self.account(node).received.remove(&batch);
        let is_first = self.account(batch.maker).used.insert(batch.serial);
        self.audit.consumed += u64::from(is_first);
        if !is_first {
            self.audit.consumed_twice += 1;
            findings.add(Property::BatchUsedOnce, || {
                format!("`{}` uses batch {batch}, which was used up before", self.network.node_name(node))
            });
        } else if !is_there {
            self.misplaced(findings, node, batch, "at hand");
        }
    }

    /// A log was compacted: it must add up to the same.
    fn compacted(&self, findings: &mut Findings, node: NodeId, state: &LogState) {
        let holdings = Holdings {
            stock: state.stock.clone(),
            under_way: state.promised.keys().copied().collect(),
            received: state.received.iter().copied().collect(),
        };
        self.compare(findings, Property::LogRecovers, node, &holdings);
        let made = self.accounts[node.index()].made;
        if state.made != made {
            findings.add(Property::LogRecovers, || {
                format!("the compacted log of node {node} says {} batches made, not {made}", state.made)
            });
        }
    }

    /// A node has recovered: it must hold what its log held.
    pub(crate) fn recovered(&self, findings: &mut Findings, node: NodeId, holdings: &Holdings) {
        self.compare(findings, Property::LogRecovers, node, holdings);
    }

    /// Compares what a node holds with what the books say; says how many batches it lacks. Batches that have
    /// arrived and were not confirmed are still under way for their maker.
    fn compare(
        &self,
        findings: &mut Findings,
        property: Property,
        node: NodeId,
        holdings: &Holdings,
    ) -> Lacking {
        let account = &self.accounts[node.index()];
        let received: BTreeSet<BatchId> = holdings.received.iter().copied().collect();
        let under_way: BTreeSet<u32> = holdings.under_way.iter().map(|batch| batch.serial).collect();
        let lacking = Lacking {
            stock: surplus(&account.stock, &holdings.stock),
            under_way: account.under_way.keys().filter(|serial| !under_way.contains(serial)).count() as u64,
            received: account.received.difference(&received).count() as u64,
        };
        let doubled = holdings.received.len() - received.len();
        let elsewhere = surplus(&holdings.stock, &account.stock)
            + (received.difference(&account.received).count() + doubled) as u64;
        if lacking.total() > 0 || elsewhere > 0 {
            findings.add(property, || {
                format!(
                    "`{}` lacks {} batches in stock, {} under way and {} in its dock that its log has; {} it \
                     has are elsewhere",
                    self.network.node_name(node),
                    lacking.stock,
                    lacking.under_way,
                    lacking.received,
                    elsewhere,
                )
            });
        }
        lacking
    }

    /// Ends the audit: counts every batch where it is. Of a node that is down, its log is all there is.
    pub(crate) fn finish(mut self, findings: &mut Findings, nodes: &[NodeAtEnd<'_>]) -> GoodsAudit {
        for (node, end) in self.network.nodes().zip(nodes) {
            let lacking = match &end.holdings {
                Some(holdings) => self.compare(findings, Property::BatchInOnePlace, node, holdings),
                None => Lacking::default(),
            };
            let account = &self.accounts[node.index()];
            let (stock, dock) = (account.stock.len(), account.received.len() as u64);
            let under_way = account.under_way.len() as u64;
            let is_gone = |flag: bool| end.holdings.is_none() && flag;
            self.audit.lost += lacking.total();
            self.audit.under_way += under_way - lacking.under_way;
            let (in_stock, gone) = if is_gone(end.scrapped.stock) { (0, stock) } else { (stock, 0) };
            self.audit.in_stock += in_stock - lacking.stock;
            self.audit.scrapped += gone;
            let (in_dock, gone) = if is_gone(end.scrapped.dock) { (0, dock) } else { (dock, 0) };
            self.audit.received += in_dock - lacking.received;
            self.audit.scrapped += gone;
        }
        self.audit
    }
}

/// How many numbers of one set the other has not. O(1) if they are the same run.
fn surplus(of: &SerialSet, over: &SerialSet) -> u64 {
    if of == over { 0 } else { of.iter().filter(|serial| !over.contains(*serial)).count() as u64 }
}

/// How many batches a node lacks, by where the books have them.
#[derive(Default)]
struct Lacking {
    stock: u64,
    under_way: u64,
    received: u64,
}

impl Lacking {
    fn total(&self) -> u64 {
        self.stock + self.under_way + self.received
    }
}

#[cfg(test)]
mod tests {
    use dmos_core::network::Names;
    use dmos_core::record::Finding;
    use dmos_core::{NodeMetrics, Recipe, RequestId};
    use dmos_node::Scrapped;

    use super::*;

    /// Node 0 makes what node 1 needs.
    fn network() -> Network {
        let needs = Requirement { item: ItemId::new(0), quantity: 1 };
        let recipes = [
            Recipe { makes: ItemId::new(0), quantity: 1, requires: vec![] },
            Recipe { makes: ItemId::new(1), quantity: 1, requires: vec![needs] },
        ];
        let names = (Names::Numbers(2), Names::Numbers(2));
        Network::new(names.0, names.1, recipes.into_iter(), vec![ItemId::new(1)]).expect("a network")
    }

    fn batch(maker: usize) -> BatchId {
        BatchId { maker: NodeId::new(maker), serial: 0 }
    }

    fn made(maker: usize, inputs: u32) -> (usize, LogRecord) {
        (maker, LogRecord::Made { first: batch(maker), count: 1, inputs })
    }

    fn promised(to: usize) -> (usize, LogRecord) {
        let request = RequestId::default();
        (0, LogRecord::Promised { batch: batch(0), to: NodeId::new(to), request })
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
    ) -> (GoodsAudit, Vec<Finding>) {
        let (network, metrics) = (network(), NodeMetrics::default());
        let (mut goods, mut findings) = (Goods::new(&network), Findings::default());
        for (node, record) in records {
            goods.appended(&mut findings, NodeId::new(*node), record);
        }
        let end =
            |node| NodeAtEnd { holdings: holdings(node), scrapped: Scrapped::default(), metrics: &metrics };
        (goods.finish(&mut findings, &[end(0), end(1)]), findings.into_vec())
    }

    #[track_caller]
    fn finds(records: &[(usize, LogRecord)], property: Property) {
        let (_, findings) = audit(records, |_| None);
        assert_eq!(findings.iter().map(|finding| finding.property).collect::<Vec<_>>(), [property]);
    }

    fn nothing(_: usize) -> Option<Holdings> {
        Some(Holdings { stock: SerialSet::default(), under_way: vec![], received: vec![] })
    }

    #[test]
    fn a_clean_life_of_a_batch() {
        let records = [made(0, 0), promised(1), received(), consumed(), made(1, 1)];
        let (audit, findings) = audit(&records, |_| None);
        assert_eq!(findings, []);
        assert_eq!((audit.made, audit.consumed, audit.in_stock), (2, 1, 1));
    }

    #[test]
    fn finds_what_is_lost() {
        let (audit, findings) = audit(&[made(0, 0)], nothing);
        assert_eq!((audit.lost, audit.in_stock, findings.len()), (1, 0, 1));
        let under_way = [made(0, 0), promised(1)];
        assert_eq!(self::audit(&under_way, nothing).0.lost, 1, "nobody announces it again");
        let received = [made(0, 0), promised(1), received()];
        assert_eq!(self::audit(&received, nothing).0.lost, 1);
    }

    #[test]
    fn finds_what_is_used_twice_or_for_nothing() {
        let again = LogRecord::Made { first: BatchId { serial: 1, ..batch(1) }, count: 1, inputs: 1 };
        let twice = [made(0, 0), promised(1), received(), consumed(), made(1, 1), consumed(), (1, again)];
        finds(&twice, Property::BatchUsedOnce);
        finds(&[made(1, 0)], Property::MadeByRecipe);
        finds(&[made(0, 0), consumed(), made(1, 1)], Property::BatchInOnePlace);
    }

    #[test]
    fn a_making_that_was_cut_off_uses_nothing() {
        let records = [made(0, 0), promised(1), received(), consumed(), consumed(), made(1, 1)];
        assert_eq!(audit(&records, |_| None).1, []);
    }

    #[test]
    fn finds_what_is_in_the_wrong_place() {
        finds(&[made(0, 0), promised(0), received()], Property::BatchInOnePlace);
        finds(&[made(0, 0), promised(1), (0, LogRecord::Delivered(batch(0)))], Property::BatchInOnePlace);
        finds(&[made(0, 0), received()], Property::BatchInOnePlace);
        let both = |node: usize| {
            let received = if node == 1 { vec![batch(0)] } else { vec![] };
            let stock = SerialSet::from(if node == 0 { vec![(0, 1)] } else { vec![] });
            Some(Holdings { stock, under_way: vec![], received })
        };
        assert_eq!(audit(&[made(0, 0)], both).1.len(), 1);
    }

    #[test]
    fn what_a_crash_destroyed_is_counted() {
        let scrapped = (0, LogRecord::Scrapped(batch(0)));
        let (counts, findings) = audit(&[made(0, 0), scrapped.clone()], nothing);
        assert_eq!((counts.scrapped, counts.lost, findings), (1, 0, vec![]));
        finds(&[made(0, 0), promised(1), scrapped], Property::BatchInOnePlace);
    }

    #[test]
    fn a_compacted_log_must_add_up() {
        let state = LogState { made: 1, ..LogState::default() };
        finds(&[made(0, 0), (0, LogRecord::Compacted(Box::new(state)))], Property::LogRecovers);
        let state = LogState { made: 1, stock: SerialSet::from(vec![(0, 1)]), ..LogState::default() };
        let kept = [made(0, 0), (0, LogRecord::Compacted(Box::new(state)))];
        assert_eq!(audit(&kept, |_| None).1, []);
    }
}
