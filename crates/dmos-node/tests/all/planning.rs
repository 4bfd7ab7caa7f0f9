//! Plans of a leader, input by input.

use dmos_core::settings::Protocol;
use dmos_core::strategy::{FlowDescriptor, FlowStrategy, Meter, NoFlow, PlanRequest, register_flow};
use dmos_core::{Flow, Metric, NodeId, Term};
use dmos_node::harness::{Harness, messages};
use dmos_node::{Input, LogRecord, Message, Timer};

use crate::chain::{DOOR, HOUSE, WOOD, harness, plan_id};

/// Returns the number of the last flow that the house has accepted.
fn accepted_flow(harness: &Harness) -> u32 {
    let number = |record: &LogRecord| match record {
        LogRecord::FlowAccepted(version) => Some(version.number),
        _ => None,
    };
    harness.log(HOUSE).iter().rev().find_map(number).unwrap_or_default()
}

#[test]
fn a_failed_planner_is_retried() {
    let mut harness = harness("fails-at-first", "last-writer", Protocol::default());
    let mut begun = harness.start(HOUSE);
    // Five seconds after the first failure, ten after the second.
    for pause in [5, 10] {
        let nothing = harness.handle(HOUSE, Input::Planned(plan_id(&begun)));
        assert!(nothing.is_empty(), "a failed plan has no effect: {nothing:?}");
        assert_eq!(accepted_flow(&harness), 0, "the leader does not accept it either");
        harness.advance(pause - 1);
        assert!(harness.expire(HOUSE, Timer::Replan).is_empty(), "the retry is not due");
        harness.advance(1);
        begun = harness.expire(HOUSE, Timer::Replan);
    }
    let announced = messages(&harness.handle(HOUSE, Input::Planned(plan_id(&begun))));
    let leads = |message: &Message| matches!(message, Message::Leader(HOUSE, _));
    let announced = announced.iter().filter(|(_, message)| leads(message)).count();
    assert_eq!(announced, 2, "the third plan is good, and its assignments wait for the other nodes");
    harness.advance(60);
    assert!(harness.expire(HOUSE, Timer::Replan).is_empty(), "the flow stays active");
}

/// A planner that fails a number of times at first.
struct FailsAtFirst(u32);

impl FlowStrategy for FailsAtFirst {
    fn plan(&mut self, request: &PlanRequest<'_>, _: &mut Meter) -> Result<Flow, NoFlow> {
        self.0 += 1;
        if self.0 < 3 {
            return Err(NoFlow::PlannerFailed {
                planner: "test".to_owned(),
                problem: "not available".to_owned(),
            });
        }
        let first = |item| request.network.producers(item)[0];
        Ok(Flow::upstream_of(request.network, vec![HOUSE], |_, item| first(item)))
    }
}

register_flow!(FlowDescriptor {
    name: "fails-at-first",
    summary: "in tests only",
    source: "none",
    notes: "none",
    guarantees: |_| &[],
    params: &[],
    build: |_| Box::new(FailsAtFirst(0)),
});

#[test]
fn a_plan_of_an_earlier_term_is_void() {
    let mut harness = harness("memoized", "last-writer", Protocol::default());
    let begun = harness.start(HOUSE);
    harness.deliver(WOOD, HOUSE, &Message::Leader(DOOR, Term(100)));
    let effects = harness.handle(HOUSE, Input::Planned(plan_id(&begun)));
    assert!(effects.is_empty(), "{effects:?}");
    assert_eq!(accepted_flow(&harness), 0);
}

#[test]
fn the_time_of_listing_edges_is_its_share_of_the_steps() {
    let mut harness = harness("lists-edges", "last-writer", Protocol::default());
    let begun = harness.start(HOUSE);
    harness.advance(8);
    harness.handle(HOUSE, Input::Planned(plan_id(&begun)));
    let seconds = |metric| harness.count(HOUSE, metric) / 1_000_000_000;
    assert_eq!(seconds(Metric::FullFlowBootstrapTimeSec), 8);
    assert_eq!(seconds(Metric::BootstrapAllPathsTimeSec), 2);
}

/// A planner of which a quarter of the steps lists possible edges.
struct ListsEdges;

impl FlowStrategy for ListsEdges {
    fn plan(&mut self, request: &PlanRequest<'_>, meter: &mut Meter) -> Result<Flow, NoFlow> {
        meter.charge(40)?;
        meter.note("possible_edges", 10);
        Ok(Flow::upstream_of(request.network, vec![HOUSE], |_, item| request.network.producers(item)[0]))
    }
}

register_flow!(FlowDescriptor {
    name: "lists-edges",
    summary: "in tests only",
    source: "none",
    notes: "none",
    guarantees: |_| &[],
    params: &[],
    build: |_| Box::new(ListsEdges),
});

#[test]
fn a_leader_monitors_producers_of_final_items_that_nobody_else_does() {
    let scenario = dmos_testkit::scenario(
        "network: {nodes: [{makes: salt, count: 2}, {makes: house, needs: [wood]}, {makes: wood}], final: [salt, house]}\n\
         duration: 1h\nleader: last-writer\n",
    );
    let mut harness = Harness::new(dmos_testkit::settings_of(&scenario));
    let leader = NodeId::new(3);
    let begun = harness.start(leader);
    harness.handle(leader, Input::Planned(plan_id(&begun)));
    let sent = messages(&harness.expire(leader, Timer::Heartbeat));
    let monitored = sent.iter().filter(|(_, message)| *message == Message::HeartbeatRequest);
    let monitored: Vec<usize> = monitored.map(|(to, _)| to.index()).collect();
    assert_eq!(monitored, [0, 1, 2], "salt needs nothing, and the house has no consumer");
}
