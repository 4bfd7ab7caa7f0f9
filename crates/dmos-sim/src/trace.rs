//! Traces: the events of a run, stored as they occur and formatted afterwards.

use std::fmt::{self, Display, Write};
use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use dmos_core::{BatchId, FlowVersion, Network, NodeId, RequestId, RunRecord, Scenario, Time};
use dmos_node::{LinksRevision, Membership, Message, OrderStatus, Timer};

use crate::cpu::{Task, WorkerId};
use crate::event::{Completion, Event, FaultEnd};
use crate::simulator::Simulator;
use crate::transport::MessageStore;

/// All events of a run, in order: 32 bytes each, and their messages.
pub struct Trace {
    network: Arc<Network>,
    events: Vec<(Time, Event)>,
    /// Messages of the events.
    messages: MessageStore,
}

/// Simulates a scenario from beginning to end, and records its events.
#[must_use]
pub fn run_traced(scenario: &Scenario) -> (RunRecord, Trace) {
    Trace::record(&scenario.network, Simulator::new(scenario))
}

impl Trace {
    /// Runs a simulator to the end, and records its events.
    pub(crate) fn record(network: &Arc<Network>, simulator: Simulator<'_>) -> (RunRecord, Self) {
        let network = Arc::clone(network);
        let mut trace = Self { network, events: Vec::new(), messages: MessageStore::default() };
        let record = simulator.run(|at, event, messages| {
            let event = match event {
                Event::Message { to, from, message } => {
                    let message = trace.messages.put(messages.get(message).clone());
                    Event::Message { to, from, message }
                }
                event => event,
            };
            trace.events.push((at, event));
        });
        (record, trace)
    }

    /// Returns the number of events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Returns whether the trace is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Returns a hash of all events and their order. It is only comparable within one build.
    #[must_use]
    pub fn hash(&self) -> u64 {
        // `DefaultHasher::new` has fixed keys, unlike the hashers of maps, so the hash is reproducible.
        let mut hashed = Hashed(DefaultHasher::new());
        self.lines().for_each(|line| write!(hashed, "{line}").expect("hashing text cannot fail"));
        hashed.0.finish()
    }

    /// Returns one line per event: time, node and description.
    pub fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        (0..self.len()).map(|number| Line { trace: self, number })
    }

    /// Returns the index of the first event in which two traces differ, or `None` if they are equal.
    pub(crate) fn first_difference(&self, other: &Self) -> Option<usize> {
        let is_same = |nth: usize| {
            self.events[nth] == other.events[nth] && self.message_of(nth) == other.message_of(nth)
        };
        let both = self.len().min(other.len());
        let differs = (0..both).find(|&nth| !is_same(nth));
        differs.or_else(|| (self.len() != other.len()).then_some(both))
    }

    /// Returns the message of an event, if it has one.
    fn message_of(&self, nth: usize) -> Option<&Message> {
        self.events[nth].1.message_id().map(|message| self.messages.get(message))
    }

    /// Returns the line of an event, if the trace is that long.
    pub(crate) fn line(&self, number: usize) -> Option<String> {
        (number < self.len()).then(|| Line { trace: self, number }.to_string())
    }
}

/// The line of one event.
pub struct Line<'a> {
    trace: &'a Trace,
    number: usize,
}

impl Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, event) = self.trace.events[self.number];
        let name = |node: NodeId| self.trace.network.node_name(node);
        write!(f, "{:.6} ", at.as_secs_f64())?;
        match event {
            Event::Start(node) => write!(f, "{}: start", name(node)),
            Event::Message { to, from, message } => {
                write!(f, "{}: message from {}: ", name(to), name(from))?;
                write_message(f, &self.trace.network, self.trace.messages.get(message))
            }
            Event::Completion { node, epoch, completion } => {
                write!(f, "{}: ", name(node))?;
                match completion {
                    Completion::Timer(Timer::Election(timer)) => write!(f, "election timer {timer} expires"),
                    Completion::Timer(timer) => write!(f, "timer {timer:?} expires"),
                    Completion::Arrived(batch) => {
                        write!(f, "batch {} of {} arrives", batch.serial, name(batch.producer))
                    }
                    Completion::Planned(plan) => write!(f, "plan {plan} is ready"),
                }?;
                match epoch {
                    0 => Ok(()),
                    epoch => write!(f, " (epoch {epoch})"),
                }
            }
            Event::TaskEnd(Task { node, worker, incarnation }) => {
                let worker = match worker {
                    WorkerId::Messages => "messages",
                    WorkerId::Production => "production",
                    WorkerId::Heartbeats => "heartbeats",
                    WorkerId::Planner => "planning",
                    WorkerId::Publisher => "sending",
                };
                write!(f, "{}: {worker} worker: task ends (incarnation {incarnation})", name(node))
            }
            Event::SharedCpuTick => f.write_str("shared CPU: a task ends"),
            Event::OpGeneratorCycle => f.write_str("op generator: cycle"),
            Event::ScriptedFault(number) => write!(f, "scripted fault {number}"),
            Event::RandomFailure { entry, node } => {
                write!(f, "{}: random failure (random_failures[{entry}])", name(node))
            }
            Event::FaultEnd(FaultEnd::Down { node, incarnation }) => {
                write!(f, "{}: repair (if still in incarnation {incarnation})", name(node))
            }
            Event::FaultEnd(FaultEnd::Frozen { node, fault }) => {
                write!(f, "{}: end of freeze by fault {fault}", name(node))
            }
            Event::FaultEnd(FaultEnd::Slow { node, fault }) => {
                write!(f, "{}: end of slow-down by fault {fault}", name(node))
            }
            Event::FaultEnd(FaultEnd::Links { fault }) => {
                write!(f, "end of fault {fault} of links")
            }
            Event::HealAll => f.write_str("all faults are healed"),
            Event::Sample => f.write_str("sample of the time series"),
            Event::WarmUpEnd => f.write_str("end of the warm-up"),
        }
    }
}

