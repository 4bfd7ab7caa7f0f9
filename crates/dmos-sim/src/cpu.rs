//! The CPU time of work: on a core for each task, or on a CPU shared by all nodes.

mod costs;
mod shared_cpu;
mod workers;

use dmos_core::{NodeId, Scenario, Span, Time};

use crate::event::Event;
use crate::event_queue::EventQueue;
pub(crate) use costs::{appending, handling};
use shared_cpu::SharedCpu;
pub(crate) use workers::{Blocker, Job, WorkItem, WorkerId, Workers};

/// Work in progress: one worker of a node, in one incarnation of the node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Task {
    pub(crate) node: NodeId,
    pub(crate) worker: WorkerId,
    pub(crate) incarnation: u32,
}

/// The CPUs of all nodes.
pub(crate) struct Cpu {
    shared: Option<SharedCpu<Task>>,
    /// True if no handling of an input takes time, unless the node is slowed.
    pub(crate) handling_is_instant: bool,
    /// True if sending a message takes no time.
    pub(crate) sending_is_instant: bool,
}

impl Cpu {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let work = &scenario.work;
        Self {
            shared: work.shared_cpu.map(|shared_cpu| SharedCpu::new(shared_cpu.cores.get())),
            handling_is_instant: work.is_instant(),
            sending_is_instant: work.send.is_zero(),
        }
    }

    /// Starts a task that needs `span` of CPU time, and schedules its end.
    pub(crate) fn begin(&mut self, now: Time, queue: &mut EventQueue<Event>, span: Span, task: Task) {
        match &mut self.shared {
            Some(shared) => {
                shared.begin(now, span, task);
                self.set_tick(queue);
            }
            None => queue.push(now + span, Event::TaskEnd(task)),
        }
    }

    /// Aborts `tasks` tasks of a node that crashed. The ends of tasks with a core of their own are ignored
    /// because the incarnation of their node has ended.
    pub(crate) fn abort(&mut self, now: Time, queue: &mut EventQueue<Event>, tasks: usize) {
        if let Some(shared) = &mut self.shared {
            (0..tasks).for_each(|_| shared.abort(now));
            self.set_tick(queue);
        }
    }

    /// Removes and returns a task that has ended on the shared CPU by now, if there is one. `is_live`
    /// distinguishes tasks that were not aborted.
    pub(crate) fn take_ended(&mut self, now: Time, is_live: impl Fn(&Task) -> bool) -> Option<Task> {
        self.shared.as_mut().and_then(|shared| shared.take_ended(now, is_live))
    }

    /// Schedules the next end of a task on the shared CPU.
    pub(crate) fn set_tick(&self, queue: &mut EventQueue<Event>) {
        let at = self.shared.as_ref().and_then(SharedCpu::next_end);
        queue.put_tick(at, Event::SharedCpuTick);
    }
}
