//! The numbers of batches that a node orders from each of its suppliers, under `production: server`.

use std::sync::Arc;

use dmos_core::flow::PlannedRate;
use dmos_core::{Assignment, FlowVersion, ItemId, NodeId, Share, Supply, Term};
use dmos_node::batch_range::BatchRange;
use dmos_node::harness::{Harness, messages};
use dmos_node::{Effect, Input, Message, OrderStatus, Timer};

const SUPPLIERS: [NodeId; 3] = [NodeId::new(0), NodeId::new(1), NodeId::new(2)];
const CONSUMER: NodeId = NodeId::new(3);

/// Returns a consumer that needs three batches of wood per run, and three suppliers of two batches per run. A message
/// takes half a second, and a transport four.
fn harness(protocol: &str) -> Harness {
    let scenario = dmos_testkit::scenario(&format!(
        "network: {{nodes: [{{makes: {{wood: 2}}, count: 3}}, {{makes: door, needs: {{wood: 3}}}}]}}\nduration: 1h\n\
         delays: {{message: 500ms, transit: 4s}}\nleader: last-writer\nprotocol: {protocol}\n"
    ));
    let mut harness = Harness::new(dmos_testkit::settings_of(&scenario));
    harness.start(CONSUMER);
    harness
}

/// Assigns suppliers with these shares in millionths at half a run per second, in flow `number`.
fn assign(harness: &mut Harness, number: u32, shares: &[(usize, u32)]) -> Vec<Effect> {
    let supply = |&(index, share): &(usize, u32)| {
        let share = if share == 0 { Share::STANDBY } else { Share::from_millionths(share) };
        Supply { item: ItemId::new(0), producer: SUPPLIERS[index], share }
    };
    let suppliers = shares.iter().map(supply).collect();
    let assignment = Assignment { suppliers, rate: PlannedRate::per_second(0.5), ..Assignment::default() };
    let version = FlowVersion { term: Term(9), number };
    harness.deliver(SUPPLIERS[0], CONSUMER, &Message::Assignment(version, Arc::new(assignment)))
}

/// Returns the orders among effects: the index of the supplier, and the total.
fn orders(effects: &[Effect]) -> Vec<(usize, u32)> {
    let order = |(to, message): (NodeId, Message)| match message {
        Message::Order { order, .. } => Some((to.index(), order.total)),
        _ => None,
    };
    messages(effects).into_iter().filter_map(order).collect()
}

#[test]
fn the_level_is_the_need_during_the_lead_time_and_a_run_and_a_reserve() {
    // 7.5 batches in five seconds, three for a run, and three in reserve.
    assert_eq!(orders(&assign(&mut harness("{}"), 1, &[(0, 1_000_000)])), [(0, 14)]);
    assert_eq!(orders(&assign(&mut harness("{runs_ahead: 4}"), 1, &[(0, 1_000_000)])), [(0, 12)]);
}

#[test]
fn each_planned_supplier_has_a_reserve_and_standbys_have_one_together() {
    let first = |shares: &[(usize, u32)]| orders(&assign(&mut harness("{}"), 1, shares));
    assert_eq!(first(&[(0, 1_000_000), (1, 0), (2, 0)]), [(0, 14)]);
    assert_eq!(first(&[(0, 500_000), (1, 500_000)]), [(0, 9), (1, 8)]);
    assert_eq!(first(&[(0, 750_000), (1, 250_000)]), [(0, 12), (1, 5)]);
    assert_eq!(first(&[(0, 600_000), (1, 300_000), (2, 100_000)]), [(0, 10), (1, 7), (2, 3)]);
    assert_eq!(first(&[(0, 0), (1, 0)]), [(0, 3), (1, 3)]);
}

#[test]
fn orders_go_to_the_supplier_that_answers() {
    let mut harness = harness("{retry_after: 2s, retry_max: 2s}");
    assert_eq!(orders(&assign(&mut harness, 1, &[(0, 500_000), (1, 500_000)])), [(0, 9), (1, 8)]);
    let status = |shipped| OrderStatus { incarnation: 0, number: 1, shipped };
    harness.deliver(SUPPLIERS[0], CONSUMER, &Message::OrderAck(status(0)));
    let mut sent = Vec::new();
    for _ in 0..4 {
        harness.advance(3);
        sent.extend(orders(&harness.expire(CONSUMER, Timer::RetransmitOrders)));
    }
    // Sent three times more; then the order is cancelled, and the other supplier gets as much as it may.
    assert_eq!(sent, [(1, 8), (1, 8), (1, 8), (1, 0), (0, 14), (0, 14), (1, 0)]);
    let status = OrderStatus { incarnation: 0, number: 0, shipped: 0 };
    let answered = harness.deliver(SUPPLIERS[1], CONSUMER, &Message::OrderAck(status));
    assert_eq!(orders(&answered), [], "it does not know the cancellation, which is sent again in time");
    let redirected = orders(&assign(&mut harness, 2, &[(0, 500_000), (1, 500_000)]));
    assert_eq!(redirected, [(1, 3)], "it has answered");
}

