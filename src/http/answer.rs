//! What goes back to a client: status, body and the few headers that we ever send, as one block of bytes.
//!
//! Header values are numbers and words of ours, never a client's text: tiny_http would not check them for line ends.

use std::fmt::Write as _;

use crate::domain::Timestamp;

/// One answer, always JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    pub retry_after_s: Option<u64>,
    /// The methods that a path takes, with 405.
    pub allow: Option<&'static str>,
}

/// What of the request shapes the answer's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub is_http_1_0: bool,
    pub is_head: bool,
    /// The client asked for it, and tiny_http will do so.
    pub closes: bool,
}

impl Answer {
    pub fn new(status: u16, body: Vec<u8>) -> Self {
        Self {
            status,
            body,
            retry_after_s: None,
            allow: None,
        }
    }

    /// Head and body in one block, so that they leave in one write.
    pub fn to_bytes(&self, shape: Shape, now: Timestamp) -> Vec<u8> {
        let version = if shape.is_http_1_0 { "1.0" } else { "1.1" };
        let mut head = format!("HTTP/{version} {} {}\r\n", self.status, reason(self.status));
        // Writing to a String cannot fail.
        let _ = write!(
            head,
            "Date: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
            now.to_utc().format("%a, %d %b %Y %H:%M:%S GMT"),
            self.body.len()
        );
        if let Some(seconds) = self.retry_after_s {
            let _ = write!(head, "Retry-After: {seconds}\r\n");
        }
        if let Some(allow) = self.allow {
            let _ = write!(head, "Allow: {allow}\r\n");
        }
        if shape.closes {
            head.push_str("Connection: close\r\n");
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        if !shape.is_head {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        411 => "Length Required",
        413 => "Content Too Large",
        414 => "URI Too Long",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        _ => "Status",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_and_body_are_one_block() {
        let mut answer = Answer::new(503, b"{}".to_vec());
        answer.retry_after_s = Some(2);
        let shape = Shape {
            is_http_1_0: false,
            is_head: false,
            closes: true,
        };
        let bytes = answer.to_bytes(shape, Timestamp::ZERO);
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "HTTP/1.1 503 Service Unavailable\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
             Content-Type: application/json\r\nContent-Length: 2\r\nRetry-After: 2\r\nConnection: close\r\n\r\n{}"
        );
    }
}
