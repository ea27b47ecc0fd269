//! The rows of a CSV, one at a time, in memory that does not grow: `csv_core` splits, this keeps the bounds and the lines.
//!
//! It replaces `csv::Reader`, which holds a whole row however long (a quote that never ends is the rest of the file) and
//! numbers a row by the line where the one before it ended.

use std::io::Read;

use csv_core::ReadRecordResult;

use super::delimiter;
use super::error::{InputFault, Located};
use super::place::Place;
use super::plain::Excess;
use super::text::Text;
use super::{COLUMNS_MAX, ROW_BYTES_MAX};

const SCRAP_BYTES: usize = 4 * 1024;

pub(super) struct Records<R> {
    text: Text<R>,
    delimiter: u8,
    parser: csv_core::Reader,
    /// Where the unused text begins.
    place: Place,
    row: Row,
}

/// A row as it is taken apart: its cells behind each other, and where each ends.
struct Row {
    cells: Vec<u8>,
    ends: Vec<usize>,
    cells_used: usize,
    ends_used: usize,
    /// What there was too much of; what comes then is dropped.
    full: Option<Excess>,
    /// Something but blanks was dropped.
    has_lost: bool,
}

pub(super) struct Record<'a> {
    /// Where it begins.
    pub line: u64,
    pub excess: Option<Excess>,
    cells: &'a [u8],
    ends: &'a [usize],
}

impl<R: Read> Records<R> {
    pub fn new(mut text: Text<R>, said: Option<u8>) -> Result<Self, Located> {
        let said = said.map(delimiter::checked).transpose()?;
        while delimiter::first_line(text.ahead()).is_none()
            && text.ahead().len() < ROW_BYTES_MAX
            && text.more()?
        {}
        let whole = text.ahead();
        let (before, line) = delimiter::first_line(whole).unwrap_or((&[], whole));
        let declared = delimiter::declared(line);
        let delimiter = said.or(declared).unwrap_or_else(|| delimiter::shown(line));
        let mut place = Place::START;
        if declared.is_some() {
            let bytes = before.len() + line.len();
            place.pass(whole.get(..bytes).unwrap_or_default());
            text.use_up(bytes);
        }
        Ok(Self {
            text,
            delimiter,
            parser: csv_core::ReaderBuilder::new().delimiter(delimiter).build(),
            place,
            row: Row::new(),
        })
    }

    pub fn delimiter(&self) -> u8 {
        self.delimiter
    }

    /// Bytes of the source so far.
    pub fn bytes(&self) -> u64 {
        self.text.bytes()
    }

    /// The next row; `None` at the end of the file.
    pub fn next(&mut self) -> Result<Option<Record<'_>>, Located> {
        if !self.skip_line_ends()? {
            return Ok(None);
        }
        let line = self.place.line();
        self.row.begin();
        loop {
            let text = self.text.fill()?;
            // The end of the file ends the last line; within quotes it does not, and that is how they are known.
            let is_end = text.is_empty();
            let text = if is_end { b"\n" } else { text };
            let (result, bytes) = self.row.take(&mut self.parser, text);
            if !is_end {
                self.place.pass(text.get(..bytes).unwrap_or_default());
                self.text.use_up(bytes);
            }
            match result {
                ReadRecordResult::Record => break,
                ReadRecordResult::InputEmpty if is_end => {
                    return Err(InputFault::OpenQuote.at(self.row.open_cell_line(line)));
                }
                ReadRecordResult::InputEmpty | ReadRecordResult::End => {}
                ReadRecordResult::OutputFull => {
                    if self.row.full.is_none() && self.row.has_open_lines() {
                        return Err(InputFault::OpenQuote.at(self.row.open_cell_line(line)));
                    }
                    self.row.full.get_or_insert(Excess::Bytes);
                }
                ReadRecordResult::OutputEndsFull => {
                    self.row.full.get_or_insert(Excess::Columns);
                }
            }
        }
        Ok(Some(self.row.record(line)))
    }

    /// `csv_core` would skip them too, but a row's line is where its first cell stands.
    fn skip_line_ends(&mut self) -> Result<bool, Located> {
        loop {
            let text = self.text.fill()?;
            if text.is_empty() {
                return Ok(false);
            }
            let is_line_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
            let bytes = text.iter().take_while(|byte| is_line_end(byte)).count();
            self.place.pass(text.get(..bytes).unwrap_or_default());
            let is_all = bytes == text.len();
            self.text.use_up(bytes);
            if !is_all {
                return Ok(true);
            }
        }
    }
}

impl Row {
    fn new() -> Self {
        Self {
            // One more than fits, so that a row that fills it is too long.
            cells: vec![0; ROW_BYTES_MAX + 1],
            ends: vec![0; COLUMNS_MAX],
            cells_used: 0,
            ends_used: 0,
            full: None,
            has_lost: false,
        }
    }

    fn begin(&mut self) {
        self.cells_used = 0;
        self.ends_used = 0;
        self.full = None;
        self.has_lost = false;
    }

    /// Takes text up to the row's end; says how much of it.
    fn take(&mut self, parser: &mut csv_core::Reader, text: &[u8]) -> (ReadRecordResult, usize) {
        if self.full.is_some() {
            let mut scrap = [0; SCRAP_BYTES];
            let (result, bytes, dropped, _) =
                parser.read_record(text, &mut scrap, &mut [0; COLUMNS_MAX]);
            let mut dropped = scrap.iter().take(dropped);
            self.has_lost |= dropped.any(|byte| !byte.is_ascii_whitespace());
            return (result, bytes);
        }
        let cells = self.cells.get_mut(self.cells_used..).unwrap_or_default();
        let ends = self.ends.get_mut(self.ends_used..).unwrap_or_default();
        let (result, bytes, cell_bytes, cell_ends) = parser.read_record(text, cells, ends);
        self.cells_used += cell_bytes;
        self.ends_used += cell_ends;
        (result, bytes)
    }

    fn open_cell_begin(&self) -> usize {
        let last = self.ends_used.checked_sub(1);
        last.and_then(|last| self.ends.get(last).copied())
            .unwrap_or(0)
    }

    /// The line of a cell that has no end yet, in a row that begins on `line`.
    fn open_cell_line(&self, line: u64) -> u64 {
        let mut place = Place::at_line(line);
        let before = self.cells.get(..self.open_cell_begin());
        place.pass(before.unwrap_or_default());
        place.line()
    }

    /// Whether the cell that has no end yet runs over lines, as only a quoted one can.
    fn has_open_lines(&self) -> bool {
        let cell = self.cells.get(self.open_cell_begin()..self.cells_used);
        cell.unwrap_or_default().contains(&b'\n') || cell.unwrap_or_default().contains(&b'\r')
    }

    fn record(&self, line: u64) -> Record<'_> {
        Record {
            line,
            excess: match self.full {
                // Empty cells behind the last column are no columns.
                Some(Excess::Columns) if !self.has_lost => None,
                full => full,
            },
            cells: self.cells.get(..self.cells_used).unwrap_or_default(),
            ends: self.ends.get(..self.ends_used).unwrap_or_default(),
        }
    }
}

impl<'a> Record<'a> {
    pub fn cells(&self) -> Vec<&'a str> {
        let mut begin = 0;
        let mut cells = Vec::with_capacity(self.ends.len());
        for end in self.ends {
            let cell = self.cells.get(begin..*end).unwrap_or_default();
            // The file was decoded, and quotes, delimiters and line ends cut between characters.
            cells.push(std::str::from_utf8(cell).unwrap_or_default());
            begin = *end;
        }
        cells
    }
}
