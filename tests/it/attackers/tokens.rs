//! Tokens that are missing, foreign, old or released, tokens in the wrong place, and roles that reach for more.

use std::time::Duration;

use pairbox::access::Role;
use pairbox::domain::View as _;
use sha2::{Digest as _, Sha256};

use super::{Method, methods};
use crate::http_scene::{CARD, CARD_2, STB, STB_2, Scene};
use crate::http_wire::Response;

const ROLES: [Role; 3] = [Role::Crm, Role::Operator, Role::Viewer];

fn guarded() -> Vec<Method> {
    methods()
        .into_iter()
        .filter(|method| method.needs_token)
        .collect()
}

fn refused(scene: &Scene, request: &str, name: &str) {
    let answer = scene.client().send(request);
    assert_eq!(answer.error(), "INVALIDTOKEN", "{name}: {request}");
}

/// Nothing that a scene did not begin with.
fn nothing_was_stored(scene: &Scene) {
    let view = scene.actions().state.view();
    assert_eq!((view.meta().requests, view.meta().last_item), (0, 9));
}

#[test]
fn only_the_three_logins_need_no_token() {
    let open: Vec<String> = methods()
        .iter()
        .filter(|method| !method.needs_token)
        .map(Method::name)
        .collect();
    assert_eq!(
        open,
        [
            "POST /crmapi/rest/v2/authentication/token",
            "POST /crmapi/rest/v2/authentication/token/release",
            "POST /crmapi/rest/v2/authentication/web_api_key/token",
        ]
    );
}

#[test]
fn a_token_that_does_not_live_here_opens_nothing() {
    let (scene, other) = (Scene::new(), Scene::new());
    let own = scene.token(Role::Operator);
    let released = scene.token(Role::Operator);
    scene.access().release(&released).unwrap();
    let expired = scene.token(Role::Operator);
    // What the file of sessions holds of a token.
    let digest = hex::encode(Sha256::digest(own.as_bytes()));
    let tokens = [
        "",
        "0",
        &"0".repeat(32),
        &other.token(Role::Operator),
        &released,
        &own[..31],
        &format!("{own}0"),
        &format!(" {own}"),
        &own.to_lowercase(),
        &digest,
        &digest.to_uppercase(),
        scene.key(Role::Operator),
        "null",
        "*",
        "' OR ''='",
    ];
    for method in guarded() {
        for token in tokens {
            refused(&scene, &method.request(token, "", ""), &method.name());
        }
        let without = match method.verb {
            "GET" => method.get("", "", ""),
            _ => method.post("", "", "{}"),
        };
        refused(&scene, &without, &method.name());
    }
    scene.clock.advance(Duration::from_hours(1));
    let all = guarded();
    let first = scene.client().send(&all[0].request(&expired, "", ""));
    assert_eq!(first.message(), "the token has expired; log in again");
    // From then on it is one that nobody ever had.
    for method in all {
        refused(&scene, &method.request(&expired, "", ""), &method.name());
    }
    nothing_was_stored(&scene);
}

