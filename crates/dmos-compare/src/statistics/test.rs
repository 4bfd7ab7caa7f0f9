//! Paired tests of a mean difference.
//!
//! The p value is the largest of three, each of which is right where the others are not: Student's test is powerful for few
//! seeds of regular differences; the studentised bootstrap ([`super::resampling`]) follows a long tail; and a
//! permutation test assumes nothing about the distribution. In the last, every difference could as well have the opposite
//! sign, and the p value is the fraction of all sign assignments for which the mean is at least as far from zero as
//! observed (Fisher, "The design of experiments", 1935; Pitman 1937). Differences of zero have no effect on it.

use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};

use super::resampling::Errors;
use super::{Differences, student};

/// Maximum number of nonzero differences for which all sign assignments are enumerated.
const EXACT_MAX: usize = 16;

/// Initial number of sampled assignments beyond that.
const SAMPLES_MIN: u64 = 20_000;

/// Number of extreme assignments below which the p value is small and more assignments are sampled.
const FEW: u64 = 10;

/// Maximum number of sampled assignments, while there are few differences.
const SAMPLES_MAX: u64 = 500_000;

/// Maximum number of additions for sampling more.
const ADDITIONS: u64 = 20_000_000;

/// Seed of the sampling; fixed, so that results are reproducible.
const SEED: u64 = 0x5197_f11b;

/// Relative difference below which sums count as equal.
const EQUAL: f64 = 1e-12;

/// Returns the two-sided p value of the mean difference, in (0, 1], given its resampled errors: 1 without a standard error,
/// and that of the permutation test where all differences are equal.
#[must_use]
pub fn p_value(differences: &Differences, errors: Option<&Errors>) -> f64 {
    let by_signs = permutation_p(differences);
    let Some(standard_error) = differences.standard_error() else { return 1.0 };
    if standard_error == 0.0 {
        return by_signs;
    }
    let observed = differences.mean() / standard_error;
    let by_student = 2.0 * student(-observed.abs(), differences.freedom());
    let by_errors = errors.map_or(0.0, |errors| errors.p_value(observed));
    by_signs.max(by_student).max(by_errors)
}

/// Returns the smallest p value that `count` differences of one stratum can have.
#[must_use]
pub fn smallest_p(count: usize) -> f64 {
    let of_all = 0.5_f64.powi(i32::try_from(count).unwrap_or(i32::MAX).saturating_sub(1));
    let samples = if count > EXACT_MAX { samples_max(count) as f64 + 1.0 } else { f64::INFINITY };
    of_all.max(1.0 / samples)
}

/// Returns the maximum number of sampled sign assignments of `count` differences.
fn samples_max(count: usize) -> u64 {
    (ADDITIONS / count as u64).clamp(SAMPLES_MIN, SAMPLES_MAX)
}

/// Returns the two-sided p value of the permutation test.
///
/// Exact for up to 16 nonzero differences; beyond that from 20,000 sampled sign assignments, and up to
/// 500,000 where the p value is small.
fn permutation_p(differences: &Differences) -> f64 {
    let parts: Vec<f64> = differences.weighted().filter(|&part| part != 0.0).collect();
    let size: f64 = parts.iter().map(|part| part.abs()).sum();
    let at_least = parts.iter().sum::<f64>().abs() - EQUAL * size;
    if parts.len() <= EXACT_MAX { exact_p(&parts, at_least) } else { sampled_p(&parts, at_least) }
}

/// Enumerates all sign assignments, each differing from the one before by one sign (Gray code).
fn exact_p(parts: &[f64], at_least: f64) -> f64 {
    let all = 1_u32 << parts.len();
    let mut signs = vec![1.0; parts.len()];
    let mut sum: f64 = parts.iter().sum();
    let mut extreme = u32::from(sum.abs() >= at_least);
    for number in 1..all {
        let part = number.trailing_zeros() as usize;
        signs[part] = -signs[part];
        sum += 2.0 * signs[part] * parts[part];
        extreme += u32::from(sum.abs() >= at_least);
    }
    f64::from(extreme) / f64::from(all)
}

