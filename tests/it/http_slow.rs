//! Clients that send or read slowly, or not at all: each harms its own connection, never another's call and never the stop.

use std::io::Write as _;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use pairbox::access::Role;
use pairbox::service::Service;

use super::http_scene::{CARD, Choices, SLOW, STB, Scene};
use super::http_wire::Client;
use super::scene;

const PAIR: &str = "/crmapi/rest/v2/nagravision/provisioning_requests/pair_smartcard_decoder";
const PROBE: &str = "GET /healthz HTTP/1.1\r\n\r\n";

fn half_a_body() -> String {
    format!("POST {PAIR} HTTP/1.1\r\nHost: box\r\nContent-Length: 5000\r\n\r\n{{\"a\"")
}

#[test]
fn half_sent_bodies_hold_up_nobody() {
    let scene = Scene::new();
    let mut slow: Vec<Client> = (0..200).map(|_| scene.client()).collect();
    for client in &mut slow {
        client.write(half_a_body().as_bytes());
    }
    assert_eq!(scene.client().send(PROBE).status(), 200);
    let pair = |note: &str| {
        scene.pair(&format!(
            r#""smartcard_identifier":{{"serial_number":"{CARD}"}},"stb_identifier":{{"serial_number":"{STB}"}}{note}"#
        ))
    };
    assert_eq!(pair("").data()["number"], "1");
    let long = format!(r#","note":"{}""#, "x".repeat(50_000));
    assert_eq!(pair(&long).data()["number"], "2");
}

/// Sends requests as long as they are taken and never reads an answer.
#[test]
fn a_client_that_does_not_read_holds_up_nobody() {
    let scene = Scene::new();
    let block = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(1_000)).repeat(32);
    let mut deaf = TcpStream::connect(scene.address()).unwrap();
    deaf.set_nonblocking(true).unwrap();
    // The socket takes no more once the gate has stopped reading, because its own answers are not taken.
    let (mut sent, mut full_since) = (0, None::<Instant>);
    while full_since.is_none_or(|since| since.elapsed() < Duration::from_millis(300)) {
        if let Ok(bytes) = deaf.write(&block.as_bytes()[sent % block.len()..]) {
            sent += bytes;
            full_since = None;
        } else {
            full_since.get_or_insert_with(Instant::now);
            assert_eq!(scene.client().send(PROBE).status(), 200);
        }
        assert!(
            sent < 256 << 20,
            "the gate reads on although nobody takes its answers"
        );
    }
    let mut other = scene.client();
    for _ in 0..100 {
        assert_eq!(other.send(PROBE).status(), 200);
    }
}

/// The thread that reads all requests does quick calls itself; it must not do slow ones, or everybody waits for each of them.
#[test]
fn slow_scripts_hold_up_their_own_calls_only() {
    const CALLS: usize = 200;
    let scene = Scene::with(Choices {
        mapping: SLOW,
        queue_max: CALLS,
        ..Choices::default()
    });
    let members = format!(
        r#""smartcard_identifier":{{"serial_number":"{CARD}"}},"stb_identifier":{{"serial_number":"{STB}"}}"#
    );
    // The first one holds the thread up, for a script's budget.
    let code = scene.pair(&members).body;
    assert!(code.contains("SCRIPT"), "{code}");
    let body = format!(r#"{{"token":"{}",{members}}}"#, scene.token(Role::Crm));
    let call = format!(
        "POST {PAIR} HTTP/1.1\r\nHost: box\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut slow: Vec<Client> = (0..CALLS).map(|_| scene.client()).collect();
    for client in &mut slow {
        client.write(call.as_bytes());
    }
    assert_eq!(scene.client().send(PROBE).status(), 200);
    let is_answered = |client: &Client| {
        let socket = TcpStream::from(client.twin());
        socket.set_nonblocking(true).unwrap();
        let peeked = socket.peek(&mut [0]);
        socket.set_nonblocking(false).unwrap();
        peeked.is_ok()
    };
    let answered = slow.iter().filter(|client| is_answered(client)).count();
    assert!(answered < CALLS / 2, "{answered} came before the probe");
    for client in &mut slow {
        assert!(client.receive().body.contains("SCRIPT"));
    }
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
    assert_eq!(other.send(PROBE).status(), 200);
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
