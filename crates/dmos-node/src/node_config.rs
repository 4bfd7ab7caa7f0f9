//! What an op generator may order while a node runs, and where that leaves the node.

use dmos_core::Requirement;
use serde::{Deserialize, Serialize};

/// What an op generator may order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Command {
    /// From now on one production run requires this. It must not close a ring of items.
    Recipe(Box<[Requirement]>),
    /// Make no more; deliver what was promised.
    Retire,
}

/// Where a node stands after its orders.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct NodeConfig {
    /// Number of orders it has followed.
    pub commands: u32,
    /// What one production run requires, if that was ever changed.
    pub requires: Option<Box<[Requirement]>>,
    /// True if it has retired.
    pub retired: bool,
}

impl NodeConfig {
    pub(crate) fn apply(&mut self, command: &Command) {
        self.commands += 1;
        match command {
            Command::Recipe(requires) => self.requires = Some(requires.clone()),
            Command::Retire => self.retired = true,
        }
    }
}
