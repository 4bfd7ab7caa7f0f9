//! Goods are conserved: every batch ever made is in one place, and is used up at most once.
//!
//! The auditor follows the nodes' logs, append by append, and at the end compares what the nodes that
//! are up really hold with where their logs say the batches are.

use dmos_core::record::GoodsAudit;
use dmos_core::{BatchId, Network, NodeId};
use dmos_node::{Holdings, LogRecord};

/// Violations beyond this many are only counted.
const SHOWN: usize = 20;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    InStock,
    UnderWay,
    Received(NodeId),
    Consumed,
}

impl Place {
    /// Where that is, in words.
    fn words(self, network: &Network) -> String {
        match self {
            Self::InStock => "in stock".to_owned(),
            Self::UnderWay => "under way".to_owned(),
            Self::Received(node) => format!("in the dock of `{}`", network.node_name(node)),
            Self::Consumed => "used up".to_owned(),
        }
    }
}

/// Where every batch is.
pub(crate) struct GoodsAuditor<'a> {
    network: &'a Network,
    /// By maker, then serial number.
    places: Vec<Vec<Place>>,
    /// How many batches of which requirement each node has used since it last made something.
    used: Vec<Vec<u32>>,
    audit: GoodsAudit,
}

impl<'a> GoodsAuditor<'a> {
    pub(crate) fn new(network: &'a Network) -> Self {
        let used = network.nodes().map(|node| vec![0; network.requirements(node).len()]).collect();
        let places = vec![Vec::new(); network.node_count()];
        Self { network, places, used, audit: GoodsAudit::default() }
    }

    fn violation(&mut self, words: impl FnOnce(&Network) -> String) {
        if self.audit.violations.len() < SHOWN {
            let words = words(self.network);
            self.audit.violations.push(words);
        }
    }

    /// The place of a batch that was made.
    fn place(&mut self, batch: BatchId) -> &mut Place {
        let place = self.places[batch.maker.index()].get_mut(batch.serial as usize);
        place.expect("only batches that were made are entered in logs")
    }

    /// Moves a batch, if it is where it should be.
    fn moves(&mut self, node: NodeId, batch: BatchId, from: Place, to: Place) {
        let place = *self.place(batch);
        if place == from {
            *self.place(batch) = to;
        } else {
            self.audit.consumed_twice += u64::from(place == Place::Consumed && to == Place::Consumed);
            self.violation(|network| {
                let name = network.node_name(node);
                format!(
                    "`{name}` says that batch {batch} is {}, but it was {}",
                    to.words(network),
                    place.words(network)
                )
            });
        }
    }

    /// A node has appended to its log.
    pub(crate) fn appended(&mut self, node: NodeId, record: &LogRecord) {
        match *record {
            LogRecord::Made { first, count, inputs } => self.made(node, first, count, inputs),
            LogRecord::Promised { batch, .. } | LogRecord::SentOff(batch) => {
                self.moves(node, batch, Place::InStock, Place::UnderWay);
            }
            LogRecord::Received(batch) => self.moves(node, batch, Place::UnderWay, Place::Received(node)),
            LogRecord::Consumed(batch) => {
                self.moves(node, batch, Place::Received(node), Place::Consumed);
                let item = self.network.makes(batch.maker);
                let requirements = self.network.requirements(node);
                match requirements.iter().position(|required| required.item == item) {
                    Some(index) => self.used[node.index()][index] += 1,
                    None => {
                        self.violation(|_| format!("node {node} uses batch {batch}, which it does not need"))
                    }
                }
            }
            LogRecord::OnItsWay(_)
            | LogRecord::Delivered(_)
            | LogRecord::Coming(_)
            | LogRecord::Election(_) => {}
        }
    }

    fn made(&mut self, node: NodeId, first: BatchId, count: u32, inputs: u32) {
        let places = &mut self.places[node.index()];
        let fits = first.maker == node && first.serial as usize == places.len();
        places.resize(places.len() + count as usize, Place::InStock);
        self.audit.made += u64::from(count);
        let required: Vec<u32> =
            self.network.requirements(node).iter().map(|required| required.quantity).collect();
        let used = std::mem::replace(&mut self.used[node.index()], vec![0; required.len()]);
        if !fits || used != required || used.iter().sum::<u32>() != inputs {
            self.violation(|network| {
                format!("{} makes batch {first} out of {used:?}, not {required:?}", network.node_name(node))
            });
        }
    }

    /// Ends the audit: compares where the logs say the batches are with what the nodes hold by their
    /// own account. `holdings` has none of a node that is down: its log is all there is.
    pub(crate) fn finish(mut self, holdings: impl Fn(NodeId) -> Option<Holdings>) -> GoodsAudit {
        let held: Vec<Option<Held>> =
            self.network.nodes().map(|node| holdings(node).map(Held::new)).collect();
        let places = std::mem::take(&mut self.places);
        let mut right = 0;
        for (maker, serials) in self.network.nodes().zip(&places) {
            for (&place, serial) in serials.iter().zip(0..) {
                right += self.settle(&held, BatchId { maker, serial }, place);
            }
        }
        let total: usize = held.iter().flatten().map(Held::len).sum();
        if total > right {
            self.violation(|_| {
                format!("nodes hold {} batches that their logs say are elsewhere", total - right)
            });
        }
        self.audit
    }

