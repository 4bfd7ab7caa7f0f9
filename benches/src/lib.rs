//! Benchmarks of DMOS with criterion. `cargo bench -p dmos-benches` runs all of them, and `cargo bench -p
//! dmos-benches --bench bootstrap -- 20` those whose names contain `20`.
//!
//! Each file of `benches/` is a group; shared parts are here.

pub mod heartbeats;

use dmos_core::{Network, Scenario};
use dmos_graph::{Complexity, Generate};

/// Returns the prototype's network with this many items: high complexity, two producers for each inner item,
/// seed 0.
///
/// # Panics
/// If there is no such network.
#[must_use]
pub fn seed_network(types: u32) -> Network {
    let generate = Generate { types, nodes_per_type: 2, complexity: Complexity::High, seed: 0 };
    generate.network().expect("at least 3 items")
}

/// Returns a network of low complexity with a number of items and of producers for each inner item.
///
/// # Panics
/// If there is no such network.
#[must_use]
pub fn sparse_network(types: u32, nodes_per_type: u32) -> Network {
    let generate = Generate { types, nodes_per_type, complexity: Complexity::Low, seed: 0 };
    generate.network().expect("at least 3 items")
}

/// Returns the names of all flow strategies that need no parameter.
///
/// # Panics
/// If two have the same.
#[must_use]
pub fn planners() -> Vec<String> {
    let registry = dmos_testkit::registry();
    let alone = registry.flows().iter().filter(|flow| flow.stands_alone());
    alone.map(|flow| flow.name.to_owned()).collect()
}

/// Returns a scenario of the whole protocol on a network with a number of items and producers; with `faults`,
/// nodes fail and recover, and messages are lost.
///
/// # Panics
/// If there is no such network.
#[must_use]
pub fn protocol(types: u32, nodes_per_type: u32, seconds: u32, faults: bool) -> Scenario {
    let mut settings = vec![
        format!("network.generate.types={types}"),
        format!("network.generate.nodes_per_type={nodes_per_type}"),
        format!("duration={seconds}s"),
    ];
    if faults {
        let random_failures =
            "[{nodes: all, time_to_failure: {exponential: 10min}, time_to_repair: {uniform: [20s, 2min]}}]";
        settings.push(format!("faults.random_failures={random_failures}"));
        settings.push("faults.messages.loss=0.001".to_owned());
    }
    dmos_testkit::load_with("benches/scenarios/protocol.yaml", &settings)
}
