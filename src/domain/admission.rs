//! The first judgement: whether a request may be accepted, and at which place it will stand.
//!
//! Judged against the acknowledged pairings plus the pending requests that stand earlier in order. `head` judges again when
//! the request comes first.

use std::sync::Arc;

use super::event::{Accepted, Event, Idempotency};
use super::foresight::{Foreseen, GIVES_UP_MAX, GivesUp, GivesWay, Wanted, foresee};
use super::view::{IDEMPOTENCY_LIFE, QUEUE_MAX};
use super::{
    Action, CardChange, Cardinality, ItemKind, ItemNumber, JobNumber, Move, Place, Priority,
    ProcessName, ProviderNumber, ProviderRow, Refusal, RequestNumber, Stbs, SubscriptionNumber,
    Timestamp, View,
};

/// What is asked for, with every identifier resolved and every CA ID normalized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    pub provider: ProviderNumber,
    pub card: ItemNumber,
    pub card_ca: String,
    /// None asks for an unpair, if the card is not to be changed.
    pub stb: Option<ItemNumber>,
    pub stb_ca: Option<String>,
    /// Of an unpair: the only STB that is left.
    pub from: Option<ItemNumber>,
    /// Of an unpair that frees its card: the STB that it names and the card must have.
    pub must_hold: Option<ItemNumber>,
    /// Of a pair: the card moves, whatever it has and may have.
    pub moves: bool,
    /// What is asked for beside a pairing.
    pub card_change: Option<CardChange>,
    /// How many belong together at its provider, as it was when the rest was looked up.
    pub cardinality: Cardinality,
    pub subscription: Option<SubscriptionNumber>,
    pub scheduled: Option<Timestamp>,
    pub priority: Priority,
    pub is_immediate: bool,
    pub process_name: ProcessName,
    /// `[pairing] unpair_unknown = "send"`, where the mapping needs no previous STB.
    pub sends_unknown: bool,
    /// `[pairing] stb_taken` and `card_full`, where they say "replace": who must leave whom first, as looked up before.
    pub replaces: Vec<Replaced>,
    /// What those policies say, whoever is in the way.
    pub gives_way: GivesWay,
    pub idempotency: Option<Idempotency>,
    /// The REJECTED request that this one tries again.
    pub retries: Option<RequestNumber>,
    /// The bulk job that asks.
    pub job: Option<JobNumber>,
}

impl Ask {
    pub fn action(&self) -> Action {
        Action::of(self.stb, self.card_change.as_ref())
    }

    fn is_beside(&self) -> bool {
        self.action() == Action::Pair && self.cardinality.adds() && !self.moves
    }
}

/// A card that leaves an STB first, to make room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// The card's own provider, which may be another one than the asked card's.
    pub provider: ProviderNumber,
    pub gives_up: GivesUp,
    pub card_ca: String,
    pub cardinality: Cardinality,
    /// Whether the CAS lets the card have others: the unpair names the STB then, elsewhere it frees the card.
    pub has_others: bool,
}

/// The answer to an ask that is not refused.
#[derive(Clone, Debug, PartialEq)]
pub enum Admission {
    /// The events to record; the last one accepts the asked request.
    New {
        request: RequestNumber,
        events: Vec<Event>,
    },
    /// The same Idempotency-Key with the same parameters: the earlier request.
    Repeat(RequestNumber),
}

