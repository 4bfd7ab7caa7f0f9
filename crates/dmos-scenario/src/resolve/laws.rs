//! Laws, checked.

use dmos_core::Law;

use super::Problems;
use crate::document::Path;

/// Adds what is wrong with a law to `problems`.
pub(super) fn check(law: &Law, path: Path, problems: &mut Problems) {
    let problem = match law {
        Law::Choice(spans) if spans.is_empty() => "a choice needs at least one duration".to_owned(),
        Law::Uniform(from, to) if from > to => format!("from {from} to {to} there is nothing; swap the two"),
        Law::Weibull { shape, .. } if !(0.1..=10.0).contains(shape) => {
            format!("the shape of a Weibull law is from 0.1 to 10, not {shape}")
        }
        Law::LogNormal { sigma, .. } if !(0.0..=4.0).contains(sigma) => {
            format!("the sigma of a log-normal law is from 0 to 4, not {sigma}")
        }
        _ => return,
    };
    problems.push((path, problem));
}
