//! A flow strategy: of all producers of an item, the last listed one supplies all consumers.

use dmos_core::strategy::{
    FlowDescriptor, FlowStrategy, Guarantee, Meter, NoFlow, PlanRequest, register_flow,
};
use dmos_core::{Flow, NodeId};
use dmos_graph::Feasibility;

register_flow!(FlowDescriptor {
    name: "last-listed",
    summary: "last-fit supplier selection: the last listed feasible producer of each item",
    source: "an example",
    notes: "finds a flow if one exists, in linear time",
    guarantees: |_| &[Guarantee::FindsFlow, Guarantee::LinearTime],
    params: &[],
    build: |_| Box::new(Strategy),
});

struct Strategy;

impl FlowStrategy for Strategy {
    fn plan(&mut self, request: &PlanRequest<'_>, meter: &mut Meter) -> Result<Flow, NoFlow> {
        let producers = Feasibility::of_request(request);
        meter.charge(producers.steps())?;
        let last = |nodes: &[NodeId]| *nodes.last().expect("required items are feasible");
        let finals = producers.finals(request.network)?;
        let ends = finals.into_iter().map(|item| last(producers.of_item(item))).collect();
        // Suppliers have a working link to the consumer.
        let flow = Flow::upstream_of(request.network, ends, |consumer, item| {
            last(&producers.suppliers(consumer, item))
        });
        meter.charge(flow.edges().len() as u64)?;
        Ok(flow)
    }
}
