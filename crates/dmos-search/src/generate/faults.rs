//! Generates faults of every kind for a network.

use std::num::NonZeroU64;

use dmos_core::faults::{
    ClockFaults, Condition, CrashEffect, DiskFaults, FailureMode, MaterialInCrash, OpGenerator,
};
use dmos_core::{Distribution, Network, NodeId, Span};
use dmos_scenario::file::{
    DistributionField, FaultsField, MessagesField, NodeName, NodesField, Quantities, RandomFailuresField,
    Role, TargetField,
};
use dmos_scenario::script::{
    ArgumentSource, DurationRule, FaultForm, PartitionField, RecipeField, ScriptField,
};

use super::Generator;

/// Generates faults within the first `phase` of a run.
pub(super) fn generate(rng: &mut Generator, network: &Network, phase: Span) -> FaultsField {
    let mut faults = FaultsField::default();
    let mut generator = FaultGenerator { rng, network, phase };
    for _ in 0..generator.rng.between(0, 8) {
        let fault = generator.scripted();
        faults.script.push(fault);
    }
    faults.script.extend(generator.commands());
    if generator.rng.percent(15) {
        faults.random_failures.push(generator.random_failures());
    }
    if generator.rng.percent(10) {
        faults.op_generator = Some(op_generator(generator.rng));
    }
    if generator.rng.percent(40) {
        faults.messages = messages(generator.rng);
    }
    let rng = generator.rng;
    if rng.percent(50) {
        faults.disks = DiskFaults { lose_unsynced: true, torn: rng.percent(50), ..DiskFaults::default() };
    }
    if rng.percent(10) {
        faults.disks.append_failure = rng.between(1, 20) as f64 / 10_000.0;
        faults.disks.repair_time = rng.span(100, 40_000);
    }
    if rng.percent(30) {
        faults.clocks = ClockFaults { drift: rng.share(50) };
    }
    if rng.percent(20) {
        let mut crash_effect = || if rng.percent(50) { CrashEffect::Scrapped } else { CrashEffect::Kept };
        faults.material =
            MaterialInCrash { outbound: crash_effect(), inbound: crash_effect(), finished: crash_effect() };
    }
    let mut generator = FaultGenerator { rng, network, phase };
    if network.node_count() > 1 && generator.rng.percent(20) {
        for _ in 0..generator.rng.between(1, 3) {
            let link = generator.broken_link();
            faults.script.push(link);
        }
    }
    faults
}

fn op_generator(rng: &mut Generator) -> OpGenerator {
    let mut rate = |max| format!("{}/min", rng.between(1, max)).parse().expect("a valid rate");
    let (failures, recoveries) = (rate(6), rate(10));
    let (leader_can_fail, ends_can_fail) = (rng.percent(60), rng.percent(60));
    OpGenerator { failures, recoveries, leader_can_fail, ends_can_fail, ..OpGenerator::default() }
}

fn messages(rng: &mut Generator) -> MessagesField {
    let mut share = |max| if rng.percent(60) { rng.share(max) } else { 0.0 };
    let (loss, duplication, reordering) = (share(300), share(200), share(300));
    let delay = rng.percent(60).then(|| Distribution::Uniform(Span::ZERO, rng.span(100, 20_000)));
    MessagesField { loss, duplication, reordering, delay: delay.map(DistributionField) }
}

struct FaultGenerator<'a> {
    rng: &'a mut Generator,
    network: &'a Network,
    phase: Span,
}

