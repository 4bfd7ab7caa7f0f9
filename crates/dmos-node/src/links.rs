//! Broken links of a node, as it knows them, and their report to the leader.
//!
//! A link is broken if the neighbour does not answer although the leader has found it alive. The node reports its
//! broken links to the leader until they are acknowledged, and to every new leader. It tests them again and again, at
//! intervals that double, also each time that a link breaks anew. A link works again after two answers, and each time that
//! it has broken before, after twice as many: a link that loses most messages does not change the plan each time that one
//! passes. Where one link is broken, others may be, so the node then tests the links to its other possible suppliers as
//! well, before a plan tries them one after the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use dmos_core::{NodeId, Term, Time};

use crate::context::Context;
use crate::message::{LinksRevision, Membership, Message};
use crate::retransmission::{Retransmission, timeout};

/// Number of unanswered requests after which a link counts as broken that was not in use.
const REQUESTS: u32 = 2;

/// Maximum number of possible suppliers of an item whose links are tested.
const SUPPLIERS_MAX: usize = 16;

/// Number of answers after which a link works again that breaks for the first time, and the maximum.
const ANSWERS: [u32; 2] = [2, 8];

/// A link that is broken, or was.
struct KnownLink {
    node: NodeId,
    is_broken: bool,
    /// Number of heartbeat rounds with an answer after which it works again.
    answers_needed: u32,
    /// The latest heartbeat rounds, one bit each: whether the node has answered. The last bit is the current round.
    answers: u32,
    /// Number of tests and breaks so far.
    tests: u32,
    next_test: Time,
}

/// The node's broken links.
#[derive(Default)]
pub(crate) struct Links {
    /// Sorted by node.
    known: Vec<KnownLink>,
    /// Nodes whose links are being tested for the first time, with the number of requests so far.
    asked: BTreeMap<NodeId, u32>,
    revision: LinksRevision,
    /// Term of the leader that acknowledged last, and the revision that it acknowledged.
    acknowledged: Option<(Term, LinksRevision)>,
    /// The last report, and the term of the leader.
    sent: Option<(Term, Retransmission)>,
}

impl Links {
    /// Returns the state after a start. A node that has recovered reports that it knows of no broken link.
    pub(crate) fn new(incarnation: u32) -> Self {
        Self { revision: LinksRevision { incarnation, number: 0 }, ..Self::default() }
    }

    /// Returns whether the link to a node is broken.
    pub(crate) fn is_broken(&self, node: NodeId) -> bool {
        self.known.iter().any(|link| link.node == node && link.is_broken)
    }

    /// Returns the nodes to which links are broken, in ascending order.
    pub(crate) fn broken(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.known.iter().filter(|link| link.is_broken).map(|link| link.node)
    }

    pub(crate) fn revision(&self) -> LinksRevision {
        self.revision
    }

    /// Records that the link to a node is broken.
    pub(crate) fn on_broken(&mut self, cx: &Context<'_>, node: NodeId) {
        let at = match self.known.binary_search_by_key(&node, |link| link.node) {
            Ok(at) => at,
            Err(at) => {
                self.known.insert(at, KnownLink::new(node, cx.now));
                at
            }
        };
        let link = &mut self.known[at];
        if !std::mem::replace(&mut link.is_broken, true) {
            link.answers = 0;
            link.schedule_test(cx);
            self.change();
        }
    }

    /// Starts to test the links to all possible suppliers of a node, because one of its links is broken.
    pub(crate) fn test_suppliers(&mut self, cx: &Context<'_>) {
        for required in cx.network.requirements(cx.me) {
            let suppliers = cx.network.producers(required.item).iter().take(SUPPLIERS_MAX);
            let untested = suppliers.filter(|&&node| !self.is_broken(node)).copied().collect::<Vec<_>>();
            self.asked.extend(untested.into_iter().map(|node| (node, 0)));
        }
    }

    /// Records that a node has answered directly. Returns whether its link was broken and works again.
    pub(crate) fn on_answer(&mut self, node: NodeId) -> bool {
        self.asked.remove(&node);
        let link = self.known.iter_mut().find(|link| link.node == node && link.is_broken);
        let works_again = link.is_some_and(KnownLink::on_answer);
        if works_again {
            self.change();
        }
        works_again
    }

    fn change(&mut self) {
        self.revision.number += 1;
        self.sent = None;
    }

