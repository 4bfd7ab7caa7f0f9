//! Hold times between plans: changes in quick succession make few plans.
//!
//! The first change after a calm is planned at once. While further changes arrive, the time between two plans doubles, as
//! in the exponential backoff of shortest-path computations of link-state routing (RFC 8405). So a lasting fault that is
//! found out step by step, at each of many links, costs few plans, and a single failure costs no delay.

use dmos_core::settings::Protocol;
use dmos_core::{Span, Time};

/// The hold time after the last plan.
#[derive(Default)]
pub(super) struct Hold {
    /// Start of the last plan.
    last: Time,
    span: Span,
    /// Time of the next plan, if a change waits for it.
    due: Option<Time>,
}

impl Hold {
    /// Returns the time until a change may be planned; none if it may be planned at once. `None` if an earlier change
    /// waits already.
    pub(super) fn on_change(&mut self, now: Time) -> Option<Span> {
        if self.due.is_some() {
            return None;
        }
        let next = self.last + self.span;
        if next <= now {
            return Some(Span::ZERO);
        }
        self.due = Some(next);
        Some(next.since(now))
    }

    /// Records the start of a plan. Changes are calm if the last plan began a long time ago.
    pub(super) fn on_plan(&mut self, now: Time, protocol: &Protocol) {
        let is_calm = now.since(self.last) >= self.span + protocol.suspect_after;
        self.span = match is_calm || self.span.is_zero() {
            true => protocol.heartbeat,
            false => (self.span * 2).min(protocol.suspect_after.max(protocol.heartbeat)),
        };
        (self.last, self.due) = (now, None);
    }

    /// Returns whether a waiting change may be planned now.
    pub(super) fn is_over(&self, now: Time) -> bool {
        self.due.is_some_and(|due| due <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::ZERO + Span::from_secs(seconds)
    }

    #[test]
    fn hold_times_double_while_changes_arrive_and_end_after_a_calm() {
        let protocol = Protocol::default();
        let mut hold = Hold::default();
        hold.on_plan(at(100), &protocol);
        let mut plans = Vec::new();
        for second in 101..170 {
            match hold.on_change(at(second)) {
                Some(Span::ZERO) => hold.on_plan(at(second), &protocol),
                _ if hold.is_over(at(second)) => hold.on_plan(at(second), &protocol),
                _ => continue,
            }
            plans.push(second);
        }
        assert_eq!(plans, [103, 109, 121, 136, 151, 166]);
        assert_eq!(hold.on_change(at(170)), None, "an earlier change waits for the same plan");
        assert!(!hold.is_over(at(180)) && hold.is_over(at(181)));
        hold.on_plan(at(181), &protocol);
        assert_eq!(hold.on_change(at(220)), Some(Span::ZERO));
        hold.on_plan(at(220), &protocol);
        assert_eq!(hold.on_change(at(221)), Some(Span::from_secs(2)), "the first hold time again");
    }
}
