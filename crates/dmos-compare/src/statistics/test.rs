//! Whether a mean difference could be chance: a paired permutation test.
//!
//! If it did not matter which of the two strategies was which, every difference could as well have had the other
//! sign. The p value is the share of all such exchanges in which the mean is at least as far from zero as it is
//! (Fisher, "The design of experiments", 1935; Pitman 1937). Nothing is assumed of how differences are spread.
//! Differences of zero weigh nothing.

use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};

use super::Differences;

/// All exchanges are tried of up to so many differences that are not zero.
const ALL_UP_TO: usize = 16;

/// So many are drawn beyond that at first.
const DRAWN: u64 = 20_000;

/// Where no more than this many of them are as far, the p value is small, and more are drawn to say how small.
const FEW: u64 = 10;

/// The most that are drawn in all, for as long as there are not too many differences.
const DRAWN_AT_MOST: u64 = 500_000;

/// The most differences that are added up to draw more.
const ADDITIONS: u64 = 20_000_000;

/// The seed of the drawing: part of every answer.
const SEED: u64 = 0x5197_f11b;

/// Sums that differ by less than this share of their parts are equal.
const EQUAL: f64 = 1e-12;

/// Returns the two-sided p value of the mean difference, above zero and up to one.
///
/// Exact for up to 16 differences that are not zero; beyond, from exchanges that are drawn: 20,000, and up to
/// 500,000 where the p value is small.
#[must_use]
pub fn p_value(differences: &Differences) -> f64 {
    let parts: Vec<f64> = differences.weighted().filter(|&part| part != 0.0).collect();
    let size: f64 = parts.iter().map(|part| part.abs()).sum();
    let at_least = parts.iter().sum::<f64>().abs() - EQUAL * size;
    if parts.len() <= ALL_UP_TO { exactly(&parts, at_least) } else { drawn(&parts, at_least) }
}

/// Goes through all exchanges, from each to the next by one sign (Gray's code).
fn exactly(parts: &[f64], at_least: f64) -> f64 {
    let all = 1_u32 << parts.len();
    let mut signs = vec![1.0; parts.len()];
    let mut sum: f64 = parts.iter().sum();
    let mut as_far = u32::from(sum.abs() >= at_least);
    for number in 1..all {
        let part = number.trailing_zeros() as usize;
        signs[part] = -signs[part];
        sum += 2.0 * signs[part] * parts[part];
        as_far += u32::from(sum.abs() >= at_least);
    }
    f64::from(as_far) / f64::from(all)
}

/// Draws exchanges; the one that was observed is one of them.
fn drawn(parts: &[f64], at_least: f64) -> f64 {
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    // Stopping when enough are as far leaves p values valid (Besag and Clifford 1991).
    let (mut as_far, mut drawn) = (1, 0);
    let more = (ADDITIONS / parts.len() as u64).clamp(DRAWN, DRAWN_AT_MOST);
    while drawn < DRAWN || (as_far <= FEW && drawn < more) {
        drawn += 1;
        let mut sum = 0.0;
        for parts in parts.chunks(64) {
            let mut bits = random.next_u64();
            for part in parts {
                sum += if bits & 1 == 1 { *part } else { -part };
                bits >>= 1;
            }
        }
        as_far += u64::from(sum.abs() >= at_least);
    }
    as_far as f64 / (drawn + 1) as f64
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
        // the same with two million resamples: 0.00262
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
        assert!((exactly(&parts, at_least) - drawn(&parts, at_least)).abs() < 0.005);
    }

    #[test]
    fn all_zero_differences_are_not_significant() {
        assert_eq!((p(&[]), p(&[0.0; 40])), (1.0, 1.0));
        assert_eq!(p(&[2.0]), 1.0, "one seed says nothing");
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
                    // Both are drawn alike, so there is no difference but chance.
                    let drawn: Vec<f64> = (0..count).map(|_| side(&mut random) - side(&mut random)).collect();
                    p(&drawn) <= 0.05
                });
                let share = alarms.count() as f64 / f64::from(trials);
                assert!((0.035..=0.06).contains(&share), "{count} seeds, askew {askew}: {share}");
            }
        }
    }
}
