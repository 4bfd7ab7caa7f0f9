//! Each planner against exhaustive search on small networks.

use dmos_conformance::networks::{layered, random_alive, random_broken_links, random_network, random_node};
use dmos_core::network::Names;
use dmos_core::strategy::{Change, FlowStrategy, Meter, PlanRequest};
use dmos_core::{
    Distribution, Flow, FlowChange, ItemId, Network, NodeId, NodeSet, Recipe, Requirement, Route, Routes,
    Share, Span, SupplyEdge,
};
use dmos_graph::Feasibility;
use dmos_testkit::{call, flow_strategy, registry};

const BUDGET: u64 = 1_000_000_000;

/// Result of planning: the flow, with the planner and the meter.
type Planned = Option<(Flow, Box<dyn FlowStrategy>, Meter)>;

/// Plans with instant transits.
fn plan(call: &str, network: &Network, alive: &NodeSet) -> Planned {
    plan_with_transits(call, network, alive, Span::ZERO)
}

/// Plans with a transit time.
fn plan_with_transits(call: &str, network: &Network, alive: &NodeSet, transit: Span) -> Planned {
    let (mut planner, mut meter) = (flow_strategy(call, network), Meter::new(BUDGET));
    let routes =
        Routes::uniform(Route::new(Distribution::Fixed(transit), Distribution::Fixed(Span::ZERO), 0));
    let request = PlanRequest { routes: &routes, ..PlanRequest::first(network, alive) };
    let flow = planner.plan(&request, &mut meter).ok()?;
    Some((flow, planner, meter))
}

/// Returns the stated bound.
fn sets_per_second(planner: &dyn FlowStrategy, network: &Network, alive: &NodeSet) -> f64 {
    planner.bound(&PlanRequest::first(network, alive)).expect("a bound").sets_per_second
}

/// Returns small feasible networks, each with a set of live nodes.
fn networks(count: u64) -> impl Iterator<Item = (Network, NodeSet)> {
    let networks = (0..count).map(|number| {
        let network = random_network(number);
        let alive = random_alive(&network, number);
        (network, alive)
    });
    networks.filter(|(network, alive)| Feasibility::of(network, alive).finals(network).is_ok())
}

/// Returns every choice of one producer for each feasible item.
fn choices(network: &Network, producers: &Feasibility) -> Vec<Vec<Option<NodeId>>> {
    let mut all = vec![vec![None; network.item_count()]];
    for item in network.items().filter(|&item| producers.can_make(item)) {
        let with = |choice: &Vec<Option<NodeId>>| {
            let with = |&producer: &NodeId| {
                let mut choice = choice.clone();
                choice[item.index()] = Some(producer);
                choice
            };
            producers.of_item(item).iter().map(with).collect::<Vec<_>>()
        };
        all = all.iter().flat_map(with).collect();
        if all.len() > 20_000 {
            return Vec::new();
        }
    }
    all
}

/// Returns the cost of a batch, if every production run and every batch moved is paid for.
fn tree_cost(network: &Network, choice: &[Option<NodeId>], item: ItemId) -> f64 {
    let node = choice[item.index()].expect("a feasible item");
    let supplies = network.requirements(node).iter();
    let supplies = supplies
        .map(|required| f64::from(required.quantity) * (1.0 + tree_cost(network, choice, required.item)));
    (f64::from(network.cost(node)) + supplies.sum::<f64>()) / f64::from(network.yield_per_run(node))
}

fn flow_of(network: &Network, choice: &[Option<NodeId>], finals: &[ItemId]) -> Flow {
    let producer = |item: ItemId| choice[item.index()].expect("a feasible item");
    Flow::upstream_of(network, finals.iter().map(|&item| producer(item)).collect(), |_, item| producer(item))
}

