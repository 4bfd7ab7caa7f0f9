//! How many seeds it would take to know.

use super::normal_quantile;

/// How often a difference that is there is to be seen.
const POWER: f64 = 0.8;

/// About how many pairs it takes to see a true mean difference of `difference` in four of five attempts, where
/// single differences are spread by `deviation` and `alarm` is the chance of a false alarm that is put up with.
///
/// By the normal approximation, and at least as many as a permutation test needs to come below `alarm` at all.
/// None if no number would do, or more than a million.
#[must_use]
pub fn needed(difference: f64, deviation: f64, alarm: f64) -> Option<u64> {
    let reach = normal_quantile(1.0 - alarm / 2.0) + normal_quantile(POWER);
    let by_spread = (reach * deviation / difference.abs()).powi(2).ceil();
    let by_signs = (1.0 - alarm.log2()).ceil();
    let needed = by_spread.max(by_signs);
    (difference != 0.0 && needed <= 1e6).then_some(needed as u64)
}

/// About how many pairs it takes until a 95 % interval reaches no further than `reach` to either side of the mean.
/// None if it is more than a million.
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
