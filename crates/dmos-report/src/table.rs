//! Layout of tables: plain columns, numbers aligned to the right.

use comfy_table::{CellAlignment, Table, presets};

use crate::summary::{COLUMNS, Summary, two_decimals};

/// Lays out a table whose first column is text and whose others are numbers.
#[must_use]
pub fn numbers(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    aligned(header, rows, |column| if column == 0 { CellAlignment::Left } else { CellAlignment::Right })
}

/// Lays out a table in Markdown whose first and last columns are text and whose others are numbers.
#[must_use]
pub fn markdown(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let last = header.len() - 1;
    let cells = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut text = cells(header.iter().map(ToString::to_string).collect());
    let line = (0..=last).map(|column| if column == 0 || column == last { "---" } else { "---:" });
    text.push_str(&cells(line.map(str::to_owned).collect()));
    // An unescaped bar would end the cell.
    let escaped = |row: Vec<String>| row.into_iter().map(|cell| cell.replace('|', "\\|")).collect();
    text.extend(rows.into_iter().map(|row| cells(escaped(row))));
    text
}

/// Lays out a table whose first and last columns are text and whose others are numbers.
#[must_use]
pub fn with_verdict(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let last = header.len() - 1;
    let alignment =
        |column| if column == 0 || column == last { CellAlignment::Left } else { CellAlignment::Right };
    aligned(header, rows, alignment)
}

/// Lays out a table of text.
#[must_use]
pub fn text_columns(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    aligned(header, rows, |_| CellAlignment::Left)
}

fn aligned(
    header: &[&str],
    rows: impl IntoIterator<Item = Vec<String>>,
    alignment: impl Fn(usize) -> CellAlignment,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    table.add_rows(rows);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_cell_alignment(alignment(index));
        column.set_padding((0, 2));
    }
    let lines = table.lines().map(|line| line.trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

/// Returns the table of a summary, with the prototype's columns and the number of nodes.
#[must_use]
pub fn summary(summary: &Summary) -> String {
    let mut header = vec!["metric"];
    header.extend(COLUMNS.map(|(name, _)| name));
    header.push("nodes");
    let rows = summary.0.iter().map(|(metric, statistics)| {
        let mut row = vec![metric.name().to_owned()];
        row.extend(COLUMNS.map(|(_, part)| two_decimals(part(statistics))));
        row.push(statistics.nodes.to_string());
        row
    });
    numbers(&header, rows)
}
