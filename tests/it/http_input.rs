//! Bad input over HTTP: each slip is a clear error in the envelope, and nothing is stored.

use super::http_scene::{CARD, STB, Scene};
use pairbox::telemetry::Metric;

const PAIR: &str = "nagravision/provisioning_requests/pair_smartcard_decoder";
const CARD_MEMBER: &str = r#""smartcard_identifier":{"serial_number":"019000802077"}"#;

/// Posts the body, expects the error and message, and that nothing came of it.
fn refuses(scene: &Scene, body: &str, status: u16, code: &str, message: &str) {
    let before = scene.requests();
    let answer = scene.post(PAIR, body);
    assert_eq!(answer.status(), status, "{body}: {}", answer.body);
    assert_eq!(answer.error(), code, "{body}: {}", answer.body);
    assert_eq!(answer.message(), message, "{body}");
    assert_eq!(scene.requests(), before, "{body}");
}

#[test]
fn a_body_that_is_no_json_object_is_told_with_its_place() {
    let scene = Scene::new();
    let cases = [
        (
            r#"{"token":"{token}","smartcard_identifier":{"serial"#,
            "the body is no JSON: EOF while parsing a string (line 1, column 75)",
        ),
        ("", "the body: expected a JSON object, found an empty body"),
        ("[1]", "the body: expected a JSON object, found a list"),
        (
            "token=T",
            "the body is no JSON: expected ident (line 1, column 2)",
        ),
    ];
    for (body, message) in cases {
        refuses(&scene, body, 400, "MALFORMEDJSON", message);
    }
}

