//! The public 32-digit id of a thing: computed from its kind and number, and computed back.
//!
//! No index row is needed for it. The upper half is a keyed tag of kind and number, the lower half the number under a mask
//! that the tag gives, so a made-up id is recognised. The salt lies in the ledger's first event.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

/// What an id stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Item = 1,
    Subscription = 2,
    Request = 3,
    Provider = 4,
    Product = 5,
    User = 6,
    /// The card parameter of the request with this number.
    CardParameter = 7,
    /// The STB parameter of the request with this number.
    StbParameter = 8,
    Run = 9,
}

/// 16 bytes, drawn once and written into the ledger's first event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Salt(pub [u8; 16]);

/// An id as the CRM sees it: 32 upper-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PublicId(pub [u8; 16]);

impl PublicId {
    pub fn new(kind: Kind, number: u64, salt: Salt) -> Self {
        let tag = half(&[&salt.0, &[kind as u8], &number.to_be_bytes()]);
        let mask = half(&[&salt.0, b"mask", &tag]);
        let hidden = u64::from_be_bytes(mask) ^ number;
        Self(join(tag, hidden.to_be_bytes()))
    }

    /// The number behind the id, if it was made for `kind` with this salt.
    pub fn number(self, kind: Kind, salt: Salt) -> Option<u64> {
        let (tag, hidden) = split(self.0);
        let mask = half(&[&salt.0, b"mask", &tag]);
        let number = u64::from_be_bytes(mask) ^ u64::from_be_bytes(hidden);
        (Self::new(kind, number, salt) == self).then_some(number)
    }

    /// Reads 32 hex digits in either case.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl fmt::Display for PublicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&upper_hex(&self.0))
    }
}

/// `hex::encode_upper` goes digit by digit; every answer has several of these.
fn upper_hex(bytes: &[u8; 16]) -> String {
    let mut digits = [0; 32];
    // Sixteen bytes have as many digits.
    let _ = hex::encode_to_slice(bytes, &mut digits);
    digits.make_ascii_uppercase();
    digits.map(char::from).into_iter().collect()
}

/// Hex in JSON, the bare bytes in state rows.
macro_rules! hex_in_text {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.serialize_str(&upper_hex(&self.0))
                } else {
                    self.0.serialize(serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if !deserializer.is_human_readable() {
                    return <[u8; 16]>::deserialize(deserializer).map(Self);
                }
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                let mut bytes = [0; 16];
                hex::decode_to_slice(text.as_bytes(), &mut bytes).map_err(de::Error::custom)?;
                Ok(Self(bytes))
            }
        }
    };
}

hex_in_text!(Salt);
hex_in_text!(PublicId);

fn half(parts: &[&[u8]]) -> [u8; 8] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    split(split32(hash.finalize().into())).0
}

fn split32(digest: [u8; 32]) -> [u8; 16] {
    let [first, _] = as_halves::<32, 16>(digest);
    first
}

fn split(bytes: [u8; 16]) -> ([u8; 8], [u8; 8]) {
    let [first, second] = as_halves::<16, 8>(bytes);
    (first, second)
}

fn as_halves<const N: usize, const H: usize>(bytes: [u8; N]) -> [[u8; H]; 2] {
    let mut halves = [[0; H]; 2];
    for (half, part) in halves.iter_mut().zip(bytes.chunks_exact(H)) {
        half.copy_from_slice(part);
    }
    halves
}

fn join(first: [u8; 8], second: [u8; 8]) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(first.iter().chain(&second)) {
        *to = *from;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_leads_back_to_its_kind_and_number_only() {
        let salt = Salt([7; 16]);
        for number in [1, 2, 1_000_000, u64::MAX] {
            let id = PublicId::new(Kind::Request, number, salt);
            assert_eq!(id.to_string().len(), 32);
            assert_eq!(PublicId::parse(&id.to_string()), Some(id));
            assert_eq!(id.number(Kind::Request, salt), Some(number));
            assert_eq!(id.number(Kind::Item, salt), None);
            assert_eq!(id.number(Kind::Request, Salt([8; 16])), None);
        }
        assert_eq!(PublicId([0; 16]).number(Kind::Request, salt), None);
    }
}
