//! A vendor's file becomes one plain CSV: UTF-8, comma, LF, a header of lower-case names, trimmed cells, no empty lines.
//!
//! Two columns are added at the end: `input_line`, where the row stands in the vendor's file, and `input_fault`, why it
//! cannot be used (empty for a sound row). One bad row never stops the file; what makes every row doubtful does. Nothing is
//! held but a row: a file of any length is read in the same memory (a workbook's texts are held, within a bound).

mod archive;
mod delimiter;
mod error;
mod header;
mod number;
mod place;
mod plain;
mod records;
mod text;
mod workbook;

pub use delimiter::{delimiter_name, delimiter_named};
pub use error::{InputError, InputFault};
pub use header::PASSED_OVER;

use std::fmt;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use error::Located;
use plain::PlainWriter;
use records::Records;
use text::Text;
use workbook::Opened;

/// Columns that are added to the vendor's.
pub const LINE_COLUMN: &str = "input_line";
pub const FAULT_COLUMN: &str = "input_fault";

/// Of one row and one cell; longer ones are a fault of the row.
pub const ROW_BYTES_MAX: usize = 64 * 1024;
pub const CELL_BYTES_MAX: usize = 4 * 1024;
pub const COLUMNS_MAX: usize = 64;
/// Of a column's name.
pub const NAME_BYTES_MAX: usize = 256;

/// Progress is told every so many rows.
const PROGRESS_ROWS: u64 = 256;
/// Enough to know a workbook, an archive or a byte order mark by.
const HEAD_BYTES: u64 = 8;

/// How the operator says a file is to be read.
#[derive(Clone, Debug, Default)]
pub struct InputOptions {
    pub encoding: Encoding,
    /// `None`: as the header line shows.
    pub delimiter: Option<u8>,
    /// `None`: the first sheet of a workbook that can be seen.
    pub sheet: Option<String>,
}

/// What the bytes of a file without a byte order mark are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    #[default]
    Utf8,
    /// With the letters that Windows added to it.
    Latin1,
}

impl Encoding {
    /// The encoding of that name on the command line.
    pub fn named(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "utf8" | "utf-8" => Some(Self::Utf8),
            "latin1" | "latin-1" => Some(Self::Latin1),
            _ => None,
        }
    }
}

/// Where a file comes from.
pub enum Source<'a> {
    File(PathBuf),
    /// Standard input, which has no name and no way back.
    Standard(Box<dyn Read + 'a>),
}

impl Source<'static> {
    /// `-` is standard input.
    pub fn named(path: &Path) -> Self {
        if path == Path::new("-") {
            Self::Standard(Box::new(std::io::stdin().lock()))
        } else {
            Self::File(path.to_owned())
        }
    }
}

/// What was read, and what it was taken for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plain {
    pub rows: u64,
    /// Rows among them with an `input_fault`.
    pub faults: u64,
    /// The vendor's columns as the plain CSV has them, without the two that are added.
    pub columns: Vec<String>,
    pub found: Found,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Text {
        charset: &'static str,
        delimiter: u8,
    },
    Workbook {
        sheet: String,
    },
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { charset, delimiter } => {
                write!(f, "{charset}, delimiter {}", delimiter_name(*delimiter))
            }
            Self::Workbook { sheet } => write!(f, "XLSX, sheet `{sheet}`"),
        }
    }
}

/// Reads `source` and writes the plain CSV into `into`. `progress` hears how many bytes of the source and how many rows are
/// behind.
pub fn read(
    source: Source<'_>,
    options: &InputOptions,
    into: &mut impl Write,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Plain, InputError> {
    let name = match &source {
        Source::File(path) => path.display().to_string(),
        Source::Standard(_) => "standard input".to_owned(),
    };
    read_source(source, options, into, progress).map_err(|located| located.of(name))
}

fn read_source(
    source: Source<'_>,
    options: &InputOptions,
    into: &mut impl Write,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Plain, Located> {
    match source {
        Source::Standard(mut reader) => {
            let head = head_of(&mut reader)?;
            match Kind::of(&head)? {
                Kind::Text => read_text(Text::new(&head, reader, options), options, into, progress),
                Kind::Workbook => Err(InputFault::WorkbookWithoutFile.into()),
            }
        }
        Source::File(path) => {
            let mut file = File::open(path).map_err(InputFault::Read)?;
            let head = head_of(&mut file)?;
            match Kind::of(&head)? {
                Kind::Text => read_text(Text::new(&head, file, options), options, into, progress),
                Kind::Workbook => read_workbook(file, options, into, progress),
            }
        }
    }
}

fn head_of(reader: &mut impl Read) -> Result<Vec<u8>, InputFault> {
    let mut head = Vec::new();
    let mut reader = reader.take(HEAD_BYTES);
    reader.read_to_end(&mut head).map_err(InputFault::Read)?;
    Ok(head)
}

enum Kind {
    Text,
    Workbook,
}

impl Kind {
    fn of(head: &[u8]) -> Result<Self, InputFault> {
        match head {
            [b'P', b'K', 3, 4, ..] => Ok(Self::Workbook),
            [0xd0, 0xcf, 0x11, 0xe0, ..] => Err(InputFault::OldWorkbook),
            [0x1f, 0x8b, ..] => Err(InputFault::Compressed),
            _ => Ok(Self::Text),
        }
    }
}

fn read_text(
    text: Text<impl Read>,
    options: &InputOptions,
    into: &mut impl Write,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Plain, Located> {
    if options.sheet.is_some() {
        return Err(InputFault::SheetOfText.into());
    }
    let charset = text.charset();
    let mut records = Records::new(text, options.delimiter)?;
    let mut plain = PlainWriter::new(into, plain::Missing::IsFault);
    while let Some(record) = records.next()? {
        plain.record(record.line, &record.cells(), record.excess)?;
        if plain.rows().is_multiple_of(PROGRESS_ROWS) {
            progress(records.bytes(), plain.rows());
        }
    }
    progress(records.bytes(), plain.rows());
    plain.end(Found::Text {
        charset,
        delimiter: records.delimiter(),
    })
}

fn read_workbook(
    file: File,
    options: &InputOptions,
    into: &mut impl Write,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Plain, Located> {
    if options.delimiter.is_some() {
        return Err(InputFault::DelimiterOfWorkbook.into());
    }
    let mut opened = Opened::open(file, options.sheet.as_deref())?;
    let sheet = opened.sheet().to_owned();
    let mut plain = PlainWriter::new(into, plain::Missing::IsEmpty);
    let mut rows = opened.rows()?;
    while let Some(row) = rows.next()? {
        plain.record(row.line, &row.cells, row.excess)?;
        if plain.rows().is_multiple_of(PROGRESS_ROWS) {
            progress(rows.bytes(), plain.rows());
        }
    }
    progress(rows.bytes(), plain.rows());
    plain.end(Found::Workbook { sheet })
}