    /// Tests the broken links whose time has come, and in each heartbeat round those that have answered lately.
    pub(crate) fn test(&mut self, cx: &mut Context<'_>) {
        for (node, requests) in std::mem::take(&mut self.asked) {
            if requests == REQUESTS {
                self.on_broken(cx, node);
            } else {
                cx.request_heartbeat(node);
                self.asked.insert(node, requests + 1);
            }
        }
        let now = cx.now;
        for link in self.known.iter_mut().filter(|link| link.is_broken) {
            let has_answered_lately = link.latest_answers() > 0;
            link.answers <<= 1;
            if !has_answered_lately {
                if link.next_test > now {
                    continue;
                }
                link.schedule_test(cx);
            }
            cx.request_heartbeat(link.node);
        }
    }

    /// Reports the broken links to the leader, unless it knows them or was told recently. A node that never had a broken
    /// link has nothing to report; one that has recovered may have reported links before its crash.
    pub(crate) fn report(&mut self, cx: &mut Context<'_>, leader: Option<(NodeId, Term)>) {
        let Some((leader, term)) = leader.filter(|leader| leader.0 != cx.me) else {
            return;
        };
        let revision = self.revision;
        if revision == LinksRevision::default() || self.acknowledged == Some((term, revision)) {
            return;
        }
        let sent = self.sent.filter(|sent| sent.0 == term).map(|sent| sent.1);
        if sent.is_none_or(|sent| sent.is_due_or(cx.now, cx.protocol, cx.protocol.heartbeat)) {
            let next = sent.map_or(Retransmission::new(cx.now), |sent| sent.again(cx.now));
            self.sent = Some((term, next));
            let broken: Arc<[NodeId]> = self.broken().collect();
            cx.send_again(
                leader,
                Message::Membership(Membership::Links { revision, broken }),
                next.retries(),
            );
        }
    }

    /// Handles the acknowledgement of a report by the leader of a term.
    pub(crate) fn on_acknowledged(&mut self, term: Term, revision: LinksRevision) {
        self.acknowledged = Some((term, revision));
    }
}

impl KnownLink {
    fn new(node: NodeId, now: Time) -> Self {
        Self { node, is_broken: false, answers_needed: ANSWERS[0], answers: 0, tests: 0, next_test: now }
    }

    /// Records an answer of a node whose link is broken. Returns whether the link works again.
    fn on_answer(&mut self) -> bool {
        self.answers |= 1;
        if self.latest_answers() < self.answers_needed {
            return false;
        }
        self.is_broken = false;
        self.answers_needed = (self.answers_needed * 2).min(ANSWERS[1]);
        true
    }

    /// Returns the number of rounds with an answer among the latest: one more than are needed, because two answers may
    /// arrive in one round and none in the next.
    fn latest_answers(&self) -> u32 {
        (self.answers & ((2 << self.answers_needed) - 1)).count_ones()
    }

    fn schedule_test(&mut self, cx: &Context<'_>) {
        let pause = timeout(cx.protocol, self.tests).unwrap_or(cx.protocol.heartbeat);
        (self.tests, self.next_test) = (self.tests + 1, cx.now + pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Passes answers in some of the following rounds. Returns the number of rounds until the link works again.
    fn rounds_to_work(link: &mut KnownLink, rounds: impl IntoIterator<Item = bool>) -> Option<usize> {
        link.is_broken = true;
        link.answers = 0;
        rounds.into_iter().position(|has_answered| {
            link.answers <<= 1;
            has_answered && link.on_answer()
        })
    }

    #[test]
    fn a_link_that_breaks_again_works_after_twice_as_many_answers() {
        let mut link = KnownLink::new(NodeId::new(1), Time::ZERO);
        let needed = [(); 5].map(|()| rounds_to_work(&mut link, [true; 20]).map(|last| last + 1));
        assert_eq!(needed, [2, 4, 8, 8, 8].map(Some));
    }

    #[test]
    fn one_round_without_an_answer_is_tolerated() {
        let mut link = KnownLink { answers_needed: 4, ..KnownLink::new(NodeId::new(1), Time::ZERO) };
        let every_second = (0..100).map(|round| round % 2 > 0);
        assert_eq!(rounds_to_work(&mut link, every_second), None);
        let late = [true, true, false, true, true].into_iter();
        assert_eq!(rounds_to_work(&mut link, late), Some(4));
        assert!(!link.is_broken && link.answers_needed == 8);
    }

    #[test]
    fn several_answers_in_a_round_count_once() {
        let mut link = KnownLink::new(NodeId::new(1), Time::ZERO);
        link.is_broken = true;
        assert!(!link.on_answer() && !link.on_answer());
    }
}
