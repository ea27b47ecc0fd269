//! Bytes that are no HTTP, or HTTP that means harm, at all three doors of the real binary: each is answered with a refusal or
//! closed within the deadline, the process lives, and its memory stays bounded.

use super::headend::seed;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;

use pairbox::domain::Chance;
use socket2::Socket;

use crate::http_wire::Client;
use crate::siege::{HEALTH, Siege, Way};

const MIB: usize = 1 << 20;
/// What an attack may cost in memory, beyond what the box had before it, in KiB.
const MEMORY_KIB_MAX: u64 = 200 * 1024;

/// An attack, and how it may end: a status, or [`CLOSED`] without a word.
pub struct Attack {
    pub name: String,
    pub bytes: Vec<u8>,
    pub ends: &'static [u16],
}

pub const CLOSED: u16 = 0;

fn attack(name: impl Into<String>, bytes: impl Into<Vec<u8>>, ends: &'static [u16]) -> Attack {
    Attack {
        name: name.into(),
        bytes: bytes.into(),
        ends,
    }
}

fn post(header: &str) -> String {
    format!("POST /healthz HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n0123456789")
}

/// Lengths that a server has died of, and framing that two servers read in two ways.
fn framing() -> Vec<Attack> {
    let lengths: [(&str, &[u16]); 17] = [
        ("Content-Length: 99999999999999", &[413]),
        ("Content-Length: 9223372036854775808", &[413]),
        ("Content-Length: 18446744073709551615", &[413]),
        ("Content-Length: 18446744073709551616", &[413]),
        ("Content-Length: -1", &[400]),
        ("Content-Length: +3", &[400]),
        ("Content-Length: 3, 3", &[400]),
        ("Content-Length: 3\r\nContent-Length: 3", &[400]),
        ("Content-Length: 3\r\nContent-Length: 4", &[400]),
        ("Content-Length: 0x3", &[400]),
        ("Content-Length: ", &[400]),
        ("Content-Length : 3", &[400]),
        ("Transfer-Encoding: chunked", &[411]),
        ("Transfer-Encoding: gzip, chunked", &[411]),
        ("Transfer-Encoding: \u{b}chunked", &[400, 411]),
        ("Transfer-Encoding: chunked\r\nContent-Length: 3", &[400]),
        ("Content-Length: 3\r\nTransfer-Encoding: chunked", &[400]),
    ];
    let mut attacks: Vec<Attack> = lengths
        .map(|(header, ends)| attack(header, post(header), ends))
        .into();
    for (name, bytes) in [
        ("a NUL", &b"GET /healthz HTTP/1.1\r\nA: \0\r\n\r\n"[..]),
        ("a NUL in the target", b"GET /health\0z HTTP/1.1\r\n\r\n"),
        ("a bare LF", b"GET /healthz HTTP/1.1\nHost: x\n\n"),
        ("a bare CR", b"GET /healthz HTTP/1.1\r\nA: b\rc: d\r\n\r\n"),
        (
            "a folded header",
            b"GET /healthz HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
        ),
        (
            "a header without a name",
            b"GET /healthz HTTP/1.1\r\n: b\r\n\r\n",
        ),
        (
            "two hosts",
            b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        ),
        (
            "an absolute target",
            b"GET http://x/healthz HTTP/1.1\r\n\r\n",
        ),
        ("a proxy's verb", b"CONNECT x:80 HTTP/1.1\r\n\r\n"),
        ("a target that is none", b"OPTIONS * HTTP/1.1\r\n\r\n"),
        (
            "a target of other letters",
            b"GET /\xc3\xa4 HTTP/1.1\r\n\r\n",
        ),
        ("no target", b"GET  HTTP/1.1\r\n\r\n"),
        ("HTTP/0.9", b"GET /healthz\r\n\r\n"),
        (
            "HTTP/2",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64",
        ),
        ("HTTP/9", b"GET /healthz HTTP/9.9\r\n\r\n"),
        ("empty lines", b"\r\n\r\n\r\n\r\n"),
        (
            "a TLS hello",
            b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\r\n",
        ),
        ("another protocol", b"EHLO x\r\nMAIL FROM:<x>\r\n\r\n"),
    ] {
        attacks.push(attack(name, bytes, &[400]));
    }
    attacks
}

