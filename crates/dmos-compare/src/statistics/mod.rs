//! Statistics of paired comparisons: estimates, intervals and tests.
//!
//! All of them concern [`Differences`]: one number for each seed on which both strategies have a value.
//! Random numbers have a fixed seed, so the same differences yield the same answer everywhere.
//!
//! | module | responsibility |
//! |---|---|
//! | `differences` | estimates of the mean, with weights |
//! | [`interval`] | confidence intervals |
//! | [`test`](mod@test) | a permutation test |
//! | [`holm`] | correction for multiple comparisons |
//! | [`sample_size`] | number of seeds needed |
//! | [`survival`] | durations with censoring |

mod differences;
pub mod holm;
pub mod interval;
pub mod sample_size;
pub mod survival;
pub mod test;

pub use differences::Differences;

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// Returns the standard normal distribution function at `x`.
fn normal(x: f64) -> f64 {
    Normal::standard().cdf(x)
}

/// Returns the quantile of the standard normal distribution.
fn normal_quantile(share: f64) -> f64 {
    Normal::standard().inverse_cdf(share)
}

/// Returns the quantile of Student's distribution.
fn student_quantile(share: f64, freedom: f64) -> f64 {
    let student = StudentsT::new(0.0, 1.0, freedom).expect("at least one degree of freedom");
    student.inverse_cdf(share)
}
