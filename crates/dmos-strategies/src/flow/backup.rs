//! Primary and backup: a standby for every supplier, so that no consumer has to wait for the leader.
//!
//! For each item the first two feasible producers are chosen. The first ones are the primaries and supply
//! each other; the second ones are standbys and supply each other as well, backed by the primaries of the
//! other line. The two lines share a node only where an item has a single producer, so any single failure
//! leaves each consumer with a supplier whose own supplies are complete. A consumer that suspects its
//! supplier asks the standby at once; the leader's new plan follows later.
//!
//! Warm standbys that take over on suspicion are primary-backup replication (Budhiraja, Marzullo, Schneider
//! and Toueg, "The primary-backup approach", 1993) of supplies; two disjoint lines are the node-disjoint pair
//! of J. W. Suurballe, "Disjoint paths in a network", Networks 4, 1974, item by item.

use dmos_core::strategy::{
    FlowDescriptor, FlowStrategy, Guarantee, Meter, NoFlow, PlanRequest, register_flow,
};
use dmos_core::{Flow, ItemId, NodeId, NodeSet, Share, SupplyEdge};
use dmos_graph::Feasibility;

register_flow!(FlowDescriptor {
    name: "backup",
    summary: "primary and backup: two suppliers per requirement, on node-disjoint paths where possible",
    source: "Budhiraja et al. 1993, The primary-backup approach; disjoint pairs after Suurballe 1974",
    notes: "finds a flow if one exists; a backup wherever an item has two producers; linear in the recipes' entries",
    guarantees: |_| &[Guarantee::FindsFlow, Guarantee::LinearTime],
    params: &[],
    build: |_| Box::new(Backup),
});

struct Backup;

impl FlowStrategy for Backup {
    fn plan(&mut self, request: &PlanRequest<'_>, meter: &mut Meter) -> Result<Flow, NoFlow> {
        let network = request.network;
        let producers = Feasibility::of_request(request);
        meter.charge(producers.steps())?;
        let primary = |item: ItemId| producers.of_item(item)[0];
        let standby = |item: ItemId| producers.of_item(item).get(1).copied();
        let mut planned = NodeSet::none(network.node_count());
        let mut consumers: Vec<NodeId> = producers.finals(network)?.into_iter().map(primary).collect();
        let (mut supplies, mut lone) = (Vec::new(), 0);
        while let Some(consumer) = consumers.pop() {
            if !planned.insert(consumer) {
                continue;
            }
            let in_second_line = standby(network.makes(consumer)) == Some(consumer);
            for required in network.requirements(consumer) {
                let item = required.item;
                let mut suppliers = producers.with_working_link(consumer, item);
                let primary = suppliers.next().expect("an assigned node can be supplied");
                let (first, second) = match suppliers.next() {
                    Some(standby) if in_second_line => (standby, Some(primary)),
                    standby => (primary, standby),
                };
                supplies.push((SupplyEdge { consumer, item, producer: first }, Share::WHOLE));
                supplies.extend(
                    second.map(|node| (SupplyEdge { consumer, item, producer: node }, Share::STANDBY)),
                );
                lone += u64::from(second.is_none());
                consumers.push(first);
                consumers.extend(second);
            }
        }
        meter.charge(supplies.len() as u64)?;
        meter.note("without_standby", lone);
        Ok(Flow::with_shares(supplies))
    }
}
