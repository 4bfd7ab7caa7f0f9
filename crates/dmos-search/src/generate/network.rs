//! Generates small networks: many small ones are more instructive than a few large ones.

use dmos_scenario::file::{Makes, NetworkField, NodeField, Quantities};

use super::Generator;

const ITEMS: [&str; 6] = ["ore", "iron", "bolt", "frame", "door", "house"];

/// Generates an acyclic network of two to six items, each with one to three producers.
pub(super) fn generate(rng: &mut Generator) -> NetworkField {
    let items = rng.between(2, ITEMS.len() as u64) as usize;
    let mut nodes = Vec::new();
    for (item, name) in ITEMS[..items].iter().enumerate() {
        let producers = rng.between(1, 3);
        let quantity = if rng.percent(15) { rng.between(2, 3) as u32 } else { 1 };
        let mut recipe = needs(rng, item);
        for producer in 1..=producers {
            if producer > 1 && rng.percent(10) {
                recipe = needs(rng, item);
            }
            let cost = if rng.percent(30) { rng.between(0, 9) as u32 } else { 1 };
            let own_name = (producers > 1).then(|| format!("{name}-{producer}"));
            let makes = Makes { item: (*name).to_owned(), quantity };
            nodes.push(NodeField {
                name: own_name,
                makes,
                needs: Quantities(recipe.clone()),
                count: 1,
                cycles: 1,
                process_time: None,
                cost,
                site: None,
            });
        }
    }
    // The last node makes the final item unless the file names others; sometimes there are two.
    let mut final_items = rng.percent(20).then(|| Quantities(vec![(ITEMS[items - 1].to_owned(), 1)]));
    if rng.percent(30) && items > 2 {
        final_items.iter_mut().for_each(|finals| finals.0.push((ITEMS[items - 2].to_owned(), 1)));
    }
    NetworkField { nodes: Some(nodes), final_items, ..NetworkField::default() }
}

/// Generates the inputs of an item: one to three earlier items, usually one batch of each.
pub(super) fn needs(rng: &mut Generator, item: usize) -> Vec<(String, u32)> {
    let mut needs: Vec<(String, u32)> = Vec::new();
    for _ in 0..rng.between(1, 3).min(item as u64) {
        // The preceding item is most likely, so that chains are deep.
        let needed = if rng.percent(50) { item - 1 } else { rng.between(0, item as u64 - 1) as usize };
        let quantity = if rng.percent(15) { rng.between(2, 3) as u32 } else { 1 };
        if !needs.iter().any(|(known, _)| known == ITEMS[needed]) {
            needs.push((ITEMS[needed].to_owned(), quantity));
        }
    }
    needs
}
