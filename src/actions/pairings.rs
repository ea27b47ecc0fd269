//! Which card is with which STB, as the CAS confirmed it last, and what is in doubt.

use serde::{Deserialize, Serialize};

use super::Actions;
use super::items::serial_number;
use crate::domain::view::Jump;
use crate::domain::{Doubt, ItemNumber, Pairing, Timestamp, View};

/// A card's pairing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairingRow {
    /// The card's number, for the cursor.
    pub card_number: u64,
    pub card: String,
    /// None after a confirmed unpair.
    pub stb: Option<String>,
    /// In words, where an answer left it open what the CAS holds.
    pub doubt: Option<String>,
    pub since: Timestamp,
}

impl Actions {
    /// Pairings of cards above `after`; with `freed`, those cards too that the CAS confirmed to be without an STB.
    pub fn list_pairings(&self, after: u64, limit: usize, with_freed: bool) -> Vec<PairingRow> {
        let meta = self.state.view().meta();
        let jumps = meta.jumps.iter().map(|jump| jump.item);
        let cards = Jump::given_out(jumps, after.saturating_add(1), meta.last_item);
        self.walk_numbers(cards, 0, limit, |view, number| {
            let card = ItemNumber(number);
            let pairing = view.pairing(card)?;
            let is_wanted = with_freed || pairing.stb.is_some() || pairing.doubt.is_some();
            is_wanted.then(|| row(view, card, pairing))
        })
    }

    /// The pairings that an item has part in: a card's own, and those of the cards that hold an STB.
    pub fn pairings_of(&self, item: ItemNumber) -> Vec<PairingRow> {
        let view = self.state.view();
        let cards = std::iter::once(item).chain(view.claims(item));
        cards
            .filter_map(|card| Some(row(&view, card, view.pairing(card)?)))
            .collect()
    }
}

fn row(view: &dyn View, card: ItemNumber, pairing: Pairing) -> PairingRow {
    PairingRow {
        card_number: card.0,
        card: serial_number(view, card),
        stb: pairing.stb.map(|stb| serial_number(view, stb)),
        doubt: pairing.doubt.map(|doubt| match doubt {
            Doubt::MayHold(stb) => format!("may be with STB {}", serial_number(view, stb)),
            Doubt::MayBeFree => "may be without an STB".to_owned(),
        }),
        since: pairing.since,
    }
}
