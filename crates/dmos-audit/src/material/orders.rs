//! Orders under `production: server`: a supplier ships no more than was ordered, and passes no order over.

use std::collections::BTreeMap;

use dmos_core::flow::{FlowRates, PlannedRate};
use dmos_core::{Flow, Network, NodeId, Property, Span, Time};
use dmos_node::Order;

use super::Material;
use crate::NodeAtEnd;
use crate::violations::Violations;

/// Orders that a supplier has received or will receive, by consumer and incarnation of the consumer.
#[derive(Default)]
pub(super) struct Orders {
    by_consumer: BTreeMap<(NodeId, u32), Ordered>,
    /// By consumer, the incarnation before which all orders are void.
    void_before: BTreeMap<NodeId, u32>,
    /// Number of batches shipped to all consumers.
    shipped: u64,
}

/// Orders of one incarnation of a consumer at one supplier.
#[derive(Clone, Copy, Default)]
struct Ordered {
    /// Total of the latest order.
    total: u32,
    /// Largest total of all orders: a reduced order may arrive after the shipment that it would have stopped.
    most: u32,
    shipped: u32,
    /// Time of the latest order.
    placed: Time,
    /// Time of the last shipment, or of the order that opened the account.
    served: Time,
    /// Number of batches that the supplier had shipped to all consumers then.
    shipped_by_then: u64,
}

impl Ordered {
    fn is_open(&self) -> bool {
        self.total > self.shipped
    }
}

