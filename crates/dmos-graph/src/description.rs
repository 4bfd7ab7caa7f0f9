//! Networks from descriptions with names; all problems are reported at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use dmos_core::network::Names;
use dmos_core::{ItemId, Network, Recipe, Requirement};
use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use thiserror::Error;

use dmos_util::suggestion::nearest;

/// Maximum number of nodes of a network. A run takes a few kilobytes for each.
pub const NODES_MAX: u64 = 2_000_000;

/// Maximum length of a name, in bytes.
pub const NAME_MAX: usize = 200;

/// Maximum number of batches of one item that a production run yields or consumes. A run names every batch.
pub const QUANTITY_MAX: u32 = 1_000;

/// Maximum weight of a final item.
pub const WEIGHT_MAX: u32 = 1_000;

/// Maximum number of cycles of items that are reported at once.
const CYCLES_MAX: usize = 100;

/// A network described by names.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NetworkDescription {
    /// Nodes or groups of identical nodes, in the order in which they are numbered.
    pub nodes: Vec<NodeDescription>,
    /// Final items with their weights in the product mix; if there are none, the item that the last node makes.
    pub final_items: Vec<(String, u32)>,
}

/// A node, or a group of identical nodes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeDescription {
    /// Name; the nodes of a group are named `name-1`, `name-2` and so on.
    pub name: String,
    /// Number of nodes.
    pub count: u32,
    /// The item that it makes.
    pub makes: String,
    /// Number of batches per production run.
    pub quantity: u32,
    /// Inputs of a production run, with quantities.
    pub needs: Vec<(String, u32)>,
    /// Cost of the node.
    pub cost: u32,
}

/// The path of a part of a description.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum DescriptionPath {
    /// The list of nodes.
    Nodes,
    /// The node at this index.
    Node(usize),
    /// The node's need at the second index.
    Need(usize, usize),
    /// The final item at this index.
    FinalItem(usize),
}

/// A problem that makes a description invalid.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum Problem {
    /// There are no nodes.
    #[error("the network has no nodes; describe at least one")]
    Empty,
    /// There are more nodes than the maximum.
    #[error("the network has {0} nodes, more than the maximum of {NODES_MAX}")]
    TooLarge(u64),
    /// Two nodes have the same name.
    #[error("another node is named `{0}`; node names must be unique")]
    DuplicateName(String),
    /// The number of nodes or batches is zero.
    #[error("a {0} of zero; it must be at least 1")]
    Zero(&'static str),
    /// A quantity exceeds the maximum.
    #[error(
        "a quantity of {0}; a production run yields and consumes at most {QUANTITY_MAX} batches of an item"
    )]
    TooMany(u32),
    /// A name is empty or too long.
    #[error("a name has from 1 to {NAME_MAX} bytes")]
    NameLength,
    /// The weight of a final item is out of range.
    #[error("a weight of {0}; the weight of a final item is from 1 to {WEIGHT_MAX}")]
    Weight(u32),
    /// A final item is listed twice.
    #[error("`{0}` is listed twice as final; list it once")]
    FinalTwice(String),
    /// An input is listed twice.
    #[error("`{0}` is needed twice; write the quantity, as in `{0}: 2`")]
    NeededTwice(String),
    /// An item has no producer.
    #[error("no node makes `{item}`{}", suggestion(.nearest))]
    NoProducer {
        /// The item.
        item: String,
        /// A produced item with a similar name.
        nearest: Option<String>,
    },
    /// Items require each other in a cycle.
    #[error("items require each other in a cycle: {}", cycle(.0))]
    Cycle(Vec<String>),
}

fn suggestion(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

fn cycle(items: &[String]) -> String {
    let shown = items.iter().take(20).map(|item| format!("`{item}`"));
    let more = (items.len() > 20).then(|| format!("{} more", items.len() - 20));
    let closed = shown.chain(more).chain(items.first().map(|item| format!("`{item}`")));
    closed.collect::<Vec<_>>().join(" needs ")
}

/// All problems of a description, each with its place.
pub type Problems = Vec<(DescriptionPath, Problem)>;

/// An oddity of a valid network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Warning {
    /// An item is made, is not final, and is not required by any node.
    Unused(String),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unused(item) => write!(f, "no recipe needs `{item}`, and it is not final"),
        }
    }
}

/// Items by name, numbered in the order in which nodes make them, then in which they are required.
struct Items<'a> {
    numbers: BTreeMap<&'a str, usize>,
    names: Vec<&'a str>,
    made: usize,
}

impl<'a> Items<'a> {
    fn new(description: &'a NetworkDescription) -> Self {
        let mut items = Self { numbers: BTreeMap::new(), names: Vec::new(), made: 0 };
        for node in &description.nodes {
            items.add(&node.makes);
        }
        items.made = items.names.len();
        for (need, _) in description.nodes.iter().flat_map(|node| &node.needs) {
            items.add(need);
        }
        items
    }