/// Judges an ask at the instant `now`.
pub fn admit(view: &dyn View, ask: &Ask, now: Timestamp) -> Result<Admission, Refusal> {
    if let Some(earlier) = repeated(view, ask, now)? {
        return Ok(Admission::Repeat(earlier));
    }
    let replaced = ask.replaces.iter();
    let providers = replaced.map(|replaced| (replaced.provider, replaced.cardinality));
    for (provider, cardinality) in providers.chain([(ask.provider, ask.cardinality)]) {
        // A reload took it away or changed it since it was looked up.
        let is_as_looked_up =
            |row: Arc<ProviderRow>| row.is_configured && row.cardinality == cardinality;
        if !view.provider(provider).is_some_and(is_as_looked_up) {
            return Err(Refusal::Changed);
        }
    }
    check_item(view, ask.card, ItemKind::Smartcard)?;
    for stb in [ask.stb, ask.from].into_iter().flatten() {
        check_item(view, stb, ItemKind::Stb)?;
    }
    let wanted = wanted(ask);
    let foreseen = foresee(view, &wanted, now);
    check_held(view, ask, &foreseen.held)?;
    if ask.action() == Action::Unpair && !ask.sends_unknown {
        check_unpair(view, ask, &foreseen)?;
    }
    let gives_up = foreseen.in_the_way(view, &wanted);
    // The unpairs that make room stand in the queues of their items too.
    let places = |item| {
        let is_of = |gives_up: &&GivesUp| gives_up.card == item || gives_up.stb == item;
        1 + gives_up.iter().filter(is_of).count()
    };
    room(view, ask.card, ItemKind::Smartcard, places(ask.card))?;
    for stb in foreseen.leaves.clone().into_iter().chain(ask.stb) {
        room(view, stb, ItemKind::Stb, places(stb))?;
    }
    let stays = gives_up
        .iter()
        .find(|one| !ask.gives_way.covers(**one, ask.card));
    let stays = stays.or(gives_up.first().filter(|_| gives_up.len() > GIVES_UP_MAX));
    if let Some(stays) = stays {
        return Err(taken(view, ask, &foreseen, *stays));
    }
    // Some that were looked up may have made room by themselves meanwhile; one that was not must be looked up.
    let looked_up = |one: &GivesUp| {
        ask.replaces
            .iter()
            .find(|replaced| replaced.gives_up == *one)
    };
    let replaced: Option<Vec<&Replaced>> = gives_up.iter().map(looked_up).collect();
    let Some(replaced) = replaced else {
        return Err(Refusal::Changed);
    };
    for GivesUp { card, stb } in &gives_up {
        if *card != ask.card {
            room(view, *card, ItemKind::Smartcard, 1)?;
        }
        if Some(*stb) != ask.stb {
            room(view, *stb, ItemKind::Stb, 1)?;
        }
    }
    let first = foreseen.place;
    let place = |at: usize| Place {
        due: first.due,
        number: RequestNumber(first.number.0 + at as u64),
    };
    let pair = place(gives_up.len());
    let mut events: Vec<Event> = replaced
        .into_iter()
        .enumerate()
        .map(|(at, replaced)| make_room(ask, replaced, place(at), pair.number, now))
        .collect();
    let makes_room = (!gives_up.is_empty()).then_some(first.number);
    events.push(accepted(ask, pair, now, makes_room));
    Ok(Admission::New {
        request: pair.number,
        events,
    })
}

fn check_unpair(view: &dyn View, ask: &Ask, foreseen: &Foreseen) -> Result<(), Refusal> {
    let serial_number = || serial(view, ask.card);
    match ask.from {
        _ if foreseen.held.is_empty() => Err(Refusal::NotPaired {
            serial_number: serial_number(),
        }),
        Some(stb) if !foreseen.held.contains(stb) => {
            Err(not_paired_with(view, ask.card, stb, &foreseen.held))
        }
        _ => Ok(()),
    }
}

fn check_held(view: &dyn View, ask: &Ask, held: &Stbs) -> Result<(), Refusal> {
    match ask.must_hold {
        Some(stb) if !held.contains(stb) => Err(not_paired_with(view, ask.card, stb, held)),
        _ => Ok(()),
    }
}

/// The refusal of an unpair from an STB that the card, which has `held`, does not have.
fn not_paired_with(view: &dyn View, card: ItemNumber, stb: ItemNumber, held: &Stbs) -> Refusal {
    let serial_number = serial(view, card);
    if held.is_empty() {
        return Refusal::NotPaired { serial_number };
    }
    Refusal::NotPairedWith {
        serial_number,
        stb: serial(view, stb),
        held: serials(view, held.iter()),
    }
}

/// Which of the two limits is in the way.
fn taken(view: &dyn View, ask: &Ask, foreseen: &Foreseen, stays: GivesUp) -> Refusal {
    let limits = ask.cardinality;
    if stays.card == ask.card {
        return Refusal::CardFull {
            serial_number: serial(view, ask.card),
            limit: limits.stbs_per_card,
            held: serials(view, foreseen.held.iter()),
        };
    }
    let serial_number = serial(view, stays.stb);
    match (limits.cards_per_stb, foreseen.crowd.last()) {
        (1, Some(holder)) => Refusal::StbTaken {
            serial_number,
            holder: serial(view, *holder),
        },
        (limit, _) => Refusal::StbFull {
            serial_number,
            limit,
            holders: serials(view, foreseen.crowd.iter().copied()),
        },
    }
}

fn wanted(ask: &Ask) -> Wanted {
    Wanted {
        card: ask.card,
        stb: ask.stb,
        moves: Move::of(ask.action(), ask.is_beside(), ask.from),
        cardinality: ask.cardinality,
        scheduled: ask.scheduled,
        gives_way: ask.gives_way,
    }
}

/// Whether the card will be as asked anyway, without any doubt; only of a pairing can that be known. The items must be fit
/// for a request all the same.
pub fn is_so_already(view: &dyn View, ask: &Ask, now: Timestamp) -> Result<bool, Refusal> {
    check_item(view, ask.card, ItemKind::Smartcard)?;
    if let Some(stb) = ask.stb {
        check_item(view, stb, ItemKind::Stb)?;
    }
    if !ask.action().changes_pairing() {
        return Ok(false);
    }
    let is_in_doubt = view
        .pairing(ask.card)
        .is_some_and(|pairing| pairing.is_in_doubt());
    let Foreseen { held, leaves, .. } = foresee(view, &wanted(ask), now);
    check_held(view, ask, &held)?;
    let has_it = ask.stb.is_none_or(|stb| held.contains(stb));
    let leaves_none = !leaves.iter().any(|stb| held.contains(stb));
    Ok(!is_in_doubt && has_it && leaves_none)
}

