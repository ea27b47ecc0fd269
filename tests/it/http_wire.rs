//! A raw HTTP client, so that exact bytes are asserted, and golden files of whole answers.
//!
//! `PAIRBOX_BLESS=1` rewrites the golden files; look at the difference before you commit it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use socket2::Socket;

/// Over a socket, or what a test puts in its place.
pub struct Client<S = Socket> {
    stream: S,
    /// Bytes that came after the last answer.
    rest: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub status_line: String,
    pub headers: Vec<String>,
    pub body: String,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).unwrap())
    }

    /// Over a connection of either family.
    pub fn over(stream: impl Into<OwnedFd>) -> Self {
        let stream = Socket::from(stream.into());
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        // A Unix socket has no such option.
        let _ = stream.set_tcp_nodelay(true);
        Self::through(stream)
    }

    /// The same connection, to be written to by another thread.
    pub fn twin(&self) -> Socket {
        self.stream.try_clone().unwrap()
    }
}

impl<S: Read + Write> Client<S> {
    pub fn through(stream: S) -> Self {
        Self {
            stream,
            rest: Vec::new(),
        }
    }

    /// Whether the other side has ended the connection, without a word more.
    pub fn is_closed(&mut self) -> bool {
        match self.stream.read(&mut [0; 16]) {
            Ok(read) => read == 0,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }

    /// The first line of an interim answer.
    pub fn interim(&mut self) -> String {
        self.head().status_line
    }

    /// A head with no body behind it.
    pub fn head(&mut self) -> Response {
        let mut bytes = std::mem::take(&mut self.rest);
        let end = self.head_end(&mut bytes);
        self.rest = bytes.split_off(end + 4);
        response(&bytes[..end], "")
    }

    /// The status of the next answer, if one comes.
    pub fn tries(&mut self) -> Option<u16> {
        let mut bytes = std::mem::take(&mut self.rest);
        let mut block = [0; 16 * 1024];
        while !bytes.windows(4).any(|window| window == b"\r\n\r\n") {
            match self.stream.read(&mut block) {
                Ok(count) if count > 0 => bytes.extend_from_slice(&block[..count]),
                _ => return None,
            }
        }
        self.rest = bytes;
        Some(self.receive().status())
    }

    pub fn send(&mut self, request: &str) -> Response {
        self.write(request.as_bytes());
        self.receive()
    }

    /// Writes what it can; a server that has answered may have stopped reading.
    pub fn write(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    pub fn receive(&mut self) -> Response {
        let mut bytes = std::mem::take(&mut self.rest);
        let head_end = self.head_end(&mut bytes);
        let head = response(&bytes[..head_end], "");
        let length: usize = head
            .headers
            .iter()
            .find_map(|line| line.strip_prefix("Content-Length: "))
            .expect("every answer says how long it is")
            .parse()
            .unwrap();
        let end = head_end + 4 + length;
        while bytes.len() < end {
            self.read_into(&mut bytes);
        }
        self.rest = bytes.split_off(end);
        let body = String::from_utf8(bytes.split_off(head_end + 4)).unwrap();
        Response { body, ..head }
    }

    fn head_end(&mut self, bytes: &mut Vec<u8>) -> usize {
        loop {
            if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                return at;
            }
            self.read_into(bytes);
        }
    }

    fn read_into(&mut self, bytes: &mut Vec<u8>) {
        let mut block = [0; 16 * 1024];
        let read = self.stream.read(&mut block).unwrap();
        assert!(read > 0, "the connection was closed before an answer");
        bytes.extend_from_slice(&block[..read]);
    }
}

fn response(head: &[u8], body: &str) -> Response {
    let head = String::from_utf8(head.to_vec()).unwrap();
    let mut lines = head.split("\r\n").map(str::to_owned);
    Response {
        status_line: lines.next().unwrap(),
        headers: lines.collect(),
        body: body.to_owned(),
    }
}

impl Response {
    /// The same for an answer of a gate whose clock runs.
    pub fn is_golden_but_for_its_date(&self, name: &str) {
        let mut dateless = self.clone();
        for line in &mut dateless.headers {
            if line.starts_with("Date: ") {
                "Date: (now)".clone_into(line);
            }
        }
        dateless.is_golden(name);
    }

    pub fn status(&self) -> u16 {
        self.status_line.split(' ').nth(1).unwrap().parse().unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub fn data(&self) -> Value {
        let json = self.json();
        assert_eq!(json["status"]["code"], "OK", "{}", self.body);
        json["data"].clone()
    }

    /// The code's last word of an error.
    pub fn error(&self) -> String {
        let json = self.json();
        assert_eq!(json["data"], Value::Null, "{}", self.body);
        let code = json["status"]["code"].as_str().unwrap();
        let name = code.rsplit('.').next().unwrap();
        name.strip_suffix("EXCEPTION")
            .unwrap_or_else(|| panic!("no error: {}", self.body))
            .to_owned()
    }

    pub fn message(&self) -> String {
        self.json()["status"]["message"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Compares the whole answer with `golden/http/NAME.json`. Clock and salt stand still; only tokens are masked.
    pub fn is_golden(&self, name: &str) {
        let path = PathBuf::from("tests/it/golden/http").join(format!("{name}.json"));
        let headers: Vec<String> = self
            .headers
            .iter()
            .map(|line| format!("  {}", serde_json::to_string(line).unwrap()))
            .collect();
        let found = format!(
            "{{\n\"status_line\": {},\n\"headers\": [\n{}\n],\n\"body\":\n{}\n}}\n",
            serde_json::to_string(&self.status_line).unwrap(),
            headers.join(",\n"),
            spread(&masked(&self.body))
        );
        if std::env::var_os("PAIRBOX_BLESS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &found).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            found,
            golden,
            "{}: PAIRBOX_BLESS=1 rewrites it",
            path.display()
        );
    }
}

/// Tokens are random.
fn masked(body: &str) -> String {
    const BEFORE: &str = "\"token\":\"";
    let Some(at) = body.find(BEFORE).map(|at| at + BEFORE.len()) else {
        return body.to_owned();
    };
    format!("{}{}{}", &body[..at], "0".repeat(32), &body[at + 32..])
}

/// One member a line, in the order of the wire.
fn spread(json: &str) -> String {
    let mut text = String::new();
    let mut depth = 0;
    let mut is_text = false;
    let mut is_escaped = false;
    let mut last = ' ';
    for c in json.chars() {
        if is_text {
            text.push(c);
            is_text = is_escaped || c != '"';
            is_escaped = !is_escaped && c == '\\';
            last = c;
            continue;
        }
        let is_empty = matches!((last, c), ('{', '}') | ('[', ']'));
        if matches!(c, '}' | ']') {
            depth -= 1;
        }
        if (matches!(last, '{' | '[' | ',') || matches!(c, '}' | ']')) && !is_empty {
            text.push('\n');
            text.push_str(&"  ".repeat(depth));
        }
        text.push(c);
        if c == ':' {
            text.push(' ');
        }
        if matches!(c, '{' | '[') {
            depth += 1;
        }
        is_text = c == '"';
        last = c;
    }
    text
}
