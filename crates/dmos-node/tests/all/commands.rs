//! Commands of operators: retirement and changes of recipes.

use std::num::NonZeroU32;

use dmos_core::settings::{Production, Protocol};
use dmos_core::{FlowVersion, Requirement, Term};
use dmos_node::harness::{messages, started_plan};
use dmos_node::{Command, Input, LogRecord, Message, Timer};

use crate::chain::{
    DOOR, HOUSE, WOOD, WOOD_ITEM, announce, chain, cycle, plan_id, request, two_suppliers, with_assignments,
};

#[test]
fn a_changed_recipe_applies_to_production_and_planning() {
    let mut harness = with_assignments(Protocol::default());
    // The hold time after the first plan is over.
    harness.advance(3);
    let wood = Requirement { item: WOOD_ITEM, quantity: 2 };
    // From now on the house requires wood and no door.
    let effects = harness.handle(HOUSE, Input::Command(&Command::Recipe(Box::new([wood]))));
    assert!(matches!(harness.log(HOUSE).last(), Some(LogRecord::Commanded(_))));
    let assignments = messages(&harness.handle(HOUSE, Input::Planned(plan_id(&effects))));
    let to_wood =
        assignments.iter().find(|(to, _)| *to == WOOD).expect("an assignment with another consumer of wood");
    assert!(
        matches!(&to_wood.1, Message::Assignment(_, assignment) if *assignment.consumers == [HOUSE]),
        "{assignments:?}"
    );
    let requests = cycle(&mut harness, HOUSE);
    assert_eq!(requests.iter().filter(|(to, _)| *to == WOOD).count(), 2, "two batches of wood: {requests:?}");
    harness.advance(1);
    harness.start(HOUSE);
    harness.expire(HOUSE, Timer::ProductionCycle);
    assert!(cycle(&mut harness, HOUSE).iter().all(|(to, _)| *to != DOOR), "also after a crash");
}

#[test]
fn a_retired_node_delivers_and_makes_no_more() {
    let mut harness = with_assignments(Protocol::default());
    // The hold time after the first plan is over.
    harness.advance(3);
    let sent = announce(&mut harness);
    cycle(&mut harness, WOOD);
    let notices = messages(&harness.handle(WOOD, Input::Command(&Command::Retire)));
    assert!(matches!(&notices[..], [(HOUSE, Message::NodeConfig(config))] if config.retired), "{notices:?}");
    let answer = harness.deliver(WOOD, HOUSE, &notices[0].1);
    assert!(
        messages(&answer)
            .iter()
            .any(|(to, message)| *to == WOOD && matches!(message, Message::NodeConfigAck(..)))
    );
    plan_id(&answer);
    assert_eq!(cycle(&mut harness, WOOD), []);
    assert_eq!(harness.node(WOOD).stock(), 1, "a retired node makes nothing");
    let late = Message::Request { request: request(5), item: WOOD_ITEM };
    assert_eq!(
        messages(&harness.deliver(DOOR, WOOD, &late)),
        [(DOOR, Message::Unavailable { request: request(5) })]
    );
    harness.advance(5);
    assert_eq!(
        messages(&harness.expire(WOOD, Timer::RetransmitBatches)),
        [(DOOR, sent)],
        "a commitment is kept"
    );
    // The leader receives it again until it acknowledges.
    let again = messages(&harness.expire(WOOD, Timer::SendNodeConfig));
    let to_leader =
        again.iter().filter(|(to, message)| *to == HOUSE && matches!(message, Message::NodeConfig(_)));
    assert_eq!(to_leader.count(), 1);
    assert!(
        again.iter().any(|(_, message)| matches!(message, Message::Relayed(_))),
        "also by relays: {again:?}"
    );
    let ack = messages(&answer)
        .into_iter()
        .find(|(to, message)| *to == WOOD && matches!(message, Message::NodeConfigAck(..)));
    harness.deliver(HOUSE, WOOD, &ack.expect("an acknowledgement").1);
    // Neither an acknowledgement nor a return makes the leader plan with it again.
    harness.advance(30);
    harness.handle(HOUSE, Input::Planned(plan_id(&answer)));
    let version = FlowVersion { term: Term(3), number: 2 };
    for message in [Message::Rejoin, Message::AssignmentAck(version)] {
        let effects = harness.deliver(WOOD, HOUSE, &message);
        assert_eq!(started_plan(&effects), None, "{message:?}");
    }
    harness.advance(60);
    assert_eq!(messages(&harness.expire(WOOD, Timer::SendNodeConfig)), []);
}

#[test]
fn a_command_outlives_the_compaction_of_the_log() {
    for production in [Production::Polled, Production::Server] {
        let protocol = Protocol { production, compact_after: NonZeroU32::new(1), ..Protocol::default() };
        let mut harness = chain("memoized", "last-writer", protocol);
        harness.start(WOOD);
        harness.handle(WOOD, Input::Command(&Command::Retire));
        (1..4).for_each(|version| drop(harness.deliver(HOUSE, WOOD, &two_suppliers(version))));
        let log = harness.log(WOOD);
        assert!(
            matches!(&log[0], LogRecord::Compacted(state) if state.node_config.retired),
            "{production:?}: {log:?}"
        );
    }
}
