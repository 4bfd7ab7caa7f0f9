//! Links between nodes: message delays, message faults and partitions.

use dmos_core::faults::{LinkFault, MessageFaults};
use dmos_core::{Distribution, FaultKind, NodeId, NodeSet, Route, Scenario, Span};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use crate::rng::{Purpose, RouteSampler, Sampler, stream};

/// A partition: messages from some nodes to others are lost.
struct Partition {
    /// Number of the fault that caused it.
    fault: usize,
    from: NodeSet,
    to: NodeSet,
    both_directions: bool,
}

/// A burst of message loss from some nodes to others.
struct LossyLinks {
    /// Number of the fault that caused it.
    fault: usize,
    from: NodeSet,
    to: NodeSet,
    loss: f64,
    stream: ChaCha8Rng,
}

/// Injects losses, duplicates and delays of messages.
struct MessageFaultInjector {
    faults: MessageFaults,
    delay: Sampler,
    /// One random stream per sender.
    streams: Vec<ChaCha8Rng>,
}

/// All links of the network.
pub(crate) struct Links {
    /// Number of nodes.
    nodes: usize,
    delays: RouteSampler,
    injector: Option<MessageFaultInjector>,
    partitions: Vec<Partition>,
    lossy: Vec<LossyLinks>,
    seed: u64,
}

/// The outcome of sending a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Transmission {
    /// Delay until arrival, or `None` if the message is lost.
    pub(crate) delay: Option<Span>,
    /// Delay until the arrival of a duplicate, if there is one.
    pub(crate) duplicate_delay: Option<Span>,
    /// Number of the fault of links that lost the message.
    pub(crate) link_fault: Option<usize>,
    /// Fault that was injected into the message.
    pub(crate) fault: Option<FaultKind>,
}

impl Links {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let (seed, nodes) = (scenario.seed, scenario.network.nodes());
        let faults = &scenario.faults.messages;
        let is_faulty = faults.loss > 0.0 || faults.duplication > 0.0 || faults.reordering > 0.0;
        let delay = faults.delay.clone().unwrap_or(Distribution::Fixed(Span::from_secs(1)));
        let injector = is_faulty.then(|| MessageFaultInjector {
            faults: faults.clone(),
            delay: Sampler::new(&delay, seed, Purpose::ReorderedMessage, nodes.clone()),
            streams: nodes.clone().map(|node| stream(seed, Purpose::MessageFault, node, 0)).collect(),
        });
        let delays = RouteSampler::new(&scenario.routes, Route::message, seed, Purpose::Message, nodes);
        Self {
            nodes: scenario.network.node_count(),
            delays,
            injector,
            partitions: Vec::new(),
            lossy: Vec::new(),
            seed,
        }
    }

    /// Returns whether no message can be affected by a fault.
    #[inline]
    pub(crate) fn are_fault_free(&self) -> bool {
        self.injector.is_none() && self.partitions.is_empty() && self.lossy.is_empty()
    }

    /// Samples the delay of a message without faults.
    #[inline]
    pub(crate) fn sample(&mut self, from: NodeId, to: NodeId) -> Span {
        self.delays.sample(from, from, to)
    }

    /// Samples the outcome of sending a message. Messages of a node to itself always arrive.
    pub(crate) fn send(&mut self, from: NodeId, to: NodeId) -> Transmission {
        let delay = self.delays.sample(from, from, to);
        if from == to {
            return Transmission { delay: Some(delay), ..Transmission::default() };
        }
        if let Some(partition) = self.partitions.iter().find(|partition| partition.blocks(from, to)) {
            return Transmission { link_fault: Some(partition.fault), ..Transmission::default() };
        }
        let mut lossy = self.lossy.iter_mut();
        if let Some(burst) = lossy.find_map(|burst| burst.sample_loss(from, to).then_some(burst.fault)) {
            return Transmission {
                link_fault: Some(burst),
                fault: Some(FaultKind::LostMessage),
                ..Transmission::default()
            };
        }
        match &mut self.injector {
            Some(injector) => injector.inject(from, delay),
            None => Transmission { delay: Some(delay), ..Transmission::default() },
        }
    }

    /// Injects a fault with this number. Returns whether it already has an effect; otherwise it is effective once
    /// it affects a message.
    pub(crate) fn inject(&mut self, number: usize, fault: &LinkFault) -> bool {
        match fault {
            LinkFault::Partition { from, to, both_directions } => {
                let (from, to) = (self.set(from), self.set(to));
                self.partitions.push(Partition {
                    fault: number,
                    from,
                    to,
                    both_directions: *both_directions,
                });
                false
            }
            LinkFault::Lossy { from, to, loss } => {
                let (from, to) = (self.set(from), self.set(to));
                let index = u32::try_from(number).expect("fewer than 2^32 faults");
                // Index 0 is the stream of faults that affect all messages of the first node.
                let stream = stream(self.seed, Purpose::MessageFault, NodeId::new(0), index + 1);
                self.lossy.push(LossyLinks { fault: number, from, to, loss: *loss, stream });
                false
            }
            LinkFault::Heal => self.heal_faults(),
        }
    }

    /// Ends the fault with this number, if it has not ended before.
    pub(crate) fn end_fault(&mut self, number: usize) {
        self.partitions.retain(|partition| partition.fault != number);
        self.lossy.retain(|burst| burst.fault != number);
    }

    /// Ends all scripted faults of links and returns whether there were any.
    fn heal_faults(&mut self) -> bool {
        let had_partitions = !std::mem::take(&mut self.partitions).is_empty();
        let had_losses = !std::mem::take(&mut self.lossy).is_empty();
        had_partitions || had_losses
    }

    fn set(&self, members: &[NodeId]) -> NodeSet {
        let mut set = NodeSet::none(self.nodes);
        members.iter().for_each(|&node| {
            set.insert(node);
        });
        set
    }

    /// Ends all faults of links and messages.
    pub(crate) fn heal(&mut self) {
        self.heal_faults();
        self.injector = None;
    }
}

impl Partition {
    fn blocks(&self, from: NodeId, to: NodeId) -> bool {
        (self.from.contains(from) && self.to.contains(to))
            || (self.both_directions && self.from.contains(to) && self.to.contains(from))
    }
}

impl LossyLinks {
    /// Samples whether a message is lost.
    fn sample_loss(&mut self, from: NodeId, to: NodeId) -> bool {
        self.from.contains(from) && self.to.contains(to) && self.stream.random::<f64>() < self.loss
    }
}

impl MessageFaultInjector {
    /// Injects at most one fault into a message.
    fn inject(&mut self, from: NodeId, delay: Span) -> Transmission {
        let number: f64 = self.streams[from.index()].random();
        let MessageFaults { loss, duplication, reordering, .. } = self.faults;
        if number < loss {
            return Transmission { fault: Some(FaultKind::LostMessage), ..Transmission::default() };
        }
        let on_time = Transmission { delay: Some(delay), ..Transmission::default() };
        if number < loss + duplication {
            let duplicate_delay = Some(delay + self.delay.sample(from));
            return Transmission { duplicate_delay, fault: Some(FaultKind::DuplicatedMessage), ..on_time };
        }
        if number < loss + duplication + reordering {
            let delay = Some(delay + self.delay.sample(from));
            return Transmission { delay, fault: Some(FaultKind::ReorderedMessage), ..on_time };
        }
        on_time
    }
}
