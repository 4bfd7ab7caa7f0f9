//! Probability distributions of durations.

use serde::{Deserialize, Serialize};

use crate::time::Span;

/// Distribution of a duration that is sampled independently each time.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    /// A constant.
    Fixed(Span),
    /// One of these values, with equal probability; at least one.
    Choice(Vec<Span>),
    /// Uniform between two bounds, both included; the first is not above the second.
    Uniform(Span, Span),
    /// Exponential with this mean: memoryless.
    Exponential(Span),
    /// Weibull. With a shape above 1 the failure rate increases with age, below 1 it decreases.
    Weibull {
        /// The mean.
        mean: Span,
        /// The shape, from 0.1 to 10.
        shape: f64,
    },
    /// Log-normal: mostly short with a long tail, typical of repair times.
    LogNormal {
        /// The mean.
        mean: Span,
        /// The standard deviation of the logarithm, from 0 to 4.
        sigma: f64,
    },
}

impl Distribution {
    /// Returns the maximum or, if the distribution is unbounded, the 95th percentile, rounded up a little.
    #[must_use]
    pub fn upper(&self) -> Span {
        match self {
            Self::Fixed(span) => *span,
            Self::Choice(spans) => spans.iter().copied().max().unwrap_or_default(),
            Self::Uniform(_, to) => *to,
            // Logarithm of 20.
            Self::Exponential(mean) => times(*mean, 3.0),
            Self::Weibull { mean, shape } => {
                let scale = 1.0 / libm::tgamma(1.0 + 1.0 / shape);
                times(*mean, scale * libm::pow(3.0, 1.0 / shape))
            }
            // 1.645 standard deviations of the logarithm above its mean.
            Self::LogNormal { mean, sigma } => times(*mean, libm::exp(1.645 * sigma - sigma * sigma / 2.0)),
        }
    }

    /// Returns the mean.
    #[must_use]
    pub fn mean(&self) -> Span {
        match self {
            Self::Fixed(mean)
            | Self::Exponential(mean)
            | Self::Weibull { mean, .. }
            | Self::LogNormal { mean, .. } => *mean,
            Self::Choice(spans) => {
                let total: Span = spans.iter().copied().sum();
                Span::from_nanos(total.as_nanos() / spans.len().max(1) as u64)
            }
            Self::Uniform(from, to) => Span::from_nanos(from.as_nanos() / 2 + to.as_nanos() / 2),
        }
    }
}

/// Multiplies a span; the result is rounded to nanoseconds.
fn times(span: Span, factor: f64) -> Span {
    Span::from_nanos((span.as_nanos() as f64 * factor).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(value: f64) -> Span {
        times(Span::from_secs(1), value)
    }

    #[test]
    fn the_upper_end_is_the_maximum_or_the_95th_percentile() {
        let mean = Span::from_secs(10);
        let upper = |distribution: Distribution| distribution.upper().as_secs_f64();
        assert_eq!(upper(Distribution::Fixed(mean)), 10.0);
        assert_eq!(upper(Distribution::Choice([4.0, 9.0, 2.0].map(seconds).into())), 9.0);
        assert_eq!(upper(Distribution::Uniform(mean, mean * 2)), 20.0);
        assert_eq!(upper(Distribution::Exponential(mean)), 30.0);
        // The scale is half the mean, because the gamma function of 3 is 2; three squared is nine.
        assert_eq!(upper(Distribution::Weibull { mean, shape: 0.5 }), 45.0);
        // The gamma function of 1.5 is half the root of pi.
        let weibull = 20.0 / std::f64::consts::PI.sqrt() * 3.0_f64.sqrt();
        assert!((upper(Distribution::Weibull { mean, shape: 2.0 }) - weibull).abs() < 1e-6);
        let log_normal = 10.0 * (1.645 * 0.5 - 0.125_f64).exp();
        assert!((upper(Distribution::LogNormal { mean, sigma: 0.5 }) - log_normal).abs() < 1e-6);
    }

    #[test]
    fn the_mean_is_that_of_the_values() {
        let mean = Span::from_secs(10);
        assert_eq!(Distribution::Choice([1.0, 2.0, 6.0].map(seconds).into()).mean(), seconds(3.0));
        assert_eq!(Distribution::Uniform(seconds(2.0), seconds(5.0)).mean(), seconds(3.5));
        for distribution in [
            Distribution::Fixed(mean),
            Distribution::Exponential(mean),
            Distribution::Weibull { mean, shape: 2.0 },
            Distribution::LogNormal { mean, sigma: 1.0 },
        ] {
            assert_eq!(distribution.mean(), mean);
        }
    }
}
