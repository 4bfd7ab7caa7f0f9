//! A flow strategy: of all producers of an item, the last listed one supplies all consumers.

use dmos_core::strategy::{
    FlowDescriptor, FlowStrategy, Guarantee, Meter, NoFlow, PlanRequest, register_flow,
};
use dmos_core::{Flow, ItemId};
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
        let producers = Feasibility::of(request.network, request.alive);
        meter.charge(producers.steps())?;
        let last = |item: ItemId| *producers.of_item(item).last().expect("required items are feasible");
        let ends = producers.finals(request.network)?.into_iter().map(last).collect();
        let flow = Flow::upstream_of(request.network, ends, |_consumer, item| last(item));
        meter.charge(flow.edges().len() as u64)?;
        Ok(flow)
    }
}
