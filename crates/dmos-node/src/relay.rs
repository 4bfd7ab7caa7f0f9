//! Relays: control messages that pass through other nodes where a direct link is broken.
//!
//! A message that may not arrive directly is also sent to some other nodes, which forward it to its target, as the
//! indirect probes of SWIM do (A. Das, I. Gupta and A. Motivala, "SWIM: scalable weakly-consistent infection-style
//! process group membership protocol", 2002). With more hops, those nodes pass it on among themselves, so that it
//! arrives over any path of working links. Each node forwards a message once. Relays do not read what they forward.
//!
//! Material does not take this way: an order and its shipment need a direct link.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dmos_core::{NodeId, Span, Time};
use serde::{Deserialize, Serialize};

/// A message on its way through other nodes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Relayed {
    /// The sender.
    pub origin: NodeId,
    /// The receiver.
    pub target: NodeId,
    /// Distinguishes messages of the same sender.
    pub number: u64,
    /// Maximum number of relays on the whole way.
    pub hops: u8,
    /// Number of further relays to which this one may pass the message.
    pub hops_left: u8,
    /// True if the target only answers: the sender hears it directly, as far as it knows, so that answers to this message
    /// need no relays.
    pub is_answer: bool,
    /// The message, as encoded by [`codec`](crate::codec).
    pub content: Arc<[u8]>,
}

/// Maximum number of relays on a way. A chain of eighteen nodes needs as many.
const HOPS_MAX: u8 = 16;

/// Number of relays of a message that may pass a single one.
const INDIRECT: usize = 3;

/// Maximum number of nodes to which a message that may pass several relays is sent at once.
const FLOOD_MAX: usize = 16;

/// Time for which a node remembers a relayed message, so that it forwards none twice.
const REMEMBERED: Span = Span::from_secs(60);

/// Maximum number of candidates among which messages may pass several relays. Each relay sends a message on to the
/// others, so the number of messages grows with the square; beyond, messages pass one relay.
const GROUP_MAX: usize = FLOOD_MAX;

/// Returns the number of hops for a message that was sent `tries` times without an answer.
pub(crate) fn hops_after(tries: u32) -> u8 {
    match tries {
        0 => 0,
        1 => 1,
        _ => HOPS_MAX,
    }
}

/// The ways of a node's control messages.
pub(crate) struct Relay {
    me: NodeId,
    candidates: Arc<[NodeId]>,
    /// Neighbours in the active flow.
    neighbours: Vec<NodeId>,
    last_number: u64,
    /// By origin, the numbers of its latest relayed messages.
    seen: BTreeMap<NodeId, BTreeSet<u64>>,
    /// Nodes that do not answer directly, with the hops of messages to them, sorted by node.
    detours: Vec<(NodeId, u8)>,
    /// Nodes whose messages have arrived by relays: sender, time and hops.
    relayed_from: Vec<(NodeId, Time, u8)>,
    /// Number of messages sent by relays, which selects different ones each time.
    sent: usize,
}

/// A message and the nodes to which it has to be sent next.
pub(crate) struct Forwarding {
    pub(crate) to: Vec<NodeId>,
    pub(crate) relayed: Relayed,
}

impl Relay {
    pub(crate) fn new(me: NodeId, candidates: &Arc<[NodeId]>) -> Self {
        Self {
            me,
            candidates: Arc::clone(candidates),
            neighbours: Vec::new(),
            last_number: 0,
            seen: BTreeMap::new(),
            detours: Vec::new(),
            relayed_from: Vec::new(),
            sent: 0,
        }
    }

    /// Sets the neighbours in the active flow, which can relay messages as candidates can.
    pub(crate) fn set_neighbours(&mut self, neighbours: impl Iterator<Item = NodeId>) {
        self.neighbours.clear();
        self.neighbours.extend(neighbours);
    }

