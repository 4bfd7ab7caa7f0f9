/// Paired differences, in one or several strata: what the one came to less what the other did, seed by seed.
///
/// A stratum is a scenario: its seeds are like each other, and those of another scenario are not. What stands for
/// all is the mean over the strata of their means, so every scenario counts alike.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Differences {
    strata: Vec<Vec<f64>>,
}

impl Differences {
    /// Differences in strata; those without any are left out.
    #[must_use]
    pub fn new(strata: Vec<Vec<f64>>) -> Self {
        Self { strata: strata.into_iter().filter(|stratum| !stratum.is_empty()).collect() }
    }

    /// Returns the strata, none of them empty.
    #[must_use]
    pub fn strata(&self) -> &[Vec<f64>] {
        &self.strata
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.strata.iter().map(Vec::len).sum()
    }

    /// Returns whether all are zero, or there are none.
    #[must_use]
    pub fn are_all_zero(&self) -> bool {
        self.strata.iter().flatten().all(|&difference| difference == 0.0)
    }

    /// Returns the mean over the strata of their means; zero if there are none.
    #[must_use]
    pub fn mean(&self) -> f64 {
        let means = self.strata.iter().map(|stratum| stratum.iter().sum::<f64>() / stratum.len() as f64);
        means.sum::<f64>() / self.strata.len().max(1) as f64
    }

    /// Each difference by what it adds to the mean.
    pub(super) fn weighted(&self) -> impl Iterator<Item = f64> + '_ {
        let strata = self.strata.len() as f64;
        self.strata.iter().flat_map(move |stratum| {
            let weight = 1.0 / (strata * stratum.len() as f64);
            stratum.iter().map(move |difference| difference * weight)
        })
    }

    /// What each adds to the mean beyond what its stratum does on average: its influence.
    pub(super) fn influences(&self) -> impl Iterator<Item = f64> + '_ {
        let strata = self.strata.len() as f64;
        self.strata.iter().flat_map(move |stratum| {
            let count = stratum.len() as f64;
            let mean = stratum.iter().sum::<f64>() / count;
            stratum.iter().map(move |difference| (difference - mean) / (strata * count))
        })
    }

    /// Returns the standard error of the mean; none if no stratum has two.
    #[must_use]
    pub fn standard_error(&self) -> Option<f64> {
        let freedom = self.freedom();
        let squares: f64 = self.influences().map(|influence| influence * influence).sum();
        (freedom > 0.0).then(|| (squares * self.count() as f64 / freedom).sqrt())
    }

    /// Returns the number of differences free to differ from the means of their strata.
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
        assert!((differences.standard_error().expect("four") - 1.779_513_04).abs() < 1e-8);
        assert_eq!(Differences::new(vec![vec![1.0]]).standard_error(), None);
    }
}
