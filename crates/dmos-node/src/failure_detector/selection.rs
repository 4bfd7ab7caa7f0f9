//! The choice of the nodes that a node monitors.

use dmos_core::NodeId;

use super::FailureDetector;
use super::monitored::MonitoredNode;
use crate::assignment::ActiveAssignment;
use crate::context::Context;
use crate::leadership::Leadership;

impl FailureDetector {
    /// Updates the set of monitored nodes. Nodes that stay keep what is known of them.
    pub(super) fn refresh_neighbours(
        &mut self,
        cx: &mut Context<'_>,
        active: &ActiveAssignment,
        leadership: &Leadership,
        monitored_producers: &[NodeId],
    ) {
        let expires = cx.protocol.suspect_after * 2;
        let contacts = self.rare.contacts.len();
        self.rare.contacts.retain(|contact| cx.now.since(contact.1) <= expires);
        // A flow never changes without a new version.
        let by = (active.version(), leadership.monitored_leader());
        let is_stable = monitored_producers.is_empty() && active.assignment().is_some();
        if is_stable && self.refreshed_for == Some(by) && contacts == self.rare.contacts.len() {
            return;
        }
        self.refreshed_for = is_stable.then_some(by);
        let neighbour = |node| MonitoredNode::neighbour(node, cx.now, cx.protocol.suspect_after);
        let peer = |node| MonitoredNode::peer(node, cx.now, cx.protocol.suspect_after);
        let neighbours = active.assignment().into_iter().flat_map(|assignment| assignment.neighbours());
        let peers = leadership.monitored_leader().into_iter().chain(monitored_producers.iter().copied());
        let peers = peers.chain(self.rare.contacts.iter().map(|contact| contact.0));
        let nodes = &mut self.scratch;
        nodes.clear();
        nodes.extend(neighbours.map(neighbour).chain(peers.map(peer)).filter(|peer| peer.node != cx.me));
        nodes.sort_unstable_by_key(|peer| peer.node);
        nodes.dedup_by(|next, kept| {
            let is_same = next.node == kept.node;
            if is_same {
                kept.is_neighbour |= next.is_neighbour;
                kept.is_peer |= next.is_peer;
            }
            is_same
        });
        std::mem::swap(&mut self.monitored, &mut self.scratch);
        self.keep_known(cx);
    }

    /// Moves what is known of nodes from the former set, now in `scratch`, to the new one.
    fn keep_known(&mut self, cx: &mut Context<'_>) {
        for mut old in self.scratch.drain(..) {
            match self.monitored.binary_search_by_key(&old.node, |peer| peer.node) {
                Ok(at) => {
                    let peer = &mut self.monitored[at];
                    if !old.is_peer {
                        // It was not asked by relays so far.
                        (old.heard, old.is_suspected) = (cx.now, false);
                    }
                    (old.is_neighbour, old.is_peer) = (peer.is_neighbour, peer.is_peer);
                    *peer = old;
                }
                Err(_) => cx.relay.set_detour(old.node, None),
            }
        }
    }

    /// Records an election message from or to a candidate, which makes it a peer for some time.
    pub(crate) fn on_contact(&mut self, cx: &Context<'_>, node: NodeId) {
        if !cx.uses_relays() || node == cx.me {
            return;
        }
        match self.rare.contacts.binary_search_by_key(&node, |contact| contact.0) {
            Ok(at) => self.rare.contacts[at].1 = cx.now,
            Err(at) => {
                self.rare.contacts.insert(at, (node, cx.now));
                self.refreshed_for = None;
            }
        }
    }
}
