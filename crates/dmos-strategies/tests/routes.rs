//! Planners that choose suppliers by distance, against recursive searches over all suppliers of each consumer.

use std::collections::BTreeMap;

use dmos_conformance::networks::{random_alive, random_network};
use dmos_core::strategy::{FlowStrategy, Meter, PlanRequest};
use dmos_core::{Distribution, Flow, Network, NodeId, NodeSet, Requirement, Route, Routes, Span};
use dmos_graph::Feasibility;
use dmos_testkit::flow_strategy;

/// Returns routes between three sites, to which the nodes belong in turn; some nodes are at none.
fn routes(network: &Network, seed: u64) -> Routes {
    let names = ["north", "south", "east"].map(str::to_owned).to_vec();
    let number =
        |from: usize, to: usize| seed.wrapping_mul(31).wrapping_add(7 * from as u64 + 13 * to as u64) % 23;
    let route = |(from, to): (usize, usize)| {
        let transit = Distribution::Uniform(Span::ZERO, Span::from_secs(2 * number(from, to)));
        let cost = u32::try_from(number(to, from)).expect("a small number");
        ((from, to), Route::new(transit, Distribution::Fixed(Span::ZERO), cost))
    };
    let pairs = (0..3).flat_map(|from| (0..3).map(move |to| (from, to))).filter(|pair| *pair != (2, 0));
    let sites = network
        .nodes()
        .map(|node| Some((node.index() * 5 + seed as usize) % 4))
        .map(|site| site.filter(|&site| site < 3));
    Routes::between_sites(Route::DEFAULT, names, sites, pairs.map(route).collect())
}

/// Returns small feasible networks, each with the live nodes and with routes.
fn cases(count: u64) -> impl Iterator<Item = (Network, NodeSet, Routes)> {
    let networks = (0..count).map(|seed| {
        let network = random_network(seed);
        let (alive, routes) = (random_alive(&network, seed), routes(&network, seed));
        (network, alive, routes)
    });
    networks.filter(|(network, alive, _)| Feasibility::of(network, alive).finals(network).is_ok())
}

fn plan(call: &str, network: &Network, alive: &NodeSet, routes: &Routes) -> (Flow, Box<dyn FlowStrategy>) {
    let mut planner = flow_strategy(call, network);
    let request = PlanRequest { routes, ..PlanRequest::first(network, alive) };
    let flow = planner.plan(&request, &mut Meter::new(1_000_000)).expect("a flow");
    (flow, planner)
}

/// Returns the value of a node whose suppliers are chosen by `suppliers`, from the values of the suppliers.
fn value(
    node: NodeId,
    network: &Network,
    suppliers: &dyn Fn(NodeId, &Requirement) -> Vec<NodeId>,
    combine: &dyn Fn(NodeId, &[f64]) -> f64,
    delivered: &dyn Fn(NodeId, NodeId, f64) -> f64,
    known: &mut BTreeMap<NodeId, f64>,
) -> f64 {
    if let Some(&value) = known.get(&node) {
        return value;
    }
    let mut best = Vec::new();
    for required in network.requirements(node) {
        let values: Vec<f64> = suppliers(node, required)
            .into_iter()
            .map(|supplier| {
                delivered(supplier, node, value(supplier, network, suppliers, combine, delivered, known))
            })
            .collect();
        best.push(values.into_iter().fold(f64::INFINITY, f64::min));
    }
    let value = combine(node, &best);
    known.insert(node, value);
    value
}

/// Compares the best value of each final item with that of the planned flow. Returns the number of items for
/// which the distance decided.
fn check(
    (network, alive, routes): &(Network, NodeSet, Routes),
    call: &str,
    combine: &dyn Fn(NodeId, &[f64]) -> f64,
    delivered: &dyn Fn(NodeId, NodeId, f64) -> f64,
) -> usize {
    let producers = Feasibility::of(network, alive);
    let (flow, planner) = plan(call, network, alive, routes);
    let (unaware, _) = plan(call, network, alive, &Routes::DEFAULT);
    let planned = |flow: &Flow, node: NodeId, required: &Requirement| -> Vec<NodeId> {
        let suppliers = flow.suppliers(node).iter().filter(|edge| edge.item == required.item);
        suppliers.map(|edge| edge.producer).collect()
    };
    let mut decided = 0;
    for item in producers.finals(network).expect("a feasible final item") {
        let all = |_: NodeId, required: &Requirement| producers.of_item(required.item).to_vec();
        let of_all = |node: &NodeId| value(*node, network, &all, combine, delivered, &mut BTreeMap::new());
        let best = producers.of_item(item).iter().map(of_all).fold(f64::INFINITY, f64::min);
        let rating = |node: &NodeId| planner.rating(*node).expect("a rating").value;
        let rated = producers.of_item(item).iter().map(rating).fold(f64::INFINITY, f64::min);
        assert!((rated - best).abs() <= 1e-9 * best, "{call} rates {rated}, but {best} is possible");
        let value_in = |flow: &Flow| {
            let suppliers = |node: NodeId, required: &Requirement| planned(flow, node, required);
            let of_flow =
                |node: &NodeId| value(*node, network, &suppliers, combine, delivered, &mut BTreeMap::new());
            producers.of_item(item).iter().map(of_flow).fold(f64::INFINITY, f64::min)
        };
        let made = value_in(&flow);
        assert!((made - best).abs() <= 1e-9 * best, "{call} plans {made}, but {best} is possible");
        decided += usize::from(value_in(&unaware) > best * 1.001);
    }
    decided
}

#[test]
fn least_cost_counts_the_costs_of_routes() {
    let mut decided = 0;
    for case in cases(300) {
        let (network, _, routes) = &case;
        let combine = |node: NodeId, supplies: &[f64]| {
            let amounts = network.requirements(node).iter().map(|required| f64::from(required.quantity));
            let supplies: f64 = amounts.zip(supplies).map(|(amount, supply)| amount * (1.0 + supply)).sum();
            (f64::from(network.cost(node)) + supplies) / f64::from(network.yield_per_run(node))
        };
        let delivered = |from, to, value| value + f64::from(routes.cost(from, to));
        decided += check(&case, "least-cost", &combine, &delivered);
    }
    assert!(decided > 50, "{decided}");
}

#[test]
fn shortest_lead_time_counts_the_transit_of_each_route() {
    let mut decided = 0;
    let are_single = |network: &Network| {
        network.nodes().flat_map(|node| network.requirements(node)).all(|required| required.quantity == 1)
    };
    for case in cases(1_500).filter(|(network, ..)| are_single(network)) {
        let (network, _, routes) = &case;
        let combine = |node: NodeId, supplies: &[f64]| {
            supplies.iter().copied().fold(0.0, f64::max) + network.process_time(node).as_secs_f64()
        };
        let delivered = |from, to, value| value + routes.mean_transit(from, to).as_secs_f64();
        decided += check(&case, "shortest-lead-time", &combine, &delivered);
    }
    assert!(decided > 20, "{decided}");
}
