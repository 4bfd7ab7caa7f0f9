//! `dmos run`: simulates scenarios and prints the metrics of each run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use dmos_core::record::PlanRecord;
use dmos_core::settings::Production;
use dmos_core::{Metric, NoFlow, NodeSet, Registry, RunRecord, Scenario, Span, Time};
use dmos_report::factory::FactoryReport;
use dmos_report::factory::facts::healthy_removals;
use dmos_report::published::{PublishedTable, comparison_csv, comparison_table};
use dmos_report::{Provenance, RunDocument, Summary, run_directory, table};
use dmos_scenario::{Override, Seeds};
use dmos_sim::Trace;
use dmos_util::atomic_write::{self, is_free, try_directory, try_file};
use sha2::{Digest, Sha256};

use crate::args::{Format, RunArguments};
use crate::commands::bound::{bound, planned_sets_per_hour};
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
    let (jobs, published) = read(arguments, registry)?;
    let is_single = is_single(&jobs);
    let (mut violating, mut failed) = (0, 0);
    let prints_report =
        matches!(arguments.format, Format::Table) && !arguments.metrics && published.is_none();
    if matches!(arguments.format, Format::Csv) && published.is_none() {
        print(&Summary::csv_header())?;
    }
    for job in jobs {
        let mut summaries = Vec::new();
        let mut records = Vec::new();
        for seed in job.seeds.iter() {
            let scenario = Scenario { seed, ..job.scenario.clone() };
            let record = execute(arguments, &scenario)?;
            if !prints_report {
                print_summary(&scenario, &record);
            }
            print_warnings(&scenario, &record);
            violating += u64::from(!record.is_clean());
            failed += u64::from(has_failed_plan(&record));
            match &published {
                Some(_) => summaries.push(Summary::of(&record)),
                None if prints_report => {}
                None => show(&scenario, &record, arguments.format)?,
            }
            if let Some(out) = &arguments.out {
                let directory = directory(out, &scenario.name, seed, is_single);
                run_directory::write(&directory, &scenario, &record, &job.provenance, arguments.force)
                    .map_err(|error| unwritable(&directory, &error))?;
            }
            if prints_report {
                records.push(record);
            }
        }
        if prints_report {
            print(&report(&job, &records, arguments.all, registry))?;
        }
        if let Some(published) = &published {
            compare(published, &Summary::mean_of(&summaries), &job, arguments.format)?;
        }
    }
    let runs = |count: u64| if count == 1 { "1 run".to_owned() } else { format!("{count} runs") };
    match (failed, violating) {
        (1.., _) => Err(CliError::Found(format!("error: the planner failed in {}", runs(failed)))),
        (_, 1..) if arguments.strict => {
            Err(CliError::Found(format!("error: invariant violations in {}", runs(violating))))
        }
        _ => Ok(()),
    }
}

/// Reads and checks all input, and tries all places to write to, before anything is run.
fn read(
    arguments: &RunArguments,
    registry: &Registry,
) -> Result<(Vec<Job>, Option<PublishedTable>), CliError> {
    let overrides = arguments.changes.overrides();
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
    if let (Some(table), [job]) = (&arguments.against, &jobs[..]) {
        warn_of_other_table(table, &job.scenario);
    }
    if let Some(out) = &arguments.out {
        check_directories(out, &jobs, arguments.force)?;
    }
    if arguments.trace.is_some() && !is_single(&jobs) {
        return Err(CliError::Input("--trace accepts a single run: one scenario and one seed".to_owned()));
    }
    if let Some(path) = &arguments.trace {
        atomic_write::try_file(path).map_err(|error| unwritable(path, &error))?;
    }
    Ok((jobs, published))
}

/// Returns whether the planner of a run, an external program, failed.
fn has_failed_plan(record: &RunRecord) -> bool {
    let failed = |plan: &PlanRecord| matches!(plan.no_flow, Some(NoFlow::PlannerFailed { .. }));
    record.plans.iter().any(failed)
}

/// Runs a scenario, twice if asked for, and writes its trace if asked for.
fn execute(arguments: &RunArguments, scenario: &Scenario) -> Result<RunRecord, CliError> {
    let (record, trace) = match (arguments.check_determinism, &arguments.trace) {
        (true, _) => run_twice(scenario).map(|(record, trace)| (record, Some(trace)))?,
        (false, Some(_)) => {
            let (record, trace) = dmos_sim::run_traced(scenario);
            (record, Some(trace))
        }
        (false, None) => (dmos_sim::run(scenario), None),
    };
    if let (Some(path), Some(trace)) = (&arguments.trace, &trace) {
        write_trace(path, trace)?;
    }
    Ok(record)
}

