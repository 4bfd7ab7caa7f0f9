//! Sets of batches that a node has seen.

use dmos_core::{BatchId, NodeId, SerialSet};

use crate::batch_range::BatchRange;
use serde::{Deserialize, Serialize};

/// A set of batches, by producer.
///
/// It stays small, because the settled batches of a producer form one range.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Vec<(NodeId, SerialSet)>", into = "Vec<(NodeId, SerialSet)>")]
pub struct BatchSet {
    /// Sorted by producer; a node has few suppliers.
    producers: Vec<(NodeId, SerialSet)>,
}

impl PartialEq for BatchSet {
    /// Compares the batches. A producer whose batches were all removed has an empty entry, which does not
    /// count.
    fn eq(&self, other: &Self) -> bool {
        self.entries().eq(other.entries())
    }
}

impl Eq for BatchSet {}

impl FromIterator<BatchId> for BatchSet {
    fn from_iter<I: IntoIterator<Item = BatchId>>(batches: I) -> Self {
        let mut set = Self::default();
        for batch in batches {
            set.insert(batch);
        }
        set
    }
}

impl FromIterator<BatchRange> for BatchSet {
    fn from_iter<I: IntoIterator<Item = BatchRange>>(ranges: I) -> Self {
        let mut set = Self::default();
        ranges.into_iter().for_each(|range| set.insert_range(range));
        set
    }
}

impl From<Vec<(NodeId, SerialSet)>> for BatchSet {
    fn from(mut producers: Vec<(NodeId, SerialSet)>) -> Self {
        producers.sort_by_key(|producer| producer.0);
        producers.dedup_by_key(|producer| producer.0);
        Self { producers }
    }
}

impl From<BatchSet> for Vec<(NodeId, SerialSet)> {
    fn from(set: BatchSet) -> Self {
        set.producers
    }
}

impl BatchSet {
    /// Returns whether `batch` is in the set.
    #[must_use]
    pub fn contains(&self, batch: BatchId) -> bool {
        let at = self.producers.binary_search_by_key(&batch.producer, |producer| producer.0);
        at.is_ok_and(|at| self.producers[at].1.contains(batch.serial))
    }

    /// Returns the producers of the batches, in ascending order.
    pub(crate) fn producers(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.producers.iter().map(|producer| producer.0)
    }

    fn entry(&mut self, producer: NodeId) -> &mut SerialSet {
        let at = self.producers.binary_search_by_key(&producer, |producer| producer.0).unwrap_or_else(|at| {
            self.producers.insert(at, (producer, SerialSet::default()));
            at
        });
        &mut self.producers[at].1
    }

    /// Removes a batch and returns whether it was present.
    pub fn remove(&mut self, batch: BatchId) -> bool {
        self.entry(batch.producer).remove(batch.serial)
    }

    /// Adds a range of batches.
    pub fn insert_range(&mut self, range: BatchRange) {
        self.entry(range.first.producer).insert_range(range.serials());
    }

    /// Removes a range of batches, as far as they are present.
    pub fn remove_range(&mut self, range: BatchRange) {
        self.entry(range.first.producer).remove_range(range.serials());
    }

    fn entries(&self) -> impl Iterator<Item = &(NodeId, SerialSet)> {
        self.producers.iter().filter(|(_, serials)| !serials.is_empty())
    }

