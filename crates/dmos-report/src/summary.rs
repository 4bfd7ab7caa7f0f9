//! Statistics of each metric over the nodes that report it: the columns of the prototype's tables.

use dmos_core::RunRecord;
use dmos_core::metrics::{Metric, ReportedBy, shown};
use serde::Serialize;

/// The statistics of one metric over the nodes that report it.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Statistics {
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
    /// The arithmetic mean.
    pub mean: f64,
    /// The middle value, or the mean of the two middle ones.
    pub median: f64,
    /// The sample standard deviation (n - 1); not a number for a single node.
    pub std: f64,
    /// The sample variance (n - 1); not a number for a single node.
    pub var: f64,
    /// Number of nodes that report the metric.
    pub nodes: usize,
}

/// A statistic: its name, and its value in a [`Statistics`].
pub type Column = (&'static str, fn(&Statistics) -> f64);

/// The statistics, in the order of the prototype's tables.
pub const COLUMNS: [Column; 6] = [
    ("min", |statistics| statistics.min),
    ("max", |statistics| statistics.max),
    ("mean", |statistics| statistics.mean),
    ("median", |statistics| statistics.median),
    ("std", |statistics| statistics.std),
    ("var", |statistics| statistics.var),
];

impl Statistics {
    /// Returns the statistics of `values`, or `None` if there are none.
    #[must_use]
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let median = (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0;
        let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
        let var = if values.len() == 1 { f64::NAN } else { squares / (count - 1.0) };
        Some(Self { min, max, mean, median, std: var.sqrt(), var, nodes: values.len() })
    }

    /// Returns the mean of each statistic over several runs.
    fn mean_of(runs: &[Self]) -> Option<Self> {
        let count = runs.len() as f64;
        let mean = |part: fn(&Self) -> f64| runs.iter().map(part).sum::<f64>() / count;
        let [min, max, mean_of_means, median, std, var] = COLUMNS.map(|(_, part)| mean(part));
        let nodes = runs.iter().map(|run| run.nodes).max()?;
        Some(Self { min, max, mean: mean_of_means, median, std, var, nodes })
    }
}

/// Statistics of all metrics that any node reports, sorted by name as in the prototype's tables.
#[derive(Clone, PartialEq, Debug)]
pub struct Summary(pub Vec<(Metric, Statistics)>);

fn by_name(metrics: &[Metric]) -> Vec<Metric> {
    let mut sorted = metrics.to_vec();
    sorted.sort_by_key(|metric| metric.name());
    sorted
}

/// Returns the values of a metric at the nodes that report it.
fn values(record: &RunRecord, metric: Metric) -> Vec<f64> {
    if metric.reported_by() != ReportedBy::OpGenerator {
        return record.nodes.iter().filter_map(|node| node.reported(metric)).collect();
    }
    let of = |op_generator: &dmos_core::record::OpGeneratorRecord| match metric {
        Metric::CrashSignalsSent => op_generator.crashes,
        Metric::RecoverSignalsSent => op_generator.recoveries,
        _ => op_generator.cycles,
    };
    record.op_generator.iter().map(|op_generator| shown(metric, of(op_generator))).collect()
}

impl Summary {
    /// Returns the summary of one run.
    #[must_use]
    pub fn of(record: &RunRecord) -> Self {
        let metrics = by_name(Metric::ALL).into_iter();
        Self(metrics.filter_map(|metric| Some((metric, Statistics::of(values(record, metric))?))).collect())
    }

    /// Returns the mean of each statistic over several runs; a metric counts in the runs that report it.
    #[must_use]
    pub fn mean_of(runs: &[Self]) -> Self {
        let mean = |metric: Metric| {
            let reported: Vec<_> = runs.iter().filter_map(|run| run.get(metric)).collect();
            Some((metric, Statistics::mean_of(&reported)?))
        };
        Self(by_name(Metric::ALL).into_iter().filter_map(mean).collect())
    }

    /// Returns the statistics of a metric, if any node reports it.
    #[must_use]
    pub fn get(&self, metric: Metric) -> Option<Statistics> {
        self.0.iter().find(|row| row.0 == metric).map(|row| row.1)
    }

    /// Returns the header of [`Summary::csv_rows`].
    #[must_use]
    pub fn csv_header() -> String {
        format!("scenario,seed,metric_name,{},nodes\n", COLUMNS.map(|(name, _)| name).join(","))
    }

    /// Formats the summary as CSV without a header: scenario and seed, then the columns of the prototype's tables
    /// at full precision, and the number of nodes.
    #[must_use]
    pub fn csv_rows(&self, scenario: &str, seed: u64) -> String {
        let row = |(metric, statistics): &(Metric, Statistics)| {
            let values = COLUMNS.map(|(_, part)| part(statistics));
            let values = values.map(|value| if value.is_nan() { String::new() } else { value.to_string() });
            format!("{scenario},{seed},{},{},{}\n", metric.name(), values.join(","), statistics.nodes)
        };
        self.0.iter().map(row).collect()
    }
}

/// Formats a value with two decimals, as in the prototype's tables.
#[must_use]
pub fn two_decimals(value: f64) -> String {
    format!("{value:.2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_of_a_sample() {
        let statistics = Statistics::of(vec![4.0, 1.0, 2.0, 3.0]).expect("four values");
        assert_eq!(
            (statistics.min, statistics.max, statistics.mean, statistics.median),
            (1.0, 4.0, 2.5, 2.5)
        );
        assert!((statistics.var - 5.0 / 3.0).abs() < 1e-12);
        assert_eq!(Statistics::of(vec![]), None);
        let single = Statistics::of(vec![7.0]).expect("at least one value");
        assert!(single.std.is_nan() && single.median == 7.0);
        assert_eq!(two_decimals(single.var), "NaN");
    }
}
