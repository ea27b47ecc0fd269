//! The parameters of one call, from a body or a query string, read by name and type.
//!
//! `null` is absent everywhere. A wrong type is an error that names the field and both types; texts of a query string stand
//! for identifiers (`field=value`) too.

use std::borrow::Cow;

use super::CallError;
use super::error::shown;
use super::value::{Members, Value};

/// Longest value of an identifier, in bytes; nothing that we keep is longer.
const IDENTIFIER_BYTES_MAX: usize = 255;

#[derive(Clone, Debug, Default)]
pub struct Parameters {
    members: Members,
}

impl Parameters {
    pub fn new(members: Members) -> Self {
        Self { members }
    }

    /// Every name that was given, nulls too.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|(name, _)| name.as_ref())
    }

    pub fn text(&self, name: &'static str) -> Result<Option<&str>, CallError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(other) => Err(wrong_type(name, "a string", other)),
        }
    }

    pub fn need_text(&self, name: &'static str) -> Result<&str, CallError> {
        self.text(name)?.ok_or(CallError::Missing {
            field: name.to_owned(),
            expected: "a string",
        })
    }

    /// `true` and `"true"`, `false` and `"false"`.
    pub fn flag(&self, name: &'static str) -> Result<Option<bool>, CallError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Flag(flag)) => Ok(Some(*flag)),
            Some(Value::Text(text)) => match text.as_str() {
                "true" => Ok(Some(true)),
                "false" => Ok(Some(false)),
                other => Err(wrong_value(name, "`true` or `false`", other)),
            },
            Some(other) => Err(wrong_type(name, "a boolean", other)),
        }
    }

    /// A whole number, as digits or as a number.
    pub fn whole(&self, name: &'static str) -> Result<Option<u64>, CallError> {
        let text = match self.get(name) {
            None => return Ok(None),
            Some(Value::Text(text)) => Cow::Borrowed(text.as_str()),
            Some(Value::Number(number)) => Cow::Owned(number.to_string()),
            Some(other) => return Err(wrong_type(name, "a whole number", other)),
        };
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(number) if is_plain => Ok(Some(number)),
            _ => Err(wrong_value(name, "a whole number", &text)),
        }
    }

    /// The one of `allowed` that names the thing, with its value. Absent: none; `{}`, empty or null-only: an error.
    pub fn identifier(
        &self,
        name: &'static str,
        allowed: &'static [&'static str],
    ) -> Result<Option<(&'static str, &str)>, CallError> {
        let given: Vec<(&'static str, &str)> = match self.get(name) {
            None => return Ok(None),
            Some(Value::Object(members)) => members_of(name, allowed, members)?,
            Some(Value::Text(text)) => match text.split_once('=') {
                Some((field, value)) => named(allowed, field)
                    .map(|field| (field, value))
                    .into_iter()
                    .collect(),
                None if text.is_empty() => Vec::new(),
                None => {
                    let expected = "an identifier (an object in a body, `field=value` in a query)";
                    return Err(wrong_type(name, expected, &Value::Text(text.clone())));
                }
            },
            Some(other) => return Err(wrong_type(name, "an identifier object", other)),
        };
        let (field, value) = match given.as_slice() {
            [one] => *one,
            [] => {
                return Err(CallError::IdentifierEmpty {
                    field: name.to_owned(),
                    allowed: quoted(allowed.iter().copied()),
                });
            }
            several => {
                return Err(CallError::IdentifierSeveral {
                    field: name.to_owned(),
                    allowed: quoted(allowed.iter().copied()),
                    found: quoted(several.iter().map(|(field, _)| *field)),
                });
            }
        };
        let full = || format!("{name}.{field}");
        if value.is_empty() {
            return Err(CallError::WrongType {
                field: full(),
                expected: "a value",
                found: "an empty string",
            });
        }
        if value.len() > IDENTIFIER_BYTES_MAX {
            return Err(CallError::WrongValue {
                field: full(),
                expected: format!("at most {IDENTIFIER_BYTES_MAX} bytes"),
                found: shown(value),
            });
        }
        Ok(Some((field, value)))
    }

    /// A list of objects, each to be read as parameters of its own.
    pub fn rows(&self, name: &'static str) -> Result<Option<Vec<Parameters>>, CallError> {
        let values = match self.get(name) {
            None => return Ok(None),
            Some(Value::List(values)) => values,
            Some(other) => return Err(wrong_type(name, "a list of objects", other)),
        };
        let row = |(at, value): (usize, &Value)| match value {
            Value::Object(members) => Ok(Self::new(members.clone())),
            other => Err(wrong_type(&format!("{name}[{at}]"), "an object", other)),
        };
        let rows = values.iter().enumerate().map(row);
        rows.collect::<Result<Vec<_>, _>>().map(Some)
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.members
            .iter()
            .find(|(known, _)| *known == *name)
            .map(|(_, value)| value)
            .filter(|value| **value != Value::Null)
    }
}

