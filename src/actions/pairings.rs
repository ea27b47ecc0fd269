//! Which card is with which STB, as the CAS confirmed it last, and what is in doubt.

use serde::{Deserialize, Serialize};

use super::Actions;
use super::items::serial_number;
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
    /// An STB that the CAS may have the card with, and never confirmed.
    pub may_be_with: Option<String>,
    /// In words, where an answer left it open what the CAS holds, or a request is held or in doubt.
    pub doubt: Option<String>,
    pub since: Timestamp,
    /// The STBs that the card will have once its unfinished requests are done, if that is something else; empty for none.
    pub wanted: Option<Vec<String>>,
}

impl PairingRow {
    /// Whether it tells of this STB, as held or as perhaps held.
    fn is_about(&self, stb: &str) -> bool {
        self.stb.as_deref().or(self.may_be_with.as_deref()) == Some(stb)
    }
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
            .flat_map(|card| {
                let of_stb = (card != item).then(|| serial_number(&view, item));
                let rows = rows(&view, card, view.pairing(card).as_ref()).into_iter();
                rows.filter(move |row| of_stb.as_ref().is_none_or(|stb| row.is_about(stb)))
            })
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

/// What holds of the acknowledged pairing once the card's unfinished requests are done, if that is something else.
fn wanted(view: &dyn View, card: ItemNumber, acknowledged: &Stbs) -> Option<Stbs> {
    let queue = view.queue(card).into_iter();
    let requests = queue.filter_map(|place| view.request(place.number));
    let own = requests.filter(|request| request.card == card && request.changes_pairing());
    let wanted = own.fold(acknowledged.clone(), |held, request| {
        request.stbs_after(&held)
    });
    let is_same =
        wanted.len() == acknowledged.len() && wanted.iter().all(|stb| acknowledged.contains(stb));
    (!is_same).then_some(wanted)
}

/// One row for each STB; one without any for a card that was freed or is to be paired for the first time.
fn rows(view: &dyn View, card: ItemNumber, pairing: Option<&Pairing>) -> Vec<PairingRow> {
    let acknowledged: Stbs = pairing.iter().flat_map(|row| row.acknowledged()).collect();
    let wanted = wanted(view, card, &acknowledged);
    let open = open_request(view, card);
    let row = |since| PairingRow {
        card_number: card.0,
        card: serial_number(view, card),
        stb: None,
        may_be_with: None,
        doubt: open.clone(),
        since,
        wanted: wanted
            .as_ref()
            .map(|stbs| stbs.iter().map(|stb| serial_number(view, stb)).collect()),
    };
    let doubted = |doubt: String| match &open {
        Some(open) => Some(format!("{doubt}; {open}")),
        None => Some(doubt),
    };
    let Some(pairing) = pairing else {
        let first = view.queue(card).first().map(|place| place.due);
        let since = first.filter(|_| wanted.is_some() || open.is_some());
        return since.map(row).into_iter().collect();
    };
    if !pairing.is_held() {
        return vec![row(pairing.since)];
    }
    let links = pairing.links().iter();
    links
        .map(|link| {
            let (row, stb) = (row(link.since), serial_number(view, link.stb));
            match link.standing {
                Standing::Confirmed => PairingRow {
                    stb: Some(stb),
                    ..row
                },
                Standing::MayBeGone => PairingRow {
                    stb: Some(stb),
                    doubt: doubted("may be without it".to_owned()),
                    ..row
                },
                Standing::MayBeHeld => PairingRow {
                    doubt: doubted(format!("may be with STB {stb}")),
                    may_be_with: Some(stb),
                    ..row
                },
            }
        })
        .collect()
}
