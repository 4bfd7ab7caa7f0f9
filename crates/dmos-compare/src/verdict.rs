//! Verdicts on differences.

use std::fmt;

use serde::Serialize;

use crate::run_metric::Better;
use crate::statistics::interval::Interval;
use crate::statistics::test::smallest_p;
use crate::statistics::{Differences, sample_size};

/// Family-wise significance level of a table.
pub const SIGNIFICANCE_LEVEL: f64 = 0.05;

/// Equivalence margin, as a fraction of the baseline: if the whole interval is smaller, there is no relevant
/// difference, and more seeds would not change that.
pub const EQUIVALENCE_MARGIN: f64 = 0.05;

/// Skewness, relative to the square root of the number of differences, beyond which a mean says little about the side of
/// the long tail.
const SKEWNESS_MAX: f64 = 0.25;

/// Number of differences that must differ from the commonest one for a claim.
const UNCOMMON_MIN: usize = 5;

/// Events that are not excluded at the 95 % level although none was seen: their number per seeds seen (the rule of
/// three; Hanley and Lippman-Hand, "If nothing goes wrong, is everything all right?", 1983).
const UNSEEN_EVENTS: f64 = 3.0;

/// Number of seeds beyond which p values do not get smaller.
const EXACT_SEEDS_MAX: usize = 40;

/// Direction of a difference from the baseline.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Better than the baseline.
    Better,
    /// Worse than the baseline.
    Worse,
    /// Higher than the baseline, where neither direction is better.
    Higher,
    /// Lower than the baseline, where neither direction is better.
    Lower,
}

impl Direction {
    fn of(difference: f64, better: Better) -> Self {
        match (better, difference > 0.0) {
            (Better::More, true) | (Better::Less, false) => Self::Better,
            (Better::More, false) | (Better::Less, true) => Self::Worse,
            (Better::Neither, true) => Self::Higher,
            (Better::Neither, false) => Self::Lower,
        }
    }
}

/// Verdict on a comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The row is the baseline.
    Baseline,
    /// The mean differs from the baseline's.
    Different(Direction),
    /// The mean over the seeds differs, but deviations as large as those seen could undo it.
    DifferentInSeedsSeen(Direction),
    /// The difference is the same in every run, and not zero.
    Constant(Direction),
    /// Equal in every run.
    Same,
    /// Any difference is smaller than the equivalence margin.
    Equivalent,
    /// Undecided; about this many seeds would decide.
    Inconclusive(Option<u64>),
    /// Undecided, although p is small: the differences have a long tail to the other side.
    LongTail,
    /// Undecided, although p is small: fewer than five seeds differ from the commonest difference.
    FewDiffer,
    /// One of the two has no value on any seed.
    NoValues,
}

/// The deviation that would undo a claim: with `n` seeds, an event in one of `n / 3` runs is not excluded.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct BreakEven {
    /// Deviation from the mean difference, in the direction against the claim.
    pub deviation: f64,
    /// Number of runs of which one may deviate so.
    pub one_in: f64,
}

impl BreakEven {
    /// Returns the break-even of a mean difference, in a stratum of the mean size.
    #[must_use]
    pub fn of(differences: &Differences) -> Self {
        let strata = differences.strata().len().max(1) as f64;
        let seeds = differences.count() as f64 / strata;
        let one_in = (seeds / UNSEEN_EVENTS).max(1.0);
        // An event in one stratum moves the mean by its part only.
        Self { deviation: -differences.mean() * one_in * strata + 0.0, one_in }
    }
}

impl Verdict {
    /// Returns the direction of the difference, if the verdict is that there is one.
    #[must_use]
    pub fn direction(self) -> Option<Direction> {
        match self {
            Self::Different(direction)
            | Self::DifferentInSeedsSeen(direction)
            | Self::Constant(direction) => Some(direction),
            _ => None,
        }
    }

    /// Returns the verdict on differences with their interval and corrected p value.
    ///
    /// `baseline` is the mean of the baseline, `comparisons` the number of comparisons in the table, `seeds`
    /// the number of seeds run.
    #[must_use]
    pub fn new(
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
        let direction = Direction::of(mean, better);
        if differences.count() == 0 {
            Self::NoValues
        } else if differences.are_all_zero() {
            Self::Same
        } else if differences.are_constant() && mean != 0.0 {
            Self::Constant(direction)
        } else if p <= SIGNIFICANCE_LEVEL {
            claim(differences, direction)
        } else if differences.count() > UNCOMMON_MIN
            && interval.is_some_and(|limits| -margin <= limits.low && limits.high <= margin)
        {
            Self::Equivalent
        } else {
            Self::Inconclusive(seeds_needed(differences, mean, margin, comparisons, seeds))
        }
    }
}

