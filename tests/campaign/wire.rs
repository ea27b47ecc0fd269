//! What went over the wire between the box and one CAS, by whoever stood on the other side.

use std::collections::BTreeSet;

/// Both directions as they were seen outside of the box.
#[derive(Clone, Debug, Default)]
pub struct Wire {
    /// The provider's number: numbers on the wire are its own.
    pub provider: u16,
    /// Commands that arrived, in order.
    pub heard: Vec<Sent>,
    /// Transactions that were answered by an acknowledgement.
    pub confirmed: BTreeSet<u64>,
}

/// A command of smsgw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub transaction: u64,
    pub card: String,
    /// None unpairs.
    pub stb: Option<String>,
}

impl Sent {
    /// Reads a frame of the box; none for a hello or a keepalive.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let is_hello = frame.first() == Some(&0);
        if is_hello || frame.get(9..11) == Some(b"05") {
            return None;
        }
        let text = std::str::from_utf8(frame).expect("a command is ASCII");
        assert_eq!(text.len(), 78, "a command has its columns: {text}");
        let stb = &text[64..74];
        Some(Self {
            transaction: text[..9].parse().unwrap(),
            card: text[50..60].to_owned(),
            stb: (stb != "0000000000").then(|| stb.to_owned()),
        })
    }
}

/// The transaction that a frame of the CAS acknowledges.
pub fn acknowledged(frame: &[u8]) -> Option<u64> {
    let is_acknowledgement = frame.get(9..11) == Some(b"05") && frame.get(32..36) == Some(b"1000");
    let echoed = frame.get(36..45).filter(|_| is_acknowledgement)?;
    std::str::from_utf8(echoed).ok()?.parse().ok()
}
