//! Sample size: number of seeds needed.

use super::normal_quantile;

/// Power: probability of detecting a true difference.
const POWER: f64 = 0.8;

/// Returns the approximate number of pairs needed to detect a true mean difference of `difference` with a
/// power of 80 %, given the standard deviation of single differences and the significance level `alarm`.
///
/// Uses the normal approximation, and at least as many pairs as a permutation test needs to reach `alarm`.
/// Returns `None` if no number suffices, or for more than a million.
#[must_use]
pub fn needed(difference: f64, deviation: f64, alarm: f64) -> Option<u64> {
    let reach = normal_quantile(1.0 - alarm / 2.0) + normal_quantile(POWER);
    let by_spread = (reach * deviation / difference.abs()).powi(2).ceil();
    let by_signs = (1.0 - alarm.log2()).ceil();
    let needed = by_spread.max(by_signs);
    (difference != 0.0 && needed <= 1e6).then_some(needed as u64)
}

/// Returns the approximate number of pairs until a 95 % interval extends at most `reach` to either side of
/// the mean, or `None` for more than a million.
#[must_use]
pub fn to_narrow(deviation: f64, reach: f64) -> Option<u64> {
    let needed = (normal_quantile(0.975) * deviation / reach).powi(2).ceil();
    (needed <= 1e6).then_some(needed as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_usual_formula() {
        // statsmodels 0.14: NormalIndPower has no paired form; (z(0.975) + z(0.8))^2 = 7.8489.
        assert_eq!(needed(1.0, 2.0, 0.05), Some(32));
        assert_eq!(needed(-1.0, 2.0, 0.05), Some(32));
        assert_eq!(needed(1.0, 0.1, 0.05), Some(6), "with five seeds no p value is below 1/16");
        assert_eq!(needed(0.0, 1.0, 0.05), None);
        assert_eq!(needed(1.0, 1e5, 0.05), None);
    }
}
