//! `dmos run`: simulates scenarios and prints the metrics of each run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use dmos_core::record::PlanRecord;
use dmos_core::{Metric, NoFlow, Registry, RunRecord, Scenario};
use dmos_report::published::{PublishedTable, comparison_csv, comparison_table};
use dmos_report::{Provenance, RunDocument, Summary, run_directory, table};
use dmos_scenario::{Override, Seeds};
use dmos_sim::Trace;
use dmos_util::atomic_write::{self, is_free};
use sha2::{Digest, Sha256};

use crate::args::{Format, RunArguments};
use crate::commands::load;
use crate::error::CliError;
use crate::output::{eprint_message, print, print_json};

/// A scenario and its runs.
struct Job {
    scenario: Scenario,
    seeds: Seeds,
    provenance: Provenance,
}

pub(crate) fn run(arguments: &RunArguments, registry: &Registry) -> Result<(), CliError> {
    let overrides = arguments.changes.overrides();
    // All input is read and checked before anything is run.
    let jobs = arguments
        .scenarios
        .iter()
        .map(|path| prepare(path, &overrides, arguments.seed, registry))
        .collect::<Result<Vec<_>, _>>()?;
    let published = arguments.against.as_deref().map(PublishedTable::read).transpose();
    let published = published.map_err(|error| CliError::Input(error.to_string()))?;
    if published.is_some() && jobs.len() > 1 {
        return Err(CliError::Input("--against accepts a single scenario".to_owned()));
    }
    if let Some(out) = &arguments.out {
        check_directories(out, &jobs)?;
    }
    let is_single = is_single(&jobs);
    if arguments.trace.is_some() && !is_single {
        return Err(CliError::Input("--trace accepts a single run: one scenario and one seed".to_owned()));
    }
    let mut failed = 0;
    for job in jobs {
        let mut summaries = Vec::new();
        for seed in job.seeds.iter() {
            let scenario = Scenario { seed, ..job.scenario.clone() };
            let (record, trace) = match (arguments.check_determinism, &arguments.trace) {
                (true, _) => run_twice(&scenario).map(|(record, trace)| (record, Some(trace)))?,
                (false, Some(_)) => {
                    let (record, trace) = dmos_sim::run_traced(&scenario);
                    (record, Some(trace))
                }
                (false, None) => (dmos_sim::run(&scenario), None),
            };
            if let (Some(path), Some(trace)) = (&arguments.trace, &trace) {
                write_trace(path, trace)?;
            }
            print_summary(&scenario, &record);
            let planner_failed =
                |plan: &PlanRecord| matches!(plan.no_flow, Some(NoFlow::PlannerFailed { .. }));
            failed += u64::from(!record.is_clean() || record.plans.iter().any(planner_failed));
            match &published {
                Some(_) => summaries.push(Summary::of(&record)),
                None => show(&scenario, &record, arguments.format)?,
            }
            if let Some(out) = &arguments.out {
                let directory = directory(out, &scenario.name, seed, is_single);
                run_directory::write(&directory, &scenario, &record, &job.provenance).map_err(|error| {
                    CliError::Output(format!("cannot write `{}`: {error}", directory.display()))
                })?;
            }
        }
        if let Some(published) = &published {
            compare(published, &Summary::mean_of(&summaries), arguments.format)?;
        }
    }
    if arguments.strict && failed > 0 {
        return Err(CliError::Found(format!(
            "error: invariant violations or planner failures in {failed} runs"
        )));
    }
    Ok(())
}

/// Runs a scenario twice and checks that both runs are identical.
fn run_twice(scenario: &Scenario) -> Result<(RunRecord, Trace), CliError> {
    let (record, trace) = dmos_sim::run_twice(scenario).map_err(|difference| {
        let (name, seed) = (&scenario.name, scenario.seed);
        CliError::Found(format!("error: {name}, seed {seed}: {difference}"))
    })?;
    eprint_message(&format!(
        "deterministic: two identical runs of {} events, trace {:016x}",
        trace.len(),
        trace.hash()
    ));
    Ok((record, trace))
}

/// Writes one line per event.
fn write_trace(path: &Path, trace: &Trace) -> Result<(), CliError> {
    let mut text = String::new();
    for line in trace.lines() {
        let _ = writeln!(text, "{line}");
    }
    atomic_write::write_file(path, &text)
        .map_err(|error| CliError::Output(format!("cannot write `{}`: {error}", path.display())))
}

fn is_single(jobs: &[Job]) -> bool {
    jobs.len() == 1 && jobs[0].seeds.first == jobs[0].seeds.last
}

