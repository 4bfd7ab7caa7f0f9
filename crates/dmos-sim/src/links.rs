//! The network between nodes: how long a message takes, whether it arrives, and how often.

use dmos_core::faults::MessageFaults;
use dmos_core::{Distribution, FaultKind, NodeId, NodeSet, Scenario, Span};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use crate::streams::{Purpose, Sampler, stream};

/// No message gets from the one nodes to the others.
struct Cut {
    /// The number of the fault that it came of.
    fault: usize,
    from: NodeSet,
    to: NodeSet,
    both_ways: bool,
}

/// What loses, doubles and holds back messages.
struct Mischief {
    faults: MessageFaults,
    delay: Sampler,
    /// One stream for each sender.
    streams: Vec<ChaCha8Rng>,
}

/// All links.
pub(crate) struct Links {
    delays: Sampler,
    mischief: Option<Mischief>,
    cuts: Vec<Cut>,
}

/// What becomes of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Fate {
    /// How long it takes; none if it never arrives.
    pub(crate) arrives: Option<Span>,
    /// How long its double takes, if it has one.
    pub(crate) again: Option<Span>,
    /// The cut that it ran into.
    pub(crate) cut: Option<usize>,
    /// What else befell it.
    pub(crate) befell: Option<FaultKind>,
}

impl Links {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let (seed, nodes) = (scenario.seed, scenario.network.nodes());
        let faults = &scenario.faults.messages;
        let is_faulty = faults.loss > 0.0 || faults.duplication > 0.0 || faults.reordering > 0.0;
        let delay = faults.delay.clone().unwrap_or(Distribution::Fixed(Span::from_secs(1)));
        let mischief = is_faulty.then(|| Mischief {
            faults: faults.clone(),
            delay: Sampler::new(&delay, seed, Purpose::HeldMessage, nodes.clone()),
            streams: nodes.clone().map(|node| stream(seed, Purpose::MessageFault, node, 0)).collect(),
        });
        let delays = Sampler::new(&scenario.delays.message, seed, Purpose::Message, nodes);
        Self { delays, mischief, cuts: Vec::new() }
    }

    /// Whether nothing stands in the way of any message.
    #[inline]
    pub(crate) fn are_undisturbed(&self) -> bool {
        self.mischief.is_none() && self.cuts.is_empty()
    }

    /// How long a message takes which nothing befalls.
    #[inline]
    pub(crate) fn draw(&mut self, from: NodeId) -> Span {
        self.delays.draw(from)
    }

    /// A message sets out, whatever may befall it. What a node says to itself always arrives.
    pub(crate) fn send(&mut self, from: NodeId, to: NodeId) -> Fate {
        let arrives = self.delays.draw(from);
        if from == to {
            return Fate { arrives: Some(arrives), ..Fate::default() };
        }
        if let Some(cut) = self.cuts.iter().find(|cut| cut.stops(from, to)) {
            return Fate { cut: Some(cut.fault), ..Fate::default() };
        }
        match &mut self.mischief {
            Some(mischief) => mischief.befall(from, arrives),
            None => Fate { arrives: Some(arrives), ..Fate::default() },
        }
    }

    /// From now on messages are cut off.
    pub(crate) fn cut(
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
        self.cuts.push(Cut { fault, from: set(from), to: set(to), both_ways });
    }

    /// A cut ends, if it has not ended before.
    pub(crate) fn mend(&mut self, fault: usize) {
        self.cuts.retain(|cut| cut.fault != fault);
    }

    /// All cuts end; true if there were any.
    pub(crate) fn mend_all(&mut self) -> bool {
        !std::mem::take(&mut self.cuts).is_empty()
    }

    /// From now on messages come to no harm.
    pub(crate) fn heal(&mut self) {
        self.mend_all();
        self.mischief = None;
    }
}

impl Cut {
    fn stops(&self, from: NodeId, to: NodeId) -> bool {
        (self.from.contains(from) && self.to.contains(to))
            || (self.both_ways && self.from.contains(to) && self.to.contains(from))
    }
}

impl Mischief {
    /// At most one thing befalls a message.
    fn befall(&mut self, from: NodeId, arrives: Span) -> Fate {
        let drawn: f64 = self.streams[from.index()].random();
        let MessageFaults { loss, duplication, reordering, .. } = self.faults;
        if drawn < loss {
            return Fate { befell: Some(FaultKind::LostMessage), ..Fate::default() };
        }
        let on_time = Fate { arrives: Some(arrives), ..Fate::default() };
        if drawn < loss + duplication {
            let again = Some(arrives + self.delay.draw(from));
            return Fate { again, befell: Some(FaultKind::DuplicatedMessage), ..on_time };
        }
        if drawn < loss + duplication + reordering {
            let arrives = Some(arrives + self.delay.draw(from));
            return Fate { arrives, befell: Some(FaultKind::HeldMessage), ..on_time };
        }
        on_time
    }
}
