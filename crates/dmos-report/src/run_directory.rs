//! A run as a directory of files.
//!
//! | file | content |
//! |---|---|
//! | `run.json` | provenance, settings, summary, plans, faults and violations |
//! | `metrics.csv` | node, metric, value |
//! | `summary.csv` | the prototype's columns |
//! | `series.csv` | production, stock and messages over time |

use std::io;
use std::path::Path;

use dmos_core::metrics::Metric;
use dmos_core::{RunRecord, Scenario};
use serde::Serialize;

use crate::csv_text;
use crate::run_document::{Provenance, ResolvedSettings, RunDocument};
use crate::summary::Summary;
use dmos_util::atomic_write::write_directory;

/// Version of the format of `run.json`.
const FORMAT: u32 = 3;

#[derive(Serialize)]
struct RunFile<'a> {
    format: u32,
    provenance: &'a Provenance,
    settings: ResolvedSettings<'a>,
    #[serde(flatten)]
    run: &'a RunDocument,
}

/// Writes the directory of a run atomically.
///
/// # Errors
/// If the directory exists and is not empty, or anything cannot be written.
pub fn write(
    path: &Path,
    scenario: &Scenario,
    record: &RunRecord,
    provenance: &Provenance,
) -> io::Result<()> {
    let run = RunDocument::new(scenario, record);
    let file = RunFile { format: FORMAT, provenance, settings: scenario.into(), run: &run };
    let json = serde_json::to_string_pretty(&file).map_err(io::Error::other)? + "\n";
    let files = [
        ("run.json", json),
        ("metrics.csv", metrics(scenario, record).map_err(io::Error::other)?),
        ("summary.csv", Summary::of(record).to_csv()),
        ("series.csv", series(record)),
    ];
    write_directory(path, &files)
}

fn metrics(scenario: &Scenario, record: &RunRecord) -> Result<String, String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut row = |cells: [&str; 3]| writer.write_record(cells).map_err(|error| error.to_string());
    row(["node", "metric", "value"])?;
    for (node, metrics) in scenario.network.nodes().zip(&record.nodes) {
        let name = scenario.network.node_name(node);
        for &metric in Metric::ALL {
            if let Some(value) = metrics.reported(metric) {
                row([&name, metric.name(), &value.to_string()])?;
            }
        }
    }
    csv_text(writer).map_err(|error| error.to_string())
}

fn series(record: &RunRecord) -> String {
    let mut csv = "time_s,nodes_up,made,finished,stock,messages\n".to_owned();
    for sample in &record.series {
        let time = sample.at.as_secs_f64();
        let values = [sample.nodes_up, sample.made, sample.finished, sample.stock, sample.messages];
        csv.push_str(&format!("{time},{}\n", values.map(|value| value.to_string()).join(",")));
    }
    csv
}
