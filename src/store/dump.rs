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
        if let Err(error) = write_row(out, &key, &row) {
            return Ok(Err(error));
        }
        count += 1;
    }
    Ok(Ok(count))
}

fn write_row(out: &mut dyn Write, key: &Key, row: &Row) -> io::Result<()> {
    match (key, row) {
        (Key::Product(number), Row::Product(row)) => line(out, "product", number, row),
        (Key::Provider(number), Row::Provider(row)) => line(out, "provider", number, row),
        (Key::Item(number), Row::Item(row)) => line(out, "item", number, row),
        (Key::Subscription(number), Row::Subscription(row)) => {
            line(out, "subscription", number, row)
        }
        (Key::Request(number) | Key::Finished(number), Row::Request(row)) => {
            line(out, "request", number, row)
        }
        (Key::Pairing(number), Row::Pairing(row)) => line(out, "pairing", number, row),
        (Key::Remembered(key), Row::Remembered(row)) => line(out, "remembered", key, row),
        (Key::Job(number), Row::Job(row)) => line(out, "job", number, row),
        (Key::Meta, Row::Meta(row)) => line(out, "meta", &"", row),
        (_, Row::Schema(row)) => line(out, "schema", &"", row),
        _ => Ok(()),
    }
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
