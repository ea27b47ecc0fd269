//! Between a script's frame and its bytes: a blob, or for HTTP a map of an HTTP message.
//!
//! A request is `#{ method, path, headers, body }`, an answer `#{ status, headers, body }`. A body that is a map or an array goes as
//! JSON. What the connection needs (host, length, login) is not the script's.

use std::fmt::Write as _;

use rhai::{Array, Dynamic, Map};

use super::contract::Framing;
use super::value::{Fields, Read, Wrong, bytes_of, show, text_of, to_json};
use crate::domain::framing::{Unfit, find};
use crate::domain::placeholder::names_any;

const HEAD_END: &[u8] = b"\r\n\r\n";
const HEADERS_MAX: usize = 64;
/// Lines that the transport writes.
const OWN_HEADERS: [&str; 5] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "authorization",
];
const JSON: &str = "application/json";

/// The bytes of a frame that a script gives, with what the framing puts in.
pub(super) fn said(framing: &Framing, value: Dynamic) -> Read<Vec<u8>> {
    let mut bytes = match framing {
        Framing::Http { .. } => {
            let mut message = Fields::of("the message", value)?;
            let bytes = message_bytes(&mut message)?;
            message.finish()?;
            bytes
        }
        _ => bytes_of(value)
            .map_err(|found| Wrong::new(format!("a frame must be a blob, found {found}")))?,
    };
    complete(framing, &mut bytes)?;
    Ok(bytes)
}

/// The same of a list; `()` is none and a single frame a list of one.
pub(super) fn all_said(framing: &Framing, value: Dynamic) -> Read<Vec<Vec<u8>>> {
    if value.is_unit() {
        return Ok(Vec::new());
    }
    match value.try_cast_result::<Array>() {
        Ok(frames) => frames
            .into_iter()
            .map(|frame| said(framing, frame))
            .collect(),
        Err(single) => said(framing, single).map(|frame| vec![frame]),
    }
}

/// The bytes of what `encode` and its like give beside the key.
pub(super) fn body_said(framing: &Framing, fields: &mut Fields) -> Read<Vec<u8>> {
    let mut bytes = match framing {
        Framing::Http { .. } => message_bytes(fields)?,
        _ => fields
            .bytes("body")?
            .ok_or_else(|| fields.missing("body"))?,
    };
    if bytes.is_empty() {
        return Err(Wrong::new("the body is empty"));
    }
    complete(framing, &mut bytes)?;
    Ok(bytes)
}

/// How long a frame is that names secrets, the lane knows when it sends it.
fn complete(framing: &Framing, bytes: &mut [u8]) -> Read<()> {
    match framing.complete(bytes) {
        Err(Unfit::Size { .. } | Unfit::Field { .. }) if names_any(bytes) => Ok(()),
        completed => completed.map_err(|unfit| Wrong::new(unfit.to_string())),
    }
}

/// A frame as the script gets it.
pub(super) fn heard(framing: &Framing, frame: &[u8]) -> Dynamic {
    match framing {
        Framing::Http { .. } => Dynamic::from_map(message_map(frame)),
        _ => Dynamic::from_blob(frame.to_vec()),
    }
}

