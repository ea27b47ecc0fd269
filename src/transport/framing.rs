//! Payloads to bytes and bytes to payloads, as a `Framing` says, however the network splits or merges them.
//!
//! A frame over the framing's bound is an error of the stream: nothing after it can be trusted, so the caller closes.
//! A new framing is a new arm of `encode` and of `Decoder::cut`.

use crate::domain::{Endian, Framing};

/// Why bytes cannot be framed, or a stream not be cut.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    #[error("frame of {bytes} bytes is over the framing's bound of {max}")]
    Oversize { bytes: u64, max: u64 },
    #[error("length field reads {number}, which leaves a payload of {bytes} bytes")]
    BadLength { number: u64, bytes: i64 },
    #[error("payload of {bytes} bytes does not fit a length field of {field_bytes} bytes")]
    Unencodable { bytes: usize, field_bytes: u8 },
}

/// Appends the framed payload to `out`; on an error `out` is as before.
pub fn encode(framing: &Framing, payload: &[u8], out: &mut Vec<u8>) -> Result<(), FramingError> {
    match framing {
        Framing::Len {
            bytes,
            endian,
            includes_self,
            adjust,
            max,
        } => {
            if payload.len() > framing.payload_bytes_max() {
                return Err(FramingError::Oversize {
                    bytes: payload.len() as u64,
                    max: u64::from(*max),
                });
            }
            let own = if *includes_self { i64::from(*bytes) } else { 0 };
            let unencodable = FramingError::Unencodable {
                bytes: payload.len(),
                field_bytes: *bytes,
            };
            let number = i64::try_from(payload.len())
                .ok()
                .and_then(|length| u64::try_from(length + own - i64::from(*adjust)).ok())
                .ok_or(unencodable.clone())?;
            if number > field_max(*bytes) {
                return Err(unencodable);
            }
            let width = usize::from(*bytes);
            let wide = match endian {
                Endian::Big => number.to_be_bytes(),
                Endian::Little => number.to_le_bytes(),
            };
            let field = match endian {
                Endian::Big => wide.get(wide.len().saturating_sub(width)..),
                Endian::Little => wide.get(..width),
            };
            out.extend_from_slice(field.ok_or(unencodable)?);
            out.extend_from_slice(payload);
            Ok(())
        }
    }
}

/// Cuts payloads out of a stream that is fed in pieces of any size.
#[derive(Debug)]
pub struct Decoder {
    framing: Framing,
    buffer: Vec<u8>,
    /// Bytes at the front of `buffer` that were handed out already.
    taken: usize,
}

impl Decoder {
    pub fn new(framing: Framing) -> Self {
        Self {
            framing,
            buffer: Vec::new(),
            taken: 0,
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
        let waiting = self.buffer.get(self.taken..).unwrap_or_default();
        let Some((frame, consumed)) = cut(&self.framing, waiting)? else {
            return Ok(None);
        };
        self.taken += consumed;
        Ok(Some(frame))
    }

    /// Bytes that are not yet a whole frame.
    pub fn waiting_bytes(&self) -> usize {
        self.buffer.len() - self.taken
    }
}

/// The first payload of `waiting` and how many bytes it took, framing included.
fn cut(framing: &Framing, waiting: &[u8]) -> Result<Option<(Vec<u8>, usize)>, FramingError> {
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
                return Ok(None);
            };
            let join = |number: u64, byte: &u8| (number << 8) | u64::from(*byte);
            let number = match endian {
                Endian::Big => field.iter().fold(0, join),
                Endian::Little => field.iter().rev().fold(0, join),
            };
            let own = if *includes_self { i64::from(*bytes) } else { 0 };
            let signed = i64::try_from(number).unwrap_or(i64::MAX);
            let length = signed.saturating_add(i64::from(*adjust)) - own;
            let Ok(length) = u64::try_from(length) else {
                return Err(FramingError::BadLength {
                    number,
                    bytes: length,
                });
            };
            if length > u64::from(*max) {
                return Err(FramingError::Oversize {
                    bytes: length,
                    max: u64::from(*max),
                });
            }
            let end = width.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
            Ok(waiting
                .get(width..end)
                .map(|payload| (payload.to_vec(), end)))
        }
    }
}

