//! Rankings: strategies ordered by one metric, compared in pairs with the baseline.
//!
//! A [`Table`] ranks by one metric, in one case or over all cases. Each row is compared with the baseline,
//! paired by seed. Over all cases, values are percentages of the largest mean of their case, so that all
//! cases have equal weight.

use dmos_core::Metric;
use serde::Serialize;

use crate::grid::{By, Grid, Group};
use crate::run_metric::{Better, ResultMetric, RunMetric};
use crate::statistics::interval::Interval;
use crate::statistics::resampling::Resamples;
use crate::statistics::{Differences, holm, test};
use crate::verdict::{BreakEven, Verdict};

/// A ranking by one metric.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Table {
    /// The case, or `None` if the ranking is over all cases.
    pub case: Option<String>,
    /// Subject of the rows.
    pub by: By,
    /// The metric.
    pub metric: ResultMetric,
    /// Unit: the metric's, or percent of the largest mean.
    pub unit: &'static str,
    /// Direction of improvement.
    pub better: Better,
    /// Horizon of episodes in seconds, where the metric consists of episodes.
    pub horizon_s: Option<f64>,
    /// Number of cases.
    pub cases: usize,
    /// Number of comparisons with the baseline, for which p values are corrected.
    pub comparisons: usize,
    /// The rows, best first.
    pub rows: Vec<Row>,
}

/// A row of a ranking: one strategy, or one combination.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Row {
    /// Name of the row.
    pub name: String,
    /// Number of seeds with a value, over all cases.
    pub values: usize,
    /// Mean over seeds and cases, or `None` without values.
    pub mean: Option<f64>,
    /// Comparison with the baseline; `None` for the baseline itself.
    pub compared: Option<Compared>,
    /// Verdict on the comparison.
    pub verdict: Verdict,
    /// Messages per finished good, over all seeds; over several cases, in percent of the largest.
    pub messages_per_finished: Option<f64>,
    /// Planning steps per finished good, likewise.
    pub planning_steps_per_finished: Option<f64>,
}

/// A paired comparison with the baseline.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Compared {
    /// Number of pairs.
    pub pairs: usize,
    /// The mean difference.
    pub difference: f64,
    /// 95 % interval of the mean difference, or `None` for a single seed or equal differences.
    pub interval: Option<Interval>,
    /// Number of pairs in which the row was better.
    pub wins: usize,
    /// Number of pairs without a difference.
    pub ties: usize,
    /// Number of pairs in which the row was worse.
    pub losses: usize,
    /// Fraction of the variance that pairing by seed has saved, compared with independent seeds; negative if it has
    /// added some, and `None` for fewer than two seeds in every case, or without variance.
    pub variance_saved: Option<f64>,
    /// The deviation that would undo a claim.
    pub break_even: BreakEven,
    /// The p value.
    pub p: f64,
    /// The p value, corrected for all comparisons of the table.
    pub p_corrected: f64,
}

/// The values of all groups in one case.
pub(crate) struct Column {
    /// For each group, the values by seed.
    pub(crate) values: Vec<Vec<Option<f64>>>,
    pub(crate) horizon: Option<f64>,
}

impl Column {
    pub(crate) fn of(grid: &Grid, case: usize, groups: &[Group], metric: ResultMetric) -> Self {
        let horizon = grid.horizon(case, groups, metric);
        let values = |group| grid.values(case, group, metric, horizon.unwrap_or(0.0));
        Self { values: groups.iter().map(values).collect(), horizon }
    }

    fn mean(&self, group: usize) -> Option<f64> {
        mean(self.values[group].iter().flatten().copied())
    }

    /// Scales the values to percent of the largest mean. Returns `None` if all means are zero.
    fn scaled(mut self) -> Option<Self> {
        let means = (0..self.values.len()).filter_map(|group| self.mean(group));
        let largest = means.map(f64::abs).max_by(f64::total_cmp).filter(|&largest| largest > 0.0)?;
        let all = self.values.iter_mut().flatten().flatten();
        all.for_each(|value| *value *= 100.0 / largest);
        Some(self)
    }
}