/// Returns the cost of a flow, if each node and each edge is paid for once. Producers without inputs have no
/// edge.
fn shared_cost(network: &Network, flow: &Flow, producers: &Feasibility, finals: &[ItemId]) -> u64 {
    let nodes: u64 = flow.assigned_nodes().iter().map(|&node| u64::from(network.cost(node))).sum();
    let alone =
        finals.iter().filter(|&&item| !producers.of_item(item).iter().any(|&node| flow.is_assigned(node)));
    let alone: u64 = alone
        .map(|&item| {
            let producers =
                producers.of_item(item).iter().filter(|&&node| network.requirements(node).is_empty());
            producers.map(|&node| u64::from(network.cost(node))).min().expect("a producer without inputs")
        })
        .sum();
    nodes + alone + flow.edges().len() as u64
}

#[test]
fn least_cost_is_the_least_of_all_trees() {
    let mut tried = 0;
    for (network, alive) in networks(400) {
        let producers = Feasibility::of(&network, &alive);
        let (flow, planner, _) = plan("least-cost", &network, &alive).expect("a flow");
        let choices = choices(&network, &producers);
        for &item in
            producers.finals(&network).expect("feasible final items").iter().filter(|_| !choices.is_empty())
        {
            let least =
                choices.iter().map(|choice| tree_cost(&network, choice, item)).fold(f64::INFINITY, f64::min);
            let producer =
                producers.of_item(item).iter().map(|&node| planner.rating(node).expect("a rating").value);
            let found = producer.fold(f64::INFINITY, f64::min);
            assert!((found - least).abs() <= 1e-9 * least, "{found} for {least}");
            tried += 1;
        }
        assert!(flow.edges().iter().all(|edge| planner.rating(edge.producer).is_some()));
    }
    assert!(tried > 200, "{tried}");
}

#[test]
fn least_cost_shared_is_the_least_of_all_plans_and_says_so() {
    let (mut best, mut cheaper_than_tree) = (0, 0);
    for (network, alive) in networks(400) {
        let producers = Feasibility::of(&network, &alive);
        let finals = producers.finals(&network).expect("feasible final items");
        let choices = choices(&network, &producers);
        let flows = choices.iter().map(|choice| flow_of(&network, choice, &finals));
        let Some(least) = flows.map(|flow| shared_cost(&network, &flow, &producers, &finals)).min() else {
            continue;
        };
        let (flow, _, meter) = plan("least-cost-shared", &network, &alive).expect("a flow");
        assert_eq!(meter.counter("is_optimal"), 1);
        assert_eq!(
            (shared_cost(&network, &flow, &producers, &finals), meter.counter("cost")),
            (least, least)
        );
        let (hasty, _, meter) = plan("least-cost-shared:effort=0", &network, &alive).expect("a flow");
        assert!(shared_cost(&network, &hasty, &producers, &finals) >= least);
        assert!(meter.counter("is_optimal") == 0 || meter.counter("cost") == least);
        best += 1;
        cheaper_than_tree += u64::from(meter.counter("initial_cost") > least);
    }
    assert!(best > 200 && cheaper_than_tree > 5, "{best} {cheaper_than_tree}");
}