/// The largest number that a field of `bytes` bytes can hold.
fn field_max(bytes: u8) -> u64 {
    1_u64
        .checked_shl(u32::from(bytes) * 8)
        .map_or(u64::MAX, |bound| bound - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn len(bytes: u8, endian: Endian, includes_self: bool, adjust: i32) -> Framing {
        Framing::Len {
            bytes,
            endian,
            includes_self,
            adjust,
            max: 300,
        }
    }

    fn all() -> Vec<Framing> {
        let mut all = Vec::new();
        for bytes in [2, 4] {
            for endian in [Endian::Big, Endian::Little] {
                for includes_self in [false, true] {
                    for adjust in [-6, 0, 4] {
                        all.push(len(bytes, endian, includes_self, adjust));
                    }
                }
            }
        }
        all
    }

    fn drain(decoder: &mut Decoder) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| decoder.next_frame().unwrap()).collect()
    }

    #[test]
    fn frames_survive_a_split_at_every_byte_and_any_merge() {
        let payloads: Vec<Vec<u8>> =
            vec![vec![7; 6], vec![1; 255], b"hello!".to_vec(), vec![9; 300]];
        for framing in all() {
            let mut stream = Vec::new();
            for payload in &payloads {
                encode(&framing, payload, &mut stream).unwrap();
            }
            for at in 0..=stream.len() {
                let mut decoder = Decoder::new(framing.clone());
                decoder.feed(&stream[..at]);
                let mut got = drain(&mut decoder);
                decoder.feed(&stream[at..]);
                got.extend(drain(&mut decoder));
                assert_eq!(got, payloads, "{framing:?} split at {at}");
                assert_eq!(decoder.waiting_bytes(), 0);
            }
            let mut decoder = Decoder::new(framing.clone());
            let mut got = Vec::new();
            for byte in &stream {
                decoder.feed(std::slice::from_ref(byte));
                got.extend(drain(&mut decoder));
            }
            assert_eq!(got, payloads, "{framing:?} byte by byte");
        }
    }

    #[test]
    fn the_length_of_smsgw_is_big_endian_and_counts_the_payload_only() {
        let mut out = Vec::new();
        encode(&len(2, Endian::Big, false, 0), &[0x06], &mut out).unwrap();
        encode(&len(2, Endian::Big, false, 0), &[0x00], &mut out).unwrap();
        assert_eq!(out, [0x00, 0x01, 0x06, 0x00, 0x01, 0x00]);
    }

    #[test]
    fn an_empty_payload_is_a_frame() {
        let framing = len(1, Endian::Big, false, 0);
        let mut out = Vec::new();
        encode(&framing, &[], &mut out).unwrap();
        let mut decoder = Decoder::new(framing);
        decoder.feed(&out);
        assert_eq!(decoder.next_frame(), Ok(Some(Vec::new())));
        assert_eq!(decoder.next_frame(), Ok(None));
    }

    #[test]
    fn what_is_over_the_bound_is_refused_on_both_sides() {
        let framing = len(2, Endian::Big, false, 0);
        let oversize = FramingError::Oversize {
            bytes: 301,
            max: 300,
        };
        let mut out = vec![1];
        assert_eq!(encode(&framing, &[0; 301], &mut out), Err(oversize.clone()));
        assert_eq!(out, [1]);
        let mut decoder = Decoder::new(framing);
        decoder.feed(&[1, 45]);
        assert_eq!(decoder.next_frame(), Err(oversize));
    }

    #[test]
    fn a_length_that_cannot_be_is_named() {
        let mut decoder = Decoder::new(len(2, Endian::Big, true, 0));
        decoder.feed(&[0, 1]);
        assert_eq!(
            decoder.next_frame(),
            Err(FramingError::BadLength {
                number: 1,
                bytes: -1
            })
        );
        let narrow = len(1, Endian::Big, false, 0);
        assert_eq!(
            encode(&narrow, &[0; 256], &mut Vec::new()),
            Err(FramingError::Unencodable {
                bytes: 256,
                field_bytes: 1
            })
        );
    }
}
