//! Sets of serial numbers, stored as ranges.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// A set of serial numbers, stored as ranges: its size is proportional to the number of ranges, not of serial
/// numbers.
///
/// A producer's stock is such a set, because stock leaves in the order in which it was made; so are the
/// batches that a consumer has seen from one producer.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Vec<(u32, u32)>", into = "Vec<(u32, u32)>")]
pub struct SerialSet {
    /// Start and end (exclusive) of each range: ascending, never adjacent.
    ranges: Vec<(u32, u32)>,
    len: u64,
}

impl From<Vec<(u32, u32)>> for SerialSet {
    /// Builds a set from ranges in any order; empty ranges add nothing.
    fn from(mut ranges: Vec<(u32, u32)>) -> Self {
        ranges.sort_unstable();
        let mut set = Self::default();
        ranges.into_iter().for_each(|(first, end)| set.insert_range(first..end));
        set
    }
}

impl From<SerialSet> for Vec<(u32, u32)> {
    fn from(set: SerialSet) -> Self {
        set.ranges
    }
}

impl SerialSet {
    /// Returns the number of serial numbers in the set.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Returns whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns whether the set contains `serial`. O(log ranges).
    #[must_use]
    pub fn contains(&self, serial: u32) -> bool {
        let after = self.ranges.partition_point(|range| range.0 <= serial);
        after > 0 && serial < self.ranges[after - 1].1
    }

    /// Returns whether the set contains every number of another set. O(ranges of the other × log ranges).
    #[must_use]
    pub fn contains_all(&self, other: &Self) -> bool {
        other.ranges.iter().all(|range| {
            let after = self.ranges.partition_point(|known| known.0 <= range.0);
            after > 0 && range.1 <= self.ranges[after - 1].1
        })
    }

    /// Adds `serial` and returns whether it was new. O(1) at the end, else O(ranges).
    pub fn insert(&mut self, serial: u32) -> bool {
        let new = !self.contains(serial);
        if new {
            self.insert_range(serial..serial + 1);
        }
        new
    }

    /// Adds a range of serial numbers.
    pub fn insert_range(&mut self, range: Range<u32>) {
        if range.is_empty() {
            return;
        }
        // Every range that touches the new one is merged with it.
        let from = self.ranges.partition_point(|known| known.1 < range.start);
        let to = from + self.ranges[from..].partition_point(|known| known.0 <= range.end);
        let first = self.ranges[from..to].first().map_or(range.start, |known| known.0.min(range.start));
        let end = self.ranges[from..to].last().map_or(range.end, |known| known.1.max(range.end));
        let known: u64 = self.ranges[from..to].iter().map(|range| u64::from(range.1 - range.0)).sum();
        self.len += u64::from(end - first) - known;
        if to == from + 1 {
            self.ranges[from] = (first, end);
        } else {
            self.ranges.splice(from..to, [(first, end)]);
        }
    }

    /// Removes `serial` and returns whether it was present. O(ranges).
    pub fn remove(&mut self, serial: u32) -> bool {
        let after = self.ranges.partition_point(|range| range.0 <= serial);
        if after == 0 || serial >= self.ranges[after - 1].1 {
            return false;
        }
        self.len -= 1;
        let at = after - 1;
        let (first, end) = self.ranges[at];
        match (first == serial, end == serial + 1) {
            (true, true) => drop(self.ranges.remove(at)),
            (true, false) => self.ranges[at].0 += 1,
            (false, true) => self.ranges[at].1 -= 1,
            (false, false) => drop(self.ranges.splice(at..=at, [(first, serial), (serial + 1, end)])),
        }
        true
    }

    /// Removes a range of serial numbers, as far as they are present. O(ranges).
    pub fn remove_range(&mut self, range: Range<u32>) {
        if range.is_empty() {
            return;
        }
        let from = self.ranges.partition_point(|known| known.1 <= range.start);
        let to = from + self.ranges[from..].partition_point(|known| known.0 < range.end);
        let affected = &self.ranges[from..to];
        let removed = affected.iter().map(|&(start, end)| end.min(range.end) - start.max(range.start));
        self.len -= removed.map(u64::from).sum::<u64>();
        let before = affected.first().map(|first| (first.0, range.start)).filter(|(start, end)| start < end);
        let after = affected.last().map(|last| (range.end, last.1)).filter(|(start, end)| start < end);
        self.ranges.splice(from..to, before.into_iter().chain(after));
    }

    /// Returns the smallest serial number.
    #[must_use]
    pub fn first(&self) -> Option<u32> {
        self.ranges.first().map(|range| range.0)
    }

    /// Removes and returns the smallest serial number.
    pub fn pop_first(&mut self) -> Option<u32> {
        let first = self.first()?;
        self.remove(first);
        Some(first)
    }

    /// Returns all serial numbers in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.ranges.iter().flat_map(|range| range.0..range.1)
    }

    /// Returns the ranges as (start, exclusive end), in ascending order.
    #[must_use]
    pub fn ranges(&self) -> &[(u32, u32)] {
        &self.ranges
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_range_changes_nothing() {
        let mut set = SerialSet::from(vec![(3, 6)]);
        set.remove_range(4..4);
        set.insert_range(8..8);
        assert_eq!((set.ranges(), set.len()), (&[(3, 6)][..], 3));
        assert_eq!(Vec::from(set), [(3, 6)]);
    }

    #[test]
    fn adjacent_numbers_form_one_range() {
        let mut set = SerialSet::default();
        assert!([5, 3, 4, 9].into_iter().all(|serial| set.insert(serial)));
        assert_eq!(set.ranges(), [(3, 6), (9, 10)]);
        set.insert_range(0..20);
        assert_eq!((set.ranges(), set.len()), (&[(0, 20)][..], 20));
        assert!(set.remove(7) && !set.remove(7));
        assert_eq!(set.ranges(), [(0, 7), (8, 20)]);
        assert_eq!((set.pop_first(), set.first(), set.len()), (Some(0), Some(1), 18));
    }

    proptest! {
        #[test]
        fn is_a_set(steps in proptest::collection::vec((0_u8..5, 0_u32..40, 0_u32..6), 0..80)) {
            let (mut set, mut model) = (SerialSet::default(), BTreeSet::new());
            for (kind, serial, length) in steps {
                match kind {
                    0 => prop_assert_eq!(set.insert(serial), model.insert(serial)),
                    1 => prop_assert_eq!(set.remove(serial), model.remove(&serial)),
                    2 => {
                        set.insert_range(serial..serial + length);
                        model.extend(serial..serial + length);
                    }
                    3 => {
                        set.remove_range(serial..serial + 3 * length);
                        model.retain(|known| !(serial..serial + 3 * length).contains(known));
                    }
                    _ => prop_assert_eq!(set.pop_first(), model.pop_first()),
                }
                prop_assert_eq!((set.first(), set.is_empty()), (model.first().copied(), model.is_empty()));
                prop_assert_eq!(set.len(), model.len() as u64);
                prop_assert!(set.iter().eq(model.iter().copied()));
                prop_assert!((0..50).all(|serial| set.contains(serial) == model.contains(&serial)));
                prop_assert!(set.ranges().windows(2).all(|pair| pair[0].1 < pair[1].0));
                prop_assert_eq!(&SerialSet::from(set.ranges().to_vec()), &set);
                let mut more = set.clone();
                more.insert_range(serial..serial + length);
                prop_assert!(more.contains_all(&set));
                prop_assert_eq!(set.contains_all(&more), set == more);
            }
        }
    }
}
