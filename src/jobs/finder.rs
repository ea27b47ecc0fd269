//! What the look-ups of a job's script find: plain maps, made of the state at that moment.

use serde_json::{Value, json};

use crate::actions::find;
use crate::domain::{ItemIdentifier, ItemKind, RequestIdentifier, SubscriptionIdentifier, View};
use crate::provider::Providers;

/// A card or STB, whatever its kind; none if there is none. Two of that name are an error.
pub fn item(
    view: &dyn View,
    providers: &Providers,
    named: &ItemIdentifier,
) -> Result<Option<Value>, String> {
    let found = find::candidates(view, named);
    match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(item_map(view, providers, one))),
        several => {
            let (field, value) = named.field_and_value();
            let count = several.len();
            Err(format!(
                "{count} items have {field} `{value}`; name it by `id`"
            ))
        }
    }
}

/// What a card is paired with.
pub fn pairing(
    view: &dyn View,
    providers: &Providers,
    named: &ItemIdentifier,
) -> Result<Option<Value>, String> {
    let card = match find::item(view, providers, named, ItemKind::Smartcard) {
        Ok(card) => card,
        Err(crate::domain::Refusal::ItemUnknown { .. }) => return Ok(None),
        Err(refusal) => return Err(refusal.to_string()),
    };
    let Some(pairing) = view.pairing(card.number) else {
        return Ok(None);
    };
    let stbs: Vec<String> = pairing
        .acknowledged()
        .filter_map(|stb| find::by_number(view, stb))
        .map(|stb| stb.item.identifiers.serial_number().to_owned())
        .collect();
    Ok(Some(json!({
        "card": card.item.identifiers.serial_number(),
        "stb": stbs.first(),
        "stbs": stbs,
        "in_doubt": pairing.is_in_doubt(),
        "pending": view.queue(card.number).len(),
    })))
}

/// The card that holds an STB.
pub fn holder(
    view: &dyn View,
    providers: &Providers,
    named: &ItemIdentifier,
) -> Result<Option<Value>, String> {
    let stb = match find::item(view, providers, named, ItemKind::Stb) {
        Ok(stb) => stb,
        Err(crate::domain::Refusal::ItemUnknown { .. }) => return Ok(None),
        Err(refusal) => return Err(refusal.to_string()),
    };
    let holder = view.holder(stb.number);
    let holder = holder.and_then(|card| find::by_number(view, card));
    Ok(holder.map(|card| item_map(view, providers, &card)))
}

pub fn subscription(view: &dyn View, named: &SubscriptionIdentifier) -> Option<Value> {
    let number = find::subscription(view, named).ok()?;
    let row = view.subscription(number)?;
    Some(json!({
        "number": &*row.number,
        "life_cycle_state": &*row.life_cycle_state,
    }))
}

pub fn request(view: &dyn View, named: &RequestIdentifier) -> Option<Value> {
    let request = find::request(view, named).ok()?;
    let serial = |number| {
        let found = find::by_number(view, number)?;
        Some(found.item.identifiers.serial_number().to_owned())
    };
    Some(json!({
        "number": request.number.0,
        "state": request.phase.life_cycle_state().word(),
        "action": request.action().word(),
        "card": serial(request.card),
        "stb": request.stb.and_then(serial),
        "job": request.job.map(|job| job.0),
    }))
}

fn item_map(view: &dyn View, providers: &Providers, found: &find::Found) -> Value {
    let item = &found.item;
    let kind = [ItemKind::Smartcard, ItemKind::Stb]
        .into_iter()
        .find(|kind| providers.takes(&found.product, *kind));
    let partner = view
        .pairing(found.number)
        .and_then(|pairing| pairing.acknowledged().next())
        .or_else(|| view.holder(found.number))
        .and_then(|partner| find::by_number(view, partner));
    json!({
        "serial_number": item.identifiers.serial_number(),
        "alternative_code": item.identifiers.alternative_code(),
        "ca_id": item.identifiers.ca_id(),
        "product": found.product,
        "kind": kind.map(ItemKind::noun),
        "is_effective": item.is_effective,
        "is_blacklisted": item.is_blacklisted,
        "paired_with": partner.map(|partner| partner.item.identifiers.serial_number().to_owned()),
        "pending": view.queue(found.number).len(),
    })
}
