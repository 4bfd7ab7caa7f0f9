//! Collects what the invariant checker find.

use dmos_core::record::Violation;
use dmos_core::{Property, Time};

/// Violations of one property beyond this many are left out: the first say what went wrong.
const SHOWN: usize = 5;

/// Violations so far.
#[derive(Default)]
pub(crate) struct Violations {
    pub(crate) now: Time,
    found: Vec<Violation>,
}

impl Violations {
    /// A property does not hold.
    pub(crate) fn add(&mut self, property: Property, describe: impl FnOnce() -> String) {
        if self.found.iter().filter(|violation| violation.property == property).count() < SHOWN {
            self.found.push(Violation { property, at: self.now, description: describe() });
        }
    }

    pub(crate) fn into_vec(self) -> Vec<Violation> {
        self.found
    }
}