#[test]
fn shortest_lead_time_is_the_shortest() {
    /// Returns the time at which a number of batches of an item are ready, and the time of the next
    /// production run, in seconds; `choice` names the producers.
    fn ready(
        network: &Network,
        choice: &dyn Fn(ItemId, u32) -> NodeId,
        item: ItemId,
        batches: u32,
    ) -> (f64, f64) {
        let node = choice(item, batches);
        let making = network.process_time(node).as_secs_f64();
        let (mut supplied, mut interval) = (0.0_f64, making);
        for required in network.requirements(node) {
            let (last, next) = ready(network, choice, required.item, required.quantity);
            let yields = network.yield_per_run(choice(required.item, required.quantity));
            supplied = supplied.max(last + 1.0);
            interval = interval.max(f64::from(required.quantity) * next / f64::from(yields));
        }
        let production_runs = f64::from(batches.div_ceil(network.yield_per_run(node)));
        (supplied + making + (production_runs - 1.0) * interval, interval)
    }
    let mut tried = 0;
    for (network, alive) in networks(300) {
        let producers = Feasibility::of(&network, &alive);
        let (flow, planner, _) =
            plan_with_transits("shortest-lead-time", &network, &alive, Span::from_secs(1)).expect("a flow");
        let planned = |item: ItemId, batches: u32| {
            let consumers = flow.edges().iter().filter(|edge| edge.item == item);
            let by_amount = consumers.filter(|edge| {
                let required =
                    network.requirements(edge.consumer).iter().find(|required| required.item == item);
                required.is_some_and(|required| required.quantity == batches)
            });
            by_amount.map(|edge| edge.producer).next()
        };
        for item in producers.finals(&network).expect("feasible final items") {
            let rated =
                producers.of_item(item).iter().map(|&node| planner.rating(node).expect("a rating").value);
            let shortest = rated.fold(f64::INFINITY, f64::min);
            // With single batches no choice is better.
            let nodes = network.nodes().flat_map(|node| network.requirements(node));
            let are_single = nodes.into_iter().all(|required| required.quantity == 1);
            for choice in choices(&network, &producers).iter().take(2_000).filter(|_| are_single) {
                let by_item = |item: ItemId, _| choice[item.index()].expect("a feasible item");
                let (other, _) = ready(&network, &by_item, item, 1);
                assert!(shortest <= other + 1e-9, "{shortest}, but {other} is possible");
                tried += 1;
            }
            // The remark agrees with the plan.
            if network.final_items().len() == 1 {
                let rating = |node: &NodeId| planner.rating(*node).expect("a rating").value;
                let end = producers.of_item(item).iter().copied().find(|node| rating(node) == shortest);
                let by_plan = |of: ItemId, batches: u32| {
                    let end = end.filter(|_| of == item);
                    end.or_else(|| planned(of, batches)).expect("required items have a producer")
                };
                assert!((ready(&network, &by_plan, item, 1).0 - shortest).abs() < 1e-9);
            }
        }
    }
    assert!(tried > 1_000, "{tried}");
}

/// Returns by node its load relative to capacity, if the slowest final item is made at full speed and the others at
/// the same rate.
fn loads(network: &Network, producers: &Feasibility, flow: &Flow) -> Vec<f64> {
    let capacity =
        |node: NodeId| f64::from(network.yield_per_run(node)) / network.process_time(node).as_secs_f64();
    let mut made = vec![0.0; network.node_count()];
    let of_item = |&item: &ItemId| producers.of_item(item).iter().map(|&node| capacity(node)).sum::<f64>();
    let finals = network.final_items().iter().map(of_item).filter(|&sets| sets > 0.0);
    let sets = finals.fold(f64::INFINITY, f64::min);
    for &item in network.topological_order().iter().rev() {
        for &node in producers.of_item(item) {
            if network.is_final(node) {
                made[node.index()] += capacity(node) * sets / of_item(&item);
            }
            for required in network.requirements(node) {
                let part = flow.assignment(node);
                for supply in part.suppliers_of(required.item) {
                    let share = f64::from(supply.share.millionths()) / 1e6;
                    let production_runs = made[node.index()] / f64::from(network.yield_per_run(node));
                    made[supply.producer.index()] += share * production_runs * f64::from(required.quantity);
                }
            }
        }
    }
    network.nodes().map(|node| made[node.index()] / capacity(node)).collect()
}