impl FaultGenerator<'_> {
    fn moment(&mut self) -> Span {
        self.rng.span(10, self.phase.as_nanos() / 1_000_000)
    }

    fn name(&self, node: NodeId) -> NodeName {
        NodeName(self.network.node_name(node).into_owned())
    }

    fn node(&mut self) -> NodeName {
        let node = NodeId::new(self.rng.between(0, self.network.node_count() as u64 - 1) as usize);
        self.name(node)
    }

    fn item(&mut self) -> String {
        let items: Vec<_> = self.network.items().collect();
        self.network.item_name(*self.rng.one_of(&items)).into_owned()
    }

    /// Generates a trigger: usually a time, sometimes a condition.
    fn triggered(&mut self) -> ScriptField {
        let mut entry = ScriptField::default();
        if self.rng.percent(65) {
            entry.at = Some(self.moment());
            return entry;
        }
        let condition = *self.rng.one_of(&Condition::ALL);
        let often = matches!(condition, Condition::BatchInTransit | Condition::Delivered);
        let nth = self.rng.between(1, if often { 100 } else { 4 });
        entry.when = Some(condition);
        entry.nth = NonZeroU64::new(nth).filter(|nth| nth.get() > 1);
        entry.wait = self.rng.percent(50).then(|| self.rng.span(0, 3_000));
        entry
    }

    fn scripted(&mut self) -> ScriptField {
        let mut entry = self.triggered();
        let short = self.rng.percent(50);
        let duration = if short { self.rng.span(10, 5_000) } else { self.rng.span(5_000, 60_000) };
        let form = self.form();
        (form.generate)(&mut entry, self);
        entry.duration = match form.duration {
            DurationRule::None => None,
            // Some failures are permanent.
            DurationRule::UntilRecovery if self.rng.percent(10) => None,
            DurationRule::UntilRecovery | DurationRule::Required | DurationRule::Optional => Some(duration),
        };
        entry
    }

    /// Generates a link that is broken until all faults are healed, in one direction or both. There are at least two nodes.
    fn broken_link(&mut self) -> ScriptField {
        let nodes = self.network.node_count() as u64;
        let from = self.rng.between(0, nodes - 1);
        let to = (from + self.rng.between(1, nodes - 1)) % nodes;
        let [from, to] = [from, to].map(|node| vec![self.name(NodeId::new(node as usize))]);
        let at = Some(self.moment());
        match self.rng.percent(50) {
            true => {
                let one_way_partition = Some(PartitionField { from, to });
                ScriptField { at, one_way_partition, ..ScriptField::default() }
            }
            false => ScriptField { at, partition: Some(vec![from, to]), ..ScriptField::default() },
        }
    }

    /// Chooses a kind of fault by weight.
    fn form(&mut self) -> &'static FaultForm {
        let total: u64 = ScriptField::FORMS.iter().map(|form| form.weight).sum();
        let mut remaining_weight = self.rng.between(0, total - 1);
        let is_chosen = |form: &&FaultForm| match remaining_weight.checked_sub(form.weight) {
            Some(rest) => {
                remaining_weight = rest;
                false
            }
            None => true,
        };
        ScriptField::FORMS.iter().find(is_chosen).expect("the sampled weight is below the total")
    }

    /// Generates recipe changes, additions and retirements.
    fn commands(&mut self) -> Vec<ScriptField> {
        let mut commands = Vec::new();
        if self.rng.percent(15) {
            for _ in 0..self.rng.between(1, 2) {
                let entry = ScriptField { recipe: Some(self.recipe()), ..self.triggered() };
                commands.push(entry);
            }
        }
        if self.rng.percent(10) {
            commands.push(ScriptField { retire: Some(self.node()), ..self.triggered() });
        }
        if self.rng.percent(10) && self.network.node_count() > 1 {
            commands.push(ScriptField { add: Some(self.node()), ..self.triggered() });
        }
        commands
    }

    /// Generates a new recipe for a node, with items before its own, so that no cycle arises.
    fn recipe(&mut self) -> RecipeField {
        let node = NodeId::new(self.rng.between(0, self.network.node_count() as u64 - 1) as usize);
        let order = self.network.topological_order();
        let makes = self.network.makes(node);
        let earlier = &order[..order.iter().position(|item| *item == makes).unwrap_or(0)];
        let mut needs: Vec<(String, u32)> = Vec::new();
        if !earlier.is_empty() {
            for _ in 0..self.rng.between(0, 2) {
                let item = self.network.item_name(*self.rng.one_of(earlier)).into_owned();
                if !needs.iter().any(|(known, _)| *known == item) {
                    needs.push((item, self.rng.between(1, 2) as u32));
                }
            }
        }
        RecipeField { node: self.name(node), needs: Quantities(needs) }
    }

    fn random_failures(&mut self) -> RandomFailuresField {
        let nodes = if self.rng.percent(50) { NodesField::All } else { NodesField::These(self.nodes()) };
        let mean = self.rng.span(20_000, 200_000);
        let time_to_failure = match self.rng.between(0, 2) {
            0 => Distribution::Exponential(mean),
            1 => Distribution::Weibull { mean, shape: self.rng.between(5, 30) as f64 / 10.0 },
            _ => Distribution::Uniform(mean, mean * 2),
        };
        let time_to_repair = Distribution::LogNormal { mean: self.rng.span(500, 30_000), sigma: 1.0 };
        let mode = *self.rng.one_of(&[FailureMode::Crash, FailureMode::CrashMidway, FailureMode::Freeze]);
        RandomFailuresField {
            nodes,
            time_to_failure: DistributionField(time_to_failure),
            time_to_repair: DistributionField(time_to_repair),
            mode,
        }
    }
}

impl ArgumentSource for FaultGenerator<'_> {
    fn target(&mut self) -> TargetField {
        match self.rng.between(0, 9) {
            0..=4 => TargetField::Node(self.node()),
            5 => TargetField::Item(self.item()),
            6 => TargetField::ProducerOf(self.item()),
            7 | 8 => TargetField::Role(Role::Leader),
            _ => TargetField::Role(*self.rng.one_of(&[Role::Busiest, Role::Any])),
        }
    }

    fn nodes(&mut self) -> Vec<NodeName> {
        if self.rng.percent(40) {
            return vec![self.node()];
        }
        let share = self.rng.between(20, 80) as u32;
        let nodes: Vec<_> = self.network.nodes().filter(|_| self.rng.percent(share)).collect();
        if nodes.is_empty() { vec![self.node()] } else { nodes.iter().map(|&node| self.name(node)).collect() }
    }

    fn span(&mut self, from_ms: u64, to_ms: u64) -> Span {
        self.rng.span(from_ms, to_ms)
    }

    fn share(&mut self, max_thousandths: u64) -> f64 {
        self.rng.share(max_thousandths)
    }
}