pub(crate) fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0_u64, 0.0), |(count, sum), value| (count + 1, sum + value));
    (count > 0).then(|| sum / count as f64)
}

/// The values of two rows by seed in one case: of a row, and of the baseline.
pub(crate) type Values<'a> = (&'a [Option<f64>], &'a [Option<f64>]);

/// Returns the pairs of values by seed: where both have one.
fn both<'a>((ours, theirs): Values<'a>) -> impl Iterator<Item = (f64, f64)> + 'a {
    ours.iter().zip(theirs).filter_map(|(ours, theirs)| Some(((*ours)?, (*theirs)?)))
}

/// Returns the differences between two rows, by seed, in each of several cases: where both have a value. They are rounded
/// to 2^-40 of the largest value, so that equal differences are equal.
pub(crate) fn differences<'a>(cases: impl Iterator<Item = Values<'a>>) -> Differences {
    let in_case = |values: Values<'a>| {
        let largest = both(values).map(|(ours, theirs)| ours.abs().max(theirs.abs())).fold(0.0, f64::max);
        let unit = unit_of(largest);
        both(values).map(|(ours, theirs)| ((ours - theirs) / unit).round() * unit).collect()
    };
    Differences::new(cases.map(in_case).collect())
}

/// Returns the power of two that is 2^-40 of a number, rounded down.
fn unit_of(number: f64) -> f64 {
    const EXPONENT: u64 = 0x7ff << 52;
    let power = f64::from_bits(number.to_bits() & EXPONENT);
    if power.is_normal() && power > 1e-290 { power / (1_u64 << 40) as f64 } else { f64::MIN_POSITIVE }
}

/// Returns the fraction of the variance of a difference of means that pairing by seed has saved.
fn variance_saved<'a>(cases: impl Iterator<Item = Values<'a>>) -> Option<f64> {
    let (mut paired, mut independent) = (0.0, 0.0);
    for values in cases {
        let pairs: Vec<(f64, f64)> = both(values).collect();
        paired += variance(pairs.iter().map(|(ours, theirs)| ours - theirs));
        independent += variance(pairs.iter().map(|pair| pair.0)) + variance(pairs.iter().map(|pair| pair.1));
    }
    (independent > 0.0).then(|| 1.0 - paired / independent)
}

/// Returns the sum of squares about the mean, divided by the square of the number.
fn variance(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let Some(mean) = mean(values.clone()) else { return 0.0 };
    let squares: f64 = values.clone().map(|value| (value - mean) * (value - mean)).sum();
    squares / (values.count() as f64).powi(2)
}

/// Cache of the last resamples, which rows of a table usually share.
#[derive(Default)]
pub(crate) struct ResampleCache(Option<(Vec<usize>, Resamples)>);

impl ResampleCache {
    /// Returns the interval and the p value of differences.
    pub(crate) fn judge(&mut self, differences: &Differences) -> (Option<Interval>, f64) {
        let sizes: Vec<usize> = differences.strata().iter().map(Vec::len).collect();
        if self.0.as_ref().is_none_or(|(cached_for, _)| *cached_for != sizes) {
            self.0 = Some((sizes.clone(), Resamples::new(sizes)));
        }
        let (_, resamples) = self.0.as_ref().expect("the resamples are cached above");
        let errors = resamples.errors(differences);
        (Interval::of(differences, errors.as_ref()), test::p_value(differences, errors.as_ref()))
    }
}

