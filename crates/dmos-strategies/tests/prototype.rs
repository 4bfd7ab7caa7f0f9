//! The two strategies with the prototype's flow, against its published counts and against each other.

use dmos_core::network::Names;
use dmos_core::strategy::{Meter, PlanRequest};
use dmos_core::{Flow, ItemId, Network, NoFlow, NodeId, NodeSet, Recipe};
use dmos_graph::{Complexity, Generate};
use dmos_testkit::flow_strategy;
use proptest::prelude::*;

fn plan(name: &str, network: &Network, alive: &NodeSet) -> (Result<Flow, NoFlow>, Meter) {
    let mut strategy = flow_strategy(name, network);
    let mut meter = Meter::new(10_000_000_000);
    let request = PlanRequest::first(network, alive);
    (strategy.plan(&request, &mut meter), meter)
}

fn generated_network(types: u32) -> Network {
    Generate { types, nodes_per_type: 2, complexity: Complexity::High, seed: 0 }
        .network()
        .expect("a valid network")
}

#[track_caller]
fn check(types: u32, calls: u64, scanned: u64, edges: usize) {
    let network = generated_network(types);
    let (flow, meter) = plan("exhaustive", &network, &NodeSet::all(network.node_count()));
    assert_eq!((meter.counter("calls"), meter.counter("scanned")), (calls, scanned));
    assert_eq!(flow.expect("a flow").edges().len(), edges);
}

#[test]
fn exhaustive_counts_the_prototypes_work() {
    check(5, 7, 14, 5);
    check(8, 22, 171, 12);
    check(10, 51, 945, 17);
    check(12, 189, 12_634, 29);
    check(15, 590, 120_900, 49);
    check(17, 5_622, 10_746_935, 68);
    check(18, 11_239, 44_283_206, 76);
    check(19, 14_425, 70_781_466, 84);
    check(20, 41_091, 566_597_659, 104);
}

#[test]
fn a_failed_base_item_costs_more() {
    let network = generated_network(15);
    let mut alive = NodeSet::all(network.node_count());
    // Only item 10 requires item 0; all others require item 10.
    for &node in network.producers(ItemId::new(10)) {
        alive.remove(node);
    }
    let (flow, meter) = plan("exhaustive", &network, &alive);
    assert_eq!(flow, Err(NoFlow::Infeasible(ItemId::new(14))));
    assert_eq!(meter.counter("calls"), 54_243);
    let (flow, meter) = plan("memoized", &network, &alive);
    assert_eq!(flow, Err(NoFlow::Infeasible(ItemId::new(14))));
    assert!(meter.steps() < 300, "{}", meter.steps());
}

#[test]
fn the_flow_of_the_smallest_network() {
    let network = generated_network(5);
    let (flow, _) = plan("memoized", &network, &NodeSet::all(8));
    let flow = flow.expect("a flow");
    let mut edges: Vec<_> =
        flow.edges().iter().map(|e| (e.producer.index(), e.consumer.index(), e.item.index())).collect();
    edges.sort_unstable();
    assert_eq!(edges, [(0, 3, 0), (1, 7, 1), (3, 1, 2), (3, 5, 2), (5, 7, 3)]);
}

#[test]
fn the_budget_ends_a_search() {
    let network = generated_network(30);
    let (flow, meter) = plan("exhaustive", &network, &NodeSet::all(network.node_count()));
    assert_eq!(flow, Err(NoFlow::BudgetExhausted { budget: 10_000_000_000 }));
    assert_eq!(meter.steps(), 10_000_000_000);
}

#[test]
fn substitute_ends_are_optional() {
    let network = generated_network(5);
    let mut alive = NodeSet::all(8);
    alive.remove(NodeId::new(7));
    assert!(!plan("memoized:substitute_ends=true", &network, &alive).0.expect("a substitute end").is_empty());
    for strategy in ["memoized", "exhaustive"] {
        assert_eq!(plan(strategy, &network, &alive).0, Err(NoFlow::Infeasible(ItemId::new(4))));
    }
}

/// Networks whose producers of one item may differ in recipe, with sources at any position.
fn networks() -> impl Strategy<Value = Network> {
    (2_usize..8).prop_flat_map(|items| {
        let node = (0..items).prop_flat_map(|item| {
            let requires = proptest::sample::subsequence((0..item).collect::<Vec<_>>(), 0..=item.min(3));
            (Just(item), requires)
        });
        (Just(items), proptest::collection::vec(node, 1..16)).prop_map(|(items, nodes)| {
            let recipes: Vec<_> = nodes
                .iter()
                .map(|(item, requires)| {
                    Recipe::of(ItemId::new(*item), requires.iter().map(|&item| ItemId::new(item)))
                })
                .collect();
            let last = recipes[recipes.len() - 1].makes;
            let names = (Names::Numbers(items), Names::Numbers(recipes.len()));
            Network::new(names.0, names.1, recipes.into_iter(), vec![last])
                .expect("items need earlier ones only")
        })
    })
}

fn seed_networks() -> impl Strategy<Value = Network> {
    (4_u32..13, 1_u32..4, 0_u64..50).prop_map(|(types, nodes_per_type, seed)| {
        Generate { types, nodes_per_type, complexity: Complexity::Medium, seed }
            .network()
            .expect("a valid network")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn exhaustive_and_memoized_plan_the_same(
        network in prop_oneof![networks(), seed_networks()],
        failed in proptest::collection::vec(0_usize..40, 0..8),
        substitute_ends in any::<bool>(),
    ) {
        let mut alive = NodeSet::all(network.node_count());
        for node in failed {
            alive.remove(NodeId::new(node % network.node_count()));
        }
        let call = |name| format!("{name}:substitute_ends={substitute_ends}");
        let (exhaustive, _) = plan(&call("exhaustive"), &network, &alive);
        let (memoized, _) = plan(&call("memoized"), &network, &alive);
        prop_assert_eq!(&exhaustive, &memoized);
        for edge in memoized.iter().flat_map(|flow| flow.edges()) {
            prop_assert!(alive.contains(edge.producer) && alive.contains(edge.consumer));
        }
    }
}

#[test]
fn these_strategies_are_registered() {
    let registry = dmos_testkit::registry();
    let flows: Vec<_> = registry.flows().iter().map(|flow| flow.name).collect();
    let leaders: Vec<_> = registry.leaders().iter().map(|leader| leader.name).collect();
    let all = [
        "anchored",
        "backup",
        "balanced",
        "exhaustive",
        "least-cost",
        "least-cost-shared",
        "max-throughput",
        "memoized",
        "random",
        "shortest-lead-time",
        "sticky",
    ];
    assert_eq!(flows, all);
    assert_eq!(leaders, ["ballot", "bully", "last-writer", "lowest-id", "raft", "ring"]);
}
