//! Cells that a spreadsheet reads: what it would run as a formula gets a mark going out and loses it coming in.
//!
//! The mark is an apostrophe, as OWASP advises. A plain number needs none. `unmarked(marked(text))` is `text`, whatever the
//! text, so that an export or a rejects file is imported as it was. What a spreadsheet does to identifiers is in `damage.rs`.

mod damage;

pub use damage::{Damage, DamageKind, LostZeros, damage, lost_zeros};

/// What begins a formula, also in the wide letters of East Asian spreadsheets (OWASP, CSV injection).
const FORMULA_BEGINS: [char; 11] = [
    '=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
];
const MARK: char = '\'';

/// A cell for a spreadsheet.
pub fn marked(cell: String) -> String {
    if needs_mark(&cell) {
        format!("{MARK}{cell}")
    } else {
        cell
    }
}

/// The text of a cell that a spreadsheet, or `marked`, may have written.
pub fn unmarked(cell: &str) -> &str {
    match cell.strip_prefix(MARK) {
        Some(text) if needs_mark(text) => text,
        _ => cell,
    }
}

/// A text that only looks marked needs one too, or it would lose its own apostrophe.
fn needs_mark(text: &str) -> bool {
    text.trim_start_matches(MARK).starts_with(FORMULA_BEGINS) && !is_number(text)
}

/// A sign, digits, and at most one point.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let are_digits =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    are_digits(whole) && are_digits(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_marked_and_numbers_are_not() {
        for formula in [
            "=1",
            "+a",
            "-1+1",
            "@x",
            "\tx",
            "\r",
            "\n=1",
            "-",
            "-.5",
            "+1.",
            "--1",
            "\u{ff1d}1",
            "-1e5",
        ] {
            assert_eq!(marked(formula.to_owned()), format!("'{formula}"));
        }
        for plain in [
            "",
            "019000802077",
            "-5",
            "+49",
            "-12.50",
            "a=1",
            "it's",
            "'",
            "'a",
            " =1",
        ] {
            assert_eq!(marked(plain.to_owned()), plain);
        }
    }

    #[test]
    fn every_text_comes_back_as_it_was() {
        let letters = ['\'', '=', '-', '5', 'a', '.'];
        let mut texts = vec![String::new()];
        for _ in 0..5 {
            let longer = texts
                .iter()
                .flat_map(|text| letters.map(|letter| format!("{text}{letter}")));
            texts = std::iter::once(String::new()).chain(longer).collect();
        }
        assert!(texts.len() > 7_000);
        for text in texts {
            assert_eq!(unmarked(&marked(text.clone())), text);
        }
    }
}