/// The STBs that the card will have at the place of the ask, without those that were never confirmed.
pub fn foreseen_stbs(view: &dyn View, ask: &Ask, now: Timestamp) -> Stbs {
    let pairing = view.pairing(ask.card);
    let is_phantom = |stb: &ItemNumber| {
        let pairing = pairing.as_ref();
        pairing.is_some_and(|pairing| pairing.was_never_confirmed(*stb))
    };
    let held = foresee(view, &wanted(ask), now).held;
    held.into_iter().filter(|stb| !is_phantom(stb)).collect()
}

/// Whether it leaves whatever its card has.
pub fn leaves_all(ask: &Ask) -> bool {
    matches!(wanted(ask).moves, Move::Instead | Move::OutOfAll)
}

fn repeated(view: &dyn View, ask: &Ask, now: Timestamp) -> Result<Option<RequestNumber>, Refusal> {
    let Some(idempotency) = &ask.idempotency else {
        return Ok(None);
    };
    let Some(remembered) = view.remembered(&idempotency.key) else {
        return Ok(None);
    };
    if now.since(remembered.at) >= IDEMPOTENCY_LIFE {
        return Ok(None);
    }
    if *remembered.digest != *idempotency.digest {
        return Err(Refusal::KeyReused);
    }
    Ok(Some(remembered.request))
}

fn check_item(view: &dyn View, number: ItemNumber, kind: ItemKind) -> Result<(), Refusal> {
    let Some(item) = view.item(number) else {
        return Err(Refusal::ItemUnknown {
            kind,
            field: "number",
            value: number.to_string(),
        });
    };
    let serial_number = item.identifiers.serial_number().to_owned();
    if item.is_blacklisted {
        return Err(Refusal::ItemBlacklisted {
            kind,
            serial_number,
        });
    }
    if !item.is_effective {
        return Err(Refusal::ItemNotEffective {
            kind,
            serial_number,
        });
    }
    Ok(())
}

fn room(view: &dyn View, item: ItemNumber, kind: ItemKind, places: usize) -> Result<(), Refusal> {
    if view.queue(item).len() + places <= QUEUE_MAX {
        return Ok(());
    }
    Err(Refusal::QueueFull {
        kind,
        serial_number: serial(view, item),
        limit: QUEUE_MAX,
    })
}

fn accepted(ask: &Ask, place: Place, now: Timestamp, makes_room: Option<RequestNumber>) -> Event {
    let accepted = Accepted {
        request: place.number,
        provider: ask.provider,
        card: ask.card,
        card_ca: ask.card_ca.clone(),
        stb: ask.stb,
        stb_ca: ask.stb_ca.clone(),
        from: ask.from,
        card_change: ask.card_change.clone(),
        subscription: ask.subscription,
        due: place.due,
        scheduled: ask.scheduled.unwrap_or(now),
        is_scheduled: ask.scheduled.is_some_and(|scheduled| scheduled > now),
        priority: ask.priority,
        is_immediate: ask.is_immediate,
        sends_unknown: ask.sends_unknown,
        process_name: ask.process_name,
        linked: makes_room.or(ask.retries),
        job: ask.job,
        idempotency: ask.idempotency.clone(),
    };
    if accepted.card_change.is_some() {
        Event::CardChangeAccepted(accepted)
    } else if ask.is_beside() {
        Event::PairBesideAccepted(accepted)
    } else if accepted.from.is_some() {
        Event::UnpairFromAccepted(accepted)
    } else {
        Event::RequestAccepted(accepted)
    }
}

/// The unpair that makes room, which stands right before the pair.
fn make_room(
    ask: &Ask,
    replaced: &Replaced,
    place: Place,
    pair: RequestNumber,
    now: Timestamp,
) -> Event {
    let unpair = Ask {
        provider: replaced.provider,
        card: replaced.gives_up.card,
        card_ca: replaced.card_ca.clone(),
        stb: None,
        stb_ca: None,
        from: replaced.cardinality.adds().then_some(replaced.gives_up.stb),
        must_hold: None,
        cardinality: replaced.cardinality,
        card_change: None,
        subscription: None,
        process_name: ProcessName::ProvisioningRequestProcessing,
        sends_unknown: false,
        replaces: Vec::new(),
        idempotency: None,
        retries: None,
        // Made for the job's request, and counted with it.
        ..ask.clone()
    };
    accepted(&unpair, place, now, Some(pair))
}

/// An item's serial number, for messages.
pub fn serial(view: &dyn View, item: ItemNumber) -> String {
    view.item(item).map_or_else(
        || item.to_string(),
        |item| item.identifiers.serial_number().to_owned(),
    )
}

/// Items' serial numbers, for messages.
pub fn serials(view: &dyn View, items: impl Iterator<Item = ItemNumber>) -> String {
    let all: Vec<String> = items.map(|item| serial(view, item)).collect();
    all.join(", ")
}
