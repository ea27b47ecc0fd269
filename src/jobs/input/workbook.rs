//! The rows of one sheet of an XLSX workbook, as `calamine` streams its cells. Other formats of workbooks are refused.

use std::fs::File;
use std::io::{BufReader, Seek};

use calamine::{DataRef, Reader, Sheet, SheetType, SheetVisible, Xlsx, XlsxCellReader};

use super::COLUMNS_MAX;
use super::archive::{BOUNDS, weigh};
use super::error::{InputFault, Located};
use super::number::{date_text, number_text, zeros_of};
use super::plain::Excess;

type Book = Xlsx<BufReader<File>>;
type Cells<'a> = XlsxCellReader<'a, BufReader<File>>;

pub(super) struct Opened {
    book: Book,
    sheet: String,
    /// Of the file.
    bytes: u64,
}

/// The rows of the sheet, in its order.
pub(super) struct Rows<'a> {
    cells: Cells<'a>,
    /// By style: as many digits are shown at least.
    zeros: Vec<Option<usize>>,
    /// The first cell of the next row.
    ahead: Option<(u64, usize, String)>,
    /// `calamine` must not be asked again then.
    is_over: bool,
    row: SheetRow,
    /// Of the file.
    bytes: u64,
    /// As the sheet says; good enough for progress.
    last_line: u64,
}

pub(super) struct SheetRow {
    /// As the spreadsheet numbers it.
    pub line: u64,
    pub cells: Vec<String>,
    pub excess: Option<Excess>,
}

impl Opened {
    pub fn open(file: File, wanted: Option<&str>) -> Result<Self, InputFault> {
        weigh(BufReader::new(&file), BOUNDS)?;
        let mut file = file;
        file.rewind().map_err(InputFault::Read)?;
        let bytes = file.metadata().map_err(InputFault::Read)?.len();
        let book = Xlsx::new(BufReader::new(file))?;
        let sheet = chosen(book.sheets_metadata(), wanted)?;
        Ok(Self { book, sheet, bytes })
    }

    pub fn sheet(&self) -> &str {
        &self.sheet
    }

    pub fn rows(&mut self) -> Result<Rows<'_>, InputFault> {
        let cells = self.book.worksheet_cells_reader(&self.sheet)?;
        let zeros = cells.styles().iter().map(|style| {
            let format = style.number_format.as_ref()?;
            zeros_of(&format.format_code)
        });
        Ok(Rows {
            zeros: zeros.collect(),
            last_line: u64::from(cells.dimensions().end.0) + 1,
            cells,
            ahead: None,
            is_over: false,
            row: SheetRow {
                line: 0,
                cells: Vec::new(),
                excess: None,
            },
            bytes: self.bytes,
        })
    }
}

/// The sheet of that name, or the first that the operator sees.
fn chosen(sheets: &[Sheet], wanted: Option<&str>) -> Result<String, InputFault> {
    let of_cells = || sheets.iter().filter(|s| s.typ == SheetType::WorkSheet);
    let found = || of_cells().map(|sheet| sheet.name.clone()).collect();
    let sheet = match wanted {
        Some(wanted) => of_cells()
            .find(|sheet| sheet.name == wanted)
            .ok_or_else(|| InputFault::NoSheet {
                wanted: wanted.to_owned(),
                found: found(),
            })?,
        None => of_cells()
            .find(|sheet| sheet.visible == SheetVisible::Visible)
            .ok_or_else(|| InputFault::NoVisibleSheet { found: found() })?,
    };
    Ok(sheet.name.clone())
}

impl Rows<'_> {
    /// The next row that has a cell; `None` at the end of the sheet.
    pub fn next(&mut self) -> Result<Option<&SheetRow>, Located> {
        self.row.cells.clear();
        self.row.excess = None;
        let first = match self.ahead.take() {
            Some(cell) => Some(cell),
            None => self.next_cell()?,
        };
        let Some((line, column, text)) = first else {
            return Ok(None);
        };
        self.row.line = line;
        self.row.put(column, text);
        while let Some(cell) = self.next_cell()? {
            if cell.0 != line {
                self.ahead = Some(cell);
                break;
            }
            self.row.put(cell.1, cell.2);
        }
        Ok(Some(&self.row))
    }

    /// How far in the file, by the rows that the sheet says it has.
    pub fn bytes(&self) -> u64 {
        if self.is_over && self.ahead.is_none() {
            return self.bytes;
        }
        let behind = self.row.line.min(self.last_line);
        self.bytes.saturating_mul(behind) / self.last_line
    }

    /// Row, column from 0, and text of the next cell that has one.
    fn next_cell(&mut self) -> Result<Option<(u64, usize, String)>, Located> {
        while !self.is_over {
            let cell = self.cells.next_cell_with_style_id();
            let cell = cell.map_err(|error| InputFault::from(error).at(self.row.line + 1))?;
            let Some((cell, style)) = cell else {
                self.is_over = true;
                break;
            };
            let zeros = self.zeros.get(style).copied().flatten();
            let text = cell_text(cell.get_value(), zeros);
            if !text.trim().is_empty() {
                let (row, column) = cell.get_position();
                let column = usize::try_from(column).unwrap_or(usize::MAX);
                return Ok(Some((u64::from(row) + 1, column, text)));
            }
        }
        Ok(None)
    }
}

impl SheetRow {
    fn put(&mut self, column: usize, text: String) {
        if column >= COLUMNS_MAX {
            self.excess = Some(Excess::Columns);
            return;
        }
        if self.cells.len() <= column {
            self.cells.resize(column + 1, String::new());
        }
        if let Some(cell) = self.cells.get_mut(column) {
            *cell = text;
        }
    }
}

fn cell_text(value: &DataRef<'_>, zeros: Option<usize>) -> String {
    match value {
        DataRef::Int(number) => number.to_string(),
        DataRef::Float(number) => number_text(*number, zeros),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => {
            text.clone()
        }
        DataRef::SharedString(text) => (*text).to_owned(),
        DataRef::Bool(is_true) => is_true.to_string().to_ascii_uppercase(),
        DataRef::DateTime(date) => date_text(*date),
        DataRef::Error(error) => error.to_string(),
        DataRef::Empty => String::new(),
    }
}
