//! `dmos sweep`: runs a comparison in shards on other machines. It neither starts nor monitors processes;
//! that is the task of a batch engine, and this is the interface to it.

mod emit;

use std::env;
use std::num::NonZeroUsize;
use std::path::Path;

use dmos_core::Registry;
use dmos_experiment::manifest::{Manifest, SHARDS_MAX};
use dmos_experiment::{Store, merge, ranges};

use crate::args::{Shard, SweepCommand};
use crate::commands::{compare, warn};
use crate::error::CliError;
use crate::output::{eprint_message, print};
use crate::progress::Executor;

pub(crate) fn run(command: &SweepCommand, registry: &Registry) -> Result<(), CliError> {
    match command {
        SweepCommand::Plan { experiment, shards, out } => {
            if shards.get() > SHARDS_MAX {
                return Err(CliError::Input(format!("at most {SHARDS_MAX} shards")));
            }
            let (experiment, _) = compare::read(experiment, registry)?;
            plan(Manifest::new(experiment, *shards), *shards, out)
        }
        SweepCommand::Run { manifest, shard, out, jobs } => run_shard(manifest, *shard, out, *jobs, registry),
        SweepCommand::Status { dir, manifest, missing } => status(dir, manifest.as_deref(), *missing),
        SweepCommand::Merge { dirs, allow_missing, output } => {
            let merged = merge(dirs)?;
            let missing = merged.missing().len();
            if missing > 0 && !allow_missing {
                return Err(CliError::Incomplete(format!(
                    "error: {missing} of {} runs are missing; `dmos sweep status DIR --missing` lists the shards to run; `--allow-missing` uses the present runs only",
                    merged.results.len()
                )));
            }
            let prepared = merged.manifest.experiment.prepare(registry, &mut Vec::new())?;
            compare::print_comparison(&merged, &prepared, output)?;
            compare::failed(&merged)
        }
        SweepCommand::Emit { engine, manifest, out, jobs } => {
            let shards = Manifest::read(manifest)?.shards;
            print(&emit::script(*engine, &emit::Task { manifest, out, jobs: *jobs, shards }))
        }
    }
}

fn plan(manifest: Manifest, asked: NonZeroUsize, out: &Path) -> Result<(), CliError> {
    manifest
        .write(out)
        .map_err(|error| CliError::Output(format!("cannot write `{}`: {error}", out.display())))?;
    let shards = manifest.shards;
    let fewer = if shards < asked { ", one per run" } else { "" };
    eprint_message(&format!(
        "{} runs in {shards} shards{fewer}; manifest `{}`",
        manifest.runs(),
        out.display()
    ));
    Ok(())
}

fn run_shard(
    path: &Path,
    shard: Shard,
    out: &Path,
    jobs: Option<NonZeroUsize>,
    registry: &Registry,
) -> Result<(), CliError> {
    let manifest = Manifest::read_ours(path)?;
    let shard = match shard {
        Shard::Number(number) => number,
        Shard::Auto => auto(|name| env::var(name).ok())?,
    };
    let shards = manifest.shards;
    if shard >= shards.get() {
        return Err(CliError::Input(format!(
            "there is no shard {shard}: `{}` has {shards}, from 0 to {}",
            path.display(),
            shards.get() - 1
        )));
    }
    let store = Store::open_or_create(out, manifest)?;
    if store.manifest().shards != shards {
        return Err(CliError::Input(format!(
            "`{}` holds results of the same runs, but has {} shards instead of {shards}; choose another directory",
            out.display(),
            store.manifest().shards
        )));
    }
    let result = if store.is_finished(shard) {
        // An engine may retry a finished shard, which costs nothing.
        let attempt = store.attempt(shard)?;
        let failed = attempt.failed();
        attempt.end()?;
        crate::progress::ShardResult { executed: 0, left: 0, failed }
    } else {
        let mut warnings = Vec::new();
        let prepared = store.manifest().experiment.prepare(registry, &mut warnings)?;
        warn(&warnings);
        let executor = Executor::new(jobs)?;
        executor.execute_shard(&store, shard, &prepared)?
    };
    let summary = format!("shard {shard} of {shards}: {} runs done", result.executed);
    if result.left > 0 {
        return Err(CliError::Interrupted(format!("{summary}, {} left: interrupted", result.left)));
    }
    if result.failed > 0 {
        return Err(CliError::Found(format!("{summary}, complete; {} runs failed", result.failed)));
    }
    eprint_message(&format!("{summary}, complete"));
    Ok(())
}

/// Environment variables in which batch engines pass the number of a task, counted from 0.
const TASK_NUMBERS: [&str; 3] = ["SLURM_ARRAY_TASK_ID", "HQ_TASK_ID", "JOB_COMPLETION_INDEX"];

/// Returns the number of the batch engine's task. The number of shards is never taken from the engine, which
/// reports three for an array of 3,7,9.
fn auto(variable: impl Fn(&str) -> Option<String>) -> Result<usize, CliError> {
    let set: Vec<(&str, String)> =
        TASK_NUMBERS.into_iter().filter_map(|name| Some((name, variable(name)?))).collect();
    match &set[..] {
        [(name, value)] => value.parse().map_err(|_| {
            CliError::Input(format!("`{name}` is `{value}`, which is not the number of a shard"))
        }),
        [] => Err(CliError::Input(format!(
            "`--shard auto` reads the number from {}, none of which is set; pass the number of the shard",
            TASK_NUMBERS.join(", ")
        ))),
        several => {
            let names: Vec<_> = several.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let names = names.join(" and ");
            Err(CliError::Input(format!(
                "`--shard auto` cannot choose between {names}; pass the number of the shard"
            )))
        }
    }
}

fn status(dir: &Path, manifest: Option<&Path>, only_missing: bool) -> Result<(), CliError> {
    let store = match manifest {
        Some(manifest) => Store::open_if_exists(dir, Manifest::read(manifest)?)?,
        None => Store::open(dir)?,
    };
    let manifest = store.manifest();
    let shards = manifest.shards.get();
    let done = store.finished_runs()?;
    let incomplete: Vec<usize> = (0..shards).filter(|&shard| !store.is_finished(shard)).collect();
    let missing = ranges::format(&incomplete);
    let runs = manifest.runs();
    if only_missing {
        print(&format!("{missing}\n"))?;
    } else {
        let complete = shards - incomplete.len();
        print(&format!("{complete} of {shards} shards complete, {done} of {runs} runs done\n"))?;
        if !incomplete.is_empty() {
            print(&format!("not complete: {missing}\n"))?;
        }
    }
    match incomplete.is_empty() {
        true => Ok(()),
        // The details were printed on stdout.
        false => Err(CliError::Incomplete(String::new())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_taken_from_one_engine_only() {
        let with = |set: &[(&str, &str)]| {
            let set: Vec<(String, String)> =
                set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            auto(move |name| set.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()))
                .map_err(|failure| failure.to_string())
        };
        assert_eq!(with(&[("HQ_TASK_ID", "7")]), Ok(7));
        assert!(with(&[]).is_err_and(|why| why.contains("none of which is set")));
        let both = with(&[("HQ_TASK_ID", "7"), ("SLURM_ARRAY_TASK_ID", "3")]);
        assert!(both.is_err_and(|why| why.contains("SLURM_ARRAY_TASK_ID=3 and HQ_TASK_ID=7")));
        assert!(with(&[("JOB_COMPLETION_INDEX", "x")]).is_err());
    }
}
