//! Between script values and Rust: reading the maps that scripts return, and JSON both ways.
//!
//! `Fields` takes a map apart key by key; what is left over is an unknown key, named with the nearest known one.

use rhai::{Blob, Dynamic, Map};

use super::error::nearest;

/// What is wrong with a returned value; `Program::shape` adds script and function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub message: String,
    pub hint: Option<String>,
}

impl Wrong {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

pub(crate) type Read<T> = Result<T, Wrong>;

/// The keys that `decode` may return.
const KEYS_OF_AN_ANSWER: usize = 8;

/// A map on its way into a Rust type. `path` names it in errors, e.g. `session`.
pub(crate) struct Fields {
    path: &'static str,
    map: Map,
    known: Vec<&'static str>,
}

impl Fields {
    pub(crate) fn of(path: &'static str, value: Dynamic) -> Read<Self> {
        let found = value.type_name();
        match value.try_cast::<Map>() {
            Some(map) => Ok(Self {
                path,
                map,
                known: Vec::with_capacity(KEYS_OF_AN_ANSWER),
            }),
            None => Err(Wrong::new(format!(
                "{path} must be a map, found {}",
                plain(found)
            ))),
        }
    }

    /// Takes a key out; `()` counts as absent.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<Dynamic> {
        self.known.push(key);
        self.map.remove(key).filter(|value| !value.is_unit())
    }

    pub(crate) fn need(&mut self, key: &'static str) -> Read<Dynamic> {
        match self.take(key) {
            Some(value) => Ok(value),
            None => Err(self.missing(key)),
        }
    }

    pub(crate) fn missing(&self, key: &str) -> Wrong {
        let wrong = Wrong::new(format!("{} has no `{key}`", self.path));
        let rest = self.map.keys().map(|key| &**key);
        match nearest(key, rest) {
            Some(found) => wrong.with_hint(format!("`{found}` is there: did you mean `{key}`?")),
            None => wrong,
        }
    }

    /// An error about the value of `key`.
    pub(crate) fn wrong(&self, key: &str, expected: &str, found: &str) -> Wrong {
        Wrong::new(format!(
            "{}.{key} must be {expected}, found {found}",
            self.path
        ))
    }

    pub(crate) fn text(&mut self, key: &'static str) -> Read<Option<String>> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        text_of(&value)
            .map(Some)
            .ok_or_else(|| self.wrong(key, "a text", &show(&value)))
    }

    pub(crate) fn number<T: TryFrom<i64>>(
        &mut self,
        key: &'static str,
        expected: &str,
    ) -> Read<Option<T>> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        value
            .as_int()
            .ok()
            .and_then(|number| T::try_from(number).ok())
            .map(Some)
            .ok_or_else(|| self.wrong(key, expected, &show(&value)))
    }

    pub(crate) fn flag(&mut self, key: &'static str) -> Read<Option<bool>> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        value
            .as_bool()
            .map(Some)
            .map_err(|_| self.wrong(key, "true or false", &show(&value)))
    }

    /// The bytes of a frame: a blob, or a text of printable ASCII.
    pub(crate) fn bytes(&mut self, key: &'static str) -> Read<Option<Vec<u8>>> {
        self.take(key)
            .map(|value| {
                bytes_of(value).map_err(|found| self.wrong(key, "a blob or an ASCII text", &found))
            })
            .transpose()
    }

    /// A map of names and texts; none is an empty one.
    pub(crate) fn texts(&mut self, key: &'static str) -> Read<Vec<(String, String)>> {
        let Some(value) = self.take(key) else {
            return Ok(Vec::new());
        };
        let expected = "a map of names and texts";
        let Some(map) = value.read_lock::<Map>() else {
            return Err(self.wrong(key, expected, &show(&value)));
        };
        map.iter()
            .map(|(name, value)| match text_of(value) {
                Some(text) => Ok((name.to_string(), text)),
                None => Err(self.wrong(key, expected, &show(value))),
            })
            .collect()
    }

    /// Ends the reading: whatever key is left is unknown.
    pub(crate) fn finish(self) -> Read<()> {
        let Some(unknown) = self.map.keys().next() else {
            return Ok(());
        };
        let wrong = Wrong::new(format!("{} has no key `{unknown}`", self.path));
        Err(match nearest(unknown, self.known.iter().copied()) {
            Some(known) => wrong.with_hint(format!("did you mean `{known}`?")),
            None => wrong.with_hint(format!("known are {}", self.known.join(", "))),
        })
    }
}

/// A text or a whole number as text.
pub(crate) fn text_of(value: &Dynamic) -> Option<String> {
    if let Ok(text) = value.as_immutable_string_ref() {
        return Some(text.as_str().to_owned());
    }
    value.as_int().ok().map(|number| number.to_string())
}

pub(crate) fn bytes_of(value: Dynamic) -> Result<Vec<u8>, String> {
    if let Ok(text) = value.as_immutable_string_ref() {
        return if text.is_ascii() {
            Ok(text.as_bytes().to_vec())
        } else {
            Err("a text with other characters".to_owned())
        };
    }
    value
        .try_cast_result::<Blob>()
        .map_err(|value| show(&value))
}

/// A value for an error text: short, with its type.
pub(crate) fn show(value: &Dynamic) -> String {
    let text: String = value.to_string().chars().take(60).collect();
    match value.type_name() {
        "()" => "nothing".to_owned(),
        "string" => format!("`{text}`"),
        other => format!("{} `{text}`", plain(other)),
    }
}

/// rhai's type names in plain words.
fn plain(type_name: &str) -> &str {
    match type_name {
        "()" => "nothing",
        "i64" => "number",
        "f64" => "fraction",
        name if name.ends_with("ImmutableString") => "text",
        name => name,
    }
}

/// JSON into a script value. Null becomes `()`; a number beyond 63 bits becomes its text.
pub(crate) fn from_json(value: &serde_json::Value) -> Dynamic {
    use serde_json::Value;
    match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(flag) => (*flag).into(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => whole.into(),
            (None, Some(fraction)) if number.is_f64() => fraction.into(),
            _ => number.to_string().into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => Dynamic::from_array(items.iter().map(from_json).collect()),
        Value::Object(items) => Dynamic::from_map(
            items
                .iter()
                .map(|(key, item)| (key.as_str().into(), from_json(item)))
                .collect(),
        ),
    }
}

/// A script value into JSON; fails on blobs, functions and other things that JSON has not.
pub(crate) fn to_json(value: &Dynamic) -> Read<serde_json::Value> {
    rhai::serde::from_dynamic(value)
        .map_err(|_| Wrong::new(format!("{} cannot be kept as JSON", show(value))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_comes_back_as_it_went() {
        let value = serde_json::json!({"a": [1, "x", null, true, 1.5], "b": {"c": -3}});
        assert_eq!(to_json(&from_json(&value)).unwrap(), value);
    }

    #[test]
    fn a_left_over_key_is_named_with_its_neighbour() {
        let mut map = Map::new();
        map.insert("windwo".into(), 3_i64.into());
        let mut fields = Fields::of("session", Dynamic::from_map(map)).unwrap();
        assert_eq!(fields.number::<u32>("window", "a number"), Ok(None));
        let wrong = fields.finish().unwrap_err();
        assert_eq!(wrong.message, "session has no key `windwo`");
        assert_eq!(wrong.hint.as_deref(), Some("did you mean `window`?"));
    }
}
