//! `installed_items/show`, `/list`, `/create` (952004, 952050).

use std::sync::Arc;

use super::super::api::Api;
use super::super::reply::Reply;
use super::fields::FieldsSet;
use super::identifier::ProductIdentifier;
use super::object::Objects;
use super::parameters::wrong_value;
use super::value::Value;
use super::{Call, CallError, envelope, identifier, requests};
use crate::actions::find::{self, Found};
use crate::domain::items::NewItem;
use crate::domain::{ItemIdentifier, ItemNumber, Kind, ProductNumber, View};

const IDENTIFIER: &str = "installed_item_identifier";
const PRODUCT: &str = "product_identifier";

pub const SHOW_FIELDS: &[&str] = &[IDENTIFIER, "fields_set"];
pub const LIST_FIELDS: &[&str] = &["number_of_results", "offset", "cursor", "fields_set"];
pub const CREATE_FIELDS: &[&str] = &[
    "serial_number",
    "alternative_code",
    PRODUCT,
    "state",
    "notes",
    "ca_id",
    "id",
];

/// `GET installed_items/show`.
pub fn show(api: &Api, call: &Call) -> Result<Value, CallError> {
    let named = identifier::item(&call.parameters, IDENTIFIER)?;
    let named = identifier::need(named, IDENTIFIER)?;
    let fields = FieldsSet::of(&call.parameters)?;
    let found = find_one(api, &named)?;
    object(api, found, &fields)
}

/// `GET installed_items/list`: in the order of their coming; `cursor` is the id of the last item of the page before.
pub fn list(api: &Api, call: &Call) -> Result<Value, CallError> {
    let parameters = &call.parameters;
    let fields = FieldsSet::of(parameters)?;
    let limit = requests::limit(parameters)?;
    let after = match parameters.text("cursor")? {
        None => ItemNumber(0),
        Some(text) => {
            let id = identifier::id("cursor", text)?;
            find_one(api, &ItemIdentifier::Id(id))?.number
        }
    };
    let offset = parameters.whole("offset")?.unwrap_or(0);
    let items = api.actions.page_items(after, offset, limit, |_| true);
    let objects: Result<Vec<Value>, CallError> = items
        .into_iter()
        .map(|found| object(api, found, &fields))
        .collect();
    objects.map(Value::List)
}

/// `POST installed_items/create`. The same item again is answered as it is.
pub fn create(api: &Arc<Api>, call: &Call, reply: Reply) {
    let new = match new_item(api, call) {
        Ok(new) => new,
        Err(error) => return reply.error(&error),
    };
    let shared = api.clone();
    api.actions.register_item(&call.by, new, move |result| {
        let api = shared.clone();
        shared.guarded(move || {
            let answer = result.map_err(CallError::from).and_then(|number| {
                let found = find::by_number(&api.actions.state.view(), number);
                object(&api, found.ok_or(CallError::Internal)?, &FieldsSet::all())
            });
            match answer {
                Ok(object) => reply.send(&envelope::ok(&object)),
                Err(error) => reply.error(&error),
            }
        });
    });
}

fn new_item(api: &Api, call: &Call) -> Result<NewItem, CallError> {
    let parameters = &call.parameters;
    let serial_number = parameters.need_text("serial_number")?.to_owned();
    let alternative_code = parameters.need_text("alternative_code")?.to_owned();
    let product = identifier::need(identifier::product(parameters, PRODUCT)?, PRODUCT)?;
    let state = parameters.need_text("state")?;
    let is_effective = match state {
        "EFFECTIVE" => true,
        "NOT_EFFECTIVE" => false,
        other => {
            return Err(wrong_value(
                "state",
                "`EFFECTIVE` or `NOT_EFFECTIVE`",
                other,
            ));
        }
    };
    let id = match parameters.text("id")? {
        None => None,
        Some(text) => Some(identifier::id("id", text)?),
    };
    Ok(NewItem {
        product: product_code(api, product)?,
        serial_number,
        alternative_code,
        ca_id: parameters.text("ca_id")?.map(str::to_owned),
        is_effective,
        id,
        notes: parameters.text("notes")?.unwrap_or_default().to_owned(),
    })
}

fn product_code(api: &Api, product: ProductIdentifier) -> Result<String, CallError> {
    let id = match product {
        ProductIdentifier::Code(code) => return Ok(code),
        ProductIdentifier::Id(id) => id,
    };
    let view = api.actions.state.view();
    let number = id
        .number(Kind::Product, view.meta().salt)
        .and_then(|number| u32::try_from(number).ok());
    let product = number.and_then(|number| view.product(ProductNumber(number)));
    product
        .map(|product| product.code.to_string())
        .ok_or_else(|| CallError::ProductUnknown {
            field: "id",
            value: id.to_string(),
        })
}

fn find_one(api: &Api, named: &ItemIdentifier) -> Result<Found, CallError> {
    let mut found = find::candidates(&api.actions.state.view(), named);
    let (field, value) = named.field_and_value();
    let count = found.len();
    match found.pop() {
        Some(one) if count == 1 => Ok(one),
        Some(_) => Err(CallError::ItemAmbiguous {
            field,
            value,
            count,
        }),
        None => Err(CallError::ItemUnknown { field, value }),
    }
}

fn object(api: &Api, found: Found, fields: &FieldsSet) -> Result<Value, CallError> {
    let details = api.actions.item_texts(found).ok_or(CallError::Internal)?;
    let view = api.actions.state.view();
    let objects = Objects::new(&view, api.config().time_zone);
    Ok(fields.of_object(objects.item(&details)))
}
