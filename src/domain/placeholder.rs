//! How a frame names a secret: `{{name}}`, or `{{name|filter|filter}}` for a value that its place wants written otherwise.
//!
//! The syntax alone: values are the lane's (`provider/secrets.rs`). Scripts and cases are read by it too, so that a slip is found
//! before it is sent; what looks like a name and is none must never go to a CAS as it stands.

use std::fmt;

use super::framing::{Endian, field_max, find};

const OPEN: &[u8] = b"{{";
const CLOSE: &[u8] = b"}}";
/// What is longer between the braces is no name.
const INNER_BYTES_MAX: usize = 64;
/// How near a slip is to what was meant.
const SLIP_SCORE: f64 = 0.78;

/// A secret's name and how its value is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placeholder<'a> {
    pub name: &'a str,
    pub filters: Vec<Filter>,
}

/// What is done to a value before it stands in a frame: first how it is written as a text, then its width or its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    Json,
    Xml,
    Url,
    Base64,
    /// Blanks behind it up to so many bytes.
    Pad(u16),
    /// Zero bytes behind it up to so many.
    Zeros(u16),
    /// Its length before it, in so many bytes.
    Prefix(u8, Endian),
}

/// The words of all filters, and what each does; `N` is a number of the author's.
pub const FILTERS: [(&str, &str); 10] = [
    ("json", "As it stands between the quotes of a JSON text."),
    ("xml", "As it stands in XML."),
    ("url", "As a field of application/x-www-form-urlencoded."),
    ("base64", "In base64."),
    ("pad:N", "N bytes, blanks behind the value."),
    ("zeros:N", "N bytes, zero bytes behind the value."),
    ("prefix_u8", "The length in one byte, then the value."),
    (
        "prefix_u16be",
        "The same with two bytes, the high one first.",
    ),
    ("prefix_u16le", "The same with the low one first."),
    (
        "prefix_u32be",
        "The same with four bytes, the high one first.",
    ),
];

/// The widest column that a filter fills.
const WIDTH_MAX: u16 = 1024;

impl Filter {
    /// Those that write a value as a kind of text.
    pub const OF_TEXTS: [Self; 4] = [Self::Json, Self::Xml, Self::Url, Self::Base64];

    fn is_of_texts(self) -> bool {
        Self::OF_TEXTS.contains(&self)
    }

    fn parse(inner: &str, word: &str) -> Result<Self, PlaceholderError> {
        let (name, width) = match word.split_once(':') {
            None => (word, None),
            Some((name, width)) => (name, Some(width)),
        };
        let bytes = || {
            let bytes = width.and_then(|width| width.parse::<u16>().ok());
            let bytes = bytes.filter(|bytes| (1..=WIDTH_MAX).contains(bytes));
            bytes.ok_or_else(|| PlaceholderError::Width {
                inner: inner.to_owned(),
                filter: name.to_owned(),
                found: width.unwrap_or("none").to_owned(),
            })
        };
        Ok(match (name, width) {
            ("pad", _) => Self::Pad(bytes()?),
            ("zeros", _) => Self::Zeros(bytes()?),
            ("json", None) => Self::Json,
            ("xml", None) => Self::Xml,
            ("url", None) => Self::Url,
            ("base64", None) => Self::Base64,
            ("prefix_u8", None) => Self::Prefix(1, Endian::Big),
            ("prefix_u16be", None) => Self::Prefix(2, Endian::Big),
            ("prefix_u16le", None) => Self::Prefix(2, Endian::Little),
            ("prefix_u32be", None) => Self::Prefix(4, Endian::Big),
            _ => {
                return Err(PlaceholderError::Filter {
                    inner: inner.to_owned(),
                    filter: word.to_owned(),
                    nearest: nearest_filter(name),
                });
            }
        })
    }

    /// Gives a value its width or its length; those of texts leave it. The error is how many bytes it may have.
    pub fn place(self, mut value: Vec<u8>) -> Result<Vec<u8>, u64> {
        let filled = |mut value: Vec<u8>, width: u16, with: u8| {
            if value.len() > usize::from(width) {
                return Err(u64::from(width));
            }
            value.resize(usize::from(width), with);
            Ok(value)
        };
        match self {
            Self::Json | Self::Xml | Self::Url | Self::Base64 => Ok(value),
            Self::Pad(width) => filled(value, width, b' '),
            Self::Zeros(width) => filled(value, width, 0),
            Self::Prefix(bytes, endian) => {
                let length = value.len() as u64;
                let max = field_max(bytes);
                if length > max {
                    return Err(max);
                }
                let mut field = vec![0; usize::from(bytes)];
                endian.write(length, &mut field);
                field.append(&mut value);
                Ok(field)
            }
        }
    }
}

