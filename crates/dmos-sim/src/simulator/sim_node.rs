//! A node with everything around it that is its own.

use std::collections::VecDeque;

use dmos_core::faults::{CrashEffect, Faults};
use dmos_core::{NodeId, Scenario, Span, Time};
use dmos_node::{Command, Effects, Input, Node, Scrapped};
use rand::rngs::ChaCha8Rng;

use super::Event;
use crate::clock::Clock;
use crate::disk::Disk;
use crate::rng::{Purpose, stream};
use crate::workers::Workers;

/// Whether a node is up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// It has not started yet.
    Absent,
    Up,
    Down {
        /// Nobody repairs it.
        for_good: bool,
    },
}

impl State {
    pub(super) fn is_up(self) -> bool {
        self == Self::Up
    }
}

/// A node with its disk, its clock and its threads.
///
/// What every event looks at comes first, in two cache lines: where nodes are many, an event mostly waits for memory.
#[repr(C, align(64))]
pub(super) struct SimNode {
    pub(super) state: State,
    /// Counts crashes.
    pub(super) incarnation: u32,
    pub(super) workers: Workers,
    pub(super) frozen: Option<Box<Frozen>>,
    pub(super) slow: Option<Box<Slow>>,
    /// It is to crash in the middle of the next input.
    pub(super) crash_midway: Option<Box<PendingFailure>>,
    pub(super) clock: Clock,
    /// The incarnation of each epoch, and for how long the clock had stood still at its beginning. A crash begins an
    /// epoch, so that timers from before it are known to be void, and so does the end of a standstill.
    epochs: Vec<(u32, Span)>,
    pub(super) disk: Disk,
    pub(super) node: Node,
    /// Under `mailbox: survives_crash`, whether the node was idle at its crash.
    pub(super) loses_next_message: bool,
    /// Actions that it has not entered in its log yet, with the numbers of their faults.
    pub(super) commands: VecDeque<(Command, usize)>,
    /// What a crash destroys.
    pub(super) scrapped: Scrapped,
    /// The number of the outage it is in.
    pub(super) outage: Option<usize>,
    /// Its next append is to fail.
    pub(super) append_failure: Option<Box<PendingFailure>>,
    seed: u64,
    /// Made when it is first drawn from.
    appends: Option<Box<ChaCha8Rng>>,
}

/// A node that stands still.
pub(super) struct Frozen {
    pub(super) since: Time,
    pub(super) fault: usize,
    /// What has come meanwhile, and when.
    pub(super) held: Vec<(Time, Event)>,
}

/// A node that takes longer for everything.
pub(super) struct Slow {
    pub(super) by: Span,
    pub(super) fault: usize,
}

/// A failure that waits for its moment.
#[derive(Clone, Copy)]
pub(super) struct PendingFailure {
    pub(super) fault: usize,
    /// How long the node is down then.
    pub(super) downtime: Down,
}

/// How long a node is down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Down {
    /// So long, or until all is healed.
    For(Span),
    /// Until somebody recovers it, or all is healed.
    UntilRepaired,
    /// Until somebody recovers it.
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

    /// Hands the node an input, at the time that its clock shows.
    #[inline(always)]
    pub(super) fn deliver(&mut self, now: Time, input: Input<'_>, effects: &mut dyn Effects) {
        self.node.handle(self.clock.shows(now), input, effects);
    }

    pub(super) fn is_up(&self) -> bool {
        self.state.is_up()
    }

    pub(super) fn is_frozen(&self) -> bool {
        self.frozen.is_some()
    }

    /// Returns the number of pieces of work under way. A frozen node may not have seen that one has ended.
    pub(super) fn in_transit(&self) -> usize {
        let begun = self.workers.iter().filter(|worker| worker.job.is_some()).count();
        let held = self.frozen.iter().flat_map(|frozen| &frozen.held);
        begun - held.filter(|(_, event)| matches!(event, Event::WorkDone(_))).count()
    }

    /// Returns the epoch of what it sets going now.
    pub(super) fn epoch(&self) -> u32 {
        (self.epochs.len() - 1) as u32
    }

    /// How much later than it was set what was set going in an epoch is to come; none if it is void.
    pub(super) fn time_lost(&self, epoch: u32) -> Option<Span> {
        let (incarnation, stopped) = self.epochs[epoch as usize];
        (incarnation == self.incarnation).then(|| self.clock.stopped() - stopped)
    }

    /// Its incarnation ends.
    pub(super) fn end_incarnation(&mut self) {
        self.incarnation += 1;
        self.begin_epoch();
    }

    /// Its clock has stood still so long.
    pub(super) fn end_freeze(&mut self, span: Span) {
        self.clock.add_stopped_time(span);
        self.begin_epoch();
    }

    fn begin_epoch(&mut self) {
        self.epochs.push((self.incarnation, self.clock.stopped()));
    }

    /// Returns the stream by which its appends fail.
    pub(super) fn appends_drawn(&mut self) -> &mut ChaCha8Rng {
        let (seed, node) = (self.seed, self.node.id());
        self.appends.get_or_insert_with(|| Box::new(stream(seed, Purpose::Append, node, 0)))
    }

    /// Returns whether a fault can hit it: it is up and not frozen.
    pub(super) fn is_working(&self) -> bool {
        self.is_up() && !self.is_frozen()
    }
}

fn scrapped(faults: &Faults, is_final: bool) -> Scrapped {
    let material = &faults.material;
    let stock = if is_final { material.finished } else { material.outbound };
    Scrapped { outbound: stock == CrashEffect::Scrapped, inbound: material.inbound == CrashEffect::Scrapped }
}

/// Returns the nodes' nodes, for those who pick one.
pub(super) fn nodes(nodes: &[SimNode]) -> impl Iterator<Item = (NodeId, &SimNode)> {
    nodes.iter().enumerate().map(|(index, sim_node)| (NodeId::new(index), sim_node))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What every event asks of a node is in its first two cache lines; of the disk, its first half line.
    #[test]
    fn what_every_event_looks_at_comes_first() {
        assert!(std::mem::offset_of!(SimNode, disk) + 32 <= 128);
    }

    /// A million nodes are to fit the memory of a small machine, and pending events a processor's caches.
    #[test]
    fn nodes_and_events_stay_small() {
        assert!(size_of::<SimNode>() <= 1_536, "{} bytes for a node", size_of::<SimNode>());
        assert!(size_of::<Event>() <= 24, "{} bytes for an event", size_of::<Event>());
    }
}