#[test]
fn balanced_loads_are_even() {
    // Equal demands: as balanced as integers allow.
    for producers in 1..9 {
        let network = layered(6, producers, 3);
        let (flow, ..) =
            plan("balanced:max_suppliers=1", &network, &NodeSet::all(6 * producers)).expect("a flow");
        let loads = loads(&network, &Feasibility::of(&network, &NodeSet::all(6 * producers)), &flow);
        for item in network.items() {
            let of_item = network.producers(item).iter().map(|node| loads[node.index()]);
            let (least, most) =
                of_item.fold((f64::INFINITY, 0.0_f64), |(a, b), load| (a.min(load), b.max(load)));
            assert!(most - least <= 1.0, "{least} to {most}");
        }
    }
    // With shares: exactly balanced over the suppliers used, and few suppliers each.
    for (network, alive) in networks(300) {
        for most in [2, 3] {
            let call = format!("balanced:max_suppliers={most}");
            let (flow, ..) = plan(&call, &network, &alive).expect("a flow");
            let loads = loads(&network, &Feasibility::of(&network, &alive), &flow);
            // All producers of final items are used, even if other nodes need them.
            for item in network.items().filter(|item| !network.final_items().contains(item)) {
                let of_item =
                    network.producers(item).iter().map(|node| loads[node.index()]).filter(|&load| load > 0.0);
                let (least, largest) =
                    of_item.fold((f64::INFINITY, 0.0_f64), |(a, b), load| (a.min(load), b.max(load)));
                assert!(largest == 0.0 || largest - least <= 1e-4 * largest, "{least} to {largest}");
            }
            let edges = flow.edges().chunk_by(|a, b| (a.consumer, a.item) == (b.consumer, b.item));
            assert!(edges.into_iter().all(|suppliers| suppliers.len() <= most));
        }
    }
}

/// Checks the rates that follow from shares against every node's capacity.
fn check_rates(network: &Network, flow: &Flow, planner: &dyn FlowStrategy) {
    let made = |node: NodeId| {
        let capacity = f64::from(network.yield_per_run(node)) / network.process_time(node).as_secs_f64();
        let used = planner.rating(node).map_or(0.0, |rating| rating.value);
        assert!((0.0..=1.0 + 1e-9).contains(&used), "node {node} uses {used} of its capacity");
        capacity * used
    };
    let mut taken = vec![0.0; network.node_count()];
    for (edge, share) in flow.supplies() {
        let required = network.requirements(edge.consumer).iter().find(|required| required.item == edge.item);
        let per_batch = f64::from(required.expect("a requirement of the consumer").quantity)
            / f64::from(network.yield_per_run(edge.consumer));
        taken[edge.producer.index()] += f64::from(share.millionths()) / 1e6 * made(edge.consumer) * per_batch;
    }
    for node in network.nodes().filter(|&node| taken[node.index()] > 0.0) {
        let (made, taken) = (made(node), taken[node.index()]);
        assert!(taken <= made * (1.0 + 1e-4) + 1e-9, "of node {node} {taken} is taken, and {made} made");
    }
}

