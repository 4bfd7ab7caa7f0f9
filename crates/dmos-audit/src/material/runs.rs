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
