//! The prototype's named networks.

use serde::{Deserialize, Serialize};

use crate::description::{NetworkDescription, NodeDescription};

/// A named network of the prototype. Every quantity is 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NamedNetwork {
    /// Wood, door, house: a chain.
    ThreeNodes,
    /// A house made from doors and two kinds of timber.
    SixNodes,
    /// Three producers of wood, two of screws.
    SevenNodes,
    /// Doors from metal, screws, wood and glass, with two producers for most items.
    DoorFactory,
}

/// Item, number of producers, requirements.
type Row = (&'static str, u32, &'static [&'static str]);

const THREE_NODES: &[Row] = &[("wood", 1, &[]), ("door", 1, &["wood"]), ("house", 1, &["door"])];

const SIX_NODES: &[Row] = &[
    ("start", 1, &[]),
    ("wood", 1, &["start"]),
    ("timber", 1, &["start"]),
    ("premium_timber", 1, &["wood", "timber"]),
    ("door", 1, &["timber", "premium_timber"]),
    ("house", 1, &["door"]),
];

const SEVEN_NODES: &[Row] =
    &[("start", 1, &[]), ("wood", 3, &["start"]), ("screws", 2, &["wood"]), ("awesomeness", 1, &["screws"])];

const DOOR_FACTORY: &[Row] = &[
    ("start", 1, &[]),
    ("metal", 2, &["start"]),
    ("screws", 2, &["start"]),
    ("wood", 2, &["start"]),
    ("glass", 2, &["start"]),
    ("window_frame", 2, &["screws", "wood"]),
    ("door_knob", 2, &["metal", "screws"]),
    ("door_frame", 2, &["screws", "wood"]),
    ("window", 2, &["window_frame", "glass"]),
    ("hinge", 2, &["metal"]),
    ("casing", 2, &["screws", "wood"]),
    ("raw_door", 2, &["door_knob", "door_frame", "window_frame"]),
    ("finished_door", 1, &["hinge", "casing", "raw_door"]),
];

impl NamedNetwork {
    /// Returns the description of the network.
    #[must_use]
    pub fn description(self) -> NetworkDescription {
        let rows = match self {
            Self::ThreeNodes => THREE_NODES,
            Self::SixNodes => SIX_NODES,
            Self::SevenNodes => SEVEN_NODES,
            Self::DoorFactory => DOOR_FACTORY,
        };
        let node = |&(item, count, needs): &Row| NodeDescription {
            name: item.to_owned(),
            count,
            makes: item.to_owned(),
            quantity: 1,
            needs: needs.iter().map(|&item| (item.to_owned(), 1)).collect(),
            cost: 1,
        };
        NetworkDescription { nodes: rows.iter().map(node).collect(), final_items: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_a_network_of_its_size() {
        for (named, nodes, warnings) in [
            (NamedNetwork::ThreeNodes, 3, 0),
            (NamedNetwork::SixNodes, 6, 0),
            (NamedNetwork::SevenNodes, 7, 0),
            (NamedNetwork::DoorFactory, 24, 1),
        ] {
            let (network, odd) = named.description().build().expect("a valid network");
            assert_eq!((network.node_count(), odd.len()), (nodes, warnings), "{named:?}");
        }
    }
}
