//! Secrets and session values: frames name them as `{{name}}`, the lane puts them in when it sends and takes them out of what it hears.
//!
//! So neither a script nor the ledger nor a trace ever holds one. `domain/placeholder.rs` has the syntax.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::domain::Framing;
use crate::domain::framing::find;
use crate::domain::placeholder::{Filter, Part, Placeholder, PlaceholderError, parts};
use crate::transport::{ConnectionError, FramingError};

/// A shorter value stands in too many frames by chance to be taken out of them.
const VEILED_BYTES_MIN: usize = 5;

/// A payload as it goes out.
pub struct Revealed<'a> {
    pub payload: Cow<'a, [u8]>,
    /// How many were put in.
    pub secrets: usize,
}

/// Why a frame cannot be sent. Shows no value.
#[derive(Debug, thiserror::Error)]
pub enum Unsendable {
    #[error(transparent)]
    PlaceholderError(#[from] PlaceholderError),
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}

impl Unsendable {
    /// Whether the same frame may go another time.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Connection(error) if error.may_pass())
    }
}

/// Names and values. Shows no value.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets {
    values: BTreeMap<String, String>,
    /// What to look for, with its name: each value in each of its forms, the longest first, so that none hides in another.
    needles: Vec<(String, String)>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

impl FromIterator<(String, String)> for Secrets {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(values: T) -> Self {
        let mut secrets = Self::default();
        secrets.add(values);
        secrets
    }
}

impl Secrets {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// For the simulator, which must know what it is sent.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &String)> {
        self.values.iter()
    }

    /// Adds values, in place of those of the same name.
    pub fn add(&mut self, values: impl IntoIterator<Item = (String, String)>) {
        self.values.extend(values);
        self.needles = self.needles_of_values();
    }

    /// The frame as it is sent. One that names what is not known is not sent.
    pub fn reveal<'a>(&self, frame: &'a [u8]) -> Result<Revealed<'a>, PlaceholderError> {
        let mut secrets = 0;
        if find(frame, b"{{").is_none() {
            let payload = Cow::Borrowed(frame);
            return Ok(Revealed { payload, secrets });
        }
        let mut payload = Vec::with_capacity(frame.len());
        for part in parts(frame) {
            match part {
                Part::Plain(bytes) => payload.extend_from_slice(bytes),
                Part::Named(inner) => {
                    payload.extend_from_slice(&self.written(inner)?);
                    secrets += 1;
                }
            }
        }
        let payload = Cow::Owned(payload);
        Ok(Revealed { payload, secrets })
    }

    /// As `reveal`, with what the framing computes of the payload as it then is.
    pub fn complete<'a>(
        &self,
        framing: &Framing,
        frame: &'a [u8],
    ) -> Result<Revealed<'a>, Unsendable> {
        let mut revealed = self.reveal(frame)?;
        if let Cow::Owned(payload) = &mut revealed.payload {
            framing
                .complete(payload)
                .map_err(|unfit| ConnectionError::from(FramingError::from(unfit)))?;
        }
        Ok(revealed)
    }

    fn written(&self, inner: &str) -> Result<Vec<u8>, PlaceholderError> {
        let Placeholder { name, filters } = Placeholder::parse(inner)?;
        let Some(value) = self.values.get(name) else {
            let known = self.values.keys().map(String::as_str);
            return Err(Placeholder::unknown(inner, name, known));
        };
        // Those of texts stand first.
        let text = filters.first().and_then(|filter| as_text(*filter, value));
        let mut written = text.unwrap_or_else(|| value.clone()).into_bytes();
        for filter in filters {
            written = filter.place(written).map_err(|bytes_max| {
                let inner = inner.to_owned();
                PlaceholderError::TooLong { inner, bytes_max }
            })?;
        }
        Ok(written)
    }

    fn needles_of_values(&self) -> Vec<(String, String)> {
        let mut needles = Vec::new();
        for (name, value) in &self.values {
            let forms = Filter::OF_TEXTS.map(|filter| as_text(filter, value));
            let forms = forms.into_iter().flatten().chain(other_spellings(value));
            for needle in forms.chain([value.clone()]) {
                if needle.len() >= VEILED_BYTES_MIN && value.len() >= VEILED_BYTES_MIN {
                    needles.push((name.clone(), needle));
                }
            }
        }
        needles.sort_by(|(_, one), (_, other)| {
            let longest_first = other.len().cmp(&one.len());
            longest_first.then_with(|| one.cmp(other))
        });
        needles.dedup();
        needles
    }

    /// A text as it is recorded or shown.
    pub fn veil_text(&self, text: &str) -> String {
        if self.needles.is_empty() {
            return text.to_owned();
        }
        String::from_utf8_lossy(&self.veil(text.as_bytes().to_vec())).into_owned()
    }

    /// The frame as it is recorded: each value as its name.
    pub fn veil(&self, frame: Vec<u8>) -> Vec<u8> {
        let mut told = frame;
        for (name, value) in &self.needles {
            let value = value.as_bytes();
            let mut from = 0;
            while let Some(at) = told.get(from..).and_then(|rest| find(rest, value)) {
                let at = from + at;
                let mark = format!("{{{{{name}}}}}");
                told.splice(at..at + value.len(), mark.bytes());
                from = at + mark.len();
            }
        }
        told
    }
}