    /// Sets the hops of messages to a node: none if it answers directly.
    pub(crate) fn set_detour(&mut self, node: NodeId, hops: Option<u8>) {
        match (self.detours.binary_search_by_key(&node, |detour| detour.0), hops) {
            (Ok(at), Some(hops)) => self.detours[at].1 = hops,
            (Ok(at), None) => drop(self.detours.remove(at)),
            (Err(at), Some(hops)) => self.detours.insert(at, (node, hops)),
            (Err(_), None) => {}
        }
    }

    /// Returns the hops of messages to a node that does not answer directly; 0 for any other.
    pub(crate) fn detour(&self, node: NodeId) -> u8 {
        let found = self.detours.binary_search_by_key(&node, |detour| detour.0);
        found.map_or(0, |at| self.detours[at].1)
    }

    /// Returns the hops of answers to a node that has used relays within `memory`; 0 for any other.
    pub(crate) fn answer_hops(&self, node: NodeId, now: Time, memory: Span) -> u8 {
        let recent = |used: &&(NodeId, Time, u8)| used.0 == node && now.since(used.1) <= memory;
        self.relayed_from.iter().find(recent).map_or(0, |used| used.2)
    }

    /// Returns a message to a node by relays.
    pub(crate) fn start(
        &mut self,
        to: NodeId,
        hops: u8,
        is_answer: bool,
        now: Time,
        content: Vec<u8>,
    ) -> Forwarding {
        // Greater than all earlier numbers, also after a crash.
        self.last_number = (self.last_number + 1).max(now.as_nanos());
        let number = self.last_number;
        let hops = if self.candidates.len() > GROUP_MAX { 1 } else { hops };
        let most = if hops == 1 { INDIRECT } else { FLOOD_MAX };
        let relays = self.relays(most, &[to]);
        let content = content.into();
        let relayed = Relayed {
            origin: self.me,
            target: to,
            number,
            hops,
            hops_left: hops.saturating_sub(1),
            is_answer,
            content,
        };
        Forwarding { to: relays, relayed }
    }

    /// Returns what to do with a relayed message from a node, or `None` if it was here before. A message for this node
    /// has no receivers. A node that hears the target directly does not pass the message to others.
    pub(crate) fn on_relayed(
        &mut self,
        from: NodeId,
        relayed: &Relayed,
        now: Time,
        hears_target: bool,
    ) -> Option<Forwarding> {
        if relayed.origin == self.me || !self.remember(relayed.origin, relayed.number) {
            return None;
        }
        if relayed.target == self.me {
            if !relayed.is_answer {
                self.relayed_from.retain(|used| used.0 != relayed.origin);
                self.relayed_from.push((relayed.origin, now, relayed.hops));
            }
            return Some(Forwarding { to: Vec::new(), relayed: relayed.clone() });
        }
        let mut to = vec![relayed.target];
        if relayed.hops_left > 0 && !hears_target {
            to.extend(self.relays(FLOOD_MAX, &[from, relayed.origin, relayed.target]));
        }
        let next =
            Relayed { hops_left: relayed.hops_left.saturating_sub(1).min(HOPS_MAX), ..relayed.clone() };
        Some(Forwarding { to, relayed: next })
    }

    /// Forgets nodes that have not used relays within `memory`.
    pub(crate) fn forget(&mut self, now: Time, memory: Span) {
        self.relayed_from.retain(|used| now.since(used.1) <= memory);
    }

    /// Remembers a message, and returns whether it is new. Numbers are times, so what is much older than the latest
    /// message of its origin is late, and counts as known.
    fn remember(&mut self, origin: NodeId, number: u64) -> bool {
        let numbers = self.seen.entry(origin).or_default();
        let latest = numbers.last().copied().unwrap_or_default().max(number);
        let first = latest.saturating_sub(REMEMBERED.as_nanos());
        if number < first || !numbers.insert(number) {
            return false;
        }
        while numbers.first().is_some_and(|&number| number < first) {
            numbers.pop_first();
        }
        true
    }

