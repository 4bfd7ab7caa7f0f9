//! Files that commands read and write, beyond regular ones: the standard input, pipes, links, and places where nothing
//! can be written.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const DOORS: &str = "scenarios/door-factory.yaml";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository's root")
}

/// Runs the binary from the repository's root with this text as its standard input.
fn dmos(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_dmos"))
        .args(arguments)
        .current_dir(repository())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    // A command that does not read its input closes the pipe.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("the binary ends")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn doors() -> String {
    fs::read_to_string(repository().join(DOORS)).expect("the scenario")
}

#[test]
fn a_scenario_is_read_from_the_standard_input() {
    for (arguments, expected) in [
        (&["check", "-"][..], "-: 24 nodes"),
        (&["run", "-", "--duration", "1min"], "door-factory, seed 1, 1 min"),
        (&["plan", "-"], "18 edges"),
        (
            &["compare", "-", "--flow", "memoized,balanced", "--duration", "1min", "--seeds", "1..7"],
            "7 seeds",
        ),
    ] {
        let output = dmos(arguments, &doors());
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        assert!(text(&output.stdout).contains(expected), "{arguments:?}: {}", text(&output.stdout));
    }
    let output = dmos(&["check", "-"], "network: 3");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains(" --> -:1"), "{}", text(&output.stderr));
}

#[cfg(unix)]
#[test]
fn a_scenario_is_read_from_a_pipe() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let pipe = directory.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    let writer = {
        let pipe = pipe.clone();
        std::thread::spawn(move || fs::write(pipe, doors()).expect("the pipe is written"))
    };
    let output = dmos(&["check", pipe.to_str().expect("UTF-8")], "");
    writer.join().expect("the writer");
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[cfg(unix)]
#[test]
fn a_trace_is_written_through_links_and_into_pipes() {
    use std::os::unix::fs::FileTypeExt;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let [real, link, pipe] = ["real", "link", "pipe"].map(|name| directory.path().join(name));
    let run = |path: &Path| {
        let path = path.to_str().expect("UTF-8");
        let output = dmos(&["run", DOORS, "--duration", "2s", "--trace", path], "");
        assert!(output.status.success(), "{}", text(&output.stderr));
    };
    run(&real);
    let trace = fs::read_to_string(&real).expect("the trace");
    assert!(trace.lines().count() > 50);
    fs::write(&real, "old").expect("a file");
    std::os::unix::fs::symlink(&real, &link).expect("a link");
    run(&link);
    assert!(fs::symlink_metadata(&link).expect("the link").is_symlink());
    assert_eq!(fs::read_to_string(&real).expect("the trace"), trace);
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    let reader = {
        let pipe = pipe.clone();
        std::thread::spawn(move || fs::read_to_string(pipe).expect("a text"))
    };
    run(&pipe);
    assert_eq!(reader.join().expect("the reader"), trace);
    assert!(fs::metadata(&pipe).expect("the pipe").file_type().is_fifo());
}

#[test]
fn what_cannot_be_written_is_found_before_anything_runs() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("file");
    fs::write(&file, "").expect("a file");
    let below = file.join("below");
    let below = below.to_str().expect("UTF-8");
    let place = directory.path().to_str().expect("UTF-8");
    // An unlimited search would not end.
    for arguments in [
        &["run", DOORS, "--trace", below][..],
        &["run", DOORS, "--trace", place],
        &["run", DOORS, "--out", below],
        &["fuzz", "--runs", "1000000", "--out", below],
        &["shrink", DOORS, "--out", below],
    ] {
        let output = dmos(arguments, "");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty() && text(&output.stderr).contains("cannot write"), "{arguments:?}");
    }
    let left: Vec<_> =
        fs::read_dir(place).expect("the folder").map(|entry| entry.expect("an entry").path()).collect();
    assert_eq!(left, [file]);
}
