//! Regression tests: the scenarios under `scenarios/regressions/` run without violations, and identically
//! when repeated.

use std::fs;
use std::path::Path;

use dmos_search::try_out;

#[test]
fn regression_scenarios_have_no_violation() {
    let registry = dmos_testkit::registry();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/regressions");
    let files =
        fs::read_dir(&directory).expect("the scenarios").map(|file| file.expect("a directory entry").path());
    let paths: Vec<_> = files.collect();
    assert!(paths.len() >= 15, "{paths:?}");
    for path in paths {
        let text = fs::read_to_string(&path).expect("a file");
        let name = path.display().to_string();
        let file = dmos_scenario::read(&name, &text, &[]).unwrap_or_else(|error| panic!("{error}"));
        let trial = try_out(&file, true, &registry).unwrap_or_else(|error| panic!("{error}"));
        if let Some(failure) = trial.failure {
            panic!("{name}: {failure}");
        }
    }
}
