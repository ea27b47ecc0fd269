//! A request with everything that was decided about it at acceptance.

use serde::{Deserialize, Serialize};

use crate::domain::{
    CardChange, ItemNumber, JobNumber, Priority, ProcessName, ProviderNumber, RequestNumber,
    SubscriptionNumber, Timestamp,
};

/// A request with everything that was decided about it at acceptance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    pub request: RequestNumber,
    pub provider: ProviderNumber,
    pub card: ItemNumber,
    pub card_ca: String,
    /// None for an unpair, and for a change of the card alone.
    pub stb: Option<ItemNumber>,
    pub stb_ca: Option<String>,
    /// Of `UnpairFromAccepted` only: the STB that the card leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<ItemNumber>,
    /// Of `CardChangeAccepted` only: what is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card_change: Option<CardChange>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<SubscriptionNumber>,
    /// The place: due time here, number above.
    pub due: Timestamp,
    /// The date that the CRM reads; filled even when none was given.
    pub scheduled: Timestamp,
    pub is_scheduled: bool,
    pub priority: Priority,
    pub is_immediate: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sends_unknown: bool,
    pub process_name: ProcessName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linked: Option<RequestNumber>,
    /// The bulk job that asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobNumber>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency: Option<Idempotency>,
}

/// An idempotency key: `key` is the hex SHA-256 of user, method and key; `digest` of the parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idempotency {
    pub key: String,
    pub digest: String,
}
