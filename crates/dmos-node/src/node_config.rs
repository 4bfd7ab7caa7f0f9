//! Commands to a running node, and the configuration that results from them.

use dmos_core::Requirement;
use serde::{Deserialize, Serialize};

/// A command to a running node.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Changes the inputs of a production run. The requirements of items must stay acyclic.
    Recipe(Box<[Requirement]>),
    /// Retires the node: it makes no more batches, and delivers those that are committed.
    Retire,
}

/// Configuration of a node after its commands.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct NodeConfig {
    /// Number of commands executed.
    pub commands: u32,
    /// Inputs of a production run, if they were ever changed.
    pub requires: Option<Box<[Requirement]>>,
    /// True if the node has retired.
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
