//! A run as a directory of files.
//!
//! | file | content |
//! |---|---|
//! | `run.json` | provenance, settings, summary, plans, faults and violations |
//! | `metrics.csv` | metrics of each node |
//! | `summary.csv` | statistics of each metric over the nodes |
//! | `series.csv` | production and material over time, of the network and of each item |
//!
//! Every row of a table names scenario and seed.

use std::fs;
use std::io;
use std::path::Path;

use dmos_core::metrics::Metric;
use dmos_core::record::ItemSample;
use dmos_core::{RunRecord, Scenario};
use serde::Serialize;

use crate::csv_text;
use crate::run_document::{Provenance, ResolvedSettings, RunDocument};
use crate::summary::Summary;
use dmos_util::atomic_write::{replace_directory, write_directory};

/// Version of the format of `run.json`.
const FORMAT: u32 = 4;

#[derive(Serialize)]
struct RunFile<'a> {
    format: u32,
    provenance: &'a Provenance,
    settings: ResolvedSettings<'a>,
    #[serde(flatten)]
    run: &'a RunDocument,
}

/// Names of the files of a run.
const FILES: [&str; 4] = ["run.json", "metrics.csv", "summary.csv", "series.csv"];

/// Returns whether a directory has the files of a run, and nothing else.
#[must_use]
pub fn is_run(path: &Path) -> bool {
    let is_ours = |entry: io::Result<fs::DirEntry>| {
        entry.is_ok_and(|entry| FILES.iter().any(|name| entry.file_name() == *name))
    };
    path.join(FILES[0]).is_file() && fs::read_dir(path).is_ok_and(|mut entries| entries.all(is_ours))
}

/// Writes the directory of a run atomically; with `replaces`, in place of the directory of an earlier run.
///
/// # Errors
/// If the directory has anything else, or anything cannot be written.
pub fn write(
    path: &Path,
    scenario: &Scenario,
    record: &RunRecord,
    provenance: &Provenance,
    replaces: bool,
) -> io::Result<()> {
    let run = RunDocument::new(scenario, record);
    let file = RunFile { format: FORMAT, provenance, settings: scenario.into(), run: &run };
    let json = serde_json::to_string_pretty(&file).map_err(io::Error::other)? + "\n";
    let summary = Summary::csv_header() + &Summary::of(record).csv_rows(&scenario.name, scenario.seed);
    let metrics = metrics(scenario, record).map_err(io::Error::other)?;
    let series = series(scenario, record).map_err(io::Error::other)?;
    let contents = [json, metrics, summary, series];
    let files: Vec<(&str, String)> = FILES.into_iter().zip(contents).collect();
    if replaces && is_run(path) { replace_directory(path, &files) } else { write_directory(path, &files) }
}

fn metrics(scenario: &Scenario, record: &RunRecord) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["scenario", "seed", "node", "metric", "value"])?;
    let seed = scenario.seed.to_string();
    for (node, metrics) in scenario.network.nodes().zip(&record.nodes) {
        let name = scenario.network.node_name(node);
        for &metric in Metric::ALL {
            if let Some(value) = metrics.reported(metric) {
                writer.write_record([&scenario.name, &seed, &*name, metric.name(), &value.to_string()])?;
            }
        }
    }
    csv_text(writer)
}

/// Returns the time series: rows of the whole network, whose item is empty, and of each item.
fn series(scenario: &Scenario, record: &RunRecord) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = [
        "scenario",
        "seed",
        "time_s",
        "item",
        "made",
        "finished",
        "output",
        "in_transit",
        "input",
        "complete_sets",
        "nodes_up",
        "messages",
    ];
    writer.write_record(header)?;
    let network = &*scenario.network;
    let seed = scenario.seed.to_string();
    let by_sample = record.item_series.chunks(network.item_count());
    for (sample, items) in record.series.iter().zip(by_sample) {
        let time = sample.at.as_secs_f64().to_string();
        let of_item =
            |item: &ItemSample| [item.made, item.finished, item.output, item.in_transit, item.input];
        let sum = |place: fn(&ItemSample) -> u64| items.iter().map(place).sum();
        let all = ItemSample {
            made: sample.made,
            finished: sample.finished,
            output: sum(|item| item.output),
            in_transit: sum(|item| item.in_transit),
            input: sum(|item| item.input),
        };
        let mut row = |item: &str, values: [u64; 5], network: [String; 3]| {
            let start = [scenario.name.clone(), seed.clone(), time.clone(), item.to_owned()];
            writer.write_record(start.into_iter().chain(values.map(|value| value.to_string())).chain(network))
        };
        let of_network = [sample.complete_sets, sample.nodes_up, sample.messages];
        row("", of_item(&all), of_network.map(|value| value.to_string()))?;
        for (item, values) in network.items().zip(items) {
            row(&network.item_name(item), of_item(values), Default::default())?;
        }
    }
    csv_text(writer)
}
