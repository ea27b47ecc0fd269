//! Strings and dates: digits tests, cutting, hexadecimal, and dates in UTC counted from the instant that the engine gives.

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use rhai::{Blob, Engine, INT, ImmutableString};

use super::{Native, fail, size};

const SECONDS_A_DAY: INT = 86_400;

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
        let (kept, _) = split(&text, keep);
        Ok::<ImmutableString, Box<rhai::EvalAltResult>>(kept.into())
    });
    engine.register_fn("strip_left", |text: ImmutableString, count: INT| {
        let keep = remaining(&text, count)?;
        let (_, kept) = split(&text, text.chars().count() - keep);
        Ok::<ImmutableString, Box<rhai::EvalAltResult>>(kept.into())
    });
    engine.register_fn("date_yyyymmdd", |now: INT, plus_days: INT| {
        Ok::<ImmutableString, Box<rhai::EvalAltResult>>(date(now, plus_days)?.as_str().into())
    });
    engine.register_fn("put_date", |frame: &mut Blob, now: INT, plus_days: INT| {
        super::put::append(frame, &date(now, plus_days)?.0)
    });
}

/// The date `plus_days` after the instant `now`, in Unix seconds.
fn date(now: INT, plus_days: INT) -> Native<EightDigits> {
    let day = now.div_euclid(SECONDS_A_DAY).checked_add(plus_days);
    let date = day
        .and_then(|day| i32::try_from(day).ok())
        .and_then(NaiveDate::from_epoch_days);
    match date {
        Some(date) if (0..=9999).contains(&date.year()) => Ok(EightDigits::of(date)),
        _ => fail(format!(
            "{now} plus {plus_days} days is no date of four-digit years"
        )),
    }
}

/// The date in UTC, eight digits.
pub(crate) fn yyyymmdd(at: DateTime<Utc>) -> ImmutableString {
    EightDigits::of(at.date_naive()).as_str().into()
}

/// A date of a frame, without an allocation: frames have up to four of them.
struct EightDigits([u8; 8]);

impl EightDigits {
    fn of(date: NaiveDate) -> Self {
        let year = u32::try_from(date.year()).unwrap_or(0);
        let mut rest = year * 10_000 + date.month() * 100 + date.day();
        let mut digits = [b'0'; 8];
        for slot in digits.iter_mut().rev() {
            *slot += u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
        }
        Self(digits)
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// The first `count` characters, and the others.
fn split(text: &str, count: usize) -> (&str, &str) {
    let at = text.char_indices().nth(count);
    text.split_at(at.map_or(text.len(), |(at, _)| at))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let day = |now, plus| date(now, plus).map(|digits| digits.as_str().to_owned());
        for now in [0, -1, 86_399, 951_782_399, 1_709_164_800, 253_402_300_799] {
            for plus in [-366, -1, 0, 1, 59] {
                let expected = DateTime::<Utc>::from_timestamp(now + plus * 86_400, 0).unwrap();
                match day(now, plus) {
                    Ok(found) => assert_eq!(found, expected.format("%Y%m%d").to_string()),
                    Err(_) => assert!(expected.year() > 9999, "{expected}"),
                }
            }
        }
        for (now, plus) in [(INT::MAX, 1), (0, INT::MAX), (0, INT::MIN), (INT::MIN, -1)] {
            assert!(day(now, plus).is_err(), "{now} {plus}");
        }
    }

    #[test]
    fn text_is_split_between_characters() {
        let text = "a\u{e4}\u{20ac}b";
        assert_eq!(split(text, 0), ("", text));
        assert_eq!(split(text, 2), ("a\u{e4}", "\u{20ac}b"));
        assert_eq!(split(text, 4), (text, ""));
    }
}
