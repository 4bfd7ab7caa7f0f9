//! Scripted faults: one row per kind, with its form in a file, its conversion and its generation.
//!
//! A new kind takes a row in the table below, a variant and a row in `dmos-core`'s `faults`, and its behaviour
//! in `dmos-sim`. Parsing, validation of triggers and durations, error messages, fuzzing and shrinking follow
//! from the row.

use std::num::NonZeroU64;

use dmos_core::faults::{Condition, FailureMode, Fault, LinkFault};
use dmos_core::{Requirement, Span};
use serde::{Deserialize, Serialize};

use crate::file::{NodeName, Quantities, TargetField};
use crate::resolve::Names;

/// Maximum number of batches of an item that a production run consumes.
const QUANTITY_MAX: u32 = 1_000;

/// Meaning of a scripted fault's duration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DurationRule {
    /// The fault has a duration.
    Required,
    /// Time to the recovery; permanent without it.
    UntilRecovery,
    /// The fault lasts to the end of the run without a duration.
    Optional,
    /// The fault has no duration.
    None,
}

/// A source of random arguments for generated faults.
pub trait ArgumentSource {
    /// Returns a target.
    fn target(&mut self) -> TargetField;
    /// Returns one or more nodes.
    fn nodes(&mut self) -> Vec<NodeName>;
    /// Returns a duration in a range, in milliseconds, with both ends included.
    fn span(&mut self, from_ms: u64, to_ms: u64) -> Span;
    /// Returns a fraction from 0 to a maximum, in thousandths.
    fn share(&mut self, max_thousandths: u64) -> f64;
}

/// Properties of a kind of scripted fault.
pub struct FaultForm {
    /// Name of the field.
    pub key: &'static str,
    /// Meaning of the duration.
    pub duration: DurationRule,
    /// Relative frequency among generated faults; 0 if the kind is generated separately or never.
    pub weight: u64,
    /// Fills in a generated fault.
    pub generate: fn(&mut ScriptField, &mut dyn ArgumentSource),
}

/// The nodes and items to which an entry refers.
#[derive(Default)]
pub struct References<'a> {
    /// Target of the fault.
    pub target: Option<&'a TargetField>,
    /// Single node that the fault changes.
    pub node: Option<&'a NodeName>,
    /// Groups of nodes, none of which may be empty.
    pub groups: Vec<&'a mut Vec<NodeName>>,
    /// Inputs of a new recipe.
    pub needs: Option<&'a mut Quantities>,
}

/// The argument of a fault in a file.
trait Form {
    fn references(&mut self) -> References<'_>;
}

