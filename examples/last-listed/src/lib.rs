//! A flow strategy: of all nodes that can make an item, the one that is listed last supplies everybody.

use dmos_core::strategy::{FlowDescriptor, FlowStrategy, Meter, NoFlow, PlanRequest, Promise, register_flow};
use dmos_core::{Flow, ItemId};
use dmos_graph::Makers;

register_flow!(FlowDescriptor {
    name: "last-listed",
    summary: "of all nodes that can make an item, the one that is listed last",
    source: "an example",
    guarantee: "finds a flow if one exists, in linear time",
    promises: |_| &[Promise::FindsFlow, Promise::LinearTime],
    params: &[],
    build: |_| Box::new(Strategy),
});

struct Strategy;

impl FlowStrategy for Strategy {
    fn plan(&mut self, request: &PlanRequest<'_>, meter: &mut Meter) -> Result<Flow, NoFlow> {
        let makers = Makers::of(request.network, request.alive);
        meter.charge(makers.steps())?;
        let last = |item: ItemId| *makers.of_item(item).last().expect("what is needed can be made");
        let ends = makers.finals(request.network)?.into_iter().map(last).collect();
        let flow = Flow::back_from(request.network, ends, |_consumer, item| last(item));
        meter.charge(flow.edges().len() as u64)?;
        Ok(flow)
    }
}
