//! The fault injector: the sources of faults, and counters of faults.

mod fault_counts;
mod script;

use dmos_core::faults::{Condition, RandomFailures};
use dmos_core::{FaultKind, NodeId, Scenario, Span, Time};

use crate::event::Event;
use crate::event_queue::EventQueue;
use crate::nodes::Nodes;
use crate::prototype::OpGenerator;
use crate::rng::{Purpose, Sampler};
use fault_counts::FaultCounts;
use script::Script;
pub(crate) use script::choose_targets;

/// Sources of faults, and their counts.
pub(crate) struct FaultInjector {
    script: Script,
    pub(crate) op_generator: Option<OpGenerator>,
    random_failures: Vec<FailureSamplers>,
    /// True once all faults have ended.
    pub(crate) is_healed: bool,
    pub(crate) counts: FaultCounts,
}

/// Samplers of one entry of `faults.random_failures`.
struct FailureSamplers {
    time_to_repair: Sampler,
    time_to_failure: Sampler,
}

impl FailureSamplers {
    fn new(scenario: &Scenario, index: usize, entry: &RandomFailures) -> Self {
        let sampler = |of, purpose| {
            Sampler::with_substream(of, scenario.seed, purpose, scenario.network.nodes(), index as u32)
        };
        Self {
            time_to_repair: sampler(&entry.time_to_repair, Purpose::Repair),
            time_to_failure: sampler(&entry.time_to_failure, Purpose::RandomFailures),
        }
    }
}

impl FaultInjector {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let (faults, seed) = (&scenario.faults, scenario.seed);
        let random_failures = faults.random_failures.iter().enumerate();
        Self {
            script: Script::new(scenario),
            op_generator: faults.op_generator.as_ref().map(|settings| OpGenerator::new(settings, seed)),
            random_failures: random_failures
                .map(|(index, entry)| FailureSamplers::new(scenario, index, entry))
                .collect(),
            is_healed: false,
            counts: FaultCounts::default(),
        }
    }

    /// Schedules the first faults of all sources.
    pub(crate) fn schedule(&mut self, scenario: &Scenario, queue: &mut EventQueue<Event>) {
        if let Some(op_generator) = &scenario.faults.op_generator {
            queue.push(Time::ZERO + op_generator.pause + op_generator.cycle, Event::OpGeneratorCycle);
        }
        for (at, number) in script::timed(scenario) {
            queue.push_first(at, Event::ScriptedFault(number));
        }
        for (entry, failures) in scenario.faults.random_failures.iter().enumerate() {
            for &node in &failures.nodes {
                let at = Time::ZERO + self.random_failures[entry].time_to_failure.sample(node);
                queue.push(at, Event::RandomFailure { entry, node });
            }
        }
        if let Some(at) = scenario.faults.heal_at {
            queue.push_first(at, Event::HealAll);
        }
    }

    /// Counts the nodes with inaccurate clocks, if clocks drift.
    pub(crate) fn count_clock_drift(&mut self, scenario: &Scenario, nodes: &Nodes) {
        if scenario.faults.clocks.drift != 0.0 {
            let inaccurate = nodes.iter().filter(|(_, sim_node)| !sim_node.clock.is_accurate()).count();
            let injected = scenario.network.node_count() as u64;
            self.counts.count(FaultKind::Drift, injected, inaccurate as u64);
        }
    }

    /// Counts the occurrence of a condition and schedules the faults that it triggers.
    #[inline]
    pub(crate) fn on_condition(&mut self, now: Time, queue: &mut EventQueue<Event>, condition: Condition) {
        self.script.on_condition(now, queue, condition);
    }

    /// Samples the downtime of a random failure and the time from the repair to the next failure.
    pub(crate) fn sample_failure(&mut self, entry: usize, node: NodeId) -> (Span, Span) {
        let samplers = &mut self.random_failures[entry];
        let downtime = samplers.time_to_repair.sample(node).max(Span::from_millis(1));
        let uptime = samplers.time_to_failure.sample(node).max(Span::from_millis(1));
        (downtime, uptime)
    }
}
