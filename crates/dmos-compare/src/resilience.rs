//! Resilience metrics, from the record of a run and of its fault-free counterpart.
//!
//! The fault-free counterpart is the same scenario with the same strategies and seed, without failures
//! ([`dmos_core::Faults::fault_free`]).
//!
//! The output is compared at the instants at which complete sets of final items were finished (`output`). Falls of the
//! output are undefined where the counterpart makes fewer than twenty sets, and everything is where nothing fails.

use dmos_core::record::Outage;
use dmos_core::{FaultKind, Metric, NodeId, RunRecord, Scenario, Time};

use crate::output::{Fall, completed_sets, falls};
use crate::statistics::survival::Episode;

/// Fraction of its fault-free production below which a node counts as degraded.
const THRESHOLD: f64 = 0.75;

/// Complete sets of the fault-free counterpart that are needed to recognise falls of the output.
const SETS_MIN: usize = 20;

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
    /// Complete sets that the counterpart finished and the run did not; negative if the run finished more.
    lost_sets: i64,
    /// Mean time that a complete set takes the counterpart, in seconds; `None` if it finishes none.
    seconds_per_set: Option<f64>,
    /// Falls of the output; `None` where they are undefined.
    falls: Option<Vec<Fall>>,
    /// Times of all failures in the measured time, in ascending order.
    failures: Vec<Time>,
    end: Time,
}

impl Output {
    /// Returns `None` if nothing failed.
    pub(crate) fn of(scenario: &Scenario, record: &RunRecord, fault_free: &RunRecord) -> Option<Self> {
        let failures = failures(record);
        let first_failure = *failures.first()?;
        let run = completed_sets(&scenario.network, record);
        let fault_free = completed_sets(&scenario.network, fault_free);
        let measured = (scenario.duration - scenario.measure_from).as_secs_f64();
        Some(Self {
            lost_sets: fault_free.len() as i64 - run.len() as i64,
            seconds_per_set: (!fault_free.is_empty()).then(|| measured / fault_free.len() as f64),
            falls: (fault_free.len() >= SETS_MIN).then(|| falls(&run, &fault_free, first_failure)),
            failures,
            end: Time::ZERO + scenario.duration,
        })
    }

    /// Returns the times from a fall until the output has recovered.
    pub(crate) fn time_to_recover(&self) -> Vec<Episode> {
        self.falls.iter().flatten().map(|fall| episode(fall.from, fall.until, self.end)).collect()
    }

    /// Returns the times from each failure until the output falls. A further failure before the fall censors the time,
    /// and failures during a fall do not count.
    pub(crate) fn time_to_survive(&self) -> Vec<Episode> {
        let Some(falls) = &self.falls else { return Vec::new() };
        let during = |at: Time, fall: &Fall| fall.from < at && fall.until.is_none_or(|until| at < until);
        let before = |&(_, at): &(usize, &Time)| !falls.iter().any(|fall| during(*at, fall));
        let survived = |(number, &at): (usize, &Time)| {
            let next = self.failures.get(number + 1).copied();
            let fall = falls.iter().map(|fall| fall.from).find(|from| *from >= at);
            let fall = fall.filter(|fall| next.is_none_or(|next| *fall < next));
            episode(at, fall, next.unwrap_or(self.end))
        };
        self.failures.iter().enumerate().filter(before).map(survived).collect()
    }

    /// Returns the lost output in complete sets; negative if the run finished more than its counterpart.
    pub(crate) fn lost_sets(&self) -> f64 {
        self.lost_sets as f64
    }

    /// Returns the lost output, in seconds of the mean output of the counterpart.
    pub(crate) fn loss(&self) -> Option<f64> {
        self.seconds_per_set.map(|seconds| self.lost_sets as f64 * seconds)
    }
}

/// Returns the times of all failures in ascending order, each once: outages of nodes, and faults that slow nodes or break
/// links. If only messages or clocks fail, they count from the start.
fn failures(record: &RunRecord) -> Vec<Time> {
    let is_failure =
        |kind: FaultKind| matches!(kind, FaultKind::Slow | FaultKind::Partition | FaultKind::LossyLinks);
    let faults = record.faults.iter().filter(|fault| fault.effective && is_failure(fault.kind));
    let outages = record.outages.iter().map(|outage| outage.from);
    let mut failures: Vec<Time> =
        outages.chain(faults.map(|fault| fault.at)).map(|at| at.max(record.measured_from)).collect();
    failures.sort_unstable();
    failures.dedup();
    let is_continual = |kind: FaultKind| {
        matches!(
            kind,
            FaultKind::LostMessage
                | FaultKind::DuplicatedMessage
                | FaultKind::ReorderedMessage
                | FaultKind::Drift
        )
    };
    let mut counts = record.fault_counts.iter().filter(|count| is_continual(count.kind));
    if failures.is_empty() && counts.any(|count| count.effective > 0) {
        failures.push(record.measured_from);
    }
    failures
}

#[cfg(test)]
mod tests {
    use dmos_core::record::{
        FaultCount, FaultRecord, Finished, LeadershipChange, PlanRecord, Removal, Suspicion,
    };
    use dmos_core::{ItemId, NodeId, Span, Term};

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

