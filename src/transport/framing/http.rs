//! HTTP/1.1 messages as frames: requests towards a CAS, its answers, and the other way round for the simulator.
//!
//! A payload is the head as it is on the wire and the body without chunks. Sending adds the connection's own lines and the length.

use super::{Cut, FramingError, oversize};
use crate::domain::framing::find;

const HEAD_END: &[u8] = b"\r\n\r\n";
const LINE_END: &[u8] = b"\r\n";
/// Header lines of one message.
const HEADERS_MAX: usize = 64;
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// What chunks may add to a body: their sizes and ends.
const CHUNK_FRAME_SHARE: usize = 4;

/// The payload was checked: it has a head and its end.
pub(super) fn encode(heads: &[u8], payload: &[u8], out: &mut Vec<u8>) {
    let head_end = find(payload, HEAD_END).unwrap_or(payload.len());
    let (head, rest) = payload.split_at(head_end);
    let body = rest.get(HEAD_END.len()..).unwrap_or_default();
    out.extend_from_slice(head);
    out.extend_from_slice(LINE_END);
    out.extend_from_slice(heads);
    out.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
    out.extend_from_slice(body);
}

/// How long the body is.
enum Length {
    Bytes(usize),
    Chunks,
    /// Until the other side closes.
    Rest,
}

struct Head {
    bytes: usize,
    length: Length,
    /// An answer that only says that the real one is to come.
    is_interim: bool,
}

pub(super) fn cut(max: u32, waiting: &[u8]) -> Result<Cut, FramingError> {
    let bound = usize::try_from(max).unwrap_or(usize::MAX);
    let Some(head) = head(waiting)? else {
        if waiting.len() > bound.min(HEAD_BYTES_MAX) {
            return Err(oversize(waiting.len(), max));
        }
        return Ok(Cut::More);
    };
    if head.is_interim {
        return Ok(Cut::Skip(head.bytes));
    }
    let body = waiting.get(head.bytes..).unwrap_or_default();
    let room = bound.saturating_sub(head.bytes);
    match head.length {
        Length::Bytes(bytes) if bytes > room => {
            Err(oversize(head.bytes.saturating_add(bytes), max))
        }
        Length::Bytes(bytes) => Ok(super::whole(waiting, 0, head.bytes + bytes)),
        Length::Rest if body.len() > room => Err(oversize(waiting.len(), max)),
        Length::Rest => Ok(Cut::More),
        Length::Chunks => {
            let Some((body, consumed)) = chunks(body, room)? else {
                if body.len() > room.saturating_mul(CHUNK_FRAME_SHARE) + HEAD_BYTES_MAX {
                    return Err(oversize(waiting.len(), max));
                }
                return Ok(Cut::More);
            };
            let mut frame = waiting.get(..head.bytes).unwrap_or_default().to_vec();
            frame.extend_from_slice(&body);
            Ok(Cut::Frame(frame, head.bytes + consumed))
        }
    }
}

/// An answer without a length, once the other side has closed.
pub(super) fn ended_by_close(waiting: &[u8]) -> Option<Vec<u8>> {
    let head = head(waiting).ok().flatten()?;
    matches!(head.length, Length::Rest).then(|| waiting.to_vec())
}

/// Whether an answer says that its connection ends with it.
pub(super) fn closes(frame: &[u8]) -> bool {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut answer = httparse::Response::new(&mut headers);
    if answer.parse(frame).is_err() {
        return false;
    }
    let says = |word: &str| {
        answer.headers.iter().any(|header| {
            let value = String::from_utf8_lossy(header.value).to_ascii_lowercase();
            header.name.eq_ignore_ascii_case("connection")
                && value.split(',').any(|option| option.trim() == word)
        })
    };
    says("close") || (answer.version == Some(0) && !says("keep-alive"))
}

fn wrong(what: impl Into<String>) -> FramingError {
    FramingError::Http { what: what.into() }
}

