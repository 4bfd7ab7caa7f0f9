//! The supply network: items, nodes, recipes, and with them every possible supply edge.
//!
//! A network is immutable and flat. It lists the required items of each node and the producers of each item;
//! these two tables *are* the graph of all possible supply edges, without one entry per pair of producer and
//! consumer. A million nodes take tens of megabytes.

mod error;
mod names;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

pub use error::NetworkError;
pub use names::Names;

use crate::ids::{ItemId, NodeId};
use crate::time::Span;

/// An item that a recipe consumes, with its quantity per production run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Requirement {
    /// The item.
    pub item: ItemId,
    /// Number of batches that one production run consumes; at least 1.
    pub quantity: u32,
}

/// The recipe of a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recipe {
    /// The item that the node makes.
    pub makes: ItemId,
    /// Number of batches that one production run yields; at least 1.
    pub quantity: u32,
    /// Inputs of one production run, each item once, in any order.
    pub requires: Vec<Requirement>,
    /// Mean process time of a production run.
    pub process_time: Span,
    /// Cost of the node in a unit of the user's choice, for cost-driven planners.
    pub cost: u32,
}

impl Recipe {
    /// The process time of a production run by default.
    pub const PROCESS_TIME: Span = Span::from_secs(1);

    /// Returns a recipe that makes one batch in one second from one batch of each of these items, at a cost of
    /// 1.
    #[must_use]
    pub fn of(makes: ItemId, requires: impl IntoIterator<Item = ItemId>) -> Self {
        let requires = requires.into_iter().map(|item| Requirement { item, quantity: 1 }).collect();
        Self { makes, quantity: 1, requires, process_time: Self::PROCESS_TIME, cost: 1 }
    }
}

/// An edge of supply: one producer supplies one consumer with an item.
///
/// Edges are ordered by consumer, then item, then producer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SupplyEdge {
    /// The consumer.
    pub consumer: NodeId,
    /// The supplied item.
    pub item: ItemId,
    /// The producer.
    pub producer: NodeId,
}

/// A valid, immutable supply network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Network {
    item_names: Names,
    node_names: Names,
    makes: Vec<ItemId>,
    quantities: Vec<u32>,
    /// By node, see [`Network::lot`].
    lots: Vec<u32>,
    /// By item, true if a recipe requires it.
    is_consumed: Vec<bool>,
    process_times: Vec<Span>,
    costs: Vec<u32>,
    /// Start of a node's requirements in `requirements`; one more entry than nodes.
    requirements_from: Vec<u32>,
    requirements: Vec<Requirement>,
    /// Start of an item's producers in `producers`; one more entry than items.
    producers_from: Vec<u32>,
    producers: Vec<NodeId>,
    final_items: Vec<ItemId>,
    /// By final item, in the same order.
    final_weights: Vec<u32>,
    topological_order: Vec<ItemId>,
}

impl Network {
    /// Builds a network from recipes, one per node.
    ///
    /// Time and space are linear in the recipes' entries.
    ///
    /// # Errors
    /// See [`NetworkError`]. An item without a producer is accepted;
    /// `NetworkDescription::build` of `dmos-graph` rejects it.
    pub fn new(
        item_names: Names,
        node_names: Names,
        recipes: impl ExactSizeIterator<Item = Recipe>,
        final_items: Vec<ItemId>,
    ) -> Result<Self, NetworkError> {
        if node_names.len() != recipes.len() {
            return Err(NetworkError::NamesAndRecipes { names: node_names.len(), recipes: recipes.len() });
        }
        if node_names.is_empty() {
            return Err(NetworkError::Empty);
        }
        let mut network = Self {
            makes: Vec::with_capacity(recipes.len()),
            quantities: Vec::with_capacity(recipes.len()),
            lots: Vec::new(),
            is_consumed: vec![false; item_names.len()],
            process_times: Vec::with_capacity(recipes.len()),
            costs: Vec::with_capacity(recipes.len()),
            requirements_from: Vec::with_capacity(recipes.len() + 1),
            requirements: Vec::new(),
            producers_from: Vec::new(),
            producers: Vec::new(),
            topological_order: Vec::new(),
            item_names,
            node_names,
            final_weights: vec![1; final_items.len()],
            final_items,
        };
        network.requirements_from.push(0);
        for (index, recipe) in recipes.enumerate() {
            network.add(NodeId::new(index), recipe)?;
        }
        network.index_producers();
        let is_made =
            |item: &ItemId| item.index() < network.item_count() && !network.producers(*item).is_empty();
        if network.final_items.is_empty() || !network.final_items.iter().all(is_made) {
            return Err(NetworkError::NoFinalItem);
        }
        for required in &network.requirements {
            network.is_consumed[required.item.index()] = true;
        }
        network.lots = network.find_lots();
        network.topological_order = network.sort_items()?;
        Ok(network)
    }

