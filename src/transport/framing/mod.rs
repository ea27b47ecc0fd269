//! Payloads to bytes and bytes to payloads, as a `Framing` says, however the network splits or merges them.
//!
//! A frame over the framing's bound, or bytes that cannot begin one, are an error of the stream: nothing after it can be trusted,
//! so the caller closes. A new framing is a new arm of `encode` and of `cut`.

mod http;
mod marked;

use crate::domain::Framing;
use crate::domain::framing::{Unfit, find};
use marked::Marks;

/// Why bytes cannot be framed, or a stream not be cut.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    #[error("frame of {bytes} bytes is over the framing's bound of {max}")]
    Oversize { bytes: u64, max: u64 },
    #[error("length field reads {number}, which leaves a payload of {bytes} bytes")]
    BadLength { number: u64, bytes: i64 },
    #[error("expected {expected} where a frame begins, found {found}")]
    NoStart { expected: String, found: String },
    #[error("checksum {found} behind a frame: expected {expected}")]
    Checksum { expected: String, found: String },
    #[error("HTTP that cannot be read: {what}")]
    Http { what: String },
    #[error(transparent)]
    Unfit(#[from] Unfit),
}

/// Appends the framed payload to `out`; on an error `out` is as before. `heads` are the lines that the connection adds to an HTTP
/// message, each with its end of line.
pub fn encode(
    framing: &Framing,
    heads: &[u8],
    payload: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), FramingError> {
    framing.check(payload)?;
    match framing {
        Framing::Len {
            bytes,
            endian,
            includes_self,
            adjust,
            ..
        } => {
            let own = if *includes_self { i64::from(*bytes) } else { 0 };
            let length = i64::try_from(payload.len()).unwrap_or(i64::MAX);
            // Checked: it is not negative, and the field holds it.
            let number = u64::try_from(length + own - i64::from(*adjust)).unwrap_or(0);
            let at = out.len();
            out.resize(at + usize::from(*bytes), 0);
            endian.write(number, out.get_mut(at..).unwrap_or_default());
            out.extend_from_slice(payload);
        }
        Framing::Header { .. } | Framing::Fixed { .. } => out.extend_from_slice(payload),
        Framing::Delim { bytes, .. } => {
            out.extend_from_slice(payload);
            out.extend_from_slice(bytes);
        }
        Framing::StxEtx { .. } => marked::encode(Marks::of(framing), payload, out),
        Framing::Http { .. } => http::encode(heads, payload, out),
    }
    Ok(())
}

/// Whether the other side said with an HTTP answer that it closes the connection.
pub fn http_closes(framing: &Framing, frame: &[u8]) -> bool {
    matches!(framing, Framing::Http { .. }) && http::closes(frame)
}

/// Cuts payloads out of a stream that is fed in pieces of any size.
#[derive(Debug)]
pub struct Decoder {
    framing: Framing,
    buffer: Vec<u8>,
    /// Bytes at the front of `buffer` that were handed out already.
    taken: usize,
    /// What meant nothing since the latest payload.
    skipped: u32,
}

/// Messages that mean nothing, one after the other.
const SKIPPED_MAX: u32 = 8;

impl Decoder {
    pub fn new(framing: Framing) -> Self {
        Self {
            framing,
            buffer: Vec::new(),
            taken: 0,
            skipped: 0,
        }
    }

    /// Adds bytes as they came. The buffer is bounded by one frame and what is fed between two drains by `next_frame`.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.taken > 0 {
            self.buffer.drain(..self.taken);
            self.taken = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole payload, or none until more is fed.
    pub fn next_frame(&mut self) -> Result<Option<Vec<u8>>, FramingError> {
        loop {
            let waiting = self.buffer.get(self.taken..).unwrap_or_default();
            match cut(&self.framing, waiting)? {
                Cut::Frame(frame, consumed) => {
                    self.taken += consumed;
                    self.skipped = 0;
                    return Ok(Some(frame));
                }
                Cut::Skip(consumed) => {
                    self.taken += consumed;
                    self.skipped += 1;
                    if self.skipped > SKIPPED_MAX {
                        let what =
                            format!("more than {SKIPPED_MAX} answers that only announce one");
                        return Err(FramingError::Http { what });
                    }
                }
                Cut::More => return Ok(None),
            }
        }
    }

