//! Confidence intervals of a mean difference.
//!
//! An interval is the hull of Student's and of the studentised bootstrap's ([`super::resampling`]): the first is right for
//! few seeds of symmetric differences, the second follows a long tail. `docs/comparing.md` has the measured coverage.

use serde::Serialize;

use super::resampling::Errors;
use super::{Differences, student_quantile};

/// Nominal coverage.
pub const LEVEL: f64 = 0.95;

/// Fraction of an interval's larger end below which the other end counts as zero.
const ZERO: f64 = 1e-9;

/// A confidence interval.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Interval {
    /// The lower limit.
    pub low: f64,
    /// The upper limit.
    pub high: f64,
}

impl Interval {
    /// Returns the interval of the mean difference, given its resampled errors; `None` if no stratum has two differences, or
    /// all are the same, so that nothing is known about their variation.
    #[must_use]
    pub fn of(differences: &Differences, errors: Option<&Errors>) -> Option<Self> {
        let standard_error = differences.standard_error().filter(|&error| error > 0.0)?;
        let tail = (1.0 - LEVEL) / 2.0;
        let student = student_quantile(1.0 - tail, differences.freedom());
        let (mut below, mut above) = (student, student);
        if let Some(errors) = errors {
            below = below.max(errors.quantile(1.0 - tail));
            above = above.max(-errors.quantile(tail));
        }
        let mean = differences.mean();
        Some(Self::without_dust(mean - below * standard_error, mean + above * standard_error))
    }

    /// Returns an interval of which an end that differs from zero by rounding only is zero.
    fn without_dust(low: f64, high: f64) -> Self {
        let size = low.abs().max(high.abs());
        let clean = |end: f64| if end.abs() < ZERO * size { 0.0 } else { end };
        Self { low: clean(low), high: clean(high) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::resampling::Resamples;

    fn of(differences: &[f64]) -> Interval {
        let all = Differences::new(vec![differences.to_vec()]);
        let errors = Resamples::new(vec![differences.len()]).errors(&all);
        Interval::of(&all, errors.as_ref()).expect("several differences")
    }

    #[track_caller]
    fn assert_near(interval: Interval, low: f64, high: f64, tolerance: f64) {
        let is_near = (interval.low - low).abs() < tolerance && (interval.high - high).abs() < tolerance;
        assert!(is_near, "{interval:?}, not {low} to {high}");
    }

    #[test]
    fn without_resamples_it_is_students() {
        let few = Differences::new(vec![vec![3.0, -1.0, 4.0, 1.0, 5.0, -9.0, 2.0, 6.0, 5.0, 3.0, 5.0, 8.0]]);
        // scipy 1.17.1: t.interval(0.95, 11, numpy.mean(x), sem(x))
        let interval = Interval::of(&few, None).expect("several differences");
        assert_near(interval, -0.113_866, 5.447_200, 1e-5);
    }

    #[test]
    fn a_long_tail_widens_the_interval_to_its_side() {
        let askew = [0.1, 0.3, 0.2, 5.0, 0.4, 0.9, 0.7, 12.0, 0.5, 1.1];
        let all = Differences::new(vec![askew.to_vec()]);
        let (student, hull) = (Interval::of(&all, None).expect("several"), of(&askew));
        assert_eq!(hull.low, student.low);
        assert!(hull.high > 1.7 * student.high, "{hull:?}");
        let mirrored = of(&askew.map(|difference| -difference));
        assert!(mirrored.low < -student.high && (mirrored.high + student.low).abs() < 1e-12, "{mirrored:?}");
    }

    #[test]
    fn equal_differences_have_no_interval() {
        assert_eq!(Interval::of(&Differences::new(vec![vec![3.0; 5]]), None), None);
        assert_eq!(Interval::of(&Differences::new(vec![vec![3.0]]), None), None);
    }

    #[test]
    fn an_end_at_zero_has_no_dust() {
        assert_eq!(Interval::without_dust(-1.0, 1.4e-15), Interval { low: -1.0, high: 0.0 });
        let positive = Interval::without_dust(-0.0, 2.0);
        assert!(positive.low.is_sign_positive() && positive.high == 2.0);
        assert_eq!(Interval::without_dust(0.0, 0.0), Interval { low: 0.0, high: 0.0 });
    }
}