    /// Returns the same network with other requirements for the given nodes.
    ///
    /// Time and space are linear in the recipes' entries.
    ///
    /// # Errors
    /// As [`Network::new`].
    pub fn with_requirements<'a>(
        &self,
        changed: impl IntoIterator<Item = (NodeId, &'a [Requirement])>,
    ) -> Result<Self, NetworkError> {
        let recipe = |node| Recipe {
            makes: self.makes(node),
            quantity: self.yield_per_run(node),
            requires: self.requirements(node).to_vec(),
            process_time: self.process_time(node),
            cost: self.cost(node),
        };
        let mut recipes: Vec<Recipe> = self.nodes().map(recipe).collect();
        for (node, requires) in changed {
            recipes[node.index()].requires = requires.to_vec();
        }
        let names = (self.item_names.clone(), self.node_names.clone());
        let network = Self::new(names.0, names.1, recipes.into_iter(), self.final_items.clone())?;
        Ok(network.with_final_weights(self.final_weights.clone()))
    }

    /// Returns the same network with these weights of the final items, in the order of
    /// [`Network::final_items`]. All weights are 1 by default.
    ///
    /// # Panics
    /// If there is another number of weights, or one is zero.
    #[must_use]
    pub fn with_final_weights(mut self, weights: Vec<u32>) -> Self {
        assert!(
            weights.len() == self.final_items.len() && !weights.contains(&0),
            "one weight per final item"
        );
        self.final_weights = weights;
        self
    }

    /// Returns the same network with these mean process times.
    #[must_use]
    pub fn with_process_times(mut self, process_time: impl FnMut(NodeId) -> Span) -> Self {
        self.process_times = self.nodes().map(process_time).collect();
        self
    }

    fn add(&mut self, node: NodeId, mut recipe: Recipe) -> Result<(), NetworkError> {
        let items = self.item_names.len();
        let used = recipe.requires.iter().map(|required| required.item).chain([recipe.makes]);
        if let Some(item) = used.into_iter().find(|item| item.index() >= items) {
            return Err(NetworkError::NoSuchItem { node, item });
        }
        if recipe.quantity == 0 || recipe.requires.iter().any(|required| required.quantity == 0) {
            return Err(NetworkError::ZeroQuantity(node));
        }
        recipe.requires.sort_unstable();
        if let Some(twice) = recipe.requires.windows(2).find(|pair| pair[0].item == pair[1].item) {
            return Err(NetworkError::RequiredTwice { node, item: twice[0].item });
        }
        self.makes.push(recipe.makes);
        self.quantities.push(recipe.quantity);
        self.process_times.push(recipe.process_time);
        self.costs.push(recipe.cost);
        self.requirements.extend(recipe.requires);
        self.requirements_from.push(offset(self.requirements.len()));
        Ok(())
    }

