//! Little's law (Little, "A proof for the queuing formula L = lambda W", 1961) on every buffer: the time average of
//! the number of batches equals the sum of their times in it over the duration. The times are measured batch by
//! batch from the logs, the averages are those that the recorder integrates.

use std::collections::BTreeMap;

use dmos_core::record::Level;
use dmos_core::{BatchId, NodeId, Scenario, Span, Time};
use dmos_node::LogRecord;

use super::Simulator;

/// A place of a batch: at a node, in one of its buffers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Buffer {
    Output,
    Incoming,
    /// In the input buffer or in process.
    Input,
}

/// Entry times of the batches in each buffer, and the sum of the times of those that have left.
#[derive(Default)]
struct Residences {
    entered: BTreeMap<(NodeId, Buffer, BatchId), Time>,
    total: BTreeMap<(NodeId, Buffer), Span>,
}

impl Residences {
    fn enter(&mut self, at: Time, node: NodeId, buffer: Buffer, batch: BatchId) {
        assert_eq!(self.entered.insert((node, buffer, batch), at), None, "{batch} enters once");
    }

    fn leave(&mut self, at: Time, node: NodeId, buffer: Buffer, batch: BatchId) {
        let entered = self.entered.remove(&(node, buffer, batch)).expect("a batch leaves where it is");
        *self.total.entry((node, buffer)).or_default() += at.since(entered);
    }

    fn apply(&mut self, at: Time, node: NodeId, record: &LogRecord) {
        match record {
            LogRecord::Ran { product, inputs } => {
                let used = inputs.iter().flat_map(|range| range.iter());
                used.for_each(|batch| self.leave(at, node, Buffer::Input, batch));
                product.iter().for_each(|batch| self.enter(at, node, Buffer::Output, batch));
            }
            LogRecord::Shipped { batches, .. } | LogRecord::Left(batches) => {
                batches.iter().for_each(|batch| self.leave(at, node, Buffer::Output, batch));
            }
            LogRecord::Accepted(batches) => {
                batches.iter().for_each(|batch| self.enter(at, node, Buffer::Incoming, batch));
            }
            LogRecord::Arrived(batches) => {
                for batch in batches.iter() {
                    self.leave(at, node, Buffer::Incoming, batch);
                    self.enter(at, node, Buffer::Input, batch);
                }
            }
            _ => {}
        }
    }

    /// Returns the mean number of batches in a buffer by their times in it.
    fn mean(&self, end: Time, node: NodeId, buffer: Buffer) -> f64 {
        let inside = self.entered.iter().filter(|((of, place, _), _)| (*of, *place) == (node, buffer));
        let inside: Span = inside.map(|(_, entered)| end.since(*entered)).sum();
        let left = self.total.get(&(node, buffer)).copied().unwrap_or_default();
        (inside + left).as_secs_f64() / end.since(Time::ZERO).as_secs_f64()
    }
}

fn assert_holds(scenario: &Scenario) {
    let mut simulator = Simulator::new(scenario);
    let (end, mut residences) = (Time::ZERO + scenario.duration, Residences::default());
    let mut seen = vec![0; scenario.network.node_count()];
    while let Some((now, event)) = simulator.queue.pop_until(end) {
        simulator.now = now;
        simulator.dispatch(event);
        for node in scenario.network.nodes() {
            let records = simulator.nodes[node].disk.records();
            let new = &records[seen[node.index()]..];
            new.iter().for_each(|record| residences.apply(now, node, record));
            seen[node.index()] = records.len();
        }
    }
    simulator.now = end;
    let record = simulator.finish();
    for node in scenario.network.nodes() {
        let usage = &record.usage[node.index()];
        let input = Level { mean: usage.input.mean + usage.in_process.mean, ..usage.input };
        let levels = [(Buffer::Incoming, usage.incoming), (Buffer::Input, input)];
        // Final items that no node consumes leave at once.
        let output = (!scenario.network.is_final(node)).then_some((Buffer::Output, usage.output));
        for (buffer, level) in levels.into_iter().chain(output) {
            let mean = residences.mean(end, node, buffer);
            let difference = (mean - level.mean).abs();
            assert!(difference <= 1e-9 * mean.max(1.0), "{buffer:?} of {node}: {mean}, but {}", level.mean);
            let is_used = buffer == Buffer::Input && !scenario.network.requirements(node).is_empty();
            assert!(mean > 0.0 || !is_used, "{buffer:?} of {node}");
        }
    }
}

#[test]
fn littles_law_holds_on_every_buffer() {
    let line = "{makes: a, process_time: {exponential: 1s}}, {makes: b, needs: [a], process_time: {exponential: 900ms}}, {makes: c, needs: [b], process_time: {uniform: [0s, 2s]}}";
    let tree = "{makes: {s: 20}, process_time: 100s}, {makes: a, needs: [s], process_time: 5s}, {makes: b, needs: {s: 3}, process_time: {exponential: 25s}}, {makes: f, needs: {a: 2, b: 1}, process_time: 25s}";
    let shared = "{makes: s, process_time: {exponential: 1s}}, {makes: x, needs: [s], process_time: 3s, count: 2}, {makes: y, needs: {x: 2, s: 1}, process_time: {exponential: 4s}}";
    for nodes in [line, tree, shared] {
        for transit in ["0s", "30s", "{exponential: 10s}"] {
            let text = format!(
                "network: {{nodes: [{nodes}]}}\nduration: 2h\nflow: max-throughput\ndelays: {{transit: {transit}}}\nprotocol: {{compact_after: null}}\n"
            );
            assert_holds(&dmos_testkit::scenario(&text));
        }
    }
}
