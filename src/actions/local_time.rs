//! Instants as an operator reads them: in the configured zone, to the second.

use chrono_tz::Tz;

use crate::domain::Timestamp;

/// `2026-11-23 17:33:41`; the zone is said once, at the end of a table or in `status`.
pub fn local_time(at: Timestamp, zone: Tz) -> String {
    at.to_utc()
        .with_timezone(&zone)
        .format("%Y-%m-%d %H:%M:%S")
        .to_string()
}
