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
