//! A client's head: whole, bounded, and framed in the one way that cannot be misread, or refused.
//!
//! Pure. What goes on is written anew from a whitelist: method, path, and the two headers that a method may need. Anything
//! ambiguous (two lengths, any Transfer-Encoding, a bare line end) would be a smuggled request behind a proxy.

use httparse::{EMPTY_HEADER, Request, Status};

use super::super::answer::Shape;
use super::super::crm::CallError;

pub const HEAD_BYTES_MAX: usize = 16 * 1024;
pub const HEADERS_MAX: usize = 64;
pub const URL_BYTES_MAX: usize = 8 * 1024;
const METHOD_BYTES_MAX: usize = 16;
/// What of a client's headers goes on.
const FORWARDED: [&str; 2] = ["Authorization", "Idempotency-Key"];

/// A head that may go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Request line and forwarded headers, without the empty line.
    pub text: Vec<u8>,
    pub body_bytes: usize,
    pub shape: Shape,
    pub expects_continue: bool,
}

/// What the bytes of a client are so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// More must come.
    Partial,
    /// A head of so many bytes.
    Whole(Box<Head>, usize),
    Refused(CallError),
}

/// Looks at what has come. `scanned` remembers how far, so that a head that drips in is looked at once.
pub fn parse(input: &[u8], scanned: &mut usize, body_bytes_max: usize) -> Parsed {
    match find_end(input, scanned) {
        Err(what) => Parsed::Refused(CallError::HeadMalformed { what }),
        Ok(Some(end)) if end <= HEAD_BYTES_MAX => {
            let head = input.get(..end).unwrap_or_default();
            match judge(head, body_bytes_max) {
                Ok(head) => Parsed::Whole(Box::new(head), end),
                Err(error) => Parsed::Refused(error),
            }
        }
        Ok(None) if input.len() < HEAD_BYTES_MAX => Parsed::Partial,
        Ok(_) => Parsed::Refused(too_large(input)),
    }
}

/// Where the head ends: behind its empty line. Line ends are CR and LF together, nothing is NUL.
fn find_end(input: &[u8], scanned: &mut usize) -> Result<Option<usize>, &'static str> {
    let at = |at: usize| input.get(at).copied();
    while let Some(byte) = at(*scanned) {
        match byte {
            0 => return Err("a NUL"),
            b'\r' if at(*scanned + 1).is_none() => return Ok(None),
            b'\r' if at(*scanned + 1) != Some(b'\n') => return Err("a CR without its LF"),
            b'\n' => return Err("an LF without its CR"),
            b'\r' if scanned.checked_sub(2).and_then(at) == Some(b'\r') => {
                return Ok(Some(*scanned + 2));
            }
            b'\r' => *scanned += 2,
            _ => *scanned += 1,
        }
    }
    Ok(None)
}

/// A URL alone may be what is too long.
fn too_large(input: &[u8]) -> CallError {
    let line = input.split(|byte| *byte == b'\r').next();
    if line.is_some_and(|line| line.len() > URL_BYTES_MAX) {
        CallError::UrlTooLong { max: URL_BYTES_MAX }
    } else {
        CallError::HeadTooLarge {
            max: HEAD_BYTES_MAX,
        }
    }
}

