//! Leader strategies: election of the node that plans.

use std::fmt;
use std::sync::Arc;

use dyn_clone::DynClone;

use crate::ids::{NodeId, Term};
use crate::time::{Span, Time};

/// A leader-election algorithm: creates the election of each candidate.
///
/// ```
/// use dmos_core::Time;
/// use dmos_core::strategy::{Election, ElectionConfig, ElectionEffects, ElectionInput, LeaderStrategy};
///
/// /// The first candidate leads, and is not replaced when it fails.
/// struct FirstCandidate;
///
/// /// The part of one candidate.
/// #[derive(Clone, Debug)]
/// struct Candidate(ElectionConfig);
///
/// impl LeaderStrategy for FirstCandidate {
///     fn election(&self, config: ElectionConfig) -> Box<dyn Election> {
///         Box::new(Candidate(config))
///     }
/// }
///
/// impl Election for Candidate {
///     fn handle(&mut self, _now: Time, input: ElectionInput<'_>, effects: &mut ElectionEffects) {
///         if let ElectionInput::Start { durable } = input
///             && self.0.candidates.first() == Some(&self.0.me)
///         {
///             // Each start leads in a later term, which is durable before it is announced.
///             let known = durable.map_or(0, |bytes| u64::from(bytes[0]));
///             let term = dmos_core::Term(self.0.own_term_after(known));
///             effects.durable = Some(Box::new([term.0 as u8]));
///             effects.leader = Some((self.0.me, term));
///         }
///     }
/// }
/// ```
pub trait LeaderStrategy: Send + Sync {
    /// Returns the election of one candidate, before its start.
    fn election(&self, config: ElectionConfig) -> Box<dyn Election>;
}

/// Configuration of one candidate's election.
#[derive(Clone, Debug)]
pub struct ElectionConfig {
    /// This candidate.
    pub me: NodeId,
    /// All candidates in ascending order, including this one.
    pub candidates: Arc<[NodeId]>,
    /// Seed of the candidates' random choices; the same for all candidates of a run.
    pub seed: u64,
}

impl ElectionConfig {
    /// Returns all other candidates, in ascending order.
    pub fn others(&self) -> impl DoubleEndedIterator<Item = NodeId> + '_ {
        self.candidates.iter().copied().filter(|&node| node != self.me)
    }

    /// Returns the first term after `known` that is reserved for this candidate: no other candidate ever gets
    /// the same.
    ///
    /// A term is a round times the number of candidates plus the candidate's index, so terms of different
    /// candidates differ.
    ///
    /// # Panics
    /// If this node is not among the candidates.
    #[must_use]
    pub fn own_term_after(&self, known: u64) -> u64 {
        let places = self.candidates.len() as u64;
        let place = self.candidates.iter().position(|&node| node == self.me);
        let place = place.expect("a candidate is among the candidates") as u64;
        (known / places + 1) * places + place
    }

    /// Returns the size of a majority of the candidates.
    #[must_use]
    pub fn majority(&self) -> usize {
        self.candidates.len() / 2 + 1
    }
}

/// One candidate's part in an election: a state machine without I/O.
///
/// Its messages are opaque bytes; only elections of the same strategy read them. [`LeaderStrategy`] has an
/// example.
///
/// Elections are `Clone` and `Debug`, so that conformance explores them exhaustively: two states of the same
/// text are the same.
pub trait Election: DynClone + fmt::Debug + Send {
    /// Handles one input and appends the resulting effects.
    fn handle(&mut self, now: Time, input: ElectionInput<'_>, effects: &mut ElectionEffects);
}

dyn_clone::clone_trait_object!(Election);

/// Input of an election.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ElectionInput<'a> {
    /// The node starts, for the first time or after a crash.
    Start {
        /// The last [`ElectionEffects::durable`], if any.
        durable: Option<&'a [u8]>,
    },
    /// A message from another candidate.
    Message {
        /// The sender.
        from: NodeId,
        /// The content.
        bytes: &'a [u8],
    },
    /// A timer that the election set.
    Timer(u32),
    /// A candidate has been silent for longer than tolerated.
    Suspected(NodeId),
    /// A suspected candidate has answered again.
    Trusted(NodeId),
    /// A leader and its term became known from outside the election. Either another node leads in a later term
    /// than any known to this node, or other nodes consider this node the leader: because it led before it
    /// crashed, or because it leads in a term earlier than this one.
    LeaderLearned(NodeId, Term),
}

/// Effects of an election. The durable write precedes the messages.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ElectionEffects {
    /// Messages to candidates.
    pub sends: Vec<(NodeId, Box<[u8]>)>,
    /// Timers to be set: the delay, and the number to be returned.
    pub timers: Vec<(Span, u32)>,
    /// State that must survive a crash; replaces what was written before.
    pub durable: Option<Box<[u8]>>,
    /// The leader and its term in the view of this candidate, if that has changed.
    pub leader: Option<(NodeId, Term)>,
    /// True if this candidate no longer leads although it knows no other leader.
    pub steps_down: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(me: usize, candidates: &[usize]) -> ElectionConfig {
        let candidates = candidates.iter().map(|&node| NodeId::new(node)).collect();
        ElectionConfig { me: NodeId::new(me), candidates, seed: 1 }
    }

    #[test]
    fn each_candidate_has_terms_of_its_own() {
        let candidates = [2, 5, 9];
        let terms = |me: usize| [0, 1, 3, 4, 5, 6].map(|known| config(me, &candidates).own_term_after(known));
        assert_eq!(terms(2), [3, 3, 6, 6, 6, 9]);
        assert_eq!(terms(5), [4, 4, 7, 7, 7, 10]);
        assert_eq!(terms(9), [5, 5, 8, 8, 8, 11]);
    }

    #[test]
    fn a_majority_is_more_than_half() {
        let majority = |count: usize| config(0, &(0..count).collect::<Vec<_>>()).majority();
        assert_eq!([1, 2, 3, 4, 5].map(majority), [1, 2, 2, 3, 3]);
        let others: Vec<_> = config(5, &[2, 5, 9]).others().map(|node| node.index()).collect();
        assert_eq!(others, [2, 9]);
    }
}
