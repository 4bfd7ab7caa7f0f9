//! Networks: generation, construction from a description, reading from a file, and feasibility. Throughput is
//! given in nodes per second.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dmos_benches::sparse_network;
use dmos_core::{Network, NodeSet};
use dmos_graph::{Feasibility, NetworkDescription, NodeDescription};

fn networks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("network");
    group.sample_size(10);
    for (items, per_item) in [(20, 2), (2_000, 3), (10_000, 100)] {
        let network = sparse_network(items, per_item);
        let size = format!("{items}x{per_item}");
        group.throughput(Throughput::Elements(network.node_count() as u64));
        group.bench_function(BenchmarkId::new("generate", &size), |bencher| {
            bencher.iter(|| sparse_network(black_box(items), per_item));
        });
        let description = describe(&network);
        group.bench_function(BenchmarkId::new("build", &size), |bencher| {
            bencher.iter(|| black_box(&description).build());
        });
        let all = NodeSet::all(network.node_count());
        group.bench_function(BenchmarkId::new("producers", &size), |bencher| {
            bencher.iter(|| Feasibility::of(black_box(&network), &all));
        });
        let text = file(&network);
        if text.len() < dmos_scenario::SIZE_MAX {
            let registry = dmos_testkit::registry();
            group.bench_function(BenchmarkId::new("parse", &size), |bencher| {
                bencher.iter(|| {
                    dmos_scenario::parse("x", "x", text.clone(), &[], &registry).expect("a valid scenario")
                });
            });
        }
    }
    group.finish();
}

/// Returns groups of identical nodes, one for each item.
fn describe(network: &Network) -> NetworkDescription {
    let groups = network.items().filter_map(|item| {
        let (&first, count) = (network.producers(item).first()?, network.producers(item).len());
        Some(NodeDescription {
            name: format!("n{item}"),
            count: count as u32,
            makes: network.item_name(item).into_owned(),
            quantity: 1,
            needs: network
                .requirements(first)
                .iter()
                .map(|required| (network.item_name(required.item).into_owned(), required.quantity))
                .collect(),
            cost: 1,
        })
    });
    NetworkDescription { nodes: groups.collect(), final_items: Vec::new() }
}

fn file(network: &Network) -> String {
    let group = |node: &NodeDescription| {
        let needs: Vec<_> = node.needs.iter().map(|(item, count)| format!("i{item}: {count}")).collect();
        let (name, makes, count) = (&node.name, &node.makes, node.count);
        format!("    - {{name: {name}, makes: i{makes}, needs: {{{}}}, count: {count}}}\n", needs.join(", "))
    };
    let nodes: String = describe(network).nodes.iter().map(group).collect();
    format!("duration: 1min\ncandidates: 1\nnetwork:\n  nodes:\n{nodes}")
}

criterion_group!(benches, networks);
criterion_main!(benches);
