//! The rows of a job's own input: plain CSV, read from any byte that a row begins at.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use csv::{Position, Reader, ReaderBuilder, StringRecord};
use thiserror::Error;

use super::input::{FAULT_COLUMN, LINE_COLUMN};

#[derive(Debug, Error)]
pub enum RowsError {
    #[error("cannot open `{}`: {source}", path.display())]
    Open {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("`{}` cannot be read: {source}", path.display())]
    Read { path: PathBuf, source: csv::Error },
    #[error("`{}` is no input of a job: column `{column}` is missing", path.display())]
    Column { path: PathBuf, column: &'static str },
    #[error("`{}` ends before row {row}", path.display())]
    Short { path: PathBuf, row: u64 },
}

/// An open input.
pub struct Rows {
    path: PathBuf,
    reader: Reader<BufReader<File>>,
    columns: Vec<String>,
    line_at: usize,
    fault_at: usize,
}

/// One row with its place.
#[derive(Clone, Debug)]
pub struct Row {
    pub cells: StringRecord,
    pub line: u64,
    pub fault: Option<String>,
    /// Where the next row begins.
    pub to_byte: u64,
}

impl Rows {
    /// Opens an input at its first row.
    pub fn open(path: &Path) -> Result<Self, RowsError> {
        let file = File::open(path).map_err(|source| RowsError::Open {
            path: path.to_owned(),
            source,
        })?;
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .from_reader(BufReader::new(file));
        let mut header = StringRecord::new();
        reader
            .read_record(&mut header)
            .map_err(|source| RowsError::Read {
                path: path.to_owned(),
                source,
            })?;
        let columns: Vec<String> = header.iter().map(str::to_owned).collect();
        let find = |column: &'static str| {
            let found = columns.iter().position(|name| name == column);
            found.ok_or_else(|| RowsError::Column {
                path: path.to_owned(),
                column,
            })
        };
        let (line_at, fault_at) = (find(LINE_COLUMN)?, find(FAULT_COLUMN)?);
        Ok(Self {
            path: path.to_owned(),
            reader,
            columns,
            line_at,
            fault_at,
        })
    }

    /// The columns of the vendor's file, in its order.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        let own = [self.line_at, self.fault_at];
        let given = self.columns.iter().enumerate();
        given
            .filter(move |(at, _)| !own.contains(at))
            .map(|(_, name)| name.as_str())
    }

    /// A row's cells with their columns' names.
    pub fn cells<'a>(&'a self, row: &'a Row) -> impl Iterator<Item = (&'a str, &'a str)> {
        let own = [self.line_at, self.fault_at];
        let named = self.columns.iter().zip(row.cells.iter()).enumerate();
        named
            .filter(move |(at, _)| !own.contains(at))
            .map(|(_, (name, cell))| (name.as_str(), cell))
    }

    /// Where the next row begins.
    pub fn byte(&self) -> u64 {
        self.reader.position().byte()
    }

    /// Goes to where a row begins.
    pub fn seek(&mut self, byte: u64) -> Result<(), RowsError> {
        if byte == self.byte() {
            return Ok(());
        }
        let mut position = Position::new();
        position.set_byte(byte);
        self.reader
            .seek(position)
            .map_err(|source| RowsError::Read {
                path: self.path.clone(),
                source,
            })
    }

    /// The next row; none at the end.
    pub fn next(&mut self) -> Result<Option<Row>, RowsError> {
        let mut cells = StringRecord::new();
        let is_row = self
            .reader
            .read_record(&mut cells)
            .map_err(|source| RowsError::Read {
                path: self.path.clone(),
                source,
            })?;
        if !is_row {
            return Ok(None);
        }
        let line = cells.get(self.line_at).and_then(|line| line.parse().ok());
        let fault = cells.get(self.fault_at).filter(|fault| !fault.is_empty());
        Ok(Some(Row {
            line: line.unwrap_or_default(),
            fault: fault.map(str::to_owned),
            to_byte: self.byte(),
            cells,
        }))
    }

    /// The next row, which must be there: the job knows how many there are.
    pub fn need(&mut self, row: u64) -> Result<Row, RowsError> {
        let path = self.path.clone();
        self.next()?.ok_or(RowsError::Short { path, row })
    }

    /// Reads to the end; answers how many rows there are.
    pub fn count(mut self) -> Result<u64, RowsError> {
        let mut count = 0;
        while self.next()?.is_some() {
            count += 1;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_from_any_byte_that_one_begins_at() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("input.csv");
        let text = "smartcard,stb,input_line,input_fault\n1,\"a\nb\",2,\n2,,5,\n3,c,6,short\n";
        std::fs::write(&path, text).unwrap();
        let mut rows = Rows::open(&path).unwrap();
        assert_eq!(rows.columns().collect::<Vec<_>>(), ["smartcard", "stb"]);
        let begins = rows.byte();
        let first = rows.need(0).unwrap();
        assert_eq!((first.line, first.fault), (2, None));
        let second = rows.need(1).unwrap();
        let third = rows.need(2).unwrap();
        assert_eq!(third.fault.as_deref(), Some("short"));
        assert!(rows.next().unwrap().is_none());
        rows.seek(second.to_byte).unwrap();
        assert_eq!(rows.need(2).unwrap().line, 6);
        rows.seek(begins).unwrap();
        let again = rows.need(0).unwrap();
        let cells: Vec<_> = rows.cells(&again).collect();
        assert_eq!(cells, [("smartcard", "1"), ("stb", "a\nb")]);
        assert_eq!(Rows::open(&path).unwrap().count().unwrap(), 3);
    }
}