    fn add(&mut self, name: &'a str) {
        let next = self.names.len();
        if *self.numbers.entry(name).or_insert(next) == next {
            self.names.push(name);
        }
    }

    fn id(&self, name: &str) -> ItemId {
        ItemId::new(self.numbers[name])
    }

    fn is_made(&self, name: &str) -> bool {
        self.numbers.get(name).is_some_and(|&number| number < self.made)
    }
}

/// Maximum number of problems with a suggestion: suggestions are slow to compute, and further ones are not
/// read.
const SUGGESTIONS: usize = 10;

impl NetworkDescription {
    /// Builds the network, and lists its oddities.
    ///
    /// # Errors
    /// All problems, each with its place, in the order of places.
    pub fn build(&self) -> Result<(Network, Vec<Warning>), Problems> {
        let items = Items::new(self);
        let mut problems = self.local_problems();
        problems.extend(self.missing_producers(&items));
        if problems.is_empty() {
            problems.extend(self.cycles(&items));
        }
        if !problems.is_empty() {
            problems.sort_by_key(|problem| problem.0);
            return Err(problems);
        }
        let network = self.lay_out(&items);
        let warnings = unneeded(&network);
        Ok((network, warnings))
    }

    /// Returns the names of the nodes, in the order of their numbers, each with its description's index.
    fn node_names(&self) -> impl Iterator<Item = (usize, String)> + '_ {
        self.nodes.iter().enumerate().flat_map(|(index, node)| {
            (1..=node.count).map(move |nth| {
                (index, if node.count == 1 { node.name.clone() } else { format!("{}-{nth}", node.name) })
            })
        })
    }

    fn local_problems(&self) -> Vec<(DescriptionPath, Problem)> {
        let total: u64 = self.nodes.iter().map(|node| u64::from(node.count)).sum();
        if self.nodes.is_empty() {
            return vec![(DescriptionPath::Nodes, Problem::Empty)];
        }
        if total > NODES_MAX {
            return vec![(DescriptionPath::Nodes, Problem::TooLarge(total))];
        }
        let mut problems = Vec::new();
        let mut final_items = BTreeSet::new();
        for (nth, (item, weight)) in self.final_items.iter().enumerate() {
            if *weight == 0 || *weight > WEIGHT_MAX {
                problems.push((DescriptionPath::FinalItem(nth), Problem::Weight(*weight)));
            }
            if !final_items.insert(item) {
                problems.push((DescriptionPath::FinalItem(nth), Problem::FinalTwice(item.clone())));
            }
        }
        for (index, node) in self.nodes.iter().enumerate() {
            let names = [&node.name, &node.makes].into_iter();
            if names.into_iter().any(|name| name.is_empty() || name.len() > NAME_MAX) {
                problems.push((DescriptionPath::Node(index), Problem::NameLength));
            }
        }
        if !problems.is_empty() {
            return problems;
        }
        let mut seen = BTreeSet::new();
        for (index, name) in self.node_names() {
            if !seen.insert(name.clone()) {
                problems.push((DescriptionPath::Node(index), Problem::DuplicateName(name)));
            }
        }
        for (index, node) in self.nodes.iter().enumerate() {
            let zero = [("count", node.count), ("quantity made", node.quantity)]
                .into_iter()
                .filter(|part| part.1 == 0);
            problems.extend(zero.map(|(what, _)| (DescriptionPath::Node(index), Problem::Zero(what))));
            if node.quantity > QUANTITY_MAX {
                problems.push((DescriptionPath::Node(index), Problem::TooMany(node.quantity)));
            }
            let mut needed = BTreeSet::new();
            for (nth, (item, quantity)) in node.needs.iter().enumerate() {
                if *quantity == 0 {
                    problems.push((DescriptionPath::Need(index, nth), Problem::Zero("quantity needed")));
                }
                if *quantity > QUANTITY_MAX {
                    problems.push((DescriptionPath::Need(index, nth), Problem::TooMany(*quantity)));
                }
                if !needed.insert(item) {
                    problems.push((DescriptionPath::Need(index, nth), Problem::NeededTwice(item.clone())));
                }
            }
        }
        problems
    }

    fn missing_producers(&self, items: &Items<'_>) -> Vec<(DescriptionPath, Problem)> {
        let needs = self.nodes.iter().enumerate().flat_map(|(index, node)| {
            node.needs
                .iter()
                .enumerate()
                .map(move |(nth, (item, _))| (DescriptionPath::Need(index, nth), item))
        });
        let finals = self
            .final_items
            .iter()
            .enumerate()
            .map(|(nth, (item, _))| (DescriptionPath::FinalItem(nth), item));
        let missing = needs.chain(finals).filter(|(_, item)| !items.is_made(item));
        let problem = |(nth, (place, item)): (usize, (DescriptionPath, &String))| {
            let made = if nth < SUGGESTIONS { &items.names[..items.made] } else { &[] };
            let nearest = nearest(item, made.iter().copied()).map(str::to_owned);
            (place, Problem::NoProducer { item: item.clone(), nearest })
        };
        missing.enumerate().map(problem).collect()
    }

    /// Returns cycles of items, each at the first node that makes one of them, such that none is left without one edge
    /// of each; at most [`CYCLES_MAX`].
    fn cycles(&self, items: &Items<'_>) -> Vec<(DescriptionPath, Problem)> {
        let mut graph = DiGraph::<(), ()>::with_capacity(items.names.len(), 0);
        for _ in &items.names {
            graph.add_node(());
        }
        for node in &self.nodes {
            let made = NodeIndex::new(items.id(&node.makes).index());
            for (item, _) in &node.needs {
                graph.update_edge(made, NodeIndex::new(items.id(item).index()), ());
            }
        }
        let mut cycles = Vec::new();
        while cycles.len() < CYCLES_MAX {
            let found = shortest_cycles(&graph);
            if found.is_empty() {
                break;
            }
            for cycle in found {
                let closing = graph.find_edge(cycle[cycle.len() - 1], cycle[0]);
                graph.remove_edge(closing.expect("a cycle is closed"));
                let names: Vec<_> = cycle.iter().map(|item| items.names[item.index()].to_owned()).collect();
                let first = self.nodes.iter().position(|node| node.makes == names[0]);
                cycles.push((first.expect("items in a cycle are produced"), names));
            }
        }
        cycles.truncate(CYCLES_MAX);
        cycles.sort_by_key(|(first, _)| *first);
        cycles
            .into_iter()
            .map(|(first, names)| (DescriptionPath::Node(first), Problem::Cycle(names)))
            .collect()
    }

    fn lay_out(&self, items: &Items<'_>) -> Network {
        let of = |node: &NodeDescription| Recipe {
            makes: items.id(&node.makes),
            quantity: node.quantity,
            requires: node
                .needs
                .iter()
                .map(|(item, quantity)| Requirement { item: items.id(item), quantity: *quantity })
                .collect(),
            process_time: Recipe::PROCESS_TIME,
            cost: node.cost,
        };
        let (described, node_names): (Vec<_>, Vec<_>) = self.node_names().unzip();
        let recipes = described.iter().map(|&index| of(&self.nodes[index]));
        let (mut final_items, mut weights): (Vec<_>, Vec<_>) =
            self.final_items.iter().map(|(item, weight)| (items.id(item), *weight)).unzip();
        if let (true, Some(last)) = (final_items.is_empty(), self.nodes.last()) {
            final_items.push(items.id(&last.makes));
            weights.push(1);
        }
        let item_names = items.names.iter().map(|&name| name.to_owned()).collect();
        Network::new(Names::Words(item_names), Names::Words(node_names), recipes, final_items)
            .expect("every problem of a description was looked for")
            .with_final_weights(weights)
    }
}

