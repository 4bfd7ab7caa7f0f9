//! Checks a strategy against the contract, including strategies from other crates.
//!
//! ```
//! use dmos_core::Registry;
//! use dmos_strategies as _;
//!
//! let registry = Registry::collect().unwrap();
//! dmos_conformance::check_flow(&registry, &"memoized".parse().unwrap()).unwrap().assert_passed();
//! ```
//!
//! | module | responsibility |
//! |---|---|
//! | [`flow`] | conformance of flow strategies |
//! | [`leader`] | conformance of leader strategies |
//! | [`detector`] | conformance of failure detectors |
//! | [`exploration`] | every order of events of an election, up to bounds |
//! | [`networks`] | networks on which flow strategies are tested |
//! | [`report`] | results of the checks |
//!
//! Architecture invariant: strategies are only known by their descriptors, never by name.

pub mod detector;
pub mod exploration;
pub mod flow;
pub mod leader;
pub mod networks;
pub mod report;

pub use detector::check_detector;
pub use flow::{check_flow, check_flow_watched};
pub use leader::check_leader;
pub use report::{Check, CheckOutcome, Report};
