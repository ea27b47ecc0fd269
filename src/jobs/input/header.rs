//! The first row of a vendor's file: the names of its columns, and which of them are taken.

use super::error::InputFault;
use super::{FAULT_COLUMN, LINE_COLUMN, NAME_BYTES_MAX};
use crate::actions::import::REJECT_COLUMNS;

/// Columns that our own files of failed rows have behind the vendor's; such a file is fed back after it was mended.
pub const PASSED_OVER: [&str; 7] = [
    LINE_COLUMN,
    FAULT_COLUMN,
    "failed_line",
    "failed_reason",
    REJECT_COLUMNS[0],
    REJECT_COLUMNS[1],
    REJECT_COLUMNS[2],
];

#[derive(Debug)]
pub(super) struct Header {
    /// Cells that a row has in the file, those that are passed over too.
    width: usize,
    /// Where in the file the cells that are taken stand, and their columns' names.
    taken: Vec<(usize, String)>,
}

impl Header {
    /// Reads trimmed cells. Nameless columns at the end are the empty cells that a spreadsheet leaves behind.
    pub fn read(cells: &[&str]) -> Result<Self, InputFault> {
        let named = cells.iter().rposition(|cell| !cell.is_empty());
        let width = named.map_or(0, |last| last + 1);
        let mut taken: Vec<(usize, String)> = Vec::new();
        for (at, cell) in cells.iter().take(width).enumerate() {
            let name = cell.to_ascii_lowercase();
            if name.is_empty() {
                return Err(InputFault::Unnamed { column: at + 1 });
            }
            if name.len() > NAME_BYTES_MAX {
                let bytes = name.len();
                return Err(InputFault::LongName {
                    column: at + 1,
                    bytes,
                });
            }
            if PASSED_OVER.contains(&name.as_str()) {
                continue;
            }
            if taken.iter().any(|(_, other)| *other == name) {
                return Err(InputFault::Twice { name });
            }
            taken.push((at, name));
        }
        if taken.is_empty() {
            return Err(InputFault::NoHeader);
        }
        Ok(Self { width, taken })
    }

    pub fn width(&self) -> usize {
        self.width
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.taken.iter().map(|(_, name)| name.as_str())
    }

    /// The column's name of a cell of the file, if it is taken.
    pub fn name_at(&self, cell: usize) -> Option<&str> {
        let found = self.taken.iter().find(|(at, _)| *at == cell)?;
        Some(&found.1)
    }

    /// Where the cells that are taken stand in the file.
    pub fn places(&self) -> impl Iterator<Item = usize> {
        self.taken.iter().map(|(at, _)| *at)
    }
}