/// Returns a shortest cycle of each strongly connected component of a graph. O(nodes + edges) for each.
fn shortest_cycles(graph: &DiGraph<(), ()>) -> Vec<Vec<NodeIndex>> {
    let is_cycle = |nodes: &Vec<NodeIndex>| nodes.len() > 1 || graph.contains_edge(nodes[0], nodes[0]);
    let components = kosaraju_scc(graph).into_iter().filter(is_cycle);
    components.map(|component| shortest_cycle(graph, &component)).collect()
}

/// Returns a shortest cycle through the first item of a strongly connected component, by breadth-first
/// search.
fn shortest_cycle(graph: &DiGraph<(), ()>, component: &[NodeIndex]) -> Vec<NodeIndex> {
    let start = *component.iter().min().expect("a component has a member");
    let members: BTreeSet<_> = component.iter().copied().collect();
    let mut came_from = BTreeMap::new();
    let mut queue = vec![start];
    let mut next = 0;
    while let Some(&item) = queue.get(next) {
        next += 1;
        if graph.contains_edge(item, start) {
            let mut cycle = vec![item];
            while let Some(&earlier) = came_from.get(&cycle[cycle.len() - 1]) {
                cycle.push(earlier);
            }
            cycle.reverse();
            return cycle;
        }
        let mut needed: Vec<_> = graph.neighbors(item).filter(|other| members.contains(other)).collect();
        needed.sort_unstable();
        for other in needed {
            if other != start && !came_from.contains_key(&other) {
                came_from.insert(other, item);
                queue.push(other);
            }
        }
    }
    unreachable!("a strongly connected component has a cycle through each member")
}