/// The head at the front, none until it is whole.
fn head(waiting: &[u8]) -> Result<Option<Head>, FramingError> {
    const PREFIX: &[u8] = b"HTTP/";
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let is_answer = waiting.starts_with(PREFIX);
    if !is_answer && PREFIX.starts_with(waiting) {
        return Ok(None);
    }
    let (parsed, status, headers) = if is_answer {
        let mut answer = httparse::Response::new(&mut headers);
        let parsed = answer.parse(waiting).map_err(|e| wrong(e.to_string()))?;
        (parsed, answer.code, &*answer.headers)
    } else {
        let mut request = httparse::Request::new(&mut headers);
        let parsed = request.parse(waiting).map_err(|e| wrong(e.to_string()))?;
        (parsed, None, &*request.headers)
    };
    let httparse::Status::Complete(bytes) = parsed else {
        return Ok(None);
    };
    let is_interim = status.is_some_and(|status| (100..200).contains(&status));
    let is_bodiless = is_interim || matches!(status, Some(204 | 304));
    let length = match length(headers)? {
        _ if is_bodiless => Length::Bytes(0),
        Some(length) => length,
        None if is_answer => Length::Rest,
        None => Length::Bytes(0),
    };
    Ok(Some(Head {
        bytes,
        length,
        is_interim,
    }))
}

/// What the headers say of the body's length; two that differ are an error, for one of them would let a second message in.
fn length(headers: &[httparse::Header<'_>]) -> Result<Option<Length>, FramingError> {
    let all = |name: &str| {
        let name = name.to_owned();
        headers
            .iter()
            .filter(move |header| header.name.eq_ignore_ascii_case(&name))
            .map(|header| header.value.trim_ascii())
    };
    let mut lengths = all("content-length");
    let length = lengths.next();
    if lengths.any(|other| Some(other) != length) {
        return Err(wrong("two different Content-Length"));
    }
    let mut codings = all("transfer-encoding");
    match (codings.next(), length) {
        (None, None) => Ok(None),
        (Some(coding), None) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Some(Length::Chunks)),
        (Some(_), _) => Err(wrong("a Transfer-Encoding other than chunked alone")),
        (None, Some(digits)) => {
            let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
            std::str::from_utf8(digits)
                .ok()
                .filter(|_| is_number)
                .and_then(|digits| digits.parse().ok())
                .map(|bytes| Some(Length::Bytes(bytes)))
                .ok_or_else(|| wrong("a Content-Length that is no number"))
        }
    }
}

/// A body in chunks, and the bytes that it took; none until it is whole.
fn chunks(waiting: &[u8], room: usize) -> Result<Option<(Vec<u8>, usize)>, FramingError> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let rest = waiting.get(at..).unwrap_or_default();
        let (line, size) = match httparse::parse_chunk_size(rest) {
            Ok(httparse::Status::Complete(parsed)) => parsed,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(wrong("a chunk without a size")),
        };
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size > room.saturating_sub(body.len()) {
            return Err(wrong(format!("chunks of more than {room} bytes")));
        }
        at += line;
        if size == 0 {
            return trailers(waiting, at).map(|end| end.map(|end| (body, end)));
        }
        let Some(chunk) = waiting.get(at..at + size + LINE_END.len()) else {
            return Ok(None);
        };
        let (data, end) = chunk.split_at(size);
        if end != LINE_END {
            return Err(wrong("a chunk that is longer than its size"));
        }
        body.extend_from_slice(data);
        at += chunk.len();
    }
}

/// Behind the last chunk: lines until an empty one. Nobody reads them.
fn trailers(waiting: &[u8], from: usize) -> Result<Option<usize>, FramingError> {
    let mut at = from;
    loop {
        let rest = waiting.get(at..).unwrap_or_default();
        match find(rest, LINE_END) {
            Some(0) => return Ok(Some(at + LINE_END.len())),
            Some(line) => at += line + LINE_END.len(),
            None if rest.len() > HEAD_BYTES_MAX => return Err(wrong("endless trailers")),
            None => return Ok(None),
        }
    }
}