/// What is too much, or never comes to its end.
fn floods(big: usize) -> Vec<Attack> {
    let long = |before: &str, letter: &str| format!("{before}{}", letter.repeat(big));
    let many = "A: b\r\n".repeat(5_000);
    let body = "POST /healthz HTTP/1.1\r\nContent-Length: 5000\r\n\r\n";
    vec![
        attack(
            "a head without end",
            long("GET /healthz HTTP/1.1\r\nA: ", "x"),
            &[431],
        ),
        attack(
            "a head of headers",
            long("GET /healthz HTTP/1.1\r\n", "A: b\r\n"),
            &[431],
        ),
        attack("a verb without end", long("", "X"), &[414, 431, 400]),
        attack("lines without end", long("", "\r\n"), &[400]),
        attack("zeros without end", vec![0; big], &[400]),
        attack(
            "a URL of 1 MiB",
            format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(MIB)),
            &[414],
        ),
        attack(
            "5,000 headers",
            format!("GET /healthz HTTP/1.1\r\n{many}\r\n"),
            &[431],
        ),
        attack(
            "100 headers",
            format!("GET /healthz HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(100)),
            &[431],
        ),
        attack("half a head", "GET /healthz HTTP/1.1\r\nA: ", &[408]),
        attack(
            "half a body",
            format!("{body}{}", "x".repeat(4_999)),
            &[408],
        ),
        attack(
            "a promise of a body",
            format!(
                "{}\r\n\r\n",
                post("Content-Length: 5000\r\nExpect: 100-continue")
                    .split("\r\n\r\n")
                    .next()
                    .unwrap()
            ),
            &[100],
        ),
        attack("nothing", "", &[CLOSED]),
    ]
}

fn noise(seed: u64) -> Vec<Attack> {
    let noise = |at: u64| {
        let mut chance = Chance::branch(seed, at);
        let length = 1 + chance.below(100_000);
        let text: Vec<u8> = (0..length).map(|_| chance.draw() as u8).collect();
        // Half of them begin as a request does.
        let begin: &[u8] = if at.is_multiple_of(2) {
            b""
        } else {
            b"POST /healthz HTTP/1.1\r\nA: "
        };
        attack(
            format!("noise {at} of seed {seed}"),
            [begin, &text].concat(),
            &[400, 408, 431],
        )
    };
    (0..16).map(noise).collect()
}

/// All of them; `big` is what stands for bytes without end.
pub fn attacks(seed: u64, big: usize) -> Vec<Attack> {
    let mut attacks = framing();
    attacks.extend(floods(big));
    attacks.extend(noise(seed));
    attacks
}

/// Sends all while it reads, until the other side ends it.
fn carry_out(socket: &Socket, bytes: &[u8]) -> Vec<u8> {
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut socket = socket;
            // A server that has had enough may stop reading.
            let _ = socket.write_all(bytes);
        });
        read_to_end(&mut &*socket)
    })
}

