//! TLS at the API's door of the real binary: what works without it works with it, and no client's handshake or farewell harms
//! another.

use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;

use pairbox::domain::Chance;
use rustls::version::{TLS12, TLS13};

use crate::hostile::read_to_end;
use crate::http_wire::Client;
use crate::siege::{HEALTH, Siege};
use crate::tls_wire::{Trust, Wire};

const NOWHERE: &str = "GET /nowhere HTTP/1.1\r\n\r\n";

/// What only a deadline for silence could end lives on while a test runs.
const LONG_SILENCE: [(&str, &str); 1] = [("PAIRBOX_HTTP_IDLE_TIMEOUT", "60s")];

struct Box {
    siege: Siege,
    trust: Trust,
}

impl Box {
    fn begin(variables: &[(&str, &str)]) -> Self {
        let (siege, trust) = Siege::begin_tls(variables);
        Self { siege, trust }
    }

    fn wire(&self) -> Wire {
        self.trust.connect(self.siege.served.address)
    }

    fn client(&self) -> Client<Wire> {
        Client::through(self.wire())
    }

    fn is_well(&mut self) {
        let mut wire = self.wire();
        self.siege.is_well(&mut wire);
    }

    /// A call whose answer has more than a megabyte.
    fn long_call(&self) -> String {
        let mut rows = String::from("serial_number,alternative_code,product,notes\n");
        let notes = "x".repeat(500);
        for at in 0..2_000 {
            writeln!(rows, "77{at:010},L{at},SC-LONG,{notes}").unwrap();
        }
        std::fs::write(self.siege.made.path().join("long.csv"), rows).unwrap();
        self.siege.made.run(&["item", "import", "long.csv"]);
        let token = self.siege.made.login(&mut self.wire()).unwrap();
        format!(
            "GET /crmapi/rest/v2/installed_items/list?token={token}&number_of_results=2000 HTTP/1.1\r\n\r\n"
        )
    }
}

fn is_long(answer: &crate::http_wire::Response) {
    assert!(answer.body.len() > 1 << 20, "{} bytes", answer.body.len());
    assert_eq!(answer.data().as_array().unwrap().len(), 2_000);
}

#[test]
fn both_versions_of_tls_carry_many_requests_over_one_connection() {
    let mut made = Box::begin(&LONG_SILENCE);
    for version in [&TLS12, &TLS13] {
        let wire = made.trust.connect_by(made.siege.served.address, &[version]);
        let mut client = Client::through(wire);
        for _ in 0..20 {
            assert_eq!(client.send(HEALTH).status(), 200);
            assert_eq!(client.send(NOWHERE).status(), 404);
        }
        let mut wire = made.trust.connect_by(made.siege.served.address, &[version]);
        made.siege.is_well(&mut wire);
        assert_eq!(wire.conn.protocol_version(), Some(version.version));
    }
    made.is_well();
}

#[test]
fn requests_sent_ahead_through_tls_are_answered_in_order() {
    let made = Box::begin(&LONG_SILENCE);
    let mut client = made.client();
    client.write(format!("{HEALTH}{NOWHERE}").repeat(1_000).as_bytes());
    for at in 0..1_000 {
        assert_eq!(client.receive().status(), 200, "{at}");
        assert_eq!(client.receive().status(), 404, "{at}");
    }
}

