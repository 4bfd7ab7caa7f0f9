//! Plans of a leader, input by input.

use dmos_core::Flow;
use dmos_core::settings::Protocol;
use dmos_core::strategy::{FlowDescriptor, FlowStrategy, Meter, NoFlow, PlanRequest, register_flow};
use dmos_node::harness::messages;
use dmos_node::{Input, Message, Timer};

use crate::chain::{HOUSE, harness, plan_id};

#[test]
fn a_failed_planner_is_retried() {
    let mut harness = harness("fails-at-first", "last-writer", Protocol::default());
    let mut begun = harness.start(HOUSE);
    // Five seconds after the first failure, ten after the second.
    for pause in [5, 10] {
        let nothing = harness.handle(HOUSE, Input::Planned(plan_id(&begun)));
        assert!(nothing.is_empty(), "a failed plan has no effect: {nothing:?}");
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
