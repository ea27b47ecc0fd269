//! What goes back to a client: status, body and the few headers that we ever send, as one block of bytes.
//!
//! Header values are numbers and words of ours, never a client's or a script's text, so no line end can get into a head.

use std::fmt::Write as _;

use crate::domain::Timestamp;

/// What the body is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ContentType {
    #[default]
    Json,
    /// The text format that Prometheus reads.
    Metrics,
}

impl ContentType {
    pub const ALL: [Self; 2] = [Self::Json, Self::Metrics];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Metrics => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// The methods that a path takes, with 405.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allow {
    Get,
    Post,
}

impl Allow {
    pub const ALL: [Self; 2] = [Self::Get, Self::Post];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    pub content_type: ContentType,
    pub retry_after_s: Option<u64>,
    pub allow: Option<Allow>,
}

/// What of the request shapes the answer's head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    pub is_http_1_0: bool,
    pub is_head: bool,
    /// The connection ends after this answer.
    pub closes: bool,
}

impl Answer {
    pub fn new(status: u16, body: Vec<u8>) -> Self {
        Self {
            status,
            body,
            content_type: ContentType::Json,
            retry_after_s: None,
            allow: None,
        }
    }

    /// Head and body in one block, so that they leave in one write.
    pub fn to_bytes(&self, shape: Shape, date: &str) -> Vec<u8> {
        const HEAD_BYTES: usize = 256;
        let version = if shape.is_http_1_0 { "1.0" } else { "1.1" };
        let mut head = String::with_capacity(HEAD_BYTES + self.body.len());
        // Writing to a String cannot fail.
        let _ = write!(
            head,
            "HTTP/{version} {} {}\r\nDate: {date}\r\n",
            self.status,
            reason(self.status)
        );
        self.write_fields(&mut head);
        if shape.closes {
            head.push_str("Connection: close\r\n");
        } else if shape.is_http_1_0 {
            head.push_str("Connection: keep-alive\r\n");
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        if !shape.is_head {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }

    /// The header lines that are the answer's own.
    pub(super) fn write_fields(&self, head: &mut String) {
        let (kind, length) = (self.content_type.as_str(), self.body.len());
        let _ = write!(head, "Content-Type: {kind}\r\nContent-Length: {length}\r\n");
        if let Some(seconds) = self.retry_after_s {
            let _ = write!(head, "Retry-After: {seconds}\r\n");
        }
        if let Some(allow) = self.allow {
            let _ = write!(head, "Allow: {}\r\n", allow.as_str());
        }
    }
}

/// An instant as a `Date` header says it.
pub fn date(now: Timestamp) -> String {
    now.to_utc().format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

pub(super) fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
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
            closes: true,
            ..Shape::default()
        };
        let bytes = answer.to_bytes(shape, &date(Timestamp::ZERO));
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "HTTP/1.1 503 Service Unavailable\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
             Content-Type: application/json\r\nContent-Length: 2\r\nRetry-After: 2\r\nConnection: close\r\n\r\n{}"
        );
    }

    #[test]
    fn a_head_request_gets_the_length_of_a_body_that_does_not_come() {
        let shape = Shape {
            is_head: true,
            ..Shape::default()
        };
        let bytes = Answer::new(200, b"{}".to_vec()).to_bytes(shape, "x");
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains("Content-Length: 2\r\n") && text.ends_with("\r\n\r\n"));
    }
}
