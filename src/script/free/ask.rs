//! How an argument of a script becomes a part of a verb's ask.

use rhai::Dynamic;
use serde_json::{Value, json};

use crate::script::job::{NamedBy, named};
use crate::script::value::{show, text_of, to_json};

/// How an argument becomes a part of the ask.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Parameter {
    /// The ask is the item itself.
    Item,
    /// The ask is the subscription itself.
    Subscription,
    /// The ask is the request itself.
    Request,
    /// The ask is the number itself.
    Number,
    /// A field of the ask that names an item.
    ItemField(&'static str),
    RequestField(&'static str),
    TextField(&'static str),
    NumberField(&'static str),
    FlagField(&'static str),
    /// A field whose value is the argument as it is.
    MapsField(&'static str),
    /// A map over these defaults.
    Options(&'static str),
}

pub(super) enum Part {
    Whole(Value),
    Field(&'static str, Value),
    Fields(Value),
}

impl Parameter {
    pub fn name(self) -> &'static str {
        match self {
            Self::Item => "item",
            Self::Subscription => "subscription",
            Self::Request => "request",
            Self::Number => "number",
            Self::Options(_) => "options",
            Self::ItemField(name)
            | Self::RequestField(name)
            | Self::TextField(name)
            | Self::NumberField(name)
            | Self::FlagField(name)
            | Self::MapsField(name) => name,
        }
    }

    pub fn part(self, argument: &Dynamic) -> Result<Part, String> {
        let text = |what: &str| {
            text_of(argument).ok_or_else(|| {
                let found = show(argument);
                format!("expected {what}, found {found}")
            })
        };
        Ok(match self {
            Self::Item => Part::Whole(item(argument)?),
            Self::Subscription => Part::Whole(json!({"number": text("a subscription's number")?})),
            Self::Request => Part::Whole(request(&text("a request's number")?)),
            Self::Number => Part::Whole(number(argument)?),
            Self::ItemField(name) => Part::Field(name, item(argument)?),
            Self::RequestField(name) => Part::Field(name, request(&text("a request's number")?)),
            Self::TextField(name) => Part::Field(name, text("a text")?.into()),
            Self::NumberField(name) => Part::Field(name, number(argument)?),
            Self::FlagField(name) => {
                let flag = argument.as_bool();
                let flag =
                    flag.map_err(|found| format!("expected true or false, found {found}"))?;
                Part::Field(name, flag.into())
            }
            Self::MapsField(name) => {
                let value = to_json(argument).map_err(|wrong| wrong.message)?;
                Part::Field(name, value)
            }
            Self::Options(defaults) => Part::Fields(options(defaults, Some(argument))?),
        })
    }
}

/// A text is a serial number; `named(by, value)` anything else.
fn item(argument: &Dynamic) -> Result<Value, String> {
    let named = named("the item", argument).map_err(|wrong| wrong.message)?;
    let by = NamedBy::ALL.into_iter().find(|(_, by)| *by == named.by);
    Ok(json!({ by.map_or("serial_number", |(word, _)| word): named.value }))
}

fn request(text: &str) -> Value {
    match text.parse::<u64>() {
        Ok(number) => json!({ "number": number }),
        Err(_) => json!({ "id": text }),
    }
}

fn number(argument: &Dynamic) -> Result<Value, String> {
    let number = argument.as_int().ok().filter(|number| *number >= 0);
    let found = || show(argument);
    let number = number.ok_or_else(|| format!("expected a number, found {}", found()))?;
    Ok(number.into())
}

/// The given keys over the defaults; only known keys.
pub(super) fn options(defaults: &str, given: Option<&Dynamic>) -> Result<Value, String> {
    let mut all: Value = serde_json::from_str(defaults).unwrap_or(Value::Null);
    let Some(given) = given else {
        return Ok(all);
    };
    let Value::Object(given) = to_json(given).map_err(|wrong| wrong.message)? else {
        return Err("expected a map of options".to_owned());
    };
    for (key, value) in given {
        let Some(slot) = all.get_mut(&key) else {
            let known: Vec<&str> = all
                .as_object()
                .into_iter()
                .flat_map(|known| known.keys().map(String::as_str))
                .collect();
            return Err(format!("no option `{key}`: known are {}", known.join(", ")));
        };
        *slot = value;
    }
    if let Some(subscription) = all.get_mut("subscription")
        && let Some(text) = subscription.as_str().map(str::to_owned)
    {
        *subscription = json!({ "number": text });
    }
    Ok(all)
}

pub(super) fn merge(ask: &mut Value, more: Value) {
    if let (Value::Object(ask), Value::Object(more)) = (ask, more) {
        ask.extend(more);
    }
}
