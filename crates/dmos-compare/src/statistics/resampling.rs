//! The studentised bootstrap: the distribution of a mean difference's error, relative to its standard error.
//!
//! Seeds are resampled with replacement within their strata. Each resample has a mean and a standard error of its own,
//! and their quotient (Efron, "Nonparametric standard errors and confidence intervals", 1981; Hall, "Theoretical
//! comparison of bootstrap confidence intervals", 1988). So the distribution is as asymmetric as the differences.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::{Differences, student, student_quantile};

/// Number of resamples.
pub const RESAMPLES: usize = 9_999;

/// Fraction of the standard error below which that of a resample does not fall. Resamples of few different values
/// have errors near zero, and their quotients would be meaningless.
const ERROR_MIN: f64 = 0.25;

/// Number of resamples in a tail below which it is continued by Student's distribution.
const TAIL: usize = 10;

/// Seed of the resampling; fixed, so that results are reproducible.
const SEED: u64 = 0x1d5a_7e11;

/// Resampled indices for strata of certain sizes, shared by all comparisons on them.
pub struct Resamples {
    sizes: Vec<usize>,
    /// For each resample and stratum, as many indices as the stratum has differences.
    indices: Vec<u32>,
}

impl Resamples {
    /// Samples indices for strata of these sizes.
    #[must_use]
    pub fn new(sizes: Vec<usize>) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(SEED);
        let mut indices = Vec::with_capacity(RESAMPLES * sizes.iter().sum::<usize>());
        for _ in 0..RESAMPLES {
            for &size in &sizes {
                indices.extend((0..size).map(|_| random.random_range(0..size as u32)));
            }
        }
        Self { sizes, indices }
    }

    /// Returns the resampled errors of the mean difference, or `None` where it has no standard error or the standard
    /// error is zero.
    ///
    /// O([`RESAMPLES`] times differences).
    ///
    /// # Panics
    /// If the strata have other sizes.
    #[must_use]
    pub fn errors(&self, differences: &Differences) -> Option<Errors> {
        assert!(self.sizes.iter().copied().eq(differences.strata().iter().map(Vec::len)));
        let standard_error = differences.standard_error().filter(|&error| error > 0.0)?;
        let influences = differences.influences_by_stratum();
        let scale = differences.count() as f64 / differences.freedom();
        let quotient = |indices: &[u32]| {
            let (mut mean, mut squares, mut rest) = (0.0, 0.0, indices);
            for stratum in &influences {
                let (ours, others) = rest.split_at(stratum.len());
                rest = others;
                let (mut sum, mut of_squares) = (0.0, 0.0);
                for &index in ours {
                    let influence = stratum[index as usize];
                    sum += influence;
                    of_squares += influence * influence;
                }
                mean += sum;
                squares += (of_squares - sum * sum / stratum.len() as f64).max(0.0);
            }
            mean / (squares * scale).sqrt().max(ERROR_MIN * standard_error)
        };
        let mut quotients: Vec<f64> = self.indices.chunks_exact(differences.count()).map(quotient).collect();
        quotients.sort_unstable_by(f64::total_cmp);
        Some(Errors { quotients, freedom: differences.freedom() })
    }
}

/// The resampled errors of a mean difference.
pub struct Errors {
    /// Error of the mean divided by the standard error of the resample, in ascending order.
    quotients: Vec<f64>,
    freedom: f64,
}

impl Errors {
    /// Returns the quotient below which this share of the resamples lies.
    #[must_use]
    pub fn quantile(&self, share: f64) -> f64 {
        let rank = (share * (self.quotients.len() + 1) as f64).round() as usize;
        self.quotients[rank.clamp(1, self.quotients.len()) - 1]
    }

    /// Returns the two-sided p value of a mean difference that is this many standard errors from zero.
    #[must_use]
    pub fn p_value(&self, observed: f64) -> f64 {
        (2.0 * self.tail(observed, 1.0).min(self.tail(observed, -1.0))).min(1.0)
    }

