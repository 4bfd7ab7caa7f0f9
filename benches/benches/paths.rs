//! All paths from sources to final nodes: counting, sampling, numbering and enumeration; and petgraph's
//! search.
//!
//! The throughput of enumeration is given in paths per second. `petgraph` searches the same network, from
//! each final node back to each source, and finds the same paths (a property test of `dmos-graph` compares
//! them).

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dmos_benches::seed_network;
use dmos_core::Network;
use dmos_graph::paths::Paths;
use num_bigint::BigUint;
use petgraph::algo::all_simple_paths;
use petgraph::graph::{DiGraph, NodeIndex};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

fn paths(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("paths");
    for types in [12, 15, 20] {
        let network = seed_network(types);
        let paths = Paths::new(&network);
        let count = u64::try_from(paths.count()).expect("a small count");
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::new("count", types), |bencher| {
            bencher.iter(|| Paths::new(black_box(&network)).count());
        });
        group.sample_size(10);
        group.bench_function(BenchmarkId::new("walk", types), |bencher| {
            bencher.iter(|| {
                let (mut walk, mut nodes) = (paths.walk(), 0_u64);
                while let Some(path) = walk.next() {
                    nodes += path.len() as u64;
                }
                nodes
            });
        });
        group.bench_function(BenchmarkId::new("petgraph", types), |bencher| {
            let (graph, sources, finals) = graph(&network);
            bencher.iter(|| {
                let mut nodes = 0_u64;
                for (&last, &source) in
                    finals.iter().flat_map(|last| sources.iter().map(move |source| (last, source)))
                {
                    let found = all_simple_paths::<Vec<NodeIndex>, _, std::hash::RandomState>(
                        &graph, last, source, 0, None,
                    );
                    nodes += found.map(|path| path.len() as u64).sum::<u64>();
                }
                nodes
            });
        });
        group.sample_size(100).throughput(Throughput::Elements(1));
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut path = Vec::new();
        group.bench_function(BenchmarkId::new("sample", types), |bencher| {
            bencher.iter(|| paths.sample(&mut random, black_box(&mut path)));
        });
        let middle = BigUint::from(count / 2);
        group.bench_function(BenchmarkId::new("unrank", types), |bencher| {
            bencher.iter(|| paths.unrank(black_box(&middle)));
        });
        group.bench_function(BenchmarkId::new("ten shortest", types), |bencher| {
            bencher.iter(|| paths.shortest(10, |node| network.process_time(node).as_nanos()));
        });
    }
    group.finish();
}

/// Returns the possible supply edges from consumers to producers, the sources, and the final nodes.
fn graph(network: &Network) -> (DiGraph<(), ()>, Vec<NodeIndex>, Vec<NodeIndex>) {
    let mut graph = DiGraph::new();
    let nodes: Vec<_> = network.nodes().map(|_| graph.add_node(())).collect();
    for edge in network.supply_edges() {
        graph.add_edge(nodes[edge.consumer.index()], nodes[edge.producer.index()], ());
    }
    let sources = network.nodes().filter(|&node| network.requirements(node).is_empty());
    let sources = sources.map(|node| nodes[node.index()]).collect();
    let finals =
        network.nodes().filter(|&node| network.is_final(node)).map(|node| nodes[node.index()]).collect();
    (graph, sources, finals)
}

criterion_group!(benches, paths);
criterion_main!(benches);
