//! Frames between a start and an end byte, with an escape byte and a checksum where the gateway has them.

use super::{Cut, FramingError, oversize};
use crate::domain::Framing;
use crate::domain::checksum::Checksum;

/// The bytes that mark a frame.
#[derive(Clone, Copy)]
pub(super) struct Marks {
    pub stx: u8,
    pub etx: u8,
    pub escape: Option<u8>,
    pub checksum: Checksum,
}

impl Marks {
    /// Those of a framing between marks; another has none.
    pub(super) fn of(framing: &Framing) -> Self {
        let Framing::StxEtx {
            stx,
            etx,
            escape,
            checksum,
            ..
        } = framing
        else {
            unreachable!("{framing:?} has no marks");
        };
        Self {
            stx: *stx,
            etx: *etx,
            escape: *escape,
            checksum: *checksum,
        }
    }

    fn is_mark(self, byte: u8) -> bool {
        byte == self.stx || byte == self.etx || Some(byte) == self.escape
    }

    /// Over the payload without escapes, and the end byte.
    fn sum(self, payload: &[u8]) -> Vec<u8> {
        if self.checksum == Checksum::None {
            return Vec::new();
        }
        let mut covered = payload.to_vec();
        covered.push(self.etx);
        self.checksum.of(&covered)
    }
}

/// The payload was checked: without an escape byte there is no mark in it.
pub(super) fn encode(marks: Marks, payload: &[u8], out: &mut Vec<u8>) {
    out.push(marks.stx);
    for byte in payload {
        if let Some(escape) = marks.escape.filter(|_| marks.is_mark(*byte)) {
            out.push(escape);
        }
        out.push(*byte);
    }
    out.push(marks.etx);
    out.extend(marks.sum(payload));
}

pub(super) fn cut(marks: Marks, max: u32, waiting: &[u8]) -> Result<Cut, FramingError> {
    let bound = usize::try_from(max).unwrap_or(usize::MAX);
    let Some((first, rest)) = waiting.split_first() else {
        return Ok(Cut::More);
    };
    let wrong_start = |found: u8| FramingError::NoStart {
        expected: hex::encode([marks.stx]),
        found: hex::encode([found]),
    };
    if *first != marks.stx {
        return Err(wrong_start(*first));
    }
    let mut payload = Vec::new();
    let mut bytes = rest.iter().copied().enumerate();
    while let Some((at, byte)) = bytes.next() {
        if Some(byte) == marks.escape {
            let Some((_, escaped)) = bytes.next() else {
                return Ok(Cut::More);
            };
            payload.push(escaped);
        } else if byte == marks.etx {
            return close(marks, payload, waiting, at + 2);
        } else if byte == marks.stx {
            // A frame that was broken off: what came of it belongs to nothing.
            return Err(wrong_start(byte));
        } else {
            payload.push(byte);
        }
        if payload.len() > bound {
            return Err(oversize(payload.len(), max));
        }
    }
    Ok(Cut::More)
}

/// Behind the end byte stands the checksum.
fn close(marks: Marks, payload: Vec<u8>, waiting: &[u8], at: usize) -> Result<Cut, FramingError> {
    let end = at + marks.checksum.bytes();
    let Some(found) = waiting.get(at..end) else {
        return Ok(Cut::More);
    };
    let expected = marks.sum(&payload);
    if found == expected {
        return Ok(Cut::Frame(payload, end));
    }
    Err(FramingError::Checksum {
        expected: hex::encode(expected),
        found: hex::encode(found),
    })
}
