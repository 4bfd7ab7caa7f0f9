//! Comparisons of strategies as text, Markdown, CSV and JSON.

use dmos_compare::comparison::Comparison;
use dmos_compare::profile::{Profile, ProfileRow, Typical};
use dmos_compare::ranking::{Row, Table};
use dmos_compare::regression::{MetricChange, Regression};
use dmos_compare::statistics::interval::Interval;
use dmos_compare::verdict::{Direction, Verdict};
use dmos_compare::{Axes, Better, By, Grid, ResultMetric, RunMetric};

use crate::csv_text;
use crate::table;

/// Layout of tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// Plain columns.
    Plain,
    /// Markdown.
    Markdown,
}

impl Layout {
    fn table(self, header: &[&str], rows: Vec<Vec<String>>) -> String {
        match self {
            Self::Plain => table::with_verdict(header, rows),
            Self::Markdown => table::markdown(header, rows),
        }
    }

    fn heading(self, words: &str) -> String {
        match self {
            Self::Plain => format!("{words}\n"),
            Self::Markdown => format!("### {words}\n\n"),
        }
    }

    fn note(self, words: &str) -> String {
        match self {
            Self::Plain => format!("{words}\n"),
            Self::Markdown => format!("\n{words}\n"),
        }
    }
}

/// Returns the whole comparison as text. Each table shows its `top` best rows and the baseline; all rows if
/// `top` is zero.
#[must_use]
pub fn text(comparison: &Comparison, layout: Layout, top: usize) -> String {
    let axes = &comparison.axes;
    let mut text = layout.heading(&size(axes));
    let mut baseline = format!("{}/{}", comparison.baseline_flow, comparison.baseline_leader);
    if axes.detectors.len() > 1 {
        baseline = format!("{baseline}/{}", comparison.baseline_detector);
    }
    text.push_str(&layout.note(&format!(
        "The baseline is {baseline}. Differences are paired by seed (common random numbers)."
    )));
    for table in &comparison.tables {
        text.push('\n');
        text.push_str(&ranking(table, axes, layout, top));
        let is_last = |by| {
            comparison.tables.iter().rfind(|other| other.case == table.case).is_some_and(|last| last == by)
        };
        if is_last(table) {
            for profile in
                comparison.profiles.iter().filter(|profile| Some(&profile.case) == table.case.as_ref())
            {
                text.push('\n');
                text.push_str(&resilience(profile, layout));
            }
        }
    }
    let notes = notes(comparison);
    if !notes.is_empty() {
        text.push('\n');
        notes.iter().for_each(|note| text.push_str(&layout.note(note)));
    }
    text
}

/// Returns a description of the experiment's size.
#[must_use]
pub fn size(axes: &Axes) -> String {
    let counted = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    let strategies = |count: usize, kind: &str| match count {
        1 => format!("1 {kind} strategy"),
        _ => format!("{count} {kind} strategies"),
    };
    let mut factors = vec![
        counted(axes.cases.len(), "case"),
        strategies(axes.flows.len(), "flow"),
        strategies(axes.leaders.len(), "leader"),
    ];
    if axes.detectors.len() > 1 {
        factors.push(counted(axes.detectors.len(), "failure detector"));
    }
    factors.push(counted(axes.seeds.len(), "seed"));
    format!("{}: {}", factors.join(" x "), counted(axes.runs(), "run"))
}

/// Returns the subject of a comparison, and over which other strategies it is made.
fn subject(by: By, axes: &Axes) -> String {
    let families = [
        (By::Flow, axes.flows.len(), "flow strategies"),
        (By::Leader, axes.leaders.len(), "leader strategies"),
        (By::Detector, axes.detectors.len(), "failure detectors"),
    ];
    if by == By::Combination {
        let several = families.iter().filter(|family| family.1 > 1).map(|family| family.2);
        return format!("combinations of {}", several.collect::<Vec<_>>().join(" and "));
    }
    let others = families.iter().filter(|family| family.0 != by && family.1 > 1);
    let others: Vec<_> = others.map(|(_, count, name)| format!("all {count} {name}")).collect();
    let name = families.iter().find(|family| family.0 == by).map_or("", |family| family.2);
    match others.is_empty() {
        true => name.to_owned(),
        false => format!("{name}, each with {}", others.join(" and ")),
    }
}