impl Material<'_> {
    /// Handles an order that a node sends.
    pub(crate) fn on_ordered(&mut self, now: Time, consumer: NodeId, supplier: NodeId, order: Order) {
        let orders = &mut self.account(supplier).orders;
        let shipped = orders.shipped;
        let ordered = orders.by_consumer.entry((consumer, order.incarnation)).or_default();
        let was_open = ordered.is_open();
        ordered.total = order.total;
        ordered.most = ordered.most.max(order.total);
        ordered.placed = now;
        if !was_open {
            (ordered.served, ordered.shipped_by_then) = (now, shipped);
        }
    }

    /// Handles the adoption of a new assignment.
    pub(crate) fn on_adopted(&mut self, at: Time, node: NodeId) {
        self.account(node).changed = at;
    }

    /// Handles a supplier's record that the orders of earlier incarnations are void.
    pub(super) fn on_orders_voided(&mut self, supplier: NodeId, consumer: NodeId, before: u32) {
        self.account(supplier).orders.void_before.insert(consumer, before);
    }

    /// Checks a shipment against the orders of its consumer.
    pub(super) fn check_shipped(
        &mut self,
        violations: &mut Violations,
        supplier: NodeId,
        consumer: NodeId,
        incarnation: u32,
        count: u32,
    ) {
        let now = violations.now;
        let orders = &mut self.account(supplier).orders;
        orders.shipped += u64::from(count);
        let shipped_by_then = orders.shipped;
        let is_void = orders.void_before.get(&consumer).is_some_and(|before| incarnation < *before);
        let ordered = orders.by_consumer.entry((consumer, incarnation)).or_default();
        ordered.shipped = ordered.shipped.saturating_add(count);
        (ordered.served, ordered.shipped_by_then) = (now, shipped_by_then);
        let Ordered { shipped, most, .. } = *ordered;
        if shipped > most || is_void {
            violations.add(Property::ShippedAsOrdered, || {
                let name = |node| self.network.node_name(node);
                let (supplier, consumer) = (name(supplier), name(consumer));
                if is_void {
                    format!("`{supplier}` fills an order that `{consumer}` had sent before a crash")
                } else {
                    format!(
                        "`{supplier}` has shipped {shipped} batches to `{consumer}`, which ordered {most}"
                    )
                }
            });
        }
    }

    /// Checks that no order has waited for long after the last fault while its supplier had batches in stock, or
    /// shipped far more to other consumers than their planned rates allow. Returns whether the run is long
    /// enough to tell.
    pub(crate) fn check_orders(
        &self,
        violations: &mut Violations,
        end: Time,
        bound: Option<Span>,
        nodes: &[NodeAtEnd<'_>],
        flow: Option<(&Network, &Flow)>,
    ) -> bool {
        let (Some(healed), Some(bound)) = (self.scenario.faults.heal_at, bound) else {
            return false;
        };
        let rates = flow.map(|(network, flow)| FlowRates::derive(network, flow));
        let works =
            |node: NodeId| nodes[node.index()].holdings.is_some() && !self.accounts[node.index()].has_retired;
        for supplier in self.network.nodes().filter(|node| works(*node)) {
            let account = &self.accounts[supplier.index()];
            for (&(consumer, _), ordered) in &account.orders.by_consumer {
                let buyer = &self.accounts[consumer.index()];
                let is_void = ordered.placed < buyer.recovered;
                let since = [ordered.served, healed, account.changed, buyer.changed].into_iter().max();
                let waits = end.since(since.unwrap_or(end));
                if !ordered.is_open() || is_void || !works(consumer) || waits <= bound {
                    continue;
                }
                let passed = account.orders.shipped - ordered.shipped_by_then;
                let fair = match (flow, &rates) {
                    (Some((network, flow)), Some(rates)) => {
                        self.shipped_meanwhile(network, flow, rates, supplier, consumer, bound)
                    }
                    _ => u64::MAX,
                };
                if !account.stock.is_empty() || passed > fair {
                    violations.add(Property::OrdersFilled, || {
                        let name = |node| self.network.node_name(node);
                        let (supplier, consumer) = (name(supplier), name(consumer));
                        let (waits, stock) = (waits.as_secs_f64(), account.stock.len());
                        format!(
                            "an order of `{consumer}` has waited at `{supplier}` for {waits:.0} s, which has {stock} \
                             batches in stock and has shipped {passed} to others meanwhile"
                        )
                    });
                }
            }
        }
        end.since(healed) > bound
    }

    /// Returns an upper bound of the batches that a supplier ships to other consumers while one waits: what it
    /// makes within `bound`, and their share until the consumer's next turn, with a margin of the same size.
    fn shipped_meanwhile(
        &self,
        network: &Network,
        flow: &Flow,
        rates: &FlowRates,
        supplier: NodeId,
        consumer: NodeId,
        bound: Span,
    ) -> u64 {
        let rate = |other: NodeId| rates.edge(network, flow, supplier, other);
        let consumers = flow.consumers(supplier).iter().map(|(_, other)| *other);
        let highest = consumers.clone().map(rate).max().unwrap_or_default();
        // The consumer of a standby is served like the one with the highest rate.
        let served_at = |rate: PlannedRate| if rate == PlannedRate::default() { highest } else { rate };
        let own = served_at(rate(consumer)).billionths().max(1);
        let turn = |other: NodeId| served_at(rate(other)).billionths() / own + 2;
        let turns: u64 = consumers.filter(|other| *other != consumer).map(turn).sum();
        let mean = self.scenario.process_times.of(supplier).mean().as_nanos().max(1_000);
        let made = (bound.as_nanos() / mean + 2) * u64::from(network.yield_per_run(supplier));
        2 * turns.saturating_add(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{WorkDelays, resume_bound};
    use dmos_core::settings::Production;
    use dmos_core::{BatchId, NodeMetrics, Scenario, SupplyEdge};
    use dmos_node::batch_range::BatchRange;
    use dmos_node::{Holdings, LogRecord};

    const SUPPLIER: NodeId = NodeId::new(0);
    const FIRST: NodeId = NodeId::new(1);
    const SECOND: NodeId = NodeId::new(2);

    /// Returns a scenario in which node 0 supplies nodes 1 and 2, and all faults are healed at the start.
    fn scenario() -> Scenario {
        let text = "network: {nodes: [{makes: wood}, {makes: door, needs: [wood], count: 2}]}\n\
                    duration: 2h\nfaults: {heal_at: 0s}\nprotocol: {compact_after: null}\n";
        dmos_testkit::scenario(text)
    }

    fn order(incarnation: u32, total: u32) -> Order {
        Order { incarnation, number: 1, total }
    }

    /// A run of the supplier, with what its consumers ordered.
    struct Run<'a> {
        material: Material<'a>,
        violations: Violations,
        made: u32,
    }

    impl<'a> Run<'a> {
        fn of(scenario: &'a Scenario) -> Self {
            Self { material: Material::new(scenario), violations: Violations::default(), made: 0 }
        }

        fn log(&mut self, record: &LogRecord) {
            self.material.on_durable(&mut self.violations, SUPPLIER, record);
        }

        fn make(&mut self, count: u32) -> BatchRange {
            let range = |serial, count| BatchRange { first: BatchId { producer: SUPPLIER, serial }, count };
            let made = range(self.made, count);
            for serial in made.serials() {
                self.material.on_run_started(&mut self.violations, SUPPLIER, Time::ZERO);
                self.log(&LogRecord::Ran { product: range(serial, 1), inputs: Box::new([]) });
            }
            self.made += count;
            made
        }

        fn ship(&mut self, to: NodeId, incarnation: u32, count: u32) {
            let batches = self.make(count);
            self.log(&LogRecord::Shipped { batches, to, incarnation });
        }

        /// Returns the liveness violations after two hours in which one consumer's order for one batch waits, while the
        /// supplier ships to the other.
        fn found_if_passed(scenario: &'a Scenario, count: u32) -> Vec<Property> {
            let mut run = Run::of(scenario);
            run.material.on_ordered(Time::ZERO, FIRST, SUPPLIER, order(0, 1));
            run.material.on_ordered(Time::ZERO, SECOND, SUPPLIER, order(0, u32::MAX));
            run.ship(SECOND, 0, count);
            run.finish(scenario)
        }

        fn found(self) -> Vec<Property> {
            self.violations.into_vec().iter().map(|violation| violation.property).collect()
        }

        /// Returns the liveness violations after two hours with a flow to both consumers.
        fn finish(self, scenario: &Scenario) -> Vec<Property> {
            self.finish_with(scenario, [true; 3])
        }

        fn finish_with(mut self, scenario: &Scenario, up: [bool; 3]) -> Vec<Property> {
            let edge = |consumer| SupplyEdge {
                producer: SUPPLIER,
                consumer,
                item: scenario.network.makes(SUPPLIER),
            };
            let flow = Flow::new(vec![edge(FIRST), edge(SECOND)]);
            let metrics = NodeMetrics::new(Production::Server);
            let node = |up: bool| NodeAtEnd { holdings: up.then(Holdings::default), metrics: &metrics };
            let end = Time::ZERO + Span::from_secs(7_200);
            let flow = Some((&*scenario.network, &flow));
            let bound = resume_bound(scenario, WorkDelays::default());
            let nodes = up.map(node);
            assert!(self.material.check_orders(&mut self.violations, end, bound, &nodes, flow));
            self.found()
        }
    }

    #[test]
    fn a_supplier_ships_what_was_ordered_and_no_more() {
        let scenario = scenario();
        let shipped = |count| {
            let mut run = Run::of(&scenario);
            run.material.on_ordered(Time::ZERO, FIRST, SUPPLIER, order(0, 8));
            run.material.on_ordered(Time::ZERO, FIRST, SUPPLIER, order(0, 3));
            run.ship(FIRST, 0, 2);
            run.ship(FIRST, 0, count);
            run.found()
        };
        assert_eq!(shipped(6), [], "the reduced order may arrive later");
        assert_eq!(shipped(7), [Property::ShippedAsOrdered]);
    }

    #[test]
    fn an_order_from_before_a_crash_is_not_filled_after_it() {
        let scenario = scenario();
        let filled = |incarnation| {
            let mut run = Run::of(&scenario);
            run.material.on_ordered(Time::ZERO, FIRST, SUPPLIER, order(0, 8));
            run.material.on_ordered(Time::ZERO, FIRST, SUPPLIER, order(1, 2));
            run.log(&LogRecord::OrdersVoided { of: FIRST, before: 1 });
            run.ship(FIRST, incarnation, 2);
            run.found()
        };
        assert_eq!(filled(1), []);
        assert_eq!(filled(0), [Property::ShippedAsOrdered]);
    }

    #[test]
    fn an_order_does_not_wait_beside_stock() {
        let scenario = scenario();
        let waiting = |stock: u32, filled: u32| {
            let mut run = Run::of(&scenario);
            run.material.on_ordered(Time::ZERO, FIRST, SUPPLIER, order(0, 2));
            run.ship(FIRST, 0, filled);
            if stock > 0 {
                run.make(stock);
            }
            run.finish(&scenario)
        };
        assert_eq!(waiting(1, 1), [Property::OrdersFilled]);
        assert_eq!(waiting(0, 1), [], "the supplier makes nothing");
        assert_eq!(waiting(1, 2), [], "the order is filled");
    }

    #[test]
    fn an_order_is_not_passed_over_for_ever() {
        let scenario = scenario();
        let passed = |count: u32| Run::found_if_passed(&scenario, count);
        assert_eq!(passed(10), [], "the supplier may not have heard of the order yet");
        assert_eq!(passed(30_000), [Property::OrdersFilled]);
    }

    #[test]
    fn a_supplier_ships_to_others_for_the_bound_and_a_turn_twice() {
        let text = "network: {nodes: [{makes: wood, process_time: 10s}, {makes: door, needs: [wood], count: 2}]}\n\
                    duration: 2h\nfaults: {heal_at: 0s}\nprotocol: {compact_after: null}\n";
        let scenario = dmos_testkit::scenario(text);
        let bound = resume_bound(&scenario, WorkDelays::default()).expect("a bound").as_nanos();
        let made = bound / 10_000_000_000 + 2;
        // The other consumer has the same planned rate: one batch per turn, and two more.
        let fair = 2 * (u32::try_from(made).expect("few batches") + 1 + 2);
        assert_eq!(Run::found_if_passed(&scenario, fair), []);
        assert_eq!(Run::found_if_passed(&scenario, fair + 1), [Property::OrdersFilled]);
    }

    #[test]
    fn an_order_may_wait_at_a_supplier_that_is_down_retired_or_newly_assigned() {
        let scenario = scenario();
        let waiting = |up: [bool; 3], prepare: &dyn Fn(&mut Run<'_>)| {
            let mut run = Run::of(&scenario);
            run.material.on_ordered(Time::ZERO, FIRST, SUPPLIER, order(0, 2));
            run.make(1);
            prepare(&mut run);
            run.finish_with(&scenario, up)
        };
        let retire = |node| {
            move |run: &mut Run<'_>| {
                let record = LogRecord::Commanded(dmos_node::Command::Retire);
                run.material.on_durable(&mut run.violations, node, &record);
            }
        };
        let late = |node| {
            move |run: &mut Run<'_>| run.material.on_adopted(Time::ZERO + Span::from_secs(7_190), node)
        };
        assert_eq!(waiting([true; 3], &|_| ()), [Property::OrdersFilled]);
        assert_eq!(waiting([true, true, false], &|_| ()), [Property::OrdersFilled]);
        assert_eq!(waiting([false, true, true], &|_| ()), []);
        assert_eq!(waiting([true, false, true], &|_| ()), []);
        for node in [SUPPLIER, FIRST] {
            assert_eq!(waiting([true; 3], &retire(node)), []);
            assert_eq!(waiting([true; 3], &late(node)), []);
        }
        assert_eq!(waiting([true; 3], &late(SECOND)), [Property::OrdersFilled]);
    }

    #[test]
    fn an_order_from_before_a_crash_need_not_be_filled() {
        let scenario = scenario();
        let mut run = Run::of(&scenario);
        run.material.on_ordered(Time::ZERO, FIRST, SUPPLIER, order(0, 2));
        run.make(1);
        run.material.on_started(Time::ZERO + Span::from_secs(1), FIRST, true);
        assert_eq!(run.finish(&scenario), []);
    }
}
