//! The prototype's quirks, one by one.

use std::sync::Arc;

use dmos_core::settings::{
    Dissemination, FailureReports, LogKeeping, Mailbox, PlanningMode, Protocol, Receiving, Recovery, Rejoin,
    Requests, Serving,
};
use dmos_core::{Flow, FlowVersion, ItemId, Metric, SupplyEdge, Term};
use dmos_node::harness::messages;
use dmos_node::{Effect, Input, LogRecord, Message, Notice, Timer};

use crate::chain::{DOOR, HOUSE, NODES, WOOD, announce, batch, cycle, plan_id, with_assignments};

fn seed_protocol() -> Protocol {
    Protocol {
        retry_after: None,
        stock_limit: None,
        commitment_limit: None,
        mailbox_limit: None,
        compact_after: None,
        dissemination: Dissemination::Blackboard,
        receiving: Receiving::Blocking,
        requests: Requests::EveryCycle,
        serving: Serving::FirstCome,
        failure_reports: FailureReports::EveryReport,
        planning: PlanningMode::Blocking,
        rejoin: Rejoin::Never,
        log: LogKeeping::MixedUp,
        recovery: Recovery::Replay,
        mailbox: Mailbox::SurvivesCrash,
        ..Protocol::default()
    }
}

#[test]
fn a_blackboard_replaces_assignment_messages() {
    let harness = with_assignments(seed_protocol());
    assert!(NODES.into_iter().all(|node| harness.count(node, Metric::SentMessages) == 0));
    assert!(
        NODES.into_iter().all(|node| harness.node(node).load().flow_edges == 2),
        "every node knows the whole flow, including the leader"
    );
}

#[test]
fn a_blocking_transit_confirms_when_the_batch_arrives() {
    let mut harness = with_assignments(seed_protocol());
    let sent = announce(&mut harness);
    let effects = harness.deliver(WOOD, DOOR, &sent);
    assert!(matches!(effects[1], Effect::Transport { blocking: true, .. }), "{effects:?}");
    cycle(&mut harness, DOOR);
    assert_eq!(
        harness.count(DOOR, Metric::UnansweredBatchRequestsCurrent),
        1,
        "not answered during the transit"
    );
    harness.handle(DOOR, Input::Arrived(batch(WOOD, 0)));
    cycle(&mut harness, DOOR);
    assert_eq!(
        harness.count(DOOR, Metric::UnansweredBatchRequestsCurrent),
        1,
        "the second request is still open"
    );
}

#[test]
fn the_prototype_requests_in_every_unproductive_cycle() {
    let mut harness = with_assignments(seed_protocol());
    let sent = announce(&mut harness);
    assert_eq!(cycle(&mut harness, DOOR).len(), 1, "requested again in spite of an open request");
    harness.deliver(WOOD, DOOR, &sent);
    harness.handle(DOOR, Input::Arrived(batch(WOOD, 0)));
    assert_eq!(cycle(&mut harness, DOOR), [], "a productive cycle sends no request");
    assert_eq!(harness.count(DOOR, Metric::SuccessfulManufactureCycles), 1);
}

#[test]
fn a_mixed_up_log_records_shipments_as_inbound() {
    let mut harness = with_assignments(seed_protocol());
    let sent = announce(&mut harness);
    assert_eq!(harness.log(WOOD).last(), Some(&LogRecord::LocalBatchSent(batch(WOOD, 0))));
    assert_eq!(harness.node(WOOD).load().inbound_entries, 1);
    harness.deliver(WOOD, DOOR, &sent);
    harness.deliver(DOOR, WOOD, &Message::TransitStarted(batch(WOOD, 0)));
    assert_eq!(harness.log(WOOD).last(), Some(&LogRecord::InTransit(batch(WOOD, 0))));
}

#[test]
fn a_replay_restocks_shipped_and_restores_consumed_batches() {
    let mut harness = with_assignments(seed_protocol());
    let sent = announce(&mut harness);
    harness.deliver(WOOD, DOOR, &sent);
    harness.handle(DOOR, Input::Arrived(batch(WOOD, 0)));
    cycle(&mut harness, DOOR);
    let flow = flow_notice();
    harness.advance(1);
    harness.start(WOOD);
    harness.handle(WOOD, Input::Notice(&flow));
    assert_eq!(
        harness.node(WOOD).holdings().stock.ranges(),
        [(0, 1)],
        "sent and not acknowledged: back in stock"
    );
    assert_eq!(harness.count(WOOD, Metric::WalGhostInboundBatches), 1, "its shipment is in the inbound log");
    // The same batch again: it is not stored, but logged as received once more.
    harness.deliver(WOOD, DOOR, &sent);
    harness.handle(DOOR, Input::Arrived(batch(WOOD, 0)));
    assert_eq!(harness.node(DOOR).holdings().received, []);
    harness.start(DOOR);
    harness.handle(DOOR, Input::Notice(&flow));
    assert_eq!(
        harness.node(DOOR).holdings().received,
        [batch(WOOD, 0).into()],
        "consumed, and present again"
    );
}

/// Returns the notice of the flow that a blackboard passes to a starting node.
fn flow_notice() -> Notice {
    let edge = |producer, consumer, item| SupplyEdge { producer, consumer, item: ItemId::new(item) };
    let flow = Flow::new(vec![edge(WOOD, DOOR, 0), edge(DOOR, HOUSE, 1)]);
    Notice::Flow(FlowVersion { term: Term(1), number: 1 }, Arc::new(flow))
}

#[test]
fn the_prototype_replans_at_every_report_without_rejoin() {
    let mut harness = with_assignments(seed_protocol());
    let report = Message::Suspicion(WOOD);
    for _ in 0..2 {
        let effects = harness.deliver(DOOR, HOUSE, &report);
        assert!(
            matches!(effects[..], [Effect::Post(Notice::Removed(_)), Effect::Plan { blocking: true, .. }]),
            "{effects:?}"
        );
        harness.handle(HOUSE, Input::Planned(plan_id(&effects)));
    }
    assert_eq!(harness.count(HOUSE, Metric::PlansComputed), 3);
    harness.advance(1);
    assert_eq!(messages(&harness.start(WOOD)), [], "the prototype announces no recovery");
}

#[test]
fn a_node_that_the_blackboard_lists_as_removed_is_not_reported_again() {
    let mut harness = with_assignments(seed_protocol());
    harness.expire(DOOR, Timer::Heartbeat);
    let mut reports_in_silence = |notice: Option<Notice>| {
        notice.iter().for_each(|notice| drop(harness.handle(DOOR, Input::Notice(notice))));
        harness.advance(60);
        let sent = messages(&harness.expire(DOOR, Timer::Heartbeat));
        sent.iter().filter(|(_, message)| *message == Message::Suspicion(WOOD)).count()
    };
    assert_eq!(reports_in_silence(None), 1);
    assert_eq!(reports_in_silence(Some(Notice::Removed(WOOD))), 0);
    assert_eq!(reports_in_silence(Some(Notice::Rejoined(WOOD))), 1);
}
