//! The OpenAPI document against what a server really answers, and against itself. Whether it names all methods, fields and
//! codes is asked where they are, in `http/crm/openapi.rs`.

use std::fs;
use std::path::Path;

use pairbox::access::Role;
use serde_json::{Value, json};

use super::http_scene::Scene;

const DOCUMENT: &str = include_str!("../../src/http/openapi.json");
const GOLDEN: &str = "tests/it/golden/http";
/// Which schema the data of a golden answer has.
const SCHEMAS: [(&str, &str); 17] = [
    ("immediate_completed", "ProvisioningRequest"),
    ("item_created", "InstalledItem"),
    ("item_shown", "InstalledItemMembers"),
    ("items_listed", "InstalledItems"),
    ("list", "ProvisioningRequests"),
    ("list_of_none", "ProvisioningRequests"),
    ("login", "Token"),
    ("pair_accepted", "ProvisioningRequest"),
    ("products_accepted", "ProvisioningRequest"),
    ("rejected_by_the_cas", "ProvisioningRequest"),
    ("release", "Nothing"),
    ("show", "ProvisioningRequestMembers"),
    ("show_fields_set", "ProvisioningRequestMembers"),
    ("subscription_created", "Subscription"),
    ("subscription_shown", "SubscriptionMembers"),
    ("subscriptions_listed", "Subscriptions"),
    ("unpair_accepted", "ProvisioningRequest"),
];

fn document() -> Value {
    serde_json::from_str(DOCUMENT).unwrap()
}

/// Everything that is wrong with a value by the schema at a place in the document.
fn faults(document: &Value, place: &str, value: &Value) -> Vec<String> {
    let schema = json!({
        "$ref": format!("#{place}"),
        "paths": document["paths"],
        "components": document["components"],
    });
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors = validator.iter_errors(value);
    errors
        .map(|error| format!("{place}: {error} at `{}`", error.instance_path()))
        .collect()
}

/// Every place that holds a schema with its examples beside it or in it.
fn examples(place: &str, value: &Value, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(members) => {
            let schema = format!("{place}/schema");
            if members.contains_key("schema") {
                found.extend(
                    members
                        .get("example")
                        .map(|one| (schema.clone(), one.clone())),
                );
                let named = members.get("examples").and_then(Value::as_object);
                for example in named.into_iter().flat_map(|named| named.values()) {
                    found.push((schema.clone(), example["value"].clone()));
                }
            }
            let of_schema = members.get("examples").and_then(Value::as_array);
            for example in of_schema.into_iter().flatten() {
                found.push((place.to_owned(), example.clone()));
            }
            if let Some(default) = members.get("default") {
                found.push((place.to_owned(), default.clone()));
            }
            for (key, member) in members {
                if !["example", "examples"].contains(&key.as_str()) {
                    let key = key.replace('~', "~0").replace('/', "~1");
                    // A reference is a URI, and a path of the document has braces.
                    let key = key.replace('{', "%7B").replace('}', "%7D");
                    examples(&format!("{place}/{key}"), member, found);
                }
            }
        }
        Value::Array(list) => {
            for (at, item) in list.iter().enumerate() {
                examples(&format!("{place}/{at}"), item, found);
            }
        }
        _ => {}
    }
}

#[test]
fn every_example_is_valid_against_its_own_schema() {
    let document = document();
    let mut found = Vec::new();
    examples("", &document, &mut found);
    assert!(found.len() > 30, "{} examples", found.len());
    for (place, example) in &found {
        assert_eq!(faults(&document, place, example), [""; 0], "{example}");
    }
}

#[test]
fn every_golden_answer_is_valid_against_the_document() {
    let document = document();
    let mut checked = 0;
    for entry in fs::read_dir(GOLDEN).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let golden: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let body = &golden["body"];
        if body.get("status").is_none() {
            assert_eq!(name, "healthz", "an answer without the envelope");
            continue;
        }
        let is_ok = body["status"]["code"] == "OK";
        let known = SCHEMAS.iter().find(|(known, _)| *known == name);
        assert_eq!(known.is_some(), is_ok, "{name}: give it a row in SCHEMAS");
        let schema = known.map_or("Error", |(_, schema)| schema);
        let place = format!("/components/schemas/{schema}Answer");
        assert_eq!(faults(&document, &place, body), [""; 0], "{name}");
        checked += 1;
    }
    assert!(checked > SCHEMAS.len(), "{checked} goldens");
}

/// `required` is a list, and lists keep their order.
#[test]
fn the_request_object_has_the_members_of_the_document_in_their_order() {
    let document = document();
    for (golden, schema) in [
        ("pair_accepted", "ProvisioningRequest"),
        ("products_accepted", "ProvisioningRequest"),
        ("item_created", "InstalledItem"),
        ("subscription_created", "Subscription"),
    ] {
        let text = fs::read_to_string(Path::new(GOLDEN).join(format!("{golden}.json"))).unwrap();
        let (_, data) = text.split_once("\n  \"data\": {\n").unwrap();
        let rendered: Vec<&str> = data
            .lines()
            .filter_map(|line| line.strip_prefix("    \"")?.split_once('"'))
            .map(|(key, _)| key)
            .collect();
        let schemas = &document["components"]["schemas"];
        let required = &schemas[schema]["allOf"][1]["required"];
        assert_eq!(required, &json!(rendered));
        let members = &schemas[format!("{schema}Members")]["properties"];
        let mut sorted = rendered.clone();
        sorted.sort_unstable();
        let known: Vec<&String> = members.as_object().unwrap().keys().collect();
        assert_eq!(known, sorted);
    }
}

#[test]
fn the_document_is_served_to_every_role_and_to_nobody_else() {
    let scene = Scene::new();
    let get = |query: &str| {
        let mut client = scene.client();
        client.send(&format!(
            "GET /openapi.json{query} HTTP/1.1\r\nHost: box\r\n\r\n"
        ))
    };
    for role in [Role::Crm, Role::Operator, Role::Viewer] {
        let answer = get(&format!("?token={}", scene.token(role)));
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.body, DOCUMENT);
    }
    assert_eq!(get("").error(), "INVALIDTOKEN");
    assert_eq!(get("?token=00").error(), "INVALIDTOKEN");
}
