//! What the node knows of the flow: its own part of it, and how new that is.

use std::sync::Arc;

use dmos_core::{Assignment, FlowVersion};

/// The node's part of the newest flow it has heard of.
#[derive(Default)]
pub(crate) struct ActiveAssignment {
    assignment: Option<Arc<Assignment>>,
    version: FlowVersion,
    /// How many edges of the flow the node knows: all on a blackboard, else those of its part.
    edges: usize,
}

impl ActiveAssignment {
    /// Returns the part active; none if the node has never heard of a flow.
    pub(crate) fn assignment(&self) -> Option<&Assignment> {
        self.assignment.as_deref()
    }

    pub(crate) fn version(&self) -> FlowVersion {
        self.version
    }

    pub(crate) fn edges(&self) -> usize {
        self.edges
    }

    /// Takes over a part unless the one active is newer; true if it is news.
    pub(crate) fn adopt(&mut self, version: FlowVersion, assignment: Arc<Assignment>, edges: usize) -> bool {
        if self.assignment.is_some() && version <= self.version {
            return false;
        }
        (self.assignment, self.version, self.edges) = (Some(assignment), version, edges);
        true
    }
}