    /// The other side closed: the payload that the end of the stream ends, if there is one.
    pub fn end(&mut self) -> Option<Vec<u8>> {
        let waiting = self.buffer.get(self.taken..).unwrap_or_default();
        match self.framing {
            Framing::Http { .. } => {
                let frame = http::ended_by_close(waiting)?;
                self.taken = self.buffer.len();
                Some(frame)
            }
            _ => None,
        }
    }

    /// Bytes that are not yet a whole frame.
    pub fn waiting_bytes(&self) -> usize {
        self.buffer.len() - self.taken
    }
}

/// What stands at the front of the stream.
enum Cut {
    /// A payload, and how many bytes it took, framing included.
    Frame(Vec<u8>, usize),
    /// So many bytes mean nothing.
    Skip(usize),
    /// Not yet a whole frame.
    More,
}

fn cut(framing: &Framing, waiting: &[u8]) -> Result<Cut, FramingError> {
    match framing {
        Framing::Len {
            bytes,
            endian,
            includes_self,
            adjust,
            max,
        } => {
            let width = usize::from(*bytes);
            let Some(field) = waiting.get(..width) else {
                return Ok(Cut::More);
            };
            let own = if *includes_self { i64::from(*bytes) } else { 0 };
            let length = length(endian.read(field), i64::from(*adjust) - own, *max)?;
            let end = width.saturating_add(length);
            Ok(whole(waiting, width, end))
        }
        Framing::Header {
            size,
            len_at,
            len_bytes,
            endian,
            adjust,
            magic,
            max,
        } => {
            let begun = waiting.get(..magic.len()).unwrap_or(waiting);
            if !magic.starts_with(begun) {
                return Err(FramingError::NoStart {
                    expected: hex::encode(magic),
                    found: hex::encode(begun),
                });
            }
            let size = usize::from(*size);
            let Some(header) = waiting.get(..size) else {
                return Ok(Cut::More);
            };
            let at = usize::from(*len_at);
            let field = header.get(at..at + usize::from(*len_bytes));
            let room = max.saturating_sub(u32::try_from(size).unwrap_or(u32::MAX));
            let number = endian.read(field.unwrap_or_default());
            let rest = length(number, i64::from(*adjust), room)?;
            Ok(whole(waiting, 0, size.saturating_add(rest)))
        }
        Framing::StxEtx { max, .. } => marked::cut(Marks::of(framing), *max, waiting),
        Framing::Delim { bytes, max } => {
            let bound = usize::try_from(*max).unwrap_or(usize::MAX);
            let looked_at = waiting
                .get(..bound.saturating_add(bytes.len()))
                .unwrap_or(waiting);
            match find(looked_at, bytes) {
                Some(at) => Ok(Cut::Frame(
                    looked_at.get(..at).unwrap_or_default().to_vec(),
                    at + bytes.len(),
                )),
                None if looked_at.len() >= bound.saturating_add(bytes.len()) => {
                    Err(oversize(waiting.len(), *max))
                }
                None => Ok(Cut::More),
            }
        }
        Framing::Fixed { size } => {
            let size = usize::try_from(*size).unwrap_or(usize::MAX);
            Ok(whole(waiting, 0, size))
        }
        Framing::Http { max } => http::cut(*max, waiting),
    }
}

/// The payload's length by a length field.
fn length(number: u64, adjust: i64, max: u32) -> Result<usize, FramingError> {
    let signed = i64::try_from(number).unwrap_or(i64::MAX);
    let bytes = signed.saturating_add(adjust);
    let Ok(length) = u64::try_from(bytes) else {
        return Err(FramingError::BadLength { number, bytes });
    };
    if length > u64::from(max) {
        return Err(FramingError::Oversize {
            bytes: length,
            max: u64::from(max),
        });
    }
    Ok(usize::try_from(length).unwrap_or(usize::MAX))
}

fn whole(waiting: &[u8], from: usize, end: usize) -> Cut {
    match waiting.get(from..end) {
        Some(payload) => Cut::Frame(payload.to_vec(), end),
        None => Cut::More,
    }
}

fn oversize(bytes: usize, max: u32) -> FramingError {
    FramingError::Oversize {
        bytes: bytes as u64,
        max: u64::from(max),
    }
}

#[cfg(test)]
mod tests;