/// Returns a warning for each item that is not needed.
fn unneeded(network: &Network) -> Vec<Warning> {
    let mut wanted = vec![false; network.item_count()];
    let needed = network.nodes().flat_map(|node| network.requirements(node)).map(|required| required.item);
    for item in needed.chain(network.final_items().iter().copied()) {
        wanted[item.index()] = true;
    }
    let idle = network.items().filter(|item| !wanted[item.index()]);
    idle.map(|item| Warning::Unused(network.item_name(item).into_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, needs: &[&str]) -> NodeDescription {
        let needs = needs.iter().map(|&item| (item.to_owned(), 1)).collect();
        let (name, makes) = (name.to_owned(), name.to_owned());
        NodeDescription { name, count: 1, makes, quantity: 1, needs, cost: 1 }
    }

    fn description(nodes: &[NodeDescription]) -> NetworkDescription {
        NetworkDescription { nodes: nodes.to_vec(), final_items: Vec::new() }
    }

    #[track_caller]
    fn check(description: &NetworkDescription, expected: &[(DescriptionPath, &str)]) {
        let problems = description.build().expect_err("an invalid description");
        let shown: Vec<_> = problems.iter().map(|(place, problem)| (*place, problem.to_string())).collect();
        assert_eq!(shown.len(), expected.len(), "{shown:?}");
        for ((place, message), (expected_place, part)) in shown.iter().zip(expected) {
            assert_eq!(place, expected_place, "{message}");
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn builds_groups_of_nodes() {
        let mut wood = node("wood", &[]);
        wood.count = 2;
        let (network, warnings) =
            description(&[wood, node("door", &["wood"])]).build().expect("a valid network");
        assert_eq!(network.node_name(network.producers(ItemId::new(0))[1]), "wood-2");
        assert_eq!(network.final_items(), [network.find_item("door").expect("an item of this name")]);
        assert_eq!(warnings, []);
    }

    #[test]
    fn reports_all_problems() {
        check(&description(&[]), &[(DescriptionPath::Nodes, "no nodes")]);
        let twice = description(&[node("wood", &[]), node("wood", &[])]);
        check(&twice, &[(DescriptionPath::Node(1), "another node is named `wood`")]);
        let unknown = description(&[node("wood", &[]), node("door", &["Wod", "wood", "wood"])]);
        check(
            &unknown,
            &[
                (DescriptionPath::Need(1, 0), "did you mean `wood`"),
                (DescriptionPath::Need(1, 2), "needed twice"),
            ],
        );
        let mut final_item = description(&[node("wood", &[])]);
        final_item.final_items.push(("house".to_owned(), 1));
        check(&final_item, &[(DescriptionPath::FinalItem(0), "no node makes `house`")]);
        let mut twice = description(&[node("wood", &[])]);
        twice.final_items = vec![("wood".to_owned(), 1), ("wood".to_owned(), 1)];
        check(&twice, &[(DescriptionPath::FinalItem(1), "listed twice as final")]);
        check(&description(&[node("", &[])]), &[(DescriptionPath::Node(0), "from 1 to 200 bytes")]);
        let mut none = node("wood", &[]);
        none.count = 0;
        check(&description(&[none, node("door", &[])]), &[(DescriptionPath::Node(0), "count of zero")]);
        let mut many = node("wood", &[]);
        (many.count, many.quantity) = (u32::MAX, u32::MAX);
        check(&description(&[many.clone(), many.clone()]), &[(DescriptionPath::Nodes, "8589934590 nodes")]);
        many.count = 1;
        check(&description(&[many]), &[(DescriptionPath::Node(0), "at most 1000 batches")]);
    }

    #[test]
    fn names_the_cycle() {
        let cyclic = [node("a", &["b"]), node("b", &["d", "c"]), node("c", &["a"]), node("d", &["c"])];
        check(&description(&cyclic), &[(DescriptionPath::Node(0), "`a` needs `b` needs `c` needs `a`")]);
        check(&description(&[node("a", &["a"])]), &[(DescriptionPath::Node(0), "`a` needs `a`")]);
    }

    #[test]
    fn names_all_cycles_at_once() {
        let joined = [node("a", &["b", "c"]), node("b", &["a"]), node("c", &["a", "c"]), node("d", &["d"])];
        let (first, third) = (DescriptionPath::Node(0), DescriptionPath::Node(2));
        check(
            &description(&joined),
            &[
                (first, "`a` needs `b` needs `a`"),
                (first, "`a` needs `c` needs `a`"),
                (third, "`c` needs `c`"),
                (DescriptionPath::Node(3), "`d` needs `d`"),
            ],
        );
    }

    #[test]
    fn warns_of_unneeded_items() {
        let (_, warnings) =
            description(&[node("wood", &[]), node("door", &[])]).build().expect("a valid network");
        assert_eq!(warnings, [Warning::Unused("wood".to_owned())]);
    }
}
