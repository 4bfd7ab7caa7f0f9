//! Membership and links, as the leader knows them.
//!
//! The report of one node does not remove another: the leader first probes the accused node itself, and by other nodes
//! ([`relay`](crate::relay)). If it answers, the accuser learns that, and reports a broken link if it still hears
//! nothing. A node that was removed rejoins once it acknowledges an assignment, which proves that messages pass in both
//! directions.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use dmos_core::settings::{Dissemination, FailureReports, Rejoin};
use dmos_core::strategy::Change;
use dmos_core::{BrokenLinks, Metric, NodeId, Span, Term, Time};

use super::{Planning, note_change};
use crate::context::Context;
use crate::interface::{Notice, Report, Timer};
use crate::message::{LinksRevision, Membership, Message};
use crate::prototype::blackboard;

/// Number of tries that a probe counts as, which determines its hops: a first one, and a last one.
const PROBE_TRIES: [u32; 2] = [1, 2];

/// Nodes that were reported, and the broken links that nodes have reported.
#[derive(Default)]
pub(super) struct Reports {
    accused: BTreeMap<NodeId, Accused>,
    /// Time of the next probes.
    probe_at: Option<Time>,
    /// By node, the nodes to which its links are broken, and the revision of its report.
    links: BTreeMap<NodeId, (LinksRevision, Arc<[NodeId]>)>,
}

/// A node whose silence was reported, until it answers or is removed.
struct Accused {
    by: Vec<NodeId>,
    since: Time,
}

impl Planning {
    /// Handles a report that a node is silent. It is `certain` if the leader itself hears nothing from the node on any
    /// way.
    pub(crate) fn on_suspicion(
        &mut self,
        cx: &mut Context<'_>,
        accuser: NodeId,
        node: NodeId,
        certain: bool,
    ) {
        if node == cx.me && cx.uses_relays() {
            return cx.send_control(accuser, Message::Membership(Membership::Alive(node)));
        }
        if cx.protocol.failure_reports == FailureReports::EveryReport || !cx.uses_relays() {
            return self.remove_as_reported(cx, node);
        }
        if !self.alive.contains(node) || !self.alive.contains(accuser) {
            return;
        }
        if certain {
            return self.remove(cx, &[node]);
        }
        match self.reports.accused.entry(node) {
            Entry::Occupied(mut known) => {
                if !known.get().by.contains(&accuser) {
                    known.get_mut().by.push(accuser);
                }
            }
            Entry::Vacant(new) => {
                new.insert(Accused { by: vec![accuser], since: cx.now });
                probe(cx, node, PROBE_TRIES[0]);
                self.set_probe_timer(cx);
            }
        }
    }

    fn set_probe_timer(&mut self, cx: &mut Context<'_>) {
        if self.reports.probe_at.is_none() {
            let pause = Span::from_nanos(cx.protocol.heartbeat.as_nanos() / 2);
            self.reports.probe_at = Some(cx.now + pause);
            cx.set_timer(pause, Timer::ProbeAccused);
        }
    }

    /// Removes the accused nodes that have not answered within a heartbeat interval, and probes the others again.
    pub(crate) fn probe_accused(&mut self, cx: &mut Context<'_>) {
        // A timer of an earlier term is ignored.
        if self.reports.probe_at.take_if(|due| *due <= cx.now).is_none() {
            return;
        }
        let mut silent = Vec::new();
        for (&node, accused) in &self.reports.accused {
            match cx.now.since(accused.since) >= cx.protocol.heartbeat {
                true => silent.push(node),
                false => probe(cx, node, PROBE_TRIES[1]),
            }
        }
        self.remove(cx, &silent);
        if !self.reports.accused.is_empty() {
            self.set_probe_timer(cx);
        }
    }

    /// Handles the answer of a node. Returns the nodes that had reported it.
    pub(crate) fn on_answer(&mut self, from: NodeId) -> Vec<NodeId> {
        self.reports.accused.remove(&from).map(|accused| accused.by).unwrap_or_default()
    }

