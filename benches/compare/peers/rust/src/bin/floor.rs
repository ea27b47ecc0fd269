//! What nothing on this machine can be faster than: an append with its sync, a bare socket, tiny_http alone, and both together.
//!
//! `floor append FOLDER SECONDS BYTES` prints appends a second; `floor socket PORT` answers whatever comes; `floor http PORT` is tiny_http
//! alone; `floor durable PORT FOLDER BYTES` is tiny_http that appends and syncs before it answers; `floor grouped PORT FOLDER BYTES`
//! has a thread a client, and one sync for all that wait. The append is the ledger's: into a file that is written and synced full of
//! zeros beforehand.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::FileExt;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Socket, Type};

const SEGMENT_BYTES: u64 = 64 << 20;
/// As long as the product's answer.
const ANSWER_BYTES: usize = 1_100;
const CLIENTS_MAX: usize = 64;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [_, "append", folder, seconds, bytes] => {
            let span = Duration::from_secs(seconds.parse().expect("seconds"));
            append(&mut Segment::open(folder, bytes), span);
        }
        [_, "socket", port] => socket(port.parse().expect("a port")),
        [_, "http", port] => http(port, || ()),
        [_, "durable", port, folder, bytes] => {
            let mut segment = Segment::open(folder, bytes);
            http(port, move || segment.append(1));
        }
        [_, "grouped", port, folder, bytes] => grouped(port, Segment::open(folder, bytes)),
        _ => panic!("usage: floor append|socket|http|durable|grouped ..."),
    }
}

struct Segment {
    file: File,
    line: Vec<u8>,
    at: u64,
}

impl Segment {
    fn open(folder: &str, bytes: &str) -> Self {
        let file = File::create(format!("{folder}/floor")).expect("a folder");
        file.write_all_at(
            &vec![0; usize::try_from(SEGMENT_BYTES).expect("64 bits")],
            0,
        )
        .expect("space");
        file.sync_all().expect("to sync");
        let line = vec![b'x'; bytes.parse().expect("a number of bytes")];
        Self { file, line, at: 0 }
    }

    fn append(&mut self, lines: usize) {
        let group = self.line.repeat(lines);
        if self.at + group.len() as u64 > SEGMENT_BYTES {
            self.at = 0;
        }
        self.file.write_all_at(&group, self.at).expect("to write");
        self.file.sync_data().expect("to sync");
        self.at += group.len() as u64;
    }
}

fn append(segment: &mut Segment, span: Duration) {
    let begun = Instant::now();
    let mut appends = 0_u32;
    while begun.elapsed() < span {
        segment.append(1);
        appends += 1;
    }
    println!("{:.0}", f64::from(appends) / begun.elapsed().as_secs_f64());
}

fn http(port: &str, mut before: impl FnMut()) {
    let server = listen(port);
    for request in server.incoming_requests() {
        answer(request, &mut before);
    }
}

fn grouped(port: &str, mut segment: Segment) {
    let server = listen(port);
    let (asks, waiting) = mpsc::channel::<mpsc::Sender<()>>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while let Ok(first) = waiting.recv() {
                let group: Vec<_> = std::iter::once(first).chain(waiting.try_iter()).collect();
                segment.append(group.len());
                for ask in group {
                    ask.send(()).expect("one that waits");
                }
            }
        });
        for _ in 0..CLIENTS_MAX {
            let (server, asks) = (&server, asks.clone());
            scope.spawn(move || {
                let (done, wait) = mpsc::channel();
                for request in server.incoming_requests() {
                    answer(request, || {
                        asks.send(done.clone()).expect("a writer");
                        wait.recv().expect("a writer");
                    });
                }
            });
        }
    });
}

fn listen(port: &str) -> tiny_http::Server {
    let address = SocketAddr::from(([127, 0, 0, 1], port.parse().expect("a port")));
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    // Accepted connections inherit it; without it an answer of two writes waits 40 ms.
    socket.set_tcp_nodelay(true).expect("no delay");
    socket.bind(&address.into()).expect("a free port");
    socket.listen(64).expect("to listen");
    tiny_http::Server::from_listener(TcpListener::from(socket), None).expect("to serve")
}

fn answer(mut request: tiny_http::Request, before: impl FnOnce()) {
    let mut body = Vec::new();
    request.as_reader().read_to_end(&mut body).expect("a body");
    before();
    // The client may have left.
    let _ = request.respond(tiny_http::Response::from_data(vec![b'x'; ANSWER_BYTES]));
}

fn socket(port: u16) {
    let answer = [
        format!("HTTP/1.1 200 OK\r\nContent-Length: {ANSWER_BYTES}\r\n\r\n").as_bytes(),
        &[b'x'; ANSWER_BYTES],
    ]
    .concat();
    let mut poll = Poll::new().expect("a poll");
    let mut listener =
        mio::net::TcpListener::bind(([127, 0, 0, 1], port).into()).expect("a free port");
    let door = Token(usize::MAX);
    poll.registry()
        .register(&mut listener, door, Interest::READABLE)
        .expect("to register");
    let mut clients: Vec<TcpStream> = Vec::new();
    let mut events = Events::with_capacity(256);
    let mut part = [0; 16 * 1024];
    loop {
        poll.poll(&mut events, None).expect("to poll");
        for event in &events {
            if event.token() != door {
                let Some(client) = clients.get_mut(event.token().0) else {
                    continue;
                };
                // The load sends each request in one write, and waits for its answer.
                while let Ok(1..) = client.read(&mut part) {
                    let _ = client.write_all(&answer);
                }
                continue;
            }
            loop {
                match listener.accept() {
                    Ok((mut client, _)) => {
                        let _ = client.set_nodelay(true);
                        poll.registry()
                            .register(&mut client, Token(clients.len()), Interest::READABLE)
                            .expect("to register");
                        clients.push(client);
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }
}
