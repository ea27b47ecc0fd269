//! Identifiers on the wire turned into the domain's: exactly one of several fields (`api.md` section 4).

use super::CallError;
use super::parameters::{Parameters, wrong_value};
use crate::domain::{ItemIdentifier, PublicId, RequestIdentifier, SubscriptionIdentifier};

const ITEM: &[&str] = &["id", "serial_number", "alternative_code"];
const NUMBERED: &[&str] = &["id", "number"];
const SERVICE: &[&str] = &["id", "code", "alternative_code"];
const PRODUCT: &[&str] = &["id", "code"];

/// How a product is named: by its id, or by its code, whose first mention makes the product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProductIdentifier {
    Id(PublicId),
    Code(String),
}

pub fn item(
    parameters: &Parameters,
    name: &'static str,
) -> Result<Option<ItemIdentifier>, CallError> {
    let Some((field, value)) = parameters.identifier(name, ITEM)? else {
        return Ok(None);
    };
    Ok(Some(match field {
        "id" => ItemIdentifier::Id(id(&format!("{name}.id"), value)?),
        "serial_number" => ItemIdentifier::SerialNumber(value.to_owned()),
        _ => ItemIdentifier::AlternativeCode(value.to_owned()),
    }))
}

pub fn subscription(
    parameters: &Parameters,
    name: &'static str,
) -> Result<Option<SubscriptionIdentifier>, CallError> {
    let Some((field, value)) = parameters.identifier(name, NUMBERED)? else {
        return Ok(None);
    };
    Ok(Some(match field {
        "id" => SubscriptionIdentifier::Id(id(&format!("{name}.id"), value)?),
        _ => SubscriptionIdentifier::Number(value.to_owned()),
    }))
}

pub fn request(
    parameters: &Parameters,
    name: &'static str,
) -> Result<Option<RequestIdentifier>, CallError> {
    let Some((field, value)) = parameters.identifier(name, NUMBERED)? else {
        return Ok(None);
    };
    Ok(Some(match field {
        "id" => RequestIdentifier::Id(id(&format!("{name}.id"), value)?),
        _ => RequestIdentifier::Number(value.to_owned()),
    }))
}

pub fn product(
    parameters: &Parameters,
    name: &'static str,
) -> Result<Option<ProductIdentifier>, CallError> {
    let Some((field, value)) = parameters.identifier(name, PRODUCT)? else {
        return Ok(None);
    };
    Ok(Some(match field {
        "id" => ProductIdentifier::Id(id(&format!("{name}.id"), value)?),
        _ => ProductIdentifier::Code(value.to_owned()),
    }))
}

/// A service of the CRM as the CAS's product. An id says nothing: no catalogue of services is kept here.
pub fn service(parameters: &Parameters, name: &'static str) -> Result<Option<String>, CallError> {
    let Some((field, value)) = parameters.identifier(name, SERVICE)? else {
        return Ok(None);
    };
    if field == "id" {
        let expected = "`code` or `alternative_code`: services are not kept here by id";
        return Err(wrong_value(&format!("{name}.id"), expected, value));
    }
    Ok(Some(value.to_owned()))
}

/// Turns an absent identifier into the error of a mandatory one.
pub fn need<T>(found: Option<T>, name: &str) -> Result<T, CallError> {
    found.ok_or_else(|| CallError::Missing {
        field: name.to_owned(),
        expected: "an identifier",
    })
}

/// Reads 32 hex digits.
pub fn id(field: &str, text: &str) -> Result<PublicId, CallError> {
    PublicId::parse(text).ok_or_else(|| wrong_value(field, "32 hex digits", text))
}
