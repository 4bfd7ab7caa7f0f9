//! Names of nodes and items in a scenario file, resolved against its network.

use dmos_core::faults::Target;
use dmos_core::{ItemId, Network, NodeId};
use dmos_util::suggestion::nearest;

use crate::file::{NodeName, Role, TargetField};

/// Maximum number of known names that are compared for a suggestion.
const COMPARED_MAX: usize = 10_000;

/// Resolves names against a network. Errors are messages without a place.
pub(crate) struct Names<'a> {
    pub(crate) network: &'a Network,
    /// True if errors contain suggestions, which are slow to compute.
    pub(crate) suggests: bool,
}

impl Names<'_> {
    pub(crate) fn node(&self, name: &NodeName) -> Result<NodeId, String> {
        self.network.find_node(&name.0).ok_or_else(|| match self.suggests {
            true => unknown_node(&name.0, self.network),
            false => format!("there is no node `{}`", name.0),
        })
    }

    /// Returns nodes in ascending order, without duplicates.
    pub(crate) fn nodes(&self, names: &[NodeName]) -> Result<Vec<NodeId>, String> {
        let mut nodes = names.iter().map(|name| self.node(name)).collect::<Result<Vec<_>, _>>()?;
        nodes.sort_unstable();
        nodes.dedup();
        Ok(nodes)
    }

    /// Returns the nodes of one side of a link.
    pub(crate) fn group(&self, names: &[NodeName]) -> Result<Vec<NodeId>, String> {
        if names.is_empty() {
            return Err("each side needs at least one node".to_owned());
        }
        self.nodes(names)
    }

    pub(crate) fn name(&self, node: NodeId) -> String {
        self.network.node_name(node).into_owned()
    }

    pub(crate) fn item(&self, name: &str) -> Result<ItemId, String> {
        self.network.find_item(name).ok_or_else(|| match self.suggests {
            true => unknown_item(name, self.network),
            false => format!("there is no item `{name}`"),
        })
    }

    pub(crate) fn target(&self, target: &TargetField) -> Result<Target, String> {
        Ok(match target {
            TargetField::Node(name) => Target::Node(self.node(name)?),
            TargetField::Item(item) => Target::Item(self.item(item)?),
            TargetField::ProducerOf(item) => Target::ProducerOf(self.item(item)?),
            TargetField::Role(Role::Leader) => Target::Leader,
            TargetField::Role(Role::Busiest) => Target::Busiest,
            TargetField::Role(Role::Any) => Target::AnyNode,
        })
    }
}

/// Reports an unknown node, and suggests a similar name.
#[must_use]
pub fn unknown_node(name: &str, network: &Network) -> String {
    let known: Vec<_> = network.nodes().take(COMPARED_MAX).map(|node| network.node_name(node)).collect();
    match nearest(name, known.iter().map(AsRef::as_ref)) {
        Some(near) => format!("there is no node `{name}`; did you mean `{near}`?"),
        None => format!("there is no node `{name}`; `dmos network` lists all {} nodes", network.node_count()),
    }
}

fn unknown_item(name: &str, network: &Network) -> String {
    let known: Vec<_> = network.items().take(COMPARED_MAX).map(|item| network.item_name(item)).collect();
    match nearest(name, known.iter().map(AsRef::as_ref)) {
        Some(near) => format!("there is no item `{name}`; did you mean `{near}`?"),
        None => format!("there is no item `{name}`"),
    }
}
