//! Facts about a run that take some computation: removals of healthy nodes, the longest time without a leader, and the
//! end of the warm-up.

use dmos_core::record::{NodeUsage, Removal};
use dmos_core::{Network, NodeId, RunRecord, Span, Time};

/// Returns whether a node was idle all the time in which it was up.
#[must_use]
pub fn is_idle_spare(usage: &NodeUsage) -> bool {
    usage.idle == usage.up()
}

/// Returns the removals of nodes that were up, and had been up for at least twice the time after which a silent node
/// is suspected. A node that was down and has just recovered is removed for its outage.
pub fn healthy_removals(record: &RunRecord, suspect_after: Span) -> impl Iterator<Item = &Removal> {
    record.removals.iter().filter(move |removal| {
        let mut outages = record.outages.iter().filter(|outage| outage.node == removal.node);
        !outages.any(|outage| {
            let is_over = outage.until.is_some_and(|until| until + suspect_after * 2 < removal.at);
            outage.from <= removal.at && !is_over
        })
    })
}

/// Returns the longest time without a leader.
#[must_use]
pub fn longest_leaderless(record: &RunRecord, end: Time) -> Span {
    record.leaderless(end).into_iter().map(|(from, until)| until.since(from)).max().unwrap_or_default()
}

/// Finished goods in the halves of the measured time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Halves {
    /// Finished goods in the first half.
    pub first: i64,
    /// Finished goods in the second half.
    pub second: i64,
    /// Largest number of finished goods at one time.
    largest: i64,
}

impl Halves {
    /// Returns whether the halves differ by more than 10 %, and by more than two deliveries.
    #[must_use]
    pub fn differ(self) -> bool {
        let difference = (self.first - self.second).abs();
        difference * 10 > self.first.max(self.second) && difference > 2 * self.largest
    }
}

/// Returns the finished goods in the halves of the measured time.
#[must_use]
pub fn halves(record: &RunRecord, end: Time) -> Halves {
    let from = record.measured_from;
    let middle = from + Span::from_nanos(end.since(from).as_nanos() / 2);
    let mut halves = Halves { first: 0, second: 0, largest: 1 };
    for finished in &record.finished {
        let batches = i64::from(finished.batches);
        let half = if finished.at < middle { &mut halves.first } else { &mut halves.second };
        *half += batches;
        halves.largest = halves.largest.max(batches);
    }
    halves
}

/// Number of intervals into which the output is divided for the warm-up.
const INTERVALS_MAX: u64 = 1_000;

/// Number of finished goods below which no warm-up is proposed.
const FINISHED_MIN: u64 = 100;

/// The end of the warm-up as proposed by MSER-5.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct WarmUp {
    /// Proposed end of the warm-up.
    pub until: Time,
    /// Finished goods per hour in all of the measured time.
    pub rate: f64,
    /// Finished goods per hour after the warm-up.
    pub rate_after: f64,
}

/// Proposes the end of the warm-up: the truncation of the output that minimises the marginal standard error of
/// means of five intervals each (White, Cobb and Spratt, "A comparison of five steady-state truncation heuristics
/// for simulation", 2000). Returns `None` if the output is too small, or if the minimum is in its second half.
#[must_use]
pub fn warm_up(record: &RunRecord, end: Time) -> Option<WarmUp> {
    let from = record.measured_from;
    let total: i64 = record.finished.iter().map(|finished| i64::from(finished.batches)).sum();
    let total = u64::try_from(total).ok().filter(|&total| total >= FINISHED_MIN)?;
    let intervals = (total / 2).min(INTERVALS_MAX) / 5 * 5;
    let width = end.since(from).as_nanos() / intervals + 1;
    let mut means = vec![0.0; usize::try_from(intervals / 5).ok()?];
    for finished in &record.finished {
        let at = finished.at.since(from).as_nanos() / (5 * width);
        means[usize::try_from(at).ok()?] += f64::from(finished.batches) / 5.0;
    }
    let cut = truncation(&means)?;
    let until = from + Span::from_nanos(5 * width * cut as u64);
    let after: f64 = means[cut..].iter().sum::<f64>() * 5.0;
    let hours = |from: Time| end.since(from).as_secs_f64() / 3_600.0;
    Some(WarmUp { until, rate: total as f64 / hours(from), rate_after: after / hours(until) })
}

