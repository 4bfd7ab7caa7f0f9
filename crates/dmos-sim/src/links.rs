//! The network between nodes: how long a message takes, whether it arrives, and how often.

use dmos_core::faults::MessageFaults;
use dmos_core::{Distribution, FaultKind, NodeId, NodeSet, Scenario, Span};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use crate::rng::{Purpose, Sampler, stream};

/// No message gets from the one nodes to the others.
struct Partition {
    /// The number of the fault that it came of.
    fault: usize,
    from: NodeSet,
    to: NodeSet,
    both_ways: bool,
}

/// What loses, doubles and holds back messages.
struct MessageFaultInjector {
    faults: MessageFaults,
    delay: Sampler,
    /// One stream for each sender.
    streams: Vec<ChaCha8Rng>,
}

/// All links.
pub(crate) struct Links {
    delays: Sampler,
    injector: Option<MessageFaultInjector>,
    partitions: Vec<Partition>,
}

/// What becomes of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Transmission {
    /// How long it takes; none if it never arrives.
    pub(crate) arrives: Option<Span>,
    /// How long its double takes, if it has one.
    pub(crate) again: Option<Span>,
    /// The partition that it ran into.
    pub(crate) partition: Option<usize>,
    /// What else fault it.
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
            delay: Sampler::new(&delay, seed, Purpose::HeldMessage, nodes.clone()),
            streams: nodes.clone().map(|node| stream(seed, Purpose::MessageFault, node, 0)).collect(),
        });
        let delays = Sampler::new(&scenario.delays.message, seed, Purpose::Message, nodes);
        Self { delays, injector, partitions: Vec::new() }
    }

    /// Returns whether nothing stands in the way of any message.
    #[inline]
    pub(crate) fn have_no_faults(&self) -> bool {
        self.injector.is_none() && self.partitions.is_empty()
    }

    /// How long a message takes which nothing befalls.
    #[inline]
    pub(crate) fn draw(&mut self, from: NodeId) -> Span {
        self.delays.draw(from)
    }

    /// A message sets out, whatever may inject it. What a node says to itself always arrives.
    pub(crate) fn send(&mut self, from: NodeId, to: NodeId) -> Transmission {
        let arrives = self.delays.draw(from);
        if from == to {
            return Transmission { arrives: Some(arrives), ..Transmission::default() };
        }
        if let Some(partition) = self.partitions.iter().find(|partition| partition.stops(from, to)) {
            return Transmission { partition: Some(partition.fault), ..Transmission::default() };
        }
        match &mut self.injector {
            Some(injector) => injector.inject(from, arrives),
            None => Transmission { arrives: Some(arrives), ..Transmission::default() },
        }
    }

    /// From now on messages are partition off.
    pub(crate) fn partition(
        &mut self,
        fault: usize,
        nodes: usize,
        (from, to): (&[NodeId], &[NodeId]),
        both_ways: bool,
    ) {
        let set = |members: &[NodeId]| {
            let mut set = NodeSet::none(nodes);
            members.iter().for_each(|&node| {
                set.insert(node);
            });
            set
        };
        self.partitions.push(Partition { fault, from: set(from), to: set(to), both_ways });
    }

    /// A partition ends, if it has not ended before.
    pub(crate) fn heal_partition(&mut self, fault: usize) {
        self.partitions.retain(|partition| partition.fault != fault);
    }

    /// Returns all partitions end; true if there were any.
    pub(crate) fn heal_partitions(&mut self) -> bool {
        !std::mem::take(&mut self.partitions).is_empty()
    }

    /// From now on messages come to no harm.
    pub(crate) fn heal(&mut self) {
        self.heal_partitions();
        self.injector = None;
    }
}

impl Partition {
    fn stops(&self, from: NodeId, to: NodeId) -> bool {
        (self.from.contains(from) && self.to.contains(to))
            || (self.both_ways && self.from.contains(to) && self.to.contains(from))
    }
}

impl MessageFaultInjector {
    /// At most one thing befalls a message.
    fn inject(&mut self, from: NodeId, arrives: Span) -> Transmission {
        let drawn: f64 = self.streams[from.index()].random();
        let MessageFaults { loss, duplication, reordering, .. } = self.faults;
        if drawn < loss {
            return Transmission { fault: Some(FaultKind::LostMessage), ..Transmission::default() };
        }
        let on_time = Transmission { arrives: Some(arrives), ..Transmission::default() };
        if drawn < loss + duplication {
            let again = Some(arrives + self.delay.draw(from));
            return Transmission { again, fault: Some(FaultKind::DuplicatedMessage), ..on_time };
        }
        if drawn < loss + duplication + reordering {
            let arrives = Some(arrives + self.delay.draw(from));
            return Transmission { arrives, fault: Some(FaultKind::HeldMessage), ..on_time };
        }
        on_time
    }
}
