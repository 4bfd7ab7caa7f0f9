//! Checks and conversion of the faults of a scenario file.

use dmos_core::faults::{
    Condition, DiskFaults, Fault, Faults, MessageFaults, RandomFailures, ScriptedFault, Trigger,
};
use dmos_core::{Network, NetworkError, NodeId, Requirement, Span, Time};

use super::{Names, PERIOD_MIN, Problems, SUGGESTIONS, at_least, distributions};
use crate::document::{Path, steps};
use crate::file::{DistributionField, FaultsField, MessagesField, NodesField, RandomFailuresField};
use crate::script::{DurationRule, EntryProblem, ScriptField};

/// Maximum clock drift.
const DRIFT_MAX: f64 = 0.3;

/// Checks and converts the faults of a file.
pub(super) fn faults(
    field: FaultsField,
    network: &Network,
    duration: Span,
    problems: &mut Problems,
    warnings: &mut Vec<String>,
) -> Faults {
    if field.op_generator.as_ref().is_some_and(|op_generator| op_generator.cycle < PERIOD_MIN) {
        problems.push(at_least(steps!["faults", "op_generator", "cycle"], PERIOD_MIN));
    }
    let random_failures: Vec<RandomFailures> = field
        .random_failures
        .into_iter()
        .enumerate()
        .filter_map(|(index, entry)| random_failures(index, entry, network, problems))
        .collect();
    let mut script = Vec::with_capacity(field.script.len());
    for (index, entry) in field.script.into_iter().enumerate() {
        let names = Names { network, suggests: problems.len() < SUGGESTIONS };
        match scripted(&entry, &names) {
            Ok(scripted) => script.push(scripted),
            Err((key, message)) => problems.push((steps!["faults", "script", index, key], message)),
        }
    }
    check_recipe_changes(&script, network, problems);
    let late = script.iter().filter(|scripted| comes_after(scripted, Time::ZERO + duration)).count();
    if late > 0 {
        warnings.push(format!("{late} scripted faults are scheduled after the end of the run"));
    }
    let heal_at = field.heal_at.map(|span| Time::ZERO + span);
    if let Some(heal_at) = heal_at {
        if heal_at > Time::ZERO + duration {
            warnings.push("`heal_at` is after the end of the run".to_owned());
        }
        let late = script.iter().filter(|scripted| comes_after(scripted, heal_at)).count();
        if late > 0 {
            warnings.push(format!("{late} scripted faults are scheduled after `heal_at` and have no effect"));
        }
    }
    check_disks(&field.disks, problems, warnings);
    fraction(field.clocks.drift, DRIFT_MAX, steps!["faults", "clocks", "drift"], problems);
    Faults {
        op_generator: field.op_generator,
        random_failures,
        script,
        messages: messages(field.messages, problems),
        disks: field.disks,
        clocks: field.clocks,
        material: field.material,
        heal_at,
    }
}

fn comes_after(scripted: &ScriptedFault, end: Time) -> bool {
    matches!(scripted.trigger, Trigger::At(at) if at > end)
}

fn fraction(value: f64, max: f64, path: Path, problems: &mut Problems) {
    if !(0.0..=max).contains(&value) {
        let name = path.last().map(ToString::to_string).unwrap_or_default();
        problems.push((path, format!("`{name}` must be a fraction from 0 to {max}, not {value}")));
    }
}

fn check_disks(disks: &DiskFaults, problems: &mut Problems, warnings: &mut Vec<String>) {
    fraction(disks.append_failure, 0.5, steps!["faults", "disks", "append_failure"], problems);
    if disks.torn && !disks.lose_unsynced {
        warnings.push("`torn` has no effect unless `lose_unsynced` is on".to_owned());
    }
}

fn messages(field: MessagesField, problems: &mut Problems) -> MessageFaults {
    let path = |key: &str| steps!["faults", "messages", key];
    fraction(field.loss, 0.9, path("loss"), problems);
    fraction(field.duplication, 0.9, path("duplication"), problems);
    fraction(field.reordering, 0.9, path("reordering"), problems);
    let shares = [field.loss, field.duplication, field.reordering];
    if shares.iter().all(|share| (0.0..=0.9).contains(share)) && shares.iter().sum::<f64>() > 1.0 {
        let message = "the sum of `loss`, `duplication` and `reordering` exceeds 1";
        problems.push((steps!["faults", "messages"], message.to_owned()));
    }
    let delay = field.delay.map(|DistributionField(distribution)| {
        distributions::check(&distribution, path("delay"), problems);
        distribution
    });
    MessageFaults { loss: field.loss, duplication: field.duplication, reordering: field.reordering, delay }
}

