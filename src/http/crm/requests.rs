//! `show` and `list` of provisioning requests, for one family or for all (510683, 498605, 524084, 490434).

use super::super::api::Api;
use super::fields::FieldsSet;
use super::object::Objects;
use super::parameters::{Parameters, wrong_value};
use super::value::Value;
use super::{Call, CallError, identifier};
use crate::actions::find;
use crate::actions::list::{LOOKED_THROUGH_MAX, RequestFilter};
use crate::domain::{LifeCycleState, Method, Refusal, RequestIdentifier, RequestNumber, View};

const IDENTIFIER: &str = "provisioning_request_identifier";

pub const SHOW_FIELDS: &[&str] = &[IDENTIFIER, "fields_set"];
pub const LIST_FIELDS: &[&str] = &[
    "type",
    "life_cycle_state",
    "reference_number",
    "number_of_results",
    "offset",
    "cursor",
    "fields_set",
];

pub const RESULTS_DEFAULT: u64 = 1_000;
pub const RESULTS_MAX: u64 = 10_000;

/// `GET .../provisioning_requests/show`.
pub fn show(api: &Api, call: &Call) -> Result<Value, CallError> {
    let named = identifier::request(&call.parameters, IDENTIFIER)?;
    let named = identifier::need(named, IDENTIFIER)?;
    let fields = FieldsSet::of(&call.parameters)?;
    let view = api.actions.state.view();
    let request = find::request(&view, &named)?;
    let is_of_family = call.family.as_ref().is_none_or(|family| {
        view.provider(request.provider)
            .is_some_and(|provider| *provider.family == **family)
    });
    drop(view);
    if !is_of_family {
        let (field, value) = match named {
            RequestIdentifier::Id(id) => ("id", id.to_string()),
            RequestIdentifier::Number(number) => ("number", number),
        };
        return Err(Refusal::RequestUnknown { field, value }.into());
    }
    let details = api.actions.details(&request).ok_or(CallError::Internal)?;
    let view = api.actions.state.view();
    let objects = Objects::new(&view, api.config().time_zone);
    Ok(fields.of_object(objects.request(&details)))
}

/// `GET .../provisioning_requests/list`: by number ascending; the newest, unless `offset` or `cursor` says from where.
pub fn list(api: &Api, call: &Call) -> Result<Value, CallError> {
    let parameters = &call.parameters;
    let fields = FieldsSet::of(parameters)?;
    let state = match parameters.text("life_cycle_state")? {
        None => None,
        Some(word) => Some(LifeCycleState::parse(word).ok_or_else(|| {
            wrong_value(
                "life_cycle_state",
                "`PENDING`, `COMPLETED` or `REJECTED`",
                word,
            )
        })?),
    };
    let actions = parameters.text("type")?.map(Method::actions_of);
    let filter = RequestFilter {
        state,
        family: call.family.clone(),
        actions: actions.clone(),
        job: None,
        after: parameters.whole("cursor")?.map(RequestNumber),
        offset: parameters.whole("offset")?,
        limit: limit(parameters)?,
    };
    let reference = parameters.text("reference_number")?;
    if actions.is_some_and(|actions| actions.is_empty()) {
        return Ok(Value::List(Vec::new()));
    }
    let found = api
        .actions
        .list_request_details(&filter, reference)
        .map_err(|wide| CallError::ListTooWide {
            max: LOOKED_THROUGH_MAX,
            found: wide.found,
            cursor: wide.cursor.0,
        })?;
    let mut objects = Vec::with_capacity(found.len());
    for details in &found {
        // One look a row: the writer must not wait for a long list.
        let view = api.actions.state.view();
        let object = Objects::new(&view, api.config().time_zone).request(details);
        objects.push(fields.of_object(object));
    }
    Ok(Value::List(objects))
}

/// `number_of_results`.
pub fn limit(parameters: &Parameters) -> Result<usize, CallError> {
    let name = "number_of_results";
    let wanted = parameters.whole(name)?.unwrap_or(RESULTS_DEFAULT);
    if !(1..=RESULTS_MAX).contains(&wanted) {
        let expected = format!("1 to {RESULTS_MAX}");
        return Err(wrong_value(name, &expected, &wanted.to_string()));
    }
    Ok(usize::try_from(wanted).unwrap_or(usize::MAX))
}
