//! Load and material of a node, as its driver and observers see them.

use dmos_core::SerialSet;

use crate::batch_range::BatchRange;

/// Quantities from which a driver computes the CPU time of an input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Load {
    /// Number of batches in the inbound log.
    pub inbound_entries: u64,
    /// Number of batches in the outbound log.
    pub outbound_entries: u64,
    /// Number of flow edges that the node knows.
    pub flow_edges: u64,
    /// Number of monitored neighbours.
    pub neighbours: u64,
}

/// A place of material outside output buffers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MaterialPlace {
    /// In transit.
    InTransit,
    /// In an input buffer, or in process.
    Input,
}

/// Batches that a node holds according to itself, as ranges in any order. A batch held twice is listed twice.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Holdings {
    /// Serial numbers of the batches in stock.
    pub stock: SerialSet,
    /// Number of batches of a final item that have left the factory, if other nodes consume the item as well.
    pub left: u64,
    /// Own batches announced to a consumer and not confirmed.
    pub in_transit: Vec<BatchRange>,
    /// Batches in transit to this node that it has acknowledged.
    pub incoming: Vec<BatchRange>,
    /// Batches in the input buffers and in process.
    pub received: Vec<BatchRange>,
}
