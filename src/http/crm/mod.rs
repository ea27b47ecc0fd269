//! The CRM.COM dialect: paths, envelope, codes, identifiers and objects, in front of `actions/`.
//!
//! A new method is one file (or one function) here, one row in `route.rs`, and an action. Nothing is decided here but how
//! the wire says it; what is public and what is ours is told where it matters, with the page of the vendor's wiki.

pub(super) mod body;
mod codes;
mod dates;
pub(super) mod envelope;
mod error;
mod fields;
mod hand_in;
mod identifier;
mod items;
mod login;
mod object;
mod openapi;
mod pair;
mod parameters;
mod pin;
mod products;
mod requests;
pub(super) mod route;
mod subscriptions;
mod value;

pub(super) mod query;
pub(super) mod token;

use std::net::IpAddr;

pub use error::CallError;
pub use parameters::Parameters;

/// One authorised call.
pub struct Call {
    /// The CRM's name for the kind of CAS, where the path has one.
    pub family: Option<String>,
    /// Who calls, as the ledger records it; empty where no token is asked for.
    pub by: String,
    pub parameters: Parameters,
    pub address: IpAddr,
    pub authorization: Option<String>,
    pub idempotency_keys: Vec<String>,
}
