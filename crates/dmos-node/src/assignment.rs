//! The active assignment of a node: its fragment of the newest flow it has received.

use std::sync::Arc;

use dmos_core::{Assignment, FlowVersion};

/// The node's assignment in the newest flow it has received.
#[derive(Default)]
pub(crate) struct ActiveAssignment {
    assignment: Option<Arc<Assignment>>,
    version: FlowVersion,
    /// Number of flow edges that the node knows: all of them with a blackboard, otherwise those of its
    /// assignment.
    edges: usize,
}

impl ActiveAssignment {
    /// Returns the active assignment, or `None` if the node has never received a flow.
    pub(crate) fn assignment(&self) -> Option<&Assignment> {
        self.assignment.as_deref()
    }

    pub(crate) fn version(&self) -> FlowVersion {
        self.version
    }

    pub(crate) fn edges(&self) -> usize {
        self.edges
    }

    /// Adopts an assignment unless the active one is newer; returns whether it was adopted.
    pub(crate) fn adopt(&mut self, version: FlowVersion, assignment: Arc<Assignment>, edges: usize) -> bool {
        if self.assignment.is_some() && version <= self.version {
            return false;
        }
        (self.assignment, self.version, self.edges) = (Some(assignment), version, edges);
        true
    }
}