fn message_bytes(message: &mut Fields) -> Read<Vec<u8>> {
    let mut head = match message.number::<u16>("status", "a number from 200 to 599")? {
        Some(status @ 200..=599) => format!("HTTP/1.1 {status} -\r\n"),
        Some(status) => {
            return Err(message.wrong("status", "a number from 200 to 599", &status.to_string()));
        }
        None => {
            let method = message.text("method")?.unwrap_or_else(|| "POST".to_owned());
            if method.is_empty() || !method.bytes().all(is_token) {
                return Err(message.wrong("method", "a method such as POST", &method));
            }
            let path = message
                .text("path")?
                .ok_or_else(|| message.missing("path"))?;
            if !path.starts_with('/') || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(message.wrong(
                    "path",
                    "a path that begins with /, without blanks",
                    &path,
                ));
            }
            format!("{method} {path} HTTP/1.1\r\n")
        }
    };
    let headers = message.take("headers").unwrap_or_default();
    let (body, kind) = match message.take("body") {
        None => (Vec::new(), None),
        Some(body) if body.is_map() || body.is_array() => {
            let json = to_json(&body)?;
            (json.to_string().into_bytes(), Some(JSON))
        }
        Some(body) => match body.as_immutable_string_ref() {
            Ok(text) => (text.as_bytes().to_vec(), None),
            Err(_) => (
                bytes_of(body.clone())
                    .map_err(|found| message.wrong("body", "a text, a map or a blob", &found))?,
                None,
            ),
        },
    };
    let names_kind = write_headers(message, headers, &mut head)?;
    if let Some(kind) = kind.filter(|_| !names_kind) {
        let _ = write!(head, "content-type: {kind}\r\n");
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// Whether the content's type is among them.
fn write_headers(message: &Fields, headers: Dynamic, head: &mut String) -> Read<bool> {
    if headers.is_unit() {
        return Ok(false);
    }
    let found = show(&headers);
    let Some(headers) = headers.try_cast::<Map>() else {
        return Err(message.wrong("headers", "a map of names and texts", &found));
    };
    let mut names_kind = false;
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        if name.is_empty() || !name.bytes().all(is_token) || OWN_HEADERS.contains(&&*name) {
            return Err(Wrong::new(format!("`{name}` is no header for a script")).with_hint(
                "host, lengths and logins are the transport's; a login stands in [provider.http]",
            ));
        }
        let text = text_of(&value).filter(|text| {
            let is_plain = |c: char| !c.is_control();
            text.chars().all(is_plain)
        });
        let Some(text) = text else {
            return Err(message.wrong("headers", "texts without line ends", &show(&value)));
        };
        names_kind |= name == "content-type";
        let _ = write!(head, "{name}: {text}\r\n");
    }
    Ok(names_kind)
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// What cannot be read is left out: a script looks at `status` or `method` first.
fn message_map(frame: &[u8]) -> Map {
    let mut map = Map::new();
    let head_end = find(frame, HEAD_END).map_or(frame.len(), |at| at + HEAD_END.len());
    let (head, body) = frame.split_at(head_end);
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let headers = if head.starts_with(b"HTTP/") {
        let mut answer = httparse::Response::new(&mut headers);
        let is_read = answer.parse(head).is_ok();
        let status = answer.code.filter(|_| is_read).unwrap_or(0);
        map.insert("status".into(), i64::from(status).into());
        header_map(answer.headers)
    } else {
        let mut request = httparse::Request::new(&mut headers);
        let is_read = request.parse(head).is_ok();
        let text = |text: Option<&str>| text.filter(|_| is_read).unwrap_or("").to_owned();
        map.insert("method".into(), text(request.method).into());
        map.insert("path".into(), text(request.path).into());
        header_map(request.headers)
    };
    map.insert("headers".into(), Dynamic::from_map(headers));
    let body = match std::str::from_utf8(body) {
        Ok(text) => text.into(),
        Err(_) => Dynamic::from_blob(body.to_vec()),
    };
    map.insert("body".into(), body);
    map
}

fn header_map(headers: &[httparse::Header<'_>]) -> Map {
    headers
        .iter()
        .filter(|header| !header.name.is_empty())
        .map(|header| {
            let value = String::from_utf8_lossy(header.value).into_owned();
            (header.name.to_ascii_lowercase().into(), value.into())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HTTP: Framing = Framing::Http { max: 4096 };

    fn request(text: &str) -> Read<Vec<u8>> {
        let engine = rhai::Engine::new();
        said(&HTTP, engine.eval::<Dynamic>(text).unwrap())
    }

    #[test]
    fn a_map_is_a_message_and_a_message_a_map() {
        let bytes =
            request(r#"#{ path: "/a?b=c", headers: #{ "X-Id": 7 }, body: #{ card: "019" } }"#);
        let bytes = bytes.unwrap();
        assert_eq!(
            String::from_utf8_lossy(&bytes),
            "POST /a?b=c HTTP/1.1\r\nx-id: 7\r\ncontent-type: application/json\r\n\r\n{\"card\":\"019\"}"
        );
        let map = message_map(&bytes);
        assert_eq!(map["method"].to_string(), "POST");
        assert_eq!(map["path"].to_string(), "/a?b=c");
        assert_eq!(map["body"].to_string(), "{\"card\":\"019\"}");
        let answer = message_map(b"HTTP/1.1 503 Busy\r\nRetry-After: 3\r\n\r\n\xff");
        assert_eq!(answer["status"].as_int().unwrap(), 503);
        assert_eq!(answer["body"].to_string(), "[ff]");
        let headers = answer["headers"].read_lock::<Map>().unwrap();
        assert_eq!(headers["retry-after"].to_string(), "3");
        assert_eq!(message_map(b"\0\0")["method"].to_string(), "");
    }

    #[test]
    fn the_length_of_a_frame_that_names_secrets_is_judged_when_it_is_sent() {
        let fixed = Framing::Fixed { size: 8 };
        let frame = |text: &str| said(&fixed, Dynamic::from_blob(text.as_bytes().to_vec()));
        assert!(frame("{{token|zeros:8}}").is_ok());
        assert!(frame("too long a frame").is_err());
    }

    #[test]
    fn nothing_of_a_script_reaches_into_the_connection() {
        for (message, why) in [
            (r#"#{ path: "/a b" }"#, "without blanks"),
            (r#"#{ path: "x" }"#, "begins with /"),
            (r#"#{ method: "PO ST", path: "/" }"#, "a method"),
            (
                r#"#{ path: "/", headers: #{ "x": "a\r\nHost: b" } }"#,
                "without line ends",
            ),
            (
                r#"#{ path: "/", headers: #{ "x: y": "a" } }"#,
                "no header for a script",
            ),
            (
                r#"#{ path: "/", headers: #{ "Authorization": "a" } }"#,
                "no header for a script",
            ),
            (r"#{ status: 99 }", "200 to 599"),
            (r#"#{ path: "/", url: "x" }"#, "no key `url`"),
        ] {
            let error = request(message).unwrap_err().message;
            assert!(error.contains(why), "{message}: {error}");
        }
    }
}
