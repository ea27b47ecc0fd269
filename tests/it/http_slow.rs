//! Clients that send or read slowly, or not at all: each harms its own connection, never another's call and never the stop.

use std::io::Write as _;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pairbox::access::Role;
use pairbox::service::Service;
use pairbox::telemetry::Metric;

use super::http_scene::{CARD, STB, Scene, until};
use super::http_wire::Client;
use super::scene;

const PAIR: &str = "/crmapi/rest/v2/nagravision/provisioning_requests/pair_smartcard_decoder";

fn half_a_body() -> String {
    format!("POST {PAIR} HTTP/1.1\r\nHost: box\r\nContent-Length: 2000\r\n\r\n{{\"a\"")
}

#[test]
fn half_sent_bodies_hold_up_nobody() {
    let scene = Scene::new();
    // More than are read at once and may wait.
    let mut slow: Vec<Client> = Vec::new();
    for _ in 0..69 {
        // One after the other: tiny_http leaves connections unserved that are opened at once.
        let mut client = scene.client();
        client.send("GET /healthz HTTP/1.1\r\n\r\n");
        client.write(half_a_body().as_bytes());
        slow.push(client);
    }
    until("one is refused", || scene.metric(Metric::QueueFull) > 0);
    assert_eq!(
        scene
            .client()
            .send("GET /healthz HTTP/1.1\r\n\r\n")
            .status(),
        200
    );
    let pair = scene.pair(&format!(
        r#""smartcard_identifier":{{"serial_number":"{CARD}"}},"stb_identifier":{{"serial_number":"{STB}"}}"#
    ));
    assert_eq!(pair.data()["number"], "1");
    let refused = scene.client().send(&half_a_body());
    assert_eq!((refused.status(), &*refused.error()), (503, "OVERLOADED"));
    // A reader is free again when its client leaves.
    drop(slow);
    let long = format!(
        r#""smartcard_identifier":{{"serial_number":"{CARD}"}},"stb_identifier":{{"serial_number":"{STB}"}},"note":"{}""#,
        "x".repeat(2_000)
    );
    until("bodies are read again", || {
        scene.pair(&long).json()["status"]["code"] == "OK"
    });
}

/// Sends requests as fast as they are taken and never reads an answer.
#[test]
fn a_client_that_does_not_read_holds_up_nobody() {
    let scene = Scene::new();
    let is_over = AtomicBool::new(false);
    let mut deaf = scene.client();
    let block = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(100)).repeat(32);
    let slowest = std::thread::scope(|scope| {
        let probing = scope.spawn(|| {
            let mut slowest = Duration::ZERO;
            let mut prober = scene.client();
            while !is_over.load(Ordering::Relaxed) {
                let begun = Instant::now();
                let answer = prober.send("GET /healthz HTTP/1.1\r\n\r\n");
                assert_eq!(answer.status(), 200);
                slowest = slowest.max(begun.elapsed());
            }
            slowest
        });
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(4) {
            let taken = scene.metric(Metric::HttpRequests);
            deaf.write(block.as_bytes());
            let asked = Instant::now();
            while scene.metric(Metric::HttpRequests) < taken + 32
                && asked.elapsed() < Duration::from_millis(20)
            {
                std::thread::yield_now();
            }
        }
        is_over.store(true, Ordering::Relaxed);
        probing.join().unwrap()
    });
    assert!(slowest < Duration::from_millis(2_500), "{slowest:?}");
}

#[test]
fn a_client_too_far_ahead_is_told_that_its_connection_is_over() {
    let scene = Scene::new();
    let token = scene.token(Role::Crm);
    let body = format!(
        r#"{{"token":"{token}","smartcard_identifier":{{"serial_number":"{CARD}"}},"stb_identifier":{{"serial_number":"{STB}"}},"process_immediately":true}}"#
    );
    let parked = format!(
        "POST {PAIR} HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut client = scene.client();
    client.write(parked.as_bytes());
    until("the caller is parked", || {
        scene.actions().waiting.count() == 1
    });
    client.write("GET /healthz HTTP/1.1\r\n\r\n".repeat(300).as_bytes());
    until("the last answer is known", || {
        scene.metric(Metric::HttpRequests) == 127
    });
    scene.settles(1, None);
    assert_eq!(client.receive().data()["life_cycle_state"], "COMPLETED");
    let answers: Vec<_> = (1..128).map(|_| client.receive()).collect();
    let closes = |at: usize| {
        let headers = &answers[at].headers;
        headers.contains(&"Connection: close".to_owned())
    };
    assert!(closes(126) && !closes(125));
    assert_eq!(scene.metric(Metric::HttpRequests), 128);
}

/// A half-sent body on the API and a half-sent call on the control socket: the stop is recorded all the same, and ends.
#[test]
fn a_stop_ends_whatever_clients_do() {
    let cas = scene::Cas::start("", 3);
    let mut scene = scene::Scene::start(cas.address, "");
    let service = scene.service.as_mut().unwrap();
    let address = service.start_doors().unwrap();
    let data = service.config.data_dir.clone();
    let mut slow = TcpStream::connect(address).unwrap();
    slow.write_all(half_a_body().as_bytes()).unwrap();
    let mut operator = UnixStream::connect(data.join("control.sock")).unwrap();
    operator
        .write_all(b"POST /control/status HTTP/1.1\r\nContent-Length: 2000\r\n\r\n{")
        .unwrap();
    // Both are being read once the API has answered somebody else.
    let mut other = Client::connect(address);
    assert_eq!(other.send("GET /healthz HTTP/1.1\r\n\r\n").status(), 200);
    let begun = Instant::now();
    scene.service.take().map(Service::stop).unwrap();
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(15), "{took:?}");
    let segments = std::fs::read_dir(data.join("ledger")).unwrap();
    let is_recorded = segments
        .map(|segment| std::fs::read(segment.unwrap().path()).unwrap())
        .any(|bytes| String::from_utf8_lossy(&bytes).contains("service_stopped"));
    assert!(is_recorded);
}
