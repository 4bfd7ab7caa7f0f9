//! `dmos fuzz`: randomised fault-injection testing.

use std::io::{IsTerminal, Write, stderr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dmos_core::{FaultKind, Property, PropertyKind, Registry, Span};
use dmos_report::table;
use dmos_scenario::Override;
use dmos_search::{FailingScenario, Search, SearchSummary, Subject};
use dmos_util::atomic_write::{try_file, write_file};
use serde::Serialize;

use crate::args::{FuzzArguments, TableOrJson};
use crate::commands::load;
use crate::error::CliError;
use crate::output::{eprint_message, print, print_json};

#[derive(Serialize)]
struct FuzzDocument<'a> {
    seed: u64,
    runs: u64,
    events: u64,
    simulated_s: f64,
    batches: u64,
    faults: Vec<FaultRow>,
    coverage: Vec<(&'static str, u64)>,
    not_covered: Vec<&'static str>,
    /// Number of runs in which each liveness property was judged.
    judged: Vec<(&'static str, u64)>,
    /// Description of the first failure.
    failure: Option<String>,
    scenario: Option<&'a Path>,
}

#[derive(Serialize)]
struct FaultRow {
    kind: FaultKind,
    injected: u64,
    effective: u64,
}

pub(crate) fn run(arguments: &FuzzArguments, registry: &Registry) -> Result<(), CliError> {
    let overrides = arguments.changes.overrides();
    let subject = subject(arguments, &overrides, registry)?;
    let unwritable =
        |error| CliError::Output(format!("cannot write in `{}`: {error}", arguments.out.display()));
    try_file(&arguments.out.join("run.yaml")).map_err(unwritable)?;
    if let Some(jobs) = arguments.jobs {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs.get()).build_global();
        pool.map_err(|error| CliError::Output(format!("cannot start {jobs} threads: {error}")))?;
    }
    dmos_util::panics::keep_panics_quiet();
    let progress = Progress::new(arguments);
    let search = Search { subject: &subject, seed: arguments.seed, first: arguments.first, registry };
    let summary = search.run(arguments.runs, || progress.has_time(), |summary| progress.report(summary));
    let _ = std::panic::take_hook();
    progress.end();
    let summary = summary?;
    let path = summary.found.as_ref().map(|found| write(&arguments.out, found)).transpose()?;
    show(arguments, &summary, path.as_deref())?;
    match (&summary.found, path) {
        (Some(found), Some(path)) => {
            let path = path.display();
            Err(CliError::Found(format!(
                "run {} failed: {}\nreplay: dmos run {path} --strict\nshrink: dmos shrink {path}",
                found.number, found.failure
            )))
        }
        _ => Ok(()),
    }
}

fn subject(
    arguments: &FuzzArguments,
    overrides: &[Override],
    registry: &Registry,
) -> Result<Subject, CliError> {
    match &arguments.scenario {
        Some(path) => {
            let loaded = load(path, overrides, registry)?;
            let file = dmos_scenario::read(&path.display().to_string(), &loaded.text, overrides)?;
            Ok(Subject::FaultsOf(Box::new(file), loaded.scenario.network, overrides.to_vec()))
        }
        None => Ok(Subject::Anything(overrides.to_vec())),
    }
}

/// Writes a failing scenario, with the command that replays it in its header.
fn write(directory: &Path, found: &FailingScenario) -> Result<PathBuf, CliError> {
    let name = found.file.name.as_deref().unwrap_or("fuzz");
    let path = directory.join(format!("{name}-{}.yaml", found.failure.name()));
    let comment: String = found.failure.to_string().lines().map(|line| format!("# {line}\n")).collect();
    let text = format!(
        "# Found by `dmos fuzz`. Replay with `dmos run {} --strict`.\n{comment}{}",
        path.display(),
        found.file.to_yaml()
    );
    write_file(&path, &text).map_err(|error| {
        // The finding may have taken hours.
        eprint_message(&text);
        CliError::Output(format!("cannot write `{}`: {error}; the scenario is above", path.display()))
    })?;
    Ok(path)
}

fn show(arguments: &FuzzArguments, summary: &SearchSummary, path: Option<&Path>) -> Result<(), CliError> {
    if arguments.format == TableOrJson::Json {
        let row = |(&kind, &(injected, effective)): (&FaultKind, &(u64, u64))| FaultRow {
            kind,
            injected,
            effective,
        };
        return print_json(&FuzzDocument {
            seed: arguments.seed,
            runs: summary.runs,
            events: summary.events,
            simulated_s: summary.simulated.as_secs_f64(),
            batches: summary.batches,
            faults: summary.faults.iter().map(row).collect(),
            coverage: summary.coverage.iter().map(|(property, runs)| (property.name(), *runs)).collect(),
            not_covered: summary.not_covered().iter().map(|property| property.name()).collect(),
            judged: summary.judged.iter().map(|(property, runs)| (property.name(), *runs)).collect(),
            failure: summary.found.as_ref().map(|found| found.failure.to_string()),
            scenario: path,
        });
    }
    let faults = summary.faults.iter().map(|(kind, (injected, effective))| {
        vec![kind.name().to_owned(), injected.to_string(), effective.to_string()]
    });
    let faults = table::text_columns(&["fault", "injected", "effective"], faults);
    let sometimes = Property::ALL.iter().filter(|property| property.kind() == PropertyKind::Coverage);
    let coverage = sometimes.map(|property| {
        let runs = summary.coverage.get(property).copied().unwrap_or(0);
        vec![property.name().to_owned(), runs.to_string(), property.definition().to_owned()]
    });
    let coverage = table::text_columns(&["coverage property", "runs", "definition"], coverage);
    let liveness = Property::ALL.iter().filter(|property| property.kind() == PropertyKind::Liveness);
    let liveness = liveness.map(|property| {
        let judged = summary.judged.get(property).copied().unwrap_or(0);
        let share = 100.0 * judged as f64 / summary.runs.max(1) as f64;
        vec![property.name().to_owned(), format!("{share:.0} %"), property.definition().to_owned()]
    });
    let liveness = table::text_columns(&["liveness property", "judged in", "definition"], liveness);
    print(&format!(
        "{faults}\n{coverage}\n{liveness}\nseed {}: {} runs without a violation, {} events, {} h simulated, {} batches made\n",
        arguments.seed,
        summary.runs,
        summary.events,
        summary.simulated.as_nanos() / 3_600_000_000_000,
        summary.batches
    ))
}

/// Shows the progress on a terminal, and checks the time limit.
struct Progress {
    begun: Instant,
    limit: Option<Duration>,
    runs: u64,
    shows: bool,
}

impl Progress {
    // The time limit concerns real time and does not affect what is found.
    #[expect(clippy::disallowed_methods)]
    fn new(arguments: &FuzzArguments) -> Self {
        let limit = arguments.time.map(|span: Span| Duration::from_nanos(span.as_nanos()));
        Self { begun: Instant::now(), limit, runs: arguments.runs, shows: stderr().is_terminal() }
    }

    fn report(&self, summary: &SearchSummary) {
        if self.shows {
            let rate = summary.runs as f64 / self.begun.elapsed().as_secs_f64();
            let _ = write!(stderr(), "\r{} of {} runs, {rate:.0} runs/s ", summary.runs, self.runs);
        }
    }

    fn has_time(&self) -> bool {
        self.limit.is_none_or(|limit| self.begun.elapsed() < limit)
    }

    fn end(&self) {
        if self.shows {
            eprint_message("");
        }
    }
}
