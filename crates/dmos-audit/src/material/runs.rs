//! Production runs under `production: server`: one at a time, each for its process time.

use dmos_core::settings::Production;
use dmos_core::{NodeId, Property, Requirement, Time};

use super::Material;
use crate::violations::Violations;

/// A production run in process.
pub(super) struct Run {
    /// The earliest end.
    ends: Time,
    /// The recipe at its start, if it has changed since.
    pub(super) requires: Option<Box<[Requirement]>>,
}

impl Material<'_> {
    /// Handles the start of a production run.
    pub(crate) fn on_run_started(&mut self, violations: &mut Violations, node: NodeId, ends: Time) {
        let account = &self.accounts[node.index()];
        if account.run.as_ref().is_some_and(|run| violations.now < run.ends) {
            violations.add(Property::RunTakesItsTime, || {
                format!(
                    "`{}` starts a production run while another is in process",
                    self.network.node_name(node)
                )
            });
        }
        self.account(node).run = Some(Run { ends, requires: None });
    }

    /// Handles a crash, which interrupts the production run in process.
    pub(crate) fn on_crashed(&mut self, node: NodeId) {
        self.account(node).run = None;
    }

    /// Handles a change of the recipe, which concerns the next production run.
    pub(super) fn on_recipe(&mut self, node: NodeId, requires: &[Requirement]) {
        let before = self.accounts[node.index()].requires.take();
        let before = before.unwrap_or_else(|| self.network.requirements(node).into());
        let account = self.account(node);
        if let Some(run) = account.run.as_mut().filter(|run| run.requires.is_none()) {
            run.requires = Some(before);
        }
        account.requires = Some(requires.into());
    }

    /// Checks the end of a production run.
    pub(super) fn end_run(&self, violations: &mut Violations, node: NodeId) {
        debug_assert_eq!(self.scenario.protocol.production, Production::Server, "only a server starts runs");
        let ends = self.accounts[node.index()].run.as_ref().map(|run| run.ends);
        let now = violations.now;
        if ends.is_none_or(|ends| now < ends) {
            violations.add(Property::RunTakesItsTime, || {
                let name = self.network.node_name(node);
                match ends {
                    Some(ends) => format!(
                        "`{name}` ends a production run {:.6} s before its process time has passed",
                        ends.since(now).as_secs_f64()
                    ),
                    None => format!("`{name}` ends a production run that it has not started"),
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dmos_core::{BatchId, ItemId, Scenario, Span};
    use dmos_node::batch_range::BatchRange;
    use dmos_node::{Command, LogRecord};

    const DOOR: NodeId = NodeId::new(2);

    /// Returns a scenario in which a door takes two pieces of wood and a screw.
    fn scenario() -> Scenario {
        dmos_testkit::scenario(
            "network: {nodes: [{makes: {wood: 4}}, {makes: {screw: 4}}, {makes: door, needs: {wood: 2, screw: 1}}]}\n\
             duration: 1h\nprotocol: {compact_after: null}\n",
        )
    }

    fn range(producer: usize, serial: u32, count: u32) -> BatchRange {
        BatchRange { first: BatchId { producer: NodeId::new(producer), serial }, count }
    }

    fn at(second: u64) -> Time {
        Time::ZERO + Span::from_secs(second)
    }

    /// Returns the violations of a production run of doors, from four pieces of wood and four screws that have arrived.
    fn found(run: impl Fn(&mut Material<'_>, &mut Violations)) -> Vec<Property> {
        let scenario = scenario();
        let (mut material, mut violations) = (Material::new(&scenario), Violations::default());
        for producer in [0, 1] {
            let (node, batches) = (NodeId::new(producer), range(producer, 0, 4));
            let order = dmos_node::Order { incarnation: 0, number: 1, total: 4 };
            material.on_ordered(Time::ZERO, DOOR, node, order);
            material.on_run_started(&mut violations, node, Time::ZERO);
            for record in [
                LogRecord::Ran { product: batches, inputs: Box::new([]) },
                LogRecord::Shipped { batches, to: DOOR, incarnation: 0 },
            ] {
                material.on_durable(&mut violations, node, &record);
            }
            for record in [LogRecord::Accepted(batches), LogRecord::Arrived(batches)] {
                material.on_durable(&mut violations, DOOR, &record);
            }
        }
        run(&mut material, &mut violations);
        violations.into_vec().iter().map(|violation| violation.property).collect()
    }

    /// Logs a production run at a time, of these numbers of wood and screws.
    fn ran(material: &mut Material<'_>, violations: &mut Violations, second: u64, inputs: [u32; 2]) {
        violations.now = at(second);
        let inputs = [range(0, 0, inputs[0]), range(1, 0, inputs[1])].into();
        material.on_durable(violations, DOOR, &LogRecord::Ran { product: range(2, 0, 1), inputs });
    }

    #[test]
    fn a_run_takes_its_inputs() {
        let of = |inputs| {
            found(|material, violations| {
                material.on_run_started(violations, DOOR, at(5));
                ran(material, violations, 5, inputs);
            })
        };
        assert_eq!(of([2, 1]), []);
        assert_eq!(of([1, 2]), [Property::MadeByRecipe]);
        assert_eq!(of([3, 1]), [Property::MadeByRecipe]);
    }

    #[test]
    fn a_run_takes_its_time() {
        let ended = |second| {
            found(|material, violations| {
                material.on_run_started(violations, DOOR, at(5));
                ran(material, violations, second, [2, 1]);
            })
        };
        assert_eq!((ended(5), ended(6)), (vec![], vec![]));
        assert_eq!(ended(4), [Property::RunTakesItsTime]);
        let unstarted = found(|material, violations| ran(material, violations, 9, [2, 1]));
        assert_eq!(unstarted, [Property::RunTakesItsTime]);
    }

    #[test]
    fn a_node_processes_one_run_at_a_time() {
        let started_again = |second, crashes: bool| {
            found(|material, violations| {
                material.on_run_started(violations, DOOR, at(5));
                if crashes {
                    material.on_crashed(DOOR);
                }
                violations.now = at(second);
                material.on_run_started(violations, DOOR, at(20));
            })
        };
        assert_eq!(started_again(4, false), [Property::RunTakesItsTime]);
        assert_eq!((started_again(5, false), started_again(4, true)), (vec![], vec![]));
    }

    #[test]
    fn a_changed_recipe_concerns_the_next_run() {
        let needs = |item, quantity| Requirement { item: ItemId::new(item), quantity };
        let changed = |before_start: bool, inputs| {
            found(|material, violations| {
                let recipe = LogRecord::Commanded(Command::Recipe(Box::new([needs(0, 1), needs(1, 1)])));
                if before_start {
                    material.on_durable(violations, DOOR, &recipe);
                }
                material.on_run_started(violations, DOOR, at(5));
                if !before_start {
                    material.on_durable(violations, DOOR, &recipe);
                }
                ran(material, violations, 5, inputs);
            })
        };
        assert_eq!((changed(true, [1, 1]), changed(false, [2, 1])), (vec![], vec![]));
        assert_eq!(changed(true, [2, 1]), [Property::MadeByRecipe]);
        assert_eq!(changed(false, [1, 1]), [Property::MadeByRecipe]);
    }
}