#[test]
fn a_long_answer_goes_through_tls_whole() {
    let made = Box::begin(&LONG_SILENCE);
    let call = made.long_call();
    let mut client = made.client();
    for _ in 0..3 {
        is_long(&client.send(&call));
    }
    // A request that is far longer than a record, too.
    let body = format!(r#"{{"token":"x","note":"{}"}}"#, "x".repeat(60_000));
    let path = "/crmapi/rest/v2/subscriptions/create";
    let length = body.len();
    let call = format!("POST {path} HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{body}");
    assert_eq!(client.send(&call).error(), "INVALIDTOKEN");
}

/// Reads a byte now and then.
#[test]
fn a_slow_reader_of_tls_holds_nobody_up_and_gets_its_answer() {
    let mut made = Box::begin(&LONG_SILENCE);
    let call = made.long_call();
    let mut slow: Vec<Wire> = Vec::new();
    for _ in 0..8 {
        let mut wire = made.wire();
        wire.write_all(call.as_bytes()).unwrap();
        wire.flush().unwrap();
        wire.read_exact(&mut [0; 1]).unwrap();
        slow.push(wire);
    }
    for _ in 0..20 {
        assert_eq!(made.client().send(HEALTH).status(), 200);
    }
    made.is_well();
    for mut wire in slow {
        for _ in 0..100 {
            wire.read_exact(&mut [0; 7]).unwrap();
        }
        let mut rest = vec![0; 1 << 20];
        wire.read_exact(&mut rest).unwrap();
    }
}

#[test]
fn sixty_four_handshakes_at_once_are_all_finished() {
    let made = Box::begin(&LONG_SILENCE);
    // All have said hello before the first goes on.
    let mut wires: Vec<Wire> = (0..64).map(|_| made.wire()).collect();
    for wire in &mut wires {
        wire.conn.write_tls(&mut wire.sock).unwrap();
    }
    let mut clients: Vec<_> = wires.into_iter().map(Client::through).collect();
    for _ in 0..2 {
        for client in &mut clients {
            client.write(HEALTH.as_bytes());
        }
        for client in &mut clients {
            assert_eq!(client.receive().status(), 200);
        }
    }
}

fn hello(made: &Box) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut client = made.trust.client(rustls::ALL_VERSIONS);
    client.write_tls(&mut bytes).unwrap();
    bytes
}

/// Within the deadline for a head, not the one for silence, which is beyond a test's patience.
#[test]
fn a_handshake_that_does_not_end_is_ended() {
    let mut made = Box::begin(&LONG_SILENCE);
    let hello = hello(&made);
    for sent in [0, 1, 5, hello.len() / 2, hello.len() - 1, hello.len()] {
        let mut stream = made.siege.stream();
        stream.write_all(&hello[..sent]).unwrap();
        let told = read_to_end(&mut stream);
        assert_eq!(told.is_empty(), sent < hello.len(), "{sent}");
    }
    // One that drips gains nothing.
    let mut stream = made.siege.stream();
    let mut dripping = stream.try_clone().unwrap();
    let drip = thread::spawn(move || {
        for byte in &hello[..hello.len() - 1] {
            if dripping.write_all(&[*byte]).is_err() {
                break;
            }
            thread::park_timeout(std::time::Duration::from_millis(20));
        }
    });
    assert_eq!(read_to_end(&mut stream), b"");
    drop(stream);
    drip.join().unwrap();
    made.is_well();
}

#[test]
fn bytes_that_are_no_tls_are_closed_and_cost_nothing() {
    let mut made = Box::begin(&LONG_SILENCE);
    let seed = 7_412;
    println!("seed {seed}");
    let noise = |at: u64| -> Vec<u8> {
        let mut chance = Chance::branch(seed, at);
        (0..20_000).map(|_| chance.draw() as u8).collect()
    };
    let hello = hello(&made);
    let mut torn = hello.clone();
    torn[60] ^= 0xff;
    let record = |kind: u8, body: &[u8]| [&[kind, 3, 3, 0x40, 0x00], body].concat();
    let mut all: Vec<Vec<u8>> = vec![
        HEALTH.into(),
        format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(100_000)).into(),
        b"\x80\x2e\x01\x03\x01\0\x15\0\0\0\x10".to_vec(),
        record(0x16, &[0; 0x4000]),
        record(0x17, &[0; 0x4000]),
        record(0x15, &[0; 0x4000]),
        b"\x16\x03\x03\xff\xff".to_vec(),
        [&hello[..], &hello[..]].concat(),
        [&hello[..], &noise(100)[..]].concat(),
        torn,
    ];
    all.extend((0..16).map(noise));
    thread::scope(|scope| {
        for bytes in &all {
            let mut stream = made.siege.stream();
            scope.spawn(move || {
                let _ = stream.write_all(bytes);
                let told = read_to_end(&mut stream);
                // An alert at most, and what the handshake had said by then.
                assert!(
                    !told.starts_with(b"HTTP"),
                    "{:?}",
                    &bytes[..bytes.len().min(20)]
                );
            });
        }
    });
    made.is_well();
}

