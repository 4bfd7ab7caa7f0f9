//! `dmos shrink`: makes a scenario that fails small.

use dmos_core::Registry;
use dmos_report::whole::write_file;
use dmos_search::shrink;
use dmos_search::trial::catch_panics_quietly;

use crate::args::ShrinkArguments;
use crate::commands::load;
use crate::failure::Failure;
use crate::output::{print, say};

pub(crate) fn run(arguments: &ShrinkArguments, registry: &Registry) -> Result<(), Failure> {
    let overrides = arguments.changes.overrides();
    let path = &arguments.scenario;
    let loaded = load(path, &overrides, registry)?;
    let file = dmos_scenario::read(&path.display().to_string(), &loaded.text, &overrides)?;
    catch_panics_quietly();
    let small = shrink(&file, arguments.runs, registry);
    let _ = std::panic::take_hook();
    let Some(small) = small else {
        return Err(Failure::Input(format!(
            "error: `{}` does not fail: the auditors find nothing in it",
            path.display()
        )));
    };
    let out = arguments.out.clone().unwrap_or_else(|| path.with_extension("small.yaml"));
    let comment: String = small.failure.to_string().lines().map(|line| format!("# {line}\n")).collect();
    let text = format!("{comment}{}", small.file.to_yaml());
    write_file(&out, &text)
        .map_err(|error| Failure::Output(format!("error: cannot write `{}`: {error}", out.display())))?;
    say(&format!("after {} runs, in `{}`: {}", small.runs, out.display(), small.failure));
    print(&text)
}