/// What was meant; a width alone (`u8`) is nearest to the filter that ends so.
fn nearest_filter(word: &str) -> Option<&'static str> {
    let words = || FILTERS.map(|(word, _)| word);
    let is_part = |known: &&str| word.len() > 1 && known.contains(word.trim());
    let found = words().into_iter().find(is_part);
    found.or_else(|| nearest(word, words()))
}

/// A name or a filter that is not known, or a value that does not fit. Holds no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceholderError {
    #[error("`{{{{{inner}}}}}` names the secret `{name}`: expected one of [provider.secrets] or of `keep`, known are {}{}", list(known), Meant(nearest.as_deref()))]
    Secret {
        inner: String,
        name: String,
        known: Vec<String>,
        nearest: Option<String>,
    },
    #[error("`{{{{{inner}}}}}` names the filter `{filter}`: known are {}{}", list(&words()), Meant(*nearest))]
    Filter {
        inner: String,
        filter: String,
        nearest: Option<&'static str>,
    },
    #[error(
        "`{{{{{inner}}}}}`: `{filter}` expects a width of 1 to {WIDTH_MAX} bytes, as in `{filter}:16`; found `{found}`"
    )]
    Width {
        inner: String,
        filter: String,
        found: String,
    },
    #[error("`{{{{{inner}}}}}`: expected one of {} at most, and before all others", list(&texts()))]
    Order { inner: String },
    #[error("`{{{{{inner}}}}}`: the secret is too long for it: expected at most {bytes_max} bytes")]
    TooLong { inner: String, bytes_max: u64 },
}

fn words() -> [&'static str; FILTERS.len()] {
    FILTERS.map(|(word, _)| word)
}

fn texts() -> Vec<&'static str> {
    let texts = words().into_iter().take(Filter::OF_TEXTS.len());
    texts.collect()
}

fn list(words: &[impl AsRef<str>]) -> String {
    if words.is_empty() {
        return "none".to_owned();
    }
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    words.join(", ")
}

struct Meant<'a>(Option<&'a str>);

impl fmt::Display for Meant<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(word) => write!(f, "; did you mean `{word}`?"),
            None => Ok(()),
        }
    }
}

impl<'a> Placeholder<'a> {
    /// Reads what stands between the braces.
    pub fn parse(inner: &'a str) -> Result<Self, PlaceholderError> {
        let mut words = inner.split('|');
        let name = words.next().unwrap_or_default();
        let filters: Vec<Filter> = words
            .map(|word| Filter::parse(inner, word))
            .collect::<Result<_, _>>()?;
        if filters.iter().skip(1).any(|filter| filter.is_of_texts()) {
            let inner = inner.to_owned();
            return Err(PlaceholderError::Order { inner });
        }
        Ok(Self { name, filters })
    }

    /// The error for a name that is none of the known ones.
    pub fn unknown<'k>(
        inner: &str,
        name: &str,
        known: impl Iterator<Item = &'k str>,
    ) -> PlaceholderError {
        let known: Vec<&str> = known.collect();
        PlaceholderError::Secret {
            inner: inner.to_owned(),
            name: name.to_owned(),
            nearest: nearest(name, known.iter().copied()).map(str::to_owned),
            known: known.into_iter().map(str::to_owned).collect(),
        }
    }
}

/// The first slip in a frame or a text; without `known` only filters are judged.
pub fn first_slip(text: &[u8], known: Option<&[String]>) -> Option<PlaceholderError> {
    parts(text).find_map(|part| {
        let Part::Named(inner) = part else {
            return None;
        };
        match (Placeholder::parse(inner), known) {
            (Err(slip), _) => Some(slip),
            (Ok(named), Some(known)) if !known.iter().any(|name| name == named.name) => Some(
                Placeholder::unknown(inner, named.name, known.iter().map(String::as_str)),
            ),
            (Ok(_), _) => None,
        }
    })
}

fn nearest<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    known
        .into_iter()
        .map(|known| (strsim::jaro_winkler(word.trim(), known), known))
        .filter(|(score, _)| *score > SLIP_SCORE)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, known)| known)
}

/// A frame in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    Plain(&'a [u8]),
    /// What stands between the braces.
    Named(&'a str),
}

/// Whether anything in a frame names a secret.
pub fn names_any(frame: &[u8]) -> bool {
    parts(frame).any(|part| matches!(part, Part::Named(_)))
}

/// The pieces of a frame, in their order.
pub fn parts(frame: &[u8]) -> Parts<'_> {
    Parts { rest: frame }
}

/// See `parts`.
pub struct Parts<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        if let Some(inner) = named_at(self.rest) {
            let end = OPEN.len() + inner.len() + CLOSE.len();
            self.rest = self.rest.get(end..).unwrap_or_default();
            return Some(Part::Named(inner));
        }
        let end = self.next_named().unwrap_or(self.rest.len());
        let (plain, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(Part::Plain(plain))
    }
}

