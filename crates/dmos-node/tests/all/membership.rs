//! Membership, links and relays, input by input, without a simulator.

use std::sync::Arc;

use dmos_core::settings::Protocol;
use dmos_core::{Assignment, FlowVersion, Metric, NodeId, Term};
use dmos_graph::NamedNetwork;
use dmos_node::codec::{read_message, write_message};
use dmos_node::harness::{Harness, messages, started_plan};
use dmos_node::{Effect, Input, LinksRevision, Membership, Message, Relayed, Timer};
use dmos_testkit::{network, node_settings};

use crate::RESPONSE;
use crate::chain::{DOOR, HOUSE, WOOD};

/// The term in which the house leads by `last-writer`.
const TERM: Term = Term(3);

fn harness() -> Harness {
    let network = network(NamedNetwork::ThreeNodes);
    Harness::new(node_settings(network, "memoized:substitute_ends=false", "last-writer", Protocol::default()))
}

/// Returns a harness in which all three nodes have started, and the effects of the leader's start and of its first
/// plan.
fn started() -> (Harness, Vec<Effect>, Vec<Effect>) {
    let mut harness = harness();
    let effects = harness.start(HOUSE);
    harness.start(WOOD);
    harness.start(DOOR);
    let plan = started_plan(&effects).expect("a first plan");
    let planned = harness.handle(HOUSE, Input::Planned(plan));
    (harness, effects, planned)
}

/// Returns a harness in which all nodes have an assignment, and the house leads.
fn with_assignments() -> Harness {
    let (mut harness, announcements, _) = started();
    harness.exchange(HOUSE, &announcements);
    for node in [WOOD, DOOR, HOUSE] {
        harness.expire(node, Timer::Heartbeat);
    }
    harness
}

/// Lets the plan among effects end, and delivers what follows.
fn finish_plan(harness: &mut Harness, effects: &[Effect]) -> Vec<(NodeId, NodeId, Message)> {
    let plan = started_plan(effects).unwrap_or_else(|| panic!("no plan starts: {effects:?}"));
    let effects = harness.handle(HOUSE, Input::Planned(plan));
    harness.exchange(HOUSE, &effects)
}

/// Returns how the reports of the wood producer's silence are sent in consecutive heartbeat rounds: the hops of relayed
/// ones, and 0 for those that are only sent directly.
fn reports_of_silence(harness: &mut Harness, rounds: usize) -> Vec<u8> {
    let report = |_| {
        harness.advance(3);
        harness.deliver(HOUSE, DOOR, &RESPONSE);
        let effects = harness.expire(DOOR, Timer::Heartbeat);
        assert!(
            messages(&effects).contains(&(HOUSE, Message::Suspicion(WOOD))),
            "it is always sent directly"
        );
        let relayed = relayed(&effects).into_iter();
        let reports = relayed.filter(|(_, relayed)| content(relayed) == Message::Suspicion(WOOD));
        reports.map(|(_, relayed)| relayed.hops).max().unwrap_or(0)
    };
    (0..rounds).map(report).collect()
}

fn membership(message: Membership) -> Message {
    Message::Membership(message)
}

/// Returns the relayed messages among effects, with their receivers.
fn relayed(effects: &[Effect]) -> Vec<(NodeId, Relayed)> {
    let relayed = |(to, message)| match message {
        Message::Relayed(relayed) => Some((to, relayed)),
        _ => None,
    };
    messages(effects).into_iter().filter_map(relayed).collect()
}

fn content(relayed: &Relayed) -> Message {
    read_message(&relayed.content, &network(NamedNetwork::ThreeNodes)).expect("a message of this network")
}

/// Lets the door producer find the wood producer silent, and the house alive. Returns its report.
fn silence_of_wood(harness: &mut Harness) -> Message {
    harness.advance(10);
    harness.deliver(HOUSE, DOOR, &RESPONSE);
    harness.advance(10);
    let report = Message::Suspicion(WOOD);
    assert!(messages(&harness.expire(DOOR, Timer::Heartbeat)).contains(&(HOUSE, report.clone())));
    report
}

