//! Bootstrap confidence intervals of a mean difference.
//!
//! Seeds are resampled with replacement within their strata, and the mean is taken; the interval contains the
//! central 95 % of many such means. It is bias-corrected and accelerated (Efron, "Better bootstrap confidence
//! intervals", 1987), so it can be asymmetric like the differences, and expanded (Hesterberg, "What teachers
//! should know about the bootstrap", 2015), because with few seeds a bootstrap interval is too narrow by the
//! ratio of Student's distribution to the normal one.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use serde::Serialize;

use super::{Differences, normal, normal_quantile, student_quantile};

/// Number of resamples.
pub const RESAMPLES: usize = 10_000;

/// Nominal coverage.
pub const LEVEL: f64 = 0.95;

/// Seed of the resampling; fixed, so that results are reproducible.
const SEED: u64 = 0x1d5a_7e11;

/// A confidence interval.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Interval {
    /// The lower limit.
    pub low: f64,
    /// The upper limit.
    pub high: f64,
}

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
        Self::sampled(sizes, RESAMPLES, SEED)
    }

    fn sampled(sizes: Vec<usize>, resamples: usize, seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut indices = Vec::with_capacity(resamples * sizes.iter().sum::<usize>());
        for _ in 0..resamples {
            for &size in &sizes {
                indices.extend((0..size).map(|_| random.random_range(0..size as u32)));
            }
        }
        Self { sizes, indices }
    }

    /// Returns the means of all resamples, in ascending order.
    fn means(&self, differences: &Differences) -> Vec<f64> {
        let (strata, count) = (differences.strata(), differences.count());
        let mean = |indices: &[u32]| {
            let mut rest = indices;
            let sum: f64 = strata
                .iter()
                .map(|stratum| {
                    let (ours, others) = rest.split_at(stratum.len());
                    rest = others;
                    ours.iter().map(|&index| stratum[index as usize]).sum::<f64>() / stratum.len() as f64
                })
                .sum();
            sum / strata.len() as f64
        };
        let mut means: Vec<f64> = self.indices.chunks_exact(count).map(mean).collect();
        means.sort_unstable_by(f64::total_cmp);
        means
    }

    /// Returns the interval of the mean difference, or `None` if no stratum has two differences.
    ///
    /// O([`RESAMPLES`] times differences).
    ///
    /// # Panics
    /// If the strata have other sizes.
    #[must_use]
    pub fn interval(&self, differences: &Differences) -> Option<Interval> {
        assert!(self.sizes.iter().copied().eq(differences.strata().iter().map(Vec::len)));
        let freedom = differences.freedom();
        let squares: f64 = differences.influences().map(|influence| influence * influence).sum();
        let observed = differences.mean();
        if freedom <= 0.0 {
            return None;
        }
        if squares == 0.0 {
            return Some(Interval { low: observed, high: observed });
        }
        let wider = (differences.count() as f64 / freedom).sqrt();
        let tail = (1.0 - LEVEL) / 2.0;
        let z = [tail, 1.0 - tail].map(|share| wider * student_quantile(share, freedom));
        Some(self.accelerated(differences, observed, squares, z))
    }

    /// Returns the bias-corrected and accelerated interval between two normal quantiles.
    fn accelerated(&self, differences: &Differences, observed: f64, squares: f64, z: [f64; 2]) -> Interval {
        let means = self.means(differences);
        let below = means.partition_point(|&mean| mean < observed);
        let equal = means.partition_point(|&mean| mean <= observed) - below;
        // Half of the equal ones count as below; with some on either side, the quantile is finite.
        let share = (below as f64 + equal as f64 / 2.0).clamp(0.5, means.len() as f64 - 0.5);
        let bias = normal_quantile(share / means.len() as f64);
        let cubes: f64 = differences.influences().map(|influence| influence.powi(3)).sum();
        let acceleration = cubes / (6.0 * squares.powf(1.5));
        let [low, high] = z.map(|z| {
            let shifted = bias + z;
            let level = normal(bias + shifted / (1.0 - acceleration * shifted));
            let rank = (level * means.len() as f64).floor() as usize;
            means[rank.min(means.len() - 1)]
        });
        Interval { low: low.min(high), high: high.max(low) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(differences: &[f64]) -> Interval {
        let resamples = Resamples::new(vec![differences.len()]);
        resamples.interval(&Differences::new(vec![differences.to_vec()])).expect("several differences")
    }

    /// Returns the interval without the expansion, which other implementations compute.
    fn unexpanded(differences: &[f64]) -> Interval {
        let all = Differences::new(vec![differences.to_vec()]);
        let squares = all.influences().map(|influence| influence * influence).sum();
        let resamples = Resamples::sampled(vec![differences.len()], 100_000, SEED);
        resamples.accelerated(&all, all.mean(), squares, [-1.959_963_985, 1.959_963_985])
    }

    #[track_caller]
    fn assert_near(interval: Interval, low: f64, high: f64, tolerance: f64) {
        let is_near = (interval.low - low).abs() < tolerance && (interval.high - high).abs() < tolerance;
        assert!(is_near, "{interval:?}, not {low} to {high}");
    }

    #[test]
    fn agrees_with_scipy() {
        // scipy 1.17.1: bootstrap((x,), numpy.mean, method="BCa", n_resamples=1000000)
        let few = [3.0, -1.0, 4.0, 1.0, 5.0, -9.0, 2.0, 6.0, 5.0, 3.0, 5.0, 8.0];
        assert_near(unexpanded(&few), -0.833, 4.417, 0.09);
        let askew = [0.1, 0.3, 0.2, 5.0, 0.4, 0.9, 0.7, 12.0, 0.5, 1.1];
        assert_near(unexpanded(&askew), 0.600, 6.070, 0.15);
        assert_near(unexpanded(&THIRTY), 1.167, 4.233, 0.04);
    }

    #[test]
    fn intervals_widen_for_few_seeds() {
        let few = [3.0, -1.0, 4.0, 1.0, 5.0, -9.0, 2.0, 6.0, 5.0, 3.0, 5.0, 8.0];
        let (narrow, wide) = (unexpanded(&few), of(&few));
        assert!(wide.low < narrow.low && narrow.high < wide.high, "{wide:?}");
    }

    const THIRTY: [f64; 30] = [
        12.0, 0.0, 7.0, -3.0, 5.0, 0.0, 0.0, 9.0, 4.0, -2.0, 8.0, 1.0, 0.0, 3.0, 6.0, -5.0, 2.0, 11.0, -1.0,
        4.0, 0.0, 7.0, 3.0, -4.0, 5.0, 2.0, 0.0, 6.0, 1.0, -2.0,
    ];

    #[test]
    fn constant_differences_have_a_point_interval() {
        assert_eq!(of(&[3.0; 5]), Interval { low: 3.0, high: 3.0 });
        let one = Differences::new(vec![vec![3.0]]);
        assert_eq!(Resamples::new(vec![1]).interval(&one), None);
    }

    /// Returns the fraction of intervals from `count` differences that contain the true mean.
    fn coverage(count: usize, mean: f64, draw: impl Fn(&mut ChaCha8Rng) -> f64) -> f64 {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let resamples = Resamples::sampled(vec![count], 2_000, SEED);
        let trials = 2_000;
        let holds = (0..trials).filter(|_| {
            let drawn = (0..count).map(|_| draw(&mut random)).collect();
            let interval = resamples.interval(&Differences::new(vec![drawn])).expect("several differences");
            interval.low <= mean && mean <= interval.high
        });
        holds.count() as f64 / f64::from(trials)
    }

    #[test]
    fn intervals_cover_about_95_percent() {
        let uniform = |random: &mut ChaCha8Rng| random.random::<f64>();
        let exponential = |random: &mut ChaCha8Rng| -(1.0 - random.random::<f64>()).ln();
        let whole = |random: &mut ChaCha8Rng| f64::from(random.random_range(-2..=2_i32));
        for (name, coverage, least) in [
            ("ten uniform", coverage(10, 0.5, uniform), 0.93),
            ("thirty uniform", coverage(30, 0.5, uniform), 0.935),
            ("thirty whole numbers", coverage(30, 0.0, whole), 0.935),
            ("a hundred uniform", coverage(100, 0.5, uniform), 0.935),
            ("thirty askew", coverage(30, 1.0, exponential), 0.92),
        ] {
            assert!((least..0.97).contains(&coverage), "{name}: {coverage}");
        }
    }
}
