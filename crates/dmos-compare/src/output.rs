//! Output over time: the complete sets of final items that a run finished, compared with its fault-free counterpart.
//!
//! Everything is computed from the instants at which sets were completed. So nothing depends on the interval of
//! samples, and losses near the ends of a run count in full.
//!
//! A **fall** is a period in which the run makes less than three quarters of what its counterpart makes, over a
//! window in which the counterpart completes ten sets: shorter windows would measure noise, longer ones would hide
//! falls. The fall begins with the first set that is missing in the first such window, and ends with the first set
//! from which on the output suffices again. At the ends of the run windows are shorter; at least three sets must be
//! missing for a fall, and three sets of the counterpart must follow a recovery.

use dmos_core::{Network, RunRecord, Time};

/// Complete sets of the fault-free counterpart in a window.
const SETS_IN_WINDOW: usize = 10;

/// Missing sets of a window that make a fall: more than a quarter of a whole one.
const MISSING_IN_FALL: i64 = 3;

/// Sets of the counterpart that must follow a recovery.
const SETS_AFTER_RECOVERY: usize = 3;

/// Sets that a window after a recovery lacks, from which on they count as part of the fall. A single one is a matter
/// of phase.
const MISSING_BEFORE_RECOVERY: i64 = 2;

/// Returns the times at which each complete set of final items was completed, in order of time. A set counts from the
/// time after which it was never taken apart again: under `production: polled`, nodes can take finished goods back.
pub(crate) fn completed_sets(network: &Network, record: &RunRecord) -> Vec<Time> {
    let weights: Vec<_> = network.final_weights().collect();
    let mut finished = vec![0_i64; weights.len()];
    let mut times = Vec::new();
    for change in &record.finished {
        let Some(at) = weights.iter().position(|(item, _)| *item == change.item) else { continue };
        finished[at] += i64::from(change.batches);
        let sets = |(finished, (_, weight)): (&i64, &(_, u32))| finished.div_euclid(i64::from(*weight));
        let sets = finished.iter().zip(&weights).map(sets).min().unwrap_or(0);
        times.resize(usize::try_from(sets).unwrap_or(0), change.at);
    }
    times
}

/// A period of degraded output.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fall {
    /// Time of the first missing set.
    pub(crate) from: Time,
    /// Time of the first set after it, or `None` if the output does not recover before the end of the run.
    pub(crate) until: Option<Time>,
}

/// Returns the falls of a run after `since`, given the times of the sets completed in the run and in its fault-free
/// counterpart. O(n) for few falls.
pub(crate) fn falls(run: &[Time], fault_free: &[Time], since: Time) -> Vec<Fall> {
    let mut falls = Vec::new();
    let mut since = since;
    while let Some(from) = next_fall(run, fault_free, since) {
        let until = recovery(run, fault_free, from);
        falls.push(Fall { from, until });
        match until {
            Some(until) => since = until,
            None => break,
        }
    }
    falls
}

/// Returns the number of times before `at`.
fn before(times: &[Time], at: Time) -> usize {
    times.partition_point(|time| *time < at)
}

/// Returns the time of the first missing set of the next fall, if there is one. Sets at or after `since` count.
fn next_fall(run: &[Time], fault_free: &[Time], since: Time) -> Option<Time> {
    let (first, made_before) = (before(fault_free, since), before(run, since));
    for last in first..fault_free.len() {
        let start = (last + 1).saturating_sub(SETS_IN_WINDOW).max(first);
        // A whole window begins after the last set before it.
        let made_from = if start == first { made_before } else { up_to(run, fault_free[start - 1]) };
        let made = up_to(run, fault_free[last]);
        if (last + 1 - start) as i64 - (made - made_from) as i64 >= MISSING_IN_FALL {
            return first_missing(&run[made_from..made], &fault_free[start..=last]);
        }
    }
    None
}

/// Returns the time of the set of the counterpart from which on a window lacks sets: the first one after the last
/// moment at which the fewest sets were missing.
fn first_missing(run: &[Time], fault_free: &[Time]) -> Option<Time> {
    // Sets are fewest just before the next one of the counterpart.
    let missing = |count: usize| count as i64 - before(run, fault_free[count]) as i64;
    let fewest = (0..fault_free.len()).rev().min_by_key(|&count| missing(count))?;
    Some(fault_free[fewest])
}

/// Returns the number of times up to and including `at`.
fn up_to(times: &[Time], at: Time) -> usize {
    times.partition_point(|time| *time <= at)
}

/// Returns the time of the first set of the run after the beginning of a fall from which on the output suffices.
fn recovery(run: &[Time], fault_free: &[Time], from: Time) -> Option<Time> {
    for at in up_to(run, from)..run.len() {
        let first = before(fault_free, run[at]);
        let window = &fault_free[first..fault_free.len().min(first + SETS_IN_WINDOW)];
        if window.len() < SETS_AFTER_RECOVERY {
            return None;
        }
        let made = up_to(run, window[window.len() - 1]) - at;
        if 4 * made >= 3 * window.len() {
            return Some(run[after_last_missing(&run[at..at + made], window) + at]);
        }
    }
    None
}

/// Returns the index of the first set of the run after the first moment at which the most sets of a window are missing;
/// 0 if that is only a matter of phase.
fn after_last_missing(run: &[Time], fault_free: &[Time]) -> usize {
    let mut most = (0, 0);
    for (count, at) in fault_free.iter().enumerate() {
        let made = up_to(run, *at);
        let missing = count as i64 + 1 - made as i64;
        if missing > most.0 {
            most = (missing, made);
        }
    }
    if most.0 >= MISSING_BEFORE_RECOVERY { most.1.min(run.len() - 1) } else { 0 }
}