fn ranking(table: &Table, axes: &Axes, layout: Layout, top: usize) -> String {
    let by = subject(table.by, axes);
    let place = table.case.clone().unwrap_or_else(|| format!("Over all {} cases", axes.cases.len()));
    let better = match table.better {
        Better::More => ", more is better",
        Better::Less => ", less is better",
        Better::Neither => "",
    };
    let horizon =
        table.horizon_s.map(|horizon| format!(", mean up to {} s", short(horizon))).unwrap_or_default();
    let metric = table.metric.name();
    let mut text = layout.heading(&format!("{place}: {by}, by {metric} ({}{better}{horizon})", table.unit));
    if table.case.is_none() && table.cases < axes.cases.len() {
        let note = format!(
            "Over {} of the cases: in the others, {metric} is zero or absent for every combination.",
            table.cases
        );
        text.push_str(&layout.note(&note));
        text.push_str(if layout == Layout::Markdown { "\n" } else { "" });
    }
    let top = if top == 0 { usize::MAX } else { top };
    let is_shown = |(place, row): &(usize, &Row)| *place < top || row.verdict == Verdict::Baseline;
    let shown: Vec<_> = table.rows.iter().enumerate().filter(is_shown).collect();
    let relative = if table.case.is_none() { ", % of maximum" } else { "" };
    let (messages, steps) =
        (format!("messages/finished{relative}"), format!("planning steps/finished{relative}"));
    let header = [
        "",
        "mean",
        "difference",
        "95 % interval",
        "win/tie/loss",
        "p",
        "break-even",
        &messages,
        &steps,
        "verdict",
    ];
    let hidden = table.rows.len() - shown.len();
    text.push_str(&layout.table(&header, shown.into_iter().map(|(_, row)| cells(row)).collect()));
    if hidden > 0 {
        text.push_str(&layout.note(&format!("and {hidden} more rows: `--top 0` shows all")));
    }
    for note in [pairing(table), break_even(table)].into_iter().flatten() {
        text.push_str(&layout.note(&note));
    }
    text
}

/// Returns a note on the variance that pairing has saved.
fn pairing(table: &Table) -> Option<String> {
    let saved = table.rows.iter().filter_map(|row| row.compared.as_ref()?.variance_saved);
    let percents: Vec<f64> = saved.map(|saved| (100.0 * saved).round() + 0.0).collect();
    let least = percents.iter().copied().min_by(f64::total_cmp)?;
    let most = percents.iter().copied().max_by(f64::total_cmp)?;
    let range = if least == most { format!("{least} %") } else { format!("{least} to {most} %") };
    Some(format!("Pairing by seed saves {range} of the variance of the differences."))
}

/// Returns a note on the break-even of the table's claims.
fn break_even(table: &Table) -> Option<String> {
    let claims = table.rows.iter().filter(|row| is_claim(row.verdict));
    let one_in = claims.filter_map(|row| Some(row.compared.as_ref()?.break_even.one_in)).next()?;
    Some(format!(
        "Break-even: a deviation that would undo the difference if one in {} runs had it, which this number of seeds does not exclude.",
        short(one_in)
    ))
}

fn is_claim(verdict: Verdict) -> bool {
    verdict.direction().is_some()
}

fn cells(row: &Row) -> Vec<String> {
    let optional = |value: Option<f64>| value.map(short).unwrap_or_default();
    let mut cells = vec![row.name.clone(), optional(row.mean)];
    match &row.compared {
        Some(compared) => {
            let interval =
                compared.interval.map(|limits| format!("{} to {}", signed(limits.low), signed(limits.high)));
            cells.push(signed(compared.difference));
            cells.push(interval.unwrap_or_default());
            cells.push(format!("{}/{}/{}", compared.wins, compared.ties, compared.losses));
            cells.push(p_value(compared.p_corrected));
            let break_even = is_claim(row.verdict).then(|| signed(compared.break_even.deviation));
            cells.push(break_even.unwrap_or_default());
        }
        None => cells.extend(vec![String::new(); 5]),
    }
    cells.push(optional(row.messages_per_finished));
    cells.push(optional(row.planning_steps_per_finished));
    cells.push(row.verdict.to_string());
    cells
}

