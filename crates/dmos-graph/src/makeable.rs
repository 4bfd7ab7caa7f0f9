//! What can be made with some of the nodes alive.

use dmos_core::{Network, NodeId};

/// For each item, whether the nodes that `is_alive` says yes to can make it: some live producer requires only
/// items that can be made.
///
/// One sweep over the items, each after all that it is made of: time linear in the recipes' entries.
///
/// ```
/// use dmos_graph::{Plant, makeable};
///
/// let (network, _) = Plant::ThreeNodes.description().build().unwrap();
/// let wood = network.find_node("wood").unwrap();
/// assert_eq!(makeable(&network, |_| true), [true, true, true]);
/// assert_eq!(makeable(&network, |node| node != wood), [false, false, false]);
/// ```
pub fn makeable(network: &Network, is_alive: impl Fn(NodeId) -> bool) -> Vec<bool> {
    let mut can = vec![false; network.item_count()];
    for &item in network.making_order() {
        let makes = |&node: &NodeId| {
            is_alive(node) && network.requirements(node).iter().all(|required| can[required.item.index()])
        };
        can[item.index()] = network.producers(item).iter().any(makes);
    }
    can
}
