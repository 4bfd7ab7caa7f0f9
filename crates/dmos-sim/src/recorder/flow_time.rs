//! Flow times of finished goods: from the start of the first production run that made any of the material in them
//! until they leave the factory.

use std::collections::VecDeque;

use dmos_core::record::FlowTime;
use dmos_core::{BatchId, Span, Time};
use dmos_node::batch_range::BatchRange;

/// Consecutive batches of one production run.
#[derive(Clone, Copy)]
struct Origin {
    batches: BatchRange,
    /// Number of batches that have not been consumed.
    left: u32,
    /// Start of the first run that made material in them.
    since: Time,
}

/// Origins of the batches in the factory, and the flow times of finished goods so far.
pub(super) struct FlowTimes {
    /// By producer, the origins of its batches in the order of their serial numbers, from the oldest that is left.
    origins: Vec<VecDeque<Origin>>,
    /// By node, the start of its current production run.
    started: Vec<Time>,
    count: u64,
    /// Sum of flow times in nanoseconds.
    sum: u128,
    max: Span,
}

impl FlowTimes {
    pub(super) fn new(nodes: usize) -> Self {
        let (origins, started) = (vec![VecDeque::new(); nodes], vec![Time::ZERO; nodes]);
        Self { origins, started, count: 0, sum: 0, max: Span::ZERO }
    }

    /// Records the start of a production run.
    pub(super) fn on_run_started(&mut self, now: Time, node: usize) {
        self.started[node] = now;
    }

    /// Records the end of a production run.
    pub(super) fn on_run_ended(&mut self, product: BatchRange, inputs: &[BatchRange]) {
        let node = product.first.producer.index();
        let oldest = inputs.iter().filter_map(|&batches| self.take(batches)).min();
        let since = oldest.unwrap_or(self.started[node]);
        self.origins[node].push_back(Origin { batches: product, left: product.count, since });
    }

    /// Records that batches left the factory.
    pub(super) fn on_finished(&mut self, now: Time, batches: BatchRange) {
        if let Some(since) = self.take(batches) {
            let span = now.since(since);
            self.count += u64::from(batches.count);
            self.sum += u128::from(span.as_nanos()) * u128::from(batches.count);
            self.max = self.max.max(span);
        }
    }

    /// Records that a batch was destroyed.
    pub(super) fn on_scrapped(&mut self, batch: BatchId) {
        self.take(batch.into());
    }

    /// Removes batches from the factory. Returns the start of the first run that made material in them.
    fn take(&mut self, batches: BatchRange) -> Option<Time> {
        let origins = self.origins.get_mut(batches.first.producer.index())?;
        let first = batches.first.serial;
        let end = batches.serials().end;
        let from = origins.partition_point(|origin| origin.batches.serials().end <= first);
        let mut oldest = None;
        for origin in origins.iter_mut().skip(from).take_while(|origin| origin.batches.first.serial < end) {
            let taken = origin.batches.serials().end.min(end) - origin.batches.first.serial.max(first);
            origin.left = origin.left.saturating_sub(taken);
            oldest = Some(oldest.map_or(origin.since, |oldest: Time| oldest.min(origin.since)));
        }
        while origins.front().is_some_and(|origin| origin.left == 0) {
            origins.pop_front();
        }
        oldest
    }

    /// Starts anew: finished goods from before do not count.
    pub(super) fn restart(&mut self) {
        (self.count, self.sum, self.max) = (0, 0, Span::ZERO);
    }

    /// Returns the flow times so far, if anything was finished.
    pub(super) fn finish(self) -> Option<FlowTime> {
        (self.count > 0).then(|| FlowTime {
            count: self.count,
            mean: Span::from_nanos(u64::try_from(self.sum / u128::from(self.count)).unwrap_or(u64::MAX)),
            max: self.max,
        })
    }
}

#[cfg(test)]
mod tests {
    use dmos_core::NodeId;

    use super::*;

    fn batches(producer: usize, serial: u32, count: u32) -> BatchRange {
        BatchRange { first: BatchId { producer: NodeId::new(producer), serial }, count }
    }

    fn at(seconds: u64) -> Time {
        Time::ZERO + Span::from_secs(seconds)
    }

    #[test]
    fn the_oldest_material_counts() {
        let mut times = FlowTimes::new(3);
        // Node 0 makes two batches from 10 s on, and two more from 20 s on; node 1 one from 15 s on.
        for (node, start, product) in
            [(0, 10, batches(0, 0, 2)), (0, 20, batches(0, 2, 2)), (1, 15, batches(1, 0, 1))]
        {
            times.on_run_started(at(start), node);
            times.on_run_ended(product, &[]);
        }
        times.on_run_started(at(50), 2);
        times.on_run_ended(batches(2, 0, 1), &[batches(0, 1, 2), batches(1, 0, 1)]);
        times.on_finished(at(60), batches(2, 0, 1));
        times.on_run_ended(batches(2, 1, 1), &[batches(0, 3, 1)]);
        times.on_finished(at(100), batches(2, 1, 1));
        times.on_scrapped(batches(0, 0, 1).first);
        assert!(times.origins.iter().all(VecDeque::is_empty), "nothing is left in the factory");
        let found = times.finish().expect("two finished goods");
        assert_eq!((found.count, found.mean, found.max), (2, Span::from_secs(65), Span::from_secs(80)));
    }
}
