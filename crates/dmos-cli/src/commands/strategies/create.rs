//! `dmos strategies new`: creates a crate with a strategy from the example crates of this project.

use std::path::{Path, PathBuf};

use dmos_core::Registry;
use dmos_core::strategy::Family;
use dmos_util::atomic_write::{is_free, write_directory};

use crate::args::NewArguments;
use crate::error::CliError;
use crate::output::eprint_message;

/// An example crate, which is built and tested with the project, and the name to be replaced in it.
struct Example {
    name: &'static str,
    library: &'static str,
    program: &'static str,
    test: &'static str,
}

const FLOW: Example = Example {
    name: "last-listed",
    library: include_str!("../../../../../examples/last-listed/src/lib.rs"),
    program: include_str!("../../../../../examples/last-listed/src/main.rs"),
    test: include_str!("../../../../../examples/last-listed/tests/conformance.rs"),
};

const LEADER: Example = Example {
    name: "last-appointed",
    library: include_str!("../../../../../examples/last-appointed/src/lib.rs"),
    program: include_str!("../../../../../examples/last-appointed/src/main.rs"),
    test: include_str!("../../../../../examples/last-appointed/tests/conformance.rs"),
};

const DETECTOR: Example = Example {
    name: "longest-interval",
    library: include_str!("../../../../../examples/longest-interval/src/lib.rs"),
    program: include_str!("../../../../../examples/longest-interval/src/main.rs"),
    test: include_str!("../../../../../examples/longest-interval/tests/conformance.rs"),
};

/// Crates of this project that a strategy crate uses.
const CRATES: [&str; 4] = ["dmos-cli", "dmos-core", "dmos-graph", "dmos-conformance"];

/// Names that no crate can have: keywords, and crates of the standard distribution.
const RESERVED: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "union",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

pub(crate) fn run(arguments: &NewArguments, registry: &Registry) -> Result<(), CliError> {
    let (name, family) = (&arguments.name, arguments.kind);
    check_name(name, family, registry)?;
    let sources = sources(arguments.sources.as_deref())?;
    let directory = arguments.out.join(name);
    if !is_free(&directory) {
        let problem = format!("`{}` already exists; choose another name or --out", directory.display());
        return Err(CliError::Input(problem));
    }
    let example = match family {
        Family::Flow => &FLOW,
        Family::Leader => &LEADER,
        Family::Detector => &DETECTOR,
    };
    let mut files = vec![
        ("Cargo.toml", manifest(name, &sources)),
        ("src/lib.rs", example.under(name, example.library)),
        ("src/main.rs", example.under(name, example.program)),
        ("tests/conformance.rs", example.under(name, example.test)),
    ];
    // Uses the same dependency versions, so that nothing further has to be downloaded.
    if let Ok(lock) = std::fs::read_to_string(sources.join("../Cargo.lock")) {
        files.push(("Cargo.lock", lock));
    }
    write_directory(&directory, &files)
        .map_err(|error| CliError::Output(format!("cannot write `{}`: {error}", directory.display())))?;
    eprint_message(&format!(
        "created `{0}`: `cd {0}`, then `cargo test` checks the strategy and `cargo run -- strategies` lists it",
        directory.display()
    ));
    Ok(())
}

/// Checks that a crate name is valid and no strategy has it.
fn check_name(name: &str, family: Family, registry: &Registry) -> Result<(), CliError> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_good = (1..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(plain)
        && !name.ends_with('-')
        && !name.contains("--");
    if !is_good || RESERVED.contains(&name) {
        let words = "a name consists of lower-case letters, digits and single `-`, starts with a letter, and is no keyword of Rust";
        return Err(CliError::Input(format!("`{name}` is not a valid strategy name: {words}")));
    }
    let is_taken = Family::ALL.into_iter().any(|family| registry.names(family).contains(&name));
    if is_taken || name.starts_with("dmos") {
        return Err(CliError::Input(format!(
            "`{name}` is taken; choose another name for your {family} strategy"
        )));
    }
    Ok(())
}

/// Returns the location of the project's crates: as given, or that from which this program was built.
fn sources(given: Option<&Path>) -> Result<PathBuf, CliError> {
    let built_from = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let directory = given.map_or(built_from, |given| given.join("crates"));
    let is_there = CRATES.iter().all(|name| directory.join(name).join("Cargo.toml").is_file());
    match directory.canonicalize() {
        Ok(directory) if is_there => Ok(directory),
        _ => Err(CliError::Input(
            "the DMOS sources, on which a strategy crate depends, are not where this program was built; pass \
             `--sources DIR`, the directory that contains `crates`"
                .to_owned(),
        )),
    }
}

fn manifest(name: &str, sources: &Path) -> String {
    let path = |name: &str| sources.join(name).display().to_string().replace('\\', "/");
    let dependency = |name: &str| format!("{name} = {{ path = \"{}\" }}\n", path(name));
    format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\npublish = false\n\n\
         [dependencies]\n{}{}{}\n[dev-dependencies]\n{}\n\
         # The tests plan and simulate a lot; half-optimised code keeps them short.\n\
         [profile.dev]\nopt-level = 1\n\n\
         # A crate of its own, wherever it lies.\n[workspace]\n",
        dependency("dmos-cli"),
        dependency("dmos-core"),
        dependency("dmos-graph"),
        dependency("dmos-conformance"),
    )
}

impl Example {
    /// Returns a file of the example with the new name.
    fn under(&self, name: &str, file: &str) -> String {
        let snake = |name: &str| name.replace('-', "_");
        file.replace(self.name, name).replace(&snake(self.name), &snake(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_is_short_and_takes_any_name() {
        for example in [&FLOW, &LEADER, &DETECTOR] {
            assert!(example.library.lines().count() < 40, "{} has fewer than 40 lines", example.name);
            let renamed = example.under("my-own", example.library);
            assert!(renamed.contains("\"my-own\"") && renamed.contains("struct Strategy;"), "{renamed}");
            assert!(example.under("my-own", example.program).contains("use my_own as _;"));
            assert!(!renamed.contains(example.name));
        }
    }
}
