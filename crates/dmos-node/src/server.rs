//! A node as a server: one production run at a time, each of which takes its process time.
//!
//! A run starts as soon as the node has an assignment, the inputs of one run, and room for the product. Its
//! inputs leave the buffers at the start; consumption and product are logged together at the end, so a run
//! that a crash interrupts has consumed nothing.
//!
//! | module | responsibility |
//! |---|---|
//! | `input` | input buffers, and orders up to a level |
//! | `level` | levels of inputs, and their distribution over several suppliers |
//! | `output` | output buffer, and shipments |
//! | `order_book` | open orders of consumers, and the order in which they are served |

mod input;
mod level;
mod order_book;
mod output;

use std::sync::Arc;

use dmos_core::{Assignment, BatchId, ItemId, Metric, Network, NodeId, Routes};

use crate::assignment::ActiveAssignment;
use crate::batch_range::BatchRange;
use crate::context::Context;
use crate::failure_detector::FailureDetector;
use crate::interface::Effect;
use crate::log::{LogRecord, LogState};
use crate::message::Message;
use input::Inputs;
pub use order_book::{Order, OrderStatus};
use output::Output;

/// The activity of a node that is up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Activity {
    /// It has no assignment.
    #[default]
    Idle,
    /// It lacks batches of this item, among possibly others.
    Starved(ItemId),
    /// It has no room for its product.
    Blocked,
    /// It processes a production run.
    Working,
}

/// Activity and material of a node at one time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Occupancy {
    /// The activity.
    pub activity: Activity,
    /// Batches in the output buffer; finished goods have left it.
    pub output: u64,
    /// Batches in transit to the node.
    pub incoming: u64,
    /// Batches in the input buffers.
    pub input: u64,
    /// Batches in process.
    pub in_process: u64,
}

/// The parts of a node that the server consults.
pub(crate) struct Surroundings<'a> {
    pub(crate) active: &'a ActiveAssignment,
    pub(crate) detector: &'a FailureDetector,
    pub(crate) is_retired: bool,
}

impl Surroundings<'_> {
    /// Returns the assignment, unless the node is retired.
    fn assignment(&self) -> Option<&Assignment> {
        self.active.assignment().filter(|_| !self.is_retired)
    }
}

/// The machine of a node, with its input and output.
#[derive(Debug)]
pub(crate) struct Server {
    inputs: Inputs,
    output: Output,
    is_running: bool,
    /// Inputs of the production run in process; empty if there is none.
    in_process: Vec<BatchRange>,
    activity: Activity,
    /// As counted after the last change.
    occupancy: Occupancy,
    consumed: u64,
    routes: Arc<Routes>,
    is_final: bool,
    /// True if batches of a final item leave the factory from the output buffer, because other nodes can consume
    /// the item as well.
    leaves_later: bool,
}

impl Server {
    pub(crate) fn new(me: NodeId, network: &Network, routes: Arc<Routes>) -> Self {
        let is_final = network.is_final(me);
        let leaves_later = is_final && network.is_consumed(network.makes(me));
        Self {
            routes,
            is_final,
            leaves_later,
            inputs: Inputs::default(),
            output: Output::new(me, leaves_later),
            is_running: false,
            in_process: Vec::new(),
            activity: Activity::Idle,
            occupancy: Occupancy::default(),
            consumed: 0,
        }
    }

    pub(crate) fn inputs(&self) -> &Inputs {
        &self.inputs
    }

    pub(crate) fn output(&self) -> &Output {
        &self.output
    }

    /// Returns the activity and the material. O(1), since every input asks for them.
    pub(crate) fn occupancy(&self) -> Occupancy {
        debug_assert_eq!(self.occupancy, self.count_occupancy(), "every change is followed by a count");
        self.occupancy
    }

    fn update_occupancy(&mut self, cx: &mut Context<'_>) {
        let occupancy = self.count_occupancy();
        if occupancy != self.occupancy {
            self.occupancy = occupancy;
            cx.effects.occupancy_changed();
        }
    }

    /// Counts the activity and the material. O(inputs).
    fn count_occupancy(&self) -> Occupancy {
        let total = |range: &BatchRange| u64::from(range.count);
        Occupancy {
            activity: self.activity,
            output: if self.is_final && !self.leaves_later { 0 } else { self.output.stock().len() },
            incoming: self.inputs.incoming_count(),
            input: self.inputs.count(),
            in_process: self.in_process.iter().map(total).sum(),
        }
    }

