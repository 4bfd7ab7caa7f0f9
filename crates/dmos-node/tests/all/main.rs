//! The tests of the crate, except those beside the code. They are one program, which is built faster than several.
//!
//! | module | tests |
//! |---|---|
//! | [`single_inputs`], [`membership`], [`leadership`] | effects of single inputs, without a simulator |
//! | [`observers`] | what a node tells observers |
//! | [`orders`] | how many batches are ordered from each supplier |
//! | [`lifecycle`] | the state diagrams of batches and orders, by random walks |
//! | [`material`] | all orders of events of three nodes, within bounds |
//! | [`transcripts`] | a small factory that a script disturbs |

mod leadership;
mod lifecycle;
mod material;
mod membership;
mod observers;
mod orders;
mod single_inputs;
mod transcripts;
