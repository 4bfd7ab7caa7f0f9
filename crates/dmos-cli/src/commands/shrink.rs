//! `dmos shrink`: shrinks a failing scenario.

use dmos_core::Registry;
use dmos_search::shrink;
use dmos_util::atomic_write::{try_file, write_file};

use crate::args::ShrinkArguments;
use crate::commands::load;
use crate::error::CliError;
use crate::output::{eprint_message, print};

pub(crate) fn run(arguments: &ShrinkArguments, registry: &Registry) -> Result<(), CliError> {
    let overrides = arguments.changes.overrides();
    let path = &arguments.scenario;
    let loaded = load(path, &overrides, registry)?;
    let file = dmos_scenario::read(&path.display().to_string(), &loaded.text, &overrides)?;
    let out = arguments.out.clone().unwrap_or_else(|| path.with_extension("small.yaml"));
    if out.exists() {
        let shown = out.display();
        return Err(CliError::Input(format!(
            "`{shown}` exists; choose another file with --out, or remove it"
        )));
    }
    let unwritable = |error| CliError::Output(format!("cannot write `{}`: {error}", out.display()));
    try_file(&out).map_err(unwritable)?;
    dmos_util::panics::keep_panics_quiet();
    let small = shrink(&file, arguments.runs, registry);
    let _ = std::panic::take_hook();
    let Some(small) = small else {
        return Err(CliError::Input(format!("`{}` does not fail: it violates no invariant", path.display())));
    };
    let comment: String = small.failure.to_string().lines().map(|line| format!("# {line}\n")).collect();
    let replay = format!("# Replay with `dmos run {} --strict`.\n", out.display());
    let text = format!("{replay}{comment}{}", small.file.to_yaml());
    if let Err(error) = write_file(&out, &text) {
        print(&text)?;
        return Err(unwritable(error));
    }
    if small.runs >= arguments.runs {
        eprint_message("stopped at the limit of runs; a larger --runs may shrink it further");
    }
    eprint_message(&format!("after {} runs, in `{}`: {}", small.runs, out.display(), small.failure));
    print(&text)
}
