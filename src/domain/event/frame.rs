//! Bytes as they are recorded, and exchanges that somebody tried by hand.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Bytes as they are recorded: printable ASCII and line ends as text, anything else as hex; the digest is of the true bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    pub bytes: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_hex: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

impl Frame {
    pub fn of(bytes: &[u8], with_digest: bool) -> Self {
        let is_text = |byte: &u8| (0x20..0x7f).contains(byte) || b"\r\n\t".contains(byte);
        let is_hex = !bytes.iter().all(is_text);
        Self {
            bytes: if is_hex {
                hex::encode(bytes)
            } else {
                String::from_utf8_lossy(bytes).into_owned()
            },
            is_hex,
            sha256: with_digest.then(|| hex::encode(Sha256::digest(bytes))),
        }
    }

    /// The bytes as they went out, or came, but for what stands in the place of secrets.
    pub fn raw(&self) -> Vec<u8> {
        if self.is_hex {
            hex::decode(&self.bytes).unwrap_or_default()
        } else {
            self.bytes.as_bytes().to_vec()
        }
    }
}

/// An exchange that somebody tried by hand. It is about no request and changes nothing here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    pub mapping: String,
    pub mapping_sha256: String,
    pub address: String,
    /// What was tried, e.g. `pair 019000802077 12345678`.
    pub what: String,
    pub frames: Vec<TriedFrame>,
    /// How it ended; none: it is about to begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TriedFrame {
    /// Sent to the CAS, or heard from it.
    pub is_sent: bool,
    #[serde(flatten)]
    pub frame: Frame,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_gives_the_bytes_back() {
        for (bytes, is_hex) in [(&b"1 PAIR\r\n"[..], false), (b"\0\x01", true), (b"", false)] {
            let frame = Frame::of(bytes, true);
            assert_eq!((frame.is_hex, frame.raw().as_slice()), (is_hex, bytes));
        }
    }
}
