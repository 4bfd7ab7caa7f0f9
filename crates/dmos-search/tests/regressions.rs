//! Regression tests: the scenarios under `scenarios/regressions/` run without violations, and identically
//! when repeated. A file that names no model of production runs under both.

use std::fs;
use std::path::Path;

use dmos_search::try_out;
use dmos_testkit::overrides;

#[test]
fn regression_scenarios_have_no_violation() {
    let registry = dmos_testkit::registry();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/regressions");
    let files =
        fs::read_dir(&directory).expect("the scenarios").map(|file| file.expect("a directory entry").path());
    let (mut paths, mut trials) = (0, 0);
    for path in files {
        let text = fs::read_to_string(&path).expect("a file");
        let name = path.display().to_string();
        let models: &[&[&str]] = match text.contains("production:") {
            true => &[&[]],
            false => &[&[], &["protocol.production=polled"]],
        };
        for model in models {
            let file = dmos_scenario::read(&name, &text, &overrides(model));
            let file = file.unwrap_or_else(|error| panic!("{error}"));
            let trial = try_out(&file, true, &registry).unwrap_or_else(|error| panic!("{error}"));
            if let Some(failure) = trial.failure {
                panic!("{name} {model:?}: {failure}");
            }
            trials += 1;
        }
        paths += 1;
    }
    assert!(paths >= 15 && trials >= 24, "{trials} trials of {paths} scenarios");
}