/// Warns if a published table has another name than the scenario.
fn warn_of_other_table(table: &Path, scenario: &Scenario) {
    if table.file_stem().is_none_or(|stem| *stem != *scenario.name) {
        let (table, name) = (table.display(), &scenario.name);
        eprint_message(&format!("warning: `{table}` has another name than the scenario `{name}`"));
    }
}

/// Returns the report of all runs of a scenario.
fn report(job: &Job, runs: &[RunRecord], lists_all: bool, registry: &Registry) -> String {
    let scenario = &job.scenario;
    let has_faults = scenario.faults.fault_free() != scenario.faults;
    let fault_free = |seed| {
        let faults = scenario.faults.fault_free();
        dmos_sim::run(&Scenario { seed, faults, ..scenario.clone() })
    };
    let fault_free: Vec<_> = job.seeds.iter().filter(|_| has_faults).map(fault_free).collect();
    let alive = NodeSet::all(scenario.network.node_count());
    let is_server = scenario.protocol.production == Production::Server;
    let report = FactoryReport {
        scenario,
        first_seed: job.seeds.first,
        runs,
        fault_free: &fault_free,
        bound: if is_server { bound(scenario, &alive, registry) } else { None },
        flow_sets_per_hour: if is_server { planned_sets_per_hour(scenario, &alive) } else { None },
        first_finished: first_finished(scenario, runs),
        lists_all,
    };
    report.text()
}

/// Maximum number of events of runs that look for the first finished batch.
const LOOKED_AT_MAX: u64 = 20_000_000;

/// Returns the time of the first finished batch in longer runs without faults, if nothing was finished.
fn first_finished(scenario: &Scenario, runs: &[RunRecord]) -> Option<Time> {
    let events = runs.iter().map(|run| run.events).max()?;
    let is_unfinished = runs.iter().all(|run| run.finished.is_empty());
    let factors = [4, 16, 64].into_iter().filter(|factor| is_unfinished && events * factor <= LOOKED_AT_MAX);
    factors.into_iter().find_map(|factor| {
        let (duration, faults) = (scenario.duration * factor, scenario.faults.fault_free());
        let longer = Scenario { duration, faults, measure_from: Span::ZERO, ..scenario.clone() };
        dmos_sim::run(&longer).finished.first().map(|first| first.at)
    })
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
    atomic_write::write_file(path, &text).map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &std::io::Error) -> CliError {
    CliError::Output(format!("cannot write `{}`: {error}", path.display()))
}

fn is_single(jobs: &[Job]) -> bool {
    jobs.len() == 1 && jobs[0].seeds.first == jobs[0].seeds.last
}

/// Rejects directories that exist or would be written twice, before anything is run.
fn check_directories(out: &Path, jobs: &[Job], replaces: bool) -> Result<(), CliError> {
    let mut seen = BTreeSet::new();
    for job in jobs {
        for seed in job.seeds.iter() {
            let directory = directory(out, &job.scenario.name, seed, is_single(jobs));
            let shown = directory.display();
            if replaces && run_directory::is_run(&directory) {
                try_file(&directory.with_extension("new")).map_err(|error| unwritable(&directory, &error))?;
            } else if is_free(&directory) {
                try_directory(&directory).map_err(|error| unwritable(&directory, &error))?;
            } else {
                let remedy = match run_directory::is_run(&directory) {
                    true => "holds an earlier run; choose another directory, or replace it with --force",
                    false => "exists and is not empty; choose another directory, or remove it",
                };
                return Err(CliError::Input(format!("`{shown}` {remedy}")));
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
}

/// Prints what a reader of any output must know of a run.
fn print_warnings(scenario: &Scenario, record: &RunRecord) {
    let given_up =
        record.plans.iter().filter_map(|plan| plan.no_flow.as_ref()).filter(|why| why.is_inconclusive());
    let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
    given_up.for_each(|why| *reasons.entry(why.explain(&scenario.network)).or_default() += 1);
    for (reason, count) in reasons {
        let plans = if count == 1 { "plan" } else { "plans" };
        eprint_message(&format!("warning: {count} {plans} abandoned: {reason}"));
    }
    let healthy = healthy_removals(record, scenario.protocol.suspect_after).count();
    if healthy > 0 {
        let nodes = if healthy == 1 { "node was" } else { "nodes were" };
        eprint_message(&format!("warning: {healthy} healthy {nodes} removed from the membership"));
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
        Format::Csv => print(&Summary::of(record).csv_rows(&scenario.name, scenario.seed)),
        Format::Json => print_json(&RunDocument::new(scenario, record)),
    }
}

fn compare(published: &PublishedTable, ours: &Summary, job: &Job, format: Format) -> Result<(), CliError> {
    let comparisons = published.compare(ours);
    match format {
        Format::Table => print(&comparison_table(&comparisons)),
        Format::Csv => print(&comparison_csv(&comparisons, &job.scenario.name, &job.seeds.to_string())),
        Format::Json => print_json(&comparisons),
    }
}