/// Returns the number of leading values that MSER leaves out, or `None` if that is half of them: the minimum is then
/// later, or the series has no steady state.
fn truncation(values: &[f64]) -> Option<usize> {
    let error = |cut: usize| {
        let rest = &values[cut..];
        let count = rest.len() as f64;
        let mean = rest.iter().sum::<f64>() / count;
        rest.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / (count * count)
    };
    let half = values.len() / 2;
    (0..=half).min_by(|&a, &b| error(a).total_cmp(&error(b))).filter(|&least| least < half)
}

/// Returns the nodes in the order in which material flows: of each item after its inputs.
pub fn nodes_in_order(network: &Network) -> impl Iterator<Item = NodeId> + '_ {
    network.topological_order().iter().flat_map(|&item| network.producers(item).iter().copied())
}

#[cfg(test)]
mod tests {
    use dmos_core::ItemId;
    use dmos_core::record::{Finished, Outage};

    use super::*;

    fn at(seconds: u64) -> Time {
        Time::ZERO + Span::from_secs(seconds)
    }

    #[test]
    fn a_removed_node_is_healthy_unless_it_is_down() {
        let outage = |node, from, until: Option<u64>| Outage {
            node: NodeId::new(node),
            from: at(from),
            until: until.map(at),
            was_assigned: true,
        };
        let removal = |node, second| Removal { at: at(second), node: NodeId::new(node), by: NodeId::new(0) };
        let removals = [(1, 15), (1, 25), (1, 31), (2, 29), (2, 40), (3, 5)];
        let record = RunRecord {
            outages: vec![outage(1, 10, Some(20)), outage(2, 30, None)],
            removals: removals.map(|(node, second)| removal(node, second)).to_vec(),
            ..RunRecord::default()
        };
        let healthy = healthy_removals(&record, Span::from_secs(5));
        let healthy: Vec<_> =
            healthy.map(|removal| (removal.node.index(), removal.at.as_secs_f64())).collect();
        assert_eq!(healthy, [(1, 31.0), (2, 29.0), (3, 5.0)]);
    }

    #[test]
    fn a_transient_is_cut() {
        // Nothing for 100 s, then one every second.
        let finished = |second| Finished { at: at(second), item: ItemId::new(0), batches: 1 };
        let record = RunRecord { finished: (100..1_000).map(finished).collect(), ..RunRecord::default() };
        let warm_up = warm_up(&record, at(1_000)).expect("a proposal");
        let until = warm_up.until.as_secs_f64();
        assert!((95.0..=125.0).contains(&until), "{until}");
        assert!(
            (warm_up.rate - 3_240.0).abs() < 1.0 && (warm_up.rate_after - 3_600.0).abs() < 50.0,
            "{warm_up:?}"
        );
        // A steady output is not cut.
        let steady = RunRecord { finished: (0..1_000).map(finished).collect(), ..RunRecord::default() };
        assert!(super::warm_up(&steady, at(1_000)).expect("a proposal").until < at(20));
        // A growing one has no steady state.
        let growing = RunRecord {
            finished: (1..1_000).flat_map(|second| (0..second / 20).map(move |_| finished(second))).collect(),
            ..RunRecord::default()
        };
        assert_eq!(super::warm_up(&growing, at(1_000)), None);
        let of = |record: &RunRecord| halves(record, at(1_000));
        assert_eq!((of(&record).first, of(&record).second), (400, 500));
        assert!(of(&record).differ() && of(&growing).differ() && !of(&steady).differ());
    }
}
