//! A search finds no violation, reaches full coverage, and is independent of the number of threads.

use dmos_core::strategy::{
    FlowDescriptor, FlowStrategy, Guarantee, Meter, NoFlow, PlanRequest, register_flow,
};
use dmos_core::{Flow, NodeId, Property};
use dmos_search::{Search, SearchSummary, Subject};

/// Every feasible producer supplies every live consumer: flows with several suppliers.
struct AllNodes;

impl FlowStrategy for AllNodes {
    fn plan(&mut self, request: &PlanRequest<'_>, meter: &mut Meter) -> Result<Flow, NoFlow> {
        let network = request.network;
        let producers = dmos_graph::Feasibility::of_request(request);
        meter.charge(producers.steps())?;
        producers.finals(network)?;
        let works = |node: NodeId| producers.contains(network, node);
        let edges = network.supply_edges().filter(|edge| {
            let has_link = producers.has_working_link(edge.producer, edge.consumer);
            has_link && works(edge.producer) && works(edge.consumer)
        });
        Ok(Flow::new(edges.collect()))
    }
}

register_flow!(FlowDescriptor {
    name: "all-nodes",
    summary: "in tests only: every possible supply edge",
    source: "none",
    notes: "finds a flow if one exists",
    guarantees: |_| &[Guarantee::FindsFlow],
    params: &[],
    build: |_| Box::new(AllNodes),
});

fn search(set: &[&str], seed: u64, runs: u64) -> SearchSummary {
    let registry = dmos_testkit::registry();
    let subject = Subject::Anything(dmos_testkit::overrides(set));
    let summary =
        Search { subject: &subject, seed, first: 0, registry: &registry }.run(runs, || true, |_| ());
    let summary = summary.unwrap_or_else(|error| panic!("{error}"));
    if let Some(found) = &summary.found {
        panic!("run {} of seed {seed}: {}\n{}", found.number, found.failure, found.file.to_yaml());
    }
    summary
}

#[test]
fn a_search_finds_no_violation_and_full_coverage() {
    let summary = search(&[], 11, 700);
    assert_eq!((summary.runs, summary.not_covered()), (700, Vec::<Property>::new()));
    let idle: Vec<_> = summary.faults.iter().filter(|(_, count)| count.1 == 0).collect();
    assert!(idle.is_empty(), "faults that never change anything: {idle:?}");
    assert_eq!(summary.faults.len(), dmos_core::FaultKind::ALL.len(), "every kind is injected");
}

#[test]
fn flows_with_several_suppliers_are_searched_as_well() {
    let summary = search(&["flow=all-nodes"], 12, 300);
    assert!(summary.coverage.contains_key(&Property::RequestRedirected));
}

#[test]
fn the_number_of_threads_does_not_matter() {
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a thread pool");
        pool.install(|| search(&[], 13, 60))
    };
    assert_eq!(on(1), on(3));
}
