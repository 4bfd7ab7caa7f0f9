//! The tests of the crate, except those beside the code. They are one program, which is built faster than several.
//!
//! | module | tests |
//! |---|---|
//! | [`polled`], [`polled_suppliers`], [`recovery`], [`commands`], [`prototype`] | effects of single inputs on a [`chain`] of three nodes |
//! | [`membership`], [`leadership`], [`planning`] | effects of single inputs on leaders and candidates |
//! | [`observers`] | what a node tells observers |
//! | [`orders`] | how many batches are ordered from each supplier |
//! | [`output`] | the buffer of a producer, and the orders that it serves |
//! | [`lifecycle`] | the state diagrams of batches and orders, by random walks |
//! | [`material`] | all orders of events of three nodes, within bounds |
//! | [`transcripts`] | a small factory that a script disturbs |

use dmos_node::{Message, OrderStatus};

mod chain;
mod commands;
mod leadership;
mod lifecycle;
mod material;
mod membership;
mod observers;
mod orders;
mod output;
mod planning;
mod polled;
mod polled_suppliers;
mod prototype;
mod recovery;
mod transcripts;

/// The answer to a heartbeat of a node that has never recovered and has no order.
const RESPONSE: Message = Message::HeartbeatResponse {
    incarnation: 0,
    order: OrderStatus { incarnation: 0, number: 0, shipped: 0 },
};
