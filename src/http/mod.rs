//! HTTP: the gate in front, tiny_http behind it, a pump, bounded queues and a few workers, and the CRM's dialect in `crm/`.
//!
//! Translates and nothing else: every decision is taken in `actions/`. No thread starts here; `service.rs` starts what
//! `Gate::new` and `Front::new` return. The way of a request: `gate/`, `pump.rs`, `desk.rs`, `worker.rs`, `crm/`, and back by
//! `reply.rs` and `turns.rs`.

mod answer;
mod api;
pub mod crm;
mod desk;
mod figures;
mod front;
pub mod gate;
mod pace;
mod pump;
mod reply;
pub mod tls;
mod turns;
mod worker;

pub use api::{Api, ApiParts, ControlCall};
pub use front::{Front, FrontError, PrivateServer};
pub use pump::Pump;
pub use turns::{Batch, Turns};
pub use worker::Worker;