#[test]
fn max_throughput_is_feasible_and_optimal() {
    let mut dice = 1_u64;
    let mut with_choices = 0;
    for (network, alive) in networks(400) {
        let producers = Feasibility::of(&network, &alive);
        let finals = producers.finals(&network).expect("feasible final items");
        let (flow, planner, meter) = plan("max-throughput", &network, &alive).expect("a flow");
        check_rates(&network, &flow, &*planner);
        assert_eq!(meter.counter("is_optimal"), 1, "{:?}", meter.remarks());
        let rate_of = |node: NodeId| {
            let capacity = f64::from(network.yield_per_run(node)) / network.process_time(node).as_secs_f64();
            capacity * planner.rating(node).map_or(0.0, |rating| rating.value)
        };
        // Production of each final item beyond what others consume.
        let mut rate = f64::INFINITY;
        for &item in &finals {
            let made: f64 = producers.of_item(item).iter().map(|&node| rate_of(node)).sum();
            let taken =
                network.nodes().flat_map(|node| network.requirements(node).iter().map(move |r| (node, r)));
            let taken = taken.filter(|(_, required)| required.item == item).map(|(node, required)| {
                rate_of(node) * f64::from(required.quantity) / f64::from(network.yield_per_run(node))
            });
            rate = rate.min(made - taken.sum::<f64>());
        }
        // No other mix of producers has a higher rate.
        for _ in 0..60 {
            let mut parts = vec![0.0; network.node_count()];
            for item in network.items().filter(|&item| producers.can_make(item)) {
                let of_item = producers.of_item(item);
                for &node in of_item {
                    dice =
                        dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    parts[node.index()] = ((dice >> 33) % 8) as f64 + 1e-9;
                }
                let total: f64 = of_item.iter().map(|node| parts[node.index()]).sum();
                of_item.iter().for_each(|node| parts[node.index()] /= total);
            }
            let mut demand = vec![0.0; network.item_count()];
            finals.iter().for_each(|item| demand[item.index()] += 1.0);
            let mut other = f64::INFINITY;
            for &item in network.topological_order().iter().rev() {
                for &node in producers.of_item(item) {
                    let made = demand[item.index()] * parts[node.index()];
                    let capacity =
                        f64::from(network.yield_per_run(node)) / network.process_time(node).as_secs_f64();
                    if made > 0.0 {
                        other = other.min(capacity / made);
                    }
                    for required in network.requirements(node) {
                        let per_batch = f64::from(required.quantity) / f64::from(network.yield_per_run(node));
                        demand[required.item.index()] += made * per_batch;
                    }
                }
            }
            assert!(other <= rate * (1.0 + 1e-6), "{other} is better than {rate}");
        }
        let stated = sets_per_second(&*planner, &network, &alive);
        match finals.len() == network.final_items().len() {
            true => assert!((stated - rate).abs() <= 1e-6 * rate, "{stated} stated, {rate} planned"),
            false => assert_eq!(stated, 0.0),
        }
        with_choices += u64::from(rate.is_finite());
    }
    assert!(with_choices > 200);
}

#[test]
fn max_throughput_holds_beyond_the_range_of_floats() {
    // Each item requires one of each item before it: the need per finished good doubles with every item.
    let network = layered(1_500, 2, 1_500);
    let (_, _, meter) = plan("max-throughput", &network, &NodeSet::all(3_000)).expect("a flow");
    assert_eq!(meter.counter("is_optimal"), 1);
    let network = layered(40, 2, 40);
    let (_, planner, _) = plan("max-throughput", &network, &NodeSet::all(80)).expect("a flow");
    // Two producers of the first item make two batches per second; a finished good takes 2^38.
    let used = planner.rating(NodeId::new(79)).expect("a rating").value;
    assert!((used * 2.0_f64.powi(38) - 1.0).abs() < 1e-12, "{used}");
    let bound = sets_per_second(&*planner, &network, &NodeSet::all(80));
    assert!((bound * 2.0_f64.powi(37) - 1.0).abs() < 1e-12, "{bound}");
}

