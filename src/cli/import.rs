//! `item import` and `subscription import`: good rows in, bad rows into a rejects file, whatever the length of the file.
//!
//! Rows go in chunks, so memory stays flat and every exchange with the server short. A rejects file has the columns of the
//! input and may be mended and imported itself.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use clap::Args;
use csv::ByteRecord;
use serde::Serialize;

use super::backend::Backend;
use super::error::CliError;
use super::exit::Exit;
use super::output::say;
use super::progress::{Progress, seconds};
use crate::actions::import::{Columns, Import, REJECT_COLUMNS, RowFault};
use crate::actions::register::{CHUNK_BYTES, CHUNK_ROWS, row_bytes};
use crate::actions::spreadsheet::{marked, unmarked};
use crate::control::{
    ErrorReport, Fault, ItemRegister, ItemsAsk, RowEnd, SubscriptionRegister, SubscriptionsAsk,
};
use crate::domain::event::SubscriptionFields;
use crate::domain::items::NewItem;

#[derive(Args)]
pub struct ImportArgs {
    /// UTF-8, comma or semicolon, the first line names the columns
    #[arg(value_name = "FILE.csv")]
    file: PathBuf,
    /// Judge every row and store nothing
    #[arg(long)]
    dry_run: bool,
    /// Change what is there with other values; without it such a row is rejected
    #[arg(long)]
    update: bool,
}

/// What a row becomes, and the verb that takes a chunk of them.
pub trait Sent: Import + Serialize {
    fn send(
        backend: &Backend,
        rows: Vec<Self>,
        may_update: bool,
        is_dry_run: bool,
    ) -> Result<Vec<RowEnd>, CliError>;
}

impl Sent for NewItem {
    fn send(
        backend: &Backend,
        items: Vec<Self>,
        may_update: bool,
        is_dry_run: bool,
    ) -> Result<Vec<RowEnd>, CliError> {
        backend.call::<ItemRegister>(&ItemsAsk {
            items,
            may_update,
            is_dry_run,
        })
    }
}

impl Sent for SubscriptionFields {
    fn send(
        backend: &Backend,
        subscriptions: Vec<Self>,
        may_update: bool,
        is_dry_run: bool,
    ) -> Result<Vec<RowEnd>, CliError> {
        backend.call::<SubscriptionRegister>(&SubscriptionsAsk {
            subscriptions,
            may_update,
            is_dry_run,
        })
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    rows: u64,
    added: u64,
    changed: u64,
    unchanged: u64,
    rejected: u64,
}

/// Some rows of the file, the bad ones among them, so that rejects come out in its order.
type Chunk<T> = Vec<(ByteRecord, Result<T, RowFault>)>;

/// Rejects that are also said on stderr; the file has all.
const REJECTS_SAID: u64 = 10;

impl ImportArgs {
    pub fn run<T: Sent>(self, backend: &Backend) -> Result<Exit, CliError> {
        let mut input = Input::open::<T>(&self.file)?;
        let mut rejects = Rejects::new(&self.file, &input.columns);
        let mut counts = Counts::default();
        let mut progress = Progress::new("rows", Some(input.length));
        let mut chunk: Chunk<T> = Vec::with_capacity(CHUNK_ROWS);
        let mut bytes = 0;
        while let Some(record) = input.next()? {
            counts.rows += 1;
            let row = input.columns.row::<T>(&record).and_then(fits_a_chunk);
            let more = row.as_ref().map_or(0, row_bytes);
            if chunk.len() == CHUNK_ROWS || bytes + more > CHUNK_BYTES {
                self.send(backend, &mut chunk, &mut counts, &mut rejects)?;
                progress.at(input.position(), counts.rows);
                bytes = 0;
            }
            bytes += more;
            chunk.push((record, row));
        }
        self.send(backend, &mut chunk, &mut counts, &mut rejects)?;
        let took = seconds(progress.end());
        let dry = if self.dry_run {
            "dry run, nothing stored: "
        } else {
            ""
        };
        say(&format!(
            "{dry}{} rows: {} added, {} changed, {} unchanged, {} rejected, in {took}",
            counts.rows, counts.added, counts.changed, counts.unchanged, counts.rejected
        ))?;
        let Some(path) = rejects.end()? else {
            return Ok(Exit::Done);
        };
        say(&format!(
            "rejected rows with their reasons: {}",
            path.display()
        ))?;
        Ok(Exit::No)
    }

