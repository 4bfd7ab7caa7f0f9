//! Results on disk after crashes and damage: the same bytes in the end, or an error that names the file.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use dmos_experiment::execute::{RunResult, execute, threads};
use dmos_experiment::store::StoreError;
use dmos_experiment::{Experiment, Manifest, Options, Store};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

const SCENARIO: &str = "network: {nodes: [{makes: wood}, {makes: door, needs: [wood], count: 2}]}\nduration: 20s\n\
                        faults: {random_failures: [{nodes: all, time_to_failure: {exponential: 10s}, time_to_repair: 3s}]}\n";

/// Returns an experiment of 24 runs in two shards, and the results of its runs.
fn experiment() -> (Manifest, Vec<RunResult>) {
    let registry = dmos_testkit::registry();
    let options = Options {
        flows: Some("memoized,balanced".parse().expect("names")),
        seeds: Some("1..12".parse().expect("seeds")),
        ..Options::default()
    };
    let texts = vec![("doors.yaml".to_owned(), SCENARIO.to_owned())];
    let checked = Experiment::of(texts, options, &registry).expect("a valid experiment");
    let manifest = Manifest::new(checked.experiment, NonZeroUsize::new(2).expect("two"));
    let runs: Vec<usize> = (0..manifest.runs()).collect();
    let mut results = Vec::new();
    let pool = threads(NonZeroUsize::new(1)).expect("a thread");
    execute(&checked.prepared, &runs, &pool, &AtomicBool::new(false), |result| {
        results.push(result);
        Ok::<(), StoreError>(())
    })
    .expect("results are taken");
    results.sort_by_key(|result| result.run);
    (manifest, results)
}

/// Makes at most this many of a shard's missing runs, and ends the attempt unless it is killed.
fn attempt(
    store: &Store,
    shard: usize,
    results: &[RunResult],
    most: usize,
    is_killed: bool,
) -> Result<(), StoreError> {
    let mut attempt = store.attempt(shard)?;
    for run in attempt.remaining().into_iter().take(most) {
        attempt.keep(&results[run])?;
    }
    if !is_killed {
        attempt.end()?;
    }
    Ok(())
}

/// Returns the files of a directory, sorted.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(directory).expect("the folder").map(|entry| entry.expect("an entry").path()).collect();
    files.sort_unstable();
    files
}

/// Damages one of the files: cuts its end off, changes a byte, or adds something.
fn damage(directory: &Path, random: &mut ChaCha8Rng) {
    let files = files(directory);
    let path = &files[random.random_range(0..files.len())];
    let mut bytes = fs::read(path).expect("the file");
    let at = random.random_range(0..bytes.len().max(1));
    match random.random_range(0..3) {
        0 => bytes.truncate(at),
        1 if !bytes.is_empty() => bytes[at] ^= 1 << random.random_range(0..7),
        _ => bytes.extend_from_slice(b"{\"run\":3,\"summary\""),
    }
    fs::write(path, bytes).expect("the file is written");
}

#[test]
fn killed_and_damaged_comparisons_end_with_the_same_bytes_or_an_error() {
    let (manifest, results) = experiment();
    let finish = |directory: &Path| -> Result<Vec<Vec<u8>>, StoreError> {
        let store = Store::open_or_create(directory, manifest.clone())?;
        for shard in 0..2 {
            attempt(&store, shard, &results, usize::MAX, false)?;
        }
        dmos_experiment::merge(&[directory.to_owned()])?;
        Ok(files(directory).iter().map(|path| fs::read(path).expect("the file")).collect())
    };
    let whole = tempfile::tempdir().expect("a temporary directory");
    let expected = finish(whole.path()).expect("nothing is damaged");
    let (mut same, mut refused) = (0, 0);
    for seed in 0..300 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let directory = tempfile::tempdir().expect("a temporary directory");
        let store = Store::open_or_create(directory.path(), manifest.clone()).expect("an empty directory");
        for _ in 0..random.random_range(1..5) {
            let (shard, most) = (random.random_range(0..2), random.random_range(0..9));
            attempt(&store, shard, &results, most, random.random_bool(0.5)).expect("nothing is damaged yet");
        }
        if random.random_bool(0.7) {
            damage(directory.path(), &mut random);
        }
        match finish(directory.path()) {
            Ok(found) => {
                assert!(found == expected, "seed {seed}: other bytes");
                same += 1;
            }
            Err(error) => {
                let message = error.to_string();
                let name = directory.path().display().to_string();
                assert!(message.contains(&name), "seed {seed}: {message}");
                refused += 1;
            }
        }
    }
    assert!(same > 150 && refused > 20, "{same} the same, {refused} refused");
}
