//! One configured CAS: its mapping, its lanes, its rate, its circuit and its transaction numbers.
//!
//! Decides nothing about requests: `dispatch/` says what is sent and hears what came. `config/` is translated into
//! `ProviderOptions` by `service.rs`.

pub mod circuit;
pub mod lane;
pub mod rate;
pub mod transactions;

use std::sync::Arc;
use std::time::Duration;

use wildmatch::WildMatch;

use crate::script::contract::{ItemKind, Session};

pub use circuit::{Advice, Circuit};
pub use lane::{LaneCommand, LaneEvent, LaneHandle, LaneId, LaneRunner, LaneStatus, Outgoing};
pub use rate::Rate;
pub use transactions::Transactions;
