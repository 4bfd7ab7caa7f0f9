//! Records of ranges of batches, under `production: server`.

use dmos_core::{BatchId, NodeId};
use dmos_node::LogRecord;

use super::Material;
use crate::violations::Violations;

impl Material<'_> {
    /// Handles a record of ranges of batches, under `production: server`.
    #[inline(never)]
    pub(super) fn on_durable_ranges(
        &mut self,
        violations: &mut Violations,
        node: NodeId,
        record: &LogRecord,
    ) {
        match record {
            LogRecord::Ran { product, inputs } => {
                let pending_inputs = &mut self.account(node).pending_inputs;
                pending_inputs.clear();
                pending_inputs.extend(inputs.iter().flat_map(|range| range.iter()));
                let count = pending_inputs.len() as u32;
                self.end_run(violations, node);
                self.on_made(violations, node, product.first, product.count, count);
                self.account(node).run = None;
            }
            LogRecord::Shipped { batches, to, incarnation } => {
                self.account(node).unacknowledged += 1;
                self.check_shipped(violations, node, *to, *incarnation, batches.count);
                batches.iter().for_each(|batch| self.on_committed(violations, node, batch, Some(*to)));
            }
            LogRecord::Acknowledged { batches, .. } => {
                let account = self.account(node);
                account.unacknowledged = account.unacknowledged.saturating_sub(1);
                batches.iter().for_each(|batch| self.on_settled(violations, node, batch, "acknowledged"));
            }
            LogRecord::Left(batches) => {
                for batch in batches.iter() {
                    if self.account(node).stock.remove(batch.serial) {
                        self.account(node).left.insert(batch.serial);
                    } else {
                        self.report_misplaced(violations, node, batch, "out of the factory");
                    }
                }
            }
            LogRecord::Accepted(batches) => {
                batches.iter().for_each(|batch| self.on_accepted(violations, node, batch));
            }
            LogRecord::Arrived(batches) => {
                for batch in batches.iter() {
                    if self.account(node).incoming.remove(&batch) {
                        self.account(node).received.insert(batch);
                    } else {
                        self.report_misplaced(violations, node, batch, "arrived");
                    }
                }
            }
            _ => {}
        }
    }

    fn on_accepted(&mut self, violations: &mut Violations, node: NodeId, batch: BatchId) {
        if self.hand_over(node, batch) {
            self.account(node).incoming.insert(batch);
        } else {
            self.report_misplaced(violations, node, batch, "accepted");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NodeAtEnd;
    use dmos_core::record::MaterialBalance;
    use dmos_core::settings::Production;
    use dmos_core::{NodeMetrics, Property, Scenario, Time};
    use dmos_node::Holdings;
    use dmos_node::batch_range::BatchRange;

    const SUPPLIER: NodeId = NodeId::new(0);
    const CONSUMER: NodeId = NodeId::new(1);

    /// Two batches of the supplier.
    const BATCHES: BatchRange = BatchRange { first: BatchId { producer: SUPPLIER, serial: 0 }, count: 2 };

    /// Returns a scenario in which node 0 supplies node 1.
    fn scenario(faults: &str) -> Scenario {
        dmos_testkit::scenario(&format!(
            "network: {{nodes: [{{makes: {{wood: 2}}}}, {{makes: door, needs: {{wood: 2}}}}]}}\nduration: 1h\n\
             faults: {faults}\nprotocol: {{compact_after: null}}\n"
        ))
    }

    /// The life of two batches until they arrive.
    fn life() -> Vec<(NodeId, LogRecord)> {
        vec![
            (SUPPLIER, LogRecord::Ran { product: BATCHES, inputs: Box::new([]) }),
            (SUPPLIER, LogRecord::Shipped { batches: BATCHES, to: CONSUMER, incarnation: 0 }),
            (CONSUMER, LogRecord::Accepted(BATCHES)),
            (CONSUMER, LogRecord::Arrived(BATCHES)),
            (SUPPLIER, LogRecord::Acknowledged { batches: BATCHES, by: CONSUMER }),
        ]
    }

    /// Returns the balance after these records, with nodes that hold nothing or are down, and descriptions of the
    /// violations.
    fn audit(
        faults: &str,
        records: &[(NodeId, LogRecord)],
        holdings: Option<Holdings>,
    ) -> (MaterialBalance, Vec<String>) {
        let scenario = scenario(faults);
        let (mut material, mut violations) = (Material::new(&scenario), Violations::default());
        let order = dmos_node::Order { incarnation: 0, number: 1, total: 2 };
        material.on_ordered(Time::ZERO, CONSUMER, SUPPLIER, order);
        for (node, record) in records {
            if let LogRecord::Ran { .. } = record {
                material.on_run_started(&mut violations, *node, Time::ZERO);
            }
            material.on_durable(&mut violations, *node, record);
        }
        let metrics = NodeMetrics::new(Production::Server);
        let end = || NodeAtEnd { holdings: holdings.clone(), metrics: &metrics };
        let balance = material.finish(&mut violations, &[end(), end()]);
        let of_place = |property| property == Property::BatchInOnePlace;
        let found = violations.into_vec().into_iter().filter(|violation| of_place(violation.property));
        (balance, found.map(|violation| violation.description).collect())
    }

    #[test]
    fn a_batch_is_counted_where_it_is() {
        let counts = |records: usize| {
            let (balance, found) = audit("{}", &life()[..records], None);
            assert_eq!(found, [""; 0]);
            assert_eq!(balance.stranded, 2, "all nodes are down");
            (balance.in_stock, balance.in_transit, balance.received)
        };
        assert_eq!([1, 2, 3, 4, 5].map(counts), [(2, 0, 0), (0, 2, 0), (0, 2, 0), (0, 0, 2), (0, 0, 2)]);
    }

    #[test]
    fn a_batch_that_no_node_holds_is_lost() {
        for records in 1..=5 {
            let (balance, found) = audit("{}", &life()[..records], Some(Holdings::default()));
            let places = (balance.in_stock, balance.in_transit, balance.received, balance.stranded);
            assert_eq!((balance.lost, places, found.len()), (2, (0, 0, 0, 0), 1), "{found:?}");
        }
    }

    #[test]
    fn a_crash_destroys_what_the_scenario_says() {
        let counts = |records: usize| {
            let faults = "{material: {outbound: scrapped, inbound: scrapped}}";
            let (balance, _) = audit(faults, &life()[..records], None);
            (balance.scrapped, balance.in_transit, balance.stranded)
        };
        assert_eq!([1, 2, 3, 4].map(counts), [(2, 0, 0), (0, 2, 2), (0, 2, 2), (2, 0, 0)]);
    }

    #[test]
    fn a_batch_does_not_skip_a_place() {
        let without = |skipped: usize| {
            let mut records = life();
            records.remove(skipped);
            audit("{}", &records, None).1.first().cloned().unwrap_or_default()
        };
        assert_eq!(without(1), "`door` logs batch 0#0 as accepted, but it was in stock");
        assert_eq!(without(2), "`door` logs batch 0#0 as arrived, but it was in transit to `door`");
        assert_eq!(without(3), "");
        assert_eq!(without(4), "");
        let early = [&life()[..2], &life()[4..]].concat();
        let found = audit("{}", &early, None).1;
        assert_eq!(found[0], "`wood` logs batch 0#0 as acknowledged, but it was in transit to `door`");
        assert_eq!(found.len(), 2, "each batch: {found:?}");
    }

    #[test]
    fn a_batch_leaves_the_factory_once_and_from_stock() {
        let left = || (SUPPLIER, LogRecord::Left(BATCHES));
        let made = life()[..1].to_vec();
        let (balance, found) = audit("{}", &[&made[..], &[left()]].concat(), None);
        assert_eq!((balance.in_stock, found.len()), (2, 0), "a finished good counts as in stock");
        let twice = audit("{}", &[&made[..], &[left(), left()]].concat(), None).1;
        assert_eq!(twice[0], "`wood` logs batch 0#0 as out of the factory, but it was out of the factory");
        let shipped = audit("{}", &[&life()[..2], &[left()]].concat(), None).1;
        assert_eq!(
            shipped[0],
            "`wood` logs batch 0#0 as out of the factory, but it was in transit to `door`"
        );
    }
}
