//! A load of keep-alive clients: one thread, many connections, the next request of each as soon as its answer is whole.
#![allow(dead_code, clippy::unwrap_used, clippy::indexing_slicing)]

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

/// What a run of clients saw.
pub struct Load {
    /// Microseconds of each answer, sorted.
    pub times: Vec<f64>,
    pub seconds: f64,
    /// Clients that never got an answer.
    pub unserved: usize,
}

impl Load {
    #[allow(clippy::cast_precision_loss)]
    pub fn rate(&self) -> f64 {
        self.times.len() as f64 / self.seconds
    }

    /// The time under which this part of the answers came.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss
    )]
    pub fn at(&self, part: f64) -> f64 {
        let index = (self.times.len() as f64 * part) as usize;
        self.times[index.min(self.times.len() - 1)]
    }
}

struct Client {
    stream: TcpStream,
    input: Vec<u8>,
    asked: Instant,
    answers: u64,
}

/// Whether all connections are there at once, or each is proven by an answer before the next is opened.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    AtOnce,
    OneByOne,
}

/// Runs `clients` clients for `span`; `request` makes the bytes of the next request, `check` looks at each answer's body.
pub fn run(
    address: SocketAddr,
    clients: usize,
    opening: Opening,
    span: Duration,
    mut request: impl FnMut() -> Vec<u8>,
    check: impl Fn(&[u8]),
) -> Load {
    let mut poll = Poll::new().unwrap();
    let mut all: Vec<Client> = (0..clients)
        .map(|at| open(address, opening, &poll, at))
        .collect();
    for client in &mut all {
        client.ask(&request());
    }
    let mut load = Load {
        times: Vec::new(),
        seconds: 0.0,
        unserved: 0,
    };
    let begun = Instant::now();
    let mut events = Events::with_capacity(1_024);
    while begun.elapsed() < span {
        poll.poll(&mut events, Some(Duration::from_millis(50)))
            .unwrap();
        for event in &events {
            let client = &mut all[event.token().0];
            while let Some(body) = client.receive() {
                check(&body);
                load.times.push(client.asked.elapsed().as_secs_f64() * 1e6);
                client.answers += 1;
                client.ask(&request());
            }
        }
    }
    load.seconds = begun.elapsed().as_secs_f64();
    load.unserved = all.iter().filter(|client| client.answers == 0).count();
    load.times.sort_by(f64::total_cmp);
    load
}

fn open(address: SocketAddr, opening: Opening, poll: &Poll, at: usize) -> Client {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    if opening == Opening::OneByOne {
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: bench\r\n\r\n")
            .unwrap();
        let mut input = Vec::new();
        let mut part = [0; 4096];
        while take(&mut input).is_none() {
            let read = stream.read(&mut part).unwrap();
            assert!(read > 0);
            input.extend_from_slice(&part[..read]);
        }
    }
    stream.set_nonblocking(true).unwrap();
    let mut stream = TcpStream::from_std(stream);
    let token = Token(at);
    poll.registry()
        .register(&mut stream, token, Interest::READABLE)
        .unwrap();
    Client {
        stream,
        input: Vec::new(),
        asked: Instant::now(),
        answers: 0,
    }
}

impl Client {
    fn ask(&mut self, bytes: &[u8]) {
        self.asked = Instant::now();
        // A request is far smaller than a socket's buffer.
        assert_eq!(self.stream.write(bytes).unwrap(), bytes.len());
    }

    fn receive(&mut self) -> Option<Vec<u8>> {
        let mut part = [0; 16 * 1024];
        loop {
            if let Some(body) = take(&mut self.input) {
                return Some(body);
            }
            match self.stream.read(&mut part) {
                Ok(0) => panic!("the server closed a connection"),
                Ok(read) => self.input.extend_from_slice(&part[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// The first whole answer's body.
fn take(input: &mut Vec<u8>) -> Option<Vec<u8>> {
    let end = input.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&input[..end]).unwrap();
    let length: usize = head
        .lines()
        .find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("content-length:")
                .map(|length| length.trim().parse().unwrap())
        })
        .unwrap();
    let all = end + 4 + length;
    if input.len() < all {
        return None;
    }
    let body = input[end + 4..all].to_vec();
    input.drain(..all);
    Some(body)
}

/// One request and its answer's body.
pub fn once(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(request).unwrap();
    let mut input = Vec::new();
    let mut part = [0; 4096];
    loop {
        if let Some(body) = take(&mut input) {
            return String::from_utf8(body).unwrap();
        }
        let read = stream.read(&mut part).unwrap();
        assert!(read > 0, "the server closed the connection");
        input.extend_from_slice(&part[..read]);
    }
}

/// Raises this process's limit of open files to the most it may have.
pub fn raise_file_limit() {
    let mut limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current = limit.maximum;
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
}
