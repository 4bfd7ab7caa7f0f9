//! A machine whose cores all work under way shares evenly.
//!
//! Processor sharing: with n pieces of work on c cores, each gets min(1, c/n) of a core. Served work is
//! kept as one running total, the CPU time that a piece present all along would have got, so that
//! neither arrival nor departure touches the other pieces.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use dmos_core::{Span, Time};

/// Parts of a nanosecond in which shares are reckoned, so that rounding stays far below one.
const FRACTION: u128 = 1 << 16;

/// The machine. `T` names a piece of work.
pub(crate) struct SharedCpu<T> {
    cores: u64,
    /// Pieces under way; those in `ends` that were given up are not among them.
    in_transit: u64,
    /// CPU time that a piece present from the beginning has got, in fractions of a nanosecond.
    served: u128,
    reckoned_at: Time,
    /// Pieces by the total at which they end, then in the order of arrival.
    ends: BinaryHeap<Reverse<(u128, u64, T)>>,
    arrivals: u64,
}

impl<T: Ord> SharedCpu<T> {
    pub(crate) fn new(cores: u32) -> Self {
        let (ends, cores) = (BinaryHeap::new(), u64::from(cores));
        Self { cores, in_transit: 0, served: 0, reckoned_at: Time::ZERO, ends, arrivals: 0 }
    }

    fn reckon(&mut self, now: Time) {
        let passed = u128::from(now.since(self.reckoned_at).as_nanos()) * FRACTION;
        if self.in_transit > 0 {
            self.served += passed * u128::from(self.cores.min(self.in_transit)) / u128::from(self.in_transit);
        }
        self.reckoned_at = now;
    }

    /// Begins a piece of work.
    pub(crate) fn begin(&mut self, now: Time, work: Span, piece: T) {
        self.reckon(now);
        let end = self.served + u128::from(work.as_nanos()) * FRACTION;
        self.ends.push(Reverse((end, self.arrivals, piece)));
        self.arrivals += 1;
        self.in_transit += 1;
    }

    /// Gives up a piece: it takes no more CPU time, and whoever takes it out later ignores it.
    pub(crate) fn give_up(&mut self, now: Time) {
        assert!(self.in_transit > 0, "only what is under way can be given up");
        self.reckon(now);
        self.in_transit -= 1;
    }

    /// Takes out a piece that has ended by now, if any. `is_live` tells those that were not given up.
    pub(crate) fn take_ended(&mut self, now: Time, is_live: impl Fn(&T) -> bool) -> Option<T> {
        self.reckon(now);
        while self.ends.peek().is_some_and(|Reverse((end, ..))| *end <= self.served) {
            if let Some(Reverse((_, _, piece))) = self.ends.pop()
                && is_live(&piece)
            {
                self.in_transit -= 1;
                return Some(piece);
            }
        }
        None
    }

    /// When the next piece ends if nothing else begins.
    pub(crate) fn next_end(&self) -> Option<Time> {
        // With nothing under way, what was given up is all that is left, and never ends.
        let Reverse((end, ..)) = self.ends.peek().filter(|_| self.in_transit > 0)?;
        let left = end.saturating_sub(self.served) * u128::from(self.in_transit);
        let share = FRACTION * u128::from(self.cores.min(self.in_transit));
        let nanos = u64::try_from(left.div_ceil(share)).unwrap_or(u64::MAX);
        Some(self.reckoned_at + Span::from_nanos(nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(span: u64) -> Time {
        Time::from_nanos(span * 1_000_000_000)
    }

    /// Runs the shared CPU until it is idle; says when each piece ended.
    fn run(shared_cpu: &mut SharedCpu<u32>) -> Vec<(u32, Time)> {
        let mut ended = Vec::new();
        while let Some(at) = shared_cpu.next_end() {
            while let Some(piece) = shared_cpu.take_ended(at, |_| true) {
                ended.push((piece, at));
            }
        }
        ended
    }

    #[test]
    fn two_pieces_share_one_core() {
        let mut shared_cpu = SharedCpu::new(1);
        shared_cpu.begin(Time::ZERO, Span::from_secs(1), 1);
        shared_cpu.begin(Time::ZERO, Span::from_secs(2), 2);
        assert_eq!(run(&mut shared_cpu), [(1, seconds(2)), (2, seconds(3))]);
    }

    #[test]
    fn a_piece_uses_one_core_at_most() {
        let mut shared_cpu = SharedCpu::new(4);
        shared_cpu.begin(Time::ZERO, Span::from_secs(1), 1);
        shared_cpu.begin(Time::ZERO, Span::from_secs(1), 2);
        assert_eq!(run(&mut shared_cpu), [(1, seconds(1)), (2, seconds(1))]);
    }

    #[test]
    fn what_is_given_up_takes_nothing_more() {
        let mut shared_cpu = SharedCpu::new(1);
        shared_cpu.begin(Time::ZERO, Span::from_secs(5), 1);
        shared_cpu.begin(Time::ZERO, Span::from_secs(2), 2);
        shared_cpu.give_up(seconds(2));
        let end = shared_cpu.next_end().expect("piece 2 is left");
        assert_eq!((end, shared_cpu.take_ended(end, |&piece| piece == 2)), (seconds(3), Some(2)));
    }

    #[test]
    fn what_is_given_up_last_leaves_the_host_idle() {
        let mut shared_cpu = SharedCpu::new(1);
        shared_cpu.begin(Time::ZERO, Span::from_secs(1), 1);
        shared_cpu.give_up(Time::from_nanos(999_999_999));
        assert_eq!(shared_cpu.next_end(), None);
    }

    #[test]
    fn a_late_piece_does_not_gain() {
        let mut shared_cpu = SharedCpu::new(1);
        shared_cpu.begin(Time::ZERO, Span::from_secs(3), 1);
        shared_cpu.begin(seconds(1), Span::from_secs(1), 2);
        assert_eq!(run(&mut shared_cpu), [(2, seconds(3)), (1, seconds(4))]);
    }
}
