//! Shrinks a failing scenario while it still fails in the same way.
//!
//! Everything removable is removed: first faults, then nodes and their inputs, then settings that differ from
//! the defaults, finally time. Each step proposes a simpler scenario; the first that still fails is kept, and
//! the search continues from there until no step succeeds (delta debugging: Zeller and Hildebrandt 2002,
//! without subsets, because scenarios have few parts and runs are short).

use std::num::NonZeroU32;

use dmos_core::faults::{ClockFaults, DiskFaults, MaterialInCrash};
use dmos_core::scenario::SameTimeOrder;
use dmos_core::settings::{Protocol, Work};
use dmos_core::{Registry, Span};
use dmos_scenario::ScenarioFile;
use dmos_scenario::file::{
    CandidatesField, DelaysField, MessagesField, NodeName, NodesField, Quantities, SitesField, TargetField,
};

use crate::trial::{TrialFailure, try_out};

/// A shrunk scenario.
#[derive(Clone, PartialEq, Debug)]
pub struct Shrunk {
    /// The scenario.
    pub file: ScenarioFile,
    /// Its failure.
    pub failure: TrialFailure,
    /// Number of runs executed.
    pub runs: u64,
}

/// Number of seeds tried besides the file's own: removing a node changes all random numbers, so a failure
/// that depends on chance needs several.
const SEEDS: u64 = 8;

/// Shrinks a failing scenario in at most a number of runs, while it fails in the same way. Returns `None` if
/// it does not fail.
#[must_use]
pub fn shrink(file: &ScenarioFile, runs: u64, registry: &Registry) -> Option<Shrunk> {
    let failure = fails(file, registry)?;
    shrink_while(file, runs, registry, &|found| failure.is_like(found))
}

/// Shrinks a failing scenario in at most a number of runs, while `is_wanted` accepts its failure. Returns
/// `None` if it does not fail.
#[must_use]
pub fn shrink_while(
    file: &ScenarioFile,
    runs: u64,
    registry: &Registry,
    is_wanted: &dyn Fn(&TrialFailure) -> bool,
) -> Option<Shrunk> {
    let mut shrinking = Shrinking { registry, is_wanted, runs_left: runs, file: file.clone() };
    while shrinking.round() {}
    let failure = fails(&shrinking.file, registry)?;
    Some(Shrunk { file: shrinking.file, failure, runs: runs - shrinking.runs_left })
}

fn fails(file: &ScenarioFile, registry: &Registry) -> Option<TrialFailure> {
    // An invalid scenario does not fail in the same way.
    try_out(file, false, registry).ok()?.failure
}

struct Shrinking<'a> {
    registry: &'a Registry,
    /// Returns whether a failure is the one to be preserved.
    is_wanted: &'a dyn Fn(&TrialFailure) -> bool,
    runs_left: u64,
    /// The smallest scenario so far.
    file: ScenarioFile,
}

impl Shrinking<'_> {
    /// Tries every step once; returns whether the scenario became smaller and runs are left.
    fn round(&mut self) -> bool {
        let mut is_smaller = false;
        for step in STEPS {
            // Parts are numbered; a part that cannot be removed is skipped, and removing one renumbers the
            // rest.
            let mut part = 0;
            while let Some(simpler) = step(&self.file, part) {
                if simpler != self.file && self.accept_if_failing(simpler) {
                    is_smaller = true;
                } else {
                    part += 1;
                }
                if self.runs_left == 0 {
                    return false;
                }
            }
        }
        is_smaller
    }

    /// Replaces the file by a simpler scenario if that fails in the same way, with its own seed or one of a few
    /// others. Returns whether it does.
    fn accept_if_failing(&mut self, simpler: ScenarioFile) -> bool {
        let seeds = [simpler.seed].into_iter().chain(1..=SEEDS);
        for seed in seeds.take(self.runs_left as usize) {
            let file = ScenarioFile { seed, ..simpler.clone() };
            self.runs_left -= 1;
            if fails(&file, self.registry).is_some_and(|found| (self.is_wanted)(&found)) {
                self.file = file;
                return true;
            }
        }
        false
    }
}

/// A step: simplifies the part of a file with a number, or returns `None` if there are no more parts.
type Step = fn(&ScenarioFile, usize) -> Option<ScenarioFile>;

const STEPS: &[Step] = &[
    without_half_the_script,
    without_fault,
    without_other_faults,
    without_item,
    without_node,
    without_need,
    without_ends,
    plain_setting,
    plain_protocol,
    simpler_fault,
    shorter,
    rounder,
];

fn changed(file: &ScenarioFile, change: impl FnOnce(&mut ScenarioFile)) -> Option<ScenarioFile> {
    let mut file = file.clone();
    change(&mut file);
    Some(file)
}

fn without_half_the_script(file: &ScenarioFile, part: usize) -> Option<ScenarioFile> {
    let count = file.faults.script.len();
    (part < 2 && count > 3).then_some(())?;
    changed(file, |file| {
        let half = count / 2;
        file.faults.script =
            if part == 0 { file.faults.script.split_off(half) } else { file.faults.script[..half].to_vec() };
    })
}

