//! Strings and dates: digits tests, cutting, hexadecimal, and dates in UTC counted from the instant that the engine gives.

use chrono::{DateTime, Datelike, Duration, Utc};
use rhai::{Blob, Engine, INT, ImmutableString};

use super::{Native, fail, size};

pub(super) fn register(engine: &mut Engine) {
    engine.register_fn("from_hex", |text: ImmutableString| from_hex(&text));
    engine.register_fn("is_digits", |text: ImmutableString| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
    });
    engine.register_fn("is_ascii", |text: ImmutableString| {
        text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
    });
    engine.register_fn("strip_right", |text: ImmutableString, count: INT| {
        let keep = remaining(&text, count)?;
        Ok::<ImmutableString, Box<rhai::EvalAltResult>>(
            text.chars().take(keep).collect::<String>().into(),
        )
    });
    engine.register_fn("strip_left", |text: ImmutableString, count: INT| {
        let keep = remaining(&text, count)?;
        let skip = text.chars().count() - keep;
        Ok::<ImmutableString, Box<rhai::EvalAltResult>>(
            text.chars().skip(skip).collect::<String>().into(),
        )
    });
    engine.register_fn("date_yyyymmdd", date);
    engine.register_fn("put_date", |frame: &mut Blob, now: INT, plus_days: INT| {
        super::put::append(frame, date(now, plus_days)?.as_bytes())
    });
}

/// The date `plus_days` after the instant `now`, in Unix seconds.
fn date(now: INT, plus_days: INT) -> Native<String> {
    let date = DateTime::<Utc>::from_timestamp(now, 0)
        .zip(Duration::try_days(plus_days))
        .and_then(|(now, days)| now.checked_add_signed(days));
    match date {
        Some(date) if (0..=9999).contains(&date.year()) => Ok(yyyymmdd(date)),
        _ => fail(format!(
            "{now} plus {plus_days} days is no date of four-digit years"
        )),
    }
}

/// The date in UTC, eight digits. Not by chrono's format,
/// because chrono's format strings cost 0.3 microseconds a frame.
pub(crate) fn yyyymmdd(at: DateTime<Utc>) -> String {
    let number = u32::try_from(at.year()).unwrap_or(0) * 10_000 + at.month() * 100 + at.day();
    format!("{number:08}")
}

pub(super) fn from_hex(text: &str) -> Native<Blob> {
    let compact: String = text.chars().filter(|character| *character != ' ').collect();
    hex::decode(&compact).or_else(|error| fail(format!("`{text}` is not hexadecimal: {error}")))
}

/// A script string of bytes that must be printable ASCII.
pub(super) fn from_ascii(bytes: impl AsRef<[u8]>) -> Native<ImmutableString> {
    let bytes = bytes.as_ref();
    match std::str::from_utf8(bytes) {
        Ok(text) if bytes.iter().all(|byte| (0x20..0x7f).contains(byte)) => Ok(text.into()),
        _ => fail(format!("`{}` is not printable ASCII", bytes.escape_ascii())),
    }
}

fn remaining(text: &str, count: INT) -> Native<usize> {
    let length = text.chars().count();
    match length.checked_sub(size(count, "the count")?) {
        Some(keep) => Ok(keep),
        None => fail(format!(
            "cannot cut {count} characters off `{text}`, which has {length}"
        )),
    }
}