/// A node's item, yield, inputs with quantities, and process time in seconds.
type Row = (usize, u32, &'static [(usize, u32)], u64);

/// Returns a network of such nodes; the first item is final.
fn recipes(items: usize, nodes: &[Row]) -> Network {
    let recipe = |&(makes, quantity, requires, seconds): &Row| {
        let required = |&(item, quantity): &(usize, u32)| Requirement { item: ItemId::new(item), quantity };
        let requires = requires.iter().map(required).collect();
        let process_time = Span::from_secs(seconds);
        Recipe { quantity, requires, process_time, ..Recipe::of(ItemId::new(makes), []) }
    };
    let (items, nodes, all) = (Names::Numbers(items), Names::Numbers(nodes.len()), nodes.iter().map(recipe));
    Network::new(items, nodes, all, vec![ItemId::new(0)]).expect("an acyclic network")
}

#[test]
fn max_throughput_names_the_bottleneck() {
    // Parts can be made from one piece of ore or from three; the single producer of ore is the bottleneck.
    let rows: [Row; 4] = [(0, 1, &[(1, 4)], 1), (1, 1, &[(2, 1)], 1), (1, 1, &[(2, 3)], 1), (2, 1, &[], 1)];
    let network = recipes(3, &rows);
    let (flow, planner, meter) = plan("max-throughput", &network, &NodeSet::all(4)).expect("a flow");
    assert!(meter.remarks().is_empty());
    let bound = planner.bound(&PlanRequest::first(&network, &NodeSet::all(4))).expect("a bound");
    assert_eq!((bound.sets_per_second, bound.bottleneck), (0.25, vec![NodeId::new(3)]));
    assert!(!flow.is_assigned(NodeId::new(2)), "the wasteful node is not assigned");
    // Transits cost no capacity.
    let second = Span::from_secs(1);
    let (_, planner, _) =
        plan_with_transits("max-throughput", &network, &NodeSet::all(4), second).expect("a flow");
    assert_eq!(sets_per_second(&*planner, &network, &NodeSet::all(4)), 0.25);
}

#[test]
fn max_throughput_ignores_much_worse_alternatives() {
    // The second variant makes 10^-12 of the first.
    for seconds in [1, 1_000, 1_000_000] {
        let bad: [Row; 4] =
            [(0, 1_000, &[], 1), (0, 1, &[(1, 1_000)], 1), (1, 1, &[(2, 1_000)], 1), (2, 1, &[], seconds)];
        let network = recipes(3, &bad);
        let (_, planner, meter) = plan("max-throughput", &network, &NodeSet::all(4)).expect("a flow");
        assert_eq!(
            (meter.counter("is_optimal"), planner.rating(NodeId::new(0)).expect("a rating").value),
            (1, 1.0)
        );
        let bound = sets_per_second(&*planner, &network, &NodeSet::all(4));
        assert!((bound - 1_000.0).abs() < 1e-5, "{bound}");
    }
    // A long process time.
    let slow = recipes(2, &[(0, 1, &[(1, 1)], 400_000), (1, 1, &[], 1)]);
    let (_, planner, _) = plan("max-throughput", &slow, &NodeSet::all(2)).expect("a flow");
    let bound = sets_per_second(&*planner, &slow, &NodeSet::all(2));
    assert!((bound * 3_600.0 - 0.009).abs() < 1e-9, "{bound}");
}

#[test]
fn a_standby_replaces_any_single_failed_node() {
    for (network, alive) in networks(300) {
        let producers = Feasibility::of(&network, &alive);
        let (flow, ..) = plan("backup", &network, &alive).expect("a flow");
        for failed in flow.assigned_nodes() {
            if producers.of_item(network.makes(failed)).len() < 2 {
                continue;
            }
            // Every other node still has a supplier that is alive and supplied.
            let mut is_supplied = vec![true; network.node_count()];
            is_supplied[failed.index()] = false;
            for &item in network.topological_order() {
                for &node in network.producers(item).iter().filter(|&&node| node != failed) {
                    let suppliers = flow.suppliers(node);
                    let mut items = suppliers.chunk_by(|a, b| a.item == b.item);
                    is_supplied[node.index()] =
                        items.all(|of_item| of_item.iter().any(|edge| is_supplied[edge.producer.index()]));
                }
            }
            let left = flow.assigned_nodes().into_iter().filter(|&node| node != failed);
            assert!(left.into_iter().all(|node| is_supplied[node.index()]), "after the failure of {failed}");
        }
        let standbys = flow.supplies().filter(|(_, share)| *share == Share::STANDBY).count();
        let lone = flow.supplies().filter(|(edge, _)| producers.of_item(edge.item).len() == 1).count();
        assert_eq!(flow.edges().len(), 2 * standbys + lone);
    }
}

/// Plans after each of several failures and returns, with the change each time.
fn through_changes(
    call: &str,
    network: &Network,
    number: u64,
    mut look: impl FnMut(&NodeSet, &NodeSet, &Flow, &Flow, &FlowChange),
) {
    let mut planner = flow_strategy(call, network);
    let mut alive = NodeSet::all(network.node_count());
    let plan = planner.plan(&PlanRequest::first(network, &alive), &mut Meter::new(BUDGET));
    let mut flow = plan.expect("with all alive there is a flow");
    for step in 0..40 {
        let node = random_node(network, number * 100 + step);
        let before = alive.clone();
        let change = if alive.remove(node) {
            Change::Failed(node)
        } else {
            alive.insert(node);
            Change::Rejoined(node)
        };
        let request =
            PlanRequest { active: Some(&flow), changes: &[change], ..PlanRequest::first(network, &alive) };
        let next = match planner.replan(&request, &mut Meter::new(BUDGET)) {
            Ok(change) => {
                let next = flow.changed(&change);
                look(&before, &alive, &flow, &next, &change);
                next
            }
            Err(_) => Flow::default(),
        };
        flow = next;
    }
}

#[test]
fn sticky_moves_only_what_a_change_touches() {
    let mut disruptive_changes = 0;
    for number in 0..200 {
        let network = random_network(number);
        through_changes("sticky", &network, number, |before, alive, flow, _, change| {
            let (old, new) = (Feasibility::of(&network, before), Feasibility::of(&network, alive));
            let became_infeasible =
                |node: NodeId| old.contains(&network, node) && !new.contains(&network, node);
            let touches_infeasible =
                |edge: &SupplyEdge| became_infeasible(edge.consumer) || became_infeasible(edge.producer);
            assert!(change.removed.iter().all(touches_infeasible), "{change:?}");
            // Only nodes that lost a supplier get another one, or nodes that were idle before.
            for (edge, _) in &change.added {
                let lost = |old: &SupplyEdge| (old.consumer, old.item) == (edge.consumer, edge.item);
                assert!(change.removed.iter().any(lost) || flow.suppliers(edge.consumer).is_empty());
            }
            disruptive_changes += u64::from(!change.removed.is_empty());
            if before.len() < alive.len() && network.final_items().iter().all(|&item| old.can_make(item)) {
                assert_eq!(*change, FlowChange::default(), "a rejoin that no item needs changes nothing");
            }
        });
    }
    assert!(disruptive_changes > 500, "{disruptive_changes}");
}

#[test]
fn sticky_takes_time_proportional_to_the_change() {
    let steps = |items, producers| {
        let network = layered(items, producers, 2);
        let mut alive = NodeSet::all(network.node_count());
        let (flow, mut planner, _) = plan("sticky", &network, &alive).expect("a flow");
        let failed = flow.edges()[flow.edges().len() / 2].producer;
        alive.remove(failed);
        let mut meter = Meter::new(BUDGET);
        let request = PlanRequest {
            active: Some(&flow),
            changes: &[Change::Failed(failed)],
            ..PlanRequest::first(&network, &alive)
        };
        let change = planner.replan(&request, &mut meter).expect("there is another producer");
        assert_eq!((change.removed.len(), change.added.len()), (4, 4));
        meter.steps()
    };
    assert_eq!(steps(10, 3), steps(500, 100));
}

#[test]
fn anchored_moves_only_consumers_of_failed_nodes_and_restores_the_plan() {
    for number in 0..200 {
        let network = random_network(number);
        through_changes("anchored", &network, number, |before, alive, flow, next, change| {
            let (old, new) = (Feasibility::of(&network, before), Feasibility::of(&network, alive));
            let works = |flow: &Flow, node| !flow.suppliers(node).is_empty();
            for edge in &change.removed {
                let is_hit = !new.contains(&network, edge.producer);
                let came_back = new.of_item(edge.item).iter().any(|&node| !old.contains(&network, node));
                assert!(is_hit || came_back || !works(next, edge.consumer), "{edge:?}");
            }
            let (plain, ..) = plan("anchored", &network, alive).expect("a flow");
            assert_eq!(&plain, next, "the plan depends on the live nodes alone");
            assert!(flow.edges().len() + change.added.len() >= next.edges().len());
        });
    }
}

#[test]
fn random_chooses_producers_uniformly() {
    let network = layered(2, 5, 1);
    let alive = NodeSet::all(10);
    let mut counts = [0_u32; 5];
    for seed in 0..5_000 {
        let mut planner = flow_strategy("random", &network);
        let request = PlanRequest { seed, ..PlanRequest::first(&network, &alive) };
        let flow = planner.plan(&request, &mut Meter::new(BUDGET)).expect("a flow");
        counts[flow.edges()[0].producer.index()] += 1;
    }
    // 1,000 each, with a standard deviation of 28.
    assert!(counts.iter().all(|count| (870..=1_130).contains(count)), "{counts:?}");
}

/// Returns the cost of a batch of the node, by exhaustive recursion over the links that work.
fn tree_cost_over_links(request: &PlanRequest<'_>, node: NodeId) -> Option<f64> {
    let network = request.network;
    let mut cost = f64::from(network.cost(node));
    for required in network.requirements(node) {
        let usable =
            network.producers(required.item).iter().filter(|&&producer| request.is_usable(producer, node));
        let least =
            usable.filter_map(|&producer| tree_cost_over_links(request, producer)).reduce(f64::min)?;
        cost += f64::from(required.quantity) * (1.0 + least);
    }
    Some(cost / f64::from(network.yield_per_run(node)))
}

#[test]
fn around_broken_links_least_cost_is_still_the_least_and_memoized_the_prototypes_flow() {
    let (mut tried, mut changed) = (0, 0);
    for (number, (network, alive)) in (0..).zip(networks(400)) {
        let broken_links = random_broken_links(&network, number);
        let request = PlanRequest { broken_links: &broken_links, ..PlanRequest::first(&network, &alive) };
        let plan_over = |name: &str| {
            let mut planner = flow_strategy(name, &network);
            let flow = planner.plan(&request, &mut Meter::new(BUDGET));
            (flow, planner)
        };
        let (flow, planner) = plan_over("least-cost");
        for node in alive.iter() {
            let rated = planner.rating(node).map(|rating| rating.value).filter(|_| flow.is_ok());
            let least = tree_cost_over_links(&request, node).filter(|_| flow.is_ok());
            let is_equal = |a: f64, b: f64| (a - b).abs() <= 1e-9 * b;
            assert!(
                rated.zip(least).map_or(rated == least, |(a, b)| is_equal(a, b)),
                "{rated:?} for {least:?}"
            );
            tried += u64::from(rated.is_some());
        }
        let memoized = plan_over("memoized").0;
        assert_eq!(memoized, plan_over("exhaustive").0);
        changed += u64::from(memoized.ok() != plan("memoized", &network, &alive).map(|plan| plan.0));
    }
    assert!(tried > 1_000 && changed > 50, "{tried}, {changed}");
}

#[test]
fn every_planner_finds_a_flow_around_any_broken_links() {
    let names = [
        "anchored",
        "backup",
        "balanced",
        "balanced:max_suppliers=1",
        "exhaustive:substitute_ends=false",
        "least-cost",
        "least-cost-shared",
        "max-throughput",
        "memoized:substitute_ends=false",
        "random",
        "shortest-lead-time",
        "sticky",
    ];
    for (number, (network, alive)) in (0..).zip(networks(1_500)) {
        let broken_links = random_broken_links(&network, number);
        let request = PlanRequest { broken_links: &broken_links, ..PlanRequest::first(&network, &alive) };
        for name in names {
            let choice = registry().flow(&call(name), &network).expect("a registered strategy");
            let mut meter = Meter::new(BUDGET);
            let answer = choice.build().plan(&request, &mut meter);
            let judged = dmos_conformance::flow::judge(&choice, &request, &answer, &meter);
            assert_eq!(judged, Ok(()), "{name} on network {number}");
        }
    }
}
