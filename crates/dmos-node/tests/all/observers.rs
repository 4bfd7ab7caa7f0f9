//! Metrics and other observations of a node, apart from its effects.

use std::sync::Arc;

use dmos_core::{Assignment, BatchId, FlowVersion, ItemId, Metric, NodeId, RequestId, Span, Term, Time};
use dmos_node::batch_range::BatchRange;
use dmos_node::{Effect, Input, LogRecord, Message, Node, Scrapped, Timer};

const WOOD: NodeId = NodeId::new(0);
const HOUSE: NodeId = NodeId::new(1);

/// Returns a started producer of wood, or of houses, which need wood.
fn node(me: NodeId, finals: &str, production: &str) -> Node {
    let scenario = dmos_testkit::scenario(&format!(
        "network: {{nodes: [{{makes: wood}}, {{makes: house, needs: [wood]}}], final: [{finals}]}}\nduration: 1h\n\
         leader: last-writer\nprotocol: {{production: {production}}}\n"
    ));
    let mut node = Node::new(me, Arc::new(dmos_testkit::settings_of(&scenario)));
    let (phase, scrapped) = (Span::ZERO, Scrapped::default());
    let start = Input::Start { records: &[], recovering: false, phase, scrapped };
    node.handle(Time::ZERO, start, &mut Vec::new());
    node
}

/// Returns the production runs and the finished goods of a node that had counted 10 of each, after a record was undone.
fn undone(mut node: Node, record: LogRecord) -> [u64; 2] {
    let counted = [Metric::SuccessfulManufactureCycles, Metric::FinishedGoodsMade];
    for _ in 0..10 {
        counted.iter().for_each(|&metric| node.count(metric));
    }
    node.undo(&record);
    counted.map(|metric| node.metrics().get(metric))
}

#[test]
fn a_record_that_was_not_durable_does_not_count() {
    let batch = |me| BatchId { producer: me, serial: 0 };
    let range = |me| BatchRange { first: batch(me), count: 3 };
    let made = |me| LogRecord::Made { first: batch(me), count: 3, inputs: 0 };
    let ran = |me| LogRecord::Ran { product: range(me), inputs: Box::new([]) };
    let ship = |me| LogRecord::Shipped { batches: range(me), to: HOUSE, incarnation: 0 };
    let commit = |me| LogRecord::Committed { batch: batch(me), to: HOUSE, request: RequestId::default() };
    assert_eq!(undone(node(HOUSE, "house", "polled"), made(HOUSE)), [9, 7]);
    assert_eq!(undone(node(WOOD, "house", "polled"), made(WOOD)), [9, 10]);
    // Under `polled` a batch of a final item counts as finished unless it is shipped.
    assert_eq!(undone(node(WOOD, "wood, house", "polled"), commit(WOOD)), [10, 11]);
    assert_eq!(undone(node(WOOD, "house", "polled"), commit(WOOD)), [10, 10]);
    assert_eq!(undone(node(WOOD, "wood, house", "polled"), LogRecord::LocalBatchSent(batch(WOOD))), [10, 11]);
    assert_eq!(undone(node(HOUSE, "house", "server"), ran(HOUSE)), [9, 7]);
    assert_eq!(undone(node(WOOD, "house", "server"), ran(WOOD)), [9, 10]);
    assert_eq!(undone(node(HOUSE, "house", "server"), ship(HOUSE)), [10, 13]);
    assert_eq!(undone(node(WOOD, "house", "server"), ship(WOOD)), [10, 10]);
    // A final item that is consumed as well leaves by a record of its own.
    assert_eq!(undone(node(WOOD, "wood, house", "server"), ran(WOOD)), [9, 10]);
    assert_eq!(undone(node(WOOD, "wood, house", "server"), LogRecord::Left(range(WOOD))), [10, 7]);
    assert_eq!(undone(node(WOOD, "wood, house", "server"), LogRecord::Restarted), [10, 10]);
}

#[test]
fn a_shipped_batch_of_a_final_item_is_not_finished() {
    let mut node = node(WOOD, "wood, house", "polled");
    let finished = |node: &Node| node.metrics().get(Metric::FinishedGoodsMade);
    let request = Message::Request { request: RequestId::default(), item: ItemId::new(0) };
    let version = FlowVersion { term: Term(9), number: 1 };
    let assignment = Arc::new(Assignment { consumers: [HOUSE].into(), ..Assignment::default() });
    let assign = Message::Assignment(version, assignment);
    node.handle(Time::ZERO, Input::Message { from: HOUSE, message: &assign }, &mut Vec::new());
    for expected in [1, 2] {
        node.handle(Time::ZERO, Input::Timer(Timer::ProductionCycle), &mut Vec::new());
        assert_eq!(finished(&node), expected);
    }
    node.handle(Time::ZERO, Input::Message { from: HOUSE, message: &request }, &mut Vec::new());
    assert_eq!((finished(&node), node.stock()), (1, 1));
}

#[test]
fn polled_production_begins_a_cycle_after_the_delays() {
    let scenario = dmos_testkit::scenario(
        "network: {nodes: [{makes: wood}, {makes: house, needs: [wood]}]}\nduration: 1h\nleader: last-writer\n\
         protocol: {production: polled, start_delay: 2s, production_delay: 4s, cycle: 1s}\n",
    );
    let settings = Arc::new(dmos_testkit::settings_of(&scenario));
    let first_cycle = |recovering: bool| {
        let (phase, scrapped) = (Span::ZERO, Scrapped::default());
        let mut effects = Vec::new();
        let start = Input::Start { records: &[], recovering, phase, scrapped };
        Node::new(WOOD, Arc::clone(&settings)).handle(Time::ZERO, start, &mut effects);
        effects.iter().find_map(|effect| match effect {
            Effect::SetTimer { after, timer: Timer::ProductionCycle } => Some(*after),
            _ => None,
        })
    };
    assert_eq!(first_cycle(false), Some(Span::from_secs(7)));
    assert_eq!(first_cycle(true), Some(Span::from_secs(1)), "a node that has recovered does not wait");
}
