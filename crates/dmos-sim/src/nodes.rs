//! The nodes, each with its disk, its clock, its workers and its faults.

mod disk;
mod node_clock;

use std::collections::VecDeque;
use std::ops::{Index, IndexMut};
use std::sync::Arc;

use dmos_core::faults::{CrashEffect, Faults};
use dmos_core::{Metric, NodeId, Scenario, Span, Time};
use dmos_node::{Command, Effects, Input, Node, NodeSettings, Scrapped};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use crate::cpu::{WorkItem, WorkerId, Workers};
use crate::event::Event;
use crate::rng::{Purpose, stream};
use crate::transport::MessageId;
use disk::Disk;
pub(crate) use node_clock::Clock;

/// All nodes of the network.
pub(crate) struct Nodes(Vec<SimNode>);

impl Nodes {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let (network, seed) = (&scenario.network, scenario.seed);
        let settings = Arc::new(NodeSettings {
            network: Arc::clone(network),
            protocol: scenario.protocol.clone(),
            flow: scenario.flow.clone(),
            planning_budget: scenario.planning_budget.get(),
            routes: Arc::clone(&scenario.routes),
            seed,
            leader: scenario.leader.build().into(),
            detector: scenario.detector.build().into(),
            candidates: Arc::clone(&scenario.candidates),
            added_later: scenario.added_later().collect(),
        });
        let drift = scenario.faults.clocks.drift;
        let clock = |node| match drift {
            0.0 => Clock::new(0.0),
            drift => Clock::new(drift * (stream(seed, Purpose::Clock, node, 0).random::<f64>() * 2.0 - 1.0)),
        };
        let sim_node = |node| SimNode::new(Node::new(node, Arc::clone(&settings)), clock(node), scenario);
        Self(network.nodes().map(sim_node).collect())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns all nodes with their identifiers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (NodeId, &SimNode)> {
        self.0.iter().enumerate().map(|(index, sim_node)| (NodeId::new(index), sim_node))
    }
}

impl Index<NodeId> for Nodes {
    type Output = SimNode;

    #[inline]
    fn index(&self, node: NodeId) -> &SimNode {
        &self.0[node.index()]
    }
}

impl IndexMut<NodeId> for Nodes {
    #[inline]
    fn index_mut(&mut self, node: NodeId) -> &mut SimNode {
        &mut self.0[node.index()]
    }
}

/// Lifecycle state of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// Not started yet.
    Absent,
    Up,
    Down {
        /// True if only an explicit recovery brings the node back.
        for_good: bool,
    },
}

impl State {
    pub(crate) fn is_up(self) -> bool {
        self == Self::Up
    }
}

/// A node with its disk, its clock and its workers.
///
/// The fields that every event reads come first, in two cache lines: in large networks an event mostly waits
/// for memory.
#[repr(C, align(64))]
pub(crate) struct SimNode {
    pub(crate) state: State,
    /// Number of crashes so far.
    pub(crate) incarnation: u32,
    pub(crate) workers: Workers,
    pub(crate) frozen: Option<Box<Frozen>>,
    pub(crate) slow: Option<Box<Slow>>,
    /// A scheduled crash in the middle of the next input.
    pub(crate) crash_midway: Option<Box<PendingFailure>>,
    pub(crate) clock: Clock,
    /// Incarnation of each epoch, and the clock's stopped time at its start. A crash starts an epoch, so that
    /// earlier timers are ignored, and so does the end of a freeze.
    epochs: Vec<(u32, Span)>,
    pub(crate) disk: Disk,
    pub(crate) node: Node,
    /// Under `mailbox: survives_crash`, true if the node was idle at its crash.
    pub(crate) loses_next_message: bool,
    /// Commands that the node has not logged yet, with the numbers of their faults.
    pub(crate) commands: VecDeque<(Command, usize)>,
    /// Material that a crash destroys.
    pub(crate) scrapped: Scrapped,
    /// Number of the current outage.
    pub(crate) outage: Option<usize>,
    /// A scheduled failure of the next append.
    pub(crate) append_failure: Option<Box<PendingFailure>>,
    seed: u64,
    /// Created when it is first used.
    appends: Option<Box<ChaCha8Rng>>,
}

