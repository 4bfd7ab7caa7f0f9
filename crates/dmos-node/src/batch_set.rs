//! Which batches have been seen.

use dmos_core::{BatchId, NodeId, SerialSet};
use serde::{Deserialize, Serialize};

/// A set of batches, by maker.
///
/// It stays small: what a maker has settled with this node is one run of numbers.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Vec<(NodeId, SerialSet)>", into = "Vec<(NodeId, SerialSet)>")]
pub struct BatchSet {
    /// Sorted by maker; a node has few suppliers.
    makers: Vec<(NodeId, SerialSet)>,
}

impl From<Vec<(NodeId, SerialSet)>> for BatchSet {
    fn from(mut makers: Vec<(NodeId, SerialSet)>) -> Self {
        makers.sort_by_key(|maker| maker.0);
        makers.dedup_by_key(|maker| maker.0);
        Self { makers }
    }
}

impl From<BatchSet> for Vec<(NodeId, SerialSet)> {
    fn from(set: BatchSet) -> Self {
        set.makers
    }
}

impl BatchSet {
    /// Whether `batch` is in the set.
    #[must_use]
    pub fn contains(&self, batch: BatchId) -> bool {
        let at = self.makers.binary_search_by_key(&batch.maker, |maker| maker.0);
        at.is_ok_and(|at| self.makers[at].1.contains(batch.serial))
    }

    /// The makers of which it has batches, in ascending order.
    pub(crate) fn makers(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.makers.iter().map(|maker| maker.0)
    }

    fn of(&mut self, maker: NodeId) -> &mut SerialSet {
        let at = self.makers.binary_search_by_key(&maker, |maker| maker.0).unwrap_or_else(|at| {
            self.makers.insert(at, (maker, SerialSet::default()));
            at
        });
        &mut self.makers[at].1
    }

    /// Takes a batch out, if it is there.
    pub fn remove(&mut self, batch: BatchId) {
        self.of(batch.maker).remove(batch.serial);
    }

    /// Adds a batch; true if it was not there.
    pub fn insert(&mut self, batch: BatchId) -> bool {
        self.of(batch.maker).insert(batch.serial)
    }

    /// Adds all batches of `batch`'s maker before `batch`.
    pub fn insert_all_before(&mut self, batch: BatchId) {
        let known = self.of(batch.maker);
        let has_them = known.runs().first().is_some_and(|run| run.0 == 0 && run.1 >= batch.serial);
        if !has_them {
            known.insert_run(0..batch.serial);
        }
    }

    /// Whether it has every batch of another set. Time in proportion to the runs.
    #[must_use]
    pub fn contains_all(&self, other: &Self) -> bool {
        other.makers.iter().all(|(maker, serials)| {
            let at = self.makers.binary_search_by_key(maker, |known| known.0);
            at.map_or(serials.is_empty(), |at| self.makers[at].1.contains_all(serials))
        })
    }

    /// How many runs of numbers it takes.
    pub(crate) fn run_count(&self) -> usize {
        self.makers.iter().map(|maker| maker.1.runs().len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_each_batch_once() {
        let mut set = BatchSet::default();
        for (maker, serial) in [(7, 200), (3, 0), (7, 0), (7, 63), (7, 64)] {
            let batch = BatchId { maker: NodeId::new(maker), serial };
            assert!(!set.contains(batch) && set.insert(batch) && set.contains(batch) && !set.insert(batch));
            set.remove(batch);
            assert!(!set.contains(batch) && set.insert(batch));
        }
        assert!(!set.contains(BatchId { maker: NodeId::new(3), serial: 1000 }));
    }

    #[test]
    fn what_is_settled_is_one_run() {
        let mut set = BatchSet::default();
        let batch = |serial| BatchId { maker: NodeId::new(1), serial };
        (1..100).step_by(2).for_each(|serial| assert!(set.insert(batch(serial))));
        assert_eq!(set.run_count(), 50);
        set.insert_all_before(batch(99));
        assert_eq!(set.run_count(), 1);
        assert!(set.contains(batch(98)) && set.contains(batch(99)) && !set.contains(batch(100)));
    }
}
