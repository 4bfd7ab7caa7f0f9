//! The plan whose final item is made first, if every stock is empty at the beginning.
//!
//! A node is ready one making after the last of its supplies has arrived, so a plan takes as long as its
//! longest chain of makings and transits: the critical path of J. E. Kelley and M. R. Walker, "Critical-path
//! planning and scheduling", 1959. Each node takes the maker of an item that is ready first; to be ready is
//! again a superior function of the supplies (Knuth 1977), so the choice item by item is the best one.

use dmos_core::strategy::{
    FlowDescriptor, FlowStrategy, Meter, NoFlow, PlanRequest, Promise, Rating, register_flow,
};
use dmos_core::{Flow, NodeId, Span};

use crate::sweep::Best;

register_flow!(FlowDescriptor {
    name: "shortest-lead-time",
    summary: "the plan whose final item is made first, from empty stocks",
    source: "Kelley and Walker 1959, Critical-path planning and scheduling; on AND/OR graphs Knuth 1977",
    guarantee: "finds a flow if one exists; none has a shorter critical path; linear in the recipes' entries",
    promises: |_| &[Promise::FindsFlow, Promise::LinearTime],
    params: &[],
    build: |_| Box::new(ShortestLeadTime { ready: Vec::new() }),
});

struct ShortestLeadTime {
    /// By node, when it is ready, in the last plan.
    ready: Vec<Option<Span>>,
}

impl FlowStrategy for ShortestLeadTime {
    fn plan(&mut self, request: &PlanRequest<'_>, meter: &mut Meter) -> Result<Flow, NoFlow> {
        let (network, pace) = (request.network, request.pace);
        let best = Best::of(request, meter, |node, supplies| {
            let making = pace.cycle * u64::from(network.cycles(node));
            let last = supplies.max().map_or(Span::ZERO, |ready| ready + pace.transit);
            last + making
        })?;
        let flow = best.flow(request, meter)?;
        self.ready = best.values;
        Ok(flow)
    }

    fn rating(&self, node: NodeId) -> Option<Rating> {
        let ready = self.ready.get(node.index()).copied().flatten()?;
        Some(Rating { measure: "lead time in s", more: "later", value: ready.as_secs_f64() })
    }
}
