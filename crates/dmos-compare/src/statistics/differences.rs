/// Paired differences in one or several strata: the value of one strategy minus that of the other, by seed.
///
/// A stratum is a scenario: its seeds are comparable with each other, but not with those of another scenario.
/// The overall mean is the mean of the strata's means, so all scenarios have equal weight.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Differences {
    strata: Vec<Vec<f64>>,
}

impl Differences {
    /// Returns the differences by stratum; empty strata are left out.
    #[must_use]
    pub fn new(strata: Vec<Vec<f64>>) -> Self {
        Self { strata: strata.into_iter().filter(|stratum| !stratum.is_empty()).collect() }
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

    /// Returns the influence of each difference: its contribution to the mean beyond the average of its
    /// stratum.
    pub(super) fn influences(&self) -> impl Iterator<Item = f64> + '_ {
        let strata = self.strata.len() as f64;
        self.strata.iter().flat_map(move |stratum| {
            let count = stratum.len() as f64;
            let mean = stratum.iter().sum::<f64>() / count;
            stratum.iter().map(move |difference| (difference - mean) / (strata * count))
        })
    }

    /// Returns the standard error of the mean, or `None` if no stratum has two differences.
    #[must_use]
    pub fn standard_error(&self) -> Option<f64> {
        let freedom = self.freedom();
        let squares: f64 = self.influences().map(|influence| influence * influence).sum();
        (freedom > 0.0).then(|| (squares * self.count() as f64 / freedom).sqrt())
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
}
