//! `dmos compare`: compares strategies on scenarios, paired by seed.

use std::num::NonZeroUsize;
use std::path::Path;

use dmos_compare::comparison::{Comparison, FailedRun, most_comparisons};
use dmos_compare::verdict::fewest_seeds;
use dmos_compare::{Axes, regression};
use dmos_core::Registry;
use dmos_experiment::manifest::Manifest;
use dmos_experiment::{Experiment, Merged, Options, PreparedExperiment, Store, merge};
use dmos_report::comparison::{self, Layout};
use dmos_scenario::Override;
use serde::Serialize;

use crate::args::{CompareArguments, ComparisonFormat, ComparisonOutput, ExperimentArguments};
use crate::commands::warn;
use crate::error::CliError;
use crate::output::{eprint_message, print, print_json};
use crate::progress::Executor;

pub(crate) fn run(arguments: &CompareArguments, registry: &Registry) -> Result<(), CliError> {
    if let Some(earlier) = &arguments.against {
        return against(earlier, arguments, registry);
    }
    let (experiment, prepared) = read(&arguments.experiment, registry)?;
    let manifest = Manifest::new(experiment, NonZeroUsize::MIN);
    let (merged, is_stopped) = results(manifest, &prepared, arguments)?;
    print_comparison(&merged, &prepared, &arguments.output)?;
    end(&merged, is_stopped, arguments)
}

/// Reads the experiment and prints its warnings.
pub(crate) fn read(
    arguments: &ExperimentArguments,
    registry: &Registry,
) -> Result<(Experiment, PreparedExperiment), CliError> {
    if arguments.files.is_empty() {
        return Err(CliError::Input("specify scenario files or an experiment file".to_owned()));
    }
    let duration = arguments.duration.as_ref().map(|duration| Override::option("duration", duration));
    let options = Options {
        flows: arguments.flow.clone(),
        leaders: arguments.leader.clone(),
        detectors: arguments.detector.clone(),
        seeds: arguments.seeds,
        baseline: arguments.baseline.clone(),
        metrics: arguments.metric.clone(),
        settings: arguments.set.iter().cloned().chain(duration).collect(),
    };
    let read = Experiment::read(&arguments.files, options, registry)?;
    warn(&read.warnings);
    if let Some(warning) = too_few_seeds(&read.experiment.axes()) {
        eprint_message(&format!("warning: {warning}"));
    }
    Ok((read.experiment, read.prepared))
}

/// Returns a warning if so few seeds cannot yield a verdict, whatever the runs give.
fn too_few_seeds(axes: &Axes) -> Option<String> {
    let comparisons = match most_comparisons(axes) {
        0 => return None,
        comparisons => comparisons,
    };
    let seeds = axes.seeds.len();
    let rows = if comparisons == 1 { "1 comparison" } else { &format!("{comparisons} comparisons") };
    match fewest_seeds(comparisons) {
        Some(fewest) if seeds >= fewest => None,
        Some(fewest) => Some(format!(
            "{seeds} {} cannot yield a verdict on {rows} in a table, except that a difference is the same in every run; \
             at least {fewest} seeds can",
            if seeds == 1 { "seed" } else { "seeds" }
        )),
        None => Some(format!(
            "no number of seeds yields a verdict on {rows} in a table; compare fewer strategies"
        )),
    }
}

/// Makes all missing runs; returns whether a signal ended the work.
fn results(
    manifest: Manifest,
    prepared: &PreparedExperiment,
    arguments: &CompareArguments,
) -> Result<(Merged, bool), CliError> {
    let executor = Executor::new(arguments.jobs)?;
    let Some(out) = &arguments.out else {
        let runs: Vec<usize> = (0..manifest.runs()).collect();
        let mut results = Vec::with_capacity(runs.len());
        executor.execute(prepared, &runs, |result| {
            results.push(result);
            Ok(())
        })?;
        return Ok((Merged::of(manifest, results), executor.is_stopped()));
    };
    let store = Store::open_or_create(out, manifest)?;
    let mut executed = 0;
    for shard in 0..store.manifest().shards.get() {
        executed += executor.execute_shard(&store, shard, prepared)?.executed;
    }
    let merged = merge(std::slice::from_ref(out))?;
    let there = merged.results.len() - merged.missing().len() - executed;
    if there > 0 {
        eprint_message(&format!(
            "{there} of {} runs already present in `{}`",
            merged.results.len(),
            out.display()
        ));
    }
    Ok((merged, executor.is_stopped()))
}

