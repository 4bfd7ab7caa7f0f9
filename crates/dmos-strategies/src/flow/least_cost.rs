//! The least-cost plan, where every use of a node is paid for.
//!
//! A production run costs what the network says of its node, and moving a batch costs what its route and a
//! parameter say.
//! The cost of a batch is that of its production run plus that of all inputs, by their cheapest producers,
//! divided by the yield: a plan is an unfolded tree, and every use is paid for. Such costs are superior
//! functions; their minimum over an AND/OR graph is computed by D. E. Knuth, "A generalization of Dijkstra's
//! algorithm", Information Processing Letters 6(1), 1977; for hyperpaths by G. Gallo, G. Longo, S. Pallottino
//! and S. Nguyen, "Directed hypergraphs and applications", Discrete Applied Mathematics 42, 1993.
//!
//! Unfolded, a plan of some hundred items costs more than a float can represent, so costs are compared with
//! 53 significant bits and an unbounded exponent. A plan that shares its nodes can cost far less: see
//! [`least_cost_shared`](super::least_cost_shared).

use dmos_core::strategy::{
    FlowDescriptor, FlowStrategy, Guarantee, Meter, NoFlow, ParamKind, ParamSpec, Params, PlanRequest,
    Rating, register_flow,
};
use dmos_core::{Flow, NodeId, Route};

use super::sweep::Best;
use super::wide::Wide;

/// The cost parameter of both least-cost strategies.
pub(crate) const EDGE_COST: ParamSpec = ParamSpec {
    name: "edge_cost",
    summary: "cost of a supply edge, or of moving one batch over it beyond the cost of the route; node costs come from the network",
    kind: ParamKind::Integer { min: 0, max: 1_000_000_000, default: 1 },
};

register_flow!(FlowDescriptor {
    name: "least-cost",
    summary: "minimum-cost hyperpath by Knuth's algorithm: each production run and each batch moved is paid for",
    source: "Knuth 1977, A generalization of Dijkstra's algorithm; B-hyperpaths of Gallo et al. 1993",
    notes: "finds a flow if one exists; no plan costs less, counted as a tree; linear in the recipes' entries",
    guarantees: |_| &[Guarantee::FindsFlow, Guarantee::LinearTime],
    params: &[EDGE_COST],
    build: |params: &Params| Box::new(LeastCost {
        edge_cost: params.integer("edge_cost"),
        costs: Vec::new()
    }),
});

struct LeastCost {
    edge_cost: u64,
    /// By node, the cost in the last plan.
    costs: Vec<Option<Wide>>,
}

impl FlowStrategy for LeastCost {
    fn plan(&mut self, request: &PlanRequest<'_>, meter: &mut Meter) -> Result<Flow, NoFlow> {
        let (network, edge) = (request.network, Wide::from(self.edge_cost));
        let transport = |route: &Route| Wide::from(route.cost());
        let best = Best::of(request, meter, Some(transport), |node, supplies| {
            let amounts = network.requirements(node).iter().map(|required| Wide::from(required.quantity));
            let supplies = supplies.zip(amounts).map(|(supply, amount)| amount * (edge + supply));
            let run_cost = supplies.fold(Wide::from(network.cost(node)), |cost, supply| cost + supply);
            run_cost / Wide::from(network.yield_per_run(node))
        })?;
        let flow = best.flow(request, meter)?;
        self.costs = best.values;
        Ok(flow)
    }

    fn rating(&self, node: NodeId) -> Option<Rating> {
        let cost = self.costs.get(node.index()).copied().flatten()?;
        Some(Rating { measure: "cost of a batch", more: "more expensive", value: cost.to_f64() })
    }
}
