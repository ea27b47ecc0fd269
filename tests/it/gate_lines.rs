//! The lines between the gate and what stands behind it: broken, mixed up or silent, they never give a client another's answer.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use pairbox::clock::SystemClock;
use pairbox::http::gate::{Door, DoorKind, Gate, GateHandle, GateOptions, GateParts, Origin};
use pairbox::telemetry::{Metric, Metrics};

use super::http_scene::{http, until};
use super::http_wire::Client;

/// A gate in front of a server that a test plays.
struct Alone {
    address: SocketAddr,
    upstream: UnixListener,
    metrics: Arc<Metrics>,
    handle: GateHandle,
    gate: Option<JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

/// One line as the server behind sees it.
struct Line {
    reader: BufReader<UnixStream>,
}

impl Alone {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("http.sock");
        let upstream = UnixListener::bind(&path).unwrap();
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let (door, address) = Door::tcp(DoorKind::Api, free, Arc::default()).unwrap();
        let metrics = Arc::new(Metrics::new());
        let (gate, handle) = Gate::new(GateParts {
            doors: vec![door],
            upstream: path,
            options: GateOptions::new(&http(), 1 << 20),
            clock: Arc::new(SystemClock::new()),
            metrics: metrics.clone(),
        })
        .unwrap();
        Self {
            address,
            upstream,
            metrics,
            handle,
            gate: Some(std::thread::spawn(move || gate.run().unwrap())),
            _folder: folder,
        }
    }

    /// The next line that the gate opens, proven.
    fn line(&self) -> Line {
        let (stream, _) = self.upstream.accept().unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut line = Line {
            reader: BufReader::new(stream),
        };
        let (origin, request) = line.hear();
        assert_eq!(request, "GET /healthz HTTP/1.1");
        line.answer(origin.id.0, "proof");
        line
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        self.handle.end(Duration::ZERO);
        let ended = self.gate.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking());
    }
}

