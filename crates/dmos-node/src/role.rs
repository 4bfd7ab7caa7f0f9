//! What the node knows of the flow: its own part of it, and how new that is.

use std::sync::Arc;

use dmos_core::{FlowPart, Stamp};

/// The node's part of the newest flow it has heard of.
#[derive(Default)]
pub(crate) struct Role {
    part: Option<Arc<FlowPart>>,
    stamp: Stamp,
    /// How many edges of the flow the node knows: all on a board, else those of its part.
    edges: usize,
}

impl Role {
    /// The part in force; none if the node has never heard of a flow.
    pub(crate) fn part(&self) -> Option<&FlowPart> {
        self.part.as_deref()
    }

    pub(crate) fn stamp(&self) -> Stamp {
        self.stamp
    }

    pub(crate) fn edges(&self) -> usize {
        self.edges
    }

    /// Takes over a part unless the one in force is newer; true if it is news.
    pub(crate) fn adopt(&mut self, stamp: Stamp, part: Arc<FlowPart>, edges: usize) -> bool {
        if self.part.is_some() && stamp <= self.stamp {
            return false;
        }
        (self.part, self.stamp, self.edges) = (Some(part), stamp, edges);
        true
    }
}