    /// Removes nodes from the membership, and plans without them.
    pub(super) fn remove(&mut self, cx: &mut Context<'_>, nodes: &[NodeId]) {
        let mut has_changed = false;
        for &node in nodes {
            self.reports.accused.remove(&node);
            if node == cx.me || !self.alive.remove(node) {
                continue;
            }
            has_changed = true;
            cx.metrics.count(Metric::NodesDeterminedCrashed);
            self.announce_removal(cx, node);
        }
        if has_changed {
            self.replan(cx);
        }
    }

    /// Removes a node without a confirmation, as the prototype does; with `failure_reports: every_report`, each report
    /// starts a plan.
    fn remove_as_reported(&mut self, cx: &mut Context<'_>, node: NodeId) {
        if cx.protocol.failure_reports == FailureReports::OncePerFailure {
            return self.remove(cx, &[node]);
        }
        self.alive.remove(node);
        self.announce_removal(cx, node);
        self.replan(cx);
    }

    fn announce_removal(&mut self, cx: &mut Context<'_>, node: NodeId) {
        cx.report(Report::Removed(node));
        if !blackboard::post(cx, || Notice::Removed(node)) {
            // If the node is alive after all, it acknowledges and rejoins.
            self.send_current_assignment(cx, node);
        }
        note_change(&mut self.changes, Change::Failed(node));
    }

    pub(super) fn rejoin(&mut self, cx: &mut Context<'_>, node: NodeId) {
        if cx.protocol.rejoin == Rejoin::OnReturn && !self.has_retired(node) && self.alive.insert(node) {
            blackboard::post(cx, || Notice::Rejoined(node));
            note_change(&mut self.changes, Change::Rejoined(node));
            self.replan(cx);
        }
    }

    /// Handles the announcement of a recovered node, which has lost its assignment. It rejoins by acknowledging the
    /// assignment; on a blackboard, at once.
    pub(crate) fn on_rejoin(&mut self, cx: &mut Context<'_>, from: NodeId) {
        match cx.protocol.dissemination {
            Dissemination::Messages => {
                self.unacknowledged.remove(&from);
                self.send_current_assignment(cx, from);
            }
            Dissemination::Blackboard => self.rejoin(cx, from),
        }
    }

    /// Handles a node's report of its broken links.
    pub(crate) fn on_links(
        &mut self,
        cx: &mut Context<'_>,
        from: NodeId,
        revision: LinksRevision,
        broken: &Arc<[NodeId]>,
    ) {
        if from != cx.me {
            cx.send_control(from, Message::Membership(Membership::LinksAck(self.term, revision)));
        }
        if self.set_links(cx, from, revision, broken) {
            note_change(&mut self.changes, Change::LinksChanged);
            self.replan(cx);
        }
    }

    /// Returns whether the report of a node's links with this revision, or a later one, is known.
    pub(crate) fn knows_links(&self, of: NodeId, revision: LinksRevision) -> bool {
        self.reports.links.get(&of).is_some_and(|known| known.0 >= revision)
    }

    /// Sets the broken links of a node, unless a later report is known. Returns whether that changes the set of all
    /// broken links.
    pub(super) fn set_links(
        &mut self,
        cx: &mut Context<'_>,
        of: NodeId,
        revision: LinksRevision,
        broken: &Arc<[NodeId]>,
    ) -> bool {
        if self.knows_links(of, revision) {
            return false;
        }
        self.reports.links.insert(of, (revision, Arc::clone(broken)));
        let reported = self.reports.links.iter();
        let links: BrokenLinks = reported
            .flat_map(|(&node, (_, broken))| broken.iter().map(move |&other| (node, other)))
            .collect();
        let found = links.iter().filter(|&(a, b)| !self.broken_links.contains(a, b)).count();
        cx.metrics.add(Metric::BrokenLinksFound, found as u64);
        let has_changed = links != self.broken_links;
        self.broken_links = links;
        has_changed
    }

    /// Records that a node has received this leader's announcement.
    pub(crate) fn on_present(&mut self, cx: &mut Context<'_>, from: NodeId, term: Term) {
        if term == self.term && self.contacted.insert(from) && self.unacknowledged.contains_key(&from) {
            self.send_current_assignment(cx, from);
        }
    }
}

/// Asks a node for an answer, directly and by relays.
fn probe(cx: &mut Context<'_>, node: NodeId, tries: u32) {
    cx.metrics.count(Metric::HeartbeatsSent);
    cx.send_again(node, Message::HeartbeatRequest, tries);
}
