//! The first judgement: whether a request may be accepted, and at which place it will stand.
//!
//! Judged against the acknowledged pairings plus the pending requests that stand earlier in order. `head` judges again when
//! the request comes first.

use super::event::{Accepted, Event, Idempotency};
use super::view::{IDEMPOTENCY_LIFE, QUEUE_MAX};
use super::{
    Action, CardChange, ItemKind, ItemNumber, JobNumber, Pairing, Phase, Place, Priority,
    ProcessName, ProviderNumber, Refusal, Request, RequestNumber, SubscriptionNumber, Timestamp,
    View,
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
    /// What is asked for beside a pairing.
    pub card_change: Option<CardChange>,
    pub subscription: Option<SubscriptionNumber>,
    pub scheduled: Option<Timestamp>,
    pub priority: Priority,
    pub is_immediate: bool,
    pub process_name: ProcessName,
    /// `[pairing] unpair_unknown = "send"`, where the mapping needs no previous STB.
    pub sends_unknown: bool,
    /// `[pairing] stb_taken = "replace"`: the holder as looked up before, with its CA ID.
    pub replaces: Option<Replaced>,
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
}

/// The card that gives up the STB first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// The holder's own provider, which may be another one than the asked card's.
    pub provider: ProviderNumber,
    pub holder: ItemNumber,
    pub holder_ca: String,
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
    let replaced = ask.replaces.as_ref().map(|replaced| replaced.provider);
    for provider in [Some(ask.provider), replaced].into_iter().flatten() {
        // A reload took it away since it was looked up.
        if !view.provider(provider).is_some_and(|row| row.is_configured) {
            return Err(Refusal::Changed);
        }
    }
    check_item(view, ask.card, ItemKind::Smartcard)?;
    if let Some(stb) = ask.stb {
        check_item(view, stb, ItemKind::Stb)?;
    }
    let foreseen = foresee(view, &Wanted::of(ask), now);
    let Foreseen {
        place,
        leaves,
        holder,
    } = foreseen;
    if ask.action() == Action::Unpair && leaves.is_none() && !ask.sends_unknown {
        return Err(Refusal::NotPaired {
            serial_number: serial(view, ask.card),
        });
    }
    // The unpair that makes room stands in the queue of the STB too.
    let places = if holder.is_some() { 2 } else { 1 };
    room(view, ask.card, ItemKind::Smartcard, 1)?;
    if let Some(stb) = ask.stb {
        room(view, stb, ItemKind::Stb, places)?;
    }
    if let Some(stb) = leaves {
        room(view, stb, ItemKind::Stb, 1)?;
    }
    let (Some(stb), Some(holder)) = (ask.stb, holder) else {
        return Ok(Admission::New {
            request: place.number,
            events: vec![accepted(ask, place, now, None)],
        });
    };
    let Some(replaced) = &ask.replaces else {
        let (serial_number, holder) = (serial(view, stb), serial(view, holder));
        return Err(Refusal::StbTaken {
            serial_number,
            holder,
        });
    };
    if replaced.holder != holder {
        return Err(Refusal::Changed);
    }
    room(view, holder, ItemKind::Smartcard, 1)?;
    let unpair = place;
    let pair = Place {
        due: place.due,
        number: RequestNumber(place.number.0 + 1),
    };
    Ok(Admission::New {
        request: pair.number,
        events: vec![
            make_room(ask, replaced, unpair, now),
            accepted(ask, pair, now, Some(unpair.number)),
        ],
    })
}

/// What decides about the place of a new request.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub card: ItemNumber,
    pub stb: Option<ItemNumber>,
    /// Whether it is about a pairing; if not, no STB is left.
    pub changes_pairing: bool,
    pub scheduled: Option<Timestamp>,
    /// The holder of the STB gives it up at the same place.
    pub replaces_holder: bool,
}

impl Wanted {
    fn of(ask: &Ask) -> Self {
        Self {
            card: ask.card,
            stb: ask.stb,
            changes_pairing: ask.action().changes_pairing(),
            scheduled: ask.scheduled,
            replaces_holder: ask.replaces.is_some(),
        }
    }
}

/// The place of a new request, and what holds there after the requests that stand before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Foreseen {
    pub place: Place,
    /// The STB that the card will have until then; none if the pairing is not touched.
    pub leaves: Option<ItemNumber>,
    /// Another card that will hold the wanted STB.
    pub holder: Option<ItemNumber>,
}

