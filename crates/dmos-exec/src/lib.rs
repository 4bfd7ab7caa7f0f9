//! Planners in any language: external programs that answer requests for plans in lines of JSON.
//!
//! The flow strategy `exec` starts a program, writes one line per request to its stdin, reads one line per
//! answer from its stdout, and keeps it running between plans. It is the only strategy that is not pure: its
//! answers are as reproducible as its program. If the program ends, exceeds the time limit or returns an
//! invalid flow, the plan fails with a named error; the active flow remains, and the next plan starts the
//! program again. After a run the program is kept for the next one, which starts with a network line that says so.
//!
//! | module | responsibility |
//! |---|---|
//! | [`protocol`] | the lines written and read |
//! | `process` | a running program, with a time limit for each answer |
//! | `pool` | running programs that wait for their next run |
//! | [`mod@exec`] | the strategy |
//!
//! Architecture invariant: all that is known about the program is the protocol. Strategies without a process
//! of their own do not belong here.

pub mod exec;
mod pool;
mod process;
pub mod protocol;

pub use pool::end_all;