#[test]
fn a_token_that_is_no_text_opens_nothing() {
    let scene = Scene::new();
    let token = scene.token(Role::Operator);
    for method in guarded().iter().filter(|method| method.verb == "POST") {
        for value in [
            "null".to_owned(),
            "0".to_owned(),
            "true".to_owned(),
            format!(r#"["{token}"]"#),
            format!(r#"{{"token":"{token}"}}"#),
        ] {
            let body = format!(r#"{{"token":{value}}}"#);
            let answer = scene.client().send(&method.post("", "", &body));
            let error = answer.error();
            assert!(
                ["INVALIDTOKEN", "INVALIDPARAMETER"].contains(&&*error),
                "{}: {body}: {error}",
                method.name()
            );
        }
        let twice = format!(r#"{{"token":"x","token":"{token}"}}"#);
        let answer = scene.client().send(&method.post("", "", &twice));
        assert_ne!(answer.json()["status"]["code"], "OK");
    }
    nothing_was_stored(&scene);
}

#[test]
fn a_token_in_the_wrong_place_opens_nothing() {
    let scene = Scene::new();
    let token = scene.token(Role::Operator);
    let query = format!("token={token}");
    let body = format!(r#"{{"token":"{token}"}}"#);
    let headers = [
        format!("Authorization: Bearer {token}\r\n"),
        format!("Authorization: Basic {token}\r\n"),
        format!("Authorization: {token}\r\n"),
        format!("Cookie: token={token}\r\n"),
        format!("Token: {token}\r\nX-Auth-Token: {token}\r\nX-Api-Key: {token}\r\n"),
    ];
    for method in guarded() {
        let name = method.name();
        let is_get = method.verb == "GET";
        let bare = |headers: &str| {
            if is_get {
                method.get("", headers, "")
            } else {
                method.post("", headers, "{}")
            }
        };
        let elsewhere = if is_get {
            method.get("", "", &body)
        } else {
            method.post(&query, "", "{}")
        };
        refused(&scene, &elsewhere, &name);
        for headers in &headers {
            refused(&scene, &bare(headers), &name);
        }
        let form = "Content-Type: application/x-www-form-urlencoded\r\n";
        if !is_get {
            let answer = scene.client().send(&method.post("", form, &query));
            assert_eq!(answer.status(), 400, "{name}");
        }
    }
    nothing_was_stored(&scene);
}

fn is_let_in(answer: &Response) -> bool {
    let json = answer.json();
    // The API's own description comes without the envelope.
    let code = json["status"]["code"].as_str().unwrap_or("OK");
    assert!(!code.contains("INVALIDTOKEN"), "{}", answer.body);
    !code.contains("ACCESSDENIED")
}

/// A viewer looks, everyone else writes too; a wrong body never gets a caller past its role.
#[test]
fn a_viewer_writes_nothing_and_everyone_may_look() {
    let scene = Scene::new();
    for method in guarded() {
        for role in ROLES {
            let may = method.verb == "GET" || role != Role::Viewer;
            let token = scene.token(role);
            for members in [
                "",
                r#","state":"EFFECTIVE","product_identifier":{"code":"P"}"#,
            ] {
                let answer = scene.client().send(&method.request(&token, "", members));
                let name = method.name();
                assert_eq!(is_let_in(&answer), may, "{name} {role:?}: {}", answer.body);
            }
        }
    }
    let whole = format!(
        r#"{{"token":"{{token}}","smartcard_identifier":{{"serial_number":"{CARD}"}},"stb_identifier":{{"serial_number":"{STB}"}}}}"#
    );
    let pair = "nagravision/provisioning_requests/pair_smartcard_decoder";
    let answer = scene.post_as(Role::Viewer, pair, &whole, "");
    assert_eq!(answer.error(), "ACCESSDENIED");
    let item = r#"{"token":"{token}","serial_number":"1","alternative_code":"1","product_identifier":{"code":"SMC-1"},"state":"EFFECTIVE"}"#;
    let answer = scene.post_as(Role::Viewer, "installed_items/create", item, "");
    assert_eq!(answer.error(), "ACCESSDENIED");
    let subscription = r#"{"token":"{token}","number":"S1"}"#;
    let answer = scene.post_as(Role::Viewer, "subscriptions/create", subscription, "");
    assert_eq!(answer.error(), "ACCESSDENIED");
    nothing_was_stored(&scene);
    assert_eq!(
        scene.post_as(Role::Crm, pair, &whole, "").data()["number"],
        "1"
    );
}

/// No other word makes a method of it, whatever header asks for that.
#[test]
fn another_verb_is_no_way_around() {
    let scene = Scene::new();
    let token = scene.token(Role::Operator);
    for method in methods() {
        for verb in ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get", "BREW"] {
            let (path, body) = (&method.path, format!(r#"{{"token":"{token}"}}"#));
            let answer = scene.client().send(&format!(
                "{verb} {path}?token={token} HTTP/1.1\r\nX-HTTP-Method-Override: POST\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            ));
            assert_eq!(answer.status(), 405, "{verb} {path}");
        }
        let other = if method.verb == "GET" { "POST" } else { "GET" };
        let mut client = scene.client();
        let overridden = format!(
            "{other} {}?_method={} HTTP/1.1\r\nX-HTTP-Method-Override: {}\r\nContent-Length: 2\r\n\r\n{{}}",
            method.path, method.verb, method.verb
        );
        assert_eq!(client.send(&overridden).status(), 405, "{}", method.name());
    }
    nothing_was_stored(&scene);
}

/// A user and a key of the same name are two callers, and neither sees what the other did under its key.
#[test]
fn the_idempotency_key_of_another_caller_leads_to_nothing_of_his() {
    let scene = Scene::new();
    let name = "crm";
    let secret = "the password of a user";
    scene.access().user_add(name, Role::Crm, secret).unwrap();
    let login = format!(r#"{{"username":"{name}","password":"{secret}","organisation":"o"}}"#);
    let user = scene.post("authentication/token", &login).data()["token"].clone();
    let pair = |token: &str, card: &str, stb: &str| {
        let body = format!(
            r#"{{"token":"{token}","smartcard_identifier":{{"serial_number":"{card}"}},"stb_identifier":{{"serial_number":"{stb}"}}}}"#
        );
        let path = "nagravision/provisioning_requests/pair_smartcard_decoder";
        scene.post_as(Role::Crm, path, &body, "Idempotency-Key: order-1\r\n")
    };
    let by_key = pair(&scene.token(Role::Crm), CARD, STB);
    let created =
        |answer: &Response| answer.data()["log_information"]["created_by_user"]["username"].clone();
    assert_eq!(created(&by_key), "key:crm");
    // Other parameters under the same key are an error for the same caller only.
    let by_user = pair(user.as_str().unwrap(), CARD_2, STB_2);
    assert_eq!(created(&by_user), "crm");
    assert_eq!(
        (
            by_key.data()["number"].as_str(),
            by_user.data()["number"].as_str()
        ),
        (Some("1"), Some("2"))
    );
    assert!(!by_user.body.contains(CARD) && !by_user.body.contains(STB));
    assert_eq!(pair(&scene.token(Role::Crm), CARD, STB).body, by_key.body);
    assert_eq!(
        pair(user.as_str().unwrap(), CARD_2, STB_2).body,
        by_user.body
    );
}
