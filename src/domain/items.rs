//! Registering what the CRM names: items, products, subscriptions. Add, import again, change, blacklist.

use serde::{Deserialize, Serialize};

use super::event::{Event, ItemFields, SubscriptionFields};
use super::item::{identifier_fault, notes_digest};
use super::length::{check_reason, cut};
use super::{ItemNumber, Kind, ProductNumber, PublicId, Refusal, SubscriptionNumber, View};

/// An item as an import row or a create call gives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewItem {
    pub product: String,
    pub serial_number: String,
    pub alternative_code: String,
    pub ca_id: Option<String>,
    pub is_effective: bool,
    pub id: Option<PublicId>,
    pub notes: String,
}

/// What registering did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registered<N> {
    Added(N),
    Changed(N),
    Unchanged(N),
}

impl<N: Copy> Registered<N> {
    pub fn number(&self) -> N {
        match self {
            Self::Added(number) | Self::Changed(number) | Self::Unchanged(number) => *number,
        }
    }
}

/// Judges one item; an identical one is unchanged, a differing one is refused unless `may_update`.
pub fn register(
    view: &dyn View,
    new: &NewItem,
    may_update: bool,
) -> Result<(Registered<ItemNumber>, Vec<Event>), Refusal> {
    check_texts(new)?;
    let product = view.product_by_code(&new.product);
    let twin = product.and_then(|product| {
        of_product(
            view,
            product,
            view.items_by_serial_number(&new.serial_number),
        )
    });
    if let (Some(number), Some(product)) = (twin, product) {
        return register_again(view, number, product, new, may_update);
    }
    if let Some(product) = product {
        check_unique(view, product, new, None)?;
    }
    check_id(view, new.id, None)?;
    let mut events = Vec::new();
    let product = product.unwrap_or_else(|| {
        let number = ProductNumber(view.meta().last_product + 1);
        events.push(Event::ProductAdded {
            number,
            code: new.product.clone(),
        });
        number
    });
    let number = ItemNumber(view.meta().last_item + 1);
    events.push(Event::ItemAdded {
        number,
        item: fields(new, product),
    });
    Ok((Registered::Added(number), events))
}

fn register_again(
    view: &dyn View,
    number: ItemNumber,
    product: ProductNumber,
    new: &NewItem,
    may_update: bool,
) -> Result<(Registered<ItemNumber>, Vec<Event>), Refusal> {
    let Some(item) = view.item(number) else {
        return Err(Refusal::Changed);
    };
    let serial_number = new.serial_number.clone();
    let id = new_id(view, Kind::Item, number.0, item.imported_id, new.id);
    let id = id.map_err(|ours| id_bound(&serial_number, ours, new.id))?;
    let has_other_notes = !new.notes.is_empty() && notes_digest(&new.notes) != item.notes_digest;
    let wanted_ca = new.ca_id.as_deref().unwrap_or(&new.serial_number);
    let state = |is_effective: bool| {
        if is_effective {
            "EFFECTIVE"
        } else {
            "NOT_EFFECTIVE"
        }
    };
    let id_text = id.map(|id| id.to_string()).unwrap_or_default();
    let given_notes = if has_other_notes {
        cut(&new.notes, NOTES_SHOWN_BYTES)
    } else {
        String::new()
    };
    let differences = [
        (
            "alternative_code",
            item.identifiers.alternative_code(),
            new.alternative_code.as_str(),
        ),
        ("ca_id", item.identifiers.ca_id(), wanted_ca),
        ("state", state(item.is_effective), state(new.is_effective)),
        ("id", "", id_text.as_str()),
        ("notes", "", given_notes.as_str()),
    ];
    let Some((field, ours, theirs)) = differences
        .into_iter()
        .find(|(_, ours, theirs)| ours != theirs)
    else {
        return Ok((Registered::Unchanged(number), Vec::new()));
    };
    if !may_update {
        let (ours, theirs) = (ours.to_owned(), theirs.to_owned());
        return Err(Refusal::ItemDiffers {
            serial_number,
            field,
            ours,
            theirs,
        });
    }
    let is_bound = !view.queue(number).is_empty()
        || view.holder(number).is_some()
        || view
            .pairing(number)
            .is_some_and(|pairing| pairing.is_held());
    if item.identifiers.ca_id() != wanted_ca && is_bound {
        return Err(Refusal::CaIdBound { serial_number });
    }
    check_unique(view, product, new, Some(number))?;
    check_id(view, id, Some(number))?;
    let mut item_fields = fields(new, product);
    item_fields.id = item.imported_id.or(id);
    Ok((
        Registered::Changed(number),
        vec![Event::ItemChanged {
            number,
            item: item_fields,
        }],
    ))
}

/// The id that a row brings and that is not known here yet; `Err` with ours if another one was brought before.
fn new_id(
    view: &dyn View,
    kind: Kind,
    number: u64,
    imported: Option<PublicId>,
    given: Option<PublicId>,
) -> Result<Option<PublicId>, PublicId> {
    let Some(given) = given else { return Ok(None) };
    match imported {
        Some(ours) if ours == given => Ok(None),
        Some(ours) => Err(ours),
        None if PublicId::new(kind, number, view.meta().salt) == given => Ok(None),
        None => Ok(Some(given)),
    }
}

fn id_bound(name: &str, ours: PublicId, theirs: Option<PublicId>) -> Refusal {
    Refusal::IdBound {
        name: name.to_owned(),
        ours: ours.to_string(),
        theirs: theirs.map(|id| id.to_string()).unwrap_or_default(),
    }
}

