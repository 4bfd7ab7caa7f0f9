//! Coverage, false alarms and power, measured by simulation, and the tables of them in the documentation.

#[path = "../examples/coverage/measure.rs"]
mod measure;

use std::fs;
use std::path::Path;

#[test]
fn regular_differences_are_covered_and_rarely_alarm() {
    for population in &measure::artificial()[..2] {
        for seeds in [10, 30] {
            let cell = measure::measure(population, seeds, 400);
            let alarms = cell.alarms + cell.alarms_in_seeds_seen;
            assert!(cell.covered >= 0.91 && alarms <= 0.085, "{seeds} seeds: {} {alarms}", cell.covered);
            assert!(cell.power > cell.power_of_student - 0.2 && cell.power > 0.4, "{}", cell.power);
        }
    }
}

/// The tables take ten minutes; some of their rows stand for all.
#[test]
fn the_documentation_has_what_is_measured() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/comparing.md");
    let document = fs::read_to_string(&path).expect("the documentation");
    let (artificial, real) = (measure::artificial(), measure::real());
    let rows = [
        measure::row(&artificial[0], 10),
        measure::row(&artificial[1], 5),
        measure::row(&artificial[7], 10),
        measure::row(&real[0], 5),
        measure::family_row(&artificial[5], 10),
    ];
    for row in rows {
        assert!(
            document.contains(&row),
            "`cargo run --release -p dmos-compare --example coverage` writes the tables: {row}"
        );
    }
}