/// State of a frozen node.
pub(crate) struct Frozen {
    pub(crate) since: Time,
    pub(crate) fault: usize,
    /// Held events, with the times at which they occurred.
    pub(crate) held: Vec<(Time, Event)>,
}

/// Everything outside the node that a crash discards.
pub(crate) struct CrashDiscards {
    pub(crate) running_tasks: usize,
    pub(crate) messages: Vec<MessageId>,
}

/// The outcome of holding an event.
pub(crate) enum HoldOutcome {
    /// The event is held because of the freeze with this number.
    By { fault: usize },
    /// The message of the event is dropped.
    Dropped(MessageId),
}

/// State of a slowed node.
pub(crate) struct Slow {
    pub(crate) by: Span,
    pub(crate) fault: usize,
}

/// A failure that waits for its moment.
#[derive(Clone, Copy)]
pub(crate) struct PendingFailure {
    pub(crate) fault: usize,
    /// Downtime after the failure.
    pub(crate) downtime: Downtime,
}

/// Downtime of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Downtime {
    /// For this duration, or until all faults are healed.
    For(Span),
    /// Until an explicit recovery, or until all faults are healed.
    UntilHealed,
    /// Until an explicit recovery.
    Permanent,
}

impl SimNode {
    pub(crate) fn new(node: Node, clock: Clock, scenario: &Scenario) -> Self {
        let scrapped = scrapped(&scenario.faults, scenario.network.is_final(node.id()));
        Self {
            node,
            disk: Disk::default(),
            clock,
            state: State::Absent,
            incarnation: 0,
            epochs: vec![(0, Span::ZERO)],
            workers: Workers::default(),
            loses_next_message: false,
            commands: VecDeque::new(),
            scrapped,
            frozen: None,
            outage: None,
            slow: None,
            crash_midway: None,
            append_failure: None,
            seed: scenario.seed,
            appends: None,
        }
    }

    /// Passes an input to the node, at the time that its clock shows.
    #[inline(always)]
    pub(crate) fn deliver(&mut self, now: Time, input: Input<'_>, effects: &mut dyn Effects) {
        self.node.handle(self.clock.local_time(now), input, effects);
    }

    pub(crate) fn is_up(&self) -> bool {
        self.state.is_up()
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen.is_some()
    }

    /// Returns the number of tasks on the CPU. A frozen node may hold the end of one that has ended.
    fn running_tasks(&self) -> usize {
        let begun = self.workers.iter().filter(|worker| worker.job.is_some()).count();
        let held = self.frozen.iter().flat_map(|frozen| &frozen.held);
        begun - held.filter(|(_, event)| matches!(event, Event::TaskEnd(_))).count()
    }

    /// Returns the messages that the node has not read: of its workers, and held while it is frozen.
    pub(crate) fn unread_messages(&self) -> impl Iterator<Item = MessageId> {
        let held = self.frozen.iter().flat_map(|frozen| &frozen.held);
        self.workers.message_ids().chain(held.filter_map(|(_, event)| event.message_id()))
    }

