//! Laws by which durations are drawn.

use serde::{Deserialize, Serialize};

use crate::time::Span;

/// How a duration is drawn, anew each time.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    /// Always the same.
    Fixed(Span),
    /// One of these, each as likely; at least one.
    Choice(Vec<Span>),
    /// Anything between these two, each as likely; the first is not above the second.
    Uniform(Span, Span),
    /// Exponential with this mean: what happens at any moment alike.
    Exponential(Span),
    /// Weibull: with a shape above 1 what is old fails sooner, below 1 what is young.
    Weibull {
        /// The mean.
        mean: Span,
        /// The shape, from 0.1 to 10.
        shape: f64,
    },
    /// Log-normal: mostly short, now and then very long, as repairs are.
    LogNormal {
        /// The mean.
        mean: Span,
        /// The standard deviation of the logarithm, from 0 to 4.
        sigma: f64,
    },
}

impl Distribution {
    /// The mean of what is drawn.
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