impl Line {
    /// The next request: where it comes from, and its first line.
    fn hear(&mut self) -> (Origin, String) {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line).unwrap();
            assert!(line.ends_with("\r\n"), "{line:?}");
            if line == "\r\n" {
                break;
            }
            lines.push(line.trim_end().to_owned());
        }
        let private = lines
            .iter()
            .find_map(|line| line.strip_prefix("X-Pairbox: "));
        let origin = Origin::parse(private.unwrap()).unwrap();
        (origin, lines.remove(0))
    }

    fn has_data(&self) -> bool {
        let socket = socket2::SockRef::from(self.reader.get_ref());
        let mut byte = [std::mem::MaybeUninit::uninit(); 1];
        socket.set_nonblocking(true).unwrap();
        let peeked = socket.peek(&mut byte);
        socket.set_nonblocking(false).unwrap();
        peeked.is_ok_and(|bytes| bytes > 0)
    }

    fn answer(&mut self, id: u64, body: &str) {
        self.write(&format!(
            "HTTP/1.1 200 OK\r\nX-Pairbox: {id}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
    }

    fn write(&mut self, text: &str) {
        self.reader.get_mut().write_all(text.as_bytes()).unwrap();
    }
}

fn ask(address: SocketAddr, path: &str) -> Client {
    let mut client = Client::connect(address);
    client.write(format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes());
    client
}

/// The next request on any of the lines, and on which.
fn hear_any(lines: &mut [Line]) -> (usize, Origin, String) {
    let mut at = 0;
    until("a request comes", || {
        let ready = |line: &Line| !line.reader.buffer().is_empty() || line.has_data();
        at = lines.iter().position(ready).unwrap_or(lines.len());
        at < lines.len()
    });
    let (origin, request) = lines[at].hear();
    (at, origin, request)
}

/// Two ask at once and are answered, each its own question; whether both lines had a part in it.
fn both_lines_serve(address: SocketAddr, lines: &mut [Line]) -> bool {
    let mut clients = ["/x", "/y"].map(|path| (path, ask(address, path)));
    let mut used = Vec::new();
    for _ in 0..2 {
        let (at, origin, request) = hear_any(lines);
        lines[at].answer(origin.id.0, &request);
        used.push(at);
    }
    for (path, client) in &mut clients {
        assert_eq!(client.receive().body, format!("GET {path} HTTP/1.1"));
    }
    used[0] != used[1]
}

#[test]
fn nobody_is_let_in_before_a_line_is_proven() {
    let alone = Alone::new();
    let mut client = ask(alone.address, "/a");
    let (stream, _) = alone.upstream.accept().unwrap();
    let mut line = Line {
        reader: BufReader::new(stream),
    };
    let (proof, _) = line.hear();
    // No other line is opened, and no request comes, until this one has proven itself.
    alone.upstream.set_nonblocking(true).unwrap();
    assert!(alone.upstream.accept().is_err());
    assert_eq!(alone.metrics.get(Metric::HttpConnections), 0);
    line.answer(proof.id.0, "");
    let (origin, request) = line.hear();
    assert_eq!(request, "GET /a HTTP/1.1");
    line.answer(origin.id.0, "for a");
    assert_eq!(client.receive().body, "for a");
}

#[test]
fn answers_that_are_mixed_up_reach_nobody() {
    let alone = Alone::new();
    let mut first = alone.line();
    let mut second = alone.line();
    let mut one = ask(alone.address, "/one");
    let (one_origin, _) = first.hear();
    let mut two = ask(alone.address, "/two");
    let (_, request) = second.hear();
    assert_eq!(request, "GET /two HTTP/1.1");
    // On the second line, the number of the first's request: the line is broken, its client hears nothing.
    second.answer(one_origin.id.0, "for one");
    assert!(two.is_closed());
    until("it is counted", || {
        alone.metrics.get(Metric::HttpLinesBroken) == 1
    });
    let page = alone.metrics.render();
    assert!(
        page.contains("\npairbox_http_broken_lines_total 1\n"),
        "{page}"
    );
    first.answer(one_origin.id.0, "for one");
    assert_eq!(one.receive().body, "for one");
    // Another line is opened in its place, and comes to be used.
    let third = alone.line();
    let mut lines = [first, third];
    while !both_lines_serve(alone.address, &mut lines) {}
}

#[test]
fn a_line_that_breaks_ends_those_who_wait_on_it_and_no_one_else() {
    let alone = Alone::new();
    let mut first = alone.line();
    let mut second = alone.line();
    let mut waits = ask(alone.address, "/waits");
    let (origin, _) = first.hear();
    let mut parked = ask(alone.address, "/parked");
    let (parked_origin, _) = second.hear();
    second.write(&format!(
        "HTTP/1.1 202 Accepted\r\nX-Pairbox: {} ticket\r\nContent-Length: 0\r\n\r\n",
        parked_origin.id.0
    ));
    let mut lines = [first, second];
    // The line owes less again once the gate has read the ticket.
    let mut early = Vec::new();
    let (mut cut, cut_origin) = loop {
        let client = ask(alone.address, "/cut");
        match hear_any(&mut lines) {
            (1, origin, _) => break (client, origin),
            _ => early.push(client),
        }
    };
    let [mut first, mut second] = lines;
    second.write(&format!(
        "HTTP/1.1 200 OK\r\nX-Pairbox: {}\r\nContent-Length: 9\r\n\r\nhalf",
        cut_origin.id.0
    ));
    drop(second);
    assert!(cut.is_closed());
    first.answer(origin.id.0, "still here");
    assert_eq!(waits.receive().body, "still here");
    // Who has a ticket does not need the line any more.
    let answer = pairbox::http::gate::GateAnswer::new(200, b"later".to_vec());
    alone.handle.finisher().finish(parked_origin.id, answer);
    assert_eq!(parked.receive().body, "later");
}

#[test]
fn without_any_line_a_client_is_told_to_come_again() {
    let alone = Alone::new();
    let first = alone.line();
    let second = alone.line();
    let mut client = Client::connect(alone.address);
    client.write(b"GET /a HTTP/1.1\r\n");
    until("it is in", || {
        alone.metrics.get(Metric::HttpConnections) == 1
    });
    drop((first, second));
    until("both are broken", || {
        alone.metrics.get(Metric::HttpLinesBroken) >= 2
    });
    let answer = client.send("\r\n");
    assert_eq!((answer.status(), &*answer.error()), (503, "OVERLOADED"));
}

#[test]
fn an_answer_for_a_client_that_has_left_is_nobodys() {
    let alone = Alone::new();
    let mut line = alone.line();
    let mut other = alone.line();
    let leaves = ask(alone.address, "/leaves");
    let (left, _) = line.hear();
    drop(leaves);
    let mut comes = ask(alone.address, "/comes");
    let (origin, _) = other.hear();
    line.answer(left.id.0, "for the one that left");
    other.answer(origin.id.0, "for the one that came");
    assert_eq!(comes.receive().body, "for the one that came");
}

#[test]
fn a_line_on_which_an_answer_was_lost_keeps_nobody_waiting() {
    let alone = Alone::new();
    let mut first = alone.line();
    let mut second = alone.line();
    let mut loses = ask(alone.address, "/loses");
    let (lost, _) = first.hear();
    let mut waits = ask(alone.address, "/waits");
    let (origin, _) = second.hear();
    alone.handle.finisher().give_up(lost.line);
    assert!(loses.is_closed());
    second.answer(origin.id.0, "still here");
    assert_eq!(waits.receive().body, "still here");
    // One that is gone already, or never was, takes nobody along.
    let third = alone.line();
    alone.handle.finisher().give_up(lost.line);
    alone.handle.finisher().give_up(u64::MAX);
    let mut lines = [third, second];
    while !both_lines_serve(alone.address, &mut lines) {}
    assert_eq!(alone.metrics.get(Metric::HttpLinesBroken), 1);
}
