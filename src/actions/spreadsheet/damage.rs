//! What a spreadsheet does to identifiers, seen in one cell: `damage`; seen against what is known: `lost_zeros`.
//!
//! Pure, and asked only about columns that hold identifiers: a note may say `1.9E+10`. The words are the same wherever a
//! damaged cell comes in: in an import, in a job, by workbook or by CSV.

use std::fmt;

use super::needs_mark;

/// Leading zeros that a spreadsheet may have taken from an identifier.
const LOST_ZEROS_MAX: usize = 4;
/// An identifier that long is none; and the candidates for lost zeros are copies of it.
const DIGITS_MAX: usize = 64;

/// `="0190"` keeps the zeros of a CSV in a spreadsheet; no other formula gets into a file, a spreadsheet writes its value.
const TEXT_FORMULA: &str = "=\"";
/// Errors of a formula, and what shows in a column that is too narrow.
const ERROR_VALUES: [&str; 9] = [
    "#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!", "#DATA!", "###",
];
/// Straight and curly.
const APOSTROPHES: [char; 3] = ['\'', '\u{2018}', '\u{2019}'];
/// Look like a space or like nothing: non-breaking, figure and narrow spaces, soft hyphen, zero-width marks, the byte
/// order mark.
const INVISIBLE: [char; 11] = [
    '\u{a0}', '\u{2007}', '\u{202f}', '\u{ad}', '\u{200b}', '\u{200c}', '\u{200d}', '\u{200e}',
    '\u{200f}', '\u{2060}', '\u{feff}',
];

/// A cell that is no longer what the vendor meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    kind: DamageKind,
    cell: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DamageKind {
    Scientific,
    Fraction,
    Formula,
    ErrorValue,
    Apostrophe,
    Quote,
    LineBreak,
    Invisible,
}

/// What is wrong with an identifier's cell, which is trimmed; `None` for a sound or an empty one.
pub fn damage(cell: &str) -> Option<Damage> {
    let kind = if is_scientific(cell) {
        DamageKind::Scientific
    } else if is_fraction(cell) {
        DamageKind::Fraction
    } else if cell.starts_with(TEXT_FORMULA) {
        DamageKind::Formula
    } else if ERROR_VALUES.iter().any(|value| cell.starts_with(value)) {
        DamageKind::ErrorValue
    } else if has_stray_apostrophe(cell) {
        DamageKind::Apostrophe
    } else if cell.starts_with('"') || cell.ends_with('"') {
        DamageKind::Quote
    } else if cell.contains(['\n', '\r']) {
        DamageKind::LineBreak
    } else if cell.contains(INVISIBLE) {
        DamageKind::Invisible
    } else {
        return None;
    };
    Some(Damage {
        kind,
        cell: cell.to_owned(),
    })
}

impl Damage {
    /// What happened, without the cell's text: reasons are counted by it.
    pub fn kind(&self) -> DamageKind {
        self.kind
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("looks like a spreadsheet damaged it: ")?;
        // What cannot be seen is shown as an escape, so that the reason is one line and names it.
        for letter in self.cell.chars() {
            if letter.is_control() || INVISIBLE.contains(&letter) {
                write!(f, "{}", letter.escape_unicode())?;
            } else {
                write!(f, "{letter}")?;
            }
        }
        write!(f, " ({})", self.kind)
    }
}

impl fmt::Display for DamageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scientific => "its digits are lost; export the column as text",
            Self::Fraction => "a number with a decimal part; export the column as text",
            Self::Formula => "a formula in the place of its text",
            Self::ErrorValue => "an error in the place of its value",
            Self::Apostrophe => "a stray apostrophe",
            Self::Quote => "a stray quote",
            Self::LineBreak => "a line break inside",
            Self::Invisible => "an invisible character inside",
        })
    }
}

/// `1.9E+10`, `1,9E+10`, `1E+10`; small numbers only with a decimal part, and nothing without a sign: `1E10` and `1E-5` may
/// be somebody's serial numbers.
fn is_scientific(cell: &str) -> bool {
    let Some((digits, exponent)) = cell.split_once(['E', 'e']) else {
        return false;
    };
    let digits = digits.strip_prefix(['+', '-']).unwrap_or(digits);
    let (whole, part) = match digits.split_once(['.', ',']) {
        Some((whole, part)) => (whole, Some(part)),
        None => (digits, None),
    };
    let has_sign_of_spreadsheet = match exponent.chars().next() {
        Some('+') => true,
        Some('-') => part.is_some(),
        _ => false,
    };
    let exponent = exponent.get(1..).unwrap_or_default();
    has_sign_of_spreadsheet
        && are_digits(whole)
        && part.is_none_or(are_digits)
        && are_digits(exponent)
}

/// `190.0`, `190,00`.
fn is_fraction(cell: &str) -> bool {
    cell.split_once(['.', ',']).is_some_and(|(whole, part)| {
        are_digits(whole) && !part.is_empty() && part.bytes().all(|byte| byte == b'0')
    })
}

/// One that begins a text like `'=1` is none: `unmarked` left it there because it belongs to the text.
fn has_stray_apostrophe(cell: &str) -> bool {
    cell.ends_with(APOSTROPHES) || cell.starts_with(APOSTROPHES) && !needs_mark(cell)
}

fn are_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A number that lacks the leading zeros of exactly one known identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostZeros {
    cell: String,
    known: String,
}