/// Resilience metrics, in the order of the phases of a failure.
const RESILIENCE: [(RunMetric, &str); 14] = [
    (RunMetric::TimeToSuspect, "suspect, s"),
    (RunMetric::WrongSuspicions, "wrong suspicions"),
    (RunMetric::TimeToDetect, "detect, s"),
    (RunMetric::LeaderlessTime, "leaderless, s"),
    (RunMetric::LeadershipChanges, "leadership changes"),
    (RunMetric::TimeToReplan, "replan, s"),
    (RunMetric::PlanNervousness, "nervousness"),
    (RunMetric::TimeToSurvive, "survive, s"),
    (RunMetric::TimeToRecover, "recover, s"),
    (RunMetric::LostSets, "lost sets"),
    (RunMetric::Loss, "loss, s"),
    (RunMetric::NodesDegraded, "nodes degraded"),
    (RunMetric::BatchesStranded, "stranded"),
    (RunMetric::BatchesInDoubt, "in doubt"),
];

/// Metrics that compare a run with the fault-free run of the same strategies.
const RELATIVE: [RunMetric; 5] = [
    RunMetric::TimeToSurvive,
    RunMetric::TimeToRecover,
    RunMetric::LostSets,
    RunMetric::Loss,
    RunMetric::NodesDegraded,
];

fn resilience(profile: &Profile, layout: Layout) -> String {
    let shown: Vec<_> = RESILIENCE
        .into_iter()
        .filter(|(metric, _)| profile.rows.iter().any(|row| row.get(*metric).is_some()))
        .collect();
    let mut header = vec![""];
    header.extend(shown.iter().map(|(_, head)| *head));
    // The last column of such a table contains words; this one is empty.
    header.push("");
    let cells = |row: &ProfileRow| {
        let mut cells = vec![row.name.clone()];
        cells.extend(shown.iter().map(|(metric, _)| row.get(*metric).map(typical).unwrap_or_default()));
        cells.push(String::new());
        cells
    };
    let by = match profile.by {
        By::Leader => "leader strategy",
        By::Detector => "failure detector",
        By::Flow | By::Combination => "flow strategy",
    };
    let heading = format!("{}: resilience by {by}", profile.case);
    let mut text = layout.heading(&heading);
    text.push_str(&layout.table(&header, profile.rows.iter().map(cells).collect()));
    let mut notes =
        "Times are Kaplan-Meier medians; \"(k of n censored)\" counts the episodes that did not end within the run."
            .to_owned();
    let relative = |(metric, head): &(RunMetric, &'static str)| RELATIVE.contains(metric).then_some(*head);
    let relative: Vec<_> =
        shown.iter().filter_map(relative).map(|head| head.trim_end_matches(", s")).collect();
    if !relative.is_empty() {
        notes.push_str(&format!(
            " Relative to each strategy's own run without faults: {}. A strategy that makes less without faults can lose less.",
            relative.join(", ")
        ));
    }
    text.push_str(&layout.note(&notes));
    text
}

fn typical(typical: Typical) -> String {
    match typical {
        Typical::Mean { mean } => short(mean),
        Typical::Episodes { median_s, ended, censored, restricted_mean_s } => {
            let half = median_s.map_or_else(|| format!("over {}", short(restricted_mean_s)), short);
            match censored {
                0 => half,
                _ => format!("{half} ({censored} of {} censored)", censored + ended),
            }
        }
    }
}

/// Returns warnings that readers must not overlook.
fn notes(comparison: &Comparison) -> Vec<String> {
    let mut notes = comparison.cautions.clone();
    if comparison.missing > 0 {
        notes.push(format!(
            "INCOMPLETE: {} of {} runs are missing. Seeds without the runs of all strategies are excluded.",
            comparison.missing, comparison.runs
        ));
    }
    let failed = &comparison.failed;
    if let Some(first) = failed.first() {
        let why = first.why.lines().collect::<Vec<_>>().join(": ");
        notes.push(format!("FAILED: {} runs, the first of them {}: {why}", failed.len(), first.run));
    }
    for nonzero in &comparison.nonzero_metrics {
        notes.push(format!(
            "WARNING: `{}`, which must be 0 under the default protocol, is above 0 in {} runs of {}, first in {}",
            nonzero.metric, nonzero.runs, nonzero.case, nonzero.first
        ));
    }
    notes
}

/// Returns all rankings as CSV, with all rows.
///
/// # Errors
/// None in practice, because writing to a string cannot fail.
pub fn csv(comparison: &Comparison) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record([
        "case",
        "by",
        "metric",
        "unit",
        "name",
        "values",
        "mean",
        "pairs",
        "difference",
        "low",
        "high",
        "wins",
        "ties",
        "losses",
        "p",
        "p_corrected",
        "variance_saved",
        "break_even",
        "break_even_one_in",
        "messages_per_finished",
        "planning_steps_per_finished",
        "verdict",
    ])?;
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    for table in &comparison.tables {
        let by = match table.by {
            By::Flow => "flow",
            By::Leader => "leader",
            By::Detector => "detector",
            By::Combination => "combination",
        };
        for row in &table.rows {
            let compared = row.compared.as_ref();
            let limits = compared.and_then(|compared| compared.interval);
            let count = |of: fn(&dmos_compare::ranking::Compared) -> usize| {
                compared.map(|compared| of(compared).to_string()).unwrap_or_default()
            };
            writer.write_record([
                table.case.clone().unwrap_or_else(|| "all".to_owned()),
                by.to_owned(),
                table.metric.name().to_owned(),
                table.unit.to_owned(),
                row.name.clone(),
                row.values.to_string(),
                number(row.mean),
                count(|compared| compared.pairs),
                number(compared.map(|compared| compared.difference)),
                number(limits.map(|limits| limits.low)),
                number(limits.map(|limits| limits.high)),
                count(|compared| compared.wins),
                count(|compared| compared.ties),
                count(|compared| compared.losses),
                number(compared.map(|compared| compared.p)),
                number(compared.map(|compared| compared.p_corrected)),
                number(compared.and_then(|compared| compared.variance_saved)),
                number(compared.map(|compared| compared.break_even.deviation)),
                number(compared.map(|compared| compared.break_even.one_in)),
                number(row.messages_per_finished),
                number(row.planning_steps_per_finished),
                row.verdict.to_string(),
            ])?;
        }
    }
    csv_text(writer)
}

