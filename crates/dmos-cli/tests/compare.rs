//! End-to-end tests of comparisons: identical bytes regardless of the command, the directory and the number of attempts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository's root")
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dmos"));
    command.args(arguments).current_dir(repository());
    for name in ["SLURM_ARRAY_TASK_ID", "HQ_TASK_ID", "JOB_COMPLETION_INDEX"] {
        command.env_remove(name);
    }
    command
}

/// Returns the exit code, stdout and stderr of the binary, run from the repository's root.
fn dmos(arguments: &[&str]) -> (i32, String, String) {
    outcome(command(arguments).output().expect("the binary runs"))
}

fn outcome(output: Output) -> (i32, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("an exit code"), text(output.stdout), text(output.stderr))
}

#[track_caller]
fn succeed(arguments: &[&str]) -> String {
    let (code, stdout, stderr) = dmos(arguments);
    assert_eq!(code, 0, "{arguments:?}: {stderr}");
    stdout
}

/// Returns the error message of a rejected command, and asserts exit code 2 and an empty stdout.
#[track_caller]
fn refuse(arguments: &[&str]) -> String {
    let (code, stdout, stderr) = dmos(arguments);
    assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
    stderr
}

fn temporary_directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn name(directory: &TempDir, name: &str) -> String {
    directory.path().join(name).to_str().expect("UTF-8").to_owned()
}

/// Arguments of a short comparison with failures.
const COMPARE_ARGUMENTS: [&str; 9] = [
    "scenarios/door-factory-failures.yaml",
    "scenarios/seed/small-no-fail.yaml",
    "--flow",
    "memoized,backup",
    "--leader",
    "bully,raft",
    "--seeds",
    "1..3",
    "--duration=200s",
];