    /// Returns a record of a run that finishes a set at each of these seconds.
    fn finishing(seconds: impl Iterator<Item = u64>, outages: Vec<Outage>) -> RunRecord {
        let set = |second| Finished { at: at(second), item: ItemId::new(0), batches: 1 };
        RunRecord { finished: seconds.map(set).collect(), outages, ..RunRecord::default() }
    }

    fn output(run: &RunRecord, fault_free: &RunRecord) -> Option<Output> {
        let text = format!("network: {{nodes: [{{makes: wood}}]}}\nduration: {END}s\n");
        Output::of(&dmos_testkit::scenario(&text), run, fault_free)
    }

    #[test]
    fn the_loss_is_what_is_missing_at_the_rate_of_the_counterpart() {
        let fault_free = finishing(1..=END, vec![]);
        for (from, until) in [(0, Some(120)), (1, Some(121)), (60, Some(180)), (590, None), (0, None)] {
            let is_up = |&second: &u64| second <= from || until.is_some_and(|until| second > until);
            let run = finishing((1..=END).filter(is_up), vec![outage(0, from, until)]);
            let output = output(&run, &fault_free).expect("a failure");
            let lost = (until.unwrap_or(END) - from) as f64;
            assert_eq!((output.lost_sets(), output.loss()), (lost, Some(lost)));
            assert_eq!(output.time_to_survive(), [ended(1.0)], "the next set is missing");
            let expected = if until.is_some() { ended(lost) } else { censored(lost - 1.0) };
            assert_eq!(output.time_to_recover(), [expected]);
        }
        let half = finishing((1..=END).filter(|second| second % 2 == 0), vec![]);
        let slower = finishing((1..=200).map(|set| set * 2), vec![outage(0, 400, None)]);
        assert_eq!(
            output(&slower, &half).and_then(|output| output.loss()),
            Some(200.0),
            "two seconds per set"
        );
        let more = finishing(1..=END, vec![outage(0, 400, None)]);
        assert_eq!(output(&more, &half).map(|output| output.lost_sets()), Some(-300.0));
    }

    #[test]
    fn each_failure_is_survived_for_a_time() {
        let fault_free = finishing(1..=END, vec![]);
        let outages = vec![
            outage(1, 50, Some(90)),
            outage(2, 100, Some(200)),
            outage(3, 110, Some(140)),
            outage(4, 150, Some(170)),
            outage(5, 300, None),
        ];
        let run = finishing((1..=END).filter(|second| !(120..=180).contains(second)), outages);
        let output = output(&run, &fault_free).expect("a failure");
        // The failure during the fall does not count.
        let expected = [censored(50.0), censored(10.0), ended(10.0), censored(300.0)];
        assert_eq!(output.time_to_survive(), expected);
        assert_eq!(output.time_to_recover(), [ended(61.0)]);
    }

    #[test]
    fn falls_need_failures_and_production() {
        let few = finishing((1..=19).map(|set| set * 30), vec![]);
        let failing = finishing(0..0, vec![outage(0, 90, None)]);
        let output = |run: &RunRecord, fault_free: &RunRecord| self::output(run, fault_free);
        let lost = output(&failing, &few).expect("a failure");
        assert!(lost.time_to_survive().is_empty() && lost.time_to_recover().is_empty());
        assert_eq!((lost.lost_sets(), lost.loss()), (19.0, Some(600.0)));
        let enough = finishing((1..=20).map(|set| set * 30), vec![]);
        let lost = output(&failing, &enough).expect("a failure");
        assert_eq!(
            (lost.time_to_survive(), lost.time_to_recover()),
            (vec![ended(0.0)], vec![censored(510.0)])
        );
        assert!(output(&enough, &enough).is_none(), "nothing fails");
        let nothing = finishing(0..0, vec![]);
        assert_eq!(output(&failing, &nothing).and_then(|output| output.loss()), None);
    }

    #[test]
    fn a_planned_change_is_no_failure_and_lost_messages_count_from_the_start() {
        let fault = |kind, second, effective| FaultRecord { at: at(second), kind, node: None, effective };
        let faults = vec![
            fault(FaultKind::Recipe, 3, true),
            fault(FaultKind::Recover, 4, true),
            fault(FaultKind::Partition, 20, false),
            fault(FaultKind::LossyLinks, 40, true),
            fault(FaultKind::Slow, 30, true),
            fault(FaultKind::Heal, 60, true),
        ];
        let record = RunRecord { faults, outages: vec![outage(1, 30, None)], ..RunRecord::default() };
        assert_eq!(failures(&record), [at(30), at(40)]);
        let count = |kind, effective| FaultCount { kind, injected: 5, effective };
        let counted = |counts: Vec<FaultCount>| {
            let measured_from = at(7);
            failures(&RunRecord { fault_counts: counts, measured_from, ..RunRecord::default() })
        };
        assert_eq!(counted(vec![count(FaultKind::LostMessage, 5)]), [at(7)]);
        assert_eq!(counted(vec![count(FaultKind::LostMessage, 0), count(FaultKind::Add, 5)]), []);
        let before =
            RunRecord { outages: vec![outage(1, 3, None)], measured_from: at(7), ..RunRecord::default() };
        assert_eq!(failures(&before), [at(7)]);
    }
}
