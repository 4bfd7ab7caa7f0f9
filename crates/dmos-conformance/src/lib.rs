//! Checks a strategy against the contract: any strategy, also one from a crate of your own.
//!
//! ```
//! use dmos_core::Registry;
//! use dmos_strategies as _;
//!
//! let registry = Registry::collect().unwrap();
//! dmos_conformance::check_flow(&registry, &"memoized".parse().unwrap()).unwrap().assert_passed();
//! ```
//!
//! | module | its job |
//! |---|---|
//! | [`flow`] | what a flow strategy must do |
//! | [`leader`] | what a leader strategy must do |
//! | [`networks`] | the networks on which flow strategies are tried |
//! | [`report`] | what came of the checks |
//!
//! Architecture invariant: strategies are known by what the contract says of them, never by name.

pub mod flow;
pub mod leader;
pub mod networks;
pub mod report;

pub use flow::{check_flow, check_flow_watched};
pub use leader::check_leader;
pub use report::{Check, CheckOutcome, Report};
