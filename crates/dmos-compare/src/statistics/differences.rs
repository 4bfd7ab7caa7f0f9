/// Paired differences in one or several strata: the value of one strategy minus that of the other, by seed.
///
/// A stratum is a scenario: its seeds are comparable with each other, but not with those of another scenario.
/// The overall mean is the mean of the strata's means, so all scenarios have equal weight.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Differences {
    strata: Vec<Vec<f64>>,
}

impl Differences {
    /// Returns the differences by stratum; empty strata are left out. A difference of zero has no sign.
    #[must_use]
    pub fn new(strata: Vec<Vec<f64>>) -> Self {
        let mut strata = strata;
        strata.retain(|stratum| !stratum.is_empty());
        strata.iter_mut().flatten().for_each(|difference| *difference += 0.0);
        Self { strata }
    }

    /// Returns the strata, none of which is empty.
    #[must_use]
    pub fn strata(&self) -> &[Vec<f64>] {
        &self.strata
    }

    /// Returns the number of differences.
    #[must_use]
    pub fn count(&self) -> usize {
        self.strata.iter().map(Vec::len).sum()
    }

    /// Returns whether all differences are zero, or there are none.
    #[must_use]
    pub fn are_all_zero(&self) -> bool {
        self.strata.iter().flatten().all(|&difference| difference == 0.0)
    }

    /// Returns the mean of the strata's means, or zero without differences.
    #[must_use]
    pub fn mean(&self) -> f64 {
        let means = self.strata.iter().map(|stratum| stratum.iter().sum::<f64>() / stratum.len() as f64);
        means.sum::<f64>() / self.strata.len().max(1) as f64
    }

    /// Returns each difference weighted by its contribution to the mean.
    pub(super) fn weighted(&self) -> impl Iterator<Item = f64> + '_ {
        let strata = self.strata.len() as f64;
        self.strata.iter().flat_map(move |stratum| {
            let weight = 1.0 / (strata * stratum.len() as f64);
            stratum.iter().map(move |difference| difference * weight)
        })
    }

    /// Returns by stratum the influence of each difference: its contribution to the mean beyond the average of its
    /// stratum.
    pub(super) fn influences_by_stratum(&self) -> Vec<Vec<f64>> {
        let strata = self.strata.len() as f64;
        let of = |stratum: &Vec<f64>| {
            let count = stratum.len() as f64;
            // The mean of equal differences is exact only without arithmetic.
            let is_constant = stratum.iter().all(|&difference| difference == stratum[0]);
            let mean = if is_constant { stratum[0] } else { stratum.iter().sum::<f64>() / count };
            stratum.iter().map(|difference| (difference - mean) / (strata * count)).collect()
        };
        self.strata.iter().map(of).collect()
    }

    fn influences(&self) -> Vec<f64> {
        self.influences_by_stratum().concat()
    }

    /// Returns the standard error of the mean, or `None` if no stratum has two differences.
    #[must_use]
    pub fn standard_error(&self) -> Option<f64> {
        let freedom = self.freedom();
        let squares: f64 = self.influences().iter().map(|influence| influence * influence).sum();
        (freedom > 0.0).then(|| (squares * self.count() as f64 / freedom).sqrt())
    }

    /// Returns the skewness of the differences about the means of their strata; zero if all are equal.
    #[must_use]
    pub fn skewness(&self) -> f64 {
        let influences = self.influences();
        let moment = |power: i32| influences.iter().map(|influence| influence.powi(power)).sum::<f64>();
        let (squares, count) = (moment(2), self.count() as f64);
        if squares == 0.0 { 0.0 } else { count.sqrt() * moment(3) / squares.powf(1.5) }
    }

    /// Returns whether all differences are the same in each stratum, and there are several.
    #[must_use]
    pub fn are_constant(&self) -> bool {
        self.standard_error() == Some(0.0)
    }

    /// Returns the number of differences other than the commonest one of their stratum. O(n log n).
    #[must_use]
    pub fn uncommon(&self) -> usize {
        let commonest = |stratum: &Vec<f64>| {
            let mut sorted = stratum.clone();
            sorted.sort_unstable_by(f64::total_cmp);
            sorted.chunk_by(|a, b| a == b).map(<[f64]>::len).max().unwrap_or(0)
        };
        self.count() - self.strata.iter().map(commonest).sum::<usize>()
    }

    /// Returns the largest distance of a difference from the mean of its stratum.
    #[must_use]
    pub fn largest_deviation(&self) -> f64 {
        let of = |stratum: &Vec<f64>| {
            let mean = stratum.iter().sum::<f64>() / stratum.len() as f64;
            stratum.iter().map(|difference| (difference - mean).abs()).fold(0.0, f64::max)
        };
        self.strata.iter().map(of).fold(0.0, f64::max)
    }

    /// Returns the degrees of freedom.
    pub(super) fn freedom(&self) -> f64 {
        (self.count() - self.strata.len()) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stratum_counts_alike() {
        let differences = Differences::new(vec![vec![1.0, 2.0, 3.0], vec![], vec![10.0]]);
        assert_eq!((differences.count(), differences.strata().len()), (4, 2));
        assert!((differences.mean() - 6.0).abs() < 1e-12);
        assert_eq!(Differences::default().mean(), 0.0);
    }

    #[test]
    fn the_standard_error_is_the_usual_one() {
        let differences = Differences::new(vec![vec![1.0, 2.0, 4.0, 9.0]]);
        // numpy: std([1, 2, 4, 9], ddof=1) / 2
        assert!((differences.standard_error().expect("four differences") - 1.779_513_04).abs() < 1e-8);
        assert_eq!(Differences::new(vec![vec![1.0]]).standard_error(), None);
    }

    #[test]
    fn shape_is_measured_within_strata() {
        let one = |values: &[f64]| Differences::new(vec![values.to_vec()]);
        // scipy 1.17.1: skew
        let few = one(&[3.0, -1.0, 4.0, 1.0, 5.0, -9.0, 2.0, 6.0, 5.0, 3.0, 5.0, 8.0]);
        assert!((few.skewness() + 1.600_681_396).abs() < 1e-8, "{}", few.skewness());
        assert_eq!((few.uncommon(), few.are_constant()), (9, false));
        assert!((few.largest_deviation() - 35.0 / 3.0).abs() < 1e-12);
        let shifted = Differences::new(vec![vec![0.1; 4], vec![7.0; 3]]);
        assert_eq!((shifted.skewness(), shifted.uncommon(), shifted.are_constant()), (0.0, 0, true));
        assert!(!one(&[3.0]).are_constant(), "one difference says nothing about others");
        assert!(Differences::new(vec![vec![-0.0]]).strata()[0][0].is_sign_positive());
    }
}
