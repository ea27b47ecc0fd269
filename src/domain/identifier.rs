//! How callers name things: exactly one of several fields, each an enum variant once it is parsed at the edge.

use super::PublicId;

/// Names a smartcard or an STB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemIdentifier {
    Id(PublicId),
    SerialNumber(String),
    AlternativeCode(String),
}

impl ItemIdentifier {
    /// The field's name on the wire and its value, for messages.
    pub fn field_and_value(&self) -> (&'static str, String) {
        match self {
            Self::Id(id) => ("id", id.to_string()),
            Self::SerialNumber(value) => ("serial_number", value.clone()),
            Self::AlternativeCode(value) => ("alternative_code", value.clone()),
        }
    }
}

/// Names a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubscriptionIdentifier {
    Id(PublicId),
    Number(String),
}

/// Names a provisioning request. A number is a text on the wire; one that is no number names nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestIdentifier {
    Id(PublicId),
    Number(String),
}