fn without_fault(file: &ScenarioFile, part: usize) -> Option<ScenarioFile> {
    (part < file.faults.script.len()).then_some(())?;
    changed(file, |file| drop(file.faults.script.remove(part)))
}

fn without_other_faults(file: &ScenarioFile, part: usize) -> Option<ScenarioFile> {
    let faults = |file: &mut ScenarioFile| {
        let faults = &mut file.faults;
        match part {
            0 => faults.op_generator = None,
            1 => faults.random_failures.clear(),
            2 => faults.messages = MessagesField::default(),
            3 => faults.disks = DiskFaults::default(),
            4 => faults.clocks = ClockFaults::default(),
            5 => faults.material = MaterialInCrash::default(),
            6 => faults.messages.loss = 0.0,
            7 => faults.messages.duplication = 0.0,
            8 => faults.messages.reordering = 0.0,
            9 => faults.messages.delay = None,
            10 => faults.disks.append_failure = 0.0,
            11 => faults.disks.torn = false,
            _ => {}
        }
    };
    (part < 12).then_some(())?;
    changed(file, faults)
}

/// Returns the names of a file's nodes and of their items; empty if nodes are not listed.
fn names(file: &ScenarioFile) -> Vec<(String, String)> {
    let nodes = file.network.nodes.iter().flatten();
    nodes
        .map(|node| (node.name.clone().unwrap_or(node.makes.item.clone()), node.makes.item.clone()))
        .collect()
}

fn items(file: &ScenarioFile) -> Vec<String> {
    let mut items: Vec<String> = names(file).into_iter().map(|(_, item)| item).collect();
    items.dedup();
    items
}

/// Removes an item with all its producers, and from all recipes.
fn without_item(file: &ScenarioFile, part: usize) -> Option<ScenarioFile> {
    let item = items(file).get(part)?.clone();
    let gone: Vec<String> =
        names(file).into_iter().filter(|(_, makes)| *makes == item).map(|(name, _)| name).collect();
    changed(file, |file| {
        take_out(file, &gone);
        forget_item(file, &item);
    })
}

/// Removes a node, and its item if it was the only producer.
fn without_node(file: &ScenarioFile, part: usize) -> Option<ScenarioFile> {
    let names = names(file);
    let (name, item) = names.get(part)?.clone();
    let is_last = names.iter().filter(|(_, makes)| *makes == item).count() == 1;
    changed(file, |file| {
        take_out(file, &[name]);
        if is_last {
            forget_item(file, &item);
        }
    })
}

fn take_out(file: &mut ScenarioFile, gone: &[String]) {
    let nodes = file.network.nodes.get_or_insert_default();
    nodes.retain(|node| !gone.contains(node.name.as_ref().unwrap_or(&node.makes.item)));
    let is_inhabited = |site: &Option<String>| site.is_none() || nodes.iter().any(|node| node.site == *site);
    file.sites.routes.retain(|route| is_inhabited(&route.from) && is_inhabited(&route.to));
    // The last node makes the final item, unless the file names another.
    let count = u32::try_from(nodes.len()).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
    if let Some(CandidatesField::Count(candidates)) = &mut file.candidates {
        *candidates = (*candidates).min(count);
    }
    let stays = |name: &NodeName| !gone.contains(&name.0);
    file.faults.script.retain_mut(|entry| {
        let mut references = entry.references();
        references.groups.iter_mut().for_each(|group| group.retain(stays));
        let has_target = !matches!(references.target, Some(TargetField::Node(name)) if !stays(name));
        has_target
            && references.node.is_none_or(stays)
            && references.groups.iter().all(|group| !group.is_empty())
    });
    for random_failures in &mut file.faults.random_failures {
        if let NodesField::These(nodes) = &mut random_failures.nodes {
            nodes.retain(stays);
        }
    }
}

fn forget_item(file: &mut ScenarioFile, item: &str) {
    let forget = |needs: &mut Quantities| needs.0.retain(|(needed, _)| needed != item);
    file.network.nodes.iter_mut().flatten().for_each(|node| forget(&mut node.needs));
    if let Some(finals) = &mut file.network.final_items {
        forget(finals);
        if finals.is_empty() {
            file.network.final_items = None;
        }
    }
    file.faults.script.retain_mut(|entry| {
        let references = entry.references();
        if let Some(needs) = references.needs {
            forget(needs);
        }
        !matches!(references.target, Some(TargetField::Item(of) | TargetField::ProducerOf(of)) if of == item)
    });
}

/// Removes one input of a node, or reduces its quantity to one.
fn without_need(file: &ScenarioFile, part: usize) -> Option<ScenarioFile> {
    let mut places = Vec::new();
    for (node, field) in file.network.nodes.iter().flatten().enumerate() {
        places.extend((0..field.needs.0.len()).map(|need| (node, need)));
    }
    let &(node, need) = places.get(part / 2)?;
    changed(file, |file| {
        let field = &mut file.network.nodes.get_or_insert_default()[node];
        if part.is_multiple_of(2) {
            field.needs.0.remove(need);
        } else {
            field.needs.0[need].1 = 1;
            field.makes.quantity = 1;
        }
    })
}

