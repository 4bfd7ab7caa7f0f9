//! Identifiers as small integers: they index flat tables and are cheap to copy.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! index {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        pub struct $name(u32);

        impl $name {
            /// Returns the identifier with this index.
            ///
            /// # Panics
            /// If `index` does not fit 32 bits.
            #[must_use]
            pub const fn new(index: usize) -> Self {
                assert!(index <= u32::MAX as usize, "an index fits 32 bits");
                Self(index as u32)
            }

            /// Returns the index into tables.
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
    /// Identifies a node. Nodes are numbered from 0 in the order in which they are declared.
    NodeId
}

index! {
    /// Identifies an item. Items are numbered from 0 in the order in which they first appear.
    ItemId
}

/// Identifies a batch: the unit of material, made once and consumed at most once.
///
/// A batch is named by its producer and a serial number, so a name is never reused as long as the producer
/// keeps its log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct BatchId {
    /// The node that made the batch.
    pub producer: NodeId,
    /// Number of batches that the producer had made before this one.
    pub serial: u32,
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.producer, self.serial)
    }
}

/// Identifies a request for one batch. The requesting node never reuses a number, not even after a crash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct RequestId {
    /// Number of times that the node had recovered from a crash.
    pub incarnation: u32,
    /// Number of requests that the node had sent in this incarnation.
    pub number: u32,
}

/// A term of leadership: the number under which a node leads. Later terms are larger.
///
/// Leader strategies that guarantee at most one leader per term make their terms unique.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Term(pub u64);

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Version of a flow: a node keeps the newest and ignores older ones.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct FlowVersion {
    /// The term of the leader that planned the flow.
    pub term: Term,
    /// Sequence number of the plan within the term.
    pub number: u32,
}
