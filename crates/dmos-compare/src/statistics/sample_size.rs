//! Sample size: number of seeds needed.

use super::normal_quantile;

/// Power: probability of detecting a true difference.
const POWER: f64 = 0.8;

/// Returns the approximate number of pairs needed to detect a true mean difference of `difference` with a
/// power of 80 %, given the standard deviation of single differences and the significance level `alpha`.
///
/// Uses the normal approximation, and at least as many pairs as a permutation test needs to reach `alpha`.
/// Returns `None` if no number suffices, or for more than a million.
#[must_use]
pub fn needed(difference: f64, deviation: f64, alpha: f64) -> Option<u64> {
    let quantiles = normal_quantile(1.0 - alpha / 2.0) + normal_quantile(POWER);
    let for_power = (quantiles * deviation / difference.abs()).powi(2).ceil();
    let for_sign_test = (1.0 - alpha.log2()).ceil();
    let needed = for_power.max(for_sign_test);
    (difference != 0.0 && needed <= 1e6).then_some(needed as u64)
}

/// Returns the approximate number of pairs until a 95 % interval extends at most `half_width` to either side of
/// the mean, or `None` for more than a million.
#[must_use]
pub fn for_half_width(deviation: f64, half_width: f64) -> Option<u64> {
    let needed = (normal_quantile(0.975) * deviation / half_width).powi(2).ceil();
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