/// Removes optional fields at the top level.
fn without_ends(file: &ScenarioFile, part: usize) -> Option<ScenarioFile> {
    (part < 6).then_some(())?;
    changed(file, |file| match part {
        0 => file.network.final_items = None,
        1 => file.candidates = None,
        2 => file.flow = None,
        3 => (file.leader, file.detector) = (None, None),
        4 => file.planning_budget = None,
        _ => file.sample_every = None,
    })
}

fn plain_setting(file: &ScenarioFile, part: usize) -> Option<ScenarioFile> {
    (part < 7).then_some(())?;
    changed(file, |file| match part {
        0 => file.work = Work::default(),
        1 => file.delays = DelaysField::default(),
        2 => file.delays.between_starts = None,
        3 => file.delays.message = None,
        4 => file.delays.transit = None,
        5 => {
            file.sites = SitesField::default();
            file.network.nodes.iter_mut().flatten().for_each(|node| node.site = None);
        }
        _ => file.same_time_order = SameTimeOrder::Scheduled,
    })
}

/// Resets the protocol's fields to their defaults, all at once or one by one.
fn plain_protocol(file: &ScenarioFile, part: usize) -> Option<ScenarioFile> {
    let plain = Protocol::default();
    (part < 21).then_some(())?;
    changed(file, |file| {
        let protocol = &mut file.protocol;
        match part {
            0 => *protocol = plain,
            1 => protocol.start_delay = plain.start_delay,
            2 => protocol.production_delay = plain.production_delay,
            3 => protocol.cycle = plain.cycle,
            4 => (protocol.heartbeat, protocol.suspect_after) = (plain.heartbeat, plain.suspect_after),
            5 => (protocol.retry_after, protocol.retry_max) = (plain.retry_after, plain.retry_max),
            6 => protocol.stock_limit = plain.stock_limit,
            7 => protocol.commitment_limit = plain.commitment_limit,
            8 => protocol.mailbox_limit = plain.mailbox_limit,
            9 => protocol.compact_after = plain.compact_after,
            10 => protocol.neighbours_every = plain.neighbours_every,
            11 => protocol.dissemination = plain.dissemination,
            12 => protocol.receiving = plain.receiving,
            13 => protocol.requests = plain.requests,
            14 => protocol.failure_reports = plain.failure_reports,
            15 => protocol.planning = plain.planning,
            16 => protocol.rejoin = plain.rejoin,
            17 => protocol.log = plain.log,
            18 => protocol.recovery = plain.recovery,
            19 => protocol.serving = plain.serving,
            _ => protocol.mailbox = plain.mailbox,
        }
    })
}

/// Simplifies a scripted fault: an ordinary crash, immediately, of one node.
fn simpler_fault(file: &ScenarioFile, part: usize) -> Option<ScenarioFile> {
    (part / 5 < file.faults.script.len()).then_some(())?;
    changed(file, |file| {
        let entry = &mut file.faults.script[part / 5];
        match part % 5 {
            0 if entry.crash_midway.is_some() => entry.crash = entry.crash_midway.take(),
            1 => entry.wait = None,
            2 => entry.nth = None,
            3 => entry.references().groups.iter_mut().for_each(|group| group.truncate(1)),
            4 if entry.crash.is_some() => entry.duration = None,
            _ => {}
        }
    })
}

/// Shortens the run, the time of healing, and the times of faults.
fn shorter(file: &ScenarioFile, part: usize) -> Option<ScenarioFile> {
    // Whole seconds only, to guarantee termination.
    let share = |span: Span, tenths: u64| {
        Span::from_secs(span.as_nanos() / 10 * tenths / 1_000_000_000).max(Span::from_secs(1)).min(span)
    };
    let half = |span: Span| share(span, 5);
    let parts = 4 + 2 * file.faults.script.len();
    (part < parts).then_some(())?;
    changed(file, |file| match part {
        0 => file.faults.heal_at = None,
        1 => file.duration = half(file.duration),
        2 => file.duration = share(file.duration, 9),
        3 => file.faults.heal_at = file.faults.heal_at.map(half),
        _ => {
            let entry = &mut file.faults.script[(part - 4) / 2];
            if part.is_multiple_of(2) {
                entry.at = entry.at.map(half);
            } else {
                entry.duration = entry.duration.map(half);
            }
        }
    })
}

/// Rounds times to whole seconds.
fn rounder(file: &ScenarioFile, part: usize) -> Option<ScenarioFile> {
    let round = |span: Span| Span::from_secs(span.as_nanos().div_ceil(1_000_000_000));
    let parts = 2 + 2 * file.faults.script.len();
    (part < parts).then_some(())?;
    changed(file, |file| match part {
        0 => file.duration = round(file.duration),
        1 => file.faults.heal_at = file.faults.heal_at.map(round),
        _ => {
            let entry = &mut file.faults.script[(part - 2) / 2];
            if part.is_multiple_of(2) {
                entry.at = entry.at.map(round);
            } else {
                entry.duration = entry.duration.map(round);
            }
        }
    })
}
