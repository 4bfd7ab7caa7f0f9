//! Checks and conversion of the faults of a scenario file.

use dmos_core::faults::{
    Condition, DiskFaults, FailureMode, Fault, Faults, MessageFaults, RandomFailures, ScriptedFault, Target,
    Trigger,
};
use dmos_core::{ItemId, Network, NetworkError, NodeId, Requirement, Span, Time};

use super::{PERIOD_MIN, Problems, SUGGESTIONS, at_least, distributions, unknown_item, unknown_node};
use crate::document::{Path, steps};
use crate::file::{
    DistributionField, FaultsField, MessagesField, NodeName, NodesField, RandomFailuresField, Role,
    ScriptField, TargetField,
};

/// Maximum clock drift.
const DRIFT_MAX: f64 = 0.3;

/// Maximum number of batches of an item that a production run consumes.
const QUANTITY_MAX: u32 = 1_000;

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
        let mut reader = Entry { network, suggests: problems.len() < SUGGESTIONS };
        match reader.read(entry) {
            Ok(scripted) => script.push(scripted),
            Err((key, message)) => problems.push((steps!["faults", "script", index, key], message)),
        }
    }
    check_orders(&script, network, problems);
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
    share(field.clocks.drift, DRIFT_MAX, steps!["faults", "clocks", "drift"], problems);
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

fn share(value: f64, max: f64, path: Path, problems: &mut Problems) {
    if !(0.0..=max).contains(&value) {
        let name = path.last().map(ToString::to_string).unwrap_or_default();
        problems.push((path, format!("`{name}` must be a share from 0 to {max}, not {value}")));
    }
}

fn check_disks(disks: &DiskFaults, problems: &mut Problems, warnings: &mut Vec<String>) {
    share(disks.append_failure, 0.5, steps!["faults", "disks", "append_failure"], problems);
    if disks.torn && !disks.lose_unsynced {
        warnings.push("`torn` has no effect unless `lose_unsynced` is on".to_owned());
    }
}

