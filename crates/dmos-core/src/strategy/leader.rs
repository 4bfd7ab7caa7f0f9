//! Leader strategies: who plans.

use std::sync::Arc;

use crate::ids::{NodeId, Term};
use crate::time::{Span, Time};

/// Makes the election machine of each candidate.
pub trait LeaderStrategy: Send + Sync {
    /// The machine for the candidate that sits at `config`, before its start.
    fn election(&self, config: ElectionConfig) -> Box<dyn Election>;
}

/// Where a candidate sits.
#[derive(Clone, Debug)]
pub struct ElectionConfig {
    /// The candidate itself.
    pub me: NodeId,
    /// All candidates in ascending order, itself among them.
    pub candidates: Arc<[NodeId]>,
    /// The number from which a candidate draws whatever it draws; the same for all candidates of a run.
    pub seed: u64,
}

impl ElectionConfig {
    /// All other candidates, in ascending order.
    pub fn others(&self) -> impl DoubleEndedIterator<Item = NodeId> + '_ {
        self.candidates.iter().copied().filter(|&node| node != self.me)
    }

    /// The first term after `known` that belongs to this candidate: no other one ever gets the same from here.
    ///
    /// A term is a round and the candidate's place, so terms of different candidates differ.
    ///
    /// # Panics
    /// If the candidate is not among the candidates.
    #[must_use]
    pub fn own_term_after(&self, known: u64) -> u64 {
        let places = self.candidates.len() as u64;
        let place = self.candidates.iter().position(|&node| node == self.me);
        let place = place.expect("a candidate is among the candidates") as u64;
        (known / places + 1) * places + place
    }

    /// How many candidates are more than half of them.
    #[must_use]
    pub fn majority(&self) -> usize {
        self.candidates.len() / 2 + 1
    }
}

/// One candidate's part in an election: a machine without I/O.
///
/// Its messages are bytes of its own making; only machines of the same strategy read them.
pub trait Election: Send {
    /// Takes one input and says what is to be done.
    fn handle(&mut self, now: Time, input: ElectionInput<'_>, effects: &mut ElectionEffects);
}

/// What reaches an election machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ElectionInput<'a> {
    /// The node starts, for the first time or after a crash, with what was last written durably.
    Start {
        /// What [`ElectionEffects::durable`] last was, if ever.
        durable: Option<&'a [u8]>,
    },
    /// A message from another candidate.
    Message {
        /// Its sender.
        from: NodeId,
        /// Its content.
        bytes: &'a [u8],
    },
    /// A timer that the machine set.
    Timer(u32),
    /// A candidate has been silent for too long.
    Suspected(NodeId),
    /// A suspected candidate was heard of again.
    Trusted(NodeId),
    /// Somebody who is no machine says who leads, or led: another one under a later term than any known here, or
    /// this very node, which led before it crashed and is believed to lead still.
    LeaderLearned(NodeId, Term),
}

/// What an election machine wants done. The durable write is made before anything is sent.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ElectionEffects {
    /// Messages to candidates.
    pub sends: Vec<(NodeId, Box<[u8]>)>,
    /// Timers to set: how long from now, and the number to come back with.
    pub timers: Vec<(Span, u32)>,
    /// What must survive a crash, replacing what was written before.
    pub durable: Option<Box<[u8]>>,
    /// The leader and its term, as the machine now sees them, if that has changed.
    pub leader: Option<(NodeId, Term)>,
}
