//! The statistics of a comparison: how large a paired difference is, how sure that is, and what chance would do.
//!
//! Everything here is about [`Differences`]: one number for each seed on which both were measured, what the one
//! came to less what the other did. Random numbers are drawn from a set seed, so the same differences give the
//! same answer everywhere.
//!
//! | module | its question |
//! |---|---|
//! | `differences` | which one number stands for many, and with which weights |
//! | [`interval`] | between which limits does the true difference lie |
//! | [`test`](mod@test) | could it be chance |
//! | [`holm`] | could it be chance, where much is asked at once |
//! | [`seeds`] | how many seeds would it take to know |
//! | [`survival`] | how long does something last, where some of it was never seen to end |

mod differences;
pub mod holm;
pub mod interval;
pub mod sample_size;
pub mod survival;
pub mod test;

pub use differences::Differences;

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// Returns the standard normal distribution below `x`.
fn normal(x: f64) -> f64 {
    Normal::standard().cdf(x)
}

/// Where the standard normal distribution comes to a share.
fn normal_quantile(share: f64) -> f64 {
    Normal::standard().inverse_cdf(share)
}

/// Where Student's distribution comes to a share.
fn student_quantile(share: f64, freedom: f64) -> f64 {
    let student = StudentsT::new(0.0, 1.0, freedom).expect("there is some freedom");
    student.inverse_cdf(share)
}