/// Prints the comparison.
pub(crate) fn print_comparison(
    merged: &Merged,
    prepared: &PreparedExperiment,
    arguments: &ComparisonOutput,
) -> Result<(), CliError> {
    let grid = merged.grid();
    if arguments.format == ComparisonFormat::Runs {
        let csv = comparison::runs_csv(&grid).map_err(|error| CliError::Output(error.to_string()))?;
        return print(&csv);
    }
    let experiment = &merged.manifest.experiment;
    let failed =
        merged.failed().map(|(run, why)| FailedRun { run: grid.axes.name(run), why: why.to_owned() });
    let missing = merged.missing().len();
    let mut comparison =
        Comparison::of(&grid, experiment.baseline, &experiment.metrics()?, missing, failed.collect());
    comparison.cautions = prepared.cautions();
    match arguments.format {
        ComparisonFormat::Table => print(&comparison::text(&comparison, Layout::Plain, arguments.top)),
        ComparisonFormat::Markdown => print(&comparison::text(&comparison, Layout::Markdown, arguments.top)),
        ComparisonFormat::Csv => {
            let csv = comparison::csv(&comparison).map_err(|error| CliError::Output(error.to_string()))?;
            print(&csv)
        }
        ComparisonFormat::Json => print_json(&Document {
            version: &merged.manifest.version,
            id: &merged.manifest.id,
            comparison: &comparison,
        }),
        ComparisonFormat::Runs => unreachable!("it was printed above"),
    }
}

#[derive(Serialize)]
struct Document<'a> {
    version: &'a str,
    id: &'a str,
    #[serde(flatten)]
    comparison: &'a Comparison,
}

/// Returns the command's result: interrupted, failed runs, or success.
fn end(merged: &Merged, is_stopped: bool, arguments: &CompareArguments) -> Result<(), CliError> {
    let missing = merged.missing().len();
    if is_stopped && missing > 0 {
        let runs = merged.results.len();
        let kept = match &arguments.out {
            Some(out) => {
                format!("completed runs are kept in `{}`; repeat the command to resume", out.display())
            }
            None => "the results are discarded; use `--out DIR` to keep them".to_owned(),
        };
        return Err(CliError::Interrupted(format!(
            "interrupted: {missing} of {runs} runs are missing; {kept}"
        )));
    }
    failed(merged)
}

/// Returns an error if runs failed.
pub(crate) fn failed(merged: &Merged) -> Result<(), CliError> {
    match merged.failed().count() {
        0 => Ok(()),
        failed => Err(CliError::Found(format!("error: {failed} of {} runs failed", merged.results.len()))),
    }
}

/// Repeats an earlier experiment and compares the results.
fn against(earlier: &Path, arguments: &CompareArguments, registry: &Registry) -> Result<(), CliError> {
    let then = merge(&[earlier.to_owned()])?;
    let missing = then.missing().len();
    if missing == then.results.len() {
        return Err(CliError::Input(format!("`{}` holds no results", earlier.display())));
    }
    if missing > 0 {
        eprint_message(&format!(
            "warning: {missing} of the earlier runs are missing; only the others are compared"
        ));
    }
    let mut warnings = Vec::new();
    let experiment = then.manifest.experiment.clone();
    let prepared = experiment.prepare(registry, &mut warnings)?;
    warn(&warnings);
    let (now, is_stopped) = results(Manifest::new(experiment, NonZeroUsize::MIN), &prepared, arguments)?;
    let regression = regression::against(&now.grid(), &then.grid());
    match arguments.output.format {
        ComparisonFormat::Table => {
            print(&comparison::regression_text(&regression, Layout::Plain, arguments.output.top))?
        }
        ComparisonFormat::Markdown => {
            print(&comparison::regression_text(&regression, Layout::Markdown, arguments.output.top))?
        }
        ComparisonFormat::Json => print_json(&regression)?,
        ComparisonFormat::Csv => {
            let csv = comparison::regression_csv(&regression)
                .map_err(|error| CliError::Output(error.to_string()))?;
            print(&csv)?;
        }
        ComparisonFormat::Runs => {
            let csv =
                comparison::runs_csv(&now.grid()).map_err(|error| CliError::Output(error.to_string()))?;
            print(&csv)?;
        }
    }
    end(&now, is_stopped, arguments)?;
    if regression.is_worse() {
        return Err(CliError::Found("error: regressions found".to_owned()));
    }
    Ok(())
}