#[test]
fn whoever_leaves_without_a_farewell_has_only_left() {
    let mut made = Box::begin(&LONG_SILENCE);
    let call = made.long_call();
    // Says no more, and still hears what was asked.
    let mut wire = made.wire();
    wire.write_all(HEALTH.as_bytes()).unwrap();
    wire.flush().unwrap();
    wire.sock.shutdown(Shutdown::Write).unwrap();
    let answer = read_to_end(&mut wire);
    assert!(answer.ends_with(br#"{"healthy":true}"#), "{answer:?}");
    // Half a request is none.
    let mut wire = made.wire();
    wire.write_all(b"POST /healthz HTTP/1.1\r\nContent-Length: 9\r\n\r\n1234")
        .unwrap();
    wire.flush().unwrap();
    wire.sock.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&mut wire), b"");
    // Gone at any moment: before, in the middle of, and after an answer.
    for at in 0..30 {
        let mut wire = made.wire();
        wire.write_all(call.as_bytes()).unwrap();
        wire.flush().unwrap();
        if at % 3 > 0 {
            wire.read_exact(&mut vec![0; 1 << (at % 3 * 9)]).unwrap();
        }
        gone(wire.sock);
    }
    made.is_well();
}

/// Ends a connection by a reset.
fn gone(stream: TcpStream) {
    let socket = socket2::Socket::from(stream);
    socket.set_linger(Some(std::time::Duration::ZERO)).unwrap();
}

/// The server says farewell where it ends a connection: after the last answer, and after a long silence.
#[test]
fn the_server_says_farewell_before_it_closes() {
    let made = Box::begin(&[("PAIRBOX_HTTP_IDLE_TIMEOUT", "1s")]);
    for request in [
        "GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nA b\r\n\r\n",
        HEALTH,
    ] {
        let mut wire = made.wire();
        wire.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        // Without it this is an error: whatever came might have been cut.
        let read = wire.read_to_end(&mut answer);
        let cut = read
            .as_ref()
            .is_err_and(|error| error.kind() == ErrorKind::UnexpectedEof);
        assert!(
            !cut && answer.starts_with(b"HTTP/1.1 "),
            "{request:?}: {read:?}"
        );
    }
}

#[test]
fn a_renewed_certificate_is_shown_after_a_reload_and_a_wrong_one_never() {
    let folder = tempfile::tempdir().unwrap();
    let old = Trust::make(folder.path());
    let files = [&old.certificate, &old.key].map(|path| path.to_str().unwrap().to_owned());
    let mut siege = Siege::begin(&[
        ("PAIRBOX_HTTP_TLS_CERTIFICATE", files[0].as_str()),
        ("PAIRBOX_HTTP_TLS_KEY", files[1].as_str()),
        LONG_SILENCE[0],
    ]);
    let address = siege.served.address;
    let mut kept = Client::through(old.connect(address));
    assert_eq!(kept.send(HEALTH).status(), 200);
    let reload = |siege: &Siege| siege.made.command(&["reload"]).output().unwrap();

    let key = std::fs::read(&old.key).unwrap();
    std::fs::write(&old.key, "no key").unwrap();
    let refused = reload(&siege);
    let said = String::from_utf8(refused.stdout).unwrap();
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains("key.pem: "), "{said}");
    siege.is_well(&mut old.connect(address));

    std::fs::write(&old.key, key).unwrap();
    let new = Trust::make(folder.path());
    siege.is_well(&mut old.connect(address));
    let taken = reload(&siege);
    let said = String::from_utf8(taken.stdout).unwrap();
    assert_eq!(said, "generation 2: [http.tls] files read again\n");
    siege.is_well(&mut new.connect(address));
    let mut stale = old.connect(address);
    assert!(stale.write_all(HEALTH.as_bytes()).is_err() || stale.read(&mut [0; 16]).is_err());
    // Who was in stays in.
    assert_eq!(kept.send(HEALTH).status(), 200);
    let figures = siege.metrics();
    for line in [
        "pairbox_configuration_generation 2",
        "pairbox_refused_reloads_total 1",
    ] {
        assert!(figures.lines().any(|one| one == line), "{line}:\n{figures}");
    }
}