fn with<'a>(head: &[&'a str], tail: &[&'a str]) -> Vec<&'a str> {
    [head, &COMPARE_ARGUMENTS, tail].concat()
}

#[test]
fn compare_ranks_strategies_with_intervals() {
    insta::assert_snapshot!(succeed(&with(&["compare"], &[])));
}

#[test]
fn the_answer_comes_in_every_format() {
    let markdown = succeed(&with(&["compare"], &["--format", "markdown"]));
    assert!(markdown.contains("| backup |") && markdown.contains("### "), "{markdown}");
    let csv = succeed(&with(&["compare"], &["--format", "csv"]));
    let columns = csv.lines().next().expect("a header").split(',').count();
    assert!(csv.lines().count() > 20 && csv.lines().all(|line| line.split(',').count() == columns), "{csv}");
    let json: Value =
        serde_json::from_str(&succeed(&with(&["compare"], &["--format", "json"]))).expect("JSON");
    assert_eq!((json["runs"].as_u64(), json["missing"].as_u64()), (Some(24), Some(0)));
    assert_eq!(json["tables"].as_array().map(Vec::len), Some(9), "two cases and all of them, in three ways");
    let runs = succeed(&with(&["compare"], &["--format", "runs"]));
    assert_eq!(runs.lines().count(), 25);
}

#[test]
fn any_number_of_jobs_shards_and_attempts_gives_the_same_bytes() {
    let expected = succeed(&with(&["compare"], &["--jobs", "1"]));
    assert_eq!(succeed(&with(&["compare"], &["--jobs", "2"])), expected);
    let directory = temporary_directory();
    let (manifest, out) = (name(&directory, "manifest.json"), name(&directory, "results"));
    succeed(&with(&["sweep", "plan"], &["--shards", "7", "-o", &manifest]));
    let status = dmos(&["sweep", "status", &out, "--manifest", &manifest, "--missing"]);
    assert_eq!((status.0, status.1.as_str()), (3, "0-6\n"));
    // Out of order, the last by a batch engine's number, one of them twice.
    for shard in ["6", "0", "3", "3", "1", "4", "2"] {
        succeed(&["sweep", "run", "--manifest", &manifest, "--shard", shard, "--out", &out]);
    }
    assert_eq!(dmos(&["sweep", "status", &out, "--missing"]).1, "5\n");
    let (code, stdout, stderr) = dmos(&["sweep", "merge", &out]);
    assert_eq!((code, stdout.as_str()), (3, ""), "{stderr}");
    assert!(stderr.contains("3 of 24 runs are missing"), "{stderr}");
    let partial = succeed(&["sweep", "merge", &out, "--allow-missing"]);
    assert!(partial.contains("INCOMPLETE: 3 of 24 runs are missing"), "{partial}");
    let other = name(&directory, "elsewhere");
    let mut last = command(&["sweep", "run", "--manifest", &manifest, "--shard", "auto", "--out", &other]);
    let last = outcome(
        last.env("SLURM_ARRAY_TASK_ID", "5")
            .env("SLURM_ARRAY_TASK_COUNT", "1")
            .output()
            .expect("the process starts"),
    );
    assert_eq!(last.0, 0, "{}", last.2);
    assert_eq!(succeed(&["sweep", "merge", &out, &other]), expected);
    assert_eq!(succeed(&["sweep", "merge", &other, &out]), expected);
}

/// An engine starts many tasks at once, in an empty directory.
#[test]
fn concurrent_tasks_do_not_interfere() {
    let directory = temporary_directory();
    let manifest = name(&directory, "manifest.json");
    let what = ["scenarios/door-factory.yaml", "--flow", "memoized", "--seeds", "1..8", "--duration", "5s"];
    succeed(&[&["sweep", "plan"], &what[..], &["--shards", "8", "-o", &manifest]].concat());
    for attempt in 0..5 {
        let out = name(&directory, &format!("results-{attempt}"));
        let start = |shard: usize| {
            // Each shard twice, because two attempts at one may run concurrently.
            let shard = (shard / 2).to_string();
            let mut task =
                command(&["sweep", "run", "--manifest", &manifest, "--shard", &shard, "--out", &out]);
            task.stderr(std::process::Stdio::piped()).spawn().expect("the process starts")
        };
        let tasks: Vec<_> = (0..16).map(start).collect();
        for task in tasks {
            let (code, _, stderr) = outcome(task.wait_with_output().expect("the process ends"));
            assert_eq!(code, 0, "{stderr}");
        }
        assert_eq!(dmos(&["sweep", "status", &out]).0, 0);
    }
}

#[test]
fn existing_results_are_not_recomputed() {
    let directory = temporary_directory();
    let out = name(&directory, "results");
    let expected = succeed(&with(&["compare"], &["--out", &out]));
    let (code, stdout, stderr) = dmos(&with(&["compare"], &["--out", &out]));
    assert_eq!((code, &stdout), (0, &expected));
    assert!(stderr.contains("24 of 24 runs already present"), "{stderr}");
    // As if the process had been killed within a line, and another attempt had progressed further.
    let finished = directory.path().join("results/shard-000.jsonl");
    let lines = fs::read_to_string(&finished).expect("the file of results");
    let lines: Vec<&str> = lines.lines().collect();
    fs::remove_file(&finished).expect("the file is removed");
    let torn = format!("{}\n{}\n{}", lines[3], lines[0], &lines[5][..lines[5].len() / 2]);
    fs::write(directory.path().join("results/shard-000.first.part"), torn).expect("the file is written");
    fs::write(directory.path().join("results/shard-000.second.part"), lines[3..9].join("\n"))
        .expect("the file is written");
    let (code, stdout, stderr) = dmos(&with(&["compare"], &["--out", &out]));
    assert_eq!((code, &stdout), (0, &expected));
    assert!(stderr.contains("7 of 24 runs already present"), "{stderr}");
    let mut left: Vec<_> = fs::read_dir(directory.path().join("results"))
        .expect("a readable directory")
        .map(|entry| entry.expect("a directory entry").file_name().into_string().expect("UTF-8"))
        .collect();
    left.sort();
    assert_eq!(left, ["experiment.json", "shard-000.jsonl"]);
}

#[cfg(unix)]
#[test]
fn an_interrupted_comparison_resumes() {
    use std::io::Read;
    use std::process::Stdio;

    let directory = temporary_directory();
    let out = name(&directory, "results");
    let what =
        ["compare", "scenarios/alternative-recipes.yaml", "--flow", "memoized,backup", "--seeds", "1..40"];
    let expected = succeed(&what);
    let arguments = [&what[..], &["--out", &out, "--jobs", "1"]].concat();
    let mut child = command(&arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the process starts");
    // The process is interrupted after its first result.
    let results = directory.path().join("results");
    let begun = || {
        fs::read_dir(&results)
            .is_ok_and(|mut entries| entries.any(|entry| is_part(&entry.expect("a directory entry"))))
    };
    while !begun() {
        assert!(child.try_wait().expect("a child").is_none(), "it ended before it could be interrupted");
        std::thread::yield_now();
    }
    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill runs");
    assert!(killed.success());
    let mut stderr = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut stderr).expect("UTF-8");
    let mut stdout = String::new();
    child.stdout.take().expect("a pipe").read_to_string(&mut stdout).expect("UTF-8");
    assert_eq!(child.wait().expect("the process ends").code(), Some(75), "{stderr}");
    assert!(stderr.contains("repeat the command to resume"), "{stderr}");
    assert!(stdout.contains("INCOMPLETE"), "{stdout}");
    let (code, stdout, stderr) = dmos(&arguments);
    assert_eq!((code, stdout), (0, expected), "{stderr}");
    assert!(stderr.contains("runs already present"), "{stderr}");
}

/// Returns a line of results with the checksum that it should have.
fn with_checksum(line: &str) -> String {
    let mut line: serde_json::Map<String, Value> = serde_json::from_str(line).expect("a line of results");
    line.remove("checksum");
    let json = Value::Object(line).to_string();
    let content = json.strip_suffix('}').expect("an object");
    format!("{content},\"checksum\":\"{:08x}\"}}", crc32fast::hash(content.as_bytes()))
}

#[cfg(unix)]
fn is_part(entry: &fs::DirEntry) -> bool {
    entry.path().extension().is_some_and(|extension| extension == "part")
        && entry.metadata().is_ok_and(|metadata| metadata.len() > 0)
}

#[test]
fn results_that_do_not_fit_together_are_refused() {
    let directory = temporary_directory();
    let (out, other) = (name(&directory, "results"), name(&directory, "other"));
    succeed(&with(&["compare"], &["--out", &out]));
    let message = refuse(&with(&["compare"], &["--out", &out, "--metric", "sent_messages"]));
    assert!(message.contains("the results of another experiment"), "{message}");
    // Different bytes for the same run.
    fs::create_dir(&other).expect("the directory is created");
    fs::copy(
        directory.path().join("results/experiment.json"),
        directory.path().join("other/experiment.json"),
    )
    .expect("copied");
    let text =
        fs::read_to_string(directory.path().join("results/shard-000.jsonl")).expect("the file of results");
    let first = text.lines().next().expect("a line");
    let changed = with_checksum(&first.replacen("\"numbers\":[", "\"numbers\":[1", 1));
    fs::write(directory.path().join("other/shard-000.x.part"), format!("{changed}\n"))
        .expect("the file is written");
    let message = refuse(&["sweep", "merge", &out, &other]);
    assert!(
        message.contains("door-factory-failures, memoized/bully, seed 1: conflicting results in"),
        "{message}"
    );
    // A figure that was changed by hand.
    let edited = text.replacen("\"numbers\":[", "\"numbers\":[1", 1);
    fs::write(directory.path().join("results/shard-000.jsonl"), edited).expect("the file is written");
    let message = refuse(&["sweep", "merge", &out]);
    assert!(message.contains("shard-000.jsonl` is damaged: line 1 was changed"), "{message}");
    // A complete shard without one of its runs.
    let fewer: String = text.lines().skip(1).flat_map(|line| [line, "\n"]).collect();
    fs::write(directory.path().join("results/shard-000.jsonl"), fewer).expect("the file is written");
    let message = refuse(&["sweep", "merge", &out]);
    assert!(message.contains("is damaged: it has 23 results for 24 runs"), "{message}");
    // A modified manifest.
    let manifest = directory.path().join("results/experiment.json");
    let edited = fs::read_to_string(&manifest).expect("a manifest").replace("\"1..3\"", "\"1..4\"");
    fs::write(&manifest, edited).expect("the file is written");
    let message = refuse(&["sweep", "status", &out]);
    assert!(message.contains("its hash does not match its content"), "{message}");
    let message = refuse(&["sweep", "status", &name(&directory, "nowhere")]);
    assert!(message.contains("cannot read"), "{message}");
}

#[test]
fn incomparable_input_is_refused_with_location_and_fix() {
    let doors = "scenarios/door-factory.yaml";
    let assert_refused_with = |arguments: &[&str], words: &str| {
        let message = refuse(arguments);
        assert!(message.contains(words), "{arguments:?}: {message}");
    };
    assert_refused_with(&["compare"], "specify scenario files");
    assert_refused_with(&["compare", doors, "--flow", "memoised"], "did you mean `memoized`?");
    assert_refused_with(&["compare", doors, "--flow", "memoized,memoized"], "listed twice");
    assert_refused_with(&["compare", doors, doors], "two scenarios are named `door-factory`");
    assert_refused_with(
        &["compare", doors, "--baseline", "backup", "--flow", "memoized"],
        "not part of the comparison: memoized",
    );
    assert_refused_with(&["compare", doors, "--metric", "finished_good"], "did you mean `finished_goods`?");
    assert_refused_with(&["compare", doors, "experiments/failure-rates.yaml"], "pass it alone");
    assert_refused_with(
        &["run", "experiments/failure-rates.yaml"],
        "`dmos compare experiments/failure-rates.yaml` runs it",
    );
    let directory = temporary_directory();
    let file = name(&directory, "wrong.yaml");
    let root = repository();
    let text = format!("scenarios: [{}]\nmetrics: [losses]\n", root.join(doors).display());
    fs::write(&file, text).expect("the file is written");
    assert_refused_with(&["compare", &file], "wrong.yaml:2");
    let manifest = name(&directory, "manifest.json");
    succeed(&[
        "sweep", "plan", doors, "--seeds", "1", "--flow", "memoized", "--shards", "9", "-o", &manifest,
    ]);
    let run = ["sweep", "run", "--manifest", &manifest, "--out", &file, "--shard"];
    assert_refused_with(&[&run[..], &["1"]].concat(), "there is no shard 1");
    assert_refused_with(&[&run[..], &["auto"]].concat(), "none of which is set");
    let newer = fs::read_to_string(&manifest).expect("a manifest").replace("\"0.1.0\"", "\"9.9.9\"");
    fs::write(&manifest, newer).expect("the file is written");
    assert_refused_with(&[&run[..], &["0"]].concat(), "was modified");
}

#[test]
fn a_fixed_seed_of_the_op_generator_is_flagged() {
    let what = ["compare", "scenarios/seed/small-low-failure.yaml", "--flow", "memoized", "--seeds", "1..2"];
    let short = ["--duration", "30s"];
    assert!(
        succeed(&[&what[..], &short].concat())
            .contains("CAUTION: in small-low-failure the op generator has a fixed seed")
    );
    let varied = [&what[..], &short, &["--set", "faults.op_generator.seed=null"]].concat();
    assert!(!succeed(&varied).contains("CAUTION"));
}

#[test]
fn an_experiments_file_is_crossed_and_can_be_narrowed() {
    let narrowed =
        ["--seeds", "1..2", "--flow", "memoized,balanced", "--format", "json", "--duration", "5min"];
    let arguments = [&["compare", "experiments/failure-rates.yaml"], &narrowed[..]].concat();
    let json: Value = serde_json::from_str(&succeed(&arguments)).expect("JSON");
    assert_eq!(json["runs"].as_u64(), Some(3 * 2 * 2));
    assert_eq!(json["axes"]["cases"][0], "alternative-recipes [time_to_failure={exponential: 60min}]");
    assert!(succeed(&["check", "experiments/failure-rates.yaml"]).contains("240 runs"));
}

#[test]
fn deterioration_is_reported() {
    let directory = temporary_directory();
    let out = name(&directory, "results");
    let what = [
        "compare",
        "scenarios/door-factory.yaml",
        "--flow",
        "memoized",
        "--seeds",
        "1..10",
        "--duration",
        "3min",
    ];
    succeed(&[&what[..], &["--out", &out]].concat());
    let same = succeed(&["compare", "--against", &out]);
    assert!(same.contains("0 of 10 runs differ"), "{same}");
    // Earlier results that were better: ten percent more finished goods in each run.
    let finished = directory.path().join("results/shard-000.jsonl");
    let text = fs::read_to_string(&finished).expect("the file of results");
    let better = |line: &str| {
        let mut line: Value = serde_json::from_str(line).expect("JSON");
        let finals = &mut line["summary"]["numbers"][0];
        *finals = Value::from(finals.as_f64().expect("a number") + 3.0);
        with_checksum(&line.to_string()) + "\n"
    };
    fs::write(&finished, text.lines().map(better).collect::<String>()).expect("the file is written");
    let (code, stdout, stderr) = dmos(&["compare", "--against", &out]);
    assert_eq!(code, 1, "{stdout}{stderr}");
    assert!(stdout.contains("complete_sets") && stdout.contains("worse"), "{stdout}");
    assert!(stderr.contains("regressions found"), "{stderr}");
}

#[test]
fn criticality_ranks_nodes_and_pairs() {
    insta::assert_snapshot!(succeed(&[
        "criticality",
        "scenarios/door-factory.yaml",
        "--flow",
        "memoized",
        "--pairs",
        "--top",
        "5"
    ]));
    let json: Value =
        serde_json::from_str(&succeed(&["criticality", "scenarios/door-factory.yaml", "--format", "json"]))
            .expect("JSON");
    assert_eq!(json["nodes"].as_array().map(Vec::len), Some(24));
    assert_eq!(json["nodes"][0]["risk_exposure"], 1.0);
    let late = refuse(&["criticality", "scenarios/door-factory.yaml", "--at", "1h"]);
    assert!(late.contains("the run lasts"), "{late}");
}

/// Kubernetes refuses a job with unknown fields: those of a rule on exit codes are required by its API (batch/v1,
/// `PodFailurePolicyOnExitCodesRequirement`).
#[test]
fn the_kubernetes_job_has_the_fields_of_the_api() {
    let text = fs::read_to_string(repository().join("examples/kubernetes/sweep.yaml")).expect("the example");
    let job: serde_yaml::Value = serde_yaml::from_str(&text).expect("YAML");
    let codes = &job["spec"]["podFailurePolicy"]["rules"][0]["onExitCodes"];
    let fields: Vec<_> = codes.as_mapping().expect("a map").keys().filter_map(|key| key.as_str()).collect();
    assert_eq!(fields, ["containerName", "operator", "values"]);
    assert_eq!(codes["operator"], "In");
}

/// The scripts in examples/ equal the printed ones.
#[test]
fn scripts_for_batch_engines_are_as_printed() {
    let directory = temporary_directory();
    let manifest = name(&directory, "manifest.json");
    succeed(&["sweep", "plan", "experiments/failure-rates.yaml", "--shards", "16", "-o", &manifest]);
    for (engine, file) in [
        ("slurm", "examples/slurm/sweep.sh"),
        ("hyperqueue", "examples/hyperqueue/sweep.sh"),
        ("kubernetes", "examples/kubernetes/sweep.yaml"),
        ("parallel", "examples/parallel/sweep.sh"),
    ] {
        let printed =
            succeed(&["sweep", "emit", engine, "--manifest", &manifest]).replace(&manifest, "manifest.json");
        let path = repository().join(file);
        if std::env::var_os("DMOS_UPDATE_DOCS").is_some() {
            fs::create_dir_all(path.parent().expect("a folder")).expect("the directory is created");
            fs::write(&path, &printed).expect("the file is written");
        }
        let there = fs::read_to_string(&path).unwrap_or_default();
        assert!(there == printed, "{file} is out of date: run this test with DMOS_UPDATE_DOCS=1");
    }
}
