//! The door itself: framing that could be misread, bodies that are too large, paths, probes, and a flood.

use pairbox::access::Role;
use pairbox::config::ErrorStatus;
use pairbox::telemetry::Metric;

use super::http_scene::{CARD, Choices, PASSWORD, STB, Scene, until};
use super::http_wire::Client;

const PAIR: &str = "/crmapi/rest/v2/nagravision/provisioning_requests/pair_smartcard_decoder";

fn raw(scene: &Scene, request: &str) -> super::http_wire::Response {
    scene.client().send(request)
}

fn is_alive(scene: &Scene) -> bool {
    raw(scene, "GET /healthz HTTP/1.1\r\n\r\n").status() == 200
}

#[test]
fn probes_need_no_token() {
    let scene = Scene::new();
    raw(&scene, "GET /healthz HTTP/1.1\r\n\r\n").is_golden("healthz");
    assert_eq!(raw(&scene, "GET /readyz HTTP/1.1\r\n\r\n").status(), 200);
    scene.set_ready(false);
    let answer = raw(&scene, "GET /readyz HTTP/1.1\r\n\r\n");
    assert_eq!(
        (answer.status(), &*answer.body),
        (503, r#"{"because":["disk"],"ready":false}"#)
    );
}

#[test]
fn unknown_paths_and_wrong_methods_wear_the_envelope() {
    let scene = Scene::new();
    raw(&scene, "GET /crmapi/rest/v2/nowhere HTTP/1.1\r\n\r\n").is_golden("path_unknown");
    raw(&scene, &format!("GET {PAIR} HTTP/1.1\r\n\r\n")).is_golden("method_wrong");
    assert_eq!(raw(&scene, "GET / HTTP/1.1\r\n\r\n").status(), 404);
    let head = raw(
        &scene,
        "PUT /crmapi/rest/v2/subscriptions/create HTTP/1.1\r\n\r\n",
    );
    assert_eq!(head.status(), 405);
}

#[test]
fn a_body_of_ten_megabytes_is_refused_and_its_client_can_read_why() {
    let scene = Scene::new();
    let mut client = scene.client();
    let bytes = 10 << 20;
    client.write(format!("POST {PAIR} HTTP/1.1\r\nContent-Length: {bytes}\r\n\r\n").as_bytes());
    client.write(&vec![b'x'; bytes]);
    client.receive().is_golden("body_too_large");
    assert!(client.is_closed());
    assert_eq!(scene.requests(), 0);
}

/// tiny_http alone would allocate that much, and the process would be gone.
#[test]
fn a_monstrous_content_length_does_not_end_the_process() {
    let scene = Scene::new();
    for length in [
        "99999999999999",
        "18446744073709551615",
        "99999999999999999999999",
    ] {
        let answer = raw(
            &scene,
            &format!("POST {PAIR} HTTP/1.1\r\nContent-Length: {length}\r\n\r\n"),
        );
        assert_eq!(answer.error(), "REQUESTTOOLARGE", "{length}");
        assert_eq!(answer.status(), 413);
    }
    assert!(is_alive(&scene));
}

#[test]
fn framing_that_could_be_misread_is_refused() {
    let scene = Scene::new();
    let cases = [
        ("Content-Length: -1", "INVALIDLENGTH", 400),
        ("Content-Length: +3", "INVALIDLENGTH", 400),
        (
            "Content-Length: 3\r\nContent-Length: 3",
            "INVALIDLENGTH",
            400,
        ),
        ("Content-Length: 3, 3", "INVALIDLENGTH", 400),
        (
            "Content-Length: 3\r\nTransfer-Encoding: chunked",
            "INVALIDLENGTH",
            400,
        ),
    ];
    for (header, code, status) in cases {
        let answer = raw(
            &scene,
            &format!("POST {PAIR} HTTP/1.1\r\n{header}\r\n\r\nabc"),
        );
        assert_eq!(answer.error(), code, "{header}");
        assert_eq!(answer.status(), status, "{header}");
    }
    let chunked = scene.client().send(&format!(
        "POST {PAIR} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    ));
    assert_eq!(
        (chunked.status(), &*chunked.error()),
        (411, "LENGTHREQUIRED")
    );
}

#[test]
fn long_urls_and_many_headers_are_refused() {
    let scene = Scene::new();
    let url = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(9_000));
    assert_eq!(raw(&scene, &url).status(), 414);
    let headers = "X-A: 1\r\n".repeat(65);
    let request = format!("GET /healthz HTTP/1.1\r\n{headers}\r\n");
    assert_eq!(raw(&scene, &request).status(), 431);
}

#[test]
fn a_slash_before_the_question_mark_and_old_http_are_tolerated() {
    let scene = Scene::new();
    scene.get("installed_items/list/?token={token}").data();
    let token = scene.token(Role::Viewer);
    let old = raw(
        &scene,
        &format!("GET /crmapi/rest/v2/subscriptions/list?token={token} HTTP/1.0\r\n\r\n"),
    );
    assert_eq!(old.status_line, "HTTP/1.0 200 OK");
    assert!(old.headers.contains(&"Connection: close".to_owned()));
}

#[test]
fn a_te_header_does_not_choose_chunks() {
    let scene = Scene::new();
    let token = scene.token(Role::Viewer);
    let answer = raw(
        &scene,
        &format!(
            "GET /crmapi/rest/v2/installed_items/list?token={token} HTTP/1.1\r\nTE: chunked\r\n\r\n"
        ),
    );
    assert_eq!(answer.data().as_array().unwrap().len(), 9);
}

#[test]
fn rest_turns_business_errors_into_statuses() {
    let scene = Scene::with(Choices {
        error_status: ErrorStatus::Rest,
        ..Choices::default()
    });
    let pair = |card: &str| {
        scene.pair(&format!(
            r#""smartcard_identifier":{{"serial_number":"{card}"}}"#
        ))
    };
    assert_eq!(pair("999999999999").status(), 404);
    assert_eq!(pair(CARD).status(), 409);
    assert_eq!(scene.get("installed_items/list?token=none").status(), 401);
}

#[test]
fn requests_on_one_connection_are_answered_in_order() {
    let scene = Scene::new();
    let mut client = scene.client();
    let probe = "GET /healthz HTTP/1.1\r\n\r\n";
    let token = scene.token(Role::Viewer);
    let list = format!("GET /crmapi/rest/v2/subscriptions/list?token={token} HTTP/1.1\r\n\r\n");
    client.write(format!("{list}{probe}{list}").as_bytes());
    assert_eq!(client.receive().data(), serde_json::json!([]));
    assert_eq!(client.receive().body, r#"{"healthy":true}"#);
    assert_eq!(client.receive().data(), serde_json::json!([]));
}

/// What is parked for the CAS holds no worker: with two workers, four wait and a fifth call is answered.
#[test]
fn callers_that_wait_hold_nobody_up() {
    let scene = Scene::new();
    let token = scene.token(Role::Crm);
    let mut parked = Vec::new();
    for (at, card) in [CARD, "019000802085", "019000802093", "019000802101"]
        .iter()
        .enumerate()
    {
        let stb = 4_400_000_001 + at;
        let body = format!(
            r#"{{"token":"{token}","smartcard_identifier":{{"serial_number":"{card}"}},"stb_identifier":{{"serial_number":"{stb}"}},"process_immediately":true}}"#
        );
        let mut client = scene.client();
        client.write(
            format!(
                "POST {PAIR} HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
            .as_bytes(),
        );
        parked.push(client);
        until("the caller is parked", || {
            scene.actions().waiting.count() == at + 1
        });
    }
    let again = scene.pair(&format!(
        r#""smartcard_identifier":{{"serial_number":"{CARD}"}},"stb_identifier":{{"serial_number":"{STB}"}}"#
    ));
    assert_eq!(again.data()["number"], "5");
    scene.settles(2, None);
    assert_eq!(parked[1].receive().data()["life_cycle_state"], "COMPLETED");
}

/// What waits for the CAS holds up what its own client sent behind it, and nobody else.
#[test]
fn a_client_that_sends_ahead_holds_up_itself_only() {
    let scene = Scene::new();
    let token = scene.token(Role::Crm);
    let post = |card: &str, stb: &str, more: &str| {
        let body = format!(
            r#"{{"token":"{token}","smartcard_identifier":{{"serial_number":"{card}"}},"stb_identifier":{{"serial_number":"{stb}"}}{more}}}"#
        );
        format!(
            "POST {PAIR} HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let mut client = scene.client();
    let parked = post(CARD, STB, r#","process_immediately":true"#);
    let behind = post("019000802085", "4400000002", "");
    // Two workers may take two calls in either order: the one to be parked is number 1 only if it comes alone.
    client.write(parked.as_bytes());
    until("the first is parked", || {
        scene.actions().waiting.count() == 1
    });
    client.write(format!("{behind}GET /healthz HTTP/1.1\r\n\r\n").as_bytes());
    let other = scene.pair(
        r#""smartcard_identifier":{"serial_number":"019000802093"},"stb_identifier":{"serial_number":"4400000003"}"#,
    );
    assert_eq!(other.data()["number"], "2");
    assert!(is_alive(&scene));
    scene.settles(1, None);
    assert_eq!(client.receive().data()["life_cycle_state"], "COMPLETED");
    assert_eq!(client.receive().data()["number"], "3");
    assert_eq!(client.receive().body, r#"{"healthy":true}"#);
}

#[test]
fn a_flood_of_logins_is_refused_beyond_its_queue_and_holds_nobody_up() {
    let scene = Scene::new();
    scene
        .access()
        .user_add("anna", Role::Operator, PASSWORD)
        .unwrap();
    let body = format!(r#"{{"username":"anna","password":"{PASSWORD}","organisation":"any"}}"#);
    let login = format!(
        "POST /crmapi/rest/v2/authentication/token HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut clients: Vec<_> = (0..80).map(|_| scene.client()).collect();
    for client in &mut clients {
        client.write(login.as_bytes());
    }
    until("the queue is full", || scene.metric(Metric::QueueFull) > 0);
    assert!(is_alive(&scene));
    scene.get("installed_items/list?token={token}").data();
    let answers: Vec<_> = clients.iter_mut().map(Client::receive).collect();
    let refused: Vec<_> = answers
        .iter()
        .filter(|answer| answer.status() == 503)
        .collect();
    assert!((1..=16).contains(&refused.len()), "{}", refused.len());
    refused[0].is_golden("overloaded");
    assert!(answers.iter().any(|answer| answer.status() == 200));
}
