//! Items as people look at them: a list by cursor, one with everything that is known of it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::find::{Found, candidates};
use super::{Actions, requests::RequestRow};
use crate::domain::{
    ItemIdentifier, ItemKind, ItemNumber, Kind, PublicId, RequestNumber, Timestamp, View,
};
use crate::provider::Provider;
use crate::store::StateView;

/// An item in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemRow {
    pub number: u64,
    pub id: PublicId,
    pub serial_number: String,
    pub alternative_code: String,
    pub product: String,
    /// What a provider takes it for; none if no provider's products match.
    pub kind: Option<ItemKind>,
    pub ca_id: String,
    /// As the mapping of the first provider that takes it normalizes it; only where it is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalized_ca_id: Option<String>,
    pub is_effective: bool,
    pub is_blacklisted: bool,
    /// The STB of a card, or the card that holds an STB, as the CAS confirmed it.
    pub paired_with: Option<String>,
}

/// An item with all that is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemDetails {
    pub item: ItemRow,
    pub notes: String,
    pub created_at: Option<Timestamp>,
    pub created_by: String,
    pub updated_at: Option<Timestamp>,
    pub updated_by: String,
    /// Its unfinished requests in the order in which they will go out.
    pub queue: Vec<RequestRow>,
}

/// Which items to list.
#[derive(Clone, Debug, Default)]
pub struct ItemFilter {
    pub product: Option<String>,
    pub is_blacklisted: Option<bool>,
    /// From above this number (exclusive).
    pub after: u64,
    pub limit: usize,
}

/// No item, or more than one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FindItemError {
    #[error("no item with {field} `{value}`")]
    Unknown { field: &'static str, value: String },
    #[error("{count} items have {field} `{value}`; expected exactly one; name it by `id`")]
    Ambiguous {
        field: &'static str,
        value: String,
        count: usize,
    },
}

impl Actions {
    /// The items that match, by number ascending.
    pub fn list_items(&self, filter: &ItemFilter) -> Vec<ItemRow> {
        let found = self.page_items(ItemNumber(filter.after), 0, filter.limit, |found| {
            filter.takes(found)
        });
        found
            .iter()
            .map(|found| self.item_row(&self.state.view(), found))
            .collect()
    }

    /// Asks the mappings for the CA IDs as they send them; one that a script cannot normalize stays without.
    pub fn normalize_ca_ids(&self, rows: &mut [ItemRow]) {
        let providers = self.providers();
        for row in rows {
            let Some(kind) = row.kind else { continue };
            let takes = |provider: &&Arc<Provider>| provider.classify(&row.product) == Some(kind);
            let Some(provider) = providers.iter().find(takes) else {
                continue;
            };
            let normalized = provider
                .mapping
                .normalize(kind, &row.ca_id, &provider.settings);
            row.normalized_ca_id = normalized.ok();
        }
    }

    /// The one item that the identifier means, card or STB.
    pub fn one_item(&self, identifier: &ItemIdentifier) -> Result<Found, FindItemError> {
        let (field, value) = identifier.field_and_value();
        let found = candidates(&self.state.view(), identifier);
        let count = found.len();
        let mut found = found.into_iter();
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(one),
            (None, _) => Err(FindItemError::Unknown { field, value }),
            (Some(_), Some(_)) => Err(FindItemError::Ambiguous {
                field,
                value,
                count,
            }),
        }
    }

    /// All that is known of an item; notes, dates and names are read from the ledger.
    pub fn item_details(&self, found: &Found) -> ItemDetails {
        let texts = self.item_texts(found.clone());
        let (item, queue) = {
            let view = self.state.view();
            let queue: Vec<RequestNumber> = view
                .queue(found.number)
                .iter()
                .map(|place| place.number)
                .collect();
            (self.item_row(&view, found), queue)
        };
        ItemDetails {
            item,
            notes: texts
                .as_ref()
                .map(|texts| texts.notes.clone())
                .unwrap_or_default(),
            created_at: texts.as_ref().map(|texts| texts.created_at),
            updated_at: texts.as_ref().map(|texts| texts.updated_at),
            created_by: texts
                .as_ref()
                .map(|texts| texts.created_by.clone())
                .unwrap_or_default(),
            updated_by: texts.map(|texts| texts.updated_by).unwrap_or_default(),
            queue: self.request_rows(queue),
        }
    }

    fn item_row(&self, view: &StateView<'_>, found: &Found) -> ItemRow {
        let item = &found.item;
        let kinds = [ItemKind::Smartcard, ItemKind::Stb];
        let providers = self.providers();
        let partner = view
            .pairing(found.number)
            .and_then(|pairing| pairing.acknowledged().next())
            .or_else(|| view.holder(found.number));
        ItemRow {
            number: found.number.0,
            id: item
                .imported_id
                .unwrap_or_else(|| PublicId::new(Kind::Item, found.number.0, view.meta().salt)),
            serial_number: item.identifiers.serial_number().to_owned(),
            alternative_code: item.identifiers.alternative_code().to_owned(),
            product: found.product.clone(),
            kind: kinds
                .into_iter()
                .find(|kind| providers.takes(&found.product, *kind)),
            ca_id: item.identifiers.ca_id().to_owned(),
            normalized_ca_id: None,
            is_effective: item.is_effective,
            is_blacklisted: item.is_blacklisted,
            paired_with: partner.map(|partner| serial_number(view, partner)),
        }
    }
}

impl ItemFilter {
    fn takes(&self, found: &Found) -> bool {
        self.product
            .as_ref()
            .is_none_or(|product| *product == found.product)
            && self
                .is_blacklisted
                .is_none_or(|wanted| wanted == found.item.is_blacklisted)
    }
}

/// An item's serial number; its internal number where the row is gone.
pub(super) fn serial_number(view: &dyn View, number: ItemNumber) -> String {
    view.item(number).map_or_else(
        || format!("item {number}"),
        |item| item.identifiers.serial_number().to_owned(),
    )
}