    /// Lists the producers of each item in ascending order, by counting sort.
    fn index_producers(&mut self) {
        let mut from = vec![0_u32; self.item_count() + 1];
        for item in &self.makes {
            from[item.index() + 1] += 1;
        }
        for index in 1..from.len() {
            from[index] += from[index - 1];
        }
        let mut next = from.clone();
        let mut producers = vec![NodeId::new(0); self.makes.len()];
        for (index, item) in self.makes.iter().enumerate() {
            producers[next[item.index()] as usize] = NodeId::new(index);
            next[item.index()] += 1;
        }
        self.producers_from = from;
        self.producers = producers;
    }

    /// Returns [`Network::lot`] of every node.
    fn find_lots(&self) -> Vec<u32> {
        let mut consumers = vec![0_u32; self.item_count()];
        self.requirements.iter().for_each(|required| consumers[required.item.index()] += 1);
        for item in &self.final_items {
            consumers[item.index()] += 1;
        }
        let mut yields = vec![1_u32; self.item_count()];
        for (item, &quantity) in self.makes.iter().zip(&self.quantities) {
            yields[item.index()] = yields[item.index()].max(quantity);
        }
        let lot = |node: NodeId| {
            let runs = |required: &Requirement| yields[required.item.index()].div_ceil(required.quantity);
            let is_shared = consumers[self.makes(node).index()] > 1;
            let runs = self.requirements(node).iter().map(runs).max().filter(|_| is_shared);
            self.yield_per_run(node).saturating_mul(runs.unwrap_or(1))
        };
        self.nodes().map(lot).collect()
    }

    /// Sorts the items topologically, so that each comes after all items that its recipes require (Kahn
    /// 1962).
    fn sort_items(&self) -> Result<Vec<ItemId>, NetworkError> {
        let mut edges: Vec<(ItemId, ItemId)> = self
            .nodes()
            .flat_map(|node| {
                self.requirements(node).iter().map(move |required| (required.item, self.makes(node)))
            })
            .collect();
        edges.sort_unstable();
        edges.dedup();
        let mut missing = vec![0_u32; self.item_count()];
        for (_, made) in &edges {
            missing[made.index()] += 1;
        }
        let mut order: Vec<ItemId> = self.items().filter(|item| missing[item.index()] == 0).collect();
        let mut done = 0;
        while let Some(&item) = order.get(done) {
            done += 1;
            let first = edges.partition_point(|edge| edge.0 < item);
            for (_, made) in edges[first..].iter().take_while(|edge| edge.0 == item) {
                missing[made.index()] -= 1;
                if missing[made.index()] == 0 {
                    order.push(*made);
                }
            }
        }
        match self.items().find(|item| missing[item.index()] > 0) {
            Some(item) => Err(NetworkError::Cycle(item)),
            None => Ok(order),
        }
    }

