//! A planner in any language: a program that is asked for plans in lines of JSON.
//!
//! The flow strategy `exec` starts a program, writes a line for each request to its stdin, reads a line for
//! each answer from its stdout, and keeps it running between plans. It is the one strategy that is not pure: its answers
//! are as repeatable as its program. A program that ends, is silent for too long or answers with an invalid flow
//! makes a plan fail with a named error; the flow active stays, and the next plan starts the program anew.
//!
//! | module | its job |
//! |---|---|
//! | [`protocol`] | what is written and read, a line each |
//! | `process` | a running program, with a time limit for each answer |
//! | [`mod@exec`] | the strategy |
//!
//! Architecture invariant: all that is known of the program is the protocol. Strategies without a process of
//! their own are not here.

pub mod exec;
mod process;
pub mod protocol;