/// Ranks by a metric in one case or over all cases. `baseline` is the index of the baseline among the grid's
/// groups.
///
/// # Panics
/// If there is no such group.
#[must_use]
pub fn rank(grid: &Grid, case: Option<usize>, by: By, metric: ResultMetric, baseline: usize) -> Table {
    let groups = grid.groups(by);
    let cases: Vec<usize> = case.map_or_else(|| (0..grid.axes.cases.len()).collect(), |case| vec![case]);
    let scale = |column: Column| if case.is_some() { Some(column) } else { column.scaled() };
    let columns: Vec<(usize, Column)> = cases
        .iter()
        .filter_map(|&case| Some((case, scale(Column::of(grid, case, &groups, metric))?)))
        .collect();
    let mut cache = ResampleCache::default();
    let mut rows: Vec<Row> = (0..groups.len())
        .map(|group| Row {
            name: groups[group].name.clone(),
            values: columns.iter().map(|(_, column)| column.values[group].iter().flatten().count()).sum(),
            mean: mean(columns.iter().filter_map(|(_, column)| column.mean(group))),
            compared: (group != baseline)
                .then(|| compare(&columns, group, baseline, metric.better(), &mut cache))
                .flatten(),
            verdict: if group == baseline { Verdict::Baseline } else { Verdict::NoValues },
            messages_per_finished: cost(grid, case, &columns, &groups, group, Metric::SentMessages),
            planning_steps_per_finished: cost(grid, case, &columns, &groups, group, Metric::PlanningSteps),
        })
        .collect();
    let comparisons = correct(&mut rows);
    let of_baseline = rows[baseline].mean.unwrap_or(0.0);
    for (group, row) in rows.iter_mut().enumerate() {
        if let Some(compared) = &row.compared {
            let differences = differences(of_both(&columns, group, baseline));
            let seeds = grid.axes.seeds.len();
            row.verdict = Verdict::new(
                &differences,
                compared.interval,
                compared.p_corrected,
                metric.better(),
                of_baseline,
                comparisons,
                seeds,
            );
        }
    }
    sort(&mut rows, metric.better());
    Table {
        case: case.map(|case| grid.axes.cases[case].clone()),
        by,
        metric,
        unit: if case.is_some() { metric.unit() } else { "% of the largest mean" },
        better: metric.better(),
        horizon_s: case.and(columns.first()).and_then(|(_, column)| column.horizon),
        cases: columns.len(),
        comparisons,
        rows,
    }
}

/// Returns the values of a group and of the baseline in each case.
fn of_both(
    columns: &[(usize, Column)],
    group: usize,
    baseline: usize,
) -> impl Iterator<Item = Values<'_>> + Clone {
    columns.iter().map(move |(_, column)| (&column.values[group][..], &column.values[baseline][..]))
}

fn compare(
    columns: &[(usize, Column)],
    group: usize,
    baseline: usize,
    better: Better,
    cache: &mut ResampleCache,
) -> Option<Compared> {
    Compared::of(of_both(columns, group, baseline), better, cache)
}

impl Compared {
    /// Returns an uncorrected comparison, or `None` without a pair of values.
    pub(crate) fn of<'a>(
        cases: impl Iterator<Item = Values<'a>> + Clone,
        better: Better,
        cache: &mut ResampleCache,
    ) -> Option<Self> {
        let differences = differences(cases.clone());
        if differences.count() == 0 {
            return None;
        }
        let all = || differences.strata().iter().flatten();
        let (up, down) = (all().filter(|&&d| d > 0.0).count(), all().filter(|&&d| d < 0.0).count());
        let (wins, losses) = if better == Better::Less { (down, up) } else { (up, down) };
        let (interval, p) = cache.judge(&differences);
        Some(Self {
            pairs: differences.count(),
            difference: differences.mean(),
            interval,
            wins,
            ties: differences.count() - wins - losses,
            losses,
            variance_saved: variance_saved(cases),
            break_even: BreakEven::of(&differences),
            p,
            p_corrected: p,
        })
    }
}

/// Corrects the p values of a table and returns their number.
fn correct(rows: &mut [Row]) -> usize {
    let mut compared: Vec<&mut Compared> = rows.iter_mut().filter_map(|row| row.compared.as_mut()).collect();
    let p_values: Vec<f64> = compared.iter().map(|compared| compared.p).collect();
    for (compared, corrected) in compared.iter_mut().zip(holm::corrected(&p_values)) {
        compared.p_corrected = corrected;
    }
    compared.len()
}

fn sort(rows: &mut [Row], better: Better) {
    let key = |row: &Row| row.mean.map(|mean| if better == Better::Less { mean } else { -mean });
    rows.sort_by(|a, b| match (key(a), key(b)) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        (a, b) => b.is_some().cmp(&a.is_some()),
    });
}

