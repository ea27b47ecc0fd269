//! One exchange with the API over a connection that may break at any moment: an error, then, and no panic.
#![allow(dead_code)] // two binaries use different halves of it

use std::io::{Read, Write};

use serde_json::Value;

/// An answer of the API.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

/// Writes a request and reads one answer.
pub fn exchange(stream: &mut (impl Read + Write), request: &[u8]) -> std::io::Result<Answer> {
    stream.write_all(request)?;
    let mut answer = Vec::new();
    let mut more = |answer: &mut Vec<u8>| {
        let mut part = [0; 16 * 1024];
        let count = stream.read(&mut part)?;
        answer.extend_from_slice(&part[..count]);
        let is_closed = count == 0;
        (!is_closed)
            .then_some(())
            .ok_or_else(|| std::io::Error::from(std::io::ErrorKind::UnexpectedEof))
    };
    let body_at = loop {
        if let Some(at) = answer.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        more(&mut answer)?;
    };
    let head = String::from_utf8_lossy(&answer[..body_at]).to_lowercase();
    let length = head.lines().find_map(|line| {
        let length = line.strip_prefix("content-length:")?;
        length.trim().parse::<usize>().ok()
    });
    let length = length.unwrap_or_else(|| panic!("no length: {head}"));
    while answer.len() < body_at + length {
        more(&mut answer)?;
    }
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok(Answer {
        status: status.unwrap_or_else(|| panic!("no status: {head}")),
        body: String::from_utf8(answer.split_off(body_at)).unwrap(),
    })
}

/// Posts a body; the answer is JSON whatever it says.
pub fn post(
    stream: &mut (impl Read + Write),
    path: &str,
    body: &str,
    headers: &str,
) -> std::io::Result<Value> {
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: test\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    );
    let answer = exchange(stream, request.as_bytes())?;
    Ok(serde_json::from_str(&answer.body).unwrap())
}
