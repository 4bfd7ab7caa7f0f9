//! Replanning: each assigned node fails and returns in turn. The time is that of a failure and a return
//! together.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use dmos_benches::{planners, sparse_network};
use dmos_core::strategy::{Change, Meter, PlanRequest};
use dmos_core::{Network, NodeSet};
use dmos_testkit::flow_strategy;

fn repairs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("repair");
    group.sample_size(10);
    for (items, per_item) in [(20, 2), (200, 3), (2_000, 3)] {
        let network = sparse_network(items, per_item);
        for name in planners() {
            // The prototype's search plans from scratch, and takes as long as the first time.
            if name != "exhaustive" {
                let id = BenchmarkId::new(&name, format!("{items}x{per_item}"));
                group.bench_function(id, |bencher| measure(bencher, &name, &network));
            }
        }
    }
    group.finish();
}

fn measure(bencher: &mut criterion::Bencher<'_>, name: &str, network: &Network) {
    let mut alive = NodeSet::all(network.node_count());
    let mut planner = flow_strategy(name, network);
    let mut active =
        planner.plan(&PlanRequest::first(network, &alive), &mut Meter::new(u64::MAX)).expect("a flow");
    let working = active.assigned_nodes();
    let mut turns = working.iter().cycle();
    bencher.iter(|| {
        let &node = turns.next().expect("a node is assigned");
        for change in [Change::Failed(node), Change::Rejoined(node)] {
            match change {
                Change::Failed(_) => alive.remove(node),
                _ => alive.insert(node),
            };
            let first = PlanRequest::first(network, &alive);
            let request = PlanRequest { active: Some(&active), changes: &[change], ..first };
            // Without a new flow the active one remains, for example when the only source has failed.
            if let Ok(change) = planner.replan(&request, &mut Meter::new(u64::MAX)) {
                active = active.changed(&change);
            }
        }
    });
}

criterion_group!(benches, repairs);
criterion_main!(benches);
