//! Descriptors of strategies, their families and their guarantees.

use std::fmt;

use super::detector::DetectorStrategy;
use super::flow::FlowStrategy;
use super::leader::LeaderStrategy;
use super::params::{ParamKind, ParamSpec, Params};

/// Describes a strategy and constructs it.
pub struct Descriptor<S: ?Sized + 'static> {
    /// Name in scenario files and on the command line.
    pub name: &'static str,
    /// One-line description.
    pub summary: &'static str,
    /// Source in the literature.
    pub source: &'static str,
    /// Strengths, limits and conditions, shown to users.
    pub notes: &'static str,
    /// Guarantees, for given parameters. The invariant checker verifies them in every run, the conformance
    /// suite on generated networks.
    pub guarantees: fn(&Params) -> &'static [Guarantee],
    /// The parameters.
    pub params: &'static [ParamSpec],
    /// Constructs the strategy from parameters that match `params`.
    pub build: fn(&Params) -> Box<S>,
}

impl<S: ?Sized> Descriptor<S> {
    /// Returns whether the strategy can be chosen by its name alone, without a required parameter.
    #[must_use]
    pub fn stands_alone(&self) -> bool {
        !self.params.iter().any(|spec| matches!(spec.kind, ParamKind::Text))
    }
}

/// A family of strategies. No two strategies of a family have the same name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Family {
    /// Strategies that plan flows.
    Flow,
    /// Strategies that elect leaders.
    Leader,
    /// Failure detectors.
    Detector,
}

impl Family {
    /// All families.
    pub const ALL: [Self; 3] = [Self::Flow, Self::Leader, Self::Detector];

    /// Returns the name of the option and of the field in scenario files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Flow => "flow",
            Self::Leader => "leader",
            Self::Detector => "detector",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A guarantee of a strategy, which others verify.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Guarantee {
    /// Flow: finds a flow whenever one exists.
    FindsFlow,
    /// Flow: the steps of a plan are linear in the entries of the recipes, the nodes and the chosen edges.
    LinearTime,
    /// Leader: no two nodes lead in the same term.
    OneLeaderPerTerm,
    /// Leader: once nothing fails any more, one node becomes the only leader if a candidate is up.
    OneLeaderEventually,
    /// Leader: once nothing fails any more, one node becomes the only leader if a majority of the candidates
    /// is up.
    LeaderByMajority,
    /// Leader: while nothing fails, the number of messages is at most proportional to the number of candidates.
    LinearMessages,
    /// Detector: while nothing fails and delays are constant, no node is suspected.
    Accuracy,
}

impl fmt::Display for Guarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FindsFlow => "a flow is found whenever one exists",
            Self::LinearTime => "linear planning time",
            Self::OneLeaderPerTerm => "no two nodes lead in the same term",
            Self::OneLeaderEventually => {
                "once nothing fails, one candidate that is up becomes the only leader"
            }
            Self::LeaderByMajority => {
                "once nothing fails and a majority of candidates is up, one becomes the only leader"
            }
            Self::LinearMessages => "messages in proportion to the candidates while nothing fails",
            Self::Accuracy => "no node is suspected while nothing fails and delays are constant",
        })
    }
}

/// Describes a flow strategy.
pub type FlowDescriptor = Descriptor<dyn FlowStrategy>;

/// Describes a leader strategy.
pub type LeaderDescriptor = Descriptor<dyn LeaderStrategy>;

/// Describes a failure detector.
pub type DetectorDescriptor = Descriptor<dyn DetectorStrategy>;

inventory::collect!(FlowDescriptor);
inventory::collect!(LeaderDescriptor);
inventory::collect!(DetectorDescriptor);
