//! Broken links of a node, as it knows them, and their report to the leader.
//!
//! A link is broken if the neighbour does not answer although the leader has found it alive. The node reports its
//! broken links to the leader until they are acknowledged, and to every new leader. It tests them again and again, at
//! intervals that double, also each time that a link breaks anew. Where one link is broken, others may be, so the node
//! then tests the links to its other possible suppliers as well, before a plan tries them one after the other.

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

/// A link that is broken, or was.
struct KnownLink {
    node: NodeId,
    is_broken: bool,
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
                self.known.insert(at, KnownLink { node, is_broken: false, tests: 0, next_test: cx.now });
                at
            }
        };
        let link = &mut self.known[at];
        if !std::mem::replace(&mut link.is_broken, true) {
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

    /// Records that a node has answered directly. Returns whether its link was broken.
    pub(crate) fn on_answer(&mut self, node: NodeId) -> bool {
        self.asked.remove(&node);
        let link = self.known.iter_mut().find(|link| link.node == node);
        let was_broken = link.is_some_and(|link| std::mem::take(&mut link.is_broken));
        if was_broken {
            self.change();
        }
        was_broken
    }

    fn change(&mut self) {
        self.revision.number += 1;
        self.sent = None;
    }

    /// Tests the broken links whose time has come.
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
        for link in self.known.iter_mut().filter(|link| link.is_broken && link.next_test <= now) {
            link.schedule_test(cx);
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
    fn schedule_test(&mut self, cx: &Context<'_>) {
        let pause = timeout(cx.protocol, self.tests).unwrap_or(cx.protocol.heartbeat);
        (self.tests, self.next_test) = (self.tests + 1, cx.now + pause);
    }
}
