//! A node with its simulated environment.

use std::collections::VecDeque;

use dmos_core::faults::{CrashEffect, Faults};
use dmos_core::{NodeId, Scenario, Span, Time};
use dmos_node::{Command, Effects, Input, Node, Scrapped};
use rand::rngs::ChaCha8Rng;

use super::Event;
use crate::disk::Disk;
use crate::node_clock::Clock;
use crate::rng::{Purpose, stream};
use crate::workers::Workers;

/// Lifecycle state of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// Not started yet.
    Absent,
    Up,
    Down {
        /// True if only an explicit recovery brings the node back.
        for_good: bool,
    },
}

impl State {
    pub(super) fn is_up(self) -> bool {
        self == Self::Up
    }
}

/// A node with its disk, its clock and its workers.
///
/// The fields that every event reads come first, in two cache lines: in large networks an event mostly waits
/// for memory.
#[repr(C, align(64))]
pub(super) struct SimNode {
    pub(super) state: State,
    /// Number of crashes so far.
    pub(super) incarnation: u32,
    pub(super) workers: Workers,
    pub(super) frozen: Option<Box<Frozen>>,
    pub(super) slow: Option<Box<Slow>>,
    /// A scheduled crash in the middle of the next input.
    pub(super) crash_midway: Option<Box<PendingFailure>>,
    pub(super) clock: Clock,
    /// Incarnation of each epoch, and the clock's stopped time at its start. A crash starts an epoch, so that
    /// earlier timers are known to be void, and so does the end of a freeze.
    epochs: Vec<(u32, Span)>,
    pub(super) disk: Disk,
    pub(super) node: Node,
    /// Under `mailbox: survives_crash`, true if the node was idle at its crash.
    pub(super) loses_next_message: bool,
    /// Commands that the node has not logged yet, with the numbers of their faults.
    pub(super) commands: VecDeque<(Command, usize)>,
    /// Material that a crash destroys.
    pub(super) scrapped: Scrapped,
    /// Number of the current outage.
    pub(super) outage: Option<usize>,
    /// A scheduled failure of the next append.
    pub(super) append_failure: Option<Box<PendingFailure>>,
    seed: u64,
    /// Created when it is first used.
    appends: Option<Box<ChaCha8Rng>>,
}

/// State of a frozen node.
pub(super) struct Frozen {
    pub(super) since: Time,
    pub(super) fault: usize,
    /// Held events, with the times at which they occurred.
    pub(super) held: Vec<(Time, Event)>,
}

/// State of a slowed node.
pub(super) struct Slow {
    pub(super) by: Span,
    pub(super) fault: usize,
}

/// A failure that waits for its moment.
#[derive(Clone, Copy)]
pub(super) struct PendingFailure {
    pub(super) fault: usize,
    /// Downtime after the failure.
    pub(super) downtime: Down,
}

/// Downtime of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Down {
    /// This long, or until all faults are healed.
    For(Span),
    /// Until an explicit recovery, or until all faults are healed.
    UntilRepaired,
    /// Until an explicit recovery.
    ForGood,
}

impl SimNode {
    pub(super) fn new(node: Node, clock: Clock, scenario: &Scenario) -> Self {
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
    pub(super) fn deliver(&mut self, now: Time, input: Input<'_>, effects: &mut dyn Effects) {
        self.node.handle(self.clock.local_time(now), input, effects);
    }

    pub(super) fn is_up(&self) -> bool {
        self.state.is_up()
    }

    pub(super) fn is_frozen(&self) -> bool {
        self.frozen.is_some()
    }

    /// Returns the number of pieces of work on the CPU. A frozen node may hold the completion of one that has
    /// ended.
    pub(super) fn running_pieces(&self) -> usize {
        let begun = self.workers.iter().filter(|worker| worker.job.is_some()).count();
        let held = self.frozen.iter().flat_map(|frozen| &frozen.held);
        begun - held.filter(|(_, event)| matches!(event, Event::WorkDone(_))).count()
    }

    /// Returns the current epoch.
    pub(super) fn epoch(&self) -> u32 {
        (self.epochs.len() - 1) as u32
    }

    /// Returns the delay to be added to an action that was initiated in an epoch, or `None` if the action is
    /// void.
    pub(super) fn time_lost(&self, epoch: u32) -> Option<Span> {
        let (incarnation, stopped) = self.epochs[epoch as usize];
        (incarnation == self.incarnation).then(|| self.clock.stopped() - stopped)
    }

    /// Ends the incarnation.
    pub(super) fn end_incarnation(&mut self) {
        self.incarnation += 1;
        self.begin_epoch();
    }

    /// Ends a freeze of this duration.
    pub(super) fn end_freeze(&mut self, span: Span) {
        self.clock.add_stopped_time(span);
        self.begin_epoch();
    }

    fn begin_epoch(&mut self) {
        self.epochs.push((self.incarnation, self.clock.stopped()));
    }

    /// Returns the random stream of append failures.
    pub(super) fn append_failure_stream(&mut self) -> &mut ChaCha8Rng {
        let (seed, node) = (self.seed, self.node.id());
        self.appends.get_or_insert_with(|| Box::new(stream(seed, Purpose::Append, node, 0)))
    }

    /// Returns whether the node is up and not frozen.
    pub(super) fn is_running(&self) -> bool {
        self.is_up() && !self.is_frozen()
    }
}

fn scrapped(faults: &Faults, is_final: bool) -> Scrapped {
    let material = &faults.material;
    let stock = if is_final { material.finished } else { material.outbound };
    Scrapped { outbound: stock == CrashEffect::Scrapped, inbound: material.inbound == CrashEffect::Scrapped }
}

/// Returns all nodes with their identifiers.
pub(super) fn nodes(nodes: &[SimNode]) -> impl Iterator<Item = (NodeId, &SimNode)> {
    nodes.iter().enumerate().map(|(index, sim_node)| (NodeId::new(index), sim_node))
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
        assert!(size_of::<SimNode>() <= 1_536, "{} bytes for a node", size_of::<SimNode>());
        assert!(size_of::<Event>() <= 24, "{} bytes for an event", size_of::<Event>());
    }
}
