//! Checks of distributions.

use dmos_core::Distribution;

use super::Problems;
use crate::document::Path;

/// Adds the problems of a distribution to `problems`.
pub(super) fn check(distribution: &Distribution, path: Path, problems: &mut Problems) {
    let problem = match distribution {
        Distribution::Choice(spans) if spans.is_empty() => "a choice needs at least one duration".to_owned(),
        Distribution::Uniform(from, to) if from > to => {
            format!("the range from {from} to {to} is empty; swap the bounds")
        }
        Distribution::Weibull { shape, .. } if !(0.1..=10.0).contains(shape) => {
            format!("the shape of a Weibull distribution must be from 0.1 to 10, not {shape}")
        }
        Distribution::LogNormal { sigma, .. } if !(0.0..=4.0).contains(sigma) => {
            format!("the sigma of a log-normal distribution must be from 0 to 4, not {sigma}")
        }
        _ => return,
    };
    problems.push((path, problem));
}
