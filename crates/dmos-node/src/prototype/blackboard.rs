//! The prototype's blackboard: shared files in which all nodes see the leader, the flow and failures at once.

use dmos_core::settings::Dissemination;

use crate::context::Context;
use crate::interface::{Effect, Notice};

/// Posts a notice if the protocol has a blackboard, and returns whether it has one.
pub(crate) fn post(cx: &mut Context<'_>, notice: impl FnOnce() -> Notice) -> bool {
    let has_blackboard = cx.protocol.dissemination == Dissemination::Blackboard;
    if has_blackboard {
        cx.effects.push(Effect::Post(notice()));
    }
    has_blackboard
}