#[test]
fn a_duplicate_key_is_an_error_at_any_depth() {
    let scene = Scene::new();
    let top = format!(r#"{{"token":"{{token}}",{CARD_MEMBER},{CARD_MEMBER}}}"#);
    let answer = scene.post(PAIR, &top);
    assert_eq!(answer.error(), "MALFORMEDJSON");
    assert!(
        answer
            .message()
            .contains("duplicate key `smartcard_identifier`")
    );
    let deep = r#"{"token":"{token}","smartcard_identifier":{"id":null,"id":null}}"#;
    assert!(
        scene
            .post(PAIR, deep)
            .message()
            .contains("duplicate key `id`")
    );
    assert_eq!(scene.requests(), 0);
}

#[test]
fn a_wrong_type_names_the_field_and_both_types() {
    let scene = Scene::new();
    let cases = [
        (
            r#""smartcard_identifier":"019000802077""#,
            "field `smartcard_identifier`: expected an identifier (an object in a body, `field=value` in a query), found a string",
        ),
        (
            r#""smartcard_identifier":{"serial_number":19000802077}"#,
            "field `smartcard_identifier.serial_number`: expected a string, found a number",
        ),
        (
            r#""smartcard_identifier":{"serial_number":"019000802077"},"stb_identifier":[]"#,
            "field `stb_identifier`: expected an identifier object, found a list",
        ),
        (
            r#""smartcard_identifier":{"serial_number":"019000802077"},"process_immediately":1"#,
            "field `process_immediately`: expected a boolean, found a number",
        ),
        (
            r#""smartcard_identifier":{"serial_number":"019000802077"},"process_immediately":"yes""#,
            "field `process_immediately`: expected `true` or `false`, found `yes`",
        ),
        (
            r#""smartcard_identifier":{"serial_number":"019000802077"},"priority":"URGENT""#,
            "field `priority`: expected `REGULAR` or `EXPRESS`, found `URGENT`",
        ),
        (
            r#""smartcard_identifier":{"id":"77"}"#,
            "field `smartcard_identifier.id`: expected 32 hex digits, found `77`",
        ),
    ];
    for (members, message) in cases {
        let body = format!(r#"{{"token":"{{token}}",{members}}}"#);
        refuses(&scene, &body, 200, "INVALIDPARAMETER", message);
    }
}

#[test]
fn an_identifier_is_exactly_one_of_its_fields() {
    let scene = Scene::new();
    let allowed = "expected exactly one of `id`, `serial_number`, `alternative_code`, found";
    let cases = [
        (
            r#""smartcard_identifier":{}"#,
            "smartcard_identifier",
            "none",
        ),
        (
            r#""smartcard_identifier":"""#,
            "smartcard_identifier",
            "none",
        ),
        (
            r#""smartcard_identifier":{"serial_number":null}"#,
            "smartcard_identifier",
            "none",
        ),
        (
            r#""smartcard_identifier":{"serial_number":"1","alternative_code":"2"}"#,
            "smartcard_identifier",
            "`serial_number`, `alternative_code`",
        ),
    ];
    for (members, field, found) in cases {
        let body = format!(r#"{{"token":"{{token}}",{members}}}"#);
        let message = format!("field `{field}`: {allowed} {found}");
        refuses(&scene, &body, 200, "INVALIDIDENTIFIER", &message);
    }
    refuses(
        &scene,
        r#"{"token":"{token}","smartcard_identifier":null}"#,
        200,
        "INVALIDPARAMETER",
        "field `smartcard_identifier` is mandatory: expected an identifier, found none",
    );
}

/// The card is paired, so each of these would darken a box if it were taken for an unpair.
#[test]
fn a_slip_of_stb_identifier_is_never_an_unpair() {
    let scene = Scene::new();
    let paired = format!(
        r#"{{"token":"{{token}}",{CARD_MEMBER},"stb_identifier":{{"serial_number":"{STB}"}}}}"#
    );
    scene.post(PAIR, &paired).data();
    let none = "field `stb_identifier`: expected exactly one of `id`, `serial_number`, `alternative_code`, found none";
    for empty in ["{}", r#""""#, r#"{"id":null}"#, r#"{"serial":"1"}"#] {
        let body = format!(r#"{{"token":"{{token}}",{CARD_MEMBER},"stb_identifier":{empty}}}"#);
        refuses(&scene, &body, 200, "INVALIDIDENTIFIER", none);
    }
    for slip in [
        "STB_identifier",
        "stbIdentifier",
        "stb_identifer",
        "stb_identifiers",
        "std_identifier",
    ] {
        let body = format!(
            r#"{{"token":"{{token}}",{CARD_MEMBER},"{slip}":{{"serial_number":"{STB}"}}}}"#
        );
        let message = format!(
            "unknown field `{slip}`: did you mean `stb_identifier`? without it the smartcard would be unpaired; nothing was stored"
        );
        refuses(&scene, &body, 200, "INVALIDPARAMETER", &message);
    }
}

#[test]
fn an_unknown_field_is_ignored_and_counted() {
    let scene = Scene::new();
    let body = format!(
        r#"{{"token":"{{token}}",{CARD_MEMBER},"stb_identifier":{{"serial_number":"{STB}"}},"remarks":"x","colour":null}}"#
    );
    scene.post(PAIR, &body).data();
    assert_eq!(scene.metric(Metric::UnknownFields), 2);
}

#[test]
fn a_bad_date_is_an_error_that_names_the_field() {
    let scene = Scene::new();
    for date in [
        "tomorrow",
        "",
        "24.12.2026",
        "2026-02-30",
        "2026-12-24 18:00:00",
    ] {
        let body = format!(r#"{{"token":"{{token}}",{CARD_MEMBER},"scheduled_date":"{date}"}}"#);
        let message = format!(
            "field `scheduled_date`: expected a date as `YYYY-MM-DDTHH:MM:SS`, `YYYY-MM-DD` or RFC 3339, found `{date}`"
        );
        refuses(&scene, &body, 200, "INVALIDPARAMETER", &message);
    }
}

#[test]
fn the_same_serial_number_in_two_products_is_an_error() {
    let scene = Scene::new();
    scene.import(CARD, "SMC-2", true);
    let body = format!(r#"{{"token":"{{token}}",{CARD_MEMBER}}}"#);
    let answer = scene.post(PAIR, &body);
    assert_eq!(answer.error(), "AMBIGUOUSITEM");
    assert_eq!(scene.requests(), 0);
}

#[test]
fn a_missing_or_unknown_token_is_an_error() {
    let scene = Scene::new();
    for (token, message) in [
        (
            "",
            "field `token` is mandatory: expected the token of a login, found none",
        ),
        (
            r#""token":"0123456789ABCDEF0123456789ABCDEF","#,
            "the token is unknown; log in again",
        ),
        (
            r#""token":7,"#,
            "field `token`: expected a string, found a number",
        ),
    ] {
        let answer = scene.post(PAIR, &format!("{{{token}{CARD_MEMBER}}}"));
        assert_eq!(answer.message(), message);
        assert_eq!(answer.status(), 200);
    }
    assert_eq!(scene.requests(), 0);
}
