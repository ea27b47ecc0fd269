//! How answers look: lists as table, JSON or CSV, single things as lines of name and value.
//!
//! Tables are for reading, JSON for programs (instants in UTC), CSV for spreadsheets (guarded against formulas). A long
//! list is written page by page; only a table is held whole.

use std::io::{Write, stdout};

use chrono_tz::Tz;
use clap::{Args, ValueEnum};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use super::error::CliError;
use crate::actions::local_time::local_time;
use crate::actions::spreadsheet::marked;
use crate::domain::Timestamp;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    #[default]
    Table,
    Json,
    Csv,
}

// `--output`, for every list. No doc comment: clap would say it as what the command does.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct OutputArgs {
    /// How the list is written. In csv, a cell that a spreadsheet would run as a formula begins with an apostrophe, unless it
    /// is a plain number; `import` takes the apostrophe away again
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Format,
}

/// A row of a list.
pub trait Listed: Serialize {
    const HEADINGS: &'static [&'static str];

    fn cells(&self, zone: Tz) -> Vec<String>;
}

/// Writes one list, page by page.
pub struct ListWriter {
    format: Format,
    zone: Tz,
    count: usize,
    table: Vec<Vec<String>>,
}

impl ListWriter {
    pub fn new(format: Format, zone: Tz) -> Self {
        Self {
            format,
            zone,
            count: 0,
            table: Vec::new(),
        }
    }

    pub fn write<T: Listed>(&mut self, rows: &[T]) -> Result<(), CliError> {
        for row in rows {
            match self.format {
                Format::Table => self.table.push(row.cells(self.zone)),
                Format::Json => {
                    let before = if self.count == 0 { "[\n" } else { ",\n" };
                    let text = serde_json::to_string(row)
                        .map_err(|error| CliError::Output(error.into()))?;
                    say_raw(&format!("{before}{text}"))?;
                }
                Format::Csv => {
                    if self.count == 0 {
                        say_csv(T::HEADINGS.iter().map(|heading| (*heading).to_owned()))?;
                    }
                    say_csv(row.cells(self.zone).into_iter().map(csv_cell))?;
                }
            }
            self.count += 1;
        }
        Ok(())
    }

    /// Ends the list; an empty one still has its headings.
    pub fn end<T: Listed>(self) -> Result<(), CliError> {
        match self.format {
            Format::Json if self.count == 0 => say("[]"),
            Format::Json => say("\n]"),
            Format::Csv if self.count == 0 => {
                say_csv(T::HEADINGS.iter().map(|heading| (*heading).to_owned()))
            }
            Format::Csv => Ok(()),
            Format::Table => {
                let is_empty = self.table.is_empty();
                say(&table(T::HEADINGS, self.table))?;
                if is_empty { say("(none)") } else { Ok(()) }
            }
        }
    }
}

/// Writes a list that is there whole.
pub fn list<T: Listed>(rows: &[T], format: Format, zone: Tz) -> Result<(), CliError> {
    let mut writer = ListWriter::new(format, zone);
    writer.write(rows)?;
    writer.end::<T>()
}

/// Writes one thing: its JSON if that is asked for, else names and values.
pub fn thing<T: Serialize>(
    thing: &T,
    format: Format,
    fields: &[(&str, String)],
) -> Result<(), CliError> {
    match format {
        Format::Json => {
            let text = serde_json::to_string_pretty(thing)
                .map_err(|error| CliError::Output(error.into()))?;
            say(&text)
        }
        Format::Csv => {
            say_csv(fields.iter().map(|(name, _)| (*name).to_owned()))?;
            say_csv(fields.iter().map(|(_, value)| marked(value.clone())))
        }
        Format::Table => say(&lines(fields)),
    }
}

/// Names and values, one a line, the values in one column; empty values are left out.
pub fn lines(fields: &[(&str, String)]) -> String {
    let shown = fields.iter().filter(|(_, value)| !value.is_empty());
    let width = shown
        .clone()
        .map(|(name, _)| name.len())
        .max()
        .unwrap_or_default();
    let lines: Vec<String> = shown
        .map(|(name, value)| format!("{name:width$}  {value}"))
        .collect();
    lines.join("\n")
}

/// A table without trailing blanks, so that it pastes well.
pub fn table(headings: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(headings.iter().map(|heading| heading.to_uppercase()))
        .add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let text = table.to_string();
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n")
}

/// One line on stdout.
pub fn say(text: &str) -> Result<(), CliError> {
    writeln!(stdout().lock(), "{text}").map_err(CliError::Output)
}

fn say_raw(text: &str) -> Result<(), CliError> {
    write!(stdout().lock(), "{text}").map_err(CliError::Output)
}

/// CSV that is there whole, guarded against formulas.
pub fn say_csv_rows(headings: Vec<String>, rows: Vec<Vec<String>>) -> Result<(), CliError> {
    say_csv(headings.into_iter())?;
    for row in rows {
        say_csv(row.into_iter().map(marked))?;
    }
    Ok(())
}

fn say_csv(cells: impl Iterator<Item = String>) -> Result<(), CliError> {
    let mut writer = csv::Writer::from_writer(stdout().lock());
    writer
        .write_record(cells)
        .map_err(|error| CliError::Output(error.into()))?;
    writer.flush().map_err(CliError::Output)
}

/// Nothing is an empty cell in CSV, not the dash that a person reads.
fn csv_cell(cell: String) -> String {
    if cell == DASH {
        String::new()
    } else {
        marked(cell)
    }
}

/// An instant, or a dash.
/// A number and its noun, which takes an `s` unless it is one.
pub fn counted(count: u64, noun: &str) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{end}")
}

pub fn time_or_dash(at: Option<Timestamp>, zone: Tz) -> String {
    at.map_or_else(|| DASH.to_owned(), |at| local_time(at, zone))
}

/// A text, or a dash.
pub fn or_dash(text: Option<&str>) -> String {
    text.unwrap_or(DASH).to_owned()
}

/// Stands for nothing in a table, where an empty cell would look forgotten.
pub const DASH: &str = "-";
