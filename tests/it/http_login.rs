//! Login over HTTP: by password, by key, release; lenient where live clients are careless.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pairbox::access::Role;

use super::http_scene::{Choices, PASSWORD, Scene};

fn login(organisation: &str, password: &str) -> String {
    format!(
        r#"{{"username":"anna","password":"{password}","organisation":"{organisation}","unit":"u"}}"#
    )
}

fn by_key(scene: &Scene, authorization: &str, body: &str) -> super::http_wire::Response {
    scene.post_as(
        Role::Crm,
        "authentication/web_api_key/token",
        body,
        &format!("Authorization: {authorization}\r\nContent-Type: aplication/jsn\r\n"),
    )
}

fn can_list(scene: &Scene, token: &str) -> bool {
    let list = scene.get(&format!("installed_items/list?token={token}"));
    list.json()["status"]["code"] == "OK"
}

#[test]
fn a_password_buys_a_token_until_it_is_released() {
    let scene = Scene::new();
    scene
        .access()
        .user_add("anna", Role::Operator, PASSWORD)
        .unwrap();
    let answer = scene.post("authentication/token", &login("any", PASSWORD));
    answer.is_golden("login");
    let token = answer.data()["token"].as_str().unwrap().to_owned();
    assert!(can_list(&scene, &token));
    let release = format!(r#"{{"token":"{token}"}}"#);
    scene
        .post("authentication/token/release", &release)
        .is_golden("release");
    assert!(!can_list(&scene, &token));
    let again = scene.post("authentication/token/release", &release);
    assert_eq!(again.error(), "INVALIDTOKEN");
}

#[test]
fn a_wrong_password_and_an_unknown_user_read_the_same() {
    let scene = Scene::new();
    scene
        .access()
        .user_add("anna", Role::Operator, PASSWORD)
        .unwrap();
    let wrong = scene.post("authentication/token", &login("any", "wrong"));
    wrong.is_golden("login_refused");
    let unknown = login("any", "wrong").replace("anna", "nobody");
    assert_eq!(
        scene.post("authentication/token", &unknown).body,
        wrong.body
    );
    let incomplete = scene.post("authentication/token", r#"{"username":"anna"}"#);
    assert_eq!(
        incomplete.message(),
        "field `password` is mandatory: expected a string, found none"
    );
}

#[test]
fn only_the_configured_organisation_is_let_in() {
    let scene = Scene::with(Choices {
        organisation: Some("ACME".into()),
        ..Choices::default()
    });
    scene
        .access()
        .user_add("anna", Role::Operator, PASSWORD)
        .unwrap();
    let other = scene.post("authentication/token", &login("OTHER", PASSWORD));
    assert_eq!(other.error(), "INVALIDCREDENTIALS");
    scene
        .post("authentication/token", &login("ACME", PASSWORD))
        .data();
}

#[test]
fn a_key_buys_a_token_in_every_spelling_of_live_clients() {
    let scene = Scene::new();
    let encoded = STANDARD.encode(format!("{}:", scene.key(Role::Crm)));
    for (scheme, body) in [("Basic", ""), ("basic", r#"{"unit":"u"}"#), ("BASIC", "{}")] {
        let answer = by_key(&scene, &format!("{scheme} {encoded}"), body);
        let token = answer.data()["token"].as_str().unwrap().to_owned();
        assert!(can_list(&scene, &token));
    }
    for wrong in ["Basic !", "Bearer x", "Basic eHh4eDo="] {
        assert_eq!(
            by_key(&scene, wrong, "").error(),
            "INVALIDCREDENTIALS",
            "{wrong}"
        );
    }
}

#[test]
fn a_token_ends_after_an_hour_without_use_and_survives_a_restart() {
    let mut scene = Scene::new();
    let token = scene.token(Role::Viewer);
    scene.restart();
    assert!(can_list(&scene, &token));
    scene.clock.advance(Duration::from_secs(3_599));
    assert!(can_list(&scene, &token));
    scene.clock.advance(Duration::from_hours(1));
    let answer = scene.get(&format!("installed_items/list?token={token}"));
    assert_eq!(answer.message(), "the token has expired; log in again");
}

#[test]
fn a_revoked_key_ends_its_tokens_at_once() {
    let scene = Scene::new();
    let token = scene.token(Role::Crm);
    scene.access().key_revoke("crm").unwrap();
    assert!(!can_list(&scene, &token));
}