/// Returns the metrics of every run as CSV, for other statistics programs. Episodes are given by their number
/// and their sum in seconds.
///
/// # Errors
/// None in practice, because writing to a string cannot fail.
pub fn runs_csv(grid: &Grid) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let episodes: Vec<RunMetric> = RunMetric::ALL
        .iter()
        .copied()
        .filter(|metric| metric.value_kind() == dmos_compare::run_metric::ValueKind::Episodes)
        .collect();
    let numbers: Vec<ResultMetric> = ResultMetric::all()
        .filter(|metric| metric.value_kind() == dmos_compare::run_metric::ValueKind::Number)
        .collect();
    let mut header: Vec<String> = ["case", "flow", "leader", "detector", "seed"].map(str::to_owned).to_vec();
    header.extend(numbers.iter().map(|metric| metric.name().to_owned()));
    for metric in &episodes {
        header.extend(["episodes", "ended", "s"].map(|part| format!("{}_{part}", metric.name())));
    }
    writer.write_record(&header)?;
    let axes = &grid.axes;
    for (run, summary) in grid.summaries().iter().enumerate() {
        let Some(summary) = summary else { continue };
        let cell = axes.cell(run);
        let mut row = vec![
            axes.cases[cell.case].clone(),
            axes.flows[cell.flow].clone(),
            axes.leaders[cell.leader].clone(),
            axes.detectors[cell.detector].clone(),
            axes.seeds[cell.seed].to_string(),
        ];
        let number = |metric: &ResultMetric| {
            summary.number(*metric).map(|value| value.to_string()).unwrap_or_default()
        };
        row.extend(numbers.iter().map(number));
        for metric in &episodes {
            let episodes = summary.episodes(*metric);
            row.push(episodes.len().to_string());
            row.push(episodes.iter().filter(|episode| episode.ended).count().to_string());
            // The sum of no floats is minus zero.
            row.push(episodes.iter().fold(0.0, |sum, episode| sum + episode.lasted).to_string());
        }
        writer.write_record(&row)?;
    }
    csv_text(writer)
}

