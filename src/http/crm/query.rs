//! The query string of a GET, where an identifier is `name=field=value` and not JSON (490268).

use std::borrow::Cow;

use super::CallError;
use super::value::{MEMBERS_MAX, Members, Value};

/// The parameters, all of them texts.
pub fn parse(query: &str) -> Result<Members, CallError> {
    let mut members = Members::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if members.iter().any(|(known, _)| *known == *name) {
            return Err(CallError::GivenTwice {
                field: super::error::shown(&name),
            });
        }
        if members.len() == MEMBERS_MAX {
            return Err(CallError::TooManyParameters { max: MEMBERS_MAX });
        }
        members.push((
            Cow::Owned(name.into_owned()),
            Value::Text(value.into_owned()),
        ));
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_hold_an_equals_sign() {
        let members = parse("token=T&provisioning_request_identifier=number=18570").unwrap();
        let last = members.last().unwrap();
        assert_eq!(last.0, "provisioning_request_identifier");
        assert_eq!(last.1, Value::Text("number=18570".into()));
        assert!(parse("a=1&a=2").is_err());
    }
}
