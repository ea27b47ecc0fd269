//! `POST {family}/provisioning_requests/add_enhanced_list_of_products` and `cancel_enhanced_list_of_products` (489511): what a
//! card may show.
//!
//! A service is named by its `code` or `alternative_code`, which is the CAS's product: no catalogue of services is kept here.

use std::sync::Arc;

use super::super::api::Api;
use super::super::reply::Reply;
use super::hand_in::{self, hand_in};
use super::parameters::wrong_value;
use super::{Call, CallError, identifier};
use crate::actions::pair::PairCall;
use crate::domain::CardChange;
use crate::domain::action::PRODUCTS_MAX;

const SERVICES: &str = "services_set";

pub const FIELDS: &[&str] = &[
    SERVICES,
    "smartcard_identifier",
    "subscription_identifier",
    "process_immediately",
    "scheduled_date",
    "priority",
];

pub fn add(api: &Arc<Api>, call: &Call, reply: Reply) {
    hand_in(api, call, ask(api, call, CardChange::AddProducts), reply);
}

pub fn cancel(api: &Arc<Api>, call: &Call, reply: Reply) {
    hand_in(api, call, ask(api, call, CardChange::CancelProducts), reply);
}

fn ask(
    api: &Api,
    call: &Call,
    change: fn(Vec<Box<str>>) -> CardChange,
) -> Result<PairCall, CallError> {
    let asked = hand_in::common(api, call)?;
    Ok(PairCall {
        card_change: Some(change(services(call)?)),
        priority: hand_in::priority(call)?,
        ..asked
    })
}

/// The products that `services_set` names, in its order, each once.
fn services(call: &Call) -> Result<Vec<Box<str>>, CallError> {
    let rows = call.parameters.rows(SERVICES)?.ok_or(CallError::Missing {
        field: SERVICES.to_owned(),
        expected: "a list of services",
    })?;
    if rows.is_empty() || rows.len() > PRODUCTS_MAX {
        let expected = format!("1 to {PRODUCTS_MAX} services");
        return Err(wrong_value(SERVICES, &expected, &rows.len().to_string()));
    }
    let mut products: Vec<Box<str>> = Vec::with_capacity(rows.len());
    for (at, row) in rows.iter().enumerate() {
        let field = format!("{SERVICES}[{at}].service_identifier");
        let service = identifier::service(row, "service_identifier")
            .and_then(|found| identifier::need(found, "service_identifier"))
            .map_err(|error| error.within(&format!("{SERVICES}[{at}]")))?;
        if products.iter().any(|known| **known == *service) {
            return Err(wrong_value(&field, "each service once", &service));
        }
        products.push(service.into());
    }
    Ok(products)
}