    /// Returns at most `most` nodes that can relay a message, other ones each time: those that answer directly, as far
    /// as this node knows.
    fn relays(&mut self, most: usize, except: &[NodeId]) -> Vec<NodeId> {
        let is_detour = |node: &NodeId| self.detours.binary_search_by_key(node, |detour| detour.0).is_ok();
        let known = self.candidates.iter().chain(&self.neighbours).copied();
        let mut relays: Vec<_> =
            known.filter(|node| *node != self.me && !except.contains(node) && !is_detour(node)).collect();
        relays.sort_unstable();
        relays.dedup();
        if relays.len() > most {
            let first = self.sent * most % relays.len();
            relays.rotate_left(first);
            relays.truncate(most);
        }
        self.sent = self.sent.wrapping_add(1);
        relays
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMORY: Span = Span::from_secs(30);

    fn node(index: usize) -> NodeId {
        NodeId::new(index)
    }

    fn nodes(indices: &[usize]) -> Vec<NodeId> {
        indices.iter().copied().map(node).collect()
    }

    fn at(seconds: u64) -> Time {
        Time::ZERO + Span::from_secs(seconds)
    }

    /// Returns the relay of node 0 among so many candidates.
    fn relay(candidates: usize) -> Relay {
        Relay::new(node(0), &(0..candidates).map(node).collect())
    }

    fn start(relay: &mut Relay, to: usize, hops: u8, now: Time) -> Forwarding {
        relay.start(node(to), hops, false, now, vec![1, 2])
    }

    /// Returns a message from node 1 with this number and so many hops left.
    fn message(target: usize, number: Time, hops_left: u8) -> Relayed {
        let (origin, target, number) = (node(1), node(target), number.as_nanos());
        Relayed { origin, target, number, hops: 16, hops_left, is_answer: false, content: Arc::new([1]) }
    }

    #[test]
    fn numbers_increase_also_within_an_instant_and_after_a_crash() {
        let mut relay = relay(3);
        let first = [start(&mut relay, 1, 1, at(5)), start(&mut relay, 1, 1, at(5))];
        let numbers = first.map(|sent| sent.relayed.number);
        assert_eq!(numbers, [5_000_000_000, 5_000_000_001]);
        assert_eq!(start(&mut self::relay(3), 1, 1, at(6)).relayed.number, 6_000_000_000);
    }

    #[test]
    fn few_nodes_relay_a_single_time_and_many_relay_further() {
        let mut relay = relay(GROUP_MAX);
        relay.set_neighbours(nodes(&[0, 16, 17, 18, 19]).into_iter());
        let single = start(&mut relay, 3, 1, at(0));
        assert_eq!((single.relayed.hops, single.relayed.hops_left, single.to.len()), (1, 0, INDIRECT));
        let flood = start(&mut relay, 3, 16, at(0));
        assert_eq!((flood.relayed.hops, flood.relayed.hops_left, flood.to.len()), (16, 15, FLOOD_MAX));
        relay.set_detour(node(2), Some(4));
        let mut asked: Vec<NodeId> = (0..20).flat_map(|_| start(&mut relay, 3, 1, at(0)).to).collect();
        asked.sort_unstable();
        asked.dedup();
        let all = (0..20).filter(|index| ![0, 2, 3].contains(index)).map(node);
        assert_eq!(
            asked,
            all.collect::<Vec<_>>(),
            "all but the node itself, the target, and those that do not answer directly"
        );
        let mut crowd = self::relay(GROUP_MAX + 1);
        assert_eq!(start(&mut crowd, 3, 16, at(0)).relayed.hops, 1);
        assert_eq!(start(&mut self::relay(GROUP_MAX), 3, 16, at(0)).relayed.hops, 16);
    }

    #[test]
    fn the_same_relays_are_not_asked_each_time() {
        let mut relay = relay(9);
        let asked = [0, 1, 2].map(|_| start(&mut relay, 1, 1, at(0)).to);
        assert_eq!(asked, [nodes(&[2, 3, 4]), nodes(&[5, 6, 7]), nodes(&[8, 2, 3])]);
    }

    #[test]
    fn detours_are_set_and_ended() {
        let mut relay = relay(9);
        for (index, hops) in [(5, Some(1)), (3, Some(2)), (5, Some(16)), (4, None)] {
            relay.set_detour(node(index), hops);
        }
        assert_eq!([3, 4, 5].map(|index| relay.detour(node(index))), [2, 0, 16]);
        relay.set_detour(node(3), None);
        assert_eq!([3, 4, 5].map(|index| relay.detour(node(index))), [0, 0, 16]);
    }

    #[test]
    fn a_message_is_forwarded_once_to_its_target_and_while_hops_are_left() {
        let mut relay = relay(6);
        let (last, further) = (message(2, at(1), 0), message(2, at(2), 3));
        let forwarded = relay.on_relayed(node(1), &last, at(3), false).expect("a new message");
        assert_eq!((forwarded.to, forwarded.relayed), (nodes(&[2]), last.clone()));
        assert!(relay.on_relayed(node(4), &last, at(3), false).is_none(), "it was here before");
        let forwarded = relay.on_relayed(node(3), &further, at(3), false).expect("a new message");
        assert_eq!((forwarded.to, forwarded.relayed.hops_left), (nodes(&[2, 4, 5]), 2));
        let heard = message(2, at(3), 3);
        let forwarded = relay.on_relayed(node(3), &heard, at(3), true).expect("a new message");
        assert_eq!(forwarded.to, nodes(&[2]), "the target answers directly");
        let own = Relayed { origin: node(0), ..message(2, at(4), 3) };
        assert!(relay.on_relayed(node(3), &own, at(4), false).is_none(), "it has come back");
        let endless = message(2, at(5), u8::MAX);
        let forwarded = relay.on_relayed(node(3), &endless, at(5), false).expect("a new message");
        assert_eq!(forwarded.relayed.hops_left, HOPS_MAX);
    }

    #[test]
    fn answers_take_relays_for_some_time() {
        let mut relay = relay(6);
        let hops = |relay: &Relay, now| relay.answer_hops(node(1), at(now), MEMORY);
        let received =
            relay.on_relayed(node(3), &message(0, at(1), 0), at(10), false).expect("a new message");
        assert_eq!(received.to, []);
        assert_eq!([40, 41].map(|now| hops(&relay, now)), [16, 0]);
        assert_eq!(relay.answer_hops(node(2), at(10), MEMORY), 0);
        relay.on_relayed(node(3), &message(0, at(2), 0), at(20), false);
        assert_eq!((hops(&relay, 50), relay.relayed_from.len()), (16, 1));
        let answer = Relayed { is_answer: true, ..message(0, at(3), 0) };
        relay.on_relayed(node(3), &answer, at(30), false);
        assert_eq!(hops(&relay, 51), 0, "an answer needs none");
        relay.forget(at(50), MEMORY);
        assert_eq!(relay.relayed_from.len(), 1);
        relay.forget(at(51), MEMORY);
        assert_eq!(relay.relayed_from.len(), 0);
    }

    #[test]
    fn numbers_of_a_minute_are_remembered() {
        let mut relay = relay(3);
        let start = 100;
        assert!(
            relay.remember(node(1), at(start).as_nanos())
                && relay.remember(node(1), at(start - 60).as_nanos())
        );
        assert!(!relay.remember(node(1), at(start - 61).as_nanos()), "too late");
        assert!(!relay.remember(node(1), at(start).as_nanos()), "known");
        assert!(relay.remember(node(2), at(1).as_nanos()), "of another node");
        assert!(relay.remember(node(1), at(start + 60).as_nanos()));
        assert_eq!(relay.seen[&node(1)].len(), 2, "the earliest number is forgotten");
    }
}