/// Refuses texts that no state would make right.
pub fn check_texts(new: &NewItem) -> Result<(), Refusal> {
    let texts = [
        ("product", Some(&new.product)),
        ("serial_number", Some(&new.serial_number)),
        ("alternative_code", Some(&new.alternative_code)),
        ("ca_id", new.ca_id.as_ref()),
    ];
    for (field, text) in texts {
        if let Some(fault) = text.and_then(|text| identifier_fault(text)) {
            return Err(Refusal::Field { field, fault });
        }
    }
    if new.notes.len() > NOTES_BYTES_MAX {
        let fault = format!(
            "expected at most {NOTES_BYTES_MAX} bytes, found {}",
            new.notes.len()
        );
        return Err(Refusal::Field {
            field: "notes",
            fault,
        });
    }
    Ok(())
}

/// Refuses texts of a subscription that no state would make right.
pub fn check_subscription_texts(new: &SubscriptionFields) -> Result<(), Refusal> {
    for (field, text) in [
        ("number", &new.number),
        ("life_cycle_state", &new.life_cycle_state),
    ] {
        if let Some(fault) = identifier_fault(text) {
            return Err(Refusal::Field { field, fault });
        }
    }
    Ok(())
}

/// Longest notes, in bytes.
const NOTES_BYTES_MAX: usize = 4096;
/// What a refusal repeats of notes, in bytes.
const NOTES_SHOWN_BYTES: usize = 80;

fn check_unique(
    view: &dyn View,
    product: ProductNumber,
    new: &NewItem,
    but: Option<ItemNumber>,
) -> Result<(), Refusal> {
    let ca_id = new.ca_id.as_deref().unwrap_or(&new.serial_number);
    let twins = [
        (
            "alternative_code",
            new.alternative_code.as_str(),
            view.items_by_alternative_code(&new.alternative_code),
        ),
        ("ca_id", ca_id, view.items_by_ca_id(ca_id)),
    ];
    for (field, value, numbers) in twins {
        if of_product(view, product, numbers).is_some_and(|twin| Some(twin) != but) {
            let product = new.product.clone();
            return Err(Refusal::ItemExists {
                product,
                field,
                value: value.to_owned(),
            });
        }
    }
    Ok(())
}

fn of_product(
    view: &dyn View,
    product: ProductNumber,
    numbers: Vec<ItemNumber>,
) -> Option<ItemNumber> {
    numbers.into_iter().find(|number| {
        view.item(*number)
            .is_some_and(|item| item.product == product)
    })
}

fn check_id(view: &dyn View, id: Option<PublicId>, but: Option<ItemNumber>) -> Result<(), Refusal> {
    let Some(id) = id else { return Ok(()) };
    let salt = view.meta().salt;
    let is_taken = view
        .item_by_imported_id(id)
        .is_some_and(|number| Some(number) != but)
        || id.number(Kind::Item, salt).is_some()
        || view.subscription_by_imported_id(id).is_some();
    if is_taken {
        Err(Refusal::IdTaken { id: id.to_string() })
    } else {
        Ok(())
    }
}

fn fields(new: &NewItem, product: ProductNumber) -> ItemFields {
    ItemFields {
        product,
        serial_number: new.serial_number.clone(),
        alternative_code: new.alternative_code.clone(),
        ca_id: new
            .ca_id
            .clone()
            .filter(|ca_id| *ca_id != new.serial_number),
        is_effective: new.is_effective,
        id: new.id,
        notes: new.notes.clone(),
    }
}

/// Blacklists an item or releases it; none if it is so already.
pub fn blacklist(
    view: &dyn View,
    number: ItemNumber,
    is_blacklisted: bool,
    reason: &str,
) -> Result<Option<Event>, Refusal> {
    check_reason(reason)?;
    let item = view.item(number).ok_or(Refusal::Changed)?;
    if item.is_blacklisted == is_blacklisted {
        return Ok(None);
    }
    let reason = reason.to_owned();
    Ok(Some(if is_blacklisted {
        Event::ItemBlacklisted { number, reason }
    } else {
        Event::ItemReleased { number, reason }
    }))
}

/// Judges one subscription; an identical one is unchanged, a differing one is refused unless `may_update`.
pub fn register_subscription(
    view: &dyn View,
    new: &SubscriptionFields,
    may_update: bool,
) -> Result<(Registered<SubscriptionNumber>, Vec<Event>), Refusal> {
    check_subscription_texts(new)?;
    let mut subscription = new.clone();
    let Some(number) = view.subscription_by_number(&new.number) else {
        check_id(view, new.id, None)?;
        let number = SubscriptionNumber(view.meta().last_subscription + 1);
        return Ok((
            Registered::Added(number),
            vec![Event::SubscriptionAdded {
                number,
                subscription,
            }],
        ));
    };
    let Some(ours) = view.subscription(number) else {
        return Err(Refusal::Changed);
    };
    let id = new_id(view, Kind::Subscription, number.0, ours.imported_id, new.id);
    let id = id.map_err(|ours| id_bound(&new.number, ours, new.id))?;
    if *ours.life_cycle_state == *new.life_cycle_state && id.is_none() {
        return Ok((Registered::Unchanged(number), Vec::new()));
    }
    if !may_update {
        return Err(Refusal::SubscriptionDiffers {
            number: new.number.clone(),
        });
    }
    check_id(view, id, None)?;
    subscription.id = ours.imported_id.or(id);
    Ok((
        Registered::Changed(number),
        vec![Event::SubscriptionChanged {
            number,
            subscription,
        }],
    ))
}
