//! Ranges of consecutive batches of one producer.

use std::ops::Range;

use dmos_core::BatchId;
use serde::{Deserialize, Serialize};

/// Consecutive batches of one producer; at least one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct BatchRange {
    /// The first batch.
    pub first: BatchId,
    /// Number of batches; at least 1.
    pub count: u32,
}

impl From<BatchId> for BatchRange {
    fn from(batch: BatchId) -> Self {
        Self { first: batch, count: 1 }
    }
}

impl BatchRange {
    /// Returns the serial numbers.
    #[must_use]
    pub fn serials(self) -> Range<u32> {
        self.first.serial..self.first.serial.saturating_add(self.count)
    }

    /// Returns all batches, in order.
    pub fn iter(self) -> impl Iterator<Item = BatchId> {
        let producer = self.first.producer;
        self.serials().map(move |serial| BatchId { producer, serial })
    }

    /// Removes and returns the first batches, at most `count`; the rest is `None` if nothing remains.
    #[must_use]
    pub fn split(self, count: u32) -> (Self, Option<Self>) {
        if count >= self.count {
            return (self, None);
        }
        let first = BatchId { serial: self.first.serial + count, ..self.first };
        (Self { count, ..self }, Some(Self { first, count: self.count - count }))
    }
}

#[cfg(test)]
mod tests {
    use dmos_core::NodeId;

    use super::*;

    #[test]
    fn a_split_neither_loses_nor_repeats_batches() {
        let first = BatchId { producer: NodeId::new(2), serial: 10 };
        let range = BatchRange { first, count: 4 };
        assert_eq!(range.serials(), 10..14);
        let (head, tail) = range.split(1);
        let tail = tail.expect("three batches remain");
        assert_eq!((head, tail.first.serial, tail.count), (first.into(), 11, 3));
        assert!(head.iter().chain(tail.iter()).eq(range.iter()));
        assert_eq!((range.split(4), range.split(9)), ((range, None), (range, None)));
    }
}
