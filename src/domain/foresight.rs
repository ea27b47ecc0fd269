//! What will hold at a request's own place: the STBs of its card and the cards of its STB, after the requests before it.
//!
//! Finds the place, too: the items decide about it, and it decides what they are.

use super::{
    Cardinality, ItemNumber, Move, Phase, Place, Request, RequestNumber, Stbs, Timestamp, View,
};

/// What decides about the place of a new request.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub card: ItemNumber,
    pub stb: Option<ItemNumber>,
    /// What it does to the STBs of the card.
    pub moves: Move,
    pub cardinality: Cardinality,
    pub scheduled: Option<Timestamp>,
    pub gives_way: GivesWay,
}

/// Most pairings that end for one pair. What needs more is refused.
pub const GIVES_UP_MAX: usize = 16;

/// What makes room for a pair at the same place: `[pairing] stb_taken` and `card_full`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GivesWay {
    /// The card that has been longest with an STB that is full.
    pub holder: bool,
    /// The oldest STB of a card that is full.
    pub oldest: bool,
}

impl GivesWay {
    /// Whether this pairing ends for one of `card`.
    pub fn covers(self, gives_up: GivesUp, card: ItemNumber) -> bool {
        if gives_up.card == card {
            self.oldest
        } else {
            self.holder
        }
    }
}

/// A pairing that ends to make room for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GivesUp {
    pub card: ItemNumber,
    pub stb: ItemNumber,
}

/// The place of a new request, and what holds there after the requests that stand before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreseen {
    pub place: Place,
    /// The STBs that the card will have until then.
    pub held: Stbs,
    /// Those of them that it leaves; none if the pairing is not touched.
    pub leaves: Stbs,
    /// The other cards that will leave no room at the wanted STB, the surest last; none if there is room.
    pub crowd: Vec<ItemNumber>,
}

impl Foreseen {
    /// The pairings that must end first, because an STB or a card has as many as it may, those that are least sure first.
    pub fn in_the_way(&self, view: &dyn View, wanted: &Wanted) -> Vec<GivesUp> {
        let Some(stb) = wanted.stb else {
            return Vec::new();
        };
        let limits = wanted.cardinality;
        let too_many = |count: usize, limit: u8| (count + 1).saturating_sub(usize::from(limit));
        let holders = too_many(self.crowd.len(), limits.cards_per_stb);
        let holders = self.crowd.iter().take(holders);
        let holders = holders.map(|card| GivesUp { card: *card, stb });
        let is_one_more = wanted.moves == Move::Beside && !self.held.contains(stb);
        let stbs = match is_one_more.then(|| too_many(self.held.len(), limits.stbs_per_card)) {
            None | Some(0) => Vec::new(),
            Some(count) => {
                let mut stbs: Vec<ItemNumber> = self.held.iter().collect();
                let pairing = view.pairing(wanted.card);
                let pairing = pairing.as_ref();
                stbs.sort_by_key(|stb| {
                    !pairing.is_some_and(|pairing| pairing.was_never_confirmed(*stb))
                });
                stbs.truncate(count);
                stbs
            }
        };
        let stbs = stbs.into_iter().map(|stb| GivesUp {
            card: wanted.card,
            stb,
        });
        holders.chain(stbs).collect()
    }
}

/// Finds the place. Its items decide about it, and it decides which STBs are left and who holds the other: it is moved
/// behind whatever comes into view until nothing new does, at most once for each unfinished request.
pub fn foresee(view: &dyn View, wanted: &Wanted, now: Timestamp) -> Foreseen {
    let number = RequestNumber(view.meta().last_request + 1);
    let mut due = wanted.scheduled.unwrap_or(now).max(now);
    loop {
        let place = Place { due, number };
        let held = projected_stbs(view, wanted.card, place);
        let leaves = wanted.moves.leaves(&held, wanted.stb);
        let crowd = wanted.stb.map_or_else(Vec::new, |stb| {
            let holders = projected_holders(view, stb, place);
            view.crowd(&holders, stb, wanted.card, wanted.cardinality.cards_per_stb)
        });
        let foreseen = Foreseen {
            place,
            held,
            leaves,
            crowd,
        };
        let gives_up = foreseen.in_the_way(view, wanted).into_iter();
        let gives_up = gives_up
            .filter(|gives_up| wanted.gives_way.covers(*gives_up, wanted.card))
            .flat_map(|gives_up| [gives_up.card, gives_up.stb]);
        let items = [Some(wanted.card), wanted.stb].into_iter().flatten();
        let items = items.chain(foreseen.leaves.iter()).chain(gives_up);
        let behind = place_due(view, items, due, now);
        if behind == due {
            return foreseen;
        }
        due = behind;
    }
}

/// The due time of a new place: what was asked, but never before a place of the same items that is due.
fn place_due(
    view: &dyn View,
    items: impl Iterator<Item = ItemNumber>,
    asked: Timestamp,
    now: Timestamp,
) -> Timestamp {
    items
        .flat_map(|item| view.queue(item))
        .filter(|place| {
            place.due <= now
                || view
                    .request(place.number)
                    .is_some_and(|request| !request.is_scheduled || request.phase != Phase::Pending)
        })
        .fold(asked, |due, place| due.max(place.due))
}

/// The STBs that the card will have after its requests that stand before `place`.
fn projected_stbs(view: &dyn View, card: ItemNumber, place: Place) -> Stbs {
    let held = view.pairing(card).map(|pairing| pairing.held());
    earlier(view, card, place)
        .filter(|request| request.card == card)
        .fold(held.unwrap_or_default(), |held, request| {
            request.stbs_after(&held)
        })
}

/// The cards that will hold the STB after the requests that stand before `place`, the surest last.
fn projected_holders(view: &dyn View, stb: ItemNumber, place: Place) -> Vec<ItemNumber> {
    let mut holders = view.holders(stb);
    for request in earlier(view, stb, place) {
        if request.changes_pairing() {
            holders.retain(|card| *card != request.card);
        }
        if request.stb == Some(stb) {
            holders.push(request.card);
        }
    }
    holders
}

fn earlier(
    view: &dyn View,
    item: ItemNumber,
    place: Place,
) -> impl Iterator<Item = std::sync::Arc<Request>> + '_ {
    let queue = view.queue(item).into_iter();
    queue
        .take_while(move |at| *at < place)
        .filter_map(|at| view.request(at.number))
}
