//! Scripted faults: their triggers and their targets.

use dmos_core::faults::{Condition, Fault, Target, Trigger};
use dmos_core::{FaultKind, ItemId, Metric, NodeId, Scenario, Span, Time};
use dmos_node::Command;
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use super::sim_node::{Down, PendingFailure, SimNode, Slow, State, nodes};
use super::{Event, FaultEnd, Simulator};
use crate::rng::{Purpose, stream};

/// Occurrences of conditions so far, and faults that wait for more.
pub(super) struct Script {
    counts: [u64; Condition::ALL.len()],
    /// Faults that wait for a condition: the condition, the occurrence, the delay, and the fault's number.
    waiting: Vec<(Condition, u64, Span, usize)>,
}

impl Script {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let script = scenario.faults.script.iter().enumerate();
        let waiting = script.filter_map(|(number, scripted)| match scripted.trigger {
            Trigger::When { condition, nth, wait } => Some((condition, nth, wait, number)),
            Trigger::At(_) => None,
        });
        Self { counts: Default::default(), waiting: waiting.collect() }
    }

    /// Returns the faults at set times, with their numbers.
    pub(super) fn timed(&self, scenario: &Scenario) -> Vec<(Time, usize)> {
        let script = scenario.faults.script.iter().enumerate();
        let timed = script.filter_map(|(number, scripted)| match scripted.trigger {
            Trigger::At(at) => Some((at, number)),
            Trigger::When { .. } => None,
        });
        timed.collect()
    }
}

impl Simulator<'_> {
    /// Counts the occurrence of a condition and schedules the faults that it triggers.
    pub(super) fn on_condition(&mut self, condition: Condition) {
        if self.faults.script.waiting.is_empty() {
            return;
        }
        let count = &mut self.faults.script.counts[condition as usize];
        *count += 1;
        let count = *count;
        let now = self.now;
        let queue = &mut self.queue;
        self.faults.script.waiting.retain(|&(waits_for, nth, wait, number)| {
            let is_due = waits_for == condition && nth == count;
            if is_due {
                queue.push_first(now + wait, Event::ScriptedFault(number));
            }
            !is_due
        });
    }

    /// Injects a scripted fault, unless all faults have been healed.
    pub(super) fn scripted(&mut self, number: usize) {
        if self.faults.is_healed {
            return;
        }
        let scripted = &self.scenario.faults.script[number];
        let duration = scripted.duration;
        let down = duration.map_or(Down::ForGood, Down::For);
        match &scripted.fault {
            Fault::Fail(target, how) => {
                for node in self.targets(number, target, FaultKind::Crash, SimNode::is_running) {
                    self.fail(node, *how, down);
                }
            }
            Fault::Recover(target) => {
                let is_down = |sim_node: &SimNode| matches!(sim_node.state, State::Down { .. });
                for node in self.targets(number, target, FaultKind::Recover, is_down) {
                    self.recover(node);
                }
            }
            Fault::Slow(target, by) => {
                for node in self.targets(number, target, FaultKind::Slow, SimNode::is_running) {
                    self.slow_down(node, *by, duration);
                }
            }
            Fault::FailAppend(target) => {
                for node in self.targets(number, target, FaultKind::FailedAppend, SimNode::is_running) {
                    let fault = self.faults.counts.record(self.now, FaultKind::FailedAppend, Some(node));
                    if self.node(node).is_up() {
                        self.node_mut(node).append_failure =
                            Some(Box::new(PendingFailure { fault, downtime: down }));
                    }
                }
            }
            Fault::Links(fault) => {
                let number = self.faults.counts.record(self.now, fault.kind(), None);
                if self.links.inject(number, fault) {
                    self.faults.counts.mark_effective(number);
                }
                if let Some(span) = duration {
                    self.queue.push(self.now + span, Event::FaultEnd(FaultEnd::Links { fault: number }));
                }
            }
            Fault::Recipe(node, requires) => {
                self.command(*node, FaultKind::Recipe, Command::Recipe(requires.clone().into()));
            }
            Fault::Retire(node) => {
                self.command(*node, FaultKind::Retire, Command::Retire);
            }
            Fault::Add(node) => {
                let fault = self.faults.counts.record(self.now, FaultKind::Add, Some(*node));
                if self.node(*node).state == State::Absent {
                    self.faults.counts.mark_effective(fault);
                    self.start(*node);
                }
            }
        }
    }

    fn slow_down(&mut self, node: NodeId, by: Span, duration: Option<Span>) {
        let fault = self.faults.counts.record(self.now, FaultKind::Slow, Some(node));
        if !self.node(node).is_up() {
            return;
        }
        self.node_mut(node).slow = Some(Box::new(Slow { by, fault }));
        if let Some(span) = duration {
            self.queue.push(self.now + span, Event::FaultEnd(FaultEnd::Slow { node, fault }));
        }
    }

    /// Returns the targets of a fault. The lack of a target is recorded as an ineffective fault.
    fn targets(
        &mut self,
        number: usize,
        target: &Target,
        kind: FaultKind,
        can_be_hit: impl Fn(&SimNode) -> bool,
    ) -> Vec<NodeId> {
        let substream = u32::try_from(number).expect("a script has fewer than 2^32 faults");
        let mut stream = stream(self.scenario.seed, Purpose::Script, NodeId::new(0), substream);
        let hits = |node: &NodeId| can_be_hit(self.node(*node));
        let network = &self.scenario.network;
        let found = match target {
            Target::Node(node) => vec![*node],
            Target::Item(item) => network.producers(*item).to_vec(),
            Target::ProducerOf(item) => any(&self.producers(*item, hits), &mut stream),
            Target::AnyNode => any(&network.nodes().filter(hits).collect::<Vec<_>>(), &mut stream),
            Target::Leader => self.last_leader.into_iter().collect(),
            Target::Busiest => {
                let production_runs =
                    |sim_node: &SimNode| sim_node.node.metrics().get(Metric::SuccessfulManufactureCycles);
                let busiest = nodes(&self.nodes)
                    .filter(|(_, sim_node)| can_be_hit(sim_node))
                    .max_by_key(|(node, sim_node)| (production_runs(sim_node), std::cmp::Reverse(*node)));
                busiest.map(|(node, _)| node).into_iter().collect()
            }
        };
        if found.is_empty() {
            self.faults.counts.record(self.now, kind, None);
        }
        found
    }

    fn producers(&self, item: ItemId, hits: impl Fn(&NodeId) -> bool) -> Vec<NodeId> {
        self.scenario.network.producers(item).iter().copied().filter(hits).collect()
    }
}

fn any(nodes: &[NodeId], stream: &mut ChaCha8Rng) -> Vec<NodeId> {
    match nodes.len() as u64 {
        0 => Vec::new(),
        count => vec![nodes[stream.random_range(0..count) as usize]],
    }
}
