//! Retransmission with exponential backoff: the decision when an unanswered message is sent again.

use dmos_core::settings::Protocol;
use dmos_core::{Span, Time};

use crate::context::Context;
use crate::interface::Timer;

/// State of a message that is retransmitted until it is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Retransmission {
    last_sent: Time,
    retries: u32,
}

impl Retransmission {
    /// Returns the state of a message that was sent now.
    pub(crate) fn new(now: Time) -> Self {
        Self { last_sent: now, retries: 0 }
    }

    /// Returns the state after another retransmission.
    pub(crate) fn again(self, now: Time) -> Self {
        Self { last_sent: now, retries: self.retries + 1 }
    }

    /// Restarts the timeout without counting a retransmission, because the receiver has answered in part.
    pub(crate) fn postpone(&mut self, now: Time) {
        self.last_sent = now;
    }

    /// Returns the number of retransmissions.
    pub(crate) fn retries(self) -> u32 {
        self.retries
    }

    /// Returns whether the message was sent more than once.
    pub(crate) fn is_repeated(self) -> bool {
        self.retries > 0
    }

    /// Returns whether the message is due for retransmission. Never, if retransmission is off.
    pub(crate) fn is_due(self, now: Time, protocol: &Protocol) -> bool {
        self.timeout(protocol).is_some_and(|timeout| now.since(self.last_sent) >= timeout)
    }

    /// Returns whether the message is due for retransmission, with a default timeout if retransmission is off.
    pub(crate) fn is_due_or(self, now: Time, protocol: &Protocol, default: Span) -> bool {
        now.since(self.last_sent) >= self.timeout(protocol).unwrap_or(default)
    }

    /// Returns the timeout until the next retransmission, or `None` if retransmission is off.
    pub(crate) fn timeout(self, protocol: &Protocol) -> Option<Span> {
        timeout(protocol, self.retries)
    }
}

/// Returns the timeout after a number of retransmissions: it doubles each time, up to a maximum. `None` if
/// retransmission is off.
pub(crate) fn timeout(protocol: &Protocol, retries: u32) -> Option<Span> {
    let first = protocol.retry_after?;
    let longest = protocol.retry_max.max(first);
    Some((first * (1 << retries.min(32))).min(longest))
}

/// Timer of a list of retransmitted messages, of which at most one is pending.
#[derive(Default, Debug)]
pub(crate) struct RetransmissionTimer {
    is_set: bool,
}

impl RetransmissionTimer {
    /// Sets the timer, unless it is pending or retransmission is off.
    pub(crate) fn set(&mut self, cx: &mut Context<'_>, timer: Timer) {
        if let (Some(span), false) = (cx.protocol.retry_after, self.is_set) {
            self.is_set = true;
            cx.set_timer(span, timer);
        }
    }

    /// Records that the timer has expired.
    pub(crate) fn expire(&mut self) {
        self.is_set = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protocol(retry_after: Option<Span>) -> Protocol {
        Protocol { retry_after, retry_max: Span::from_secs(30), ..Protocol::default() }
    }

    #[test]
    fn the_timeout_doubles_up_to_a_maximum() {
        let protocol = protocol(Some(Span::from_secs(5)));
        let timeouts = [0, 1, 2, 3, 40].map(|retries| timeout(&protocol, retries));
        assert_eq!(timeouts, [5, 10, 20, 30, 30].map(|seconds| Some(Span::from_secs(seconds))));
    }

    #[test]
    fn a_message_is_due_at_its_timeout() {
        let protocol = protocol(Some(Span::from_secs(5)));
        let at = |seconds| Time::ZERO + Span::from_secs(seconds);
        let sent = Retransmission::new(at(1));
        assert!(!sent.is_due(at(5), &protocol) && sent.is_due(at(6), &protocol) && !sent.is_repeated());
        let again = sent.again(at(6));
        assert!(!again.is_due(at(15), &protocol) && again.is_due(at(16), &protocol) && again.is_repeated());
        let mut postponed = again;
        postponed.postpone(at(10));
        assert!(!postponed.is_due(at(19), &protocol) && postponed.is_due(at(20), &protocol));
    }

    #[test]
    fn nothing_is_due_without_retransmission() {
        let protocol = protocol(None);
        let sent = Retransmission::new(Time::ZERO);
        let later = Time::ZERO + Span::from_secs(10);
        assert!(!sent.is_due(later, &protocol));
        assert!(sent.is_due_or(later, &protocol, Span::from_secs(10)));
    }
}
