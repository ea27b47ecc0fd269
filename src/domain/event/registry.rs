//! What is known rather than asked: providers, items, subscriptions.

use serde::{Deserialize, Serialize};

use crate::domain::{Cardinality, ProductNumber, PublicId};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderSettings {
    pub name: String,
    pub family: String,
    pub is_effective: bool,
    pub mapping: String,
    pub mapping_sha256: String,
    /// As configured; not recorded where it is one to one.
    #[serde(default, skip_serializing_if = "Cardinality::is_one_to_one")]
    pub cardinality: Cardinality,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemFields {
    pub product: ProductNumber,
    pub serial_number: String,
    pub alternative_code: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_id: Option<String>,
    pub is_effective: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<PublicId>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notes: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionFields {
    pub number: String,
    pub life_cycle_state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<PublicId>,
}