#[cfg(test)]
mod tests {
    use dmos_core::record::Finished;
    use dmos_core::{ItemId, Span};

    use super::*;

    const END: u64 = 600_000;

    /// Returns a time in milliseconds.
    fn at(millis: u64) -> Time {
        Time::ZERO + Span::from_millis(millis)
    }

    /// Returns the times of a set in every second, after an offset in milliseconds, at the times that are kept.
    fn every_second(offset: u64, keep: impl Fn(u64) -> bool) -> Vec<Time> {
        (1..=END / 1_000).map(|second| second * 1_000 + offset).filter(|&time| keep(time)).map(at).collect()
    }

    /// Returns the falls in milliseconds.
    fn found(run: &[Time], fault_free: &[Time], since: u64) -> Vec<(u64, Option<u64>)> {
        let millis = |time: Time| time.since(Time::ZERO).as_nanos() / 1_000_000;
        let falls = falls(run, fault_free, at(since));
        falls.iter().map(|fall| (millis(fall.from), fall.until.map(millis))).collect()
    }

    #[test]
    fn an_outage_is_found_exactly_wherever_it_is() {
        let fault_free = every_second(0, |_| true);
        for from in [0, 1, 5, 60, 301, 474, 476] {
            // Nothing is made for two minutes after this second.
            let (first, last) = (from * 1_000, (from + 120) * 1_000);
            let run = every_second(0, |time| time <= first || time > last);
            let fall = (first + 1_000, Some(last + 1_000));
            assert_eq!(found(&run, &fault_free, 0), [fall], "after {from} s");
            assert_eq!(found(&run, &fault_free, first), [fall], "after {from} s");
        }
        // Two sets after the outage do not show whether the output suffices.
        let late = every_second(0, |time| !(479_000..=598_000).contains(&time));
        assert_eq!(found(&late, &fault_free, 0), [(479_000, None)]);
    }

    #[test]
    fn the_phase_of_the_sets_does_not_matter() {
        let fault_free = every_second(0, |_| true);
        for offset in [1, 400, 999] {
            let run = every_second(offset, |time| !(100_000..160_000).contains(&time));
            assert_eq!(found(&run, &fault_free, 0), [(100_000, Some(160_000 + offset))], "{offset}");
        }
    }

    #[test]
    fn nothing_after_a_crash_for_good_is_a_fall_without_an_end() {
        let fault_free = every_second(0, |_| true);
        for last in [0, 90, 590, 597] {
            let run = every_second(0, |time| time <= last * 1_000);
            assert_eq!(found(&run, &fault_free, 0), [(last * 1_000 + 1_000, None)]);
        }
        let two_missing = every_second(0, |time| time <= 598_000);
        assert_eq!(found(&two_missing, &fault_free, 0), []);
    }

    #[test]
    fn half_of_the_output_is_a_fall_and_four_fifths_are_none() {
        let fault_free = every_second(0, |_| true);
        let every = |kept: u64, of: u64| {
            every_second(0, move |time| {
                let second = time / 1_000;
                !(101..=200).contains(&second) || second % of < kept
            })
        };
        assert_eq!(found(&every(1, 2), &fault_free, 0), [(101_000, Some(200_000))]);
        assert_eq!(found(&every(4, 5), &fault_free, 0), []);
        let for_good = every_second(0, |time| time <= 100_000 || time % 2_000 == 0);
        assert_eq!(found(&for_good, &fault_free, 0), [(101_000, None)]);
    }

    #[test]
    fn each_fall_is_one_by_itself() {
        let fault_free = every_second(0, |_| true);
        let stops = [(50_000, 60_000), (100_000, 104_000), (200_000, 202_000)];
        let run = every_second(0, |time| !stops.iter().any(|stop| (stop.0..stop.1).contains(&time)));
        let expected = [(50_000, Some(60_000)), (100_000, Some(104_000))];
        assert_eq!(found(&run, &fault_free, 0), expected, "two missing sets are no fall");
        assert_eq!(found(&run, &fault_free, 70_000), expected[1..], "only what follows the failure counts");
        // Three sets late, and then at once.
        let bursts = every_second(0, |_| true).into_iter();
        let late = |time: Time| {
            let tens = time.since(Time::ZERO).as_nanos() / 10_000_000_000;
            time.max(at(tens * 10_000 + 4_500))
        };
        let run: Vec<_> = bursts.map(late).collect();
        assert!(found(&run, &fault_free, 0).len() < 100, "it ends");
    }

    #[test]
    fn a_set_is_complete_once_its_last_item_is_finished_for_good() {
        let network = dmos_testkit::scenario(
            "network: {nodes: [{makes: pin}, {makes: anvil}], final: {pin: 1, anvil: 2}}\nduration: 1h\n",
        )
        .network;
        let change = |millis, item, batches| Finished { at: at(millis), item: ItemId::new(item), batches };
        let finished = vec![
            change(1, 1, 3),
            change(2, 0, 1),
            change(3, 0, 2),
            change(4, 1, 1),
            change(5, 0, -2),
            change(6, 1, 4),
            change(7, 0, 1),
        ];
        let record = RunRecord { finished, ..RunRecord::default() };
        assert_eq!(completed_sets(&network, &record), [at(2), at(7)]);
    }
}
