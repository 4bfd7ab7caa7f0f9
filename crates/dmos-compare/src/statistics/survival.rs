//! Durations with censoring.
//!
//! A factory that has not recovered by the end of the run takes *at least* that long. Leaving such episodes
//! out, or counting them as ended, would make the slowest strategy look fast. They are censored instead: they
//! count among the episodes that still last for as long as they were observed (Kaplan and Meier,
//! "Nonparametric estimation from incomplete observations", 1958).

use serde::{Deserialize, Serialize};

/// The duration of an episode in seconds, or a lower bound of it.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Episode {
    /// Observed duration.
    pub lasted: f64,
    /// True if the end was observed; false if the episode is censored.
    pub ended: bool,
}

/// Estimated survival function of a duration.
#[derive(Clone, PartialEq, Debug)]
pub struct Survival {
    /// Times at which episodes ended, in ascending order, and the fraction that lasted longer.
    steps: Vec<(f64, f64)>,
}

impl Survival {
    /// Returns the Kaplan-Meier estimate. O(episodes log episodes).
    #[must_use]
    pub fn of(episodes: &[Episode]) -> Self {
        let mut sorted = episodes.to_vec();
        sorted.sort_unstable_by(|a, b| a.lasted.total_cmp(&b.lasted));
        let (mut share, mut left) = (1.0, sorted.len());
        let mut steps = Vec::new();
        for same in sorted.chunk_by(|a, b| a.lasted == b.lasted) {
            let ended = same.iter().filter(|episode| episode.ended).count();
            if ended > 0 {
                share *= 1.0 - ended as f64 / left as f64;
                steps.push((same[0].lasted, share));
            }
            left -= same.len();
        }
        Self { steps }
    }

    /// Returns the median, or `None` if it was not observed.
    #[must_use]
    pub fn median(&self) -> Option<f64> {
        self.steps.iter().find(|step| step.1 <= 0.5 + 1e-12).map(|step| step.0)
    }

    /// Returns the mean duration restricted to `horizon` (Irwin 1949; Royston and Parmar 2013).
    #[must_use]
    pub fn restricted_mean(&self, horizon: f64) -> f64 {
        let (mut area, mut from, mut share) = (0.0, 0.0, 1.0);
        for &(at, next) in self.steps.iter().take_while(|step| step.0 < horizon) {
            area += share * (at - from);
            (from, share) = (at, next);
        }
        area + share * (horizon - from)
    }
}

/// Returns for each group of episodes its pseudo-observation: its contribution to the restricted mean of all
/// episodes. It represents the group, including censored episodes, and can be averaged and compared as if
/// nothing were censored (Andersen, Klein and Rosthøj 2003). `None` for a group without episodes.
///
/// O(groups × episodes).
#[must_use]
pub fn pseudo_observations(groups: &[Vec<Episode>], horizon: f64) -> Vec<Option<f64>> {
    let with_spells = groups.iter().filter(|group| !group.is_empty()).count() as f64;
    let mean_without = |left_out: Option<usize>| {
        let kept = groups.iter().enumerate().filter(|(index, _)| Some(*index) != left_out);
        let episodes: Vec<Episode> = kept.flat_map(|(_, group)| group.iter().copied()).collect();
        Survival::of(&episodes).restricted_mean(horizon)
    };
    let all = mean_without(None);
    let of = |(index, group): (usize, &Vec<Episode>)| match group.is_empty() {
        true => None,
        false if with_spells == 1.0 => Some(all),
        false => Some(with_spells * all - (with_spells - 1.0) * mean_without(Some(index))),
    };
    groups.iter().enumerate().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn episodes(lasted: &[f64], censored: &[f64]) -> Vec<Episode> {
        let ended = lasted.iter().map(|&lasted| Episode { lasted, ended: true });
        ended.chain(censored.iter().map(|&lasted| Episode { lasted, ended: false })).collect()
    }

    #[test]
    fn agrees_with_scipy_and_lifelines() {
        // scipy 1.17.1: ecdf(CensoredData(uncensored, right)).sf; lifelines 0.30.3: restricted_mean_survival_time
        let ended = [3.0, 5.0, 5.0, 7.0, 8.0, 12.0, 12.0, 15.0];
        let survival = Survival::of(&episodes(&ended, &[4.0, 6.0, 9.0, 12.0, 20.0]));
        let expected = [
            (3.0, 0.923_076_92),
            (5.0, 0.755_244_76),
            (7.0, 0.660_839_16),
            (8.0, 0.566_433_57),
            (12.0, 0.339_860_14),
            (15.0, 0.169_930_07),
        ];
        assert_eq!(survival.steps.len(), expected.len());
        let is_near = |(a, b): (&(f64, f64), &(f64, f64))| a.0 == b.0 && (a.1 - b.1).abs() < 1e-8;
        assert!(survival.steps.iter().zip(&expected).all(is_near), "{:?}", survival.steps);
        assert_eq!(survival.median(), Some(12.0));
        assert!((survival.restricted_mean(15.0) - 10.302_797_202_797).abs() < 1e-9);
    }

    #[test]
    fn without_censoring_it_is_the_mean() {
        let survival = Survival::of(&episodes(&[1.0, 2.0, 6.0], &[]));
        assert!((survival.restricted_mean(10.0) - 3.0).abs() < 1e-12);
        assert_eq!(survival.median(), Some(2.0));
        let groups: Vec<_> = [1.0, 2.0, 6.0].iter().map(|&lasted| episodes(&[lasted], &[])).collect();
        let pseudo: Vec<f64> = pseudo_observations(&groups, 10.0).into_iter().flatten().collect();
        assert!(pseudo.iter().zip([1.0, 2.0, 6.0]).all(|(a, b)| (a - b).abs() < 1e-9), "{pseudo:?}");
    }

    #[test]
    fn censored_episodes_are_not_averaged() {
        let survival = Survival::of(&episodes(&[1.0], &[100.0, 100.0, 100.0]));
        assert_eq!(survival.median(), None);
        assert!((survival.restricted_mean(100.0) - 75.25).abs() < 1e-9);
        assert_eq!(pseudo_observations(&[vec![], episodes(&[3.0], &[])], 9.0), [None, Some(3.0)]);
    }
}
