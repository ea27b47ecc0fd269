//! What became of a job: its counts, its reasons with their numbers, and the rows that failed, made from the recorded chunks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::JobsError;
use super::folder::{Folders, JobFile};
use super::rows::{Row, Rows};
use crate::actions::Actions;
use crate::domain::event::{Event, JobChunk};
use crate::domain::job::RowEnding;
use crate::domain::{Job, JobNumber, JobPhase, Position, Timestamp};

/// Different reasons that are told; the rest are counted together.
const REASONS_MAX: usize = 1_000;
const OTHER_REASONS: &str = "(other reasons)";
/// Bytes of the failed rows of one page; as JSON they may be some times as many.
const PAGE_BYTES_MAX: usize = 128 * 1024;
/// Chunks that are looked through for one page.
const PAGE_CHUNKS_MAX: usize = 1_000;
/// What surrounds a cell and a row in an answer.
const CELL_FRAME_BYTES: usize = 3;
const ROW_FRAME_BYTES: usize = 50;
/// Shorter cells stand in too many words by chance.
const CELL_BYTES_MIN: usize = 2;

/// Digits from which on a number is taken for a value, not for a bound or a count.
const NUMBER_DIGITS_MIN: usize = 7;

/// A job at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobReport {
    pub id: u64,
    pub script: String,
    pub input: String,
    pub state: JobPhase,
    /// Why it is paused or was cancelled, or what it waits for while it runs.
    pub reason: String,
    pub by: String,
    pub created_at: Timestamp,
    /// When its last row ended, or it was cancelled.
    pub ended_at: Option<Timestamp>,
    /// Rows of the input, and how many of them have their ending.
    pub rows: u64,
    pub done: u64,
    pub created: u64,
    pub unchanged: u64,
    pub skipped: u64,
    pub failed: u64,
    /// Requests that it made, and what became of them.
    pub requests: u64,
    pub completed: u64,
    pub rejected: u64,
    pub pending: u64,
    /// Of the pending ones: held for an operator, and those that stand behind a held one.
    pub held: u64,
    pub behind_held: u64,
}

/// A report with its reasons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FullReport {
    #[serde(flatten)]
    pub job: JobReport,
    /// Why rows failed or were skipped, without the values of the row: how many.
    pub reasons: BTreeMap<String, u64>,
    /// What the script says of the whole.
    pub summary: Option<String>,
}

/// A row that failed, as the failures file has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedRow {
    pub line: u64,
    pub reason: String,
    pub cells: Vec<String>,
}

/// The failed rows of some chunks, the newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedPage {
    pub columns: Vec<String>,
    pub rows: Vec<FailedRow>,
    /// Ask again with this; none: there is no more.
    pub before: Option<FailedCursor>,
}

/// How far the failed rows were told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedCursor {
    pub chunk: Position,
    /// Failed rows of this chunk, from its end, that were told already.
    pub told: usize,
}

impl JobReport {
    pub fn of(number: JobNumber, job: &Job) -> Self {
        let counts = &job.counts;
        Self {
            id: number.0,
            script: job.fields.script.clone(),
            input: job.fields.input.clone(),
            state: job.phase,
            reason: job.reason.to_string(),
            by: job.by.to_string(),
            created_at: job.created_at,
            ended_at: job.ended_at,
            rows: job.fields.rows,
            done: job.row,
            created: counts.created,
            unchanged: counts.unchanged,
            skipped: counts.skipped,
            failed: counts.failed,
            requests: counts.requests,
            completed: counts.completed,
            rejected: counts.rejected,
            pending: job.pending(),
            held: 0,
            behind_held: 0,
        }
    }
}

/// Counts reasons by their text without the row's values.
#[derive(Clone, Debug, Default)]
pub struct Reasons(BTreeMap<String, u64>);

impl Reasons {
    pub fn count<'a>(&mut self, reason: &str, cells: impl Iterator<Item = (&'a str, &'a str)>) {
        let text = without_values(reason, cells);
        let is_new = !self.0.contains_key(&text);
        let text = if is_new && self.0.len() >= REASONS_MAX {
            OTHER_REASONS.to_owned()
        } else {
            text
        };
        *self.0.entry(text).or_default() += 1;
    }

    pub fn into_map(self) -> BTreeMap<String, u64> {
        self.0
    }
}

