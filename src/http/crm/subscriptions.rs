//! `subscriptions/show`, `/list`, `/create`: the fields that we keep of a subscription.

use std::sync::Arc;

use super::super::api::Api;
use super::super::reply::Reply;
use super::fields::FieldsSet;
use super::object::Objects;
use super::value::Value;
use super::{Call, CallError, envelope, identifier, requests};
use crate::actions::find;
use crate::domain::event::SubscriptionFields;
use crate::domain::{SubscriptionIdentifier, SubscriptionNumber, View};

const IDENTIFIER: &str = "subscription_identifier";

pub const SHOW_FIELDS: &[&str] = &[IDENTIFIER, "fields_set"];
pub const LIST_FIELDS: &[&str] = &["number_of_results", "offset", "cursor", "fields_set"];
pub const CREATE_FIELDS: &[&str] = &["number", "life_cycle_state", "id"];

/// `GET subscriptions/show`.
pub fn show(api: &Api, call: &Call) -> Result<Value, CallError> {
    let named = identifier::subscription(&call.parameters, IDENTIFIER)?;
    let named = identifier::need(named, IDENTIFIER)?;
    let fields = FieldsSet::of(&call.parameters)?;
    let number = find::subscription(&api.actions.state.view(), &named)?;
    object(api, number, &fields)
}

/// `GET subscriptions/list`: in the order of their coming; `cursor` is the id of the last one of the page before.
pub fn list(api: &Api, call: &Call) -> Result<Value, CallError> {
    let parameters = &call.parameters;
    let fields = FieldsSet::of(parameters)?;
    let limit = requests::limit(parameters)?;
    let after = match parameters.text("cursor")? {
        None => SubscriptionNumber(0),
        Some(text) => {
            let id = identifier::id("cursor", text)?;
            find::subscription(&api.actions.state.view(), &SubscriptionIdentifier::Id(id))?
        }
    };
    let offset = parameters.whole("offset")?.unwrap_or(0);
    let found = api.actions.page_subscriptions(after, offset, limit);
    let objects: Result<Vec<Value>, CallError> = found
        .into_iter()
        .map(|number| object(api, number, &fields))
        .collect();
    objects.map(Value::List)
}

/// `POST subscriptions/create`. The same subscription again is answered as it is.
pub fn create(api: &Arc<Api>, call: &Call, reply: Reply) {
    let new = match new_subscription(call) {
        Ok(new) => new,
        Err(error) => return reply.error(&error),
    };
    let shared = api.clone();
    api.actions
        .register_subscription(&call.by, new, move |result| {
            let api = shared.clone();
            shared.guarded(move || {
                let answer = result
                    .map_err(CallError::from)
                    .and_then(|number| object(&api, number, &FieldsSet::all()));
                match answer {
                    Ok(object) => reply.send(&envelope::ok(&object)),
                    Err(error) => reply.error(&error),
                }
            });
        });
}

fn new_subscription(call: &Call) -> Result<SubscriptionFields, CallError> {
    let parameters = &call.parameters;
    let id = match parameters.text("id")? {
        None => None,
        Some(text) => Some(identifier::id("id", text)?),
    };
    Ok(SubscriptionFields {
        number: parameters.need_text("number")?.to_owned(),
        life_cycle_state: parameters.need_text("life_cycle_state")?.to_owned(),
        id,
    })
}

fn object(api: &Api, number: SubscriptionNumber, fields: &FieldsSet) -> Result<Value, CallError> {
    let view = api.actions.state.view();
    let row = view.subscription(number).ok_or(CallError::Internal)?;
    let objects = Objects::new(&view, api.config().time_zone);
    Ok(fields.of_object(objects.subscription(number, &row)))
}
