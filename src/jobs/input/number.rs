//! What a number or a date of a workbook is as text: the digits that a person sees in the sheet.

use calamine::ExcelDateTime;

/// From here on a spreadsheet keeps zeros in the place of digits: it has 15 of them.
const EXACT_BELOW: f64 = 1e15;
/// A format of more zeros than that is no format of identifiers.
const ZEROS_MAX: usize = 32;

/// A whole number is its digits, with the leading zeros that the cell's format shows. A number whose digits are lost is
/// written as `1.9E+16`, which is found to be damage wherever it matters.
pub(super) fn number_text(value: f64, zeros: Option<usize>) -> String {
    if value.fract() != 0.0 {
        return value.to_string();
    }
    if value.abs() >= EXACT_BELOW {
        return format!("{value:E}").replace('E', "E+");
    }
    // Minus zero is zero.
    let value = value + 0.0;
    match zeros {
        Some(width) if value >= 0.0 => format!("{value:0width$.0}"),
        _ => format!("{value:.0}"),
    }
}

/// How many digits a format like `00000000000` shows at least; `None` for any other.
pub(super) fn zeros_of(format: &str) -> Option<usize> {
    let zeros = format.strip_suffix(";@").unwrap_or(format);
    let is_zeros = zeros.bytes().all(|byte| byte == b'0');
    (is_zeros && (2..=ZEROS_MAX).contains(&zeros.len())).then_some(zeros.len())
}

/// `2026-05-01`, `2026-05-01T10:30:00`, or `10:30:00` if there is no day.
pub(super) fn date_text(date: ExcelDateTime) -> String {
    if date.is_duration() {
        return duration_text(date.as_f64());
    }
    let (year, month, day, hour, minute, second, _) = date.to_ymd_hms_milli();
    let time = format!("{hour:02}:{minute:02}:{second:02}");
    if (0.0..1.0).contains(&date.as_f64()) {
        return time;
    }
    let day = format!("{year:04}-{month:02}-{day:02}");
    if (hour, minute, second) == (0, 0, 0) {
        day
    } else {
        format!("{day}T{time}")
    }
}

fn duration_text(days: f64) -> String {
    let seconds = (days * 86_400.0).round();
    let (hours, rest) = ((seconds / 3_600.0).trunc(), (seconds % 3_600.0).abs());
    let (minutes, seconds) = ((rest / 60.0).trunc(), rest % 60.0);
    format!("{hours:.0}:{minutes:02.0}:{seconds:02.0}")
}

#[cfg(test)]
mod tests {
    use calamine::ExcelDateTimeType;

    use super::*;
    use crate::actions::spreadsheet::damage;

    #[test]
    fn a_whole_number_is_its_digits() {
        for (value, zeros, text) in [
            (19_000_802_077.0, None, "19000802077"),
            (19_000_802_077.0, Some(12), "019000802077"),
            (7.0, Some(4), "0007"),
            (12_345.0, Some(4), "12345"),
            (0.0, None, "0"),
            (-0.0, None, "0"),
            (-5.0, Some(4), "-5"),
            (999_999_999_999_999.0, None, "999999999999999"),
            (12.5, Some(4), "12.5"),
            (0.1, None, "0.1"),
        ] {
            assert_eq!(number_text(value, zeros), text);
        }
    }

    #[test]
    fn a_number_that_lost_its_digits_is_damage() {
        for (value, text) in [
            (1e15, "1E+15"),
            (1_234_567_890_123_450.0, "1.23456789012345E+15"),
            (1.234_567_890_123_456e19, "1.234567890123456E+19"),
        ] {
            assert_eq!(number_text(value, None), text);
            assert!(damage(text).is_some(), "{text}");
        }
    }

    #[test]
    fn a_format_of_zeros_shows_that_many() {
        assert_eq!(zeros_of("000000000000"), Some(12));
        assert_eq!(zeros_of("0000;@"), Some(4));
        for format in ["General", "0", "0.00", "", ";@", "#,##0", "00-00"] {
            assert_eq!(zeros_of(format), None, "{format}");
        }
    }

    #[test]
    fn dates_are_iso() {
        let date = |value, kind| date_text(ExcelDateTime::new(value, kind, false));
        let at = ExcelDateTimeType::DateTime;
        assert_eq!(date(46_143.0, at), "2026-05-01");
        assert_eq!(date(46_143.437_5, at), "2026-05-01T10:30:00");
        assert_eq!(date(0.437_5, at), "10:30:00");
        assert_eq!(date(1.5, ExcelDateTimeType::TimeDelta), "36:00:00");
    }
}
