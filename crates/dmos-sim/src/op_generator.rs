//! The prototype's killer and reviver, draw for draw.

use std::collections::VecDeque;

use dmos_core::faults::OpGenerator as Settings;
use dmos_core::record::OpGeneratorRecord;
use dmos_core::{NodeId, Span};
use dmos_graph::PythonRandom;

/// The op generator between two turns.
pub(crate) struct OpGenerator {
    settings: Settings,
    random: PythonRandom,
    /// Killed and not revived, longest dead first.
    dead: VecDeque<NodeId>,
    pub(crate) record: OpGeneratorRecord,
}

/// What the op generator commands in a turn, in this order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Actions {
    pub(crate) recover: Option<NodeId>,
    pub(crate) crash: Option<NodeId>,
}

/// Rates are per turn of nominally one second, whatever a turn really takes.
const NOMINAL_TURN: Span = Span::from_secs(1);

impl OpGenerator {
    pub(crate) fn new(settings: &Settings, run_seed: u64) -> Self {
        let random = PythonRandom::new(settings.seed.unwrap_or(run_seed));
        Self {
            settings: settings.clone(),
            random,
            dead: VecDeque::new(),
            record: OpGeneratorRecord::default(),
        }
    }

    /// Takes a turn. `targets` says who may be killed, and is asked only when somebody is to be.
    pub(crate) fn turn(&mut self, targets: impl FnOnce() -> Vec<NodeId>) -> Actions {
        self.record.cycles += 1;
        let mut commands = Actions::default();
        if self.record.cycles.is_multiple_of(4) {
            let chance = self.settings.recoveries.times_in(NOMINAL_TURN).min(1.0) * 4.0;
            if self.random.random() < chance {
                commands.recover = self.dead.pop_front();
            }
        }
        // The prototype also draws whether to change a recipe; its rate is zero in all experiments.
        let _change_recipe = self.random.random();
        if self.random.random() < self.settings.failures.times_in(NOMINAL_TURN).min(1.0) {
            let target = self.random.choose(&targets()).copied();
            commands.crash = target.filter(|node| !self.dead.contains(node));
        }
        self.dead.extend(commands.crash);
        self.record.recoveries += u64::from(commands.recover.is_some());
        self.record.crashes += u64::from(commands.crash.is_some());
        commands
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_when_and_whom_the_prototype_kills() {
        let settings = Settings {
            failures: "1/min".parse().expect("a rate"),
            recoveries: "1/min".parse().expect("a rate"),
            ..Settings::default()
        };
        let mut op_generator = OpGenerator::new(&settings, 0);
        let mut killed = None;
        while killed.is_none() {
            killed = op_generator.turn(|| [1, 3].map(NodeId::new).to_vec()).crash;
        }
        assert_eq!((op_generator.record.cycles, killed), (16, Some(NodeId::new(3))));
    }

    #[test]
    fn nobody_to_kill_takes_no_draw() {
        let settings = Settings { failures: "60/min".parse().expect("a rate"), ..Settings::default() };
        let mut without = OpGenerator::new(&settings, 7);
        assert_eq!(without.turn(Vec::new), Actions::default());
        let mut expected = PythonRandom::new(7);
        let _ = (expected.random(), expected.random());
        assert_eq!(without.random.random(), expected.random());
    }
}
