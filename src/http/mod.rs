//! HTTP: tiny_http behind a pump, bounded queues and a few workers, and the CRM's dialect in `crm/`.
//!
//! Translates and nothing else: every decision is taken in `actions/`. No thread starts here; `service.rs` starts what
//! `Front::new` returns. The room must never leave a tiny_http request unanswered nor drop one with an unread body.

mod answer;
mod api;
pub mod crm;
mod desk;
mod guard;
mod pump;
mod reply;
mod server;
pub mod tls;
mod turns;
mod worker;

pub use api::{Api, ApiParts};
pub use desk::BodyReader;
pub use pump::Pump;
pub use server::{Front, ServeError, bind};
pub use turns::{AnswerWriter, Outgoing};
pub use worker::Worker;
