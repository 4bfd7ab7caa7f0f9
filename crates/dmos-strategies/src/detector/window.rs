//! A window of the latest samples, with their exact mean and standard deviation.

use std::collections::VecDeque;

/// Maximum of a sample, three days: squares of ten thousand of them can be summed and multiplied by their number.
const SAMPLE_MAX: i64 = 1 << 48;

/// The latest samples of a signed duration in nanoseconds, up to a maximum number.
#[derive(Debug)]
pub(super) struct Window {
    samples: VecDeque<i64>,
    size: usize,
    sum: i128,
    sum_of_squares: i128,
}

impl Window {
    /// Returns an empty window for `size` samples, at least one.
    pub(super) fn new(size: usize) -> Self {
        Self { samples: VecDeque::new(), size, sum: 0, sum_of_squares: 0 }
    }

    /// Adds a sample, in place of the oldest if the window is full.
    pub(super) fn push(&mut self, sample: i64) {
        let sample = sample.clamp(-SAMPLE_MAX, SAMPLE_MAX);
        if self.samples.len() == self.size
            && let Some(oldest) = self.samples.pop_front()
        {
            self.sum -= i128::from(oldest);
            self.sum_of_squares -= i128::from(oldest).pow(2);
        }
        // Integers, so that the sums never drift.
        self.sum += i128::from(sample);
        self.sum_of_squares += i128::from(sample).pow(2);
        self.samples.push_back(sample);
    }

    /// Returns the mean, or `None` without samples.
    pub(super) fn mean(&self) -> Option<i64> {
        self.sum.checked_div(self.count()).and_then(|mean| i64::try_from(mean).ok())
    }

    /// Returns the standard deviation of the samples; zero without samples.
    pub(super) fn deviation(&self) -> u64 {
        let count = self.count();
        let variance = (self.sum_of_squares * count - self.sum * self.sum).checked_div(count * count);
        u64::try_from(variance.unwrap_or(0).isqrt()).unwrap_or(u64::MAX)
    }

    fn count(&self) -> i128 {
        self.samples.len() as i128
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_deviation_are_those_of_the_latest_samples() {
        let mut window = Window::new(3);
        assert_eq!((window.mean(), window.deviation()), (None, 0));
        let expected =
            [(900, 900, 0), (100, 500, 400), (-400, 200, 535), (-300, -200, 216), (-300, -333, 47)];
        for (sample, mean, deviation) in expected {
            window.push(sample);
            assert_eq!((window.mean(), window.deviation()), (Some(mean), deviation), "after {sample}");
        }
    }
}