/// A value as a kind of text wants it; none for what is no kind of text.
fn as_text(filter: Filter, value: &str) -> Option<String> {
    Some(match filter {
        Filter::Json => {
            let quoted = serde_json::Value::from(value).to_string();
            let inside = quoted.len().saturating_sub(1);
            quoted.get(1..inside).unwrap_or_default().to_owned()
        }
        Filter::Xml => quick_xml::escape::escape(value).into_owned(),
        Filter::Url => form_urlencoded::byte_serialize(value.as_bytes()).collect(),
        Filter::Base64 => STANDARD.encode(value),
        Filter::Pad(_) | Filter::Zeros(_) | Filter::Prefix(..) => return None,
    })
}

/// As other writers of JSON, percent codes and hexadecimal spell it.
fn other_spellings(value: &str) -> Vec<String> {
    let json = as_text(Filter::Json, value).unwrap_or_default();
    let as_code = |character: char| match character {
        '=' | '&' | '<' | '>' | '\'' => format!("\\u{:04x}", u32::from(character)),
        other => other.to_string(),
    };
    let url = as_text(Filter::Url, value).unwrap_or_default();
    let mut after_percent = 0;
    let lower_case = |character: char| {
        let is_digit = after_percent > 0;
        after_percent = match character {
            '%' => 2,
            _ => i32::max(after_percent - 1, 0),
        };
        if is_digit {
            character.to_ascii_lowercase()
        } else {
            character
        }
    };
    let lower_url: String = url.chars().map(lower_case).collect();
    vec![
        json.replace('/', "\\/"),
        json.chars().map(as_code).collect(),
        url.replace('+', "%20"),
        lower_url.replace('+', "%20"),
        lower_url,
        hex::encode(value),
        hex::encode_upper(value),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        [("password", "a\"&b c"), ("token", "T-1234")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into_iter()
            .collect()
    }

    fn reveal(frame: &str) -> String {
        let sent = secrets()
            .reveal(frame.as_bytes())
            .unwrap()
            .payload
            .into_owned();
        String::from_utf8(sent).unwrap()
    }

    #[test]
    fn values_are_put_in_as_their_place_wants_them() {
        assert_eq!(reveal("x={{token}};{{token}}"), "x=T-1234;T-1234");
        assert_eq!(reveal("{{password}}"), "a\"&b c");
        assert_eq!(reveal("\"{{password|json}}\""), "\"a\\\"&b c\"");
        assert_eq!(reveal("<p>{{password|xml}}</p>"), "<p>a&quot;&amp;b c</p>");
        assert_eq!(reveal("p={{password|url}}"), "p=a%22%26b+c");
        assert_eq!(reveal("{{token|base64}}"), "VC0xMjM0");
        assert_eq!(
            reveal("{{token|pad:8}}{{token|prefix_u8}}."),
            "T-1234  \u{6}T-1234."
        );
        assert_eq!(reveal("{{token|base64|prefix_u8}}"), "\u{8}VC0xMjM0");
        assert_eq!(reveal("{\"a\":{{{token}}}}"), "{\"a\":{T-1234}}");
        for plain in ["{{token", "{}", "{{}}"] {
            assert_eq!(reveal(plain), plain);
        }
    }

    #[test]
    fn what_a_cas_repeats_is_veiled_however_it_spells_it() {
        let value = "ab/cd+e f==";
        let secrets: Secrets = [("session".to_owned(), value.to_owned())]
            .into_iter()
            .collect();
        for spelling in [
            value,
            "ab\\/cd+e f==",
            "ab/cd+e f\\u003d\\u003d",
            "ab%2Fcd%2Be+f%3D%3D",
            "ab%2fcd%2be+f%3d%3d",
            "ab%2Fcd%2Be%20f%3D%3D",
            "ab%2fcd%2be%20f%3d%3d",
            "YWIvY2QrZSBmPT0=",
            "61622f63642b6520663d3d",
            "61622F63642B6520663D3D",
        ] {
            let told = secrets.veil_text(&format!("[{spelling}]"));
            assert_eq!(told, "[{{session}}]", "{spelling}");
        }
    }

    #[test]
    fn a_frame_that_names_what_is_not_known_is_not_sent() {
        for (frame, why) in [
            (
                "{{tokn}}",
                "known are password, token; did you mean `token`?",
            ),
            ("x {{{{token|rot13}}", "known are json, xml, url, base64"),
            (
                "{{token|pad:5}}",
                "too long for it: expected at most 5 bytes",
            ),
        ] {
            let error = secrets()
                .reveal(frame.as_bytes())
                .err()
                .unwrap()
                .to_string();
            assert!(error.contains(why) && !error.contains("T-1234"), "{error}");
        }
        let error = Secrets::default().reveal(b"{{token}}").err().unwrap();
        assert!(error.to_string().ends_with("known are none"), "{error}");
    }

    #[test]
    fn the_framing_counts_what_is_sent() {
        let framing = Framing::Header {
            size: 4,
            len_at: 2,
            len_bytes: 2,
            endian: crate::domain::Endian::Big,
            adjust: 0,
            magic: vec![7],
            max: 64,
        };
        let frame = b"\x07\x01\0\x0a{{token|prefix_u8}}";
        let sent = secrets().complete(&framing, frame).ok().unwrap();
        assert_eq!(sent.payload.as_ref(), b"\x07\x01\0\x07\x06T-1234");
        assert_eq!(sent.secrets, 1);
        let fixed = Framing::Fixed { size: 8 };
        let sent = secrets()
            .complete(&fixed, b"{{token|zeros:8}}")
            .ok()
            .unwrap();
        assert_eq!(sent.payload.as_ref(), b"T-1234\0\0");
        assert!(secrets().complete(&fixed, b"{{token}}").is_err());
    }

    #[test]
    fn what_is_recorded_holds_no_value() {
        let told = secrets().veil(b"token=T-1234, again T-1234".to_vec());
        assert_eq!(told, b"token={{token}}, again {{token}}");
        let json = secrets().veil(br#"{"p":"a\"&b c","t":"VC0xMjM0"}"#.to_vec());
        assert_eq!(json, br#"{"p":"{{password}}","t":"{{token}}"}"#);
        let last: Secrets = [("p".to_owned(), "ab\"cd\"".to_owned())]
            .into_iter()
            .collect();
        assert_eq!(
            last.reveal(b"{{p|json}}").unwrap().payload.as_ref(),
            br#"ab\"cd\""#
        );
        assert_eq!(format!("{:?}", secrets()), "{\"password\", \"token\"}");
    }
}
