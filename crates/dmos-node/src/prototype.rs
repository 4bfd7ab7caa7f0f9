//! The prototype's deviations from the protocol, which its own scenarios select.
//!
//! | module | value of the protocol |
//! |---|---|
//! | `replay` | `recovery: replay`: after a crash, batches are handled by their last logged state |
//! | `history` | the last logged state of every batch |
//! | `mixed_up_log` | `log: mixed_up`: shipments are logged in the inbound half |
//! | `blackboard` | `dissemination: blackboard`: notices that all nodes see at once, in place of messages |

pub(crate) mod blackboard;
mod history;
mod mixed_up_log;
mod replay;

pub(crate) use replay::Replay;
