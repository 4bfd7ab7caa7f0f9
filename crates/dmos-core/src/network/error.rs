//! Errors of building a network.

use thiserror::Error;

use crate::ids::{ItemId, NodeId};

/// Error of building a network from recipes.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// The network has no nodes.
    #[error("a network needs at least one node")]
    Empty,
    /// The numbers of recipes and node names differ.
    #[error("{names} node names for {recipes} recipes")]
    NamesAndRecipes {
        /// Number of names.
        names: usize,
        /// Number of recipes.
        recipes: usize,
    },
    /// An item number is out of range.
    #[error("node {node} uses item {item}, which does not exist")]
    NoSuchItem {
        /// The node with the recipe.
        node: NodeId,
        /// The item number.
        item: ItemId,
    },
    /// A quantity is zero.
    #[error("node {0} has a quantity of zero in its recipe")]
    ZeroQuantity(NodeId),
    /// A recipe requires an item twice.
    #[error("node {node} requires item {item} twice")]
    RequiredTwice {
        /// The node with the recipe.
        node: NodeId,
        /// The item.
        item: ItemId,
    },
    /// Items require each other in a cycle.
    #[error("item {0} requires itself through other items")]
    Cycle(ItemId),
    /// There is no final item, or no node makes it.
    #[error("a network needs at least one final item that a node makes")]
    NoFinalItem,
}
