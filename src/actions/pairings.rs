//! Which card is with which STB, as the CAS confirmed it last, and what is in doubt.

use serde::{Deserialize, Serialize};

use super::Actions;
use super::items::serial_number;
use crate::domain::foresight::projected_stbs;
use crate::domain::view::Jump;
use crate::domain::{ItemNumber, Pairing, Phase, Standing, Stbs, Timestamp, View};

/// A card and one of its STBs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairingRow {
    /// The card's number, for the cursor.
    pub card_number: u64,
    pub card: String,
    /// As the CAS confirmed it last; none after an unpair.
    pub stb: Option<String>,
    /// In words, where an answer left it open what the CAS holds, or a request is held or in doubt.
    pub doubt: Option<String>,
    pub since: Timestamp,
    /// The STBs that the card will have once its unfinished requests are done, if that is something else; empty for none.
    pub wanted: Option<Vec<String>>,
}

impl Actions {
    /// Pairings of cards above `after`, and cards with a request that is held or in doubt; with `freed`, those cards too that the
    /// CAS confirmed to be without an STB.
    pub fn list_pairings(&self, after: u64, limit: usize, with_freed: bool) -> Vec<PairingRow> {
        let meta = self.state.view().meta();
        let jumps = meta.jumps.iter().map(|jump| jump.item);
        let cards = Jump::given_out(jumps, after.saturating_add(1), meta.last_item);
        let rows = self.walk_numbers(cards, 0, limit, |view, number| {
            let card = ItemNumber(number);
            let pairing = view.pairing(card);
            let row = pairing.as_ref();
            let is_wanted = row.is_some_and(|row| with_freed || row.is_held())
                || open_request(view, card).is_some();
            is_wanted.then(|| rows(view, card, row))
        });
        rows.into_iter().flatten().collect()
    }

    /// The pairings that an item has part in: a card's own, and those of the cards that hold an STB.
    pub fn pairings_of(&self, item: ItemNumber) -> Vec<PairingRow> {
        let view = self.state.view();
        let cards = std::iter::once(item).chain(view.claims(item));
        cards
            .flat_map(|card| rows(&view, card, view.pairing(card).as_ref()))
            .collect()
    }
}

/// The first request of the card of which nobody knows what it left in the CAS, in words.
fn open_request(view: &dyn View, card: ItemNumber) -> Option<String> {
    view.queue(card).iter().find_map(|place| {
        let request = view.request(place.number)?;
        let phase = match request.phase {
            Phase::Held => "held",
            Phase::InDoubt => "in doubt",
            _ => return None,
        };
        let is_about_it = request.card == card && request.changes_pairing();
        is_about_it.then(|| format!("request {} is {phase}", request.number))
    })
}

/// One row for each STB; one without any for a card that was freed or is to be paired for the first time.
fn rows(view: &dyn View, card: ItemNumber, pairing: Option<&Pairing>) -> Vec<PairingRow> {
    let acknowledged: Stbs = pairing.iter().flat_map(|row| row.acknowledged()).collect();
    let wanted = projected_stbs(view, card, None);
    let is_other = view.queue(card).iter().any(|place| {
        let request = view.request(place.number);
        request.is_some_and(|request| request.card == card && request.changes_pairing())
    }) && wanted != acknowledged;
    let wanted = is_other.then(|| {
        wanted
            .iter()
            .map(|stb| serial_number(view, stb))
            .collect::<Vec<_>>()
    });
    let open = open_request(view, card);
    let row = |stb: Option<String>, doubt: Option<String>, since| PairingRow {
        card_number: card.0,
        card: serial_number(view, card),
        stb,
        doubt: match (doubt, &open) {
            (Some(doubt), Some(open)) => Some(format!("{doubt}; {open}")),
            (doubt, open) => doubt.or_else(|| open.clone()),
        },
        since,
        wanted: wanted.clone(),
    };
    let Some(pairing) = pairing else {
        let first = view.queue(card).first().map(|place| place.due);
        let since = first.filter(|_| is_other || open.is_some());
        return since
            .map(|since| row(None, None, since))
            .into_iter()
            .collect();
    };
    if !pairing.is_held() {
        return vec![row(None, None, pairing.since)];
    }
    let links = pairing.links().iter();
    links
        .map(|link| {
            let stb = serial_number(view, link.stb);
            match link.standing {
                Standing::Confirmed => row(Some(stb), None, link.since),
                Standing::MayBeGone => {
                    let doubt = "may be without it".to_owned();
                    row(Some(stb), Some(doubt), link.since)
                }
                Standing::MayBeHeld => {
                    row(None, Some(format!("may be with STB {stb}")), link.since)
                }
            }
        })
        .collect()
}
