//! Set-up shared by the tests and benchmarks of the project: strategies, networks, scenarios, node settings.
//!
//! Every function panics if its arguments are invalid, at the place of its call.

use std::path::Path;
use std::sync::Arc;

use dmos_core::settings::Protocol;
use dmos_core::strategy::{FlowStrategy, LeaderStrategy, StrategyCall};
use dmos_core::{Network, Registry, Scenario};
use dmos_graph::NamedNetwork;
use dmos_node::NodeSettings;
use dmos_scenario::Override;
use dmos_strategies as _;

/// Returns the registry of the included strategies and of those that the test links or registers.
///
/// # Panics
/// If two strategies have the same name.
#[track_caller]
#[must_use]
pub fn registry() -> Registry {
    Registry::collect().expect("unique names of strategies")
}

/// Parses a strategy call.
///
/// # Panics
/// If it is invalid.
#[track_caller]
#[must_use]
pub fn call(text: &str) -> StrategyCall {
    text.parse().expect("a valid strategy call")
}

/// Returns the flow strategy that a call names.
///
/// # Panics
/// If there is none.
#[track_caller]
#[must_use]
pub fn flow_strategy(text: &str, network: &Network) -> Box<dyn FlowStrategy> {
    registry().flow(&call(text), network).expect("a registered flow strategy").build()
}

/// Returns the leader strategy that a call names.
///
/// # Panics
/// If there is none.
#[track_caller]
#[must_use]
pub fn leader_strategy(text: &str, network: &Network) -> Box<dyn LeaderStrategy> {
    registry().leader(&call(text), network).expect("a registered leader strategy").build()
}

/// Returns a named network.
///
/// # Panics
/// If its description is invalid.
#[track_caller]
#[must_use]
pub fn network(name: NamedNetwork) -> Network {
    name.description().build().expect("a valid network").0
}

/// Returns the settings of nodes that may all lead, with the given strategies.
///
/// # Panics
/// If a strategy is not registered.
#[track_caller]
#[must_use]
pub fn node_settings(network: Network, flow: &str, leader: &str, protocol: Protocol) -> NodeSettings {
    NodeSettings {
        flow: registry().flow(&call(flow), &network).expect("a registered flow strategy"),
        leader: leader_strategy(leader, &network).into(),
        detector: registry()
            .detector(&call("fixed-timeout"), &network)
            .expect("a registered failure detector")
            .build()
            .into(),
        candidates: network.nodes().collect(),
        added_later: Arc::new([]),
        planning_budget: 1_000_000,
        routes: Arc::default(),
        seed: 1,
        protocol,
        network: Arc::new(network),
    }
}

/// Returns the settings of the nodes of a scenario, none of which is added later.
#[must_use]
pub fn settings_of(scenario: &Scenario) -> NodeSettings {
    NodeSettings {
        network: Arc::clone(&scenario.network),
        protocol: scenario.protocol.clone(),
        flow: scenario.flow.clone(),
        planning_budget: scenario.planning_budget.get(),
        routes: Arc::clone(&scenario.routes),
        seed: scenario.seed,
        leader: scenario.leader.build().into(),
        detector: scenario.detector.build().into(),
        candidates: Arc::clone(&scenario.candidates),
        added_later: Arc::new([]),
    }
}

/// Parses settings of the form `field.path=value`.
///
/// # Panics
/// If one is invalid.
#[track_caller]
#[must_use]
pub fn overrides(settings: &[impl AsRef<str>]) -> Vec<Override> {
    let parse = |setting: &_| Override::parse(AsRef::<str>::as_ref(setting)).expect("a valid setting");
    settings.iter().map(parse).collect()
}

/// Parses a scenario.
///
/// # Panics
/// If it is invalid.
#[track_caller]
#[must_use]
pub fn scenario(text: &str) -> Scenario {
    let loaded = dmos_scenario::parse("test.yaml", "test", text.to_owned(), &[], &registry());
    loaded.unwrap_or_else(|error| panic!("{error}")).scenario
}

/// Loads a scenario of the repository, by its path from the root.
///
/// # Panics
/// If there is none, or it is invalid.
#[track_caller]
#[must_use]
pub fn load(path: &str) -> Scenario {
    load_with(path, &[] as &[&str])
}

/// Like [`load`], with some fields set, each in the form `field.path=value`.
///
/// # Panics
/// If there is no such scenario, or it is invalid with these settings.
#[track_caller]
#[must_use]
pub fn load_with(path: &str, settings: &[impl AsRef<str>]) -> Scenario {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    let loaded = dmos_scenario::load(&path, &overrides(settings), &registry());
    loaded.unwrap_or_else(|error| panic!("{error}")).scenario
}

/// Returns whether a number belongs to the part of a long check that the environment variable `DMOS_PART` selects, in the
/// form `1/4` for the second of four parts. Without the variable, all numbers do.
///
/// # Panics
/// If the variable has another form.
#[must_use]
pub fn is_in_part(number: u64) -> bool {
    let Ok(part) = std::env::var("DMOS_PART") else {
        return true;
    };
    let (part, parts) = part.split_once('/').expect("DMOS_PART has the form 1/4");
    let parse = |text: &str| text.parse::<u64>().expect("DMOS_PART consists of two numbers");
    number % parse(parts) == parse(part)
}
