//! A complete scenario, valid by construction.

use std::num::NonZeroU64;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::distribution::Distribution;
use crate::faults::{Fault, Faults};
use crate::ids::NodeId;
use crate::network::{Network, Recipe};
use crate::routes::Routes;
use crate::settings::{Protocol, Work};
use crate::strategy::{DetectorChoice, FlowChoice, LeaderChoice};
use crate::time::Span;

/// One simulation: a network, the behaviour of its nodes, their environment, and its faults.
///
/// The constructor of a scenario has checked that every node it names is in the network, that periods are not
/// zero, and that scripted recipes fit the network; drivers rely on it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Short name, for output.
    pub name: String,
    /// Purpose of the scenario.
    pub about: String,
    /// The supply network.
    pub network: Arc<Network>,
    /// Duration of the run.
    pub duration: Span,
    /// Time from which metrics are measured; the warm-up before it does not count.
    pub measure_from: Span,
    /// Seed of all random numbers.
    pub seed: u64,
    /// Flow strategy.
    pub flow: FlowChoice,
    /// Maximum number of steps of a plan.
    pub planning_budget: NonZeroU64,
    /// Leader strategy.
    pub leader: LeaderChoice,
    /// Failure detector.
    pub detector: DetectorChoice,
    /// Nodes that may lead, in ascending order; at least one.
    pub candidates: Arc<[NodeId]>,
    /// Protocol of the nodes.
    pub protocol: Protocol,
    /// Delay between the starts of two consecutive nodes.
    pub between_starts: Span,
    /// Delays and costs of transport between the nodes.
    pub routes: Arc<Routes>,
    /// Process times of the nodes, under `production: server`.
    pub process_times: ProcessTimes,
    /// CPU costs.
    pub work: Work,
    /// Faults.
    pub faults: Faults,
    /// Order of events at the same time.
    pub same_time_order: SameTimeOrder,
    /// Interval between two samples of the time series.
    pub sample_every: Span,
}

/// Process times of production runs, by node.
#[derive(Clone, PartialEq, Debug)]
pub struct ProcessTimes {
    /// Distributions, each used by consecutive nodes; at least one.
    distributions: Vec<Distribution>,
    /// By node, the index of its distribution; empty if all nodes have the first one.
    of_node: Vec<u32>,
}

impl ProcessTimes {
    /// Returns the process times of all nodes, in the order of their numbers.
    #[must_use]
    pub fn new(of_nodes: impl IntoIterator<Item = Distribution>) -> Self {
        let mut times = Self { distributions: Vec::new(), of_node: Vec::new() };
        for distribution in of_nodes {
            if times.distributions.last() != Some(&distribution) {
                times.distributions.push(distribution);
            }
            let index = times.distributions.len() - 1;
            times.of_node.push(u32::try_from(index).expect("a network has fewer than 2^32 nodes"));
        }
        if times.distributions.is_empty() { Self::default() } else { times }
    }

    /// Returns the distribution of a node's process time.
    #[must_use]
    pub fn of(&self, node: NodeId) -> &Distribution {
        &self.distributions[self.of_node.get(node.index()).map_or(0, |&index| index as usize)]
    }
}

impl Default for ProcessTimes {
    fn default() -> Self {
        Self { distributions: vec![Distribution::Fixed(Recipe::PROCESS_TIME)], of_node: Vec::new() }
    }
}

/// Order of events at the same time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SameTimeOrder {
    /// The order in which they were scheduled.
    #[default]
    Scheduled,
    /// A random order from the seed, so that no result depends on the order of scheduling.
    Shuffled,
}

impl Scenario {
    /// Returns the longest silence of a node that the failure detector tolerates.
    #[must_use]
    pub fn silence_max(&self) -> Span {
        let config = self.protocol.detector_config();
        self.detector.build().silence_max(&config).max(config.suspect_after)
    }

    /// Returns the nodes that are added by the script and do not start at the beginning.
    pub fn added_later(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.faults.script.iter().filter_map(|scripted| match scripted.fault {
            Fault::Add(node) => Some(node),
            _ => None,
        })
    }
}

/// Returns `count` candidates spread evenly over `nodes` nodes, including the last node.
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
