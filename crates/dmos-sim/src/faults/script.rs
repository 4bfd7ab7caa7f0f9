//! Scripted faults: their triggers and their targets.

use std::cmp::Reverse;

use dmos_core::faults::{Condition, Target, Trigger};
use dmos_core::{Metric, NodeId, Scenario, Span, Time};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use crate::event::Event;
use crate::event_queue::EventQueue;
use crate::nodes::{Nodes, SimNode};
use crate::rng::{Purpose, stream};

/// Occurrences of conditions so far, and faults that wait for more.
pub(super) struct Script {
    counts: [u64; Condition::ALL.len()],
    waiting: Vec<Waiting>,
}

/// A fault that waits for an occurrence of a condition.
struct Waiting {
    condition: Condition,
    nth: u64,
    /// Time from the occurrence to the fault.
    wait: Span,
    number: usize,
}

impl Script {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let script = scenario.faults.script.iter().enumerate();
        let waiting = script.filter_map(|(number, scripted)| match scripted.trigger {
            Trigger::When { condition, nth, wait } => Some(Waiting { condition, nth, wait, number }),
            Trigger::At(_) => None,
        });
        Self { counts: Default::default(), waiting: waiting.collect() }
    }

    /// Counts the occurrence of a condition and schedules the faults that it triggers.
    pub(super) fn on_condition(&mut self, now: Time, queue: &mut EventQueue<Event>, condition: Condition) {
        if self.waiting.is_empty() {
            return;
        }
        let count = &mut self.counts[condition as usize];
        *count += 1;
        let count = *count;
        self.waiting.retain(|waiting| {
            let is_due = waiting.condition == condition && waiting.nth == count;
            if is_due {
                queue.push_first(now + waiting.wait, Event::ScriptedFault(waiting.number));
            }
            !is_due
        });
    }
}

/// Returns the faults at set times, with their numbers.
pub(super) fn timed(scenario: &Scenario) -> impl Iterator<Item = (Time, usize)> {
    let script = scenario.faults.script.iter().enumerate();
    script.filter_map(|(number, scripted)| match scripted.trigger {
        Trigger::At(at) => Some((at, number)),
        Trigger::When { .. } => None,
    })
}

/// Returns the targets of the scripted fault with this number. A random target is one of the nodes for which
/// `is_eligible` holds.
pub(crate) fn choose_targets(
    scenario: &Scenario,
    nodes: &Nodes,
    leader: Option<NodeId>,
    number: usize,
    target: &Target,
    is_eligible: impl Fn(&SimNode) -> bool,
) -> Vec<NodeId> {
    let substream = u32::try_from(number).expect("a script has fewer than 2^32 faults");
    let mut stream = stream(scenario.seed, Purpose::Script, NodeId::new(0), substream);
    let is_eligible = |node: &NodeId| is_eligible(&nodes[*node]);
    let network = &scenario.network;
    match target {
        Target::Node(node) => vec![*node],
        Target::Item(item) => network.producers(*item).to_vec(),
        Target::ProducerOf(item) => {
            choose(network.producers(*item).iter().copied().filter(is_eligible), &mut stream)
        }
        Target::AnyNode => choose(network.nodes().filter(is_eligible), &mut stream),
        Target::Leader => leader.into_iter().collect(),
        Target::Busiest => {
            let production_runs =
                |node: NodeId| nodes[node].node.metrics().get(Metric::SuccessfulManufactureCycles);
            let busiest = network
                .nodes()
                .filter(is_eligible)
                .max_by_key(|&node| (production_runs(node), Reverse(node)));
            busiest.into_iter().collect()
        }
    }
}

/// Chooses one of several nodes at random, if there are any.
fn choose(nodes: impl Iterator<Item = NodeId>, stream: &mut ChaCha8Rng) -> Vec<NodeId> {
    let nodes: Vec<NodeId> = nodes.collect();
    match nodes.len() as u64 {
        0 => Vec::new(),
        count => vec![nodes[stream.random_range(0..count) as usize]],
    }
}