fn judge(bytes: &[u8], body_bytes_max: usize) -> Result<Head, CallError> {
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut request = Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(Status::Complete(_)) => {}
        Ok(Status::Partial) => return Err(malformed("no request line")),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(CallError::TooManyHeaders { max: HEADERS_MAX });
        }
        Err(httparse::Error::Version) => return Err(malformed("another version of HTTP")),
        Err(httparse::Error::Token) => return Err(malformed("a request line that is none")),
        Err(_) => return Err(malformed("a header that is none")),
    }
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version)
    else {
        return Err(malformed("no request line"));
    };
    if target.len() > URL_BYTES_MAX {
        return Err(CallError::UrlTooLong { max: URL_BYTES_MAX });
    }
    if method.len() > METHOD_BYTES_MAX {
        return Err(malformed("a method that is none"));
    }
    if !target.starts_with('/') || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(malformed("a target that is no path of plain ASCII"));
    }
    let fields = Fields(request.headers);
    if fields.values("Host").count() > 1 {
        return Err(malformed("more than one Host"));
    }
    let is_http_1_0 = minor == 0;
    let body_bytes = body_bytes(&fields, body_bytes_max)?;
    Ok(Head {
        text: write_head(method, target, &fields)?,
        body_bytes,
        shape: Shape {
            is_http_1_0,
            is_head: method == "HEAD",
            closes: fields.has_word("Connection", "close")
                || (is_http_1_0 && !fields.has_word("Connection", "keep-alive")),
        },
        expects_continue: !is_http_1_0 && fields.has_word("Expect", "100-continue"),
    })
}

fn malformed(what: &'static str) -> CallError {
    CallError::HeadMalformed { what }
}

/// The length of the body: exactly one of digits, or none.
fn body_bytes(fields: &Fields, max: usize) -> Result<usize, CallError> {
    let mut lengths = fields.values("Content-Length");
    let (length, another) = (lengths.next(), lengths.next());
    if fields.values("Transfer-Encoding").next().is_some() {
        return Err(match length {
            None => CallError::Chunked,
            Some(_) => CallError::AmbiguousLength,
        });
    }
    let Some(length) = length else {
        return Ok(0);
    };
    let is_digits = !length.is_empty() && length.iter().all(u8::is_ascii_digit);
    if another.is_some() || !is_digits {
        return Err(CallError::AmbiguousLength);
    }
    let bytes = std::str::from_utf8(length)
        .ok()
        .and_then(|digits| digits.parse().ok());
    match bytes {
        Some(bytes) if bytes <= max => Ok(bytes),
        _ => Err(CallError::BodyTooLarge { max: max as u64 }),
    }
}

fn write_head(method: &str, target: &str, fields: &Fields) -> Result<Vec<u8>, CallError> {
    let mut text = Vec::with_capacity(target.len() + 256);
    for part in [method, " ", target, " HTTP/1.1\r\n"] {
        text.extend_from_slice(part.as_bytes());
    }
    for name in FORWARDED {
        for value in fields.values(name) {
            let is_plain = |byte: &u8| *byte == b' ' || byte.is_ascii_graphic();
            if !value.iter().all(is_plain) {
                return Err(malformed("a header value that is no plain ASCII"));
            }
            for part in [name.as_bytes(), b": ", value, b"\r\n"] {
                text.extend_from_slice(part);
            }
        }
    }
    Ok(text)
}

