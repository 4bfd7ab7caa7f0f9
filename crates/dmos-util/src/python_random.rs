//! The random numbers of Python's `random` module.
//!
//! The prototype's networks and faults come from CPython's Mersenne Twister (Matsumoto and Nishimura 1998),
//! so reproducing them takes the same generator and the same conversions to integers and fractions.

use rand_mt::Mt;

/// A generator with the same output as Python's `random` module after `random.seed(n)`.
///
/// ```
/// use dmos_util::python_random::PythonRandom;
/// let mut random = PythonRandom::new(0);
/// assert_eq!(random.random(), 0.8444218515250481);
/// assert_eq!(PythonRandom::new(0).integer(1, 6), 4);
/// ```
#[derive(Clone, Debug)]
pub struct PythonRandom {
    words: Mt,
}

impl PythonRandom {
    /// Seeds the generator like `random.seed(seed)`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // Python splits the seed into 32-bit words, lowest first, without leading zero words.
        let (low, high) = (seed as u32, (seed >> 32) as u32);
        let key: &[u32] = if high == 0 { &[low] } else { &[low, high] };
        Self { words: Mt::new_with_key(key.iter().copied()) }
    }

    /// Returns a fraction in [0, 1), like `random.random()`.
    pub fn random(&mut self) -> f64 {
        let (high, low) = (self.words.next_u32() >> 5, self.words.next_u32() >> 6);
        (f64::from(high) * 67_108_864.0 + f64::from(low)) / 9_007_199_254_740_992.0
    }

    /// Returns an integer from `low` to `high`, like `random.randint(low, high)`.
    ///
    /// # Panics
    /// If `low` is above `high`.
    pub fn integer(&mut self, low: u32, high: u32) -> u32 {
        assert!(low <= high, "an empty range {low} to {high}");
        low + self.below(high - low + 1)
    }

    /// Returns one of `things`, like `random.choice(things)`, or `None` if there are none, without using a
    /// random number.
    pub fn choose<'a, T>(&mut self, things: &'a [T]) -> Option<&'a T> {
        let count = u32::try_from(things.len()).expect("fewer than 2^32 choices");
        if count == 0 { None } else { Some(&things[self.below(count) as usize]) }
    }

    /// Returns an integer below `limit`: as many random bits as `limit` has, rejected until they are below
    /// it.
    fn below(&mut self, limit: u32) -> u32 {
        let bits = u32::BITS - limit.leading_zeros();
        loop {
            let drawn = self.words.next_u32() >> (u32::BITS - bits);
            if drawn < limit {
                return drawn;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_python_random() {
        // python3 -c "import random; random.seed(0); print([random.randint(1, 18) for _ in range(8)])"
        let mut random = PythonRandom::new(0);
        assert_eq!([(); 8].map(|()| random.integer(1, 18)), PYTHON_INTEGERS);
        let mut random = PythonRandom::new(1 << 40);
        assert_eq!(random.random(), PYTHON_FRACTION);
        let mut random = PythonRandom::new(7);
        assert_eq!(
            [(); 6].map(|()| *random.choose(&[10, 20, 30]).expect("a choice of three")),
            PYTHON_CHOICES
        );
        assert_eq!(random.choose::<u8>(&[]), None);
    }

    const PYTHON_INTEGERS: [u32; 8] = [13, 14, 2, 9, 17, 16, 13, 10];
    const PYTHON_FRACTION: f64 = 0.1036394562812375;
    const PYTHON_CHOICES: [u32; 6] = [20, 10, 20, 30, 10, 10];
}
