//! Rows of a vendor's file written as plain CSV, each with its line and, if it cannot be used, its fault.
//!
//! Every reader of files hands its rows here, so that what a header, a row and an empty line are is said once.

use std::io::{self, Write};

use thiserror::Error;

use super::error::{InputFault, Located};
use super::header::Header;
use super::{CELL_BYTES_MAX, COLUMNS_MAX, FAULT_COLUMN, Found, LINE_COLUMN, Plain, ROW_BYTES_MAX};
use crate::actions::spreadsheet::unmarked;

pub(super) struct PlainWriter<W: Write> {
    out: csv::Writer<W>,
    header: Option<Header>,
    missing: Missing,
    rows: u64,
    faults: u64,
}

/// What a row that ends before its last column is: a sheet does not store empty cells, a CSV does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    IsFault,
    IsEmpty,
}

/// A row of which only the beginning was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Excess {
    Columns,
    Bytes,
}

/// Why a row cannot be used; it is the row's `input_fault`.
#[derive(Debug, Error)]
enum RowFault {
    #[error("expected {expected} columns, found {found}")]
    Width { expected: usize, found: usize },
    #[error("expected {expected} columns, found more than {COLUMNS_MAX}")]
    ManyColumns { expected: usize },
    #[error("expected a row of at most {ROW_BYTES_MAX} bytes, found a longer one")]
    LongRow,
    #[error("expected at most {CELL_BYTES_MAX} bytes in column `{column}`, found {bytes}")]
    LongCell { column: String, bytes: usize },
}

impl<W: Write> PlainWriter<W> {
    pub fn new(into: W, missing: Missing) -> Self {
        Self {
            out: csv::WriterBuilder::new().flexible(true).from_writer(into),
            header: None,
            missing,
            rows: 0,
            faults: 0,
        }
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Takes the next row of the file: the header, a row, or nothing if all its cells are blank.
    pub fn record<C: AsRef<str>>(
        &mut self,
        line: u64,
        cells: &[C],
        excess: Option<Excess>,
    ) -> Result<(), Located> {
        let cells = cells.iter().map(|cell| unmarked(cell.as_ref().trim()));
        let cells: Vec<&str> = cells.collect();
        if excess.is_none() && cells.iter().all(|cell| cell.is_empty()) {
            return Ok(());
        }
        let written = if let Some(header) = &self.header {
            let fault = row_fault(header, self.missing, &cells, excess);
            self.rows += 1;
            self.faults += u64::from(fault.is_some());
            write_row(&mut self.out, header, &cells, line, fault.as_ref())
        } else {
            let header = read_header(&cells, excess).map_err(|fault| fault.at(line))?;
            let added = [LINE_COLUMN, FAULT_COLUMN];
            let written = self.out.write_record(header.names().chain(added));
            self.header = Some(header);
            written
        };
        written.map_err(|error| InputFault::Write(io::Error::from(error)).at(line))
    }

    pub fn end(mut self, found: Found) -> Result<Plain, Located> {
        self.out.flush().map_err(InputFault::Write)?;
        let header = self.header.ok_or(InputFault::NoHeader)?;
        Ok(Plain {
            rows: self.rows,
            faults: self.faults,
            columns: header.names().map(str::to_owned).collect(),
            found,
        })
    }
}

fn read_header(cells: &[&str], excess: Option<Excess>) -> Result<Header, InputFault> {
    match excess {
        Some(Excess::Columns) => Err(InputFault::ManyColumns),
        Some(Excess::Bytes) => Err(InputFault::LongHeader),
        None => Header::read(cells),
    }
}

fn row_fault(
    header: &Header,
    missing: Missing,
    cells: &[&str],
    excess: Option<Excess>,
) -> Option<RowFault> {
    let expected = header.width();
    match excess {
        Some(Excess::Columns) => return Some(RowFault::ManyColumns { expected }),
        Some(Excess::Bytes) => return Some(RowFault::LongRow),
        None => {}
    }
    let found = cells.len();
    let is_short = found < expected && missing == Missing::IsFault;
    // Empty cells behind the last column say nothing.
    let is_long = cells.iter().skip(expected).any(|cell| !cell.is_empty());
    if is_short || is_long {
        return Some(RowFault::Width { expected, found });
    }
    if cells.iter().map(|cell| cell.len()).sum::<usize>() > ROW_BYTES_MAX {
        return Some(RowFault::LongRow);
    }
    let long = header.places().find_map(|at| {
        let bytes = cells.get(at)?.len();
        (bytes > CELL_BYTES_MAX).then_some((at, bytes))
    });
    long.map(|(at, bytes)| RowFault::LongCell {
        column: header.name_at(at).unwrap_or_default().to_owned(),
        bytes,
    })
}

/// A row with a fault is written too, as far as it goes, so that the operator finds it among the failures.
fn write_row<W: Write>(
    out: &mut csv::Writer<W>,
    header: &Header,
    cells: &[&str],
    line: u64,
    fault: Option<&RowFault>,
) -> csv::Result<()> {
    let mut bytes_left = ROW_BYTES_MAX;
    for at in header.places() {
        let cell = cells.get(at).copied().unwrap_or_default();
        let cell = beginning(cell, CELL_BYTES_MAX.min(bytes_left));
        bytes_left -= cell.len();
        out.write_field(cell)?;
    }
    out.write_field(line.to_string())?;
    out.write_field(fault.map(ToString::to_string).unwrap_or_default())?;
    out.write_record(None::<&[u8]>)
}

/// At most so many bytes of a text, whole characters.
fn beginning(text: &str, bytes_max: usize) -> &str {
    let end = text.floor_char_boundary(bytes_max);
    text.get(..end).unwrap_or(text)
}
