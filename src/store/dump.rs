//! The whole state as canonical JSON Lines: every row in the order of its key, the same bytes for the same state.
//!
//! For comparing a live state with a rebuilt one; run it on a state that nobody writes to.

use std::io::{self, Write};

use serde::Serialize;

use super::disk::StoreError;
use super::row::{Key, Row};
use super::state::State;
use crate::domain::View;
use crate::domain::view::IDEMPOTENCY_LIFE;

#[derive(Serialize)]
struct Line<'a, T: Serialize> {
    table: &'static str,
    key: String,
    row: &'a T,
}

/// Writes all rows; answers how many.
pub fn dump(state: &State, out: &mut dyn Write) -> Result<io::Result<u64>, StoreError> {
    state.move_overlay()?;
    let now = state.view().meta().latest_at;
    let mut count = 0;
    for row in state.disk().rows() {
        let (key, value) = row?;
        let row = Row::parse(&key, &value).ok_or_else(|| StoreError::Row { key: key.clone() })?;
        if matches!(&row, Row::Remembered(row) if now.since(row.at) >= IDEMPOTENCY_LIFE) {
            continue;
        }
        match write_row(out, &key, &row) {
            Ok(lines) => count += lines,
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(count))
}

/// Answers how many lines it made.
fn write_row(out: &mut dyn Write, key: &Key, row: &Row) -> io::Result<u64> {
    match (key, row) {
        (Key::Items(page), Row::Items(rows)) => return lines(out, "item", rows.rows(*page)),
        (Key::Requests(page), Row::Requests(rows)) => {
            return lines(out, "request", rows.rows(*page));
        }
        (Key::Pairings(page), Row::Pairings(rows)) => {
            return lines(out, "pairing", rows.rows(*page));
        }
        (Key::Product(number), Row::Product(row)) => line(out, "product", number, row),
        (Key::Provider(number), Row::Provider(row)) => line(out, "provider", number, row),
        (Key::Subscription(number), Row::Subscription(row)) => {
            line(out, "subscription", number, row)
        }
        (Key::Finished(number), Row::Finished(row)) => line(out, "request", number, row),
        (Key::Remembered(key), Row::Remembered(row)) => line(out, "remembered", key, row),
        (Key::Job(number), Row::Job(row)) => line(out, "job", number, row),
        (Key::Meta, Row::Meta(row)) => line(out, "meta", &"", row),
        (_, Row::Schema(row)) => line(out, "schema", &"", row),
        _ => return Ok(0),
    }?;
    Ok(1)
}

fn lines<'a, T: Serialize + 'a>(
    out: &mut dyn Write,
    table: &'static str,
    rows: impl Iterator<Item = (u64, &'a T)>,
) -> io::Result<u64> {
    let mut count = 0;
    for (number, row) in rows {
        line(out, table, &number, row)?;
        count += 1;
    }
    Ok(count)
}

fn line<T: Serialize>(
    out: &mut dyn Write,
    table: &'static str,
    key: &dyn ToString,
    row: &T,
) -> io::Result<()> {
    serde_json::to_writer(
        &mut *out,
        &Line {
            table,
            key: key.to_string(),
            row,
        },
    )?;
    out.write_all(b"\n")
}