#[test]
fn a_reported_node_is_probed_and_removed_only_if_it_does_not_answer() {
    let mut harness = with_assignments();
    let report = silence_of_wood(&mut harness);
    let probes = harness.deliver(DOOR, HOUSE, &report);
    assert_eq!(started_plan(&probes), None, "one report removes no node: {probes:?}");
    assert!(messages(&probes).contains(&(WOOD, Message::HeartbeatRequest)));
    let by_door = relayed(&probes);
    assert!(
        matches!(&by_door[..], [(DOOR, probe)] if (probe.target, probe.hops) == (WOOD, 1)),
        "{by_door:?}"
    );
    assert_eq!(content(&by_door[0].1), Message::HeartbeatRequest);
    // The timer of the first half only probes again, over longer ways.
    harness.advance(2);
    let again = harness.expire(HOUSE, Timer::ProbeAccused);
    assert!(relayed(&again).iter().all(|(_, probe)| probe.hops > 4) && started_plan(&again).is_none());
    harness.advance(2);
    let plan = harness.expire(HOUSE, Timer::ProbeAccused);
    assert_eq!(harness.count(HOUSE, Metric::NodesDeterminedCrashed), 1);
    assert!(
        messages(&plan).iter().any(|(to, message)| *to == WOOD && matches!(message, Message::Assignment(..))),
        "the removed node gets an assignment, which it acknowledges if it is up: {plan:?}"
    );
    let repeated = harness.deliver(DOOR, HOUSE, &report);
    assert!(repeated.is_empty(), "a repeated report has no further effect: {repeated:?}");
    let sent = finish_plan(&mut harness, &plan);
    let is_idle =
        |message: &Message| matches!(message, Message::Assignment(_, assignment) if assignment.is_idle());
    assert!(
        sent.iter().any(|(_, to, message)| *to == DOOR && is_idle(message)),
        "without wood nothing is made"
    );
}

#[test]
fn a_report_without_effect_is_relayed_for_some_time_and_then_now_and_again() {
    let mut harness = with_assignments();
    silence_of_wood(&mut harness);
    let hops = reports_of_silence(&mut harness, 33);
    // The first report was sent before.
    let expected = |number: usize| match number {
        0..6 => 0,
        6..12 => 1,
        12..16 => 16,
        _ if number.is_multiple_of(8) => 16,
        _ => 0,
    };
    assert_eq!(hops, (1..34).map(expected).collect::<Vec<_>>());
}

#[test]
fn a_removed_node_rejoins_by_an_acknowledgement_and_not_by_asking() {
    let mut harness = with_assignments();
    let report = silence_of_wood(&mut harness);
    harness.deliver(DOOR, HOUSE, &report);
    harness.advance(4);
    let plan = harness.expire(HOUSE, Timer::ProbeAccused);
    let plan = started_plan(&plan).expect("a plan without the node");
    let effects = harness.handle(HOUSE, Input::Planned(plan));
    let version = messages(&effects).iter().find_map(|(to, message)| match message {
        Message::Assignment(version, _) if *to == DOOR => Some(*version),
        _ => None,
    });
    let asked = harness.deliver(WOOD, HOUSE, &Message::Rejoin);
    assert_eq!(started_plan(&asked), None, "it may not hear the leader: {asked:?}");
    assert!(
        messages(&asked)
            .iter()
            .any(|(to, message)| *to == WOOD && matches!(message, Message::Assignment(..)))
    );
    let ack = Message::AssignmentAck(version.expect("an assignment"));
    let joined = harness.deliver(WOOD, HOUSE, &ack);
    assert_eq!(started_plan(&joined), None, "the last plan is too recent: {joined:?}");
    harness.advance(3);
    assert!(started_plan(&harness.expire(HOUSE, Timer::Replan)).is_some());
    assert!(started_plan(&harness.expire(HOUSE, Timer::Replan)).is_none(), "once");
}

#[test]
fn a_change_during_a_plan_is_followed_by_another_plan() {
    let mut harness = with_assignments();
    let plan = |effects: &[Effect]| started_plan(effects);
    let links = |broken: &[NodeId], number| {
        let revision = LinksRevision { incarnation: 0, number };
        membership(Membership::Links { revision, broken: broken.into() })
    };
    harness.advance(10);
    let first = plan(&harness.deliver(DOOR, HOUSE, &links(&[WOOD], 1))).expect("a plan around the link");
    let meanwhile = harness.deliver(DOOR, HOUSE, &links(&[], 2));
    assert_eq!(plan(&meanwhile), None, "a plan is under way");
    assert_eq!(plan(&harness.handle(HOUSE, Input::Planned(first))), None, "the last plan is too recent");
    harness.advance(10);
    let second = plan(&harness.expire(HOUSE, Timer::Replan)).expect("a plan with the link");
    assert_eq!(plan(&harness.handle(HOUSE, Input::Planned(second))), None);
    harness.advance(10);
    assert_eq!(plan(&harness.expire(HOUSE, Timer::Replan)), None, "nothing has changed since");
}

