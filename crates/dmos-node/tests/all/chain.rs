//! A chain of three nodes, wood, door and house, whose effects are checked input by input.

use std::sync::Arc;

use dmos_core::settings::{Production, Protocol};
use dmos_core::{Assignment, BatchId, FlowVersion, ItemId, NodeId, RequestId, Share, Supply, Term};
use dmos_graph::NamedNetwork;
use dmos_node::harness::{Harness, messages, started_plan};
use dmos_node::{Effect, Input, Message, Timer};
use dmos_testkit::{network, node_settings};

pub(crate) const WOOD: NodeId = NodeId::new(0);
pub(crate) const DOOR: NodeId = NodeId::new(1);
pub(crate) const HOUSE: NodeId = NodeId::new(2);
pub(crate) const NODES: [NodeId; 3] = [WOOD, DOOR, HOUSE];

/// The item that the node `WOOD` makes.
pub(crate) const WOOD_ITEM: ItemId = ItemId::new(0);

/// Returns the chain wood, door, house, with the given strategies.
pub(crate) fn chain(flow: &str, leader: &str, protocol: Protocol) -> Harness {
    Harness::new(node_settings(network(NamedNetwork::ThreeNodes), flow, leader, protocol))
}

/// Returns the chain with polled production.
pub(crate) fn harness(flow: &str, leader: &str, protocol: Protocol) -> Harness {
    chain(flow, leader, Protocol { production: Production::Polled, ..protocol })
}

/// Returns a harness in which all three nodes have started and have an assignment, and the house leads.
pub(crate) fn with_assignments(protocol: Protocol) -> Harness {
    let mut harness = harness("memoized:substitute_ends=false", "last-writer", protocol);
    let effects = harness.start(HOUSE);
    harness.start(WOOD);
    harness.start(DOOR);
    post_all(&mut harness, &effects);
    let planned = harness.handle(HOUSE, Input::Planned(plan_id(&effects)));
    post_all(&mut harness, &planned);
    let mut delivered = harness.exchange(HOUSE, &effects);
    delivered.extend(harness.exchange(HOUSE, &planned));
    let acks = delivered.iter().filter(|(.., message)| matches!(message, Message::AssignmentAck(_)));
    assert!(delivered.is_empty() || acks.count() == 2, "both other nodes acknowledge their assignments");
    harness
}

/// Passes the notices among effects to all nodes.
pub(crate) fn post_all(harness: &mut Harness, effects: &[Effect]) {
    for effect in effects {
        if let Effect::Post(notice) = effect {
            NODES.iter().for_each(|&node| drop(harness.handle(node, Input::Notice(notice))));
        }
    }
}

/// Runs one production cycle and returns the messages that the node sends.
pub(crate) fn cycle(harness: &mut Harness, node: NodeId) -> Vec<(NodeId, Message)> {
    messages(&harness.expire(node, Timer::ProductionCycle))
}

/// Returns the announcement of the first batch of wood, which the door producer has requested.
pub(crate) fn announce(harness: &mut Harness) -> Message {
    cycle(harness, WOOD);
    let requests = cycle(harness, DOOR);
    let request = &requests.iter().find(|(to, _)| *to == WOOD).expect("a request for wood").1;
    messages(&harness.deliver(DOOR, WOOD, request))[0].1.clone()
}

/// Returns the identifier of the plan that starts among effects.
#[track_caller]
pub(crate) fn plan_id(effects: &[Effect]) -> FlowVersion {
    started_plan(effects).unwrap_or_else(|| panic!("no plan starts: {effects:?}"))
}

pub(crate) fn request(number: u32) -> RequestId {
    RequestId { incarnation: 0, number }
}

pub(crate) fn batch(producer: NodeId, serial: u32) -> BatchId {
    BatchId { producer, serial }
}

/// Returns an assignment with two suppliers of wood for the door producer; the house is the second.
pub(crate) fn two_suppliers(version: u32) -> Message {
    let wood = WOOD_ITEM;
    let assignment = Assignment {
        suppliers: Box::new([WOOD, HOUSE].map(|node| Supply {
            item: wood,
            producer: node,
            share: Share::from_millionths(500_000),
        })),
        consumers: Box::new([]),
        ..Assignment::default()
    };
    Message::Assignment(FlowVersion { term: Term(100), number: version }, Arc::new(assignment))
}