/// A value that is of the right type and says nothing that can be meant.
pub fn wrong_value(name: &str, expected: &str, found: &str) -> CallError {
    CallError::WrongValue {
        field: name.to_owned(),
        expected: expected.to_owned(),
        found: shown(found),
    }
}

fn wrong_type(name: &str, expected: &'static str, found: &Value) -> CallError {
    CallError::WrongType {
        field: name.to_owned(),
        expected,
        found: found.type_name(),
    }
}

fn members_of<'a>(
    name: &str,
    allowed: &'static [&'static str],
    members: &'a Members,
) -> Result<Vec<(&'static str, &'a str)>, CallError> {
    let mut given = Vec::new();
    for (key, value) in members {
        let Some(field) = named(allowed, key) else {
            continue;
        };
        match value {
            Value::Null => {}
            Value::Text(text) => given.push((field, text.as_str())),
            other => {
                return Err(CallError::WrongType {
                    field: format!("{name}.{field}"),
                    expected: "a string",
                    found: other.type_name(),
                });
            }
        }
    }
    Ok(given)
}

fn named(allowed: &'static [&'static str], field: &str) -> Option<&'static str> {
    allowed.iter().copied().find(|known| *known == field)
}

fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::{body, query};
    use super::*;

    const ALLOWED: &[&str] = &["id", "serial_number"];

    fn of_body(text: &str) -> Parameters {
        Parameters::new(body::parse(text.as_bytes()).unwrap())
    }

    fn identifier(text: &str) -> String {
        let parameters = of_body(text);
        match parameters.identifier("card", ALLOWED) {
            Ok(Some((field, value))) => format!("{field}={value}"),
            Ok(None) => "absent".into(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn an_identifier_is_exactly_one_of_its_fields() {
        let none = "field `card`: expected exactly one of `id`, `serial_number`, found none";
        let cases = [
            (r#"{"card":{"serial_number":"0190"}}"#, "serial_number=0190"),
            (
                r#"{"card":{"serial_number":"0190","id":null}}"#,
                "serial_number=0190",
            ),
            (r"{}", "absent"),
            (r#"{"card":null}"#, "absent"),
            (r#"{"card":{}}"#, none),
            (r#"{"card":""}"#, none),
            (r#"{"card":{"id":null}}"#, none),
            (r#"{"card":{"serialnumber":"1"}}"#, none),
            (
                r#"{"card":{"serial_number":""}}"#,
                "field `card.serial_number`: expected a value, found an empty string",
            ),
            (
                r#"{"card":{"serial_number":1,"id":"a"}}"#,
                "field `card.serial_number`: expected a string, found a number",
            ),
            (
                r#"{"card":{"serial_number":"1","id":"a"}}"#,
                "field `card`: expected exactly one of `id`, `serial_number`, found `serial_number`, `id`",
            ),
            (
                r#"{"card":[]}"#,
                "field `card`: expected an identifier object, found a list",
            ),
        ];
        for (body, expected) in cases {
            assert_eq!(identifier(body), expected, "{body}");
        }
    }

    #[test]
    fn a_query_names_things_by_field_and_value() {
        let parameters = Parameters::new(query::parse("card=serial_number=0%3D190").unwrap());
        assert_eq!(
            parameters.identifier("card", ALLOWED),
            Ok(Some(("serial_number", "0=190")))
        );
    }

    #[test]
    fn flags_are_booleans_or_their_words() {
        let parameters = of_body(r#"{"a":true,"b":"false","c":null,"d":"yes","e":1}"#);
        assert_eq!(parameters.flag("a"), Ok(Some(true)));
        assert_eq!(parameters.flag("b"), Ok(Some(false)));
        assert_eq!(parameters.flag("c"), Ok(None));
        assert_eq!(
            parameters.flag("d").unwrap_err().to_string(),
            "field `d`: expected `true` or `false`, found `yes`"
        );
        assert_eq!(
            parameters.flag("e").unwrap_err().to_string(),
            "field `e`: expected a boolean, found a number"
        );
    }
}