fn random_failures(
    index: usize,
    field: RandomFailuresField,
    network: &Network,
    problems: &mut Problems,
) -> Option<RandomFailures> {
    let path = |key: &str| steps!["faults", "random_failures", index, key];
    let names = Names { network, suggests: problems.len() < SUGGESTIONS };
    let nodes = match field.nodes {
        NodesField::All => network.nodes().collect(),
        NodesField::These(list) => match names.nodes(&list) {
            Ok(nodes) => nodes,
            Err(message) => {
                problems.push((path("nodes"), message));
                return None;
            }
        },
    };
    let (DistributionField(time_to_failure), DistributionField(time_to_repair)) =
        (field.time_to_failure, field.time_to_repair);
    distributions::check(&time_to_failure, path("time_to_failure"), problems);
    distributions::check(&time_to_repair, path("time_to_repair"), problems);
    if time_to_failure.mean() + time_to_repair.mean() < PERIOD_MIN {
        problems.push(at_least(path("time_to_failure"), PERIOD_MIN));
    }
    Some(RandomFailures { nodes, time_to_failure, time_to_repair, mode: field.mode })
}

/// Converts an entry of the script.
fn scripted(entry: &ScriptField, names: &Names<'_>) -> Result<ScriptedFault, EntryProblem> {
    let trigger = trigger(entry)?;
    let mut faults = entry.faults(names).into_iter();
    let (Some(fault), None) = (faults.next(), faults.next()) else {
        return Err(("at", format!("give exactly one of {}", all_keys())));
    };
    let (form, fault) = fault?;
    let (key, duration) = (form.key, entry.duration);
    match (form.duration, duration) {
        (DurationRule::Required, None) => Err((key, format!("`{key}` needs `for`, its duration"))),
        (DurationRule::None, Some(_)) => Err(("for", format!("`{key}` has no duration; remove `for`"))),
        (_, Some(span)) if span.is_zero() => Err(("for", "`for` must be longer than 0s".to_owned())),
        _ if entry.by.is_some() && entry.slow.is_none() => {
            Err(("by", "`by` is the additional time of `slow`; it has no meaning without it".to_owned()))
        }
        _ => Ok(ScriptedFault { trigger, fault, duration }),
    }
}

/// Lists the fields of all faults.
fn all_keys() -> String {
    let keys: Vec<_> = ScriptField::FORMS.iter().map(|form| format!("`{}`", form.key)).collect();
    let (last, others) = keys.split_last().expect("there are faults");
    format!("{} and {last}", others.join(", "))
}

fn trigger(entry: &ScriptField) -> Result<Trigger, EntryProblem> {
    match (entry.at, entry.when) {
        (Some(at), None) => match (entry.nth, entry.wait) {
            (None, None) => Ok(Trigger::At(Time::ZERO + at)),
            (Some(_), _) => Err(("nth", "`nth` goes with `when`, not with `at`".to_owned())),
            (None, Some(_)) => Err(("wait", "`wait` goes with `when`, not with `at`".to_owned())),
        },
        (None, Some(condition)) => Ok(when(entry, condition)),
        _ => Err(("at", "give exactly one of `at` and `when`".to_owned())),
    }
}

fn when(entry: &ScriptField, condition: Condition) -> Trigger {
    let nth = entry.nth.map_or(1, std::num::NonZeroU64::get);
    Trigger::When { condition, nth, wait: entry.wait.unwrap_or_default() }
}

/// Checks that recipe changes fit the network in any order, and that a node joins only once.
fn check_recipe_changes(script: &[ScriptedFault], network: &Network, problems: &mut Problems) {
    let mut added: Vec<NodeId> = Vec::new();
    let mut all: Vec<Vec<Requirement>> =
        network.nodes().map(|node| network.requirements(node).to_vec()).collect();
    let mut is_changed = false;
    for (index, scripted) in script.iter().enumerate() {
        match &scripted.fault {
            Fault::Add(node) if added.contains(node) => {
                let message = format!("node `{}` is added twice", network.node_name(*node));
                problems.push((steps!["faults", "script", index, "add"], message));
            }
            Fault::Add(node) => added.push(*node),
            Fault::Recipe(node, requires) => {
                if requires.windows(2).any(|pair| pair[0].item == pair[1].item) {
                    let message = "an item is listed twice".to_owned();
                    problems.push((steps!["faults", "script", index, "recipe"], message));
                    return;
                }
                is_changed = true;
                let known = &mut all[node.index()];
                for required in requires {
                    if !known.iter().any(|other| other.item == required.item) {
                        known.push(*required);
                    }
                }
            }
            _ => {}
        }
    }
    let all = all.iter().enumerate().map(|(index, requires)| (NodeId::new(index), &requires[..]));
    if is_changed && let Err(error) = network.with_requirements(all) {
        let message = match error {
            NetworkError::Cycle(item) => format!(
                "after the recipe changes of the script, `{}` depends on itself through other items",
                network.item_name(item)
            ),
            error => format!("after the recipe changes of the script: {error}"),
        };
        problems.push((steps!["faults", "script"], message));
    }
    if added.len() == network.node_count() {
        let message = "all nodes are added later; at least one must exist from the start".to_owned();
        problems.push((steps!["faults", "script"], message));
    }
}