/// The text with each value of the row as the name of its column, and any other quoted value as dots.
fn without_values<'a>(reason: &str, cells: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut cells: Vec<_> = cells
        .filter(|(_, cell)| cell.len() >= CELL_BYTES_MIN)
        .collect();
    // A value that is part of another one must not tear it.
    cells.sort_by_key(|(_, cell)| std::cmp::Reverse(cell.len()));
    let mut text = reason.to_owned();
    for (column, cell) in cells {
        text = replace_whole(&text, cell, &format!("{{{column}}}"));
    }
    let mut parts = text.split('`');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for (at, part) in parts.enumerate() {
        let is_value = at % 2 == 0 && part.bytes().any(|byte| byte.is_ascii_digit());
        let is_column = part.starts_with('{') && part.ends_with('}');
        plain.push('`');
        plain.push_str(if is_value && !is_column { "..." } else { part });
    }
    without_numbers(&plain)
}

/// The text with every long number as dots: a serial number of another item is a value too.
fn without_numbers(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for part in text.split_inclusive(|character: char| !character.is_alphanumeric()) {
        let word = part.trim_end_matches(|character: char| !character.is_alphanumeric());
        let is_number = word.len() >= NUMBER_DIGITS_MIN && word.bytes().all(|b| b.is_ascii_digit());
        if is_number {
            plain.push_str("...");
            plain.push_str(part.get(word.len()..).unwrap_or_default());
        } else {
            plain.push_str(part);
        }
    }
    plain
}

/// Replaces a value where it stands by itself, not as a part of a longer one.
fn replace_whole(text: &str, value: &str, by: &str) -> String {
    let is_part = |neighbour: Option<char>| neighbour.is_some_and(char::is_alphanumeric);
    let (mut plain, mut from) = (String::with_capacity(text.len()), 0);
    for (at, _) in text.match_indices(value) {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let after = text.get(at + value.len()..);
        let after = after.and_then(|after| after.chars().next());
        if at < from || is_part(before) || is_part(after) {
            continue;
        }
        plain.push_str(text.get(from..at).unwrap_or_default());
        plain.push_str(by);
        from = at + value.len();
    }
    plain.push_str(text.get(from..).unwrap_or_default());
    plain
}

/// The chunks of a job with their places, the newest first.
pub fn chunks(
    actions: &Actions,
    from: Position,
) -> impl Iterator<Item = Result<(Position, JobChunk), JobsError>> + '_ {
    let mut next = from;
    std::iter::from_fn(move || {
        if !next.is_some() {
            return None;
        }
        let position = next;
        let Some((Event::JobAdvanced(chunk), ..)) = actions.event(position) else {
            next = Position::NONE;
            return Some(Err(JobsError::Unreadable { seq: position.seq }));
        };
        next = chunk.before;
        Some(Ok((position, chunk)))
    })
}

/// The reasons of a job's rows.
pub fn reasons(
    actions: &Actions,
    folders: &Folders,
    job: &Job,
) -> Result<BTreeMap<String, u64>, JobsError> {
    let mut reasons = Reasons::default();
    if job.counts.failed + job.counts.skipped == 0 {
        return Ok(reasons.into_map());
    }
    let mut rows = Rows::open(&folders.file(&job.fields.folder, JobFile::Input)?)?;
    for chunk in chunks(actions, job.latest_chunk) {
        let (_, chunk) = chunk?;
        each_ended(&mut rows, &chunk, |rows, row, ending| {
            if let RowEnding::Failed(why) | RowEnding::Skipped(why) = ending {
                reasons.count(why, rows.cells(row));
            }
        })?;
    }
    Ok(reasons.into_map())
}