#[test]
fn an_answer_to_a_probe_makes_a_broken_link_which_plans_avoid_until_it_works() {
    let mut harness = with_assignments();
    let report = silence_of_wood(&mut harness);
    harness.deliver(DOOR, HOUSE, &report);
    let verdict = harness.deliver(WOOD, HOUSE, &RESPONSE);
    assert_eq!(messages(&verdict), [(DOOR, membership(Membership::Alive(WOOD)))]);
    harness.advance(4);
    assert!(harness.expire(HOUSE, Timer::ProbeAccused).is_empty(), "the node has answered");
    // The door producer asks once more before it reports the link.
    let asks = harness.deliver(HOUSE, DOOR, &membership(Membership::Alive(WOOD)));
    assert_eq!(messages(&asks), [(WOOD, Message::HeartbeatRequest)]);
    harness.deliver(HOUSE, DOOR, &RESPONSE);
    harness.advance(3);
    let sent = harness.expire(DOOR, Timer::Heartbeat);
    let revision = LinksRevision { incarnation: 0, number: 1 };
    let links = membership(Membership::Links { revision, broken: Arc::new([WOOD]) });
    assert!(messages(&sent).contains(&(HOUSE, links.clone())), "{sent:?}");
    let plan = harness.deliver(DOOR, HOUSE, &links);
    assert!(messages(&plan).contains(&(DOOR, membership(Membership::LinksAck(TERM, revision)))));
    assert_eq!(harness.count(HOUSE, Metric::BrokenLinksFound), 1);
    finish_plan(&mut harness, &plan);
    assert_eq!(started_plan(&harness.deliver(DOOR, HOUSE, &links)), None, "a repeated report has no effect");
    let stale = membership(Membership::Links { revision: LinksRevision::default(), broken: Arc::new([]) });
    assert_eq!(started_plan(&harness.deliver(DOOR, HOUSE, &stale)), None, "an earlier report has no effect");
    assert_eq!(harness.count(HOUSE, Metric::NodesDeterminedCrashed), 0, "no node is removed");
    // The link is tested after five seconds, and then after ten.
    let tests = |harness: &mut Harness, seconds| {
        harness.advance(seconds);
        let sent = messages(&harness.expire(DOOR, Timer::Heartbeat));
        sent.contains(&(WOOD, Message::HeartbeatRequest))
    };
    assert_eq!([4, 1, 9, 1].map(|seconds| tests(&mut harness, seconds)), [false, true, false, true]);
    harness.deliver(WOOD, DOOR, &RESPONSE);
    assert!(tests(&mut harness, 3), "it works again after two answers");
    harness.deliver(WOOD, DOOR, &RESPONSE);
    let sent = messages(&harness.expire(DOOR, Timer::Heartbeat));
    let works = Membership::Links { revision: LinksRevision { number: 2, ..revision }, broken: Arc::new([]) };
    let works = sent.into_iter().find(|(_, message)| *message == membership(works.clone()));
    let plan = harness.deliver(DOOR, HOUSE, &works.expect("a report that the link works").1);
    let sent = finish_plan(&mut harness, &plan);
    let has_supplier = |message: &Message| matches!(message, Message::Assignment(_, assignment) if assignment.edge_count() > 0);
    assert!(sent.iter().any(|(_, to, message)| *to == DOOR && has_supplier(message)), "{sent:?}");
}

#[test]
fn links_are_reported_until_acknowledged_and_to_every_new_leader() {
    let mut harness = with_assignments();
    silence_of_wood(&mut harness);
    harness.deliver(HOUSE, DOOR, &membership(Membership::Alive(WOOD)));
    let reports = |harness: &mut Harness, seconds| {
        harness.advance(seconds);
        harness.deliver(HOUSE, DOOR, &RESPONSE);
        let sent = messages(&harness.expire(DOOR, Timer::Heartbeat));
        let reports = |(_, message): &&(NodeId, Message)| {
            matches!(message, Message::Membership(Membership::Links { .. }))
        };
        sent.iter().filter(reports).count()
    };
    assert_eq!([3, 4, 1, 9, 1].map(|seconds| reports(&mut harness, seconds)), [1, 0, 1, 0, 1]);
    let revision = LinksRevision { incarnation: 0, number: 1 };
    harness.deliver(HOUSE, DOOR, &membership(Membership::LinksAck(TERM, revision)));
    assert_eq!(reports(&mut harness, 60), 0);
    let version = FlowVersion { term: Term(9), number: 1 };
    harness.deliver(WOOD, DOOR, &Message::Assignment(version, Arc::new(Assignment::default())));
    assert_eq!(reports(&mut harness, 3), 1, "another leader does not know it");
}

#[test]
fn a_leader_that_receives_nothing_imposes_no_flow() {
    let (mut harness, announcements, plan) = started();
    assert_eq!(messages(&announcements).len(), 2);
    harness.advance(5);
    let again = harness.expire(HOUSE, Timer::RetransmitAssignments);
    let direct = messages(&again).into_iter().filter(|(_, message)| !matches!(message, Message::Relayed(_)));
    let announcement = Message::Leader(HOUSE, TERM);
    assert_eq!(direct.collect::<Vec<_>>(), [(WOOD, announcement.clone()), (DOOR, announcement)]);
    let sent = messages(&plan);
    assert!(!sent.iter().any(|(_, message)| matches!(message, Message::Assignment(..))), "{sent:?}");
    assert!(harness.node(HOUSE).leads());
}