struct Fields<'a>(&'a [httparse::Header<'a>]);

impl<'a> Fields<'a> {
    fn values(&self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.0
            .iter()
            .filter(move |field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value)
    }

    /// Whether a header that is a list has this word.
    fn has_word(&self, name: &'a str, word: &str) -> bool {
        self.values(name)
            .flat_map(|value| value.split(|byte| *byte == b','))
            .any(|part| part.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 100;

    fn whole(text: &str) -> Head {
        match parse(text.as_bytes(), &mut 0, MAX) {
            Parsed::Whole(head, bytes) => {
                assert_eq!(bytes, text.len());
                *head
            }
            other => panic!("{text:?}: {other:?}"),
        }
    }

    fn refused(text: &str) -> String {
        match parse(text.as_bytes(), &mut 0, MAX) {
            Parsed::Refused(error) => error.to_string(),
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn only_what_is_on_the_list_goes_on() {
        let head = whole(
            "POST /a?b=c HTTP/1.1\r\nHost: x\r\nX-Pairbox: 1 2 api ::1\r\nauthorization: Basic abc\r\n\
             Connection: Keep-Alive, Upgrade\r\nUpgrade: none\r\nidempotency-key: k\r\nContent-Length: 100\r\n\r\n",
        );
        assert_eq!(
            String::from_utf8(head.text).unwrap(),
            "POST /a?b=c HTTP/1.1\r\nAuthorization: Basic abc\r\nIdempotency-Key: k\r\n"
        );
        assert_eq!(head.body_bytes, 100);
        assert_eq!(head.shape, Shape::default());
    }

    #[test]
    fn a_head_that_drips_in_is_the_same_head() {
        let text = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nrest";
        let mut scanned = 0;
        for end in 1..text.len() - 4 {
            let parsed = parse(&text[..end], &mut scanned, MAX);
            assert_eq!(parsed, Parsed::Partial, "{end}");
        }
        let parsed = parse(text, &mut scanned, MAX);
        assert!(matches!(parsed, Parsed::Whole(head, bytes)
            if head.shape.closes && bytes == text.len() - 4));
    }

    #[test]
    fn old_http_closes_unless_it_asks_otherwise() {
        assert!(whole("GET / HTTP/1.0\r\n\r\n").shape.closes);
        let kept = whole("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        assert!(!kept.shape.closes && kept.shape.is_http_1_0);
        assert!(
            whole("POST / HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n")
                .expects_continue
        );
    }

    #[test]
    fn framing_that_could_be_misread_is_refused() {
        let post = |header: &str| refused(&format!("POST / HTTP/1.1\r\n{header}\r\n\r\n"));
        for header in [
            "Content-Length: -1",
            "Content-Length: +3",
            "Content-Length: 3, 3",
            "Content-Length:",
            "Content-Length: 0x3",
            "Content-Length: 3\r\nContent-Length: 3",
            "Content-Length: 3\r\nTransfer-Encoding: chunked",
        ] {
            assert_eq!(
                post(header),
                "expected one Content-Length of digits",
                "{header}"
            );
        }
        for length in ["101", "99999999999999", "18446744073709551616"] {
            let text = post(&format!("Content-Length: {length}"));
            assert_eq!(text, "the body has more than 100 bytes", "{length}");
        }
        let chunked = "expected a Content-Length, found a Transfer-Encoding";
        assert_eq!(post("Transfer-Encoding: identity"), chunked);
        for (head, what) in [
            ("GET / HTTP/1.1\nHost: x\r\n\r\n", "an LF without its CR"),
            ("GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", "a CR without its LF"),
            ("GET / HTTP/1.1\r\nA: b\0\r\n\r\n", "a NUL"),
            (
                "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
                "a header that is none",
            ),
            ("GET / HTTP/1.1\r\nA : b\r\n\r\n", "a header that is none"),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n",
                "more than one Host",
            ),
            (
                "GET http://a/ HTTP/1.1\r\n\r\n",
                "a target that is no path of plain ASCII",
            ),
            (
                "OPTIONS * HTTP/1.1\r\n\r\n",
                "a target that is no path of plain ASCII",
            ),
            (
                "GET /\u{e4} HTTP/1.1\r\n\r\n",
                "a target that is no path of plain ASCII",
            ),
            ("GET / HTTP/2.0\r\n\r\n", "another version of HTTP"),
            ("\r\n\r\n", "no request line"),
            (
                "GET / HTTP/1.1\r\nIdempotency-Key: \u{e4}\r\n\r\n",
                "a header value that is no plain ASCII",
            ),
        ] {
            assert_eq!(
                refused(head),
                format!("the head of the request has {what}"),
                "{head:?}"
            );
        }
    }

    #[test]
    fn what_is_too_long_is_refused_as_soon_as_it_is() {
        let url = format!("GET /{}", "x".repeat(HEAD_BYTES_MAX));
        assert_eq!(refused(&url), "the URL has more than 8192 bytes");
        let header = format!("GET / HTTP/1.1\r\nA: {}", "x".repeat(HEAD_BYTES_MAX));
        assert_eq!(
            refused(&header),
            "the head of the request has more than 16384 bytes"
        );
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(65));
        assert_eq!(refused(&many), "the request has more than 64 headers");
    }
}