/// A problem of an entry: its key, and a description.
pub(crate) type EntryProblem = (&'static str, String);

/// A fault that was read, with its form.
pub(crate) type Read = Result<(&'static FaultForm, Fault), EntryProblem>;

/// Defines the fields of [`ScriptField`] from a table: field, argument, duration, weight, conversion, generation.
macro_rules! scripted_faults {
    ($(
        $(#[doc = $doc:literal])+
        $key:ident: $form:ty, $duration:ident, $weight:literal,
        $convert:expr,
        $generate:expr;
    )+) => {
        /// A scripted fault: exactly one of `at` and `when`, and exactly one fault.
        #[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct ScriptField {
            /// Time of the fault.
            pub at: Option<Span>,
            /// Condition that triggers the fault.
            pub when: Option<Condition>,
            /// Occurrence of the condition, counting from 1; the first if unset.
            pub nth: Option<NonZeroU64>,
            /// Delay after the occurrence.
            pub wait: Option<Span>,
            $($(#[doc = $doc])+ pub $key: Option<$form>,)+
            /// Additional time per input of a slowed node.
            pub by: Option<Span>,
            /// Duration of the fault.
            #[serde(rename = "for")]
            pub duration: Option<Span>,
        }

        impl ScriptField {
            /// The kinds of faults, in the order of the table.
            pub const FORMS: &[FaultForm] = &[$(FaultForm {
                key: stringify!($key),
                duration: DurationRule::$duration,
                weight: $weight,
                generate: $generate,
            }),+];

            /// Returns the nodes and items of the entry's fault; of the first one if there are several.
            pub fn references(&mut self) -> References<'_> {
                $(if let Some(form) = &mut self.$key {
                    return form.references();
                })+
                References::default()
            }

            /// Converts all faults of the entry.
            pub(crate) fn faults(&self, names: &Names<'_>) -> Vec<Read> {
                let mut forms = Self::FORMS.iter();
                let mut faults = Vec::new();
                $({
                    let form = forms.next().expect("one form for each field");
                    let convert: fn(&$form, &Self, &Names<'_>) -> Result<Fault, String> = $convert;
                    if let Some(argument) = &self.$key {
                        let fault = convert(argument, self, names);
                        faults.push(fault.map(|fault| (form, fault)).map_err(|message| (form.key, message)));
                    }
                })+
                faults
            }
        }
    };
}

scripted_faults! {
    /// The nodes crash and lose all state but their logs.
    crash: TargetField, UntilRecovery, 6,
    |target, _, names| Ok(Fault::Fail(names.target(target)?, FailureMode::Crash)),
    |entry, source| entry.crash = Some(source.target());

    /// The nodes crash in the middle of the next input.
    crash_midway: TargetField, UntilRecovery, 4,
    |target, _, names| Ok(Fault::Fail(names.target(target)?, FailureMode::CrashMidway)),
    |entry, source| entry.crash_midway = Some(source.target());

    /// The nodes freeze.
    freeze: TargetField, Required, 2,
    |target, _, names| Ok(Fault::Fail(names.target(target)?, FailureMode::Freeze)),
    |entry, source| entry.freeze = Some(source.target());

    /// The nodes are slowed down.
    slow: TargetField, Optional, 1,
    |target, entry, names| {
        let by = entry.by.filter(|span| !span.is_zero());
        let by = by.ok_or("`slow` needs `by`, the additional time per input")?;
        Ok(Fault::Slow(names.target(target)?, by))
    },
    |entry, source| {
        entry.slow = Some(source.target());
        entry.by = Some(source.span(10, 500));
    };

    /// The next append of the nodes fails.
    fail_append: TargetField, UntilRecovery, 2,
    |target, _, names| Ok(Fault::FailAppend(names.target(target)?)),
    |entry, source| entry.fail_append = Some(source.target());

    /// Messages from some nodes to others are lost.
    one_way_partition: PartitionField, Optional, 2,
    |field, _, names| {
        let (from, to) = (names.group(&field.from)?, names.group(&field.to)?);
        Ok(Fault::Links(LinkFault::Partition { from, to, both_directions: false }))
    },
    |entry, source| {
        entry.one_way_partition = Some(PartitionField { from: source.nodes(), to: source.nodes() });
    };

    /// Messages between two groups are lost.
    partition: Vec<Vec<NodeName>>, Optional, 1,
    |groups, _, names| {
        let [one, other] = &groups[..] else {
            return Err(format!(
                "a partition has two groups, not {}; nodes in neither group reach both",
                groups.len()
            ));
        };
        let (from, to) = (names.group(one)?, names.group(other)?);
        match from.iter().find(|node| to.contains(node)) {
            Some(node) => Err(format!("`{}` is in both groups", names.name(*node))),
            None => Ok(Fault::Links(LinkFault::Partition { from, to, both_directions: true })),
        }
    },
    |entry, source| {
        let (one, other) = (source.nodes(), source.nodes());
        let rest: Vec<NodeName> = other.iter().filter(|node| !one.contains(node)).cloned().collect();
        match rest.is_empty() {
            true => entry.one_way_partition = Some(PartitionField { from: one, to: other }),
            false => entry.partition = Some(vec![one, rest]),
        }
    };

    /// Some messages from some nodes to others are lost.
    lossy_links: LossyLinksField, Optional, 1,
    |field, _, names| {
        if !(field.loss > 0.0 && field.loss <= 1.0) {
            return Err(format!("`loss` must be above 0 and at most 1, not {}", field.loss));
        }
        let (from, to) = (names.group(&field.from)?, names.group(&field.to)?);
        Ok(Fault::Links(LinkFault::Lossy { from, to, loss: field.loss }))
    },
    |entry, source| {
        let (from, to) = (source.nodes(), source.nodes());
        entry.lossy_links = Some(LossyLinksField { from, to, loss: source.share(900) + 0.1 });
    };

    /// All faults of links end.
    heal: Heal, None, 1,
    |_, _, _| Ok(Fault::Links(LinkFault::Heal)),
    |entry, _| entry.heal = Some(Heal::Links);

    /// The nodes recover.
    recover: TargetField, None, 1,
    |target, _, names| Ok(Fault::Recover(names.target(target)?)),
    |entry, source| entry.recover = Some(source.target());

    /// A node's recipe changes.
    recipe: RecipeField, None, 0,
    |field, _, names| {
        let mut requires = Vec::with_capacity(field.needs.0.len());
        for (item, quantity) in &field.needs.0 {
            if !(1..=QUANTITY_MAX).contains(quantity) {
                return Err(format!(
                    "a production run consumes 1 to {QUANTITY_MAX} batches of an item, not {quantity}"
                ));
            }
            requires.push(Requirement { item: names.item(item)?, quantity: *quantity });
        }
        requires.sort_unstable();
        Ok(Fault::Recipe(names.node(&field.node)?, requires))
    },
    |_, _| {};

    /// A node joins.
    add: NodeName, None, 0,
    |name, _, names| Ok(Fault::Add(names.node(name)?)),
    |_, _| {};

    /// A node retires.
    retire: NodeName, None, 0,
    |name, _, names| Ok(Fault::Retire(names.node(name)?)),
    |_, _| {};
}

/// Senders and receivers of a one-way partition.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartitionField {
    /// The senders.
    pub from: Vec<NodeName>,
    /// The receivers.
    pub to: Vec<NodeName>,
}

/// Senders and receivers of lossy links.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossyLinksField {
    /// The senders.
    pub from: Vec<NodeName>,
    /// The receivers.
    pub to: Vec<NodeName>,
    /// Fraction of messages that are lost.
    pub loss: f64,
}

/// The subject of a `heal` entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Heal {
    /// All faults of links.
    Links,
}

/// A new recipe.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipeField {
    /// The node.
    pub node: NodeName,
    /// Inputs of a production run.
    #[serde(default)]
    pub needs: Quantities,
}

impl Form for TargetField {
    fn references(&mut self) -> References<'_> {
        References { target: Some(self), ..References::default() }
    }
}

impl Form for NodeName {
    fn references(&mut self) -> References<'_> {
        References { node: Some(self), ..References::default() }
    }
}

impl Form for PartitionField {
    fn references(&mut self) -> References<'_> {
        References { groups: vec![&mut self.from, &mut self.to], ..References::default() }
    }
}

impl Form for LossyLinksField {
    fn references(&mut self) -> References<'_> {
        References { groups: vec![&mut self.from, &mut self.to], ..References::default() }
    }
}

impl Form for Vec<Vec<NodeName>> {
    fn references(&mut self) -> References<'_> {
        References { groups: self.iter_mut().collect(), ..References::default() }
    }
}

impl Form for Heal {
    fn references(&mut self) -> References<'_> {
        References::default()
    }
}

impl Form for RecipeField {
    fn references(&mut self) -> References<'_> {
        References { node: Some(&self.node), needs: Some(&mut self.needs), ..References::default() }
    }
}
