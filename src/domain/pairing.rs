//! The relation of a card and the STB that the CAS acknowledged for it.

use serde::{Deserialize, Serialize};

use super::{ItemNumber, Position, Timestamp};

/// A card's row: what the CAS confirmed last, and what it may hold besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pairing {
    /// The STB of the last acknowledged step; none after an acknowledged unpair.
    pub stb: Option<ItemNumber>,
    /// Set when an answer left it open what the CAS holds: the STB that it may hold instead of `stb`.
    pub doubt: Option<Doubt>,
    pub since: Timestamp,
    /// The event that set this row; that event names the one before.
    pub recorded: Position,
}

/// What an unanswered command may have left in the CAS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Doubt {
    /// The card may be with this STB.
    MayHold(ItemNumber),
    /// The card may be without any STB.
    MayBeFree,
}

impl Pairing {
    /// The STBs that count as held by the card when others ask for them.
    pub fn held(&self) -> impl Iterator<Item = ItemNumber> {
        let doubted = match self.doubt {
            Some(Doubt::MayHold(stb)) if Some(stb) != self.stb => Some(stb),
            _ => None,
        };
        self.stb.into_iter().chain(doubted)
    }

    /// Whether an unpair has anything to undo.
    pub fn is_held(&self) -> bool {
        self.held().next().is_some()
    }
}