/// Returns every comparison of a regression check with a difference, as CSV.
///
/// # Errors
/// None in practice, because writing to a string cannot fail.
pub fn regression_csv(regression: &Regression) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record([
        "case",
        "combination",
        "metric",
        "earlier",
        "current",
        "difference",
        "low",
        "high",
        "p",
        "p_corrected",
        "verdict",
    ])?;
    for change in &regression.changes {
        let compared = &change.compared;
        let limit =
            |of: fn(&Interval) -> f64| compared.interval.as_ref().map(|limits| of(limits).to_string());
        writer.write_record([
            change.case.clone(),
            change.combination.clone(),
            change.metric.name().to_owned(),
            change.earlier.to_string(),
            change.current.to_string(),
            compared.difference.to_string(),
            limit(|limits| limits.low).unwrap_or_default(),
            limit(|limits| limits.high).unwrap_or_default(),
            compared.p.to_string(),
            compared.p_corrected.to_string(),
            change.verdict.to_string(),
        ])?;
    }
    csv_text(writer)
}

/// Returns a regression check as text: the `top` most significant differences and all deteriorations; all
/// differences if `top` is zero.
#[must_use]
pub fn regression_text(regression: &Regression, layout: Layout, top: usize) -> String {
    let Regression { runs, differing, comparisons, changes } = regression;
    let mut text = layout.heading(&format!(
        "Compared with the earlier results: {differing} of {runs} runs differ; {} of {comparisons} comparisons",
        changes.len()
    ));
    if changes.is_empty() {
        return text;
    }
    let cells = |change: &MetricChange| {
        let compared = &change.compared;
        let interval =
            compared.interval.map(|limits| format!("{} to {}", signed(limits.low), signed(limits.high)));
        vec![
            format!("{}, {}, {}", change.case, change.combination, change.metric.name()),
            short(change.earlier),
            short(change.current),
            signed(compared.difference),
            interval.unwrap_or_default(),
            p_value(compared.p_corrected),
            change.verdict.to_string(),
        ]
    };
    let header = ["", "earlier", "current", "difference", "95 % interval", "p", "verdict"];
    let top = if top == 0 { usize::MAX } else { top };
    let is_shown = |(place, change): &(usize, &MetricChange)| {
        *place < top || change.verdict.direction() == Some(Direction::Worse)
    };
    let shown: Vec<_> =
        changes.iter().enumerate().filter(is_shown).map(|(_, change)| cells(change)).collect();
    let hidden = changes.len() - shown.len();
    text.push_str(&layout.table(&header, shown));
    if hidden > 0 {
        text.push_str(&layout.note(&format!("and {hidden} more rows: `--top 0` shows all")));
    }
    text
}

/// Formats a number with about four digits; more would suggest false precision.
#[must_use]
pub fn short(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        "0".to_owned()
    } else if size >= 1e7 {
        format!("{value:.3e}")
    } else if size >= 1_000.0 {
        format!("{value:.0}")
    } else if size >= 100.0 {
        format!("{value:.1}")
    } else if size >= 1.0 {
        format!("{value:.2}")
    } else if size >= 0.001 {
        format!("{value:.3}")
    } else {
        format!("{value:.1e}")
    }
}

fn signed(value: f64) -> String {
    if value > 0.0 { format!("+{}", short(value)) } else { short(value) }
}

fn p_value(p: f64) -> String {
    if p < 0.001 { "<0.001".to_owned() } else { format!("{p:.3}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_about_four_digits() {
        let shown = [0.0, 12_345_678.0, 12_345.6, 123.45, -1.234_5, 0.012_34, 0.000_012].map(short);
        assert_eq!(shown, ["0", "1.235e7", "12346", "123.5", "-1.23", "0.012", "1.2e-5"]);
        assert_eq!(
            [signed(2.0), signed(-2.0), p_value(0.0004), p_value(0.04)],
            ["+2.00", "-2.00", "<0.001", "0.040"]
        );
    }
}
