//! What stands between the cells of a CSV: as the operator says, as a `sep=` line says, or as the header line shows.

use super::error::InputFault;

/// In this order if the header has as many of the one as of the other.
const KNOWN: [(u8, &str); 3] = [(b',', "comma"), (b';', "semicolon"), (b'\t', "tab")];

/// How a delimiter is called.
pub fn delimiter_name(delimiter: u8) -> String {
    let known = KNOWN.iter().find(|(byte, _)| *byte == delimiter);
    match known {
        Some((_, name)) => (*name).to_owned(),
        None => format!("`{}`", char::from(delimiter).escape_default()),
    }
}

/// The delimiter that a command line means: one character, or its name.
pub fn delimiter_named(text: &str) -> Option<u8> {
    let byte = match text.as_bytes() {
        [byte] => *byte,
        b"\\t" => b'\t',
        _ => KNOWN.iter().find(|(_, name)| *name == text)?.0,
    };
    checked(byte).ok()
}

/// Refuses what occurs in identifiers, ends a line or quotes.
pub(super) fn checked(delimiter: u8) -> Result<u8, InputFault> {
    let is_mark = delimiter.is_ascii_punctuation() && delimiter != b'"';
    if is_mark || delimiter == b'\t' {
        Ok(delimiter)
    } else {
        Err(InputFault::Delimiter { found: delimiter })
    }
}

/// `sep=;`, which spreadsheets write and read as the first line.
pub(super) fn declared(line: &[u8]) -> Option<u8> {
    match line.trim_ascii_end().strip_prefix(b"sep=")? {
        [delimiter] => checked(*delimiter).ok(),
        // A tab at the end is trimmed with the line.
        [] if line.starts_with(b"sep=\t") => Some(b'\t'),
        _ => None,
    }
}

/// The delimiter that a header line has most of outside of quotes; comma if it has none.
pub(super) fn shown(line: &[u8]) -> u8 {
    let mut best = (b',', 0);
    for (delimiter, _) in KNOWN {
        let mut is_quoted = false;
        let mut count = 0;
        for byte in line {
            match *byte {
                b'"' => is_quoted = !is_quoted,
                byte if byte == delimiter && !is_quoted => count += 1,
                _ => {}
            }
        }
        if count > best.1 {
            best = (delimiter, count);
        }
    }
    best.0
}

/// The first line that is not blank, and what stands before it; `None` while its end is not to be seen.
pub(super) fn first_line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let blank = text.iter().position(|byte| !byte.is_ascii_whitespace())?;
    let (before, line) = text.split_at(blank);
    let mut is_quoted = false;
    let end = line.iter().position(|byte| {
        is_quoted ^= *byte == b'"';
        !is_quoted && matches!(byte, b'\n' | b'\r')
    })?;
    Some((before, line.get(..end)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_shows_the_delimiter_and_quotes_hide_it() {
        for (header, delimiter) in [
            ("smartcard,stb", b','),
            ("smartcard;stb", b';'),
            ("smartcard\tstb", b'\t'),
            ("smartcard", b','),
            ("\"card, old\";stb;\"a,b,c\"", b';'),
            ("a;b,c", b','),
            ("a,b;c;d", b';'),
        ] {
            assert_eq!(shown(header.as_bytes()), delimiter, "{header}");
        }
    }

    #[test]
    fn a_spreadsheets_own_line_says_the_delimiter() {
        assert_eq!(declared(b"sep=;"), Some(b';'));
        assert_eq!(declared(b"sep=\t"), Some(b'\t'));
        assert_eq!(declared(b"sep=|\r"), Some(b'|'));
        assert_eq!(declared(b"sep="), None);
        assert_eq!(declared(b"sep=;;"), None);
        assert_eq!(declared(b"separator"), None);
    }

    #[test]
    fn a_delimiter_is_a_mark_or_a_tab_by_character_or_name() {
        for (text, expected) in [
            (";", Some(b';')),
            ("semicolon", Some(b';')),
            ("tab", Some(b'\t')),
            ("\\t", Some(b'\t')),
            ("\t", Some(b'\t')),
            ("|", Some(b'|')),
            ("\"", None),
            ("\n", None),
            ("a", None),
            ("", None),
            (";;", None),
        ] {
            assert_eq!(delimiter_named(text), expected, "{text:?}");
        }
    }

    #[test]
    fn the_first_line_is_the_first_with_something_in_it() {
        let first = |text: &'static str| first_line(text.as_bytes()).map(|found| found.1);
        assert_eq!(first("a;b\nc"), Some(&b"a;b"[..]));
        assert_eq!(first("\r\n  \r\na\r\n"), Some(&b"a"[..]));
        assert_eq!(first("\"a\nb\";c\r"), Some(&b"\"a\nb\";c"[..]));
        assert_eq!(first("a;b"), None);
        assert_eq!(first("\n\n"), None);
    }
}