/// Samples sign assignments; the observed one is one of them.
fn sampled_p(parts: &[f64], at_least: f64) -> f64 {
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    // Stopping once enough are extreme leaves p values valid (Besag and Clifford 1991).
    let (mut extreme, mut samples) = (1, 0);
    let more = samples_max(parts.len());
    while samples < SAMPLES_MIN || (extreme <= FEW && samples < more) {
        samples += 1;
        let mut sum = 0.0;
        for parts in parts.chunks(64) {
            let mut bits = random.next_u64();
            for part in parts {
                sum += if bits & 1 == 1 { *part } else { -part };
                bits >>= 1;
            }
        }
        extreme += u64::from(sum.abs() >= at_least);
    }
    extreme as f64 / (samples + 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(differences: &[f64]) -> f64 {
        permutation_p(&Differences::new(vec![differences.to_vec()]))
    }

    #[test]
    fn agrees_with_scipy() {
        // scipy 1.17.1: permutation_test((x,), mean, permutation_type="samples"), exact
        let few = [3.0, -1.0, 4.0, 1.0, 5.0, -9.0, 2.0, 6.0, 5.0, 3.0, 5.0, 8.0];
        assert_eq!(p(&few), 0.0703125);
        // The same with two million resamples: 0.00262.
        let thirty = [
            12.0, 0.0, 7.0, -3.0, 5.0, 0.0, 0.0, 9.0, 4.0, -2.0, 8.0, 1.0, 0.0, 3.0, 6.0, -5.0, 2.0, 11.0,
            -1.0, 4.0, 0.0, 7.0, 3.0, -4.0, 5.0, 2.0, 0.0, 6.0, 1.0, -2.0,
        ];
        assert!((p(&thirty) - 0.002_62).abs() < 0.001, "{}", p(&thirty));
    }

    #[test]
    fn sampled_permutations_approximate_all_permutations() {
        let parts = [1.0, -2.0, 3.0, 0.5, 4.0, -1.5, 2.5, 3.5, 1.0, -0.5, 2.0];
        let at_least = parts.iter().sum::<f64>() - 1e-9;
        assert!((exact_p(&parts, at_least) - sampled_p(&parts, at_least)).abs() < 0.005);
    }

    #[test]
    fn all_zero_differences_are_not_significant() {
        assert_eq!((p(&[]), p(&[0.0; 40])), (1.0, 1.0));
        assert_eq!(p(&[2.0]), 1.0, "one seed is no evidence");
    }

    #[test]
    fn zero_weights_have_no_effect() {
        assert_eq!(p(&[1.0, 0.0, 2.0, 0.0, 3.0]), p(&[1.0, 2.0, 3.0]));
    }

    #[test]
    fn the_largest_p_value_counts() {
        use crate::statistics::resampling::Resamples;
        let all = |differences: &[f64]| {
            let all = Differences::new(vec![differences.to_vec()]);
            let sizes = all.strata().iter().map(Vec::len).collect();
            p_value(&all, Resamples::new(sizes).errors(&all).as_ref())
        };
        // scipy 1.17.1: a t test of one sample gives 0.0585, the permutation test 0.0703, and numpy by a million resamples 0.23.
        let few = [3.0, -1.0, 4.0, 1.0, 5.0, -9.0, 2.0, 6.0, 5.0, 3.0, 5.0, 8.0];
        assert!((all(&few) - 0.23).abs() < 0.02, "{}", all(&few));
        let without = p_value(&Differences::new(vec![few.to_vec()]), None);
        assert_eq!(without, 0.070_312_5);
        // Student's is the largest.
        let outlier = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 60.0];
        let student = p_value(&Differences::new(vec![outlier.to_vec()]), None);
        assert!(p(&outlier) == 1.0 / 512.0 && (student - 0.091_571).abs() < 1e-5, "{student}");
        assert_eq!((all(&[2.0; 6]), all(&[2.0]), all(&[])), (1.0 / 32.0, 1.0, 1.0));
    }

    #[test]
    fn few_differences_have_a_smallest_p_value() {
        assert_eq!([1, 5, 6, 16].map(smallest_p), [1.0, 1.0 / 16.0, 1.0 / 32.0, 1.0 / 32_768.0]);
        assert_eq!([17, 30, 1_000].map(smallest_p), [0.5_f64.powi(16), 1.0 / 500_001.0, 1.0 / 20_001.0]);
    }
}
