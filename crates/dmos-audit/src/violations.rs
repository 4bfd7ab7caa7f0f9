//! The list of violations.

use dmos_core::record::Violation;
use dmos_core::{Property, Time};

/// Maximum number of violations listed for each property; the first ones are the most informative.
const SHOWN: usize = 5;

/// Violations found so far.
#[derive(Default)]
pub(crate) struct Violations {
    pub(crate) now: Time,
    found: Vec<Violation>,
}

impl Violations {
    /// Adds a violation of a property.
    pub(crate) fn add(&mut self, property: Property, describe: impl FnOnce() -> String) {
        if self.found.iter().filter(|violation| violation.property == property).count() < SHOWN {
            self.found.push(Violation { property, at: self.now, description: describe() });
        }
    }

    pub(crate) fn into_vec(self) -> Vec<Violation> {
        self.found
    }
}
