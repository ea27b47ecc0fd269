//! Why a vendor's file cannot be read at all: file, line, what was expected and found, and the next command. What is wrong
//! with one row only is `RowFault` in `plain.rs`.

use std::io;

use calamine::XlsxError;
use thiserror::Error;

use super::delimiter::delimiter_name;
use super::{COLUMNS_MAX, NAME_BYTES_MAX, ROW_BYTES_MAX};

#[derive(Debug, Error)]
#[error("`{name}`{}: {fault}", at_line(*line))]
pub struct InputError {
    /// The file's path, or `standard input`.
    pub name: String,
    /// As an editor counts; of a workbook the row.
    pub line: Option<u64>,
    #[source]
    pub fault: InputFault,
}

#[derive(Debug, Error)]
pub enum InputFault {
    #[error("cannot be read: {0}")]
    Read(#[source] io::Error),
    #[error("its plain copy cannot be written: {0}")]
    Write(#[source] io::Error),
    #[error("expected {charset}, found other bytes at column {column}")]
    NotText { charset: &'static str, column: u64 },
    #[error("expected text, found a zero byte at column {column}")]
    ZeroByte { column: u64 },
    #[error("expected CSV or XLSX, found an old or an encrypted workbook")]
    OldWorkbook,
    #[error("expected CSV or XLSX, found a gzip archive")]
    Compressed,
    #[error("expected CSV, found a workbook: it needs a file")]
    WorkbookWithoutFile,
    #[error("cannot be read as an XLSX workbook: {0}")]
    Workbook(#[source] Box<XlsxError>),
    #[error("cannot be read as a ZIP archive, which XLSX is: {0}")]
    Archive(#[source] io::Error),
    #[error("expected a workbook of at most {bytes_max} bytes, found {bytes}")]
    LargeWorkbook { bytes: u64, bytes_max: u64 },
    #[error("expected {what} of at most {bytes_max} bytes when unpacked, found {bytes}")]
    LargeUnpacked {
        what: &'static str,
        bytes: u64,
        bytes_max: u64,
    },
    #[error("has no sheet `{wanted}`; it has {}", quoted(found))]
    NoSheet { wanted: String, found: Vec<String> },
    #[error("has no sheet that can be seen; it has {}", quoted(found))]
    NoVisibleSheet { found: Vec<String> },
    #[error("is text, and text has no sheets")]
    SheetOfText,
    #[error("is a workbook, and a workbook has no delimiter")]
    DelimiterOfWorkbook,
    #[error("{} cannot be a delimiter: expected a tab or a punctuation mark, no quote", delimiter_name(*found))]
    Delimiter { found: u8 },
    #[error("expected a first line that names the columns, found nothing")]
    NoHeader,
    #[error("expected a first line of at most {ROW_BYTES_MAX} bytes, found a longer one")]
    LongHeader,
    #[error("expected at most {COLUMNS_MAX} columns, found more")]
    ManyColumns,
    #[error("expected a name for every column, found none for column {column}")]
    Unnamed { column: usize },
    #[error("expected a name of at most {NAME_BYTES_MAX} bytes for column {column}, found {bytes}")]
    LongName { column: usize, bytes: usize },
    #[error("column `{name}` is there twice")]
    Twice { name: String },
    #[error("a quote begins here and does not end: expected its end within {ROW_BYTES_MAX} bytes")]
    OpenQuote,
}

impl InputError {
    /// The next step.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self.fault {
            InputFault::NotText {
                charset: "UTF-8", ..
            } => "save the file as UTF-8, or say `--encoding latin1` if it is Latin-1",
            InputFault::NotText { .. } | InputFault::ZeroByte { .. } => "save the file as UTF-8",
            InputFault::OldWorkbook | InputFault::Workbook(_) | InputFault::Archive(_) => {
                "save it as XLSX without a password, or as CSV (UTF-8)"
            }
            InputFault::Compressed => "unpack it first: `zcat FILE | pairbox run SCRIPT --input -`",
            InputFault::WorkbookWithoutFile => {
                "store it and name the file: `--input FILE.xlsx`; `-` reads CSV only"
            }
            InputFault::LargeWorkbook { .. } | InputFault::LargeUnpacked { .. } => {
                "save the sheet as CSV (UTF-8): CSV may be of any length"
            }
            InputFault::NoSheet { .. } | InputFault::NoVisibleSheet { .. } => {
                "name one of them: `--sheet NAME`"
            }
            InputFault::SheetOfText => "leave `--sheet` out",
            InputFault::DelimiterOfWorkbook => "leave `--delimiter` out",
            InputFault::Delimiter { .. } => "`--delimiter ';'`, `--delimiter tab`",
            InputFault::NoHeader | InputFault::Unnamed { .. } => {
                "the first line names the columns, lines after it are rows"
            }
            InputFault::LongHeader | InputFault::ManyColumns | InputFault::LongName { .. } => {
                "if the wrong delimiter was found, say the right one: `--delimiter ';'`"
            }
            InputFault::Twice { .. } => "rename one of the two, or take it out",
            InputFault::OpenQuote => "look at this line: a quote inside a cell is written twice",
            InputFault::Read(_) | InputFault::Write(_) => return None,
        })
    }
}

/// A fault and its line, before the file's name is known.
pub(super) struct Located {
    line: Option<u64>,
    fault: InputFault,
}

impl Located {
    pub fn of(self, name: String) -> InputError {
        InputError {
            name,
            line: self.line,
            fault: self.fault,
        }
    }
}

impl InputFault {
    pub(super) fn at(self, line: u64) -> Located {
        Located {
            line: Some(line),
            fault: self,
        }
    }
}

impl From<InputFault> for Located {
    fn from(fault: InputFault) -> Self {
        Self { line: None, fault }
    }
}

impl From<XlsxError> for InputFault {
    fn from(error: XlsxError) -> Self {
        Self::Workbook(Box::new(error))
    }
}

fn at_line(line: Option<u64>) -> String {
    line.map_or(String::new(), |line| format!(", line {line}"))
}

fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}
