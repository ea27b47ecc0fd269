//! The failures file of a job: its input's columns, the line and the reason; mended, it is an input itself.

use std::fs::File;
use std::path::Path;

use super::backend::Backend;
use super::error::CliError;
use crate::actions::spreadsheet::marked;
use crate::control::{FailedAsk, JobFailed};
use crate::jobs::FailedRow;

/// Columns behind the input's own; an input that has them is read without them.
const FAILURE_COLUMNS: [&str; 2] = ["failed_line", "failed_reason"];

/// Whether a column is one of those that a failures file has behind its input's.
pub fn is_of_failures(column: &str) -> bool {
    FAILURE_COLUMNS.contains(&column)
}

/// Writes the failed rows in the order of the input; answers how many.
pub fn write_failures(backend: &Backend, job: u64, path: &Path) -> Result<usize, CliError> {
    let mut rows: Vec<FailedRow> = Vec::new();
    let mut before = None;
    let columns = loop {
        let page = backend.call::<JobFailed>(&FailedAsk { job, before })?;
        rows.extend(page.rows);
        before = page.before;
        if before.is_none() {
            break page.columns;
        }
    };
    let failed = |source: csv::Error| CliError::Csv {
        path: path.to_owned(),
        source,
    };
    let file = File::create(path).map_err(|source| CliError::File {
        act: "write",
        path: path.to_owned(),
        source,
    })?;
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(file);
    let own = FAILURE_COLUMNS.map(str::to_owned);
    let header = columns.into_iter().map(marked).chain(own);
    writer.write_record(header).map_err(failed)?;
    for row in rows.iter().rev() {
        let cells = row.cells.iter().map(|cell| marked(cell.clone()));
        let why = [row.line.to_string(), marked(row.reason.clone())];
        writer.write_record(cells.chain(why)).map_err(failed)?;
    }
    writer.flush().map_err(|source| CliError::File {
        act: "write",
        path: path.to_owned(),
        source,
    })?;
    Ok(rows.len())
}
