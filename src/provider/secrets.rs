//! Secrets and session values: frames name them as `{{name}}`, the lane puts them in when it sends and takes them out of what it hears.
//!
//! So neither a script nor the ledger nor a trace ever holds one. `{{name|json}}`, `|xml`, `|url` and `|base64` write it as these want it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::domain::Framing;
use crate::domain::framing::find;
use crate::transport::{ConnectionError, FramingError};

const OPEN: &[u8] = b"{{";
const CLOSE: &[u8] = b"}}";
/// A shorter value stands in too many frames by chance to be taken out of them.
const VEILED_BYTES_MIN: usize = 5;
/// How a name may be written, and so a value.
const FORMS: [&str; 5] = ["", "|json", "|xml", "|url", "|base64"];
const NAME_BYTES_MAX: usize = 64;

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

    /// The frame as it is sent. What names no known value stays as it is.
    pub fn reveal<'a>(&self, frame: &'a [u8]) -> Cow<'a, [u8]> {
        if self.values.is_empty() || find(frame, OPEN).is_none() {
            return Cow::Borrowed(frame);
        }
        let mut sent = Vec::with_capacity(frame.len());
        let mut rest = frame;
        while let Some(at) = find(rest, OPEN) {
            let (before, from) = rest.split_at(at);
            sent.extend_from_slice(before);
            let inner = from.get(OPEN.len()..).unwrap_or_default();
            let looked_at = inner.get(..NAME_BYTES_MAX).unwrap_or(inner);
            let named = find(looked_at, CLOSE).and_then(|end| Some((end, inner.get(..end)?)));
            let value = named.and_then(|(end, name)| Some((end, self.written(name)?)));
            if let Some((end, value)) = value {
                sent.extend_from_slice(value.as_bytes());
                rest = inner.get(end + CLOSE.len()..).unwrap_or_default();
            } else {
                sent.extend_from_slice(OPEN);
                rest = inner;
            }
        }
        sent.extend_from_slice(rest);
        Cow::Owned(sent)
    }

    /// As `reveal`, with what the framing computes of the payload as it then is.
    pub fn complete<'a>(
        &self,
        framing: &Framing,
        frame: &'a [u8],
    ) -> Result<Cow<'a, [u8]>, ConnectionError> {
        match self.reveal(frame) {
            Cow::Borrowed(frame) => Ok(Cow::Borrowed(frame)),
            Cow::Owned(mut frame) => {
                framing.complete(&mut frame).map_err(FramingError::from)?;
                Ok(Cow::Owned(frame))
            }
        }
    }

    fn written(&self, name: &[u8]) -> Option<String> {
        let name = std::str::from_utf8(name).ok()?;
        let (name, form) = name.split_once('|').unwrap_or((name, ""));
        let value = self.values.get(name)?;
        Some(match form {
            "" => value.clone(),
            "json" => {
                let quoted = serde_json::Value::from(value.as_str()).to_string();
                let inside = quoted.len().saturating_sub(1);
                quoted.get(1..inside).unwrap_or_default().to_owned()
            }
            "xml" => quick_xml::escape::escape(value.as_str()).into_owned(),
            "url" => form_urlencoded::byte_serialize(value.as_bytes()).collect(),
            "base64" => STANDARD.encode(value),
            _ => return None,
        })
    }

    fn needles_of_values(&self) -> Vec<(String, String)> {
        let mut needles = Vec::new();
        for (name, value) in &self.values {
            let forms = FORMS.map(|form| self.written(format!("{name}{form}").as_bytes()));
            for needle in forms.into_iter().flatten() {
                if needle.len() >= VEILED_BYTES_MIN && value.len() >= VEILED_BYTES_MIN {
                    needles.push((name.clone(), needle));
                }
            }
        }
        needles.sort_by_key(|(_, needle)| std::cmp::Reverse(needle.len()));
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
        String::from_utf8(secrets().reveal(frame.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn values_are_put_in_as_their_place_wants_them() {
        assert_eq!(reveal("x={{token}};{{token}}"), "x=T-1234;T-1234");
        assert_eq!(reveal("{{password}}"), "a\"&b c");
        assert_eq!(reveal("\"{{password|json}}\""), "\"a\\\"&b c\"");
        assert_eq!(reveal("<p>{{password|xml}}</p>"), "<p>a&quot;&amp;b c</p>");
        assert_eq!(reveal("p={{password|url}}"), "p=a%22%26b+c");
        assert_eq!(reveal("{{token|base64}}"), "VC0xMjM0");
        for unknown in ["{{nothing}}", "{{token", "{{{{token|rot13}}", "{}", "{{}}"] {
            assert_eq!(reveal(unknown), unknown);
        }
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
        assert_eq!(last.reveal(b"{{p|json}}").as_ref(), br#"ab\"cd\""#);
        assert_eq!(format!("{:?}", secrets()), "{\"password\", \"token\"}");
    }
}
