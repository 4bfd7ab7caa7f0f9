//! What happened in a run, event by event: noted as it is, and put into words afterwards.

use std::fmt::{self, Display, Write};
use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use dmos_core::{BatchId, FlowVersion, Network, NodeId, RequestId, RunRecord, Scenario, Time};
use dmos_node::{Message, Timer};

use super::{Event, FaultEnd, Piece, Simulator};
use crate::message_store::MessageStore;
use crate::workers::{Completion, WorkerId};

/// All events of a run, in order: 32 bytes each, and what their messages say.
pub struct Trace {
    network: Arc<Network>,
    events: Vec<(Time, Event)>,
    /// The messages of all of them.
    mail: MessageStore,
}

/// Simulates a scenario from beginning to end, and notes its events.
#[must_use]
pub fn run_traced(scenario: &Scenario) -> (RunRecord, Trace) {
    Simulator::new(scenario).run_traced()
}

impl Simulator<'_> {
    pub(super) fn run_traced(self) -> (RunRecord, Trace) {
        let network = Arc::clone(&self.scenario.network);
        let mut trace = Trace { network, events: Vec::new(), mail: MessageStore::default() };
        let record = self.run(|at, event, mail| {
            let event = match event {
                Event::Message { to, from, message } => {
                    let message = trace.mail.put(mail.get(message).clone());
                    Event::Message { to, from, message }
                }
                event => event,
            };
            trace.events.push((at, event));
        });
        (record, trace)
    }
}

impl Trace {
    /// Returns the number of events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Returns whether there were none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// One number for all events and their order. It means something only to the same build.
    #[must_use]
    pub fn hash(&self) -> u64 {
        // `DefaultHasher::new` has fixed keys: unlike those of maps, its hashes are the same each time.
        let mut hashed = Hashed(DefaultHasher::new());
        self.lines().for_each(|line| write!(hashed, "{line}").expect("hashing text cannot fail"));
        hashed.0.finish()
    }

    /// Returns the events in words, one line each: when, who, and what.
    pub fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        (0..self.len()).map(|number| Line { trace: self, number })
    }

    /// Returns the number of the first event that another run has not the same, counted from 0; none if there is none.
    pub(crate) fn first_difference(&self, other: &Self) -> Option<usize> {
        let is_same = |nth: usize| self.events[nth] == other.events[nth] && self.says(nth) == other.says(nth);
        let both = self.len().min(other.len());
        let differs = (0..both).find(|&nth| !is_same(nth));
        differs.or_else(|| (self.len() != other.len()).then_some(both))
    }

    /// What the message of an event says, if it has one.
    fn says(&self, nth: usize) -> Option<&Message> {
        self.events[nth].1.mail().map(|message| self.mail.get(message))
    }

    /// One event in words, if there are so many.
    pub(crate) fn line(&self, number: usize) -> Option<String> {
        (number < self.len()).then(|| Line { trace: self, number }.to_string())
    }
}

/// One event in words.
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
            Event::Start(node) => write!(f, "{}: starts", name(node)),
            Event::Message { to, from, message } => {
                write!(f, "{}: from {}: ", name(to), name(from))?;
                say(f, &self.trace.network, self.trace.mail.get(message))
            }
            Event::Own { node, epoch, completion } => {
                write!(f, "{}: ", name(node))?;
                match completion {
                    Completion::Timer(Timer::Election(timer)) => write!(f, "election timer {timer}"),
                    Completion::Timer(timer) => write!(f, "timer {timer:?}"),
                    Completion::Arrived(batch) => {
                        write!(f, "batch {} of {} arrives", batch.serial, name(batch.producer))
                    }
                    Completion::Planned(plan) => write!(f, "plan {plan} is ready"),
                }?;
                match epoch {
                    0 => Ok(()),
                    epoch => write!(f, ", set in epoch {epoch}"),
                }
            }
            Event::WorkDone(Piece { node, worker, incarnation }) => {
                let worker = match worker {
                    WorkerId::Messages => "messages",
                    WorkerId::Stage => "the stage",
                    WorkerId::Heartbeats => "heartbeats",
                    WorkerId::Planner => "plans",
                    WorkerId::Publisher => "sending",
                };
                write!(f, "{}: work on {worker} is done, of incarnation {incarnation}", name(node))
            }
            Event::SharedCpuTick => f.write_str("the shared_cpu: a piece of work is done"),
            Event::OpGeneratorTurn => f.write_str("the op_generator's turn"),
            Event::ScriptedFault(number) => write!(f, "fault {number} of the script"),
            Event::RandomFailures { distribution, node } => {
                write!(f, "{}: fails by distribution {distribution}", name(node))
            }
            Event::FaultEnd(FaultEnd::Down { node, incarnation }) => {
                write!(f, "{}: is repaired, if in incarnation {incarnation}", name(node))
            }
            Event::FaultEnd(FaultEnd::Frozen { node, fault }) => {
                write!(f, "{}: goes on after fault {fault}", name(node))
            }
            Event::FaultEnd(FaultEnd::Slow { node, fault }) => {
                write!(f, "{}: is fast again after fault {fault}", name(node))
            }
            Event::FaultEnd(FaultEnd::Partition { fault }) => {
                write!(f, "the partition of fault {fault} is over")
            }
            Event::HealAll => f.write_str("nothing fails any more"),
            Event::Sample => f.write_str("a look at the whole network"),
        }
    }
}

/// What a message says.
fn say(f: &mut fmt::Formatter<'_>, network: &Network, message: &Message) -> fmt::Result {
    let name = |node: NodeId| network.node_name(node);
    let number = |request: RequestId| format!("request {}.{}", request.incarnation, request.number);
    let batch = |batch: BatchId| format!("batch {} of {}", batch.serial, name(batch.producer));
    let flow = |version: FlowVersion| format!("flow {}.{}", version.term, version.number);
    match message {
        Message::Request { request, item } => {
            write!(f, "{}: a batch of {}, please", number(*request), network.item_name(*item))
        }
        Message::Announcement { request, batch: sent, settled } => {
            write!(f, "{} is yours", batch(*sent))?;
            request.map_or(Ok(()), |request| write!(f, ", for {}", number(request)))?;
            write!(f, "; all before {settled} are settled")
        }
        Message::Unavailable { request } => write!(f, "{}: there is none", number(*request)),
        Message::TransitStarted(sent) => write!(f, "{} is in transit", batch(*sent)),
        Message::Delivered(sent) => write!(f, "{} is here", batch(*sent)),
        Message::HeartbeatRequest => f.write_str("are you alive?"),
        Message::HeartbeatResponse => f.write_str("I am alive"),
        Message::Suspicion(node) => write!(f, "{} has been silent for too long", name(*node)),
        Message::Assignment(version, part) => {
            write!(f, "your part of {}, {} edges", flow(*version), part.edge_count())
        }
        Message::AssignmentAck(version) => write!(f, "I have my part of {}", flow(*version)),
        Message::Rejoin => f.write_str("I am back"),
        Message::Leader(node, term) => write!(f, "{} leads in term {term}", name(*node)),
        Message::NodeConfig(standing) => write!(f, "where my commands leave me: {standing:?}"),
        Message::NodeConfigAck(term, commands) => write!(f, "I know of {commands} commands, in term {term}"),
        Message::Election(bytes) => {
            f.write_str("for the election: ")?;
            bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
        }
    }
}

/// Feeds text to a hasher.
struct Hashed(DefaultHasher);

impl Write for Hashed {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}