#[test]
fn a_standby_takes_over_from_a_silent_supplier() {
    let mut harness = harness("{retry_after: 2s, retry_max: 2s}");
    assert_eq!(orders(&assign(&mut harness, 1, &[(0, 1_000_000), (1, 0)])), [(0, 14)]);
    let mut sent = Vec::new();
    for _ in 0..3 {
        harness.advance(3);
        sent.extend(orders(&harness.expire(CONSUMER, Timer::RetransmitOrders)));
    }
    assert_eq!(sent, [(0, 14), (0, 14), (0, 14), (0, 0), (1, 14)]);
}

#[test]
fn a_supplier_that_lost_its_orders_gets_them_again() {
    let mut harness = harness("{}");
    assign(&mut harness, 1, &[(0, 1_000_000)]);
    let respond = |harness: &mut Harness, incarnation, number| {
        let order = OrderStatus { incarnation: 0, number, shipped: 0 };
        orders(&harness.deliver(SUPPLIERS[0], CONSUMER, &Message::HeartbeatResponse { incarnation, order }))
    };
    assert_eq!(respond(&mut harness, 0, 1), []);
    assert_eq!(respond(&mut harness, 1, 0), [(0, 14)], "it has recovered and does not know the order");
    assert_eq!(respond(&mut harness, 1, 0), [], "once, and again after a timeout");
    assert_eq!(respond(&mut harness, 1, 1), []);
    assert_eq!(respond(&mut harness, 1, 0), [(0, 14)], "it does not know an order that it had acknowledged");
    assert_eq!(respond(&mut harness, 2, 1), [], "it knows the order");
}

#[test]
fn what_was_shipped_before_a_cancellation_counts() {
    let mut harness = harness("{}");
    assign(&mut harness, 1, &[(0, 1_000_000)]);
    harness.deliver(
        SUPPLIERS[0],
        CONSUMER,
        &Message::OrderAck(OrderStatus { incarnation: 0, number: 1, shipped: 0 }),
    );
    assert_eq!(
        orders(&assign(&mut harness, 2, &[(1, 1_000_000)])),
        [(0, 0), (1, 14)],
        "cancelled and redirected"
    );
    // Four batches had been shipped, of which two arrive now.
    let late = OrderStatus { incarnation: 0, number: 2, shipped: 4 };
    harness.deliver(SUPPLIERS[0], CONSUMER, &Message::OrderAck(late));
    let first = dmos_core::BatchId { producer: SUPPLIERS[0], serial: 0 };
    let shipment =
        Message::Shipment { batches: BatchRange { first, count: 2 }, incarnation: 0, order: 2, settled: 0 };
    harness.deliver(SUPPLIERS[0], CONSUMER, &shipment);
    assert_eq!(orders(&assign(&mut harness, 3, &[(0, 1_000_000)])), [(1, 0), (0, 14)]);
}

#[test]
fn the_first_orders_of_a_flow_go_to_the_larger_share() {
    let mut harness = harness("{}");
    assert_eq!(orders(&assign(&mut harness, 1, &[(0, 200_000), (1, 800_000)])), [(0, 5), (1, 12)]);
    assert_eq!(orders(&assign(&mut harness, 2, &[(0, 200_000), (1, 800_000)])), []);
    let first = dmos_core::BatchId { producer: SUPPLIERS[1], serial: 0 };
    let batches = BatchRange { first, count: 3 };
    let shipment = Message::Shipment { batches, incarnation: 0, order: 1, settled: 0 };
    harness.deliver(SUPPLIERS[1], CONSUMER, &shipment);
    let effects = harness.handle(CONSUMER, Input::Arrived(first));
    assert_eq!(orders(&effects), [(1, 15)], "what the run takes is ordered again");
}
