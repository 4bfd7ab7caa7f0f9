//! Names of things as small integers: they index flat tables and cost nothing to copy.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! index {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        pub struct $name(u32);

        impl $name {
            /// The id at `index`.
            ///
            /// # Panics
            /// If `index` does not fit 32 bits: no network is that large.
            #[must_use]
            pub fn new(index: usize) -> Self {
                Self(u32::try_from(index).expect("an index fits 32 bits"))
            }

            /// Its place in tables.
            #[must_use]
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

index! {
    /// A node of the network: nodes are numbered from 0 in the order in which they are declared.
    NodeId
}

index! {
    /// An item: items are numbered from 0 in the order in which they first appear.
    ItemId
}

/// A batch: the unit of material, made once, consumed at most once.
///
/// Batches are named by who made them and how many that node had made before, so a name is never
/// used again as long as the producer keeps its log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct BatchId {
    /// The node that made the batch.
    pub producer: NodeId,
    /// How many batches the producer had made before this one.
    pub serial: u32,
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.producer, self.serial)
    }
}

/// A request for one batch, numbered by the node that asks: never twice, also across crashes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct RequestId {
    /// How often the node had returned from a crash.
    pub incarnation: u32,
    /// How many requests it had made in this incarnation.
    pub number: u32,
}

/// A term of office: the number under which a node leads. Later terms are larger.
///
/// Leader strategies that promise at most one leader per term make their terms unique.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Term(pub u64);

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Orders flows: a node keeps the newest and ignores older ones.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct FlowVersion {
    /// The term of the leader that planned the flow.
    pub term: Term,
    /// The number of the plan within the term.
    pub number: u32,
}
