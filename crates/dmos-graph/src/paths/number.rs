//! Number types of path counts: 128 bits where they suffice, otherwise arbitrary precision.

use num_bigint::BigUint;
use rand::{Rng, RngExt};

/// A number type of counts.
pub(super) trait Number: Clone + PartialOrd {
    const ZERO: fn() -> Self;
    const ONE: fn() -> Self;
    /// Returns the sum, or `None` if it does not fit.
    fn plus(&self, other: &Self) -> Option<Self>;
    fn minus(&self, other: &Self) -> Self;
    fn times(&self, factor: u32) -> Option<Self>;
    /// Samples uniformly from the numbers below this one.
    fn sample_below(&self, random: &mut impl Rng) -> Self;
}

impl Number for u128 {
    const ZERO: fn() -> Self = || 0;
    const ONE: fn() -> Self = || 1;

    fn plus(&self, other: &Self) -> Option<Self> {
        self.checked_add(*other)
    }

    fn minus(&self, other: &Self) -> Self {
        self - other
    }

    fn times(&self, factor: u32) -> Option<Self> {
        self.checked_mul(u128::from(factor))
    }

    fn sample_below(&self, random: &mut impl Rng) -> Self {
        match u64::try_from(*self) {
            // Sampling from 64 bits is far cheaper.
            Ok(end) => u128::from(random.random_range(0..end)),
            Err(_) => random.random_range(0..*self),
        }
    }
}

impl Number for BigUint {
    const ZERO: fn() -> Self = || BigUint::ZERO;
    const ONE: fn() -> Self = || BigUint::from(1_u8);

    fn plus(&self, other: &Self) -> Option<Self> {
        Some(self + other)
    }

    fn minus(&self, other: &Self) -> Self {
        self - other
    }

    fn times(&self, factor: u32) -> Option<Self> {
        Some(self * factor)
    }

    fn sample_below(&self, random: &mut impl Rng) -> Self {
        let bits = self.bits();
        let words = bits.div_ceil(32);
        let spare = words * 32 - bits;
        loop {
            let mut sampled: Vec<u32> = (0..words).map(|_| random.random()).collect();
            if let Some(last) = sampled.last_mut() {
                *last >>= spare;
            }
            let sampled = Self::new(sampled);
            if sampled < *self {
                return sampled;
            }
        }
    }
}
