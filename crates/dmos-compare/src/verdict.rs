//! Verdicts on differences.

use std::fmt;

use serde::Serialize;

use crate::run_metric::Better;
use crate::statistics::interval::Interval;
use crate::statistics::{Differences, sample_size};

/// Family-wise significance level of a table.
pub const SIGNIFICANCE_LEVEL: f64 = 0.05;

/// Equivalence margin, as a fraction of the baseline: if the whole interval is smaller, there is no relevant
/// difference, and more seeds would not change that.
pub const EQUIVALENCE_MARGIN: f64 = 0.05;

/// Verdict on a comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The row is the baseline.
    Baseline,
    /// Better than the baseline.
    Better,
    /// Worse than the baseline.
    Worse,
    /// Higher than the baseline, where neither direction is better.
    Higher,
    /// Lower than the baseline, where neither direction is better.
    Lower,
    /// Equal in every run.
    Same,
    /// Any difference is smaller than the equivalence margin.
    Equivalent,
    /// Undecided; about this many seeds would decide.
    Inconclusive(Option<u64>),
    /// One of the two has no value on any seed.
    NoValues,
}

impl Verdict {
    /// Returns the verdict on differences with their interval and corrected p value.
    ///
    /// `baseline` is the mean of the baseline, `comparisons` the number of comparisons in the table, `seeds`
    /// the number of seeds run.
    pub(crate) fn new(
        differences: &Differences,
        interval: Option<Interval>,
        p: f64,
        better: Better,
        baseline: f64,
        comparisons: usize,
        seeds: usize,
    ) -> Self {
        let mean = differences.mean();
        let margin = EQUIVALENCE_MARGIN * baseline.abs();
        if differences.count() == 0 {
            Self::NoValues
        } else if differences.are_all_zero() {
            Self::Same
        } else if p <= SIGNIFICANCE_LEVEL {
            match (better, mean > 0.0) {
                (Better::More, true) | (Better::Less, false) => Self::Better,
                (Better::More, false) | (Better::Less, true) => Self::Worse,
                (Better::Neither, true) => Self::Higher,
                (Better::Neither, false) => Self::Lower,
            }
        } else if interval.is_some_and(|limits| -margin <= limits.low && limits.high <= margin) {
            Self::Equivalent
        } else {
            Self::Inconclusive(seeds_needed(differences, mean, margin, comparisons, seeds))
        }
    }
}

/// Returns the approximate number of seeds needed to detect the observed difference or, if it is within the
/// margin, to confirm that.
fn seeds_needed(
    differences: &Differences,
    mean: f64,
    margin: f64,
    comparisons: usize,
    run: usize,
) -> Option<u64> {
    // Standard deviation of single differences, if each seed gave one.
    let deviation = differences.standard_error()? * (run as f64).sqrt();
    let to_detect = sample_size::needed(mean, deviation, SIGNIFICANCE_LEVEL / comparisons.max(1) as f64);
    let slack = margin - mean.abs();
    let to_exclude = (slack > 0.0).then(|| sample_size::for_half_width(deviation, slack)).flatten();
    let seeds_needed = to_detect.into_iter().chain(to_exclude).min()?;
    Some(round_up(seeds_needed.max(run as u64 + 1)))
}

/// Rounds up to two digits, because the number is an estimate.
fn round_up(number: u64) -> u64 {
    let unit = 10_u64.pow(number.max(1).ilog10().saturating_sub(1));
    number.div_ceil(unit) * unit
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Baseline => f.write_str("baseline"),
            Self::Better => f.write_str("better"),
            Self::Worse => f.write_str("worse"),
            Self::Higher => f.write_str("higher"),
            Self::Lower => f.write_str("lower"),
            Self::Same => f.write_str("the same in every run"),
            Self::Equivalent => f.write_str("equivalent"),
            Self::Inconclusive(Some(seeds_needed)) => {
                write!(f, "inconclusive: about {seeds_needed} seeds needed")
            }
            Self::Inconclusive(None) => f.write_str("inconclusive: needs more than a million seeds"),
            Self::NoValues => f.write_str("nothing to compare"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::interval::Resamples;

    fn on(differences: &[f64], p: f64, better: Better, baseline: f64) -> Verdict {
        let all = Differences::new(vec![differences.to_vec()]);
        let interval = Resamples::new(vec![differences.len()]).interval(&all);
        Verdict::new(&all, interval, p, better, baseline, 3, differences.len())
    }

    #[test]
    fn a_significant_difference_has_a_direction() {
        let up = [3.0, 4.0, 5.0, 4.0];
        assert_eq!(on(&up, 0.01, Better::More, 50.0), Verdict::Better);
        assert_eq!(on(&up, 0.01, Better::Less, 50.0), Verdict::Worse);
        assert_eq!(on(&up, 0.01, Better::Neither, 50.0), Verdict::Higher);
    }

    #[test]
    fn no_difference_is_distinct_from_too_few_seeds() {
        assert_eq!(on(&[0.0, 0.0], 1.0, Better::More, 50.0), Verdict::Same);
        assert_eq!(on(&[1.0, -1.0, 0.0, 1.0, -1.0], 1.0, Better::More, 100.0), Verdict::Equivalent);
        let unsure = on(&[30.0, -20.0, 25.0, -10.0], 0.4, Better::More, 100.0);
        let Verdict::Inconclusive(Some(seeds_needed)) = unsure else { panic!("{unsure:?}") };
        assert!(seeds_needed > 50 && seeds_needed % 10 == 0, "{seeds_needed}");
        assert_eq!(on(&[1.0, 1.0, 1.0], 0.25, Better::More, 1.0), Verdict::Inconclusive(Some(7)));
    }

    #[test]
    fn numbers_of_seeds_are_round() {
        assert_eq!([7, 10, 11, 101, 1_234].map(round_up), [7, 10, 11, 110, 1_300]);
    }
}
