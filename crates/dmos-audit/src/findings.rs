//! Collects what auditors find.

use dmos_core::record::Finding;
use dmos_core::{Property, Time};

/// Findings of one property beyond this many are left out: the first say what went wrong.
const SHOWN: usize = 5;

/// Findings so far.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) now: Time,
    found: Vec<Finding>,
}

impl Findings {
    /// A property does not hold.
    pub(crate) fn add(&mut self, property: Property, words: impl FnOnce() -> String) {
        if self.found.iter().filter(|finding| finding.property == property).count() < SHOWN {
            self.found.push(Finding { property, at: self.now, words: words() });
        }
    }

    pub(crate) fn into_vec(self) -> Vec<Finding> {
        self.found
    }
}
