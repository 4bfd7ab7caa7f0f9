//! Instruction counts of the hottest paths under valgrind, independent of the machine's load, each with a
//! limit.
//!
//! Requires valgrind and the runner of gungraun. A count above its limit is a regression, to be fixed or to
//! be explained in the change that raises the limit; a lower count is a reason to lower it.

#![expect(missing_docs, reason = "the benchmark macros generate undocumented public modules")]

use std::hint::black_box;

use dmos_benches::{protocol, seed_network, sparse_network};
use dmos_core::strategy::{Change, Meter, PlanRequest};
use dmos_core::{Flow, FlowStrategy, Network, NodeSet, Scenario};
use dmos_graph::paths::Paths;
use dmos_testkit::flow_strategy;
use gungraun::prelude::*;
use gungraun::{Callgrind, EventKind};

/// A planner with its request.
struct Task {
    network: Network,
    alive: NodeSet,
    planner: Box<dyn FlowStrategy>,
}

fn task(call: &str, network: Network) -> Task {
    Task { alive: NodeSet::all(network.node_count()), planner: flow_strategy(call, &network), network }
}

fn seed_task(call: &str) -> Task {
    task(call, seed_network(20))
}

fn sparse_task(call: &str) -> Task {
    task(call, sparse_network(200, 3))
}

/// Returns a planner with an active first plan.
fn planned(call: &str) -> (Task, Flow) {
    let mut task = sparse_task(call);
    let flow = first_plan(&mut task);
    (task, flow)
}

fn first_plan(task: &mut Task) -> Flow {
    let request = PlanRequest::first(&task.network, &task.alive);
    task.planner.plan(&request, &mut Meter::new(u64::MAX)).expect("a flow")
}

/// Returns a limit: the committed count, plus 3 % for another libc or processor.
fn at_most(instructions: u64) -> LibraryBenchmarkConfig {
    let limit = instructions + instructions * 3 / 100;
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(Callgrind::default().hard_limits([(EventKind::Ir, limit)]));
    config
}

#[library_benchmark]
#[bench::memoized(args = ("memoized"), setup = seed_task, config = at_most(52_900))]
#[bench::exhaustive(args = ("exhaustive"), setup = seed_task, config = at_most(11_650_000))]
#[bench::sticky(args = ("sticky"), setup = sparse_task, config = at_most(589_000))]
fn bootstrap(mut task: Task) -> (Flow, Task) {
    (black_box(first_plan(&mut task)), task)
}

#[library_benchmark]
#[bench::sticky(args = ("sticky"), setup = planned, config = at_most(36_500_000))]
fn repair((mut task, mut active): (Task, Flow)) -> (Flow, Task) {
    for node in active.assigned_nodes() {
        for change in [Change::Failed(node), Change::Rejoined(node)] {
            match change {
                Change::Failed(_) => task.alive.remove(node),
                _ => task.alive.insert(node),
            };
            let first = PlanRequest::first(&task.network, &task.alive);
            let request = PlanRequest { active: Some(&active), changes: &[change], ..first };
            if let Ok(change) = task.planner.replan(&request, &mut Meter::new(u64::MAX)) {
                active = active.changed(&change);
            }
        }
    }
    (active, task)
}

#[library_benchmark]
#[bench::seed_20(args = (20), setup = seed_network, config = at_most(12_500))]
fn count_paths(network: Network) -> Network {
    black_box(Paths::new(&network).count());
    network
}

#[library_benchmark]
#[bench::seed_15(args = (15), setup = seed_network, config = at_most(7_410_000))]
fn walk_paths(network: Network) -> Network {
    let paths = Paths::new(&network);
    let mut walk = paths.walk();
    while let Some(path) = walk.next() {
        black_box(path);
    }
    network
}

#[library_benchmark]
#[bench::sparse(config = at_most(2_113_000))]
fn build() -> Network {
    black_box(sparse_network(200, 3))
}

fn fault_free() -> Scenario {
    protocol(20, 2, 300, false)
}

fn faulty() -> Scenario {
    protocol(20, 2, 300, true)
}

fn small() -> Scenario {
    dmos_testkit::load("scenarios/seed/small-no-fail.yaml")
}

#[library_benchmark]
#[bench::fault_free(setup = fault_free, config = at_most(34_300_000))]
#[bench::faulty(setup = faulty, config = at_most(36_400_000))]
#[bench::small_no_fail(setup = small, config = at_most(29_800_000))]
fn run(scenario: Scenario) -> Scenario {
    black_box(dmos_sim::run(&scenario));
    scenario
}

library_benchmark_group!(name = planning, benchmarks = [bootstrap, repair]);
library_benchmark_group!(name = networks, benchmarks = [count_paths, walk_paths, build]);
library_benchmark_group!(name = runs, benchmarks = run);

main!(library_benchmark_groups = [planning, networks, runs]);