    /// Returns the number of batches.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.producers.iter().map(|(_, serials)| serials.len()).sum()
    }

    /// Returns whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns all batches, by producer and serial number.
    pub fn iter(&self) -> impl Iterator<Item = BatchId> + '_ {
        self.ranges().flat_map(BatchRange::iter)
    }

    /// Returns the ranges of batches, by producer and serial number.
    pub fn ranges(&self) -> impl Iterator<Item = BatchRange> + '_ {
        self.producers.iter().flat_map(|&(producer, ref serials)| {
            let range = move |&(first, end): &(u32, u32)| BatchRange {
                first: BatchId { producer, serial: first },
                count: end - first,
            };
            serials.ranges().iter().map(range)
        })
    }

    /// Adds a batch and returns whether it was new.
    pub fn insert(&mut self, batch: BatchId) -> bool {
        self.entry(batch.producer).insert(batch.serial)
    }

    /// Adds all batches of the same producer with lower serial numbers.
    pub fn insert_all_before(&mut self, batch: BatchId) {
        let known = self.entry(batch.producer);
        let has_them = known.ranges().first().is_some_and(|range| range.0 == 0 && range.1 >= batch.serial);
        if !has_them {
            known.insert_range(0..batch.serial);
        }
    }

    /// Returns whether the set contains every batch of another set. Time is linear in the ranges.
    #[must_use]
    pub fn contains_all(&self, other: &Self) -> bool {
        other.producers.iter().all(|(producer, serials)| {
            let at = self.producers.binary_search_by_key(producer, |known| known.0);
            at.map_or(serials.is_empty(), |at| self.producers[at].1.contains_all(serials))
        })
    }

    /// Returns the number of ranges.
    #[must_use]
    pub fn range_count(&self) -> usize {
        self.producers.iter().map(|producer| producer.1.ranges().len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn batch(producer: usize, serial: u32) -> BatchId {
        BatchId { producer: NodeId::new(producer), serial }
    }

    #[test]
    fn settled_batches_form_one_range() {
        let mut set: BatchSet = (1..100).step_by(2).map(|serial| batch(1, serial)).collect();
        assert_eq!(set.range_count(), 50);
        set.insert_all_before(batch(1, 99));
        assert_eq!(set.range_count(), 1);
        assert!(set.contains(batch(1, 98)) && set.contains(batch(1, 99)) && !set.contains(batch(1, 100)));
    }

    #[test]
    fn a_producer_without_batches_does_not_count() {
        let mut set = BatchSet::default();
        assert!(set.is_empty() && set.insert(batch(2, 5)) && !set.is_empty());
        assert!(set.remove(batch(2, 5)) && !set.remove(batch(2, 5)));
        assert!(set.is_empty());
        assert_eq!(set, BatchSet::default());
        assert_ne!(set, BatchSet::from_iter([batch(2, 5)]));
        assert!(BatchSet::default().contains_all(&set));
    }

    #[test]
    fn entries_of_foreign_bytes_are_sorted_and_unique() {
        let serials = |range| {
            let mut set = SerialSet::default();
            set.insert_range(range);
            set
        };
        let entry = |producer, range| (NodeId::new(producer), serials(range));
        let set = BatchSet::from(vec![entry(3, 0..2), entry(1, 4..5), entry(3, 7..9)]);
        assert!(set.iter().eq([batch(1, 4), batch(3, 0), batch(3, 1)]));
        assert!(set.producers().eq([NodeId::new(1), NodeId::new(3)]));
        assert_eq!(Vec::from(set), [entry(1, 4..5), entry(3, 0..2)]);
    }

    proptest! {
        #[test]
        fn is_a_set(steps in proptest::collection::vec((0_u8..5, 0_usize..3, 0_u32..40, 1_u32..6), 0..60)) {
            let (mut set, mut model) = (BatchSet::default(), BTreeSet::new());
            for (kind, producer, serial, count) in steps {
                let first = batch(producer, serial);
                let range = BatchRange { first, count };
                match kind {
                    0 => prop_assert_eq!(set.insert(first), model.insert(first)),
                    1 => prop_assert_eq!(set.remove(first), model.remove(&first)),
                    2 => {
                        set.insert_range(range);
                        model.extend(range.iter());
                    }
                    3 => {
                        set.remove_range(range);
                        model.retain(|batch| range.iter().all(|removed| removed != *batch));
                    }
                    _ => {
                        set.insert_all_before(first);
                        model.extend((0..serial).map(|serial| batch(producer, serial)));
                    }
                }
                prop_assert_eq!(set.len(), model.len() as u64);
                prop_assert!(set.iter().eq(model.iter().copied()));
                prop_assert!((0..50).all(|serial| set.contains(batch(producer, serial)) == model.contains(&batch(producer, serial))));
                prop_assert_eq!(set.range_count(), set.ranges().count());
                prop_assert_eq!(&set.ranges().collect::<BatchSet>(), &set);
                let mut more = set.clone();
                more.insert_range(range);
                prop_assert!(more.contains_all(&set));
                prop_assert_eq!(set.contains_all(&more), set == more);
            }
        }
    }
}