fn messages(field: MessagesField, problems: &mut Problems) -> MessageFaults {
    let path = |key: &str| steps!["faults", "messages", key];
    share(field.loss, 0.9, path("loss"), problems);
    share(field.duplication, 0.9, path("duplication"), problems);
    share(field.reordering, 0.9, path("reordering"), problems);
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
    let nodes = match field.nodes {
        NodesField::All => network.nodes().collect(),
        NodesField::These(names) => match node_list(&names, network, problems.len() < SUGGESTIONS) {
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

fn node(name: &str, network: &Network, suggests: bool) -> Result<NodeId, String> {
    network.find_node(name).ok_or_else(|| {
        if suggests { unknown_node(name, network) } else { format!("there is no node `{name}`") }
    })
}

/// Returns nodes in ascending order, without duplicates.
fn node_list(names: &[NodeName], network: &Network, suggests: bool) -> Result<Vec<NodeId>, String> {
    let mut nodes =
        names.iter().map(|name| node(&name.0, network, suggests)).collect::<Result<Vec<_>, _>>()?;
    nodes.sort_unstable();
    nodes.dedup();
    Ok(nodes)
}

/// A problem of a script entry: its key, and a description.
type EntryProblem = (&'static str, String);

/// Converts entries of the script.
struct Entry<'a> {
    network: &'a Network,
    suggests: bool,
}

impl Entry<'_> {
    fn read(&mut self, entry: ScriptField) -> Result<ScriptedFault, EntryProblem> {
        let trigger = trigger(&entry)?;
        let (duration, by) = (entry.duration, entry.by);
        let (key, fault) = self.fault(entry)?;
        let must_end = matches!(fault, Fault::Fail(_, FailureMode::Freeze));
        let may_end = must_end
            || matches!(
                fault,
                Fault::Fail(..) | Fault::Slow(..) | Fault::FailAppend(_) | Fault::Partition { .. }
            );
        match duration {
            None if must_end => Err((key, format!("`{key}` needs `for`, its duration"))),
            Some(_) if !may_end => Err(("for", format!("`{key}` has no duration; remove `for`"))),
            Some(span) if span.is_zero() => Err(("for", "`for` must be longer than 0s".to_owned())),
            _ if by.is_some() && !matches!(fault, Fault::Slow(..)) => {
                Err(("by", "`by` is the factor of `slow`; it has no meaning without it".to_owned()))
            }
            _ => Ok(ScriptedFault { trigger, fault, duration }),
        }
    }

    fn fault(&self, entry: ScriptField) -> Result<(&'static str, Fault), EntryProblem> {
        let fail = |key, how, target: Option<TargetField>| {
            target.map(|target| self.target(key, target).map(|target| (key, Fault::Fail(target, how))))
        };
        let given = [
            fail("crash", FailureMode::Crash, entry.crash),
            fail("crash_midway", FailureMode::CrashMidway, entry.crash_midway),
            fail("freeze", FailureMode::Freeze, entry.freeze),
            entry.slow.map(|target| self.slow(target, entry.by)),
            entry.fail_append.map(|target| {
                self.target("fail_append", target).map(|t| ("fail_append", Fault::FailAppend(t)))
            }),
            entry
                .recover
                .map(|target| self.target("recover", target).map(|t| ("recover", Fault::Recover(t)))),
            entry.one_way_partition.map(|cut| self.partition("one_way_partition", &cut.from, &cut.to, false)),
            entry.partition.map(|[one, other]| self.partition("partition", &one, &other, true)),
            entry.heal.map(|_| Ok(("heal", Fault::Heal))),
            entry.recipe.map(|recipe| self.recipe(&recipe.node, &recipe.needs.0)),
            entry.add.map(|name| self.node("add", &name).map(|node| ("add", Fault::Add(node)))),
            entry.retire.map(|name| self.node("retire", &name).map(|node| ("retire", Fault::Retire(node)))),
        ];
        let mut given = given.into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(fault), None) => fault,
            _ => {
                let message = "give exactly one of `crash`, `crash_midway`, `freeze`, `slow`, `fail_append`, \
                     `recover`, `one_way_partition`, `partition`, `heal`, `recipe`, `add` and `retire`";
                Err(("at", message.to_owned()))
            }
        }
    }

    fn node(&self, key: &'static str, name: &NodeName) -> Result<NodeId, EntryProblem> {
        node(&name.0, self.network, self.suggests).map_err(|message| (key, message))
    }

    fn item(&self, key: &'static str, name: &str) -> Result<ItemId, EntryProblem> {
        self.network.find_item(name).ok_or_else(|| {
            (
                key,
                if self.suggests {
                    unknown_item(name, self.network)
                } else {
                    format!("there is no item `{name}`")
                },
            )
        })
    }

    fn target(&self, key: &'static str, target: TargetField) -> Result<Target, EntryProblem> {
        Ok(match target {
            TargetField::Node(name) => Target::Node(self.node(key, &name)?),
            TargetField::Item(item) => Target::Item(self.item(key, &item)?),
            TargetField::ProducerOf(item) => Target::ProducerOf(self.item(key, &item)?),
            TargetField::Role(Role::Leader) => Target::Leader,
            TargetField::Role(Role::Busiest) => Target::Busiest,
            TargetField::Role(Role::Any) => Target::AnyNode,
        })
    }

    fn slow(&self, target: TargetField, by: Option<Span>) -> Result<(&'static str, Fault), EntryProblem> {
        let by = by.filter(|span| !span.is_zero());
        let by = by
            .ok_or(("slow", "`slow` needs `by`, the factor on the processing time of an input".to_owned()))?;
        Ok(("slow", Fault::Slow(self.target("slow", target)?, by)))
    }

    fn partition(
        &self,
        key: &'static str,
        from: &[NodeName],
        to: &[NodeName],
        both_directions: bool,
    ) -> Result<(&'static str, Fault), EntryProblem> {
        let list = |names: &[NodeName]| {
            if names.is_empty() {
                return Err((key, format!("`{key}` needs at least one node on each side")));
            }
            node_list(names, self.network, self.suggests).map_err(|message| (key, message))
        };
        Ok((key, Fault::Partition { from: list(from)?, to: list(to)?, both_directions }))
    }

    fn recipe(
        &self,
        name: &NodeName,
        needs: &[(String, u32)],
    ) -> Result<(&'static str, Fault), EntryProblem> {
        let node = self.node("recipe", name)?;
        let mut requires = Vec::with_capacity(needs.len());
        for (item, quantity) in needs {
            if !(1..=QUANTITY_MAX).contains(quantity) {
                let message = format!(
                    "a production run consumes 1 to {QUANTITY_MAX} batches of an item, not {quantity}"
                );
                return Err(("recipe", message));
            }
            requires.push(Requirement { item: self.item("recipe", item)?, quantity: *quantity });
        }
        requires.sort_unstable();
        Ok(("recipe", Fault::Recipe(node, requires)))
    }
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
fn check_orders(script: &[ScriptedFault], network: &Network, problems: &mut Problems) {
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
