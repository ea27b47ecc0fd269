//! `GET /openapi.json`: what this API is, for programs and for whoever writes a client. Outside of the CRM's paths.
//!
//! The document is written by hand and the tests below hold it to the code: a method, a field or a code that is added in one
//! of them only does not pass. `tests/it/openapi.rs` holds real answers to it.

use std::sync::Arc;

use super::super::answer::Answer;
use super::super::api::Api;
use super::super::reply::Reply;
use super::Call;

/// The document as it stands in the source tree.
pub const DOCUMENT: &str = include_str!("../openapi.json");

pub const FIELDS: &[&str] = &[];

/// Answers the document itself, without the envelope.
pub fn document(_: &Arc<Api>, _: &Call, reply: Reply) {
    reply.send(Answer::new(200, DOCUMENT.as_bytes().to_vec()));
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::codes;
    use super::super::route::{BASE, Need, ROUTES, Route, Verb};
    use super::super::token::allowed;
    use super::*;

    fn read() -> Value {
        serde_json::from_str(DOCUMENT).unwrap()
    }

    /// `GET /path` for what the document and the table name.
    fn named(verb: &str, path: &str) -> String {
        format!("{} {path}", verb.to_uppercase())
    }

    fn path_of(route: &Route) -> String {
        if route.path.starts_with('/') {
            route.path.to_owned()
        } else {
            format!("{BASE}{}", route.path)
        }
    }

    fn operation<'a>(document: &'a Value, route: &Route) -> &'a Value {
        let verb = route.verb.word().to_lowercase();
        &document["paths"][path_of(route)][verb]
    }

    /// What stands at a reference, or the value itself.
    fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(place) => document.pointer(place.trim_start_matches('#')).unwrap(),
            None => value,
        }
    }

    fn texts(list: &Value) -> Vec<&str> {
        let list = list.as_array().into_iter().flatten();
        list.map(|text| text.as_str().unwrap()).collect()
    }

    #[test]
    fn the_document_has_the_methods_of_the_table_and_no_others() {
        let document = read();
        let mut told: Vec<String> = Vec::new();
        for (path, verbs) in document["paths"].as_object().unwrap() {
            told.extend(
                verbs
                    .as_object()
                    .unwrap()
                    .keys()
                    .map(|verb| named(verb, path)),
            );
        }
        let mut served: Vec<String> = ROUTES
            .iter()
            .map(|route| named(route.verb.word(), &path_of(route)))
            .collect();
        told.sort_unstable();
        served.sort_unstable();
        assert_eq!(told, served);
    }

    #[test]
    fn each_method_has_the_fields_roles_and_body_of_its_row() {
        let document = read();
        for route in ROUTES {
            let operation = operation(&document, route);
            let roles: Vec<&str> = allowed(route.need)
                .iter()
                .map(|role| role.as_str())
                .collect();
            assert_eq!(texts(&operation["x-roles"]), roles, "{}", route.path);
            let parameters: Vec<&Value> = operation["parameters"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|parameter| resolved(&document, parameter))
                .collect();
            let of_place = |place: &str| -> Vec<&str> {
                let is_there = |parameter: &&&Value| parameter["in"] == place;
                let there = parameters.iter().filter(is_there);
                there
                    .map(|parameter| parameter["name"].as_str().unwrap())
                    .collect()
            };
            let has_family = route.path.contains("{family}");
            assert_eq!(of_place("path").len(), usize::from(has_family));
            let mut fields = match route.verb {
                Verb::Get => of_place("query"),
                Verb::Post => {
                    let body = &operation["requestBody"];
                    let is_needed = body["required"].as_bool().unwrap();
                    assert!(is_needed || route.takes_empty_body, "{}", route.path);
                    let schema = &body["content"]["application/json"]["schema"];
                    let properties = schema["properties"].as_object().unwrap();
                    properties.keys().map(String::as_str).collect()
                }
            };
            let has_token = fields.contains(&"token");
            assert!(has_token || route.need == Need::Nobody, "{}", route.path);
            fields.retain(|field| *field != "token");
            let mut known = route.fields.to_vec();
            fields.sort_unstable();
            known.sort_unstable();
            assert_eq!(fields, known, "{}", route.path);
        }
    }

    #[test]
    fn every_code_is_told_with_its_sentence_and_status() {
        let document = read();
        let told: Vec<(&str, &str, u64)> = document["components"]["schemas"]["ErrorCode"]["oneOf"]
            .as_array()
            .unwrap()
            .iter()
            .map(|code| {
                let text = |key: &str| code[key].as_str().unwrap();
                let status = code["x-rest-status"].as_u64().unwrap();
                (text("const"), text("description"), status)
            })
            .collect();
        let names: Vec<String> = codes::TABLE.iter().map(codes::Invented::text).collect();
        let ours: Vec<(&str, &str, u64)> = codes::TABLE
            .iter()
            .zip(&names)
            .map(|(row, name)| (name.as_str(), row.description, u64::from(row.rest_status)))
            .collect();
        assert_eq!(told, ours);
    }

    #[test]
    fn the_document_is_of_this_release() {
        assert_eq!(read()["info"]["version"], env!("CARGO_PKG_VERSION"));
    }
}