    /// Returns whether batches of a final item leave the factory one after the other.
    pub(crate) fn leaves_later(&self) -> bool {
        self.leaves_later
    }

    /// Returns the batches on hand: in the input buffers and in process.
    pub(crate) fn on_hand(&self) -> impl Iterator<Item = BatchRange> + '_ {
        self.inputs.batches().chain(self.in_process.iter().copied())
    }

    /// Restores the state of the last commit after a crash.
    #[inline(never)]
    pub(crate) fn restore(&mut self, cx: &mut Context<'_>, mut state: LogState, recovering: bool) {
        if recovering {
            cx.append(LogRecord::Restarted);
            state.restarts += 1;
        }
        cx.metrics.add(Metric::WalRecoveredInboundBatches, state.inbound_entries);
        cx.metrics.add(Metric::WalRecoveredOutboundBatches, state.outbound_entries);
        self.consumed = state.consumed;
        self.inputs.restore(cx, &state);
        self.output.restore(cx, &state);
        self.update_occupancy(cx);
    }

    /// Writes the state that the log represents.
    #[inline(never)]
    pub(crate) fn save(&self, state: &mut LogState) {
        state.restarts = self.inputs.incarnation();
        state.made = self.output.made();
        state.consumed = self.consumed;
        state.stock = self.output.stock().clone();
        state.left = self.output.left();
        state.shipped = self.output.shipped().collect();
        state.shipments = self.output.shipments().collect();
        state.incoming = self.inputs.incoming().map(|range| (range.first, range.count)).collect();
        self.on_hand().for_each(|range| state.received.insert_range(range));
        state.seen = self.inputs.seen().clone();
    }

    /// Adopts a new assignment.
    #[inline(never)]
    pub(crate) fn adopt(&mut self, cx: &mut Context<'_>, around: &Surroundings<'_>) {
        let Some(assignment) = around.assignment() else {
            return;
        };
        self.inputs.reset_shares();
        let rates = assignment.consumer_rates.iter().copied();
        let consumers =
            assignment.consumers.iter().copied().zip(rates.chain(std::iter::repeat(Default::default())));
        let is_in_flow = !assignment.suppliers.is_empty() || cx.network.requirements(cx.me).is_empty();
        self.output.assign(cx, consumers, is_in_flow.then_some(assignment.leaving));
        self.inputs.review(cx, assignment, around.detector);
        self.order_up(cx, around);
        self.proceed(cx, around);
    }

    /// Starts a production run if possible, and orders inputs unless one was in process before: a run in process
    /// changes no inventory position.
    fn proceed(&mut self, cx: &mut Context<'_>, around: &Surroundings<'_>) {
        if around.is_retired {
            // A retired node makes nothing any more, not even what it has begun.
            self.is_running = false;
            self.in_process.drain(..).for_each(|batches| self.inputs.store(cx, batches));
        }
        if !self.is_running {
            self.activity = self.next_activity(cx, around);
            if self.activity == Activity::Working {
                cx.metrics.count(Metric::TotalManufactureCycles);
                self.is_running = true;
                self.inputs.take(cx, &mut self.in_process);
                cx.effects.push(Effect::StartRun { number: self.output.made() });
            }
            self.order_up(cx, around);
        }
        self.update_occupancy(cx);
    }

    /// Orders every input up to its level.
    fn order_up(&mut self, cx: &mut Context<'_>, around: &Surroundings<'_>) {
        if let Some(assignment) = around.assignment() {
            self.inputs.order_up(cx, assignment, &self.routes, around.detector);
        }
    }

    /// Returns what the node does next while no run is in process.
    fn next_activity(&self, cx: &Context<'_>, around: &Surroundings<'_>) -> Activity {
        let is_source = cx.network.requirements(cx.me).is_empty();
        let is_assigned = |assignment: &Assignment| match is_source {
            true => !assignment.consumers.is_empty() || cx.network.is_final(cx.me),
            false => !assignment.suppliers.is_empty(),
        };
        if !around.assignment().is_some_and(is_assigned) {
            return Activity::Idle;
        }
        match self.inputs.missing(cx) {
            Some(item) => Activity::Starved(item),
            None if !self.output.has_room(cx) => Activity::Blocked,
            None => Activity::Working,
        }
    }

    /// Handles the end of a production run: logs consumption and product, and serves waiting consumers.
    #[inline(never)]
    pub(crate) fn on_run_end(&mut self, cx: &mut Context<'_>, around: &Surroundings<'_>) {
        if !std::mem::take(&mut self.is_running) {
            return;
        }
        let count = cx.network.yield_per_run(cx.me);
        let first = BatchId { producer: cx.me, serial: self.output.made() };
        self.consumed += self.in_process.iter().map(|range| u64::from(range.count)).sum::<u64>();
        let inputs = self.in_process.as_slice().into();
        self.in_process.clear();
        cx.append(LogRecord::Ran { product: BatchRange { first, count }, inputs });
        self.output.add(count);
        cx.metrics.count(Metric::SuccessfulManufactureCycles);
        if cx.network.is_final(cx.me) && !self.leaves_later {
            cx.metrics.add(Metric::FinishedGoodsMade, u64::from(count));
        }
        self.output.serve(cx);
        self.update_gauges(cx);
        self.proceed(cx, around);
    }

    fn update_gauges(&self, cx: &mut Context<'_>) {
        let metrics = &mut *cx.metrics;
        metrics.set(Metric::BatchesProducedTotal, u64::from(self.output.made()));
        metrics.set(Metric::BatchesConsumedTotal, self.consumed);
        metrics.set(Metric::OutboundMaterialBuildup, self.output.stock().len());
        metrics.set(Metric::UnansweredBatchRequestsCurrent, self.inputs.unanswered() as u64);
    }

    /// Handles a message about orders and shipments; others are ignored.
    #[inline(never)]
    pub(crate) fn on_message(
        &mut self,
        cx: &mut Context<'_>,
        around: &Surroundings<'_>,
        from: NodeId,
        message: &Message,
    ) {
        match *message {
            Message::Order { order, is_repeated } if !around.is_retired => {
                self.output.on_order(cx, from, order, is_repeated);
                self.proceed(cx, around);
            }
            Message::OrderAck(status) => self.on_order_status(cx, around, from, status),
            Message::Shipment { batches, incarnation, order, settled } => {
                self.inputs.on_shipment(cx, from, batches, incarnation, order, settled);
                self.update_occupancy(cx);
            }
            Message::ShipmentAck(first) => self.output.on_shipment_ack(cx, from, first),
            _ => {}
        }
    }

    /// Handles the end of a transport.
    #[inline(never)]
    pub(crate) fn on_arrived(&mut self, cx: &mut Context<'_>, around: &Surroundings<'_>, first: BatchId) {
        self.inputs.on_arrived(cx, first);
        self.proceed(cx, around);
    }

    /// Handles what a supplier knows of this node's orders.
    fn on_order_status(
        &mut self,
        cx: &mut Context<'_>,
        around: &Surroundings<'_>,
        from: NodeId,
        status: OrderStatus,
    ) {
        if self.inputs.on_order_status(cx, from, status) {
            self.order_up(cx, around);
        }
    }

    /// Handles the incarnation of a supplier, and what it knows of this node's orders.
    pub(crate) fn on_heartbeat_response(
        &mut self,
        cx: &mut Context<'_>,
        around: &Surroundings<'_>,
        from: NodeId,
        incarnation: u32,
        status: OrderStatus,
    ) {
        self.inputs.on_incarnation(cx, from, incarnation, status);
        self.on_order_status(cx, around, from, status);
    }

    /// Announces overdue shipments again.
    #[inline(never)]
    pub(crate) fn retransmit_shipments(&mut self, cx: &mut Context<'_>) {
        self.output.retransmit_overdue(cx);
    }

    /// Sends overdue orders again, and redirects those to silent suppliers.
    #[inline(never)]
    pub(crate) fn retransmit_orders(&mut self, cx: &mut Context<'_>, around: &Surroundings<'_>) {
        self.inputs.retransmit_overdue(cx);
        self.redirect(cx, around);
    }

    /// Redirects the orders to silent or suspected suppliers.
    #[inline(never)]
    pub(crate) fn redirect(&mut self, cx: &mut Context<'_>, around: &Surroundings<'_>) {
        if let Some(assignment) = around.assignment() {
            self.inputs.review(cx, assignment, around.detector);
        }
        self.order_up(cx, around);
        self.proceed(cx, around);
    }
}
