//! Resilience metrics, from the record of a run and of its fault-free counterpart.
//!
//! The fault-free counterpart is the same scenario with the same strategies and seed, without failures
//! ([`dmos_core::Faults::fault_free`]).
//!
//! The **output** at a time is the number of complete sets of final items in the window before it, relative to the
//! fault-free counterpart. The window is so long that the counterpart makes ten on average: shorter windows
//! would measure noise, longer ones would hide falls. Where the counterpart makes fewer than twenty in all,
//! or nothing fails, the output is undefined, and so are the metrics that depend on it.

use dmos_core::record::Outage;
use dmos_core::{Metric, NodeId, RunRecord, Scenario, Time};

use crate::statistics::survival::Episode;

/// Complete sets of the fault-free counterpart in a window.
const SETS_IN_WINDOW: f64 = 10.0;

/// Fraction of the fault-free value below which output and nodes count as degraded.
const THRESHOLD: f64 = 0.75;

fn episode(from: Time, until: Option<Time>, end: Time) -> Episode {
    Episode { lasted: until.unwrap_or(end).since(from).as_secs_f64(), ended: until.is_some() }
}

/// Returns the times from a node's outage until another node suspects it.
pub(crate) fn time_to_suspect(record: &RunRecord, end: Time) -> Vec<Episode> {
    let suspicions = record.suspicions.iter().map(|suspicion| (suspicion.node, suspicion.at));
    until_noticed(record, suspicions, end)
}

/// Returns the times from a node's outage until a leader removes it.
pub(crate) fn time_to_detect(record: &RunRecord, end: Time) -> Vec<Episode> {
    until_noticed(record, record.removals.iter().map(|removal| (removal.node, removal.at)), end)
}

/// Returns the times from the outages of assigned nodes until the first notice of each, given by node and time in order
/// of time.
fn until_noticed(
    record: &RunRecord,
    notices: impl Iterator<Item = (NodeId, Time)> + Clone,
    end: Time,
) -> Vec<Episode> {
    let began = |outage: &&Outage| outage.from >= record.measured_from;
    let working = record.outages.iter().filter(began).filter(|outage| outage.was_assigned);
    let of = |outage: &Outage| {
        let back = outage.until.unwrap_or(end);
        let mut of_node = notices.clone().filter(|notice| notice.0 == outage.node).map(|notice| notice.1);
        let noticed = of_node.find(|&at| outage.from <= at && at <= back);
        episode(outage.from, noticed, back)
    };
    working.map(of).collect()
}

/// Returns the times from a removal until a plan without the node is active.
pub(crate) fn time_to_replan(record: &RunRecord, end: Time) -> Vec<Episode> {
    let active = || record.plans.iter().filter(|plan| plan.active);
    let of = |strike: &dmos_core::record::Removal| {
        let begun_later =
            active().find(|plan| plan.at.since(strike.at) >= plan.duration && plan.at >= strike.at);
        episode(strike.at, begun_later.map(|plan| plan.at), end)
    };
    record.removals.iter().map(of).collect()
}

/// Returns the total time without a leader, in seconds.
pub(crate) fn leaderless_time(record: &RunRecord, end: Time) -> f64 {
    let start = record.measured_from;
    let measured = record.leaderless(end).into_iter().map(|(from, until)| (from.max(start), until));
    measured.filter(|(from, until)| from < until).map(|(from, until)| until.since(from).as_secs_f64()).sum()
}

/// Returns the mean share of edges that plans change.
pub(crate) fn plan_nervousness(record: &RunRecord) -> Option<f64> {
    let active: Vec<_> = record.plans.iter().filter(|plan| plan.active).collect();
    let shares = active.windows(2).filter_map(|pair| {
        let both = pair[0].edges.unwrap_or(0) + pair[1].edges.unwrap_or(0);
        (both > 0).then(|| pair[1].changed.unwrap_or(0) as f64 / both as f64)
    });
    let (count, sum) = shares.fold((0_u32, 0.0), |(count, sum), share| (count + 1, sum + share));
    (count > 0).then(|| sum / f64::from(count))
}

/// Returns the number of nodes that made less than the threshold of what they made in the fault-free
/// counterpart.
pub(crate) fn nodes_degraded(record: &RunRecord, fault_free: &RunRecord) -> u64 {
    let made =
        |record: &RunRecord, node: usize| record.nodes[node].get(Metric::SuccessfulManufactureCycles) as f64;
    let is_below = |&node: &usize| made(record, node) < THRESHOLD * made(fault_free, node);
    (0..record.nodes.len()).filter(is_below).count() as u64
}

/// The output of a run relative to its fault-free counterpart.
pub(crate) struct Output {
    /// Sample times, the output in the window before each, and the duration in seconds that each represents.
    shares: Vec<(Time, f64, f64)>,
    first_failure: Time,
    end: Time,
}