    /// Returns the number of nodes; at least one.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.makes.len()
    }

    /// Returns the number of items.
    #[must_use]
    pub fn item_count(&self) -> usize {
        self.item_names.len()
    }

    /// Returns all nodes in ascending order.
    pub fn nodes(&self) -> impl DoubleEndedIterator<Item = NodeId> + ExactSizeIterator + Clone + use<> {
        (0..self.node_count()).map(NodeId::new)
    }

    /// Returns all items in ascending order.
    pub fn items(&self) -> impl DoubleEndedIterator<Item = ItemId> + ExactSizeIterator + Clone + use<> {
        (0..self.item_count()).map(ItemId::new)
    }

    /// Returns the item that `node` makes.
    #[must_use]
    pub fn makes(&self, node: NodeId) -> ItemId {
        self.makes[node.index()]
    }

    /// Returns the number of batches that one production run at `node` yields; at least 1.
    #[must_use]
    pub fn yield_per_run(&self, node: NodeId) -> u32 {
        self.quantities[node.index()]
    }

    /// Returns the mean process time of a production run at `node`.
    #[must_use]
    pub fn process_time(&self, node: NodeId) -> Span {
        self.process_times[node.index()]
    }

    /// Returns the cost of `node` in a unit of the user's choice.
    #[must_use]
    pub fn cost(&self, node: NodeId) -> u32 {
        self.costs[node.index()]
    }

    /// Returns the inputs of one production run at `node`, in ascending order of items.
    #[must_use]
    pub fn requirements(&self, node: NodeId) -> &[Requirement] {
        let from = self.requirements_from[node.index()] as usize;
        let to = self.requirements_from[node.index() + 1] as usize;
        &self.requirements[from..to]
    }

    /// Returns the nodes that make `item`, in ascending order.
    #[must_use]
    pub fn producers(&self, item: ItemId) -> &[NodeId] {
        let from = self.producers_from[item.index()] as usize;
        let to = self.producers_from[item.index() + 1] as usize;
        &self.producers[from..to]
    }

    /// Returns the number of batches that a node makes in a row: its yield or, if several consumers share its item,
    /// the product of the runs for which one yield of a supplier suffices.
    ///
    /// A consumer that orders less than its share of a lot loses the rest to the others.
    #[must_use]
    #[inline]
    pub fn lot(&self, node: NodeId) -> u32 {
        self.lots[node.index()]
    }

    /// Returns the items that the network exists to make; at least one.
    #[must_use]
    pub fn final_items(&self) -> &[ItemId] {
        &self.final_items
    }

    /// Returns the final items with their weights: the number of batches in a complete set.
    pub fn final_weights(&self) -> impl Iterator<Item = (ItemId, u32)> + '_ {
        self.final_items.iter().copied().zip(self.final_weights.iter().copied())
    }

    /// Returns the number of complete sets of final items, given the number of finished batches of each: the
    /// smallest quotient of number and weight.
    ///
    /// ```
    /// use dmos_core::{ItemId, Network, Recipe, network::Names};
    /// let (pin, anvil) = (ItemId::new(0), ItemId::new(1));
    /// let recipes = [Recipe::of(pin, []), Recipe::of(anvil, [])].into_iter();
    /// let network = Network::new(Names::Numbers(2), Names::Numbers(2), recipes, vec![pin, anvil]).unwrap();
    /// let network = network.with_final_weights(vec![1, 2]);
    /// assert_eq!(network.complete_sets(|item| if item == pin { 6 } else { 9 }), 4);
    /// ```
    #[must_use]
    pub fn complete_sets(&self, mut finished: impl FnMut(ItemId) -> u64) -> u64 {
        let sets = self.final_weights().map(|(item, weight)| finished(item) / u64::from(weight));
        sets.min().unwrap_or(0)
    }

    /// Returns whether `node` makes a final item.
    #[must_use]
    pub fn is_final(&self, node: NodeId) -> bool {
        self.final_items.contains(&self.makes(node))
    }

    /// Returns whether a recipe requires `item`.
    #[must_use]
    pub fn is_consumed(&self, item: ItemId) -> bool {
        self.is_consumed[item.index()]
    }

    /// Returns all items in topological order: each after all items that any of its recipes requires.
    #[must_use]
    pub fn topological_order(&self) -> &[ItemId] {
        &self.topological_order
    }

    /// Returns every possible supply edge: for each requirement of each node, each producer of the item.
    ///
    /// Edges come in the order of consumers, then items, then producers. There can be very many.
    pub fn supply_edges(&self) -> impl Iterator<Item = SupplyEdge> + '_ {
        self.nodes().flat_map(move |consumer| {
            self.requirements(consumer).iter().flat_map(move |required| {
                let item = required.item;
                self.producers(item).iter().map(move |&producer| SupplyEdge { consumer, item, producer })
            })
        })
    }

    /// Returns the name of `node`.
    #[must_use]
    pub fn node_name(&self, node: NodeId) -> Cow<'_, str> {
        self.node_names.name(node.index())
    }

    /// Returns the name of `item`.
    #[must_use]
    pub fn item_name(&self, item: ItemId) -> Cow<'_, str> {
        self.item_names.name(item.index())
    }

    /// Returns the node with this name. O(n) where nodes have individual names.
    #[must_use]
    pub fn find_node(&self, name: &str) -> Option<NodeId> {
        self.node_names.find(name).map(NodeId::new)
    }

    /// Returns the item with this name. O(n) where items have individual names.
    #[must_use]
    pub fn find_item(&self, name: &str) -> Option<ItemId> {
        self.item_names.find(name).map(ItemId::new)
    }

    /// Returns the names of the nodes.
    #[must_use]
    pub fn node_names(&self) -> &Names {
        &self.node_names
    }
}