    /// Counts a batch where it is; says how many nodes rightly hold it.
    fn settle(&mut self, held: &[Option<Held>], batch: BatchId, place: Place) -> usize {
        let (count, node) = match place {
            Place::InStock => (&mut self.audit.in_stock, batch.maker),
            Place::UnderWay => (&mut self.audit.under_way, batch.maker),
            Place::Received(node) => (&mut self.audit.received, node),
            Place::Consumed => {
                self.audit.consumed += 1;
                return 0;
            }
        };
        match &held[node.index()] {
            Some(held) if !held.has(batch, place) => {
                self.audit.lost += 1;
                self.violation(|network| {
                    format!(
                        "`{}` has lost batch {batch}, which was {}",
                        network.node_name(node),
                        place.words(network)
                    )
                });
                0
            }
            found => {
                *count += 1;
                usize::from(found.is_some())
            }
        }
    }
}

/// What a node holds, sorted. Batches under way that have arrived are held by nobody.
struct Held(Holdings);

impl Held {
    fn new(mut holdings: Holdings) -> Self {
        holdings.stock.sort_unstable();
        holdings.under_way.sort_unstable();
        holdings.received.sort_unstable();
        Self(holdings)
    }

    fn has(&self, batch: BatchId, place: Place) -> bool {
        let batches = match place {
            Place::InStock => &self.0.stock,
            Place::UnderWay => &self.0.under_way,
            Place::Received(_) => &self.0.received,
            Place::Consumed => return false,
        };
        batches.binary_search(&batch).is_ok()
    }

    fn len(&self) -> usize {
        self.0.stock.len() + self.0.received.len()
    }
}

#[cfg(test)]
mod tests {
    use dmos_core::network::Names;
    use dmos_core::{ItemId, Recipe, RequestId, Requirement};

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

    const FIRST: u32 = 0;

    fn batch(maker: usize) -> BatchId {
        BatchId { maker: NodeId::new(maker), serial: FIRST }
    }

    fn made(maker: usize, inputs: u32) -> (usize, LogRecord) {
        (maker, LogRecord::Made { first: batch(maker), count: 1, inputs })
    }

    fn promised() -> (usize, LogRecord) {
        (0, LogRecord::Promised { batch: batch(0), to: NodeId::new(1), request: RequestId(0) })
    }

    fn audit(records: &[(usize, LogRecord)], holdings: impl Fn(NodeId) -> Option<Holdings>) -> GoodsAudit {
        let network = network();
        let mut auditor = GoodsAuditor::new(&network);
        records.iter().for_each(|(node, record)| auditor.appended(NodeId::new(*node), record));
        auditor.finish(holdings)
    }

    fn nothing(_: NodeId) -> Option<Holdings> {
        Some(Holdings { stock: vec![], under_way: vec![], received: vec![] })
    }

    #[test]
    fn a_clean_life_of_a_batch() {
        let consumed = (1, LogRecord::Consumed(batch(0)));
        let records = [made(0, 0), promised(), (1, LogRecord::Received(batch(0))), consumed, made(1, 1)];
        let audit = audit(&records, |_| None);
        assert!(audit.is_clean(), "{audit:?}");
        assert_eq!((audit.made, audit.consumed, audit.in_stock), (2, 1, 1));
    }

    #[test]
    fn finds_what_is_lost() {
        let audit = audit(&[made(0, 0)], nothing);
        assert_eq!((audit.lost, audit.in_stock), (1, 0));
        let received = [made(0, 0), promised(), (1, LogRecord::Received(batch(0)))];
        assert_eq!(self::audit(&received, nothing).lost, 1);
    }

    #[test]
    fn finds_what_is_used_twice_or_for_nothing() {
        let consumed = (1, LogRecord::Consumed(batch(0)));
        let received = [made(0, 0), promised(), (1, LogRecord::Received(batch(0)))];
        let twice = [&received[..], &[consumed.clone(), made(1, 1), consumed.clone()]].concat();
        assert_eq!(audit(&twice, |_| None).consumed_twice, 1);
        assert!(!audit(&[made(1, 0)], |_| None).is_clean(), "made out of nothing");
        assert!(!audit(&[made(0, 0), consumed], |_| None).is_clean(), "used where it is not");
    }

    #[test]
    fn finds_what_is_in_two_places() {
        let both = |node: NodeId| {
            let received = if node.index() == 1 { vec![batch(0)] } else { vec![] };
            Some(Holdings {
                stock: if node.index() == 0 { vec![batch(0)] } else { vec![] },
                under_way: vec![],
                received,
            })
        };
        assert!(!audit(&[made(0, 0)], both).is_clean());
    }
}