/// Returns a group's cost per finished good: absolute in one case, in percent of the largest over all cases.
fn cost(
    grid: &Grid,
    case: Option<usize>,
    columns: &[(usize, Column)],
    groups: &[Group],
    group: usize,
    metric: Metric,
) -> Option<f64> {
    if let Some(case) = case {
        return cost_in_case(grid, case, &groups[group], metric);
    }
    mean(columns.iter().filter_map(|(case, _)| {
        let all = groups.iter().filter_map(|group| cost_in_case(grid, *case, group, metric));
        let largest = all.max_by(f64::total_cmp).filter(|&largest| largest > 0.0)?;
        Some(100.0 * cost_in_case(grid, *case, &groups[group], metric)? / largest)
    }))
}

/// Returns the total of a metric divided by all finished goods.
fn cost_in_case(grid: &Grid, case: usize, group: &Group, metric: Metric) -> Option<f64> {
    let (mut cost, mut finals) = (0.0, 0.0);
    for seed in 0..grid.axes.seeds.len() {
        for summary in grid.members(case, group, seed).into_iter().flatten() {
            let made = summary.number(ResultMetric::Run(RunMetric::FinishedGoods)).unwrap_or(0.0);
            finals += made;
            cost += summary.number(ResultMetric::Nodes(metric)).unwrap_or(0.0);
        }
    }
    (finals > 0.0).then(|| cost / finals)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{Axes, Cell};
    use crate::profile::{Typical, profile};
    use crate::regression::against;
    use crate::run_summary::{Episodes, RunSummary};
    use crate::statistics::survival::Episode;
    use crate::verdict::Direction;

    /// Returns a grid of three flow strategies in two cases: the second makes 30 to 34 more on every seed, the
    /// third differs from the first by at most one; the second case is tenfold.
    fn grid(seeds: usize) -> Grid {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let axes = Axes {
            cases: names(&["small", "large"]),
            flows: names(&["plain", "good", "alike"]),
            leaders: names(&["bully"]),
            detectors: names(&["chen"]),
            seeds: (1..=seeds as u64).collect(),
        };
        let summary = |run: usize| {
            let Cell { seed, case, flow, .. } = axes.cell(run);
            let base = 100.0 + (seed % 7) as f64;
            let made = base + [0.0, 30.0 + (seed % 5) as f64, if seed % 2 == 0 { 1.0 } else { -1.0 }][flow];
            let mut numbers = vec![None; ResultMetric::all().count()];
            numbers[ResultMetric::Run(RunMetric::FinishedGoods).index()] = Some(made * [1.0, 10.0][case]);
            numbers[ResultMetric::Nodes(Metric::SentMessages).index()] = Some(made * 5.0);
            let recover = Episode { lasted: 10.0 + flow as f64, ended: seed > 0 };
            Some(RunSummary {
                numbers,
                episodes: Episodes { time_to_recover: vec![recover], ..Episodes::default() },
            })
        };
        let summaries = (0..axes.runs()).map(summary).collect();
        Grid::new(axes, summaries)
    }

    const FINALS: ResultMetric = ResultMetric::Run(RunMetric::FinishedGoods);

    #[test]
    fn ranks_by_the_paired_difference() {
        let table = rank(&grid(20), Some(0), By::Combination, FINALS, 0);
        let order: Vec<_> = table.rows.iter().map(|row| (&row.name[..], row.verdict)).collect();
        assert_eq!(order[0], ("good/bully", Verdict::Different(Direction::Better)));
        let by_name = |name: &str| table.rows.iter().find(|row| row.name == name).expect("a row");
        assert_eq!(by_name("plain/bully").verdict, Verdict::Baseline);
        assert_eq!(by_name("alike/bully").verdict, Verdict::Equivalent);
        let good = by_name("good/bully").compared.as_ref().expect("a comparison");
        assert_eq!((good.wins, good.ties, good.losses), (20, 0, 0));
        let interval = good.interval.expect("an interval");
        assert_eq!(good.difference, 32.0);
        assert!(31.0 < interval.low && interval.low < 32.0 && 32.0 < interval.high && interval.high < 33.0);
        // Seeds vary by up to six, the difference by four.
        let saved = good.variance_saved.expect("seeds differ");
        assert!((0.6..0.9).contains(&saved), "{saved}");
        assert!((good.break_even.deviation + 32.0 * 20.0 / 3.0).abs() < 1e-9, "{:?}", good.break_even);
        assert!(good.p < good.p_corrected && good.p_corrected < 0.001);
        assert!((by_name("good/bully").messages_per_finished.expect("a finished good") - 5.0).abs() < 1e-9);
        assert_eq!(by_name("good/bully").planning_steps_per_finished, Some(0.0));
    }

    #[test]
    fn cases_have_equal_weight() {
        let table = rank(&grid(20), None, By::Flow, FINALS, 0);
        assert_eq!((table.cases, table.comparisons, &table.rows[0].name[..]), (2, 2, "good"));
        assert!((table.rows[0].mean.expect("a mean") - 100.0).abs() < 1e-9);
        assert_eq!(table.rows[0].verdict, Verdict::Different(Direction::Better));
    }

    #[test]
    fn three_seeds_are_too_few_however_large_the_difference() {
        let table = rank(&grid(3), Some(0), By::Flow, FINALS, 0);
        let Verdict::Inconclusive(Some(needed)) = table.rows[0].verdict else {
            panic!("{:?}", table.rows[0])
        };
        assert!((6..=8).contains(&needed), "{needed}");
    }

    #[test]
    fn equal_differences_are_equal_whatever_the_scale() {
        let theirs: Vec<_> = (0..9).map(|seed| Some(f64::from(seed) * 0.1 / 3.0)).collect();
        let ours: Vec<_> = theirs.iter().map(|value| value.map(|value: f64| value + 0.7)).collect();
        let of = |ours: &[Option<f64>]| differences(std::iter::once((ours, &theirs[..])));
        assert!(of(&ours).are_constant() && (of(&ours).mean() - 0.7).abs() < 1e-12);
        let dust: Vec<_> = theirs.iter().map(|value| value.map(|value: f64| value * (1.0 + 1e-15))).collect();
        assert!(of(&dust).are_all_zero());
        assert_eq!(
            [unit_of(1.0), unit_of(3.9), unit_of(0.25)].map(|unit| unit * 2.0_f64.powi(40)),
            [1.0, 2.0, 0.25]
        );
        assert!(differences(std::iter::once((&[Some(0.0)][..], &[Some(0.0)][..]))).are_all_zero());
        let holes = differences(std::iter::once((
            &[Some(1.0), None, Some(4.0)][..],
            &[Some(0.5), Some(1.0), None][..],
        )));
        assert_eq!((holes.count(), holes.mean()), (1, 0.5));
    }

    #[test]
    fn unrecovered_output_is_censored() {
        let profile = profile(&grid(20), 0, By::Flow);
        let typical = profile.rows[1].get(RunMetric::TimeToRecover);
        let Some(Typical::Episodes { median_s, ended, censored, .. }) = typical else {
            panic!("{typical:?}")
        };
        assert_eq!((median_s, ended, censored), (Some(11.0), 19, 1));
        assert_eq!(profile.rows[1].get(RunMetric::Loss), None);
    }

    #[test]
    fn only_deteriorations_are_regressions() {
        let then = grid(20);
        let same = against(&then, &then);
        assert_eq!((same.differing, same.changes.len(), same.is_worse()), (0, 0, false));
        let worse: Vec<_> = then
            .summaries()
            .iter()
            .enumerate()
            .map(|(run, summary)| {
                let mut summary = summary.clone();
                if then.axes.cell(run).flow == 1
                    && let Some(summary) = &mut summary
                {
                    summary.numbers[FINALS.index()] = summary.number(FINALS).map(|made| made - 5.0);
                }
                summary
            })
            .collect();
        let now = Grid::new(then.axes.clone(), worse);
        let regression = against(&now, &then);
        assert!(regression.is_worse() && regression.differing == 40);
        assert!(regression.changes.iter().all(|change| change.combination == "good/bully"));
        assert!(!against(&then, &now).is_worse(), "what got better is none");
    }
}
