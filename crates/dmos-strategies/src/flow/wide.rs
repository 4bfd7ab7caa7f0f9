//! Numbers far beyond the range of a float, such as the raw materials of a deep assembly.

use std::cmp::Ordering;
use std::ops::{Add, Div, Mul};

/// A nonnegative number with 53 significant bits and a 64-bit exponent.
///
/// Only additions, multiplications and divisions of floats are used, so results are identical on every
/// machine. The mantissa is zero, or in [1, 2).
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Wide {
    mantissa: f64,
    exponent: i64,
}

impl Wide {
    pub(crate) const ZERO: Self = Self { mantissa: 0.0, exponent: 0 };

    /// Converts a float that is finite and not negative.
    pub(crate) fn new(value: f64) -> Self {
        debug_assert!(value.is_finite() && value >= 0.0, "{value} is not in range");
        Self { mantissa: value, exponent: 0 }.normal()
    }

    fn normal(self) -> Self {
        let (half, exponent) = libm::frexp(self.mantissa);
        match half {
            0.0 => Self::ZERO,
            half => Self { mantissa: half * 2.0, exponent: self.exponent + i64::from(exponent) - 1 },
        }
    }

    pub(crate) fn total_cmp(&self, other: &Self) -> Ordering {
        match (self.mantissa == 0.0, other.mantissa == 0.0) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => {
                self.exponent.cmp(&other.exponent).then(self.mantissa.total_cmp(&other.mantissa))
            }
        }
    }

    /// Converts to a float: infinite or zero if out of range.
    pub(crate) fn to_f64(self) -> f64 {
        libm::ldexp(self.mantissa, self.exponent.clamp(-2_000, 2_000) as i32)
    }
}

impl From<u64> for Wide {
    fn from(value: u64) -> Self {
        Self::new(value as f64)
    }
}

impl From<u32> for Wide {
    fn from(value: u32) -> Self {
        Self::new(f64::from(value))
    }
}

impl Add for Wide {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let (large, small) = if self >= other { (self, other) } else { (other, self) };
        let shift = small.exponent - large.exponent;
        if small == Self::ZERO || shift < -60 {
            return large;
        }
        let sum = large.mantissa + libm::ldexp(small.mantissa, shift as i32);
        Self { mantissa: sum, exponent: large.exponent }.normal()
    }
}

impl Mul for Wide {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        let exponent = self.exponent + other.exponent;
        Self { mantissa: self.mantissa * other.mantissa, exponent }.normal()
    }
}

impl Div for Wide {
    type Output = Self;

    /// # Panics
    /// If `other` is zero.
    fn div(self, other: Self) -> Self {
        assert!(other != Self::ZERO, "nothing is divided by zero");
        let exponent = self.exponent - other.exponent;
        Self { mantissa: self.mantissa / other.mantissa, exponent }.normal()
    }
}

impl PartialOrd for Wide {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.total_cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_far_beyond_floats_are_represented() {
        let mut number = Wide::from(1_u32);
        for _ in 0..5_000 {
            number = number * Wide::from(3_u32);
        }
        assert_eq!(number.to_f64(), f64::INFINITY);
        for _ in 0..5_000 {
            number = number / Wide::from(3_u32);
        }
        assert!((number.to_f64() - 1.0).abs() < 1e-12);
        assert_eq!(
            (Wide::from(1_u32) / (Wide::from(u64::MAX) * Wide::from(u64::MAX))).to_f64(),
            2.0_f64.powi(-128)
        );
    }

    proptest! {
        #[test]
        fn matches_floats_within_their_range(a in 0_u32..1_000_000, b in 0_u32..1_000_000) {
            let (x, y) = (f64::from(a), f64::from(b));
            prop_assert_eq!((Wide::from(a) + Wide::from(b)).to_f64(), x + y);
            prop_assert_eq!((Wide::from(a) * Wide::from(b)).to_f64(), x * y);
            prop_assert_eq!(Wide::from(a).partial_cmp(&Wide::from(b)), x.partial_cmp(&y));
            if b > 0 {
                prop_assert_eq!((Wide::from(a) / Wide::from(b)).to_f64(), x / y);
            }
        }
    }
}
