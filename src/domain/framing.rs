//! How frames are cut out of a byte stream: what a mapping declares and a transport carries out.
//!
//! Plain numbers, shared by `script/` (which reads them from a mapping) and `transport/` (which obeys them).

use serde::{Deserialize, Serialize};

/// How frames are cut out of the byte stream.
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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endian {
    Big,
    Little,
}

impl Framing {
    /// The largest payload of one frame, in bytes.
    pub fn payload_bytes_max(&self) -> usize {
        match self {
            Self::Len { max, .. } => usize::try_from(*max).unwrap_or(usize::MAX),
        }
    }
}