/// Finds the place. Its items decide about it, and it decides which STB is left and who holds the other: it is moved
/// behind whatever comes into view until nothing new does, at most once for each unfinished request.
pub fn foresee(view: &dyn View, wanted: &Wanted, now: Timestamp) -> Foreseen {
    let number = RequestNumber(view.meta().last_request + 1);
    let mut due = wanted.scheduled.unwrap_or(now).max(now);
    loop {
        let place = Place { due, number };
        let leaves =
            projected_stb(view, wanted.card, Some(place)).filter(|_| wanted.changes_pairing);
        let holder = wanted
            .stb
            .and_then(|stb| projected_holder(view, stb, place))
            .filter(|holder| *holder != wanted.card);
        let gives_up = holder.filter(|_| wanted.replaces_holder);
        let items = [Some(wanted.card), wanted.stb, leaves, gives_up];
        let behind = place_due(view, items.into_iter().flatten(), due, now);
        if behind == due {
            return Foreseen {
                place,
                leaves,
                holder,
            };
        }
        due = behind;
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
        .is_some_and(|pairing| pairing.doubt.is_some());
    Ok(!is_in_doubt && foresee(view, &Wanted::of(ask), now).leaves == ask.stb)
}

/// The STB that the card will have at the place of the ask.
pub fn foreseen_stb(view: &dyn View, ask: &Ask, now: Timestamp) -> Option<ItemNumber> {
    foresee(view, &Wanted::of(ask), now).leaves
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

/// The STB that the card will have after its requests that stand before `place` (all, if none is given).
pub fn projected_stb(
    view: &dyn View,
    card: ItemNumber,
    place: Option<Place>,
) -> Option<ItemNumber> {
    let held = view.pairing(card).and_then(|pairing| pairing.held().next());
    earlier(view, card, place)
        .filter(|request| request.card == card)
        .fold(held, |held, request| request.stb_after(held))
}

/// The card that will hold the STB after the requests that stand before `place`.
pub fn projected_holder(view: &dyn View, stb: ItemNumber, place: Place) -> Option<ItemNumber> {
    earlier(view, stb, Some(place)).fold(view.holder(stb), |holder, request| {
        if request.stb == Some(stb) {
            Some(request.card)
        } else if holder == Some(request.card) && request.changes_pairing() {
            None
        } else {
            holder
        }
    })
}

fn earlier(
    view: &dyn View,
    item: ItemNumber,
    place: Option<Place>,
) -> impl Iterator<Item = std::sync::Arc<Request>> + '_ {
    let queue = view.queue(item).into_iter();
    queue
        .take_while(move |at| place.is_none_or(|place| *at < place))
        .filter_map(|at| view.request(at.number))
}

fn accepted(ask: &Ask, place: Place, now: Timestamp, makes_room: Option<RequestNumber>) -> Event {
    let accepted = Accepted {
        request: place.number,
        provider: ask.provider,
        card: ask.card,
        card_ca: ask.card_ca.clone(),
        stb: ask.stb,
        stb_ca: ask.stb_ca.clone(),
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
    } else {
        Event::RequestAccepted(accepted)
    }
}

/// The unpair of the holder, which stands right before the pair that it makes room for.
fn make_room(ask: &Ask, replaced: &Replaced, place: Place, now: Timestamp) -> Event {
    let unpair = Ask {
        provider: replaced.provider,
        card: replaced.holder,
        card_ca: replaced.holder_ca.clone(),
        stb: None,
        stb_ca: None,
        card_change: None,
        subscription: None,
        process_name: ProcessName::ProvisioningRequestProcessing,
        sends_unknown: false,
        replaces: None,
        idempotency: None,
        retries: None,
        // Made for the job's request, and counted with it.
        ..ask.clone()
    };
    accepted(&unpair, place, now, Some(RequestNumber(place.number.0 + 1)))
}

/// An item's serial number, for messages.
pub fn serial(view: &dyn View, item: ItemNumber) -> String {
    view.item(item).map_or_else(
        || item.to_string(),
        |item| item.identifiers.serial_number().to_owned(),
    )
}

/// Whether the acknowledged pairing of a card leaves an unpair anything to do.
pub fn is_unpairable(pairing: Option<Pairing>) -> bool {
    pairing.is_some_and(|pairing| pairing.is_held() || pairing.doubt.is_some())
}
