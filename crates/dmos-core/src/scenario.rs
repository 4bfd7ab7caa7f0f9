//! A whole experiment, valid by construction.

use std::num::NonZeroU64;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::faults::{Fault, Faults};
use crate::ids::NodeId;
use crate::network::Network;
use crate::settings::{Delays, Protocol, Work};
use crate::strategy::{FlowChoice, LeaderChoice, MeanDurations};
use crate::time::Span;

/// One experiment: a network, how its nodes behave, in which world, and what breaks.
///
/// Whoever makes one has checked that every node it names is in the network, that periods are not
/// zero and that the recipes ordered by script fit the network; drivers rely on it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// A short name, for output.
    pub name: String,
    /// What the scenario shows.
    pub about: String,
    /// Who can make what out of what.
    pub network: Arc<Network>,
    /// How long the run lasts.
    pub duration: Span,
    /// The seed of everything drawn.
    pub seed: u64,
    /// How flows are planned.
    pub flow: FlowChoice,
    /// The most steps a plan may take.
    pub planning_budget: NonZeroU64,
    /// How the leader is found.
    pub leader: LeaderChoice,
    /// The nodes that may lead, in ascending order; at least one.
    pub candidates: Arc<[NodeId]>,
    /// How the nodes behave.
    pub protocol: Protocol,
    /// How long things take on their way.
    pub delays: Delays,
    /// How much CPU time work takes.
    pub work: Work,
    /// What breaks.
    pub faults: Faults,
    /// In which order events of the same instant happen.
    pub same_time_order: SameTimeOrder,
    /// The time between two samples of the series.
    pub sample_every: Span,
}

/// In which order events of the same instant happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SameTimeOrder {
    /// As they were scheduled.
    #[default]
    Scheduled,
    /// In an order drawn from the seed, so that no result hangs on the order of scheduling.
    Shuffled,
}

impl Scenario {
    /// How long things take on average: what planners reckon with.
    #[must_use]
    pub fn mean_durations(&self) -> MeanDurations {
        MeanDurations { cycle: self.protocol.cycle, transit: self.delays.transit.mean() }
    }

    /// The nodes that are not there at the beginning: they are added by script.
    pub fn added_later(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.faults.script.iter().filter_map(|scripted| match scripted.fault {
            Fault::Add(node) => Some(node),
            _ => None,
        })
    }
}

/// Spreads `count` candidates evenly over `nodes` nodes, the last node among them.
#[must_use]
pub fn spread_candidates(nodes: usize, count: usize) -> Arc<[NodeId]> {
    let count = count.clamp(1, nodes);
    (1..=count).map(|nth| NodeId::new(nth * nodes / count - 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_are_spread() {
        let spread =
            |nodes, count| spread_candidates(nodes, count).iter().map(|n| n.index()).collect::<Vec<_>>();
        assert_eq!(spread(8, 8), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(spread(8, 3), [1, 4, 7]);
        assert_eq!(spread(2, 5), [0, 1]);
    }
}
