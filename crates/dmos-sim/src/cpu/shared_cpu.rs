//! A CPU shared by all nodes.
//!
//! Processor sharing: with n tasks on c cores, each receives min(1, c/n) of a core. The service
//! received is kept as one running total, the CPU time that a task present from the beginning would have
//! received, so that neither arrivals nor departures touch the other tasks.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use dmos_core::{Span, Time};

/// Resolution of service: parts of a nanosecond, so that rounding errors stay far below one.
const FRACTION: u128 = 1 << 16;

/// The CPU. `T` identifies a task.
pub(crate) struct SharedCpu<T> {
    cores: u64,
    /// Number of active tasks; aborted tasks in `ends` do not count.
    active: u64,
    /// CPU time that a task present from the beginning has received, in parts of a nanosecond.
    served: u128,
    updated_at: Time,
    /// Tasks by the total service at which they end, then in the order of arrival.
    ends: BinaryHeap<Reverse<(u128, u64, T)>>,
    arrivals: u64,
}

impl<T: Ord> SharedCpu<T> {
    pub(crate) fn new(cores: u32) -> Self {
        let (ends, cores) = (BinaryHeap::new(), u64::from(cores));
        Self { cores, active: 0, served: 0, updated_at: Time::ZERO, ends, arrivals: 0 }
    }

    fn advance(&mut self, now: Time) {
        let passed = u128::from(now.since(self.updated_at).as_nanos()) * FRACTION;
        if self.active > 0 {
            self.served += passed * u128::from(self.cores.min(self.active)) / u128::from(self.active);
        }
        self.updated_at = now;
    }

    /// Starts a task.
    pub(crate) fn begin(&mut self, now: Time, work: Span, task: T) {
        self.advance(now);
        let end = self.served + u128::from(work.as_nanos()) * FRACTION;
        self.ends.push(Reverse((end, self.arrivals, task)));
        self.arrivals += 1;
        self.active += 1;
    }

    /// Aborts a task: it receives no more CPU time, and its completion is ignored.
    pub(crate) fn abort(&mut self, now: Time) {
        assert!(self.active > 0, "no active work to abort");
        self.advance(now);
        self.active -= 1;
    }

    /// Removes and returns a task that has ended by now, if there is one. `is_live` distinguishes tasks
    /// that were not aborted.
    pub(crate) fn take_ended(&mut self, now: Time, is_live: impl Fn(&T) -> bool) -> Option<T> {
        self.advance(now);
        while self.ends.peek().is_some_and(|Reverse((end, ..))| *end <= self.served) {
            if let Some(Reverse((_, _, task))) = self.ends.pop()
                && is_live(&task)
            {
                self.active -= 1;
                return Some(task);
            }
        }
        None
    }

    /// Returns the time at which the next task ends if no other starts.
    pub(crate) fn next_end(&self) -> Option<Time> {
        // Without active tasks, only aborted ones are left, which never end.
        let Reverse((end, ..)) = self.ends.peek().filter(|_| self.active > 0)?;
        let left = end.saturating_sub(self.served) * u128::from(self.active);
        let share = FRACTION * u128::from(self.cores.min(self.active));
        let nanos = u64::try_from(left.div_ceil(share)).unwrap_or(u64::MAX);
        Some(self.updated_at + Span::from_nanos(nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(span: u64) -> Time {
        Time::from_nanos(span * 1_000_000_000)
    }

    /// Runs the CPU until it is idle, and returns the tasks with the times at which they ended.
    fn run(shared_cpu: &mut SharedCpu<u32>) -> Vec<(u32, Time)> {
        let mut ended = Vec::new();
        while let Some(at) = shared_cpu.next_end() {
            while let Some(task) = shared_cpu.take_ended(at, |_| true) {
                ended.push((task, at));
            }
        }
        ended
    }

    #[test]
    fn two_tasks_share_one_core() {
        let mut shared_cpu = SharedCpu::new(1);
        shared_cpu.begin(Time::ZERO, Span::from_secs(1), 1);
        shared_cpu.begin(Time::ZERO, Span::from_secs(2), 2);
        assert_eq!(run(&mut shared_cpu), [(1, seconds(2)), (2, seconds(3))]);
    }

    #[test]
    fn a_task_uses_one_core_at_most() {
        let mut shared_cpu = SharedCpu::new(4);
        shared_cpu.begin(Time::ZERO, Span::from_secs(1), 1);
        shared_cpu.begin(Time::ZERO, Span::from_secs(1), 2);
        assert_eq!(run(&mut shared_cpu), [(1, seconds(1)), (2, seconds(1))]);
    }

    #[test]
    fn an_aborted_task_takes_no_more_time() {
        let mut shared_cpu = SharedCpu::new(1);
        shared_cpu.begin(Time::ZERO, Span::from_secs(5), 1);
        shared_cpu.begin(Time::ZERO, Span::from_secs(2), 2);
        shared_cpu.abort(seconds(2));
        let end = shared_cpu.next_end().expect("task 2 is left");
        assert_eq!((end, shared_cpu.take_ended(end, |&task| task == 2)), (seconds(3), Some(2)));
    }

    #[test]
    fn aborting_the_last_task_leaves_the_cpu_idle() {
        let mut shared_cpu = SharedCpu::new(1);
        shared_cpu.begin(Time::ZERO, Span::from_secs(1), 1);
        shared_cpu.abort(Time::from_nanos(999_999_999));
        assert_eq!(shared_cpu.next_end(), None);
    }

    #[test]
    fn a_late_task_does_not_gain() {
        let mut shared_cpu = SharedCpu::new(1);
        shared_cpu.begin(Time::ZERO, Span::from_secs(3), 1);
        shared_cpu.begin(seconds(1), Span::from_secs(1), 2);
        assert_eq!(run(&mut shared_cpu), [(2, seconds(3)), (1, seconds(4))]);
    }
}
