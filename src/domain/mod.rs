//! Pure types and rules: identifiers, items, requests, phases, judgements. No I/O, no clock, no sled, no rhai.
//!
//! `event` is what is recorded, `apply` what an event changes, `view` what rules may look at; `admission` with `foresight`, `head`,
//! `settle` and `operate` are the rules. The state with its overlay and the tests' model both implement `View`.

pub mod action;
pub mod admission;
pub mod apply;
pub mod chance;
pub mod checksum;
pub mod event;
pub mod foresight;
pub mod framing;
pub mod head;
pub mod identifier;
pub mod item;
pub mod items;
pub mod job;
pub mod length;
pub mod method;
pub mod network;
pub mod number;
pub mod operate;
pub mod outcome;
pub mod pairing;
pub mod phase;
pub mod placeholder;
pub mod plan;
pub mod position;
pub mod provider;
pub mod public_id;
pub mod refusal;
pub mod request;
pub mod settle;
pub mod stbs;
pub mod timestamp;
pub mod view;
pub mod wording;

pub use action::{Action, CardChange};
pub use chance::Chance;
pub use checksum::Checksum;
pub use event::Event;
pub use framing::{Endian, Framing};
pub use identifier::{ItemIdentifier, RequestIdentifier, SubscriptionIdentifier};
pub use item::{Item, ItemKind, Product, Subscription};
pub use job::{Job, JobPhase};
pub use method::{Capability, Method};
pub use network::network_of;
pub use number::{
    ItemNumber, JobNumber, ProductNumber, ProviderNumber, RequestNumber, SubscriptionNumber,
};
pub use outcome::Outcome;
pub use pairing::{Cardinality, Doubt, Link, Pairing, Standing};
pub use phase::{LifeCycleState, Phase};
pub use plan::{Acknowledges, Ambiguous, Confirms, Purpose, Step};
pub use position::Position;
pub use provider::{Pause, ProviderRow};
pub use public_id::{Kind, PublicId, Salt};
pub use refusal::Refusal;
pub use request::{Move, Place, Request};
pub use stbs::Stbs;
pub use timestamp::Timestamp;
pub use view::{Edit, Meta, View};
pub use wording::{Priority, ProcessName};
