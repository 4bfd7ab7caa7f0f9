//! Statistics of paired comparisons: estimates, intervals and tests.
//!
//! All of them concern [`Differences`]: one number for each seed on which both strategies have a value.
//! Random numbers have a fixed seed, so the same differences yield the same answer everywhere.
//!
//! | module | responsibility |
//! |---|---|
//! | `differences` | estimates of the mean, with weights |
//! | [`resampling`] | the studentised bootstrap |
//! | [`interval`] | confidence intervals |
//! | [`test`](mod@test) | paired tests |
//! | [`holm`] | correction for multiple comparisons |
//! | [`sample_size`] | number of seeds needed |
//! | [`survival`] | durations with censoring |

mod differences;
pub mod holm;
pub mod interval;
pub mod resampling;
pub mod sample_size;
pub mod survival;
pub mod test;

pub use differences::Differences;

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// Returns Student's distribution function at `x`, to twelve decimals.
fn student(x: f64, freedom: f64) -> f64 {
    let student = StudentsT::new(0.0, 1.0, freedom).expect("at least one degree of freedom");
    // Logarithms differ between machines in their last digit.
    (student.cdf(x) * 1e12).round() / 1e12
}

/// Returns the quantile of the standard normal distribution.
fn normal_quantile(share: f64) -> f64 {
    Normal::standard().inverse_cdf(share)
}

/// Returns the quantile of Student's distribution, to nine decimals.
fn student_quantile(share: f64, freedom: f64) -> f64 {
    let student = StudentsT::new(0.0, 1.0, freedom).expect("at least one degree of freedom");
    (student.inverse_cdf(share) * 1e9).round() / 1e9
}

/// Returns the half-width of the 95 % interval of a mean by Student's distribution, or `None` for fewer than two
/// values.
#[must_use]
pub fn student_half_width(values: &[f64]) -> Option<f64> {
    let count = values.len() as f64;
    if values.len() < 2 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    Some(student_quantile(0.975, count - 1.0) * (squares / (count - 1.0) / count).sqrt())
}
