//! Published tables in the prototype's layout, and their comparison with a run.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use dmos_core::metrics::Metric;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::summary::{COLUMNS, Summary, two_decimals};
use crate::table;

/// Maximum size of a table, in bytes; published ones have a few kilobytes.
const SIZE_MAX: u64 = 4 << 20;

/// A row of a published table.
#[derive(Clone, PartialEq, Debug, Deserialize)]
struct Row {
    metric_name: String,
    min: f64,
    max: f64,
    mean: f64,
    median: f64,
    std: f64,
    var: f64,
}

/// A published table.
#[derive(Clone, PartialEq, Debug)]
pub struct PublishedTable(Vec<Row>);

/// Error of reading a published table.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PublishedError {
    /// The file cannot be read, or has another layout.
    #[error(
        "cannot read the table `{path}`: {reason}; it needs the columns metric_name,min,max,mean,median,std,var"
    )]
    Unreadable {
        /// The file.
        path: String,
        /// The reason.
        reason: String,
    },
}

/// Comparison of one metric with the published value.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct PublishedComparison {
    /// Name of the metric in the published table.
    pub metric: String,
    /// Simulated mean over the nodes, or `None` if no node reports the metric.
    pub ours: Option<f64>,
    /// Published mean over the nodes.
    pub theirs: f64,
    /// Ratio of simulated to published mean; 1 if both are zero to two decimals, infinite if only the
    /// published one is.
    pub ratio: Option<f64>,
    /// Simulated and published values, by statistic.
    pub statistics: Vec<(&'static str, Option<f64>, f64)>,
}

impl PublishedTable {
    /// Reads a table from a CSV file.
    ///
    /// # Errors
    /// If the file cannot be read, or is not in the prototype's layout.
    pub fn read(path: &Path) -> Result<Self, PublishedError> {
        let unreadable =
            |reason: String| PublishedError::Unreadable { path: path.display().to_string(), reason };
        let file = File::open(path).map_err(|error| unreadable(error.to_string()))?;
        let mut bytes = Vec::new();
        file.take(SIZE_MAX + 1).read_to_end(&mut bytes).map_err(|error| unreadable(error.to_string()))?;
        if bytes.len() as u64 > SIZE_MAX {
            return Err(unreadable(format!("it is larger than {} MiB", SIZE_MAX >> 20)));
        }
        let mut reader = csv::Reader::from_reader(&bytes[..]);
        let rows: Vec<Row> =
            reader.deserialize().collect::<Result<_, _>>().map_err(|error| unreadable(error.to_string()))?;
        if rows.is_empty() { Err(unreadable("it has no rows".to_owned())) } else { Ok(Self(rows)) }
    }

    /// Compares a summary with each metric of the table.
    #[must_use]
    pub fn compare(&self, ours: &Summary) -> Vec<PublishedComparison> {
        self.0.iter().map(|theirs| compare(theirs, ours)).collect()
    }
}

fn compare(theirs: &Row, ours: &Summary) -> PublishedComparison {
    let metric = Metric::ALL.iter().find(|metric| metric.name() == theirs.metric_name);
    let ours = metric.and_then(|&metric| ours.get(metric));
    let their_figures = [theirs.min, theirs.max, theirs.mean, theirs.median, theirs.std, theirs.var];
    let statistics = COLUMNS.iter().zip(their_figures);
    PublishedComparison {
        metric: theirs.metric_name.clone(),
        ours: ours.map(|ours| ours.mean),
        theirs: theirs.mean,
        ratio: ours.map(|ours| ratio(ours.mean, theirs.mean)),
        statistics: statistics
            .map(|(&(name, part), theirs)| (name, ours.as_ref().map(part), theirs))
            .collect(),
    }
}

/// Returns the ratio of two means. Published values have two decimals, so values that both show as zero are
/// equal.
fn ratio(ours: f64, theirs: f64) -> f64 {
    if ours == theirs || (ours.abs() < 0.005 && theirs.abs() < 0.005) { 1.0 } else { ours / theirs }
}

fn shown(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), two_decimals)
}

/// Formats comparisons as a table: for each metric the means, their ratio, and both maxima.
#[must_use]
pub fn comparison_table(comparisons: &[PublishedComparison]) -> String {
    let header = ["metric", "simulated", "published", "ratio", "simulated max", "published max"];
    let rows = comparisons.iter().map(|comparison| {
        let max = comparison.statistics.iter().find(|row| row.0 == "max");
        let (our_max, their_max) = max.map_or((None, f64::NAN), |row| (row.1, row.2));
        let values = [shown(comparison.ours), two_decimals(comparison.theirs), shown(comparison.ratio)];
        let maxima = [shown(our_max), two_decimals(their_max)];
        [comparison.metric.clone()].into_iter().chain(values).chain(maxima).collect()
    });
    table::numbers(&header, rows)
}

/// Formats comparisons as CSV: scenario, seeds, metric, ours, theirs, ratio, at full precision.
#[must_use]
pub fn comparison_csv(comparisons: &[PublishedComparison], scenario: &str, seeds: &str) -> String {
    let mut csv = "scenario,seeds,metric_name,simulated,published,ratio\n".to_owned();
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    for PublishedComparison { metric, ours, theirs, ratio, .. } in comparisons {
        let (ours, ratio) = (number(*ours), number(*ratio));
        csv.push_str(&format!("{scenario},{seeds},{metric},{ours},{theirs},{ratio}\n"));
    }
    csv
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_against_zero_is_equal() {
        assert_eq!(ratio(0.0, 0.0), 1.0);
        assert_eq!(ratio(0.000_001, 0.0), 1.0);
        assert_eq!(ratio(3.0, 2.0), 1.5);
        assert!(ratio(1.0, 0.0).is_infinite());
    }

    #[test]
    fn an_invalid_table_is_an_error() {
        let error = PublishedTable::read(Path::new("no such file.csv")).expect_err("a missing file");
        assert!(error.to_string().contains("no such file.csv"));
    }
}