/// Asked after a look-up found nothing: would `cell` be known with one to four zeros before it? `None` too if more than
/// one would be, for then nobody can say which.
pub fn lost_zeros(cell: &str, is_known: impl Fn(&str) -> bool) -> Option<LostZeros> {
    if !are_digits(cell) || cell.len() > DIGITS_MAX || is_known(cell) {
        return None;
    }
    let mut with_zeros = cell.to_owned();
    let mut known = None;
    for _ in 0..LOST_ZEROS_MAX {
        with_zeros.insert(0, '0');
        if is_known(&with_zeros) && known.replace(with_zeros.clone()).is_some() {
            return None;
        }
    }
    known.map(|known| LostZeros {
        cell: cell.to_owned(),
        known,
    })
}

impl LostZeros {
    /// The same without the cell's text.
    pub const KIND: &'static str = "looks like a spreadsheet took its leading zeros";

    /// The identifier that was meant.
    pub fn known(&self) -> &str {
        &self.known
    }
}

impl fmt::Display for LostZeros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {} is known", Self::KIND, self.cell, self.known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_kind(kind: DamageKind, cells: &[&str]) {
        for cell in cells {
            let found = damage(cell).map(|damage| damage.kind());
            assert_eq!(found, Some(kind), "`{cell}`");
        }
    }

    #[test]
    fn scientific_notation_is_damage() {
        assert_kind(
            DamageKind::Scientific,
            &[
                "1.9E+10",
                "1,9E+10",
                "1E+10",
                "1.90008e+10",
                "-1.9E+10",
                "1.23456789012345E+16",
                "1.9E-05",
            ],
        );
    }

    #[test]
    fn a_decimal_part_of_zeros_is_damage() {
        assert_kind(DamageKind::Fraction, &["19000802077.0", "190,00", "0.0"]);
    }

    #[test]
    fn formulas_and_their_errors_are_damage() {
        assert_kind(DamageKind::Formula, &["=\"0190\"", "=\"\""]);
        assert_kind(
            DamageKind::ErrorValue,
            &["#N/A", "#REF!", "#NAME?", "###", "########"],
        );
    }

    #[test]
    fn stray_apostrophes_and_quotes_are_damage() {
        assert_kind(
            DamageKind::Apostrophe,
            &["'019000802077", "'", "0190'", "\u{2019}0190", "'0190'"],
        );
        assert_kind(DamageKind::Quote, &["\"0190\"", "0190\"", "\"0190"]);
    }

    #[test]
    fn what_cannot_be_seen_is_damage() {
        assert_kind(
            DamageKind::Invisible,
            &[
                "0190\u{a0}0080",
                "0190\u{200b}",
                "\u{feff}0190",
                "01\u{202f}90",
            ],
        );
        assert_kind(DamageKind::LineBreak, &["0190\n0191", "0190\r0191"]);
    }

    #[test]
    fn sound_identifiers_are_no_damage() {
        for cell in [
            "",
            "019000802077",
            "0",
            "1E10",
            "1E-5",
            "12E",
            "E+10",
            "1.9E+",
            "1.E+10",
            "A.0",
            "190.5",
            "190.",
            ".0",
            "1.0.0",
            "ABC-123",
            "AB=1",
            "=A1",
            "'=1+1",
            "O'Neill-7",
            "0190 0080",
            "#12",
            "0E4F00",
            "1e",
            "E\u{e9}+1",
            "\u{e9}E\u{e9}",
        ] {
            assert_eq!(damage(cell), None, "`{cell}`");
        }
    }

    #[test]
    fn a_reason_names_the_cell_in_one_line() {
        let said = |cell: &str| damage(cell).unwrap().to_string();
        assert_eq!(
            said("1.9E+10"),
            "looks like a spreadsheet damaged it: 1.9E+10 (its digits are lost; export the column as text)"
        );
        assert_eq!(
            said("'0190"),
            "looks like a spreadsheet damaged it: '0190 (a stray apostrophe)"
        );
        assert_eq!(
            said("01\u{a0}90"),
            "looks like a spreadsheet damaged it: 01\\u{a0}90 (an invisible character inside)"
        );
        assert_eq!(
            said("01\n90"),
            "looks like a spreadsheet damaged it: 01\\u{a}90 (a line break inside)"
        );
    }

    #[test]
    fn lost_zeros_are_found_if_one_identifier_could_be_meant() {
        let known = ["019000802077", "0007", "00042", "0042", "500", "0500", "1"];
        let is_known = |text: &str| known.contains(&text);
        let found = |cell: &str| lost_zeros(cell, is_known).map(|lost| lost.to_string());
        assert_eq!(
            found("19000802077").as_deref(),
            Some(
                "looks like a spreadsheet took its leading zeros: 19000802077; 019000802077 is known"
            )
        );
        assert_eq!(
            lost_zeros("7", is_known).map(|lost| lost.known().to_owned()),
            Some("0007".to_owned())
        );
        for (cell, why) in [
            ("42", "two could be meant"),
            ("500", "it is known itself"),
            ("9", "nothing like it is known"),
            ("7A", "no number"),
            ("", "nothing"),
        ] {
            assert_eq!(found(cell), None, "`{cell}`: {why}");
        }
        assert_eq!(lost_zeros("7", |text| text == "000007"), None, "five zeros");
    }
}
