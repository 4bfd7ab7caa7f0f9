//! Which batches have been seen, one bit for each.

use dmos_core::{BatchId, NodeId};

/// A set of batches. Serial numbers of one maker are dense, so a bit each is enough.
#[derive(Default)]
pub(crate) struct BatchSet {
    /// Sorted by maker; a node has few suppliers.
    makers: Vec<(NodeId, Vec<u64>)>,
}

impl BatchSet {
    pub(crate) fn contains(&self, batch: BatchId) -> bool {
        let Ok(at) = self.makers.binary_search_by_key(&batch.maker, |maker| maker.0) else {
            return false;
        };
        let word = self.makers[at].1.get(batch.serial as usize / 64);
        word.is_some_and(|word| word & (1 << (batch.serial % 64)) != 0)
    }

    /// Takes a batch out, if it is there.
    pub(crate) fn remove(&mut self, batch: BatchId) {
        if let Ok(at) = self.makers.binary_search_by_key(&batch.maker, |maker| maker.0)
            && let Some(word) = self.makers[at].1.get_mut(batch.serial as usize / 64)
        {
            *word &= !(1 << (batch.serial % 64));
        }
    }

    /// Adds a batch; true if it was not there.
    pub(crate) fn insert(&mut self, batch: BatchId) -> bool {
        let at = self.makers.binary_search_by_key(&batch.maker, |maker| maker.0).unwrap_or_else(|at| {
            self.makers.insert(at, (batch.maker, Vec::new()));
            at
        });
        let words = &mut self.makers[at].1;
        let index = batch.serial as usize / 64;
        if index >= words.len() {
            words.resize(index + 1, 0);
        }
        let bit = 1 << (batch.serial % 64);
        let new = words[index] & bit == 0;
        words[index] |= bit;
        new
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
}
