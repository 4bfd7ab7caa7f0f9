//! The output of a producer, under `production: server`: its buffer, and the orders that it serves.

use std::sync::Arc;

use dmos_core::flow::PlannedRate;
use dmos_core::{Assignment, BatchId, FlowVersion, ItemId, Metric, NodeId, Share, Supply, Term};
use dmos_node::batch_range::BatchRange;
use dmos_node::harness::{Harness, messages};
use dmos_node::{Command, Effect, Input, Message, Order, Timer};

const PRODUCER: NodeId = NodeId::new(0);
const CONSUMER: NodeId = NodeId::new(1);

/// Returns a started producer, whose consumer needs its item.
fn producer(makes: &str, rest: &str) -> Harness {
    let scenario = dmos_testkit::scenario(&format!(
        "network: {{nodes: [{makes}, {{makes: box, needs: [pin]}}]}}\nduration: 1h\nleader: last-writer\n{rest}\n"
    ));
    let mut harness = Harness::new(dmos_testkit::settings_of(&scenario));
    harness.start(PRODUCER);
    harness
}

/// Returns the effects of an assignment in flow `number`.
fn assign(harness: &mut Harness, number: u32, assignment: Assignment) -> Vec<Effect> {
    let version = FlowVersion { term: Term(9), number };
    harness.deliver(CONSUMER, PRODUCER, &Message::Assignment(version, Arc::new(assignment)))
}

fn for_the_consumer() -> Assignment {
    Assignment { consumers: Box::new([CONSUMER]), ..Assignment::default() }
}

/// Returns whether a run starts.
fn starts_run(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::StartRun { .. }))
}

/// Runs a producer until its buffer is full. Returns the number of batches in it.
fn capacity(harness: &mut Harness) -> u64 {
    let mut effects = assign(harness, 1, for_the_consumer());
    while starts_run(&effects) {
        effects = harness.expire(PRODUCER, Timer::RunEnd);
    }
    harness.node(PRODUCER).stock()
}

#[test]
fn the_buffer_holds_the_stock_limit_or_two_yields() {
    for (made, limit, expected) in [(1, 8, 8), (3, 8, 6), (3, 5, 6), (20, 8, 40), (20, 50, 40)] {
        let makes = format!("{{makes: {{pin: {made}}}}}");
        let mut harness = producer(&makes, &format!("protocol: {{stock_limit: {limit}}}"));
        assert_eq!(capacity(&mut harness), expected, "{made} per run, limit {limit}");
    }
}

/// Returns the sizes of the shipments that follow an order for a number of batches in all.
fn shipped(harness: &mut Harness, number: u32, total: u32) -> Vec<u32> {
    let order = Order { incarnation: 0, number, total };
    let effects = harness.deliver(CONSUMER, PRODUCER, &Message::Order { order, is_repeated: false });
    let size = |(_, message)| match message {
        Message::Shipment { batches: BatchRange { count, .. }, .. } => Some(count),
        _ => None,
    };
    messages(&effects).into_iter().filter_map(size).collect()
}

#[test]
fn a_retired_producer_serves_no_orders() {
    let mut harness = producer("{makes: pin}", "protocol: {stock_limit: 8}");
    assert_eq!(capacity(&mut harness), 8);
    assert_eq!(shipped(&mut harness, 1, 3), [3]);
    harness.handle(PRODUCER, Input::Command(&Command::Retire));
    assert_eq!(shipped(&mut harness, 2, 5), []);
    assert_eq!(harness.node(PRODUCER).stock(), 5);
}

#[test]
fn a_final_item_that_others_consume_leaves_only_from_producers_in_the_flow() {
    for (is_supplied, expected) in [(true, 1), (false, 0)] {
        let scenario = dmos_testkit::scenario(
            "network: {nodes: [{makes: pin, needs: [wire]}, {makes: box, needs: [pin]}, {makes: wire}], final: [pin, box]}\n\
             duration: 1h\nleader: last-writer\n",
        );
        let mut harness = Harness::new(dmos_testkit::settings_of(&scenario));
        harness.start(PRODUCER);
        let wire = NodeId::new(2);
        let supply =
            Supply { item: ItemId::new(2), producer: wire, share: Share::from_millionths(1_000_000) };
        let outside = Assignment { leaving: PlannedRate::per_second(1.0), ..for_the_consumer() };
        let supplied = Assignment { suppliers: Box::new([supply]), ..outside.clone() };
        assign(&mut harness, 1, supplied.clone());
        let first = BatchId { producer: wire, serial: 0 };
        let batches = BatchRange { first, count: 1 };
        harness.deliver(wire, PRODUCER, &Message::Shipment { batches, incarnation: 0, order: 1, settled: 0 });
        harness.handle(PRODUCER, Input::Arrived(first));
        // The run has begun before the node leaves the flow.
        assign(&mut harness, 2, if is_supplied { supplied } else { outside });
        harness.expire(PRODUCER, Timer::RunEnd);
        assert_eq!(harness.count(PRODUCER, Metric::FinishedGoodsMade), expected, "supplied: {is_supplied}");
    }
}
