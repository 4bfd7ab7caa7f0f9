//! A random flow: the baseline of comparisons.
//!
//! Each requirement of each assigned node gets one of the feasible producers of its item, uniformly at
//! random. The random numbers come from the run's seed and a parameter: the same set of live nodes yields the
//! same plan, and a plan after a failure has little in common with the one before.

use dmos_core::strategy::{
    FlowDescriptor, FlowStrategy, Guarantee, Meter, NoFlow, ParamKind, ParamSpec, Params, PlanRequest,
    register_flow,
};
use dmos_core::{Flow, NodeId};
use dmos_graph::Feasibility;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

register_flow!(FlowDescriptor {
    name: "random",
    summary: "uniform random choice of a producer for each requirement: the baseline",
    source: "none",
    notes: "finds a flow if one exists; linear in the recipes' entries",
    guarantees: |_| &[Guarantee::FindsFlow, Guarantee::LinearTime],
    params: &[ParamSpec {
        name: "seed",
        summary: "seed of the choices, combined with the run's seed",
        kind: ParamKind::Integer { min: 0, max: u64::MAX, default: 1 },
    }],
    build: |params: &Params| Box::new(Random { seed: params.integer("seed") }),
});

struct Random {
    seed: u64,
}

impl FlowStrategy for Random {
    fn plan(&mut self, request: &PlanRequest<'_>, meter: &mut Meter) -> Result<Flow, NoFlow> {
        let network = request.network;
        let producers = Feasibility::of_request(request);
        meter.charge(producers.steps())?;
        let mut key = [0; 32];
        key[..8].copy_from_slice(&request.seed.to_le_bytes());
        key[8..16].copy_from_slice(&self.seed.to_le_bytes());
        let mut dice = ChaCha8Rng::from_seed(key);
        let mut any = |producers: &[NodeId]| producers[dice.random_range(0..producers.len() as u64) as usize];
        let ends = producers.finals(network)?.into_iter().map(|item| any(producers.of_item(item))).collect();
        let flow =
            Flow::upstream_of(network, ends, |consumer, item| any(&producers.suppliers(consumer, item)));
        meter.charge(flow.edges().len() as u64)?;
        Ok(flow)
    }
}
