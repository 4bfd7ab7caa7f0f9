//! State diagrams of a batch and of an order under `production: server`.
//!
//! They are documentation: nodes do not use them. A test walks through the states with random inputs, and asserts that it
//! sees these transitions and no others.

/// A transition of a state diagram.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Transition {
    /// The state before, or [`NONE`].
    pub from: &'static str,
    /// The event.
    pub event: &'static str,
    /// The state after.
    pub to: &'static str,
}

/// The state before a batch is made or an order is sent.
pub const NONE: &str = "none";

const fn transition(from: &'static str, event: &'static str, to: &'static str) -> Transition {
    Transition { from, event, to }
}

/// Transitions of a batch, which the logs of its producer and of its consumer record.
pub const BATCH: &[Transition] = &[
    transition(NONE, "the production run ends", "in stock"),
    transition("in stock", "shipped", "announced"),
    transition("in stock", "leaves the factory", "finished"),
    transition("in stock", "destroyed in a crash of the producer", "scrapped"),
    transition("announced", "accepted by the consumer", "in transit"),
    transition("in transit", "arrives", "in the input buffer"),
    transition("in the input buffer", "the production run of the consumer ends", "consumed"),
    transition("in the input buffer", "destroyed in a crash of the consumer", "scrapped"),
];

/// Transitions of an order, from the view of its consumer.
pub const ORDER: &[Transition] = &[
    transition(NONE, "sent", "unacknowledged"),
    transition("unacknowledged", "no answer in time, sent again", "unacknowledged"),
    transition("unacknowledged", "acknowledged", "waiting"),
    transition("unacknowledged", "acknowledged with the last shipment", "filled"),
    transition("unacknowledged", "the consumer sends a later order", "replaced"),
    transition("unacknowledged", "the consumer crashes", "void"),
    transition("waiting", "unknown to the supplier, sent again", "unacknowledged"),
    transition("waiting", "last shipment accepted", "filled"),
    transition("waiting", "the consumer sends a later order", "replaced"),
    transition("waiting", "the consumer crashes", "void"),
];
