//! Leaders as a node sees them: whom it monitors, whose messages count, and to whom it announces its return.

use std::collections::BTreeSet;

use dmos_core::settings::Protocol;
use dmos_core::{NodeId, Term};
use dmos_graph::NamedNetwork;
use dmos_node::harness::{Harness, messages, started_plan};
use dmos_node::{Effect, Message, Timer};
use dmos_testkit::{network, node_settings};

use crate::RESPONSE;

const FIRST: NodeId = NodeId::new(0);
const SECOND: NodeId = NodeId::new(1);
const THIRD: NodeId = NodeId::new(2);

/// Returns three candidates, none of which has started.
fn candidates() -> Harness {
    let network = network(NamedNetwork::ThreeNodes);
    Harness::new(node_settings(network, "memoized", "bully", Protocol::default()))
}

/// Returns whether a candidate answers the election message of another.
fn is_answered(harness: &mut Harness, from: NodeId, to: NodeId, election: &Message) -> bool {
    let answers = messages(&harness.deliver(from, to, election));
    answers.iter().any(|(receiver, message)| *receiver == from && matches!(message, Message::Election(_)))
}

#[test]
fn a_candidate_that_answers_again_is_trusted_again() {
    let mut harness = candidates();
    harness.start(SECOND);
    let sent = messages(&harness.start(FIRST));
    let election = sent.iter().find(|(to, _)| *to == SECOND).expect("an election message").1.clone();
    assert!(is_answered(&mut harness, FIRST, SECOND, &election));
    harness.expire(SECOND, Timer::Heartbeat);
    for _ in 0..6 {
        harness.advance(3);
        harness.expire(SECOND, Timer::Heartbeat);
    }
    assert!(!is_answered(&mut harness, FIRST, SECOND, &election), "it would not receive the answer");
    harness.deliver(FIRST, SECOND, &RESPONSE);
    assert!(is_answered(&mut harness, FIRST, SECOND, &election));
}

#[test]
fn a_candidate_monitors_its_leader_before_there_is_a_flow() {
    let mut harness = candidates();
    harness.start(SECOND);
    harness.deliver(FIRST, SECOND, &Message::Leader(THIRD, Term(5)));
    // By then, the last election message to the leader no longer makes it a peer.
    harness.advance(60);
    let requests = messages(&harness.expire(SECOND, Timer::Heartbeat));
    assert!(requests.contains(&(THIRD, Message::HeartbeatRequest)), "{requests:?}");
}

#[test]
fn the_leader_of_a_term_is_not_replaced_in_the_same_term() {
    let mut harness = candidates();
    harness.start(FIRST);
    let rejoin = |node| vec![(node, Message::Rejoin)];
    let learned = |harness: &mut Harness, by, leader, term| {
        messages(&harness.deliver(by, FIRST, &Message::Leader(leader, Term(term))))
    };
    assert_eq!(learned(&mut harness, THIRD, SECOND, 5), rejoin(SECOND));
    assert_eq!(learned(&mut harness, SECOND, THIRD, 5), []);
    assert_eq!(messages(&harness.expire(FIRST, Timer::AnnounceRejoin)), rejoin(SECOND));
    assert_eq!(learned(&mut harness, SECOND, THIRD, 6), rejoin(THIRD));
}

#[test]
fn a_return_is_announced_to_one_candidate_after_another() {
    let mut harness = candidates();
    harness.start(FIRST);
    let announced = (0..4).flat_map(|_| messages(&harness.expire(FIRST, Timer::AnnounceRejoin)));
    let asked: BTreeSet<NodeId> =
        announced.filter(|(_, message)| *message == Message::Rejoin).map(|(to, _)| to).collect();
    assert_eq!(asked, BTreeSet::from([SECOND, THIRD]));
}

#[test]
fn two_candidates_elect_the_higher_by_bully() {
    let mut harness = candidates();
    let requests = messages(&harness.start(SECOND));
    assert!(matches!(requests[..], [(THIRD, Message::Election(_))]), "{requests:?}");
    let effects = harness.start(THIRD);
    assert!(
        effects.iter().any(|effect| matches!(effect, Effect::Plan { .. })),
        "the highest candidate becomes leader at once"
    );
    for (to, message) in messages(&effects) {
        harness.deliver(THIRD, to, &message);
    }
    assert!(harness.node(THIRD).leads() && !harness.node(SECOND).leads());
    // The leader is down: the next candidate starts an election, gets no answer, and becomes leader.
    harness.expire(SECOND, Timer::Heartbeat);
    harness.advance(20);
    let requests = messages(&harness.expire(SECOND, Timer::Heartbeat));
    assert!(
        requests.iter().any(|(to, message)| *to == THIRD && matches!(message, Message::Election(_))),
        "{requests:?}"
    );
    let timers: Vec<Effect> =
        (0..4).flat_map(|timer| harness.expire(SECOND, Timer::Election(timer))).collect();
    assert!(
        timers.iter().any(|effect| matches!(effect, Effect::Plan { .. })) && harness.node(SECOND).leads()
    );
}

#[test]
fn a_leader_of_an_earlier_term_leads_in_a_later_one() {
    let mut harness = candidates();
    let first = started_plan(&harness.start(THIRD)).expect("a plan");
    let effects = harness.deliver(SECOND, THIRD, &Message::Leader(THIRD, Term(first.term.0 + 20)));
    let term = started_plan(&effects).expect("another plan").term;
    assert!(term.0 > first.term.0 + 20 && harness.node(THIRD).leads(), "{term:?}");
}