/// Rejects directories that exist or would be written twice, before anything is run.
fn check_directories(out: &Path, jobs: &[Job]) -> Result<(), CliError> {
    let mut seen = BTreeSet::new();
    for job in jobs {
        for seed in job.seeds.iter() {
            let directory = directory(out, &job.scenario.name, seed, is_single(jobs));
            let shown = directory.display();
            if !is_free(&directory) {
                return Err(CliError::Input(format!(
                    "`{shown}` exists and is not empty; choose another directory, or remove it"
                )));
            }
            if !seen.insert(directory.clone()) {
                return Err(CliError::Input(format!(
                    "two runs would be written to `{shown}`; give the scenarios names"
                )));
            }
        }
    }
    Ok(())
}

fn prepare(
    path: &Path,
    overrides: &[Override],
    seeds: Option<Seeds>,
    registry: &Registry,
) -> Result<Job, CliError> {
    let loaded = load(path, overrides, registry)?;
    let own = loaded.scenario.seed;
    let digest = Sha256::digest(loaded.text.as_bytes());
    let provenance = Provenance {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        file: path.display().to_string(),
        sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
        overrides: overrides.iter().map(ToString::to_string).collect(),
        text: loaded.text,
    };
    Ok(Job { scenario: loaded.scenario, seeds: seeds.unwrap_or(Seeds { first: own, last: own }), provenance })
}

/// Returns the directory of a run: the given one, or a subdirectory if there are several runs.
fn directory(out: &Path, name: &str, seed: u64, is_single: bool) -> PathBuf {
    if is_single { out.to_owned() } else { out.join(format!("{name}-seed-{seed}")) }
}

/// Prints a summary of the run.
fn print_summary(scenario: &Scenario, record: &RunRecord) {
    let material = &record.material;
    let total = |metric: Metric| record.nodes.iter().map(|node| node.get(metric)).sum::<u64>();
    eprint_message(&format!(
        "{}, seed {}, {}, {}: {} events in {}; {} finished goods, {} batches in total",
        scenario.name,
        scenario.seed,
        scenario.flow,
        scenario.leader,
        record.events,
        scenario.duration,
        total(Metric::FinishedGoodsMade),
        material.made,
    ));
    let given_up =
        record.plans.iter().filter_map(|plan| plan.no_flow.as_ref()).filter(|why| why.is_inconclusive());
    let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
    given_up.for_each(|why| *reasons.entry(why.explain(&scenario.network)).or_default() += 1);
    for (reason, count) in reasons {
        let plans = if count == 1 { "plan" } else { "plans" };
        eprint_message(&format!("warning: {count} {plans} abandoned: {reason}"));
    }
    let (injected, effective) = record.fault_counts.iter().fold((0, 0), |(injected, effective), count| {
        (injected + count.injected, effective + count.effective)
    });
    if injected > 0 {
        let scrapped = if material.scrapped > 0 {
            format!("; {} batches scrapped", material.scrapped)
        } else {
            String::new()
        };
        eprint_message(&format!("  {injected} faults injected, {effective} effective{scrapped}"));
    }
    if let Some(reason) = &record.liveness_not_checked {
        eprint_message(&format!("note: recovery of production after `heal_at` not checked: {reason}"));
    }
    print_violations(record);
}

/// Prints the violated invariants.
fn print_violations(record: &RunRecord) {
    if record.is_clean() {
        return;
    }
    let material = &record.material;
    eprint_message(&format!(
        "warning: invariants violated: {} violations, {} batches lost, {} consumed twice; the first of each property:",
        record.violations.len(),
        material.lost,
        material.consumed_twice
    ));
    let mut shown = BTreeSet::new();
    for violation in &record.violations {
        if shown.insert(violation.property) {
            let (property, at) = (violation.property.name(), violation.at.as_secs_f64());
            eprint_message(&format!("  {property}, at {at} s: {}", violation.description));
        }
    }
}

fn show(scenario: &Scenario, record: &RunRecord, format: Format) -> Result<(), CliError> {
    match format {
        Format::Table => print(&table::summary(&Summary::of(record))),
        Format::Csv => print(&Summary::of(record).to_csv()),
        Format::Json => print_json(&RunDocument::new(scenario, record)),
    }
}

fn compare(published: &PublishedTable, ours: &Summary, format: Format) -> Result<(), CliError> {
    let comparisons = published.compare(ours);
    match format {
        Format::Table => print(&comparison_table(&comparisons)),
        Format::Csv => print(&comparison_csv(&comparisons)),
        Format::Json => print_json(&comparisons),
    }
}