    fn send<T: Sent>(
        &self,
        backend: &Backend,
        chunk: &mut Chunk<T>,
        counts: &mut Counts,
        rejects: &mut Rejects,
    ) -> Result<(), CliError> {
        let mut good = Vec::with_capacity(chunk.len());
        let mut rows = Vec::with_capacity(chunk.len());
        for (record, row) in chunk.drain(..) {
            rows.push((record, row.map(|row| good.push(row))));
        }
        let ends = if good.is_empty() {
            Vec::new()
        } else {
            T::send(backend, good, self.update, self.dry_run)?
        };
        let mut ends = ends.into_iter();
        for (record, row) in rows {
            let (column, reason) = match row {
                Err(fault) => (fault.column.to_owned(), fault.reason),
                Ok(()) => match ends.next() {
                    Some(RowEnd::Refused { field, reason, .. }) => (field, reason),
                    Some(end) => {
                        counts.count(&end);
                        continue;
                    }
                    None => (String::new(), "the server gave no answer for it".to_owned()),
                },
            };
            counts.rejected += 1;
            rejects.put(&record, &column, &reason)?;
        }
        Ok(())
    }
}

/// No text of a row may be that long, and the rows beside it shall come in.
fn fits_a_chunk<T: Sent>(row: T) -> Result<T, RowFault> {
    let bytes = row_bytes(&row);
    if bytes <= CHUNK_BYTES {
        return Ok(row);
    }
    Err(RowFault {
        column: "",
        reason: format!("expected a row of at most {CHUNK_BYTES} bytes, found {bytes}"),
    })
}

impl Counts {
    fn count(&mut self, end: &RowEnd) {
        match end {
            RowEnd::Added => self.added += 1,
            RowEnd::Changed => self.changed += 1,
            RowEnd::Unchanged => self.unchanged += 1,
            RowEnd::Refused { .. } => self.rejected += 1,
        }
    }
}

/// The file while it is read.
struct Input {
    path: PathBuf,
    reader: csv::Reader<BufReader<File>>,
    columns: Columns,
    length: u64,
}

impl Input {
    fn open<T: Import>(path: &Path) -> Result<Self, CliError> {
        let failed = |source| CliError::File {
            act: "read",
            path: path.to_owned(),
            source,
        };
        let mut file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let mut first = Vec::new();
        BufReader::new(Read::by_ref(&mut file).take(64 * 1024))
            .read_until(b'\n', &mut first)
            .map_err(failed)?;
        file.rewind().map_err(failed)?;
        let is_semicolon = first.contains(&b';') && !first.contains(&b',');
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(if is_semicolon { b';' } else { b',' })
            .flexible(true)
            .from_reader(BufReader::new(file));
        let header = reader.byte_headers().map_err(|source| CliError::Csv {
            path: path.to_owned(),
            source,
        })?;
        let columns = Columns::read::<T>(header).map_err(|source| CliError::Header {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            path: path.to_owned(),
            reader,
            columns,
            length,
        })
    }

    fn next(&mut self) -> Result<Option<ByteRecord>, CliError> {
        let mut record = ByteRecord::new();
        match self.reader.read_byte_record(&mut record) {
            Ok(true) => Ok(Some(record)),
            Ok(false) => Ok(None),
            Err(source) => Err(CliError::Csv {
                path: self.path.clone(),
                source,
            }),
        }
    }

    fn position(&self) -> u64 {
        self.reader.position().byte()
    }
}

/// The rejects file; made with the first reject, in the place of an older one.
struct Rejects {
    path: PathBuf,
    header: Vec<String>,
    writer: Option<csv::Writer<File>>,
    count: u64,
}

impl Rejects {
    fn new(input: &Path, columns: &Columns) -> Self {
        let stem = input.file_stem().unwrap_or_default().to_string_lossy();
        let is_data = |name: &&String| !REJECT_COLUMNS.contains(&name.as_str());
        let header = columns.names().iter().filter(is_data).cloned();
        Self {
            path: input.with_file_name(format!("{stem}.rejects.csv")),
            header: header.chain(REJECT_COLUMNS.map(str::to_owned)).collect(),
            writer: None,
            count: 0,
        }
    }

    fn put(&mut self, record: &ByteRecord, column: &str, reason: &str) -> Result<(), CliError> {
        let line = record.position().map_or(0, csv::Position::line);
        self.count += 1;
        if self.count <= REJECTS_SAID {
            let column = if column.is_empty() {
                String::new()
            } else {
                format!(", {column}")
            };
            eprintln!("line {line}{column}: {reason}");
        } else if self.count == REJECTS_SAID + 1 {
            eprintln!("more in {}", self.path.display());
        }
        let failed = |source| CliError::Csv {
            path: self.path.clone(),
            source,
        };
        let writer = if let Some(writer) = &mut self.writer {
            writer
        } else {
            let mut writer = csv::WriterBuilder::new()
                .flexible(true)
                .from_path(&self.path)
                .map_err(failed)?;
            writer.write_record(&self.header).map_err(failed)?;
            self.writer.insert(writer)
        };
        let width = self.header.len() - REJECT_COLUMNS.len();
        let cells = record
            .iter()
            .chain(std::iter::repeat(&b""[..]))
            .take(width)
            .map(|cell| marked(unmarked(&String::from_utf8_lossy(cell)).to_owned()));
        let why = [
            line.to_string(),
            column.to_owned(),
            marked(reason.to_owned()),
        ];
        writer.write_record(cells.chain(why)).map_err(failed)
    }

    /// The file's path, if there was any reject.
    fn end(self) -> Result<Option<PathBuf>, CliError> {
        let path = self.path;
        match self.writer {
            Some(mut writer) => match writer.flush() {
                Ok(()) => Ok(Some(path)),
                Err(source) => Err(CliError::File {
                    act: "write",
                    path,
                    source,
                }),
            },
            None => Ok(None),
        }
    }
}

/// Says how the one row of an `add` ended.
pub fn told_one(name: &str, ends: Vec<RowEnd>) -> Result<Exit, CliError> {
    let words = match ends.into_iter().next() {
        Some(RowEnd::Added) => "is added",
        Some(RowEnd::Changed) => "is changed",
        Some(RowEnd::Unchanged) => "is there already, unchanged",
        Some(RowEnd::Refused { reason, hint, .. }) => {
            return Err(CliError::Told(ErrorReport {
                fault: Fault::Refused,
                message: reason,
                hint,
            }));
        }
        None => "has no answer",
    };
    say(&format!("{name} {words}"))?;
    Ok(Exit::Done)
}
