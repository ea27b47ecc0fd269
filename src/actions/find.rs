//! Finding what a caller names: items of the kind asked for, subscriptions, requests.

use std::sync::Arc;

use crate::domain::{
    Item, ItemIdentifier, ItemKind, ItemNumber, Kind, Refusal, Request, RequestIdentifier,
    RequestNumber, SubscriptionIdentifier, SubscriptionNumber, View,
};
use crate::provider::Providers;

/// An item that was found, with its product's code.
#[derive(Clone, Debug)]
pub struct Found {
    pub number: ItemNumber,
    pub item: Arc<Item>,
    pub product: String,
}

/// Finds the one item of the kind; an item of another kind is its own error, two are an error.
pub fn item(
    view: &dyn View,
    providers: &Providers,
    identifier: &ItemIdentifier,
    kind: ItemKind,
) -> Result<Found, Refusal> {
    let (field, value) = identifier.field_and_value();
    let candidates = candidates(view, identifier);
    let of_kind: Vec<&Found> = candidates
        .iter()
        .filter(|found| providers.takes(&found.product, kind))
        .collect();
    match (of_kind.as_slice(), candidates.first()) {
        ([found], _) => Ok((*found).clone()),
        ([], None) => Err(Refusal::ItemUnknown { kind, field, value }),
        ([], Some(other)) => Err(Refusal::ItemOfOtherKind {
            kind,
            field,
            value,
            product: other.product.clone(),
        }),
        (several, _) => Err(Refusal::ItemAmbiguous {
            kind,
            field,
            value,
            count: several.len(),
        }),
    }
}

/// All items that the identifier may mean, of whatever kind.
pub fn candidates(view: &dyn View, identifier: &ItemIdentifier) -> Vec<Found> {
    let numbers = match identifier {
        ItemIdentifier::SerialNumber(value) => view.items_by_serial_number(value),
        ItemIdentifier::AlternativeCode(value) => view.items_by_alternative_code(value),
        ItemIdentifier::Id(id) => {
            let imported = view.item_by_imported_id(*id);
            let computed = || id.number(Kind::Item, view.meta().salt).map(ItemNumber);
            imported.or_else(computed).into_iter().collect()
        }
    };
    numbers
        .into_iter()
        .filter_map(|number| by_number(view, number))
        .collect()
}

/// An item by its internal number.
pub fn by_number(view: &dyn View, number: ItemNumber) -> Option<Found> {
    let item = view.item(number)?;
    let product = view
        .product(item.product)
        .map(|product| product.code.to_string())
        .unwrap_or_default();
    Some(Found {
        number,
        item,
        product,
    })
}

pub fn subscription(
    view: &dyn View,
    identifier: &SubscriptionIdentifier,
) -> Result<SubscriptionNumber, Refusal> {
    let (field, value, found) = match identifier {
        SubscriptionIdentifier::Number(value) => {
            ("number", value.clone(), view.subscription_by_number(value))
        }
        SubscriptionIdentifier::Id(id) => {
            let computed = || {
                id.number(Kind::Subscription, view.meta().salt)
                    .map(SubscriptionNumber)
            };
            let found = view.subscription_by_imported_id(*id).or_else(computed);
            (
                "id",
                id.to_string(),
                found.filter(|number| view.subscription(*number).is_some()),
            )
        }
    };
    found.ok_or(Refusal::SubscriptionUnknown { field, value })
}

pub fn request(view: &dyn View, identifier: &RequestIdentifier) -> Result<Arc<Request>, Refusal> {
    let (field, value, number) = match identifier {
        RequestIdentifier::Number(value) => ("number", value.clone(), value.parse().ok()),
        RequestIdentifier::Id(id) => (
            "id",
            id.to_string(),
            id.number(Kind::Request, view.meta().salt),
        ),
    };
    let found = number.and_then(|number| view.request(RequestNumber(number)));
    found.ok_or(Refusal::RequestUnknown { field, value })
}
