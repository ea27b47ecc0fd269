//! Documents of HTTP gateways: JSON, XML and forms, to and from script values.

use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::Event;
use rhai::{Dynamic, Engine, ImmutableString, Map};

use super::{Native, fail};
use crate::script::value::{from_json, text_of, to_json};

/// Elements within elements.
const XML_DEPTH_MAX: usize = 64;

pub(super) fn register(engine: &mut Engine) {
    engine.register_fn("json", |text: ImmutableString| -> Native<Dynamic> {
        match serde_json::from_str(&text) {
            Ok(value) => Ok(from_json(&value)),
            Err(error) => fail(format!("no JSON: {error}")),
        }
    });
    // What a CAS sends may be anything: `decode` asks first.
    engine.register_fn("is_json", |text: ImmutableString| {
        serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok()
    });
    engine.register_fn("to_json", |value: Dynamic| -> Native<String> {
        match to_json(&value) {
            Ok(value) => Ok(value.to_string()),
            Err(wrong) => fail(wrong.message),
        }
    });
    engine.register_fn("xml_escape", |text: ImmutableString| {
        quick_xml::escape::escape(text.as_str()).into_owned()
    });
    engine.register_fn(
        "xml_text",
        |text: ImmutableString, path: ImmutableString| {
            xml_text(&text, &path).map_or(Dynamic::UNIT, Into::into)
        },
    );
    engine.register_fn("form", |fields: Map| -> Native<String> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        for (name, value) in fields {
            let Some(value) = text_of(&value) else {
                return fail(format!("the field `{name}` is no text"));
            };
            form.append_pair(&name, &value);
        }
        Ok(form.finish())
    });
}

fn add(found: &mut Option<String>, part: &str) {
    if let Some(found) = found {
        found.push_str(part);
    }
}

/// The text of the first element at `path`, local names with `/` between them, e.g. `Envelope/Body/Fault/faultstring`; none if there
/// is none, or the text is no XML until there. No entity is fetched, none but the five of XML is known.
fn xml_text(text: &str, path: &str) -> Option<String> {
    let wanted: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
    let mut reader = Reader::from_str(text);
    let mut depth = 0_usize;
    // How many elements of the way down match.
    let mut matched = 0_usize;
    let mut found: Option<String> = None;
    loop {
        match reader.read_event().ok()? {
            Event::Start(element) => {
                depth += 1;
                if depth > XML_DEPTH_MAX {
                    return None;
                }
                let name = element.local_name();
                let is_next = matched + 1 == depth
                    && wanted
                        .get(matched)
                        .is_some_and(|want| *want == name.as_ref());
                if is_next {
                    matched += 1;
                }
                if is_next && matched == wanted.len() {
                    found = Some(String::new());
                }
            }
            Event::Empty(element) => {
                let name = element.local_name();
                let is_last = matched == depth && matched + 1 == wanted.len();
                if found.is_none() && is_last && wanted.last() == Some(&name.as_ref()) {
                    return Some(String::new());
                }
            }
            Event::End(_) => {
                if found.is_some() && depth == wanted.len() {
                    return found.map(|text| text.trim().to_owned());
                }
                matched = matched.min(depth.saturating_sub(1));
                depth = depth.saturating_sub(1);
            }
            Event::Text(part) if depth == wanted.len() => add(&mut found, &part),
            Event::CData(part) if depth == wanted.len() => add(&mut found, &part),
            Event::GeneralRef(name) if depth == wanted.len() => {
                let character = match name.resolve_char_ref().ok()? {
                    Some(character) => character.to_string(),
                    None => resolve_xml_entity(&name)?.to_owned(),
                };
                add(&mut found, &character);
            }
            Event::Eof => return None,
            _ => {}
        }
    }
}
