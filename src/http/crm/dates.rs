//! Dates on the wire: `YYYY-MM-DDTHH:MM:SS` without a zone, read and written in `[api] time_zone`, kept in UTC.
//!
//! An ambiguous local time (the hour that comes twice in autumn) is the earlier one; one that does not exist (the hour that
//! is skipped in spring) is moved forward by what was skipped. A plain date is its midnight; an RFC 3339 instant is taken
//! as it is.

use std::time::Duration;

use chrono::{
    DateTime, Datelike as _, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone as _,
    Timelike as _,
};
use chrono_tz::Tz;

use super::CallError;
use super::parameters::{Parameters, wrong_value};
use crate::domain::Timestamp;

const FORMAT: &str = "%Y-%m-%dT%H:%M:%S";
const EXPECTED: &str = "a date as `YYYY-MM-DDTHH:MM:SS`, `YYYY-MM-DD` or RFC 3339";
/// No clock was ever moved further in one step.
const GAP_MINUTES_MAX: i64 = 26 * 60;

/// A date parameter.
pub fn parameter(
    parameters: &Parameters,
    name: &'static str,
    zone: Tz,
) -> Result<Option<Timestamp>, CallError> {
    let Some(text) = parameters.text(name)? else {
        return Ok(None);
    };
    match parse(text, zone) {
        Some(at) => Ok(Some(at)),
        None => Err(wrong_value(name, EXPECTED, text)),
    }
}

/// The date as clients read it.
pub fn show(at: Timestamp, zone: Tz) -> String {
    let local = at.to_utc().with_timezone(&zone).naive_local();
    let (date, time) = (local.date(), local.time());
    if !(0..=9999).contains(&date.year()) {
        return local.format(FORMAT).to_string();
    }
    // As `FORMAT` says, without reading it each time.
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
        date.year(),
        date.month(),
        date.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

fn parse(text: &str, zone: Tz) -> Option<Timestamp> {
    let is_plain = text.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        10 => byte == b'T',
        13 | 16 => byte == b':',
        _ => byte.is_ascii_digit(),
    });
    let local = match text.len() {
        19 if is_plain => NaiveDateTime::parse_from_str(text, FORMAT).ok()?,
        10 if is_plain => NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .ok()?
            .and_time(NaiveTime::MIN),
        _ => {
            let at = DateTime::parse_from_rfc3339(text).ok()?;
            return Some(Timestamp::from_utc(at.to_utc()));
        }
    };
    in_zone(local, zone)
}

fn in_zone(local: NaiveDateTime, zone: Tz) -> Option<Timestamp> {
    if let Some(at) = zone.from_local_datetime(&local).earliest() {
        return Some(Timestamp::from_utc(at.to_utc()));
    }
    // In a gap: count on from the last minute that exists before it.
    for minutes in 1..=GAP_MINUTES_MAX {
        let before = local.checked_sub_signed(TimeDelta::minutes(minutes))?;
        if let Some(at) = zone.from_local_datetime(&before).latest() {
            let skipped = Duration::from_secs(minutes.unsigned_abs() * 60);
            return Some(Timestamp::from_utc(at.to_utc()).plus(skipped));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const ATHENS: Tz = Tz::Europe__Athens;

    fn utc(text: &str, zone: Tz) -> String {
        parse(text, zone).map_or_else(|| "no date".into(), |at| at.to_string())
    }

    #[test]
    fn dates_are_of_the_configured_zone() {
        let cases = [
            ("2026-11-23T10:00:00", "2026-11-23T08:00:00.000000Z"),
            ("2026-07-01T10:00:00", "2026-07-01T07:00:00.000000Z"),
            ("2026-11-23", "2026-11-22T22:00:00.000000Z"),
            ("2026-11-23T10:00:00Z", "2026-11-23T10:00:00.000000Z"),
            ("2026-11-23T10:00:00.5+01:00", "2026-11-23T09:00:00.500000Z"),
            // Clocks go back from 04:00 to 03:00: the earlier 03:30.
            ("2026-10-25T03:30:00", "2026-10-25T00:30:00.000000Z"),
            // Clocks go from 03:00 to 04:00: 03:30 becomes 04:30.
            ("2026-03-29T03:30:00", "2026-03-29T01:30:00.000000Z"),
        ];
        for (text, expected) in cases {
            assert_eq!(utc(text, ATHENS), expected, "{text}");
        }
        assert_eq!(
            show(parse("2026-03-29T03:30:00", ATHENS).unwrap(), ATHENS),
            "2026-03-29T04:30:00"
        );
        // Samoa skipped a whole day.
        assert_eq!(
            utc("2011-12-30T12:00:00", Tz::Pacific__Apia),
            "2011-12-30T22:00:00.000000Z"
        );
    }

    #[test]
    fn anything_else_is_no_date() {
        for text in [
            "",
            "now",
            "23.11.2026",
            "2026-13-01",
            "2026-11-31T00:00:00",
            "2026-11-23 10:00:00",
            "2026-11-23T10:00",
            "2026-11-23T25:00:00",
            "+026-11-23",
            "2026-11-23T10:00:00z1",
        ] {
            assert_eq!(utc(text, ATHENS), "no date", "{text}");
        }
    }

    #[test]
    fn what_is_shown_is_read_back() {
        let at = parse("2026-07-01T10:00:01", ATHENS).unwrap();
        assert_eq!(show(at, ATHENS), "2026-07-01T10:00:01");
    }
}