impl Parts<'_> {
    /// Where the next name begins.
    fn next_named(&self) -> Option<usize> {
        let mut from = 0;
        loop {
            let at = from + find(self.rest.get(from..)?, OPEN)?;
            if named_at(self.rest.get(at..)?).is_some() {
                return Some(at);
            }
            from = at + 1;
        }
    }
}

/// What stands between the braces, if the bytes begin with a name in braces: printable, and no further brace.
fn named_at(bytes: &[u8]) -> Option<&str> {
    let behind = bytes.strip_prefix(OPEN)?;
    let is_inner = |byte: &u8| matches!(byte, 0x20..=0x7e) && !b"{}".contains(byte);
    let length = behind.iter().take_while(|byte| is_inner(byte)).count();
    if !(1..=INNER_BYTES_MAX).contains(&length) || !behind.get(length..)?.starts_with(CLOSE) {
        return None;
    }
    std::str::from_utf8(behind.get(..length)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(frame: &str) -> String {
        let known = ["password".to_owned(), "session".to_owned()];
        first_slip(frame.as_bytes(), Some(&known)).map_or_else(String::new, |slip| slip.to_string())
    }

    #[test]
    fn a_frame_is_cut_at_its_names() {
        let cut: Vec<Part<'_>> = parts(b"a{{b}}{{{c|json}}}").collect();
        let expected = [
            Part::Plain(b"a"),
            Part::Named("b"),
            Part::Plain(b"{"),
            Part::Named("c|json"),
            Part::Plain(b"}"),
        ];
        assert_eq!(cut, expected);
        for plain in [
            "{{",
            "{{}}",
            "{{a",
            "{{a}",
            "{\"a\":{\"b\":1}}",
            "{{\u{7}}}",
        ] {
            let cut: Vec<Part<'_>> = parts(plain.as_bytes()).collect();
            assert_eq!(cut, [Part::Plain(plain.as_bytes())], "{plain}");
        }
        assert_eq!(parts(b"").count(), 0);
    }

    #[test]
    fn a_value_gets_its_width_and_its_length() {
        let place = |word: &str, value: &[u8]| {
            let filter = Filter::parse("", word).unwrap();
            filter.place(value.to_vec()).map(hex::encode)
        };
        assert_eq!(place("pad:4", b"ab").unwrap(), "61622020");
        assert_eq!(place("pad:2", b"ab").unwrap(), "6162");
        assert_eq!(place("zeros:3", b"ab").unwrap(), "616200");
        assert_eq!(place("zeros:1", b"ab"), Err(1));
        assert_eq!(place("prefix_u8", b"ab").unwrap(), "026162");
        assert_eq!(place("prefix_u16be", b"ab").unwrap(), "00026162");
        assert_eq!(place("prefix_u16le", b"ab").unwrap(), "02006162");
        assert_eq!(place("prefix_u32be", b"ab").unwrap(), "000000026162");
        assert_eq!(place("prefix_u8", &[b'x'; 256]), Err(255));
        for (word, _) in FILTERS {
            let word = word.replace('N', "7");
            assert!(Filter::parse("", &word).is_ok(), "{word}");
        }
    }

    #[test]
    fn a_slip_is_told_with_what_was_meant() {
        assert_eq!(told("{{password}} {{session|url}}"), "");
        assert_eq!(
            told("{{pasword}}"),
            "`{{pasword}}` names the secret `pasword`: expected one of [provider.secrets] or of `keep`, known are password, \
             session; did you mean `password`?"
        );
        assert_eq!(
            told("{{password|jsn}}"),
            "`{{password|jsn}}` names the filter `jsn`: known are json, xml, url, base64, pad:N, zeros:N, prefix_u8, \
             prefix_u16be, prefix_u16le, prefix_u32be; did you mean `json`?"
        );
        assert!(told("{{password|u8}}").ends_with("did you mean `prefix_u8`?"));
        assert!(
            told("{{password|pad}}")
                .contains("a width of 1 to 1024 bytes, as in `pad:16`; found `none`")
        );
        for found in ["0", "1025", "-1", "x", ""] {
            let slip = told(&format!("{{{{password|zeros:{found}}}}}"));
            assert!(slip.ends_with(&format!("found `{found}`")), "{slip}");
        }
        assert!(told("{{password|json:1}}").contains("names the filter `json:1`"));
        assert!(told("{{password|pad:9|json}}").contains("one of json, xml, url, base64 at most"));
        assert_eq!(told("{{password|base64|pad:32|prefix_u16be}}"), "");
        assert!(told("{{ password }}").ends_with("did you mean `password`?"));
        assert!(first_slip(b"{{pasword}}", None).is_none(), "nobody knows");
        assert!(first_slip(b"{{pasword|}}", None).is_some());
        let none = first_slip(b"{{x}}", Some(&[])).unwrap().to_string();
        assert!(none.ends_with("known are none"), "{none}");
    }
}
