//! Networks on which flow strategies are tested.

use dmos_core::network::Names;
use dmos_core::{BrokenLinks, ItemId, Network, NodeId, NodeSet, Recipe, Requirement, Span};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// Returns a small network generated from a number: items of one to four producers that may differ in recipe,
/// quantities, process time and cost; the last item is final, and sometimes another one.
#[must_use]
pub fn random_network(number: u64) -> Network {
    let mut rng = ChaCha8Rng::seed_from_u64(number);
    let items = rng.random_range(1..10_u64) as usize;
    let mut recipes = Vec::new();
    for item in 0..items {
        let mut recipe = random_recipe(&mut rng, item);
        for producer in 0..rng.random_range(1..5) {
            if producer > 0 && rng.random_range(0..4) == 0 {
                recipe = random_recipe(&mut rng, item);
            }
            recipes.push(Recipe {
                process_time: Span::from_secs(if rng.random_range(0..4) == 0 {
                    rng.random_range(2..5)
                } else {
                    1
                }),
                cost: rng.random_range(0..10),
                ..recipe.clone()
            });
        }
    }
    // Producers of one item need not be adjacent.
    for last in (1..recipes.len()).rev() {
        recipes.swap(last, rng.random_range(0..=last as u64) as usize);
    }
    let mut finals = vec![ItemId::new(items - 1)];
    if items > 1 && rng.random_range(0..4) == 0 {
        finals.push(ItemId::new(rng.random_range(0..items as u64 - 1) as usize));
    }
    network(items, recipes, finals)
}

/// Returns a set of nodes generated from a number: usually most of them.
#[must_use]
pub fn random_alive(network: &Network, number: u64) -> NodeSet {
    let mut rng = ChaCha8Rng::seed_from_u64(number ^ 0x5EED);
    let mut alive = NodeSet::all(network.node_count());
    let failed = rng.random_range(0..60_u64);
    for node in network.nodes() {
        if rng.random_range(0..100) < failed {
            alive.remove(node);
        }
    }
    alive
}

/// Returns broken links generated from a number: from none to about a third of those that a flow could use.
#[must_use]
pub fn random_broken_links(network: &Network, number: u64) -> BrokenLinks {
    let mut rng = ChaCha8Rng::seed_from_u64(number ^ 0x11A4);
    let broken = rng.random_range(0..35_u64);
    let mut links = BrokenLinks::NONE;
    for consumer in network.nodes() {
        for required in network.requirements(consumer) {
            for &producer in network.producers(required.item) {
                if rng.random_range(0..100) < broken {
                    links.insert(producer, consumer);
                }
            }
        }
    }
    links
}

fn random_recipe(rng: &mut ChaCha8Rng, item: usize) -> Recipe {
    let mut recipe = Recipe::of(ItemId::new(item), []);
    for _ in 0..rng.random_range(0..4).min(item as u64) {
        let quantity = if rng.random_range(0..4) == 0 { rng.random_range(2..4) } else { 1 };
        let required = Requirement { item: ItemId::new(rng.random_range(0..item as u64) as usize), quantity };
        if recipe.requires.iter().all(|known| known.item != required.item) {
            recipe.requires.push(required);
        }
    }
    recipe.quantity = if rng.random_range(0..6) == 0 { rng.random_range(2..4) } else { 1 };
    recipe
}

fn network(items: usize, recipes: Vec<Recipe>, finals: Vec<ItemId>) -> Network {
    Network::new(Names::Numbers(items), Names::Numbers(recipes.len()), recipes.into_iter(), finals)
        .expect("items require earlier ones only")
}

/// Returns a network of items in layers: each item has `producers` producers, and requires the `reach` items
/// before it.
///
/// # Panics
/// If there are no items, or no producers.
#[must_use]
pub fn layered(items: usize, producers: usize, reach: usize) -> Network {
    let recipe =
        |item: usize| Recipe::of(ItemId::new(item), (item.saturating_sub(reach)..item).map(ItemId::new));
    let recipes = (0..items).flat_map(|item| (0..producers).map(move |_| recipe(item))).collect();
    network(items, recipes, vec![ItemId::new(items - 1)])
}

/// Like [`layered`] with a reach of two, but the producers of an item differ in recipe, yield, process
/// time and cost.
///
/// # Panics
/// If there are no items, or no producers.
#[must_use]
pub fn varied(items: usize, producers: usize) -> Network {
    let recipe = |(item, nth): (usize, usize)| {
        let first = item.saturating_sub(1 + nth % 2);
        let requires = (first..item).map(ItemId::new);
        let number = nth as u32;
        let (quantity, process_time) = (1 + number % 3, Span::from_secs(u64::from(1 + number % 5)));
        Recipe { quantity, process_time, cost: number, ..Recipe::of(ItemId::new(item), requires) }
    };
    let all = (0..items).flat_map(|item| (0..producers).map(move |nth| (item, nth)));
    network(items, all.map(recipe).collect(), vec![ItemId::new(items - 1)])
}

/// Returns all nodes but the producers of the first item.
#[must_use]
pub fn without_source(network: &Network) -> NodeSet {
    let mut alive = NodeSet::all(network.node_count());
    for &node in network.producers(ItemId::new(0)) {
        alive.remove(node);
    }
    alive
}

/// Returns the node that fails or returns, chosen from a number.
#[must_use]
pub fn random_node(network: &Network, number: u64) -> NodeId {
    let mut rng = ChaCha8Rng::seed_from_u64(number);
    NodeId::new(rng.random_range(0..network.node_count() as u64) as usize)
}
