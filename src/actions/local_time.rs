//! Instants as an operator reads them: in the configured zone, to the second.

use chrono::{DateTime, LocalResult, NaiveDate, NaiveDateTime, TimeZone};
use chrono_tz::Tz;

use crate::domain::Timestamp;

/// `2026-11-23 17:33:41`; the zone is said once, at the end of a table or in `status`.
pub fn local_time(at: Timestamp, zone: Tz) -> String {
    at.to_utc()
        .with_timezone(&zone)
        .format("%Y-%m-%d %H:%M:%S")
        .to_string()
}

/// Reads an instant: RFC 3339, or local date and time, or a date. An ambiguous local time is the earlier one. The error says
/// what was expected.
pub fn parse_local(text: &str, zone: Tz) -> Result<Timestamp, &'static str> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(Timestamp::from_utc(at.to_utc()));
    }
    let spaced = text.replacen('T', " ", 1);
    let local = ["%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"]
        .into_iter()
        .find_map(|format| NaiveDateTime::parse_from_str(&spaced, format).ok())
        .or_else(|| {
            let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
            date.and_hms_opt(0, 0, 0)
        });
    let local = local.ok_or("a date and time such as 2026-11-23T22:00:00")?;
    match zone.from_local_datetime(&local) {
        LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => {
            Ok(Timestamp::from_utc(at.to_utc()))
        }
        LocalResult::None => Err("a local time that exists; the clock is put forward then"),
    }
}