impl Output {
    /// Returns `None` where the output is undefined.
    pub(crate) fn of(scenario: &Scenario, record: &RunRecord, fault_free: &RunRecord) -> Option<Self> {
        let first_failure = first_failure(record)?;
        let end = Time::ZERO + scenario.duration;
        let measured = fault_free.series.partition_point(|sample| sample.at < record.measured_from);
        let at_start = fault_free.series.get(measured)?.complete_sets;
        let made = (fault_free.series.last()?.complete_sets - at_start) as f64;
        if made < 2.0 * SETS_IN_WINDOW {
            return None;
        }
        let duration = (scenario.duration - scenario.measure_from).as_secs_f64();
        let window = duration * SETS_IN_WINDOW / made;
        let window = (window / scenario.sample_every.as_secs_f64()).ceil() as usize;
        let samples = record.series.len().min(fault_free.series.len());
        let shares = (measured + window..samples).filter_map(|now| {
            let (then, at) = (now - window, record.series[now].at);
            let in_calm = fault_free.series[now].complete_sets - fault_free.series[then].complete_sets;
            let here = record.series[now].complete_sets - record.series[then].complete_sets;
            let stands_for = at.since(record.series[now - 1].at).as_secs_f64();
            (in_calm > 0).then(|| (at, here as f64 / in_calm as f64, stands_for))
        });
        Some(Self { shares: shares.collect(), first_failure, end })
    }

    /// Returns the falls below the threshold after the first failure, as start and end.
    fn falls(&self) -> Vec<(Time, Option<Time>)> {
        let mut falls: Vec<(Time, Option<Time>)> = Vec::new();
        let mut is_below = false;
        for &(at, share, _) in self.shares.iter().filter(|moment| moment.0 >= self.first_failure) {
            match (is_below, share < THRESHOLD) {
                (false, true) => falls.push((at, None)),
                (true, false) => falls.last_mut().expect("a fall precedes each recovery").1 = Some(at),
                _ => {}
            }
            is_below = share < THRESHOLD;
        }
        falls
    }

    /// Returns the times from a fall until the output has recovered.
    pub(crate) fn time_to_recover(&self) -> Vec<Episode> {
        self.falls().into_iter().map(|(from, until)| episode(from, until, self.end)).collect()
    }

    /// Returns the time from the first failure to the first fall.
    pub(crate) fn time_to_survive(&self) -> Episode {
        let fall = self.falls().first().map(|fall| fall.0);
        episode(self.first_failure, fall, self.end)
    }

    /// Returns the lost output, in seconds of full output.
    pub(crate) fn loss(&self) -> f64 {
        self.shares.iter().map(|(_, share, stands_for)| (1.0 - share).max(0.0) * stands_for).sum()
    }
}

/// Returns the time of the first failure, or `None` if nothing failed. Message faults count from the start.
fn first_failure(record: &RunRecord) -> Option<Time> {
    let outages = record.outages.iter().map(|outage| outage.from);
    let faults = record.faults.iter().filter(|fault| fault.effective).map(|fault| fault.at);
    let others = record.fault_counts.iter().any(|count| count.effective > 0);
    let first = outages.chain(faults).min().or(others.then_some(Time::ZERO));
    first.map(|at| at.max(record.measured_from))
}

#[cfg(test)]
mod tests {
    use dmos_core::record::{LeadershipChange, PlanRecord, Removal, Sample, Suspicion};
    use dmos_core::{NodeId, Span, Term};

    use super::*;

    const END: u64 = 600;

    fn at(second: u64) -> Time {
        Time::ZERO + Span::from_secs(second)
    }

    fn outage(node: usize, from: u64, until: Option<u64>) -> Outage {
        Outage { node: NodeId::new(node), from: at(from), until: until.map(at), was_assigned: true }
    }

    fn plan(ready: u64, duration: u64, edges: Option<u64>, changed: u64) -> PlanRecord {
        let duration = Span::from_secs(duration);
        let by = NodeId::new(0);
        PlanRecord {
            at: at(ready),
            by,
            duration,
            steps: 1,
            edges,
            changed: Some(changed),
            no_flow: None,
            active: true,
        }
    }

    fn ended(lasted: f64) -> Episode {
        Episode { lasted, ended: true }
    }

    fn censored(lasted: f64) -> Episode {
        Episode { lasted, ended: false }
    }

    #[test]
    fn undetected_failures_are_censored() {
        let strike = |node, second| Removal { at: at(second), node: NodeId::new(node), by: NodeId::new(0) };
        let spare = Outage { was_assigned: false, ..outage(9, 5, None) };
        let record = RunRecord {
            outages: vec![
                outage(1, 10, Some(100)),
                outage(2, 20, Some(25)),
                spare,
                outage(1, 200, Some(300)),
                outage(3, 590, None),
            ],
            removals: vec![strike(1, 22), strike(2, 26), strike(1, 215)],
            ..RunRecord::default()
        };
        let expected = [ended(12.0), censored(5.0), ended(15.0), censored(10.0)];
        assert_eq!(time_to_detect(&record, at(END)), expected);
        let suspicion = |node, second| Suspicion {
            at: at(second),
            node: NodeId::new(node),
            by: NodeId::new(0),
            silent_since: at(second - 1),
        };
        let suspicions =
            vec![suspicion(1, 9), suspicion(1, 14), suspicion(1, 15), suspicion(2, 26), suspicion(3, 600)];
        let record = RunRecord { suspicions, ..record };
        let expected = [ended(4.0), censored(5.0), censored(100.0), ended(10.0)];
        assert_eq!(time_to_suspect(&record, at(END)), expected);
    }

