//! Paired permutation test of a mean difference.
//!
//! Under the null hypothesis every difference could as well have the opposite sign. The p value is the
//! fraction of all sign assignments for which the mean is at least as far from zero as observed (Fisher, "The
//! design of experiments", 1935; Pitman 1937). The test assumes nothing about the distribution of
//! differences. Differences of zero have no effect.

use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};

use super::Differences;

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

/// Returns the two-sided p value of the mean difference, in (0, 1].
///
/// Exact for up to 16 nonzero differences; beyond that from 20,000 sampled sign assignments, and up to
/// 500,000 where the p value is small.
#[must_use]
pub fn p_value(differences: &Differences) -> f64 {
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
    let more = (ADDITIONS / parts.len() as u64).clamp(SAMPLES_MIN, SAMPLES_MAX);
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
    use rand::RngExt;

    use super::*;

    fn p(differences: &[f64]) -> f64 {
        p_value(&Differences::new(vec![differences.to_vec()]))
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
    fn false_alarms_occur_at_about_5_percent() {
        let mut random = ChaCha8Rng::seed_from_u64(11);
        for count in [8, 30] {
            for askew in [false, true] {
                let trials = 2_000;
                let alarms = (0..trials).filter(|_| {
                    let side = |random: &mut ChaCha8Rng| {
                        let share = random.random::<f64>();
                        if askew { -(1.0 - share).ln() } else { share }
                    };
                    // Both sides have the same distribution, so any difference is due to chance.
                    let drawn: Vec<f64> = (0..count).map(|_| side(&mut random) - side(&mut random)).collect();
                    p(&drawn) <= 0.05
                });
                let share = alarms.count() as f64 / f64::from(trials);
                assert!((0.035..=0.06).contains(&share), "{count} seeds, askew {askew}: {share}");
            }
        }
    }
}
