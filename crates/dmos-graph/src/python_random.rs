//! The numbers that Python's `random` draws.
//!
//! The prototype's networks and faults come from CPython's Mersenne Twister (Matsumoto and Nishimura
//! 1998), so reproducing them takes the same generator and the same way of making integers and
//! fractions out of its words.

use rand_mt::Mt;

/// A generator that draws what Python's `random` module draws after `random.seed(n)`.
///
/// ```
/// use dmos_graph::PythonRandom;
/// let mut random = PythonRandom::new(0);
/// assert_eq!(random.random(), 0.8444218515250481);
/// assert_eq!(PythonRandom::new(0).integer(1, 6), 4);
/// ```
#[derive(Clone, Debug)]
pub struct PythonRandom {
    words: Mt,
}

impl PythonRandom {
    /// Seeds as `random.seed(seed)` does.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // Python cuts the seed into 32-bit words, lowest first, without leading zero words.
        let (low, high) = (seed as u32, (seed >> 32) as u32);
        let key: &[u32] = if high == 0 { &[low] } else { &[low, high] };
        Self { words: Mt::new_with_key(key.iter().copied()) }
    }

    /// A fraction from 0 up to 1, as `random.random()`.
    pub fn random(&mut self) -> f64 {
        let (high, low) = (self.words.next_u32() >> 5, self.words.next_u32() >> 6);
        (f64::from(high) * 67_108_864.0 + f64::from(low)) / 9_007_199_254_740_992.0
    }

    /// A whole number from `low` to `high`, as `random.randint(low, high)`.
    ///
    /// # Panics
    /// If `low` is above `high`.
    pub fn integer(&mut self, low: u32, high: u32) -> u32 {
        assert!(low <= high, "an empty range {low} to {high}");
        low + self.below(high - low + 1)
    }

    /// One of `things`, as `random.choice(things)`; none of none, without a draw.
    pub fn choose<'a, T>(&mut self, things: &'a [T]) -> Option<&'a T> {
        let count = u32::try_from(things.len()).expect("fewer things than nodes in a network");
        if count == 0 { None } else { Some(&things[self.below(count) as usize]) }
    }

    /// A whole number below `limit`: as many random bits as `limit` has, again and again until they
    /// are below it.
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
        assert_eq!([(); 6].map(|()| *random.choose(&[10, 20, 30]).expect("something")), PYTHON_CHOICES);
        assert_eq!(random.choose::<u8>(&[]), None);
    }

    const PYTHON_INTEGERS: [u32; 8] = [13, 14, 2, 9, 17, 16, 13, 10];
    const PYTHON_FRACTION: f64 = 0.1036394562812375;
    const PYTHON_CHOICES: [u32; 6] = [20, 10, 20, 30, 10, 10];
}
