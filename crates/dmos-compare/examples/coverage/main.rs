//! Measures what intervals and verdicts are worth, and writes the tables into `docs/comparing.md`. Takes ten minutes on two
//! cores: `cargo run --release -p dmos-compare --example coverage`.

use std::fs;
use std::path::Path;

mod measure;

/// Numbers of seeds.
const SEEDS: [usize; 4] = [5, 10, 30, 100];

const BEGIN: &str = "<!-- measured: begin -->\n";
const END: &str = "<!-- measured: end -->";

/// Returns the tables as Markdown.
fn tables() -> String {
    let mut text = String::from(
        "| differences | seeds | covered | false alarms | in the seeds seen | power | of Student's test | all the same |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for population in measure::artificial().iter().chain(&measure::real()) {
        SEEDS.iter().for_each(|&seeds| text.push_str(&measure::row(population, seeds)));
    }
    text.push_str(
        "\n| differences of each of ten rows | seeds | tables with a false alarm | in the seeds seen |\n",
    );
    text.push_str("|---|---|---|---|\n");
    for population in &measure::artificial() {
        [10, 30].iter().for_each(|&seeds| text.push_str(&measure::family_row(population, seeds)));
    }
    text
}

fn main() {
    let tables = tables();
    // Read after the measurement, which takes minutes in which the document may be edited.
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/comparing.md");
    let document = fs::read_to_string(&path).expect("the documentation");
    let (before, rest) = document.split_once(BEGIN).expect("the mark before the tables");
    let (_, after) = rest.split_once(END).expect("the mark behind the tables");
    fs::write(&path, format!("{before}{BEGIN}{tables}{END}{after}")).expect("a writable file");
}