    #[test]
    fn a_plan_started_before_the_removal_is_no_replanning() {
        let record = RunRecord {
            removals: vec![Removal { at: at(50), node: NodeId::new(1), by: NodeId::new(0) }],
            plans: vec![plan(10, 1, Some(4), 4), plan(52, 5, Some(4), 2), plan(58, 6, Some(4), 2)],
            ..RunRecord::default()
        };
        assert_eq!(time_to_replan(&record, at(END)), [ended(8.0)]);
        let cut_short = RunRecord { plans: vec![], ..record };
        assert_eq!(time_to_replan(&cut_short, at(END)), [censored(550.0)]);
    }

    #[test]
    fn leaderless_time_includes_the_start_and_a_down_leader() {
        let change = |second, node| LeadershipChange {
            at: at(second),
            node: NodeId::new(node),
            term: Term(second),
            stepped_down: None,
        };
        let record = RunRecord {
            leadership_changes: vec![change(3, 7), change(110, 8)],
            outages: vec![
                outage(7, 100, Some(500)),
                outage(8, 200, Some(230)),
                outage(8, 595, None),
                outage(1, 5, None),
            ],
            ..RunRecord::default()
        };
        assert_eq!(leaderless_time(&record, at(END)), 3.0 + 10.0 + 30.0 + 5.0);
        assert_eq!(leaderless_time(&RunRecord::default(), at(END)), 600.0);
    }

    #[test]
    fn nervousness_is_the_share_of_edges_changed() {
        let plans = vec![
            plan(1, 0, Some(10), 10),
            plan(2, 0, Some(10), 0),
            plan(3, 0, Some(10), 10),
            plan(4, 0, None, 10),
        ];
        let record = RunRecord { plans, ..RunRecord::default() };
        assert_eq!(plan_nervousness(&record), Some((0.0 + 0.5 + 1.0) / 3.0));
        assert_eq!(plan_nervousness(&RunRecord::default()), None);
    }

    /// Returns a record with one sample per second and the given production rate.
    fn producing(rate: impl Fn(u64) -> u64, outages: Vec<Outage>) -> RunRecord {
        let mut finished = 0;
        let series = (0..=END).map(|second| {
            finished += if second > 0 { rate(second) } else { 0 };
            Sample {
                at: at(second),
                nodes_up: 1,
                made: 0,
                finished,
                complete_sets: finished,
                stock: 0,
                messages: 0,
            }
        });
        RunRecord { series: series.collect(), outages, ..RunRecord::default() }
    }

    fn scenario() -> Scenario {
        let text = format!("network: {{nodes: [{{makes: wood}}]}}\nduration: {END}s\nsample_every: 1s\n");
        dmos_testkit::scenario(&text)
    }

    #[test]
    fn output_falls_and_recovers() {
        let fault_free = producing(|_| 2, vec![]);
        let stops =
            producing(|second| if (101..=160).contains(&second) { 0 } else { 2 }, vec![outage(0, 90, None)]);
        let output = Output::of(&scenario(), &stops, &fault_free).expect("enough finished goods");
        // Windows of five seconds: two seconds without output are below three quarters, and so are four with
        // output again.
        assert_eq!(output.time_to_survive(), ended(12.0));
        assert_eq!(output.time_to_recover(), [ended(62.0)]);
        assert_eq!(output.loss(), 60.0);
        let never = producing(|second| if second > 300 { 0 } else { 2 }, vec![outage(0, 90, None)]);
        let output = Output::of(&scenario(), &never, &fault_free).expect("enough finished goods");
        assert_eq!(output.time_to_recover(), [censored(298.0)]);
        let unharmed = producing(|_| 2, vec![outage(0, 90, None)]);
        let output = Output::of(&scenario(), &unharmed, &fault_free).expect("enough finished goods");
        assert_eq!((output.time_to_survive(), output.loss()), (censored(510.0), 0.0));
        assert!(output.time_to_recover().is_empty());
    }

    #[test]
    fn output_needs_failures_and_production() {
        let fault_free = producing(|second| u64::from(second.is_multiple_of(60)), vec![]);
        let failing = producing(|_| 0, vec![outage(0, 90, None)]);
        assert!(Output::of(&scenario(), &failing, &fault_free).is_none());
        let plenty = producing(|_| 2, vec![]);
        assert!(Output::of(&scenario(), &plenty, &plenty).is_none());
    }
}