#[test]
fn an_announced_leader_is_followed_once_it_has_heard_the_node() {
    let (mut harness, ..) = started();
    let announcement = Message::Leader(HOUSE, TERM);
    let answer = messages(&harness.deliver(HOUSE, DOOR, &announcement));
    assert_eq!(answer, [(HOUSE, membership(Membership::Present(TERM)))]);
    let report = messages(&harness.expire(DOOR, Timer::AnnounceRejoin));
    assert!(
        report.iter().all(|(_, message)| matches!(message, Message::Rejoin)),
        "no leader is known: {report:?}"
    );
    let assignment = messages(&harness.deliver(DOOR, HOUSE, &answer[0].1));
    assert!(matches!(assignment[..], [(DOOR, Message::Assignment(..))]), "{assignment:?}");
    assert_eq!(
        harness.deliver(DOOR, HOUSE, &answer[0].1).len(),
        0,
        "it is sent once, and again after a timeout"
    );
    harness.deliver(HOUSE, DOOR, &assignment[0].1);
    let old = Message::Leader(WOOD, Term(2));
    let answer = messages(&harness.deliver(WOOD, DOOR, &old));
    assert_eq!(answer, [(WOOD, announcement)], "a leader of an earlier term learns of the later one");
}

#[test]
fn nodes_that_never_answer_are_removed_together() {
    let (mut harness, ..) = started();
    harness.advance(5);
    assert_eq!(started_plan(&harness.expire(HOUSE, Timer::RetransmitAssignments)), None);
    harness.advance(11);
    let plan = harness.expire(HOUSE, Timer::RetransmitAssignments);
    assert!(started_plan(&plan).is_some(), "{plan:?}");
    assert_eq!(harness.count(HOUSE, Metric::NodesDeterminedCrashed), 2);
    assert_eq!(harness.count(HOUSE, Metric::PlansComputed), 1, "the second plan is under way");
}

fn relayed_message(hops_left: u8, target: NodeId) -> Relayed {
    let content = write_message(&Message::HeartbeatRequest).into();
    Relayed { origin: WOOD, target, number: 77, hops: 4, hops_left, is_answer: false, content }
}

#[test]
fn a_relay_forwards_a_message_once() {
    let mut harness = with_assignments();
    let last_hop = Message::Relayed(relayed_message(0, HOUSE));
    let forwarded = messages(&harness.deliver(WOOD, DOOR, &last_hop));
    assert_eq!(forwarded, [(HOUSE, last_hop.clone())]);
    assert_eq!(harness.deliver(WOOD, DOOR, &last_hop).len(), 0, "not again");
    // With hops left, other nodes get it as well, but neither the sender nor the origin.
    let message =
        Message::Relayed(Relayed { number: 78, origin: NodeId::new(1), ..relayed_message(2, WOOD) });
    let sent = relayed(&harness.deliver(DOOR, HOUSE, &message));
    assert!(matches!(&sent[..], [(WOOD, next)] if next.hops_left == 1), "{sent:?}");
}

#[test]
fn a_relayed_request_is_answered_as_a_relayed_message_only() {
    let mut harness = with_assignments();
    let answers = harness.deliver(DOOR, HOUSE, &Message::Relayed(relayed_message(0, HOUSE)));
    assert!(messages(&answers).iter().all(|(_, message)| *message != RESPONSE), "{answers:?}");
    let by_relays = relayed(&answers);
    let [(DOOR, answer), (WOOD, same)] = &by_relays[..] else {
        panic!("by a relay, and directly: {by_relays:?}");
    };
    assert!(answer == same && answer.target == WOOD && answer.hops == 4, "{answer:?}");
    assert_eq!(content(&by_relays[0].1), RESPONSE);
    assert!(by_relays[0].1.is_answer, "answers to it need no relays");
    assert_eq!(harness.deliver(DOOR, HOUSE, &Message::Relayed(relayed_message(0, HOUSE))).len(), 0);
    // Later the direct way is enough.
    harness.advance(16);
    harness.expire(HOUSE, Timer::Heartbeat);
    assert_eq!(messages(&harness.deliver(WOOD, HOUSE, &Message::HeartbeatRequest)), [(WOOD, RESPONSE)]);
}

#[test]
fn relayed_bytes_that_are_no_message_are_dropped() {
    let mut harness = with_assignments();
    let nonsense = Relayed { content: Arc::new([255; 3]), ..relayed_message(0, HOUSE) };
    assert_eq!(harness.deliver(DOOR, HOUSE, &Message::Relayed(nonsense)).len(), 0);
}
