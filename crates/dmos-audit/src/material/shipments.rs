//! Shipments: after the last fault, committed batches arrive.

use dmos_core::{NodeId, Property, Span, Time};

use super::Material;
use crate::NodeAtEnd;
use crate::violations::Violations;

impl Material<'_> {
    /// Checks that batches committed between nodes that are up have arrived long after the last fault. Returns
    /// whether the run is long enough to tell.
    pub(crate) fn check_shipments(
        &self,
        violations: &mut Violations,
        end: Time,
        bound: Option<Span>,
        nodes: &[NodeAtEnd<'_>],
    ) -> bool {
        let (Some(healed), Some(bound)) = (self.scenario.faults.heal_at, bound) else {
            return false;
        };
        let is_up = |node: NodeId| nodes[node.index()].holdings.is_some();
        for (node, account) in self.network.nodes().zip(&self.accounts).filter(|(node, _)| is_up(*node)) {
            for (serial, (to, since)) in &account.in_transit {
                let waits = end.since((*since).max(healed));
                if to.is_some_and(is_up) && waits > bound {
                    violations.add(Property::ShipmentsDelivered, || {
                        let (name, waits) = (self.network.node_name(node), waits.as_secs_f64());
                        format!("batch {serial} of `{name}` has been in transit for {waits:.0} s since all faults were healed")
                    });
                }
            }
        }
        end.since(healed) > bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dmos_core::settings::Production;
    use dmos_core::{BatchId, NodeMetrics, RequestId};
    use dmos_node::{Holdings, LogRecord};

    /// Returns the violations of a shipment committed after five seconds of a run healed after ten, and whether the run is
    /// long enough to tell.
    fn found(end: Time, bound: Option<Span>, down: Option<usize>) -> (bool, usize) {
        let scenario = dmos_testkit::scenario(
            "network: {nodes: [{makes: wood}, {makes: door, needs: [wood]}]}\nduration: 1h\n\
             faults: {heal_at: 10s}\nprotocol: {production: polled}\n",
        );
        let (supplier, consumer) = (NodeId::new(0), NodeId::new(1));
        let batch = BatchId { producer: supplier, serial: 0 };
        let mut material = Material::new(&scenario);
        let mut violations = Violations::default();
        violations.now = Time::ZERO + Span::from_secs(5);
        let request = RequestId::default();
        for record in [
            LogRecord::Made { first: batch, count: 1, inputs: 0 },
            LogRecord::Committed { batch, to: consumer, request },
        ] {
            material.on_durable(&mut violations, supplier, &record);
        }
        let metrics = NodeMetrics::new(Production::Polled);
        let holdings = |node| (down != Some(node)).then(Holdings::default);
        let nodes = [0, 1].map(|node| NodeAtEnd { holdings: holdings(node), metrics: &metrics });
        let is_judged = material.check_shipments(&mut violations, end, bound, &nodes);
        (is_judged, violations.into_vec().len())
    }

    #[test]
    fn a_shipment_arrives_within_the_bound_after_the_last_fault() {
        let bound = Span::from_secs(100);
        let last = Time::ZERO + Span::from_secs(110);
        let later = last + Span::from_nanos(1);
        assert_eq!(found(last, Some(bound), None), (false, 0));
        assert_eq!(found(later, Some(bound), None), (true, 1));
        assert_eq!(found(later, None, None), (false, 0));
        assert_eq!(found(later, Some(bound), Some(0)), (true, 0), "the supplier is down");
        assert_eq!(found(later, Some(bound), Some(1)), (true, 0), "the consumer is down");
    }
}
