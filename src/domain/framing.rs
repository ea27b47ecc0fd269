//! How frames are cut out of a byte stream: what a mapping declares and a transport carries out.
//!
//! Plain numbers, shared by `script/` (which reads them from a mapping) and `transport/` (which obeys them).

use serde::{Deserialize, Serialize};

use super::checksum::Checksum;

/// How frames are cut out of the byte stream. A payload is what a script gives and gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Framing {
    /// A length prefix of `bytes` (1, 2 or 4) before the payload. `adjust` is added to the number read to get the payload's
    /// length; `includes_self` says that the number counts the prefix too. A payload has at most `max` bytes.
    Len {
        bytes: u8,
        endian: Endian,
        #[serde(default)]
        includes_self: bool,
        #[serde(default)]
        adjust: i32,
        max: u32,
    },
    /// A header of `size` bytes with the length of what follows it at `len_at`; the payload is header and rest. `adjust` is
    /// added to the number read to get the length of the rest. `magic` is what each header begins with.
    Header {
        size: u8,
        len_at: u8,
        len_bytes: u8,
        endian: Endian,
        #[serde(default)]
        adjust: i32,
        #[serde(default)]
        magic: Vec<u8>,
        max: u32,
    },
    /// The payload between a start and an end byte, and a checksum over payload and end byte behind them. With `escape`, that byte
    /// stands before each start, end or escape byte of the payload; without it there must be none.
    StxEtx {
        stx: u8,
        etx: u8,
        #[serde(default)]
        escape: Option<u8>,
        #[serde(default)]
        checksum: Checksum,
        max: u32,
    },
    /// The payload, then `bytes`, which never stand in a payload.
    Delim { bytes: Vec<u8>, max: u32 },
    /// Every payload has `size` bytes.
    Fixed { size: u32 },
    /// HTTP/1.1: a payload is a head and a body. The transport adds and takes off what belongs to the connection.
    Http { max: u32 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endian {
    Big,
    Little,
}

impl Endian {
    /// The number in a field.
    pub fn read(self, field: &[u8]) -> u64 {
        let join = |number: u64, byte: &u8| (number << 8) | u64::from(*byte);
        match self {
            Self::Big => field.iter().fold(0, join),
            Self::Little => field.iter().rev().fold(0, join),
        }
    }

    /// Writes the low bytes of the number over the field.
    pub fn write(self, number: u64, field: &mut [u8]) {
        let bytes = number.to_le_bytes();
        let low = bytes.iter().take(field.len());
        match self {
            Self::Big => field
                .iter_mut()
                .rev()
                .zip(low)
                .for_each(|(to, from)| *to = *from),
            Self::Little => field.iter_mut().zip(low).for_each(|(to, from)| *to = *from),
        }
    }
}

/// Why a payload cannot be framed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("the payload has {bytes} bytes, the framing allows {min} to {max}")]
    Size {
        bytes: usize,
        min: usize,
        max: usize,
    },
    #[error("the payload of {bytes} bytes does not fit a length field of {field_bytes} bytes")]
    Field { bytes: usize, field_bytes: u8 },
    #[error("the header begins with {found}, the framing says {expected}")]
    Magic { found: String, expected: String },
    #[error("the header's length field reads {found}, and what follows makes it {expected}")]
    Length { found: u64, expected: u64 },
    #[error("the payload holds {found} at byte {at}, which frames it")]
    Reserved { found: String, at: usize },
    #[error("the payload is no HTTP message: {what}")]
    Http { what: &'static str },
}

impl Framing {
    /// The smallest and largest payload of one frame, in bytes.
    pub fn payload_bytes(&self) -> (usize, usize) {
        let wide = |max: &u32| usize::try_from(*max).unwrap_or(usize::MAX);
        match self {
            Self::Len { max, .. } | Self::StxEtx { max, .. } | Self::Delim { max, .. } => {
                (0, wide(max))
            }
            Self::Header { size, max, .. } => (usize::from(*size), wide(max)),
            Self::Fixed { size } => (wide(size), wide(size)),
            Self::Http { max } => (1, wide(max)),
        }
    }

    /// Puts in what the framing computes inside of a payload: the length field of a header.
    pub fn complete(&self, payload: &mut [u8]) -> Result<(), Unfit> {
        if let Self::Header {
            size,
            len_at,
            len_bytes,
            endian,
            ..
        } = self
        {
            self.check_size(payload)?;
            let number = self.length_number(payload.len() - usize::from(*size), *len_bytes)?;
            let at = usize::from(*len_at);
            if let Some(field) = payload.get_mut(at..at + usize::from(*len_bytes)) {
                endian.write(number, field);
            }
        }
        self.check(payload)
    }

    /// Whether the payload can be framed and would be cut out as it is.
    pub fn check(&self, payload: &[u8]) -> Result<(), Unfit> {
        self.check_size(payload)?;
        match self {
            Self::Fixed { .. }
            | Self::StxEtx {
                escape: Some(_), ..
            } => Ok(()),
            Self::Len {
                bytes,
                includes_self,
                ..
            } => {
                let own = if *includes_self {
                    usize::from(*bytes)
                } else {
                    0
                };
                self.length_number(payload.len() + own, *bytes).map(drop)
            }
            Self::Header {
                size,
                len_at,
                len_bytes,
                endian,
                magic,
                ..
            } => {
                if !payload.starts_with(magic) {
                    let found = hex::encode(payload.get(..magic.len()).unwrap_or(payload));
                    let expected = hex::encode(magic);
                    return Err(Unfit::Magic { found, expected });
                }
                let at = usize::from(*len_at);
                let field = payload
                    .get(at..at + usize::from(*len_bytes))
                    .unwrap_or_default();
                let found = endian.read(field);
                let expected =
                    self.length_number(payload.len() - usize::from(*size), *len_bytes)?;
                if found == expected {
                    return Ok(());
                }
                Err(Unfit::Length { found, expected })
            }
            Self::StxEtx { stx, etx, .. } => {
                match payload.iter().position(|byte| byte == stx || byte == etx) {
                    None => Ok(()),
                    Some(at) => Err(Unfit::Reserved {
                        found: hex::encode(payload.get(at..=at).unwrap_or_default()),
                        at,
                    }),
                }
            }
            Self::Delim { bytes, .. } => match find(payload, bytes) {
                None => Ok(()),
                Some(at) => Err(Unfit::Reserved {
                    found: hex::encode(bytes),
                    at,
                }),
            },
            Self::Http { .. } => match find(payload, b"\r\n\r\n") {
                Some(_) => Ok(()),
                None => Err(Unfit::Http {
                    what: "there is no empty line behind its head",
                }),
            },
        }
    }

    fn check_size(&self, payload: &[u8]) -> Result<(), Unfit> {
        let (min, max) = self.payload_bytes();
        let bytes = payload.len();
        if (min..=max).contains(&bytes) {
            return Ok(());
        }
        Err(Unfit::Size { bytes, min, max })
    }

    /// What the length field says of so many bytes.
    fn length_number(&self, bytes: usize, field_bytes: u8) -> Result<u64, Unfit> {
        let adjust = match self {
            Self::Len { adjust, .. } | Self::Header { adjust, .. } => i64::from(*adjust),
            _ => 0,
        };
        i64::try_from(bytes)
            .ok()
            .and_then(|bytes| u64::try_from(bytes - adjust).ok())
            .filter(|number| *number <= field_max(field_bytes))
            .ok_or(Unfit::Field { bytes, field_bytes })
    }
}

/// The largest number that a field of `bytes` bytes can hold.
pub(super) fn field_max(bytes: u8) -> u64 {
    1_u64
        .checked_shl(u32::from(bytes) * 8)
        .map_or(u64::MAX, |bound| bound - 1)
}

/// Where `wanted` begins in `bytes`.
pub fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = *wanted.first()?;
    let mut from = 0;
    while let Some(at) = bytes.get(from..)?.iter().position(|byte| *byte == first) {
        if bytes.get(from + at..)?.starts_with(wanted) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}