    /// Ends the incarnation: discards everything but the log, and queued messages if `keeps_mailbox`.
    pub(crate) fn crash(&mut self, for_good: bool, keeps_mailbox: bool) -> CrashDiscards {
        self.state = State::Down { for_good };
        self.end_incarnation();
        let running_tasks = self.running_tasks();
        (self.slow, self.crash_midway, self.append_failure) = (None, None, None);
        let messages = self.workers.get_mut(WorkerId::Messages);
        self.loses_next_message = keeps_mailbox && messages.blocked_on.is_none() && messages.job.is_none();
        let mut kept = VecDeque::new();
        if keeps_mailbox {
            let is_message =
                |(_, work_item): &(Time, WorkItem)| matches!(work_item, WorkItem::Message { .. });
            kept.extend(messages.waiting.iter().copied().filter(is_message));
            messages.waiting.retain(|work_item| !is_message(work_item));
        }
        let messages = self.unread_messages().collect();
        (self.workers, self.frozen) = (Workers::default(), None);
        if !kept.is_empty() {
            self.workers.get_mut(WorkerId::Messages).waiting = kept;
        }
        CrashDiscards { running_tasks, messages }
    }

    /// Holds an event while the node is frozen. Returns a message that exceeds `mailbox_limit`, which is
    /// dropped, or the number of the freeze as a fault.
    pub(crate) fn hold(&mut self, now: Time, event: Event, mailbox_limit: Option<usize>) -> HoldOutcome {
        let frozen = self.frozen.as_mut().expect("events are held for frozen nodes only");
        let is_full = mailbox_limit.is_some_and(|limit| frozen.held.len() >= limit);
        if let (true, Some(message)) = (is_full, event.message_id()) {
            self.node.count(Metric::MessagesDropped);
            return HoldOutcome::Dropped(message);
        }
        frozen.held.push((now, event));
        HoldOutcome::By { fault: frozen.fault }
    }

    /// Returns the current epoch.
    pub(crate) fn epoch(&self) -> u32 {
        (self.epochs.len() - 1) as u32
    }

    /// Returns the delay to be added to an action that was initiated in an epoch, or `None` if the action is
    /// void.
    pub(crate) fn time_lost(&self, epoch: u32) -> Option<Span> {
        let (incarnation, stopped) = self.epochs[epoch as usize];
        (incarnation == self.incarnation).then(|| self.clock.stopped() - stopped)
    }

    /// Ends the incarnation.
    pub(crate) fn end_incarnation(&mut self) {
        self.incarnation += 1;
        self.begin_epoch();
    }

    /// Ends a freeze of this duration.
    pub(crate) fn end_freeze(&mut self, span: Span) {
        self.clock.add_stopped_time(span);
        self.begin_epoch();
    }

    fn begin_epoch(&mut self) {
        self.epochs.push((self.incarnation, self.clock.stopped()));
    }

    /// Returns the random stream of append failures.
    pub(crate) fn append_failure_stream(&mut self) -> &mut ChaCha8Rng {
        let (seed, node) = (self.seed, self.node.id());
        self.appends.get_or_insert_with(|| Box::new(stream(seed, Purpose::Append, node, 0)))
    }

    /// Returns the time by which each of its actions is delayed.
    pub(crate) fn slowdown(&self) -> Span {
        self.slow.as_ref().map_or(Span::ZERO, |slow| slow.by)
    }

    /// Returns whether the node is up and not frozen.
    pub(crate) fn is_running(&self) -> bool {
        self.is_up() && !self.is_frozen()
    }
}

fn scrapped(faults: &Faults, is_final: bool) -> Scrapped {
    let material = &faults.material;
    let stock = if is_final { material.finished } else { material.outbound };
    Scrapped { outbound: stock == CrashEffect::Scrapped, inbound: material.inbound == CrashEffect::Scrapped }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fields that every event reads fit the first two cache lines; of the disk, its first half line.
    #[test]
    fn hot_fields_come_first() {
        assert!(std::mem::offset_of!(SimNode, disk) + 32 <= 128);
    }

    /// A million nodes must fit the memory of a small machine, and pending events a processor's caches.
    #[test]
    fn nodes_and_events_stay_small() {
        assert!(size_of::<SimNode>() <= 1_664, "{} bytes for a node", size_of::<SimNode>());
        assert!(size_of::<Event>() <= 24, "{} bytes for an event", size_of::<Event>());
    }
}