    /// Returns the share of quotients at least as far in one direction as `observed`.
    fn tail(&self, observed: f64, direction: f64) -> f64 {
        let all = self.quotients.len();
        let beyond = if direction > 0.0 {
            all - self.quotients.partition_point(|&quotient| quotient < observed)
        } else {
            self.quotients.partition_point(|&quotient| quotient <= observed)
        };
        let share = (beyond.max(TAIL) + 1) as f64 / (all + 1) as f64;
        if beyond >= TAIL {
            return share;
        }
        // The last quotients are random; Student's distribution continues from one that is less so.
        let last =
            direction * if direction > 0.0 { self.quotients[all - TAIL] } else { self.quotients[TAIL - 1] };
        let scale = last / student_quantile(1.0 - TAIL as f64 / (all + 1) as f64, self.freedom);
        if scale > 0.0 { share.min(student(-direction * observed / scale, self.freedom)) } else { share }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(differences: &[f64]) -> Errors {
        let resamples = Resamples::new(vec![differences.len()]);
        resamples.errors(&Differences::new(vec![differences.to_vec()])).expect("different values")
    }

    #[test]
    fn quotients_of_many_symmetric_differences_are_normal() {
        let differences: Vec<f64> = (0..400).map(|number| f64::from(number % 21 - 10)).collect();
        let errors = errors(&differences);
        assert!((errors.quantile(0.975) - 1.96).abs() < 0.06, "{}", errors.quantile(0.975));
        assert!((errors.quantile(0.025) + 1.96).abs() < 0.06, "{}", errors.quantile(0.025));
        assert!(errors.quantile(0.5).abs() < 0.04);
        assert!((errors.p_value(1.96) - 0.05).abs() < 0.006 && (errors.p_value(-1.96) - 0.05).abs() < 0.006);
        assert!(errors.p_value(0.0) > 0.95);
    }

    #[test]
    fn the_tail_continues_beyond_the_resamples() {
        let differences: Vec<f64> = (0..30).map(|number| f64::from(number % 7)).collect();
        let errors = errors(&differences);
        let p = [3.0, 4.0, 5.0, 6.0, 8.0, 12.0].map(|observed| errors.p_value(observed));
        assert!(p.windows(2).all(|pair| pair[1] < pair[0]), "{p:?}");
        assert!(p[5] < 1e-6 && p[5] > 0.0, "{p:?}");
        let negative = [3.0, 8.0].map(|observed: f64| errors.p_value(-observed));
        assert!(negative[1] < negative[0] && negative[1] < 1e-4, "{negative:?}");
    }

    #[test]
    fn agrees_with_numpy() {
        // numpy 2: a million resamples, with the same floor of the standard error.
        let few = [3.0, -1.0, 4.0, 1.0, 5.0, -9.0, 2.0, 6.0, 5.0, 3.0, 5.0, 8.0];
        let errors = errors(&few);
        assert!((errors.quantile(0.025) + 1.619).abs() < 0.05, "{}", errors.quantile(0.025));
        assert!((errors.quantile(0.975) - 3.667).abs() < 0.15, "{}", errors.quantile(0.975));
        assert!((errors.p_value(2.110_852) - 0.2296).abs() < 0.02, "{}", errors.p_value(2.110_852));
    }

    #[test]
    fn a_long_tail_makes_the_errors_asymmetric() {
        let errors = errors(&[0.1, 0.3, 0.2, 5.0, 0.4, 0.9, 0.7, 12.0, 0.5, 1.1]);
        assert!(-errors.quantile(0.025) > 2.0 * errors.quantile(0.975));
    }

    #[test]
    fn equal_differences_have_no_errors() {
        let all = Differences::new(vec![vec![3.0; 5]]);
        assert!(Resamples::new(vec![5]).errors(&all).is_none());
        assert!(Resamples::new(vec![1]).errors(&Differences::new(vec![vec![3.0]])).is_none());
    }
}