fn offset(length: usize) -> u32 {
    u32::try_from(length).expect("a network has at most 2^32 recipe entries")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(makes: usize, requires: &[usize]) -> Recipe {
        Recipe::of(ItemId::new(makes), requires.iter().map(|&item| ItemId::new(item)))
    }

    fn network(items: usize, recipes: Vec<Recipe>) -> Result<Network, NetworkError> {
        let last = ItemId::new(items.saturating_sub(1));
        Network::new(Names::Numbers(items), Names::Numbers(recipes.len()), recipes.into_iter(), vec![last])
    }

    #[test]
    fn lays_out_recipes_and_producers() {
        let network = network(3, vec![recipe(0, &[]), recipe(1, &[0]), recipe(1, &[0]), recipe(2, &[1, 0])])
            .expect("a valid network");
        assert_eq!(network.producers(ItemId::new(1)), [NodeId::new(1), NodeId::new(2)]);
        let required: Vec<_> = network.requirements(NodeId::new(3)).iter().map(|r| r.item.index()).collect();
        assert_eq!(required, [0, 1]);
        assert_eq!(network.supply_edges().count(), 5);
        assert_eq!(network.topological_order(), [ItemId::new(0), ItemId::new(1), ItemId::new(2)]);
        assert_eq!(network.find_node("3"), Some(NodeId::new(3)));
        assert_eq!(network.find_node("4"), None);
    }

    #[test]
    fn a_shared_item_is_made_in_the_lots_of_its_inputs() {
        let making = |quantity: u32, recipe: Recipe| Recipe { quantity, ..recipe };
        let taking = |quantity: u32, mut recipe: Recipe| {
            recipe.requires[0].quantity = quantity;
            recipe
        };
        let recipes = |consumers: usize| {
            let first = [making(20, recipe(0, &[])), making(3, taking(6, recipe(1, &[0])))];
            first.into_iter().chain((0..consumers).map(|_| recipe(2, &[1]))).collect::<Vec<_>>()
        };
        let lots = |consumers| {
            let network = network(3, recipes(consumers)).expect("a valid network");
            [0, 1].map(|node| network.lot(NodeId::new(node)))
        };
        assert_eq!(lots(1), [20, 3], "a single consumer loses nothing");
        assert_eq!(lots(2), [20, 12], "20 inputs suffice for 4 runs of 6");
    }

    #[test]
    fn a_final_item_that_is_consumed_is_shared_with_the_buyers() {
        let mut door = recipe(1, &[0]);
        (door.quantity, door.requires[0].quantity) = (3, 6);
        let mut wood = recipe(0, &[]);
        wood.quantity = 20;
        let lot = |finals: &[usize]| {
            let finals = finals.iter().map(|&item| ItemId::new(item)).collect();
            let names = (Names::Numbers(3), Names::Numbers(3));
            let recipes = [wood.clone(), door.clone(), recipe(2, &[1])].into_iter();
            Network::new(names.0, names.1, recipes, finals).expect("a valid network").lot(NodeId::new(1))
        };
        assert_eq!((lot(&[2]), lot(&[1, 2])), (3, 12));
    }

    #[test]
    fn complete_sets_have_the_weights_of_the_final_items() {
        let names = (Names::Numbers(2), Names::Numbers(2));
        let finals = vec![ItemId::new(0), ItemId::new(1)];
        let network = Network::new(names.0, names.1, [recipe(0, &[]), recipe(1, &[])].into_iter(), finals)
            .expect("a valid network")
            .with_final_weights(vec![1, 3]);
        let sets = |finished: [u64; 2]| network.complete_sets(|item| finished[item.index()]);
        assert_eq!([sets([6, 9]), sets([2, 9]), sets([6, 11]), sets([6, 0])], [3, 2, 3, 0]);
        assert!(network.nodes().all(|node| network.is_final(node)));
        assert!(network.items().all(|item| !network.is_consumed(item)));
    }

    #[test]
    fn nodes_and_items_have_names() {
        let words = |names: &[&str]| Names::Words(names.iter().map(|&name| name.to_owned()).collect());
        let forest = Recipe { cost: 7, ..recipe(0, &[]) };
        let recipes = [forest, recipe(1, &[0])].into_iter();
        let names = (words(&["wood", "door"]), words(&["forest", "joiner"]));
        let named = Network::new(names.0, names.1, recipes, vec![ItemId::new(1)]).expect("a valid network");
        assert_eq!(
            (named.node_name(NodeId::new(1)), named.item_name(ItemId::new(0))),
            ("joiner".into(), "wood".into())
        );
        assert_eq!(
            (named.find_node("forest"), named.find_item("door")),
            (Some(NodeId::new(0)), Some(ItemId::new(1)))
        );
        assert_eq!((named.find_node("door"), named.find_item("forest")), (None, None));
        assert!(named.is_consumed(ItemId::new(0)) && !named.is_final(NodeId::new(0)));
        assert_eq!((named.final_items(), named.cost(NodeId::new(0))), (&[ItemId::new(1)][..], 7));
        let numbered = network(1, vec![recipe(0, &[])]).expect("a valid network");
        assert_eq!(numbered.node_name(NodeId::new(0)), "0");
        assert_eq!((numbered.node_names().len(), numbered.node_names().is_empty()), (1, false));
        assert!(Names::Words(Vec::new()).is_empty());
    }

    #[test]
    fn a_changed_recipe_changes_nothing_else() {
        let old =
            network(3, vec![recipe(0, &[]), recipe(1, &[0]), recipe(2, &[1])]).expect("a valid network");
        let both = recipe(2, &[0, 1]).requires;
        let new = old.with_requirements([(NodeId::new(2), &both[..])]).expect("a valid network");
        assert_eq!(Ok(&new), network(3, vec![recipe(0, &[]), recipe(1, &[0]), recipe(2, &[0, 1])]).as_ref());
        let own = recipe(1, &[2]).requires;
        assert!(matches!(old.with_requirements([(NodeId::new(1), &own[..])]), Err(NetworkError::Cycle(_))));
    }

    #[test]
    fn refuses_invalid_networks() {
        assert_eq!(network(1, vec![]), Err(NetworkError::Empty));
        assert!(matches!(network(2, vec![recipe(1, &[7])]), Err(NetworkError::NoSuchItem { .. })));
        assert!(matches!(
            network(2, vec![recipe(0, &[]), recipe(1, &[0, 0])]),
            Err(NetworkError::RequiredTwice { .. })
        ));
        assert!(matches!(network(2, vec![recipe(0, &[1]), recipe(1, &[0])]), Err(NetworkError::Cycle(_))));
        assert_eq!(network(2, vec![recipe(0, &[])]), Err(NetworkError::NoFinalItem));
        let mut zero = recipe(0, &[]);
        zero.quantity = 0;
        assert_eq!(network(1, vec![zero]), Err(NetworkError::ZeroQuantity(NodeId::new(0))));
    }
}
