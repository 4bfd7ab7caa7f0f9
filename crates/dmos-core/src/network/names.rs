//! Names of items and nodes.

use std::borrow::Cow;

/// Names of all items or of all nodes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Names {
    /// This many names, each of which is its number, as in generated networks.
    Numbers(usize),
    /// Individual names.
    Words(Vec<String>),
}

impl Names {
    /// Returns the number of names.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Numbers(count) => *count,
            Self::Words(names) => names.len(),
        }
    }

    /// Returns whether there are no names.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the name at `index`.
    pub(super) fn name(&self, index: usize) -> Cow<'_, str> {
        match self {
            Self::Numbers(_) => Cow::Owned(index.to_string()),
            Self::Words(names) => Cow::Borrowed(&names[index]),
        }
    }

    /// Returns the index of `name`. O(1) for numbers, O(n) for words.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        match self {
            Self::Numbers(count) => name.parse().ok().filter(|index| index < count),
            Self::Words(names) => names.iter().position(|other| other == name),
        }
    }
}
