//! The prototype's op generator: random crashes and recoveries, with identical random numbers.

use std::collections::VecDeque;

use dmos_core::faults::OpGenerator as Settings;
use dmos_core::record::OpGeneratorRecord;
use dmos_core::settings::Dissemination;
use dmos_core::{Flow, NodeId, Scenario, Span};
use dmos_util::python_random::PythonRandom;

use super::Blackboard;
use crate::nodes::Nodes;

/// State of the op generator between two cycles.
pub(crate) struct OpGenerator {
    settings: Settings,
    random: PythonRandom,
    /// Crashed nodes that were not recovered, in the order of their crashes.
    down: VecDeque<NodeId>,
    pub(crate) record: OpGeneratorRecord,
}

/// Actions of one cycle, in this order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Actions {
    pub(crate) recover: Option<NodeId>,
    pub(crate) crash: Option<NodeId>,
}

/// Rates refer to cycles of nominally one second, regardless of their actual length.
const NOMINAL_CYCLE: Span = Span::from_secs(1);

impl OpGenerator {
    pub(crate) fn new(settings: &Settings, run_seed: u64) -> Self {
        let random = PythonRandom::new(settings.seed.unwrap_or(run_seed));
        Self {
            settings: settings.clone(),
            random,
            down: VecDeque::new(),
            record: OpGeneratorRecord::default(),
        }
    }

    /// Runs one cycle. `targets` returns the nodes that may be crashed, and is only called for a crash.
    pub(crate) fn run_cycle(&mut self, targets: impl FnOnce() -> Vec<NodeId>) -> Actions {
        self.record.cycles += 1;
        let mut actions = Actions::default();
        if self.record.cycles.is_multiple_of(4) {
            let chance = self.settings.recoveries.times_in(NOMINAL_CYCLE).min(1.0) * 4.0;
            if self.random.random() < chance {
                actions.recover = self.down.pop_front();
            }
        }
        // The prototype also samples whether to change a recipe; its rate is zero in all experiments.
        let _change_recipe = self.random.random();
        if self.random.random() < self.settings.failures.times_in(NOMINAL_CYCLE).min(1.0) {
            let target = self.random.choose(&targets()).copied();
            actions.crash = target.filter(|node| !self.down.contains(node));
        }
        self.down.extend(actions.crash);
        self.record.recoveries += u64::from(actions.recover.is_some());
        self.record.crashes += u64::from(actions.crash.is_some());
        actions
    }
}

/// Returns the nodes that the op generator may crash: nodes of the active flow that are in the membership.
pub(crate) fn targets(
    scenario: &Scenario,
    nodes: &Nodes,
    blackboard: &Blackboard,
    (flow, leader): (&Flow, NodeId),
) -> Vec<NodeId> {
    let Some(settings) = &scenario.faults.op_generator else {
        return Vec::new();
    };
    let last = scenario.network.node_count() - 1;
    let is_spared = |node: NodeId| {
        (!settings.leader_can_fail && node == leader)
            || (!settings.ends_can_fail && (node.index() == 0 || node.index() == last))
    };
    // With a blackboard, as in the prototype, a failed node that is not removed yet may be chosen, without
    // effect.
    let includes_failed = scenario.protocol.dissemination == Dissemination::Blackboard;
    let nodes = nodes.iter().filter(|(_, sim_node)| includes_failed || sim_node.is_up());
    nodes
        .map(|(node, _)| node)
        .filter(|&node| !blackboard.is_removed(node) && !is_spared(node) && flow.is_assigned(node))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crashes_the_same_nodes_as_the_prototype() {
        let settings = Settings {
            failures: "1/min".parse().expect("a valid rate"),
            recoveries: "1/min".parse().expect("a valid rate"),
            ..Settings::default()
        };
        let mut op_generator = OpGenerator::new(&settings, 0);
        let mut crashed = None;
        while crashed.is_none() {
            crashed = op_generator.run_cycle(|| [1, 3].map(NodeId::new).to_vec()).crash;
        }
        assert_eq!((op_generator.record.cycles, crashed), (16, Some(NodeId::new(3))));
    }

    #[test]
    fn without_targets_no_choice_is_sampled() {
        let settings = Settings { failures: "60/min".parse().expect("a valid rate"), ..Settings::default() };
        let mut without = OpGenerator::new(&settings, 7);
        assert_eq!(without.run_cycle(Vec::new), Actions::default());
        let mut expected = PythonRandom::new(7);
        let _ = (expected.random(), expected.random());
        assert_eq!(without.random.random(), expected.random());
    }
}