/// A page of the rows that failed, from `before` on, the newest first.
pub fn failed(
    actions: &Actions,
    folders: &Folders,
    job: &Job,
    before: Option<FailedCursor>,
) -> Result<FailedPage, JobsError> {
    let mut rows = Rows::open(&folders.file(&job.fields.folder, JobFile::Input)?)?;
    let mut page = FailedPage {
        columns: rows.columns().map(str::to_owned).collect(),
        rows: Vec::new(),
        before: None,
    };
    let mut bytes = 0;
    let from = before.unwrap_or(FailedCursor {
        chunk: job.latest_chunk,
        told: 0,
    });
    for (looked_through, chunk) in chunks(actions, from.chunk).enumerate() {
        let (position, chunk) = chunk?;
        let skipped = if position == from.chunk { from.told } else { 0 };
        let found = failed_rows(&mut rows, &chunk)?;
        let is_last_chunk = looked_through + 1 == PAGE_CHUNKS_MAX;
        for (told, row) in found.into_iter().rev().enumerate().skip(skipped) {
            let row_bytes = row.bytes();
            if !page.rows.is_empty() && bytes + row_bytes > PAGE_BYTES_MAX {
                let chunk = position;
                page.before = Some(FailedCursor { chunk, told });
                return Ok(page);
            }
            bytes += row_bytes;
            page.rows.push(row);
        }
        if is_last_chunk {
            let (chunk, told) = (chunk.before, 0);
            page.before = Some(FailedCursor { chunk, told }).filter(|_| chunk.is_some());
            break;
        }
    }
    Ok(page)
}

fn failed_rows(rows: &mut Rows, chunk: &JobChunk) -> Result<Vec<FailedRow>, JobsError> {
    let mut found = Vec::new();
    each_ended(rows, chunk, |rows, row, ending| {
        if let RowEnding::Failed(reason) = ending {
            found.push(FailedRow {
                line: row.line,
                reason: reason.clone(),
                cells: rows.cells(row).map(|(_, cell)| cell.to_owned()).collect(),
            });
        }
    })?;
    Ok(found)
}

impl FailedRow {
    /// About what it takes in an answer.
    fn bytes(&self) -> usize {
        let cells: usize = self
            .cells
            .iter()
            .map(|cell| cell.len() + CELL_FRAME_BYTES)
            .sum();
        cells + self.reason.len() + ROW_FRAME_BYTES
    }
}

/// Goes through the rows of a chunk with their endings; a chunk where every row was created is not read.
fn each_ended(
    rows: &mut Rows,
    chunk: &JobChunk,
    mut told: impl FnMut(&Rows, &Row, &RowEnding),
) -> Result<(), JobsError> {
    let is_told =
        |ending: &RowEnding| matches!(ending, RowEnding::Failed(_) | RowEnding::Skipped(_));
    let Some(last) = chunk.endings.iter().rposition(is_told) else {
        return Ok(());
    };
    rows.seek(chunk.from_byte)?;
    for (row_number, ending) in (chunk.from_row..).zip(chunk.endings.iter().take(last + 1)) {
        let row = rows.need(row_number)?;
        told(rows, &row, ending);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted_without_the_values_of_the_row() {
        let row = [("smartcard", "0190000001"), ("stb", "0190"), ("note", "a")];
        for (reason, told) in [
            (
                "no smartcard with serial_number `0190000001`",
                "no smartcard with serial_number `{smartcard}`",
            ),
            (
                "STB `0190` is held by smartcard `019000000377`; unpair that card first",
                "STB `{stb}` is held by smartcard `...`; unpair that card first",
            ),
            ("field `product`: a note", "field `product`: a note"),
            ("card `77` is odd", "card `...` is odd"),
            (
                "lost zeros: 0190000001; 00190000001 is known, one of 500000",
                "lost zeros: {smartcard}; ... is known, one of 500000",
            ),
        ] {
            assert_eq!(without_values(reason, row.into_iter()), told);
        }
    }

    #[test]
    fn the_number_of_different_reasons_is_bounded() {
        let mut reasons = Reasons::default();
        for at in 0..REASONS_MAX + 10 {
            reasons.count(&format!("reason {at}"), std::iter::empty());
        }
        let map = reasons.into_map();
        assert_eq!(map.len(), REASONS_MAX + 1);
        assert_eq!(map.get(OTHER_REASONS), Some(&10));
    }
}