/// What comes until the other side ends the connection, which it must.
pub fn read_to_end(stream: &mut impl Read) -> Vec<u8> {
    let mut got = Vec::new();
    let mut block = [0; 16 * 1024];
    loop {
        match stream.read(&mut block) {
            Ok(0) => return got,
            Ok(count) => got.extend_from_slice(&block[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                panic!("it is not closed after {} bytes", got.len());
            }
            Err(_) => return got,
        }
    }
}

/// The statuses of all answers that came.
pub fn statuses(got: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(got);
    let heads = text.match_indices("HTTP/1.").map(|(at, _)| &text[at..]);
    heads
        .map(|head| head.split(' ').nth(1).unwrap().parse().unwrap())
        .collect()
}

pub fn judge(attack: &Attack, door: &str, got: &[u8]) {
    let found = match &statuses(got)[..] {
        [] => CLOSED,
        [one] => *one,
        // Told to go on, and then that it took too long.
        [100, 408] => 100,
        more => panic!("{door}: {}: {more:?}", attack.name),
    };
    assert!(
        attack.ends.contains(&found),
        "{door}: {}: {found}, expected {:?}: {}",
        attack.name,
        attack.ends,
        String::from_utf8_lossy(got)
    );
}

#[test]
fn hostile_bytes_are_refused_at_every_door_and_cost_bounded_memory() {
    let mut siege = Siege::begin(&[]);
    siege.is_well(&mut siege.stream());
    let quiet = siege.memory_peak_kib();
    let seed = seed();
    println!("seed {seed}");
    let attacks = attacks(seed, 64 * MIB);
    thread::scope(|scope| {
        for (door, way) in siege.ways() {
            for attack in &attacks {
                let way = way.clone();
                scope.spawn(move || {
                    let got = carry_out(&way.connect(), &attack.bytes);
                    judge(attack, door, &got);
                });
            }
        }
    });
    siege.is_well(&mut siege.stream());
    let peak = siege.memory_peak_kib();
    println!("memory: {quiet} KiB before, {peak} KiB at most");
    assert!(peak < quiet + MEMORY_KIB_MAX, "{quiet} KiB grew to {peak}");
}

/// The same, less of it, by a client whose TLS is right.
#[test]
fn hostile_bytes_inside_of_tls_are_refused_too() {
    let (mut siege, trust) = Siege::begin_tls(&[]);
    siege.is_well(&mut trust.connect(siege.served.address));
    let quiet = siege.memory_peak_kib();
    let seed = seed();
    println!("seed {seed}");
    let attacks = attacks(seed, 2 * MIB);
    thread::scope(|scope| {
        for attack in &attacks {
            let mut wire = trust.connect(siege.served.address);
            scope.spawn(move || {
                let _ = wire.write_all(&attack.bytes).and_then(|()| wire.flush());
                judge(attack, "api by TLS", &read_to_end(&mut wire));
            });
        }
    });
    siege.is_well(&mut trust.connect(siege.served.address));
    let peak = siege.memory_peak_kib();
    println!("memory: {quiet} KiB before, {peak} KiB at most");
    assert!(peak < quiet + MEMORY_KIB_MAX, "{quiet} KiB grew to {peak}");
}

/// tiny_http keeps four threads for what it has to wait for.
#[test]
fn sixteen_half_sent_bodies_at_every_door_are_ended_and_hold_up_nobody() {
    let mut siege = Siege::begin(&[]);
    let half = format!(
        "POST /healthz HTTP/1.1\r\nContent-Length: 5000\r\n\r\n{}",
        "x".repeat(2_500)
    );
    let mut slow = Vec::new();
    for (_, way) in siege.ways() {
        for _ in 0..16 {
            let mut socket = way.connect();
            socket.write_all(half.as_bytes()).unwrap();
            slow.push(socket);
        }
    }
    siege.is_well(&mut siege.stream());
    for mut socket in slow {
        assert_eq!(statuses(&read_to_end(&mut socket)), [408]);
    }
}

const AHEAD: usize = 10_000;

fn sent_ahead(way: &Way) -> Vec<u16> {
    let socket = way.connect();
    let mut answers = Vec::new();
    thread::scope(|scope| {
        let mut writer = &socket;
        scope.spawn(move || {
            writer.write_all(HEALTH.repeat(AHEAD).as_bytes()).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        answers = statuses(&read_to_end(&mut &socket));
    });
    answers
}

#[test]
fn ten_thousand_requests_sent_ahead_are_all_answered_at_every_door() {
    let mut siege = Siege::begin(&[]);
    siege.is_well(&mut siege.stream());
    let quiet = siege.memory_peak_kib();
    thread::scope(|scope| {
        for (door, way) in siege.ways() {
            scope.spawn(move || {
                let answers = sent_ahead(&way);
                let all_right = answers.iter().all(|status| *status == 200);
                assert!(
                    answers.len() == AHEAD && all_right,
                    "{door}: {}",
                    answers.len()
                );
            });
        }
    });
    let peak = siege.memory_peak_kib();
    println!("memory: {quiet} KiB before, {peak} KiB at most");
    assert!(peak < quiet + MEMORY_KIB_MAX, "{quiet} KiB grew to {peak}");
    siege.is_well(&mut siege.stream());
}

/// A body that looks like a request is a body, and a request behind it is one.
#[test]
fn no_request_is_smuggled_in_a_body_at_any_door() {
    let siege = Siege::begin(&[]);
    let inner = "GET /smuggled HTTP/1.1\r\n\r\n";
    for (door, way) in siege.ways() {
        let mut client = Client::over(way.connect());
        client.write(
            format!(
                "POST /healthz HTTP/1.1\r\nContent-Length: {}\r\n\r\n{inner}{HEALTH}",
                inner.len()
            )
            .as_bytes(),
        );
        assert_eq!(client.receive().status(), 200, "{door}");
        assert_eq!(client.receive().status(), 200, "{door}");
        assert!(client.is_closed(), "{door}");
    }
}
