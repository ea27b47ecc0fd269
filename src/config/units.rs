//! Spans of time and numbers of bytes as people write them: `1h30m`, `250ms`, `64MiB`.
//!
//! A number always carries its unit, so that no one has to know whether a key meant seconds. Whole numbers only.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

const SPAN_UNITS: [(&str, u64); 7] = [
    ("w", 7 * 24 * 60 * 60 * 1_000),
    ("d", 24 * 60 * 60 * 1_000),
    ("h", 60 * 60 * 1_000),
    ("min", 60 * 1_000),
    ("m", 60 * 1_000),
    ("s", 1_000),
    ("ms", 1),
];

const BYTE_UNITS: [(&str, u64); 8] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// Why a text is no span of time or no number of bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    #[error("expected a number with its unit, found an empty text")]
    Empty,
    #[error("expected a whole number before the unit, found `{found}`")]
    NoNumber { found: String },
    #[error("expected a unit after `{number}`, found none")]
    NoUnit { number: String },
    #[error("unknown unit `{unit}`")]
    UnknownUnit { unit: String },
    #[error("`{text}` is too large")]
    TooLarge { text: String },
}

/// Parses `90d`, `1h30m`, `250ms`; units w d h m (or min) s ms, in any number of parts.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    total(text, &SPAN_UNITS).map(Duration::from_millis)
}

/// Parses `64MiB`, `512 KiB`, `1GB`; binary and decimal units.
pub fn parse_bytes(text: &str) -> Result<u64, UnitError> {
    total(text, &BYTE_UNITS)
}

fn total(text: &str, units: &[(&str, u64)]) -> Result<u64, UnitError> {
    let too_large = || UnitError::TooLarge {
        text: text.to_owned(),
    };
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(UnitError::Empty);
    }
    let mut sum: u64 = 0;
    while !rest.is_empty() {
        let (number, after) = split_where(rest, |c| !c.is_ascii_digit());
        if number.is_empty() {
            return Err(UnitError::NoNumber {
                found: rest.to_owned(),
            });
        }
        let (unit, after) = split_where(after.trim_start(), |c| {
            c.is_ascii_digit() || c.is_whitespace()
        });
        if unit.is_empty() {
            return Err(UnitError::NoUnit {
                number: number.to_owned(),
            });
        }
        let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
            return Err(UnitError::UnknownUnit {
                unit: unit.to_owned(),
            });
        };
        let number: u64 = number.parse().map_err(|_| too_large())?;
        sum = number
            .checked_mul(*factor)
            .and_then(|part| sum.checked_add(part))
            .ok_or_else(too_large)?;
        rest = after.trim_start();
    }
    Ok(sum)
}

fn split_where(text: &str, stops: impl Fn(char) -> bool) -> (&str, &str) {
    let at = text.find(stops).unwrap_or(text.len());
    text.split_at_checked(at).unwrap_or((text, ""))
}

/// A span in the form that `parse_duration` reads back.
#[derive(Clone, Copy, Debug)]
pub struct SpanText(pub Duration);

impl fmt::Display for SpanText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if left == 0 {
            return f.write_str("0s");
        }
        for (name, factor) in SPAN_UNITS {
            if name == "w" || name == "min" {
                continue;
            }
            if left >= factor {
                write!(f, "{}{name}", left / factor)?;
                left %= factor;
            }
        }
        Ok(())
    }
}

/// A number of bytes in the largest binary unit that leaves no rest.
#[derive(Clone, Copy, Debug)]
pub struct ByteText(pub u64);

impl fmt::Display for ByteText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fitting = BYTE_UNITS
            .iter()
            .take(4)
            .find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor));
        match fitting {
            Some((name, factor)) => write!(f, "{}{name}", self.0 / factor),
            None => write!(f, "{}B", self.0),
        }
    }
}

/// Why a number that was read is not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum BoundError {
    #[error(transparent)]
    Unit(#[from] UnitError),
    #[error("expected {least} to {most}")]
    Outside { least: String, most: String },
}

/// The value, if the range has it; the error names the bounds as `write` writes them.
pub(super) fn within<T: PartialOrd + Copy>(
    value: T,
    range: &RangeInclusive<T>,
    write: impl Fn(T) -> String,
) -> Result<T, BoundError> {
    if range.contains(&value) {
        return Ok(value);
    }
    Err(BoundError::Outside {
        least: write(*range.start()),
        most: write(*range.end()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_people_write_them() {
        for (text, millis) in [
            ("1s", 1_000),
            ("1h30m", 5_400_000),
            ("1h 30m", 5_400_000),
            ("5 min", 300_000),
            ("90d", 7_776_000_000),
            ("250ms", 250),
            ("0s", 0),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_millis(millis)),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_span_is_named() {
        let message = |text| parse_duration(text).unwrap_err().to_string();
        assert_eq!(message("10"), "expected a unit after `10`, found none");
        assert_eq!(message("5x"), "unknown unit `x`");
        assert_eq!(
            message("soon"),
            "expected a whole number before the unit, found `soon`"
        );
        assert_eq!(
            message("-1s"),
            "expected a whole number before the unit, found `-1s`"
        );
        assert_eq!(
            message(" "),
            "expected a number with its unit, found an empty text"
        );
        assert_eq!(
            message("99999999999999999999s"),
            "`99999999999999999999s` is too large"
        );
    }

    #[test]
    fn bytes_are_read_and_written_in_binary_units() {
        assert_eq!(parse_bytes("64MiB"), Ok(64 << 20));
        assert_eq!(parse_bytes("1 GB"), Ok(1_000_000_000));
        assert_eq!(ByteText(64 << 20).to_string(), "64MiB");
        assert_eq!(ByteText(1_500).to_string(), "1500B");
        assert_eq!(SpanText(Duration::from_mins(90)).to_string(), "1h30m");
        assert!(parse_bytes("64 MIB").is_err());
    }
}