/// Returns the smallest number of seeds with which a table of this many comparisons can have a claim at all, or `None` if
/// none can.
#[must_use]
pub fn fewest_seeds(comparisons: usize) -> Option<usize> {
    let level = SIGNIFICANCE_LEVEL / comparisons.max(1) as f64;
    // Of a claim's differences, five differ from the commonest one.
    (UNCOMMON_MIN + 1..=EXACT_SEEDS_MAX).find(|&seeds| smallest_p(seeds) <= level)
}

/// Returns the verdict where p is small: a claim, unless the shape of the differences does not support it.
fn claim(differences: &Differences, direction: Direction) -> Verdict {
    let (mean, skewness) = (differences.mean(), differences.skewness());
    let is_long = skewness.abs() > SKEWNESS_MAX * (differences.count() as f64).sqrt();
    if differences.uncommon() < UNCOMMON_MIN {
        Verdict::FewDiffer
    } else if is_long && skewness * mean < 0.0 {
        Verdict::LongTail
    } else if differences.largest_deviation() >= BreakEven::of(differences).deviation.abs() {
        Verdict::DifferentInSeedsSeen(direction)
    } else {
        Verdict::Different(direction)
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

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Higher => "higher",
            Self::Lower => "lower",
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Baseline => f.write_str("baseline"),
            Self::Different(direction) => write!(f, "{direction}"),
            Self::DifferentInSeedsSeen(direction) => write!(f, "{direction} in the seeds seen"),
            Self::Constant(direction) => write!(f, "{direction}: the same difference in every run"),
            Self::Same => f.write_str("the same in every run"),
            Self::Equivalent => f.write_str("equivalent"),
            Self::Inconclusive(Some(seeds_needed)) => {
                write!(f, "inconclusive: about {seeds_needed} seeds needed")
            }
            Self::Inconclusive(None) => f.write_str("inconclusive: needs more than a million seeds"),
            Self::LongTail => f.write_str("inconclusive: a long tail to the other side"),
            Self::FewDiffer => {
                write!(
                    f,
                    "inconclusive: fewer than {UNCOMMON_MIN} seeds differ from the commonest difference"
                )
            }
            Self::NoValues => f.write_str("nothing to compare"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::resampling::Resamples;
    use crate::statistics::test::p_value;

    fn one(differences: &[f64]) -> Differences {
        Differences::new(vec![differences.to_vec()])
    }

    /// Returns the verdict on three comparisons like this one, where more is better unless said otherwise.
    fn on(differences: &[f64], better: Better, baseline: f64) -> Verdict {
        let all = one(differences);
        let sizes = all.strata().iter().map(Vec::len).collect();
        let errors = Resamples::new(sizes).errors(&all);
        let p = (3.0 * p_value(&all, errors.as_ref())).min(1.0);
        let interval = Interval::of(&all, errors.as_ref());
        Verdict::new(&all, interval, p, better, baseline, 3, differences.len())
    }

    #[test]
    fn a_significant_difference_has_a_direction() {
        let up = [3.0, 4.0, 5.0, 4.2, 3.4, 5.1, 4.6, 3.8, 3.3, 4.9];
        assert_eq!(on(&up, Better::More, 50.0), Verdict::Different(Direction::Better));
        assert_eq!(on(&up, Better::Less, 50.0), Verdict::Different(Direction::Worse));
        assert_eq!(on(&up, Better::Neither, 50.0), Verdict::Different(Direction::Higher));
        let down = up.map(|difference| -difference);
        assert_eq!(on(&down, Better::Neither, 50.0), Verdict::Different(Direction::Lower));
        assert_eq!(on(&down, Better::Less, 50.0).direction(), Some(Direction::Better));
        assert_eq!(on(&down, Better::More, 50.0).to_string(), "worse");
    }

    #[test]
    fn no_difference_is_distinct_from_too_few_seeds() {
        assert_eq!(on(&[0.0, 0.0], Better::More, 50.0), Verdict::Same);
        assert_eq!(on(&[1.0, -1.0, 0.0, 1.0, -1.0, 0.0], Better::More, 100.0), Verdict::Equivalent);
        let few = on(&[1.0, -1.0, 0.0, 1.0, -1.0], Better::More, 100.0);
        assert!(matches!(few, Verdict::Inconclusive(_)), "five seeds are too few: {few:?}");
        let unsure = on(&[30.0, -20.0, 25.0, -10.0], Better::More, 100.0);
        let Verdict::Inconclusive(Some(seeds_needed)) = unsure else { panic!("{unsure:?}") };
        assert!(seeds_needed > 50 && seeds_needed % 10 == 0, "{seeds_needed}");
        assert_eq!(on(&[1.0, 1.01, 0.99], Better::More, 1.0), Verdict::Inconclusive(Some(7)));
        assert_eq!(on(&[1.0, 1.0, 1.0], Better::More, 1.0), Verdict::Constant(Direction::Better));
        assert_eq!(on(&[4.0], Better::More, 1.0), Verdict::Inconclusive(None), "one seed");
        assert_eq!(on(&[], Better::More, 1.0), Verdict::NoValues);
    }

    #[test]
    fn a_claim_needs_differences_that_differ() {
        let mut nearly = [3.0; 20];
        nearly[..4].copy_from_slice(&[2.0, 4.0, 5.0, 2.5]);
        assert_eq!(on(&nearly, Better::More, 50.0), Verdict::FewDiffer);
        nearly[4] = 2.2;
        assert_eq!(on(&nearly, Better::More, 50.0), Verdict::Different(Direction::Better));
    }

    #[test]
    fn a_long_tail_to_the_other_side_forbids_a_claim() {
        let mut gains = [1.0, 1.2, 1.4, 1.1, 1.3, 1.5, 1.25, 1.35, 1.15, 1.45].repeat(3);
        assert_eq!(on(&gains, Better::More, 50.0), Verdict::Different(Direction::Better));
        // The seed with a loss is too small a one to make p large.
        gains[7] = -1.9;
        assert_eq!(on(&gains, Better::More, 50.0), Verdict::LongTail);
        gains[7] = 4.6;
        assert_eq!(on(&gains, Better::More, 50.0), Verdict::Different(Direction::Better), "to this side");
    }

    #[test]
    fn a_deviation_as_large_as_the_break_even_limits_a_claim() {
        let claim = |largest: f64| {
            let mut differences: Vec<f64> = (0..12).map(|number| f64::from(number % 4) + 3.0).collect();
            differences[0] = largest;
            (on(&differences, Better::More, 50.0), BreakEven::of(&one(&differences)))
        };
        let (verdict, break_even) = claim(7.0);
        assert_eq!(verdict, Verdict::Different(Direction::Better));
        assert_eq!(break_even.one_in, 4.0);
        assert!((break_even.deviation + 4.0 * 58.0 / 12.0).abs() < 1e-9, "{break_even:?}");
        let skewed = [9.0, 1.0, 1.2, 0.9, 1.1, 5.0, 0.8, 3.0, 1.3, 6.0, 1.05, 2.0, 7.0, 1.0, 4.0, 21.0];
        let all = one(&skewed);
        assert!(all.largest_deviation() < BreakEven::of(&all).deviation.abs());
        let few = [0.3, 0.5, 0.2, 0.9, 0.4, 0.1, 0.6, 3.9];
        let verdict = claim_of(&few);
        assert_eq!(verdict, Verdict::DifferentInSeedsSeen(Direction::Better));
        assert_eq!(verdict.to_string(), "better in the seeds seen");
    }

    fn claim_of(differences: &[f64]) -> Verdict {
        super::claim(&one(differences), Direction::Better)
    }

    #[test]
    fn several_cases_share_a_break_even() {
        let both = Differences::new(vec![vec![2.0, 4.0, 3.0], vec![1.0, 1.0, 1.0]]);
        assert_eq!(BreakEven::of(&both), BreakEven { deviation: -4.0, one_in: 1.0 });
    }

    #[test]
    fn few_seeds_cannot_yield_a_verdict() {
        // Two to the power of 1 - n is at most 0.05 divided by the number of comparisons.
        assert_eq!([0, 1, 2, 10, 76].map(fewest_seeds), [Some(6), Some(6), Some(7), Some(9), Some(12)]);
        assert_eq!(fewest_seeds(25_000), Some(20));
        assert_eq!(fewest_seeds(30_000), None);
    }

    #[test]
    fn numbers_of_seeds_are_round() {
        assert_eq!([7, 10, 11, 101, 1_234].map(round_up), [7, 10, 11, 110, 1_300]);
    }
}