/// Writes a description of a message.
fn write_message(f: &mut fmt::Formatter<'_>, network: &Network, message: &Message) -> fmt::Result {
    let name = |node: NodeId| network.node_name(node);
    let number = |request: RequestId| format!("request {}.{}", request.incarnation, request.number);
    let batch = |batch: BatchId| format!("batch {} of {}", batch.serial, name(batch.producer));
    let flow = |version: FlowVersion| format!("flow {}.{}", version.term, version.number);
    match message {
        Message::Request { request, item } => {
            write!(f, "{} for a batch of {}", number(*request), network.item_name(*item))
        }
        Message::Announcement { request, batch: sent, settled } => {
            write!(f, "{} announced", batch(*sent))?;
            request.map_or(Ok(()), |request| write!(f, ", for {}", number(request)))?;
            write!(f, "; settled before {settled}")
        }
        Message::Unavailable { request } => write!(f, "{} refused, none available", number(*request)),
        Message::TransitStarted(sent) => write!(f, "{} in transit", batch(*sent)),
        Message::Delivered(sent) => write!(f, "{} delivered", batch(*sent)),
        Message::Order { order, is_repeated } => {
            let repeated = if *is_repeated { ", repeated" } else { "" };
            write!(
                f,
                "order {}.{} for a total of {} batches{repeated}",
                order.incarnation, order.number, order.total
            )
        }
        Message::OrderAck(OrderStatus { incarnation, number, shipped }) => {
            write!(f, "order {incarnation}.{number} waits; {shipped} batches shipped")
        }
        Message::Shipment { batches, order, settled, .. } => {
            let first = batch(batches.first);
            write!(
                f,
                "shipment of {} from {first} on, after order {order}; settled before {settled}",
                batches.count
            )
        }
        Message::ShipmentAck(first) => write!(f, "shipment from {} on acknowledged", batch(*first)),
        Message::HeartbeatRequest => f.write_str("heartbeat request"),
        Message::HeartbeatResponse { .. } => f.write_str("heartbeat response"),
        Message::Suspicion(node) => write!(f, "{} suspected", name(*node)),
        Message::Assignment(version, assignment) => {
            write!(f, "assignment in {}, {} edges", flow(*version), assignment.edge_count())
        }
        Message::AssignmentAck(version) => write!(f, "assignment in {} acknowledged", flow(*version)),
        Message::Rejoin => f.write_str("rejoin"),
        Message::Leader(node, term) => write!(f, "{} leads in term {term}", name(*node)),
        Message::NodeConfig(config) => write!(f, "configuration {config:?}"),
        Message::NodeConfigAck(term, commands) => {
            write!(f, "{commands} commands acknowledged, in term {term}")
        }
        Message::Membership(message) => write_membership(f, network, message),
        Message::Relayed(relayed) => write!(
            f,
            "relayed message {} from {} to {}, {} hops left",
            relayed.number,
            name(relayed.origin),
            name(relayed.target),
            relayed.hops_left
        ),
        Message::Election(bytes) => {
            f.write_str("election ")?;
            bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
        }
    }
}

/// Writes a description of a message about the membership.
fn write_membership(f: &mut fmt::Formatter<'_>, network: &Network, message: &Membership) -> fmt::Result {
    match message {
        Membership::Present(term) => write!(f, "leader of term {term} heard"),
        Membership::Alive(node) => write!(f, "{} is alive", network.node_name(*node)),
        Membership::Links { revision: LinksRevision { incarnation, number }, broken } => {
            let names: Vec<_> = broken.iter().map(|&node| network.node_name(node)).collect();
            write!(f, "links {incarnation}.{number}, broken: [{}]", names.join(", "))
        }
        Membership::LinksAck(term, LinksRevision { incarnation, number }) => {
            write!(f, "links {incarnation}.{number} acknowledged, in term {term}")
        }
    }
}

/// Passes text to a hasher.
struct Hashed(DefaultHasher);

impl Write for Hashed {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}
