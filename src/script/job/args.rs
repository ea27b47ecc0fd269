//! `--arg NAME=VALUE` in the type of the script's default.

use serde_json::{Map, Value};

use super::options::JobArg;
use crate::script::error::nearest;
use crate::script::value::{Read, Wrong};

pub fn read(known: &[JobArg], given: &[(String, String)]) -> Read<Value> {
    let mut args = Map::new();
    for arg in known {
        if let Some(default) = &arg.default {
            args.insert(arg.name.clone(), default.clone());
        }
    }
    for (name, text) in given {
        let Some(arg) = known.iter().find(|arg| arg.name == *name) else {
            return Err(unknown(name, known));
        };
        args.insert(name.clone(), typed(arg, text)?);
    }
    let missing = known.iter().find(|arg| !args.contains_key(&arg.name));
    match missing {
        None => Ok(Value::Object(args)),
        Some(arg) => Err(Wrong::new(format!("argument `{}` is missing", arg.name))
            .with_hint(format!("add `--arg {}=VALUE`", arg.name))),
    }
}

fn unknown(name: &str, known: &[JobArg]) -> Wrong {
    let names: Vec<&str> = known.iter().map(|arg| arg.name.as_str()).collect();
    let wrong = Wrong::new(format!("the script has no argument `{name}`"));
    match nearest(name, names.iter().copied()) {
        Some(nearest) => wrong.with_hint(format!("did you mean `{nearest}`?")),
        None if names.is_empty() => wrong.with_hint("it takes none".to_owned()),
        None => wrong.with_hint(format!("known are {}", names.join(", "))),
    }
}

fn typed(arg: &JobArg, text: &str) -> Read<Value> {
    let wrong = |expected: &str| {
        Wrong::new(format!(
            "argument `{}` must be {expected}, found `{text}`",
            arg.name
        ))
    };
    match &arg.default {
        Some(Value::Bool(_)) => match text {
            "true" | "yes" => Ok(Value::Bool(true)),
            "false" | "no" => Ok(Value::Bool(false)),
            _ => Err(wrong("true or false")),
        },
        Some(Value::Number(_)) => text
            .parse::<i64>()
            .map(Value::from)
            .map_err(|_| wrong("a whole number")),
        _ => Ok(Value::String(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn known() -> Vec<JobArg> {
        let arg = |name: &str, default: Option<Value>| JobArg {
            name: name.to_owned(),
            default,
        };
        vec![
            arg("by", Some(json!("serial_number"))),
            arg("resend", Some(json!(false))),
            arg("days", Some(json!(3))),
            arg("product", None),
        ]
    }

    fn with(given: &[(&str, &str)]) -> Read<Value> {
        let given: Vec<_> = given
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        read(&known(), &given)
    }

    #[test]
    fn arguments_have_the_types_of_their_defaults() {
        assert_eq!(
            with(&[("product", "SC"), ("resend", "true"), ("days", "7")]).unwrap(),
            json!({"by": "serial_number", "resend": true, "days": 7, "product": "SC"})
        );
        assert!(with(&[("product", "SC"), ("resend", "perhaps")]).is_err());
        assert!(with(&[("product", "SC"), ("days", "1.5")]).is_err());
    }

    #[test]
    fn a_missing_and_an_unknown_argument_are_named() {
        assert_eq!(
            with(&[]).unwrap_err().message,
            "argument `product` is missing"
        );
        let wrong = with(&[("product", "SC"), ("resent", "true")]).unwrap_err();
        assert_eq!(wrong.hint.as_deref(), Some("did you mean `resend`?"));
    }
}
