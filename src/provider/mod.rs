//! One configured CAS: its mapping and settings, and what sending to it is made of: lanes, rate, circuit, transaction numbers.
//!
//! Decides nothing about requests: `dispatch/` says what is sent and hears what came. `service.rs` translates the
//! configuration into `ProviderOptions` and starts the lanes' threads.

pub mod circuit;
mod credentials;
mod health;
pub mod lane;
mod neighbours;
mod overrides;
pub mod rate;
mod secrets;
mod set;
pub mod transactions;
mod unmatched;

use std::sync::Arc;

use crossbeam_channel::Sender;
use wildmatch::WildMatch;

use crate::clock::Clock;
use crate::domain::Cardinality;
use crate::script::contract::{ItemKind, Session, TransactionRange};
use crate::script::{Mapping, ScriptError, Settings};
use crate::telemetry::Metrics;
pub use lane::LaneError;

pub use circuit::{Advice, Circuit};
pub use credentials::{Credentials, CredentialsError};
pub use health::{Health, ProviderHealth};
pub use lane::{
    DownPhase, LaneBatch, LaneCommand, LaneEvent, LaneHandle, LaneId, LaneOptions, LaneRunner,
    LaneStatus, Outgoing,
};
pub use neighbours::Looked;
pub use overrides::SessionOverrides;
pub use rate::Rate;
pub use secrets::Secrets;
pub use set::Providers;
pub use transactions::Transactions;
pub use unmatched::Unmatched;

/// Messages of events that wait for the dispatcher; more, and the lanes stop reading.
pub const EVENT_BATCHES_MAX: usize = 1_024;

/// Transaction numbers that are kept for exchanges by hand.
const BY_HAND: u64 = 64;

/// What a provider is made of.
pub struct ProviderOptions {
    /// The internal number that rows and events use.
    pub number: u16,
    pub name: String,
    /// The CRM's name for the kind of CAS.
    pub family: String,
    pub mapping: Arc<Mapping>,
    /// `[provider.settings]`, an object.
    pub settings: serde_json::Value,
    /// Host and port.
    pub address: String,
    pub credentials: Credentials,
    pub overrides: SessionOverrides,
    pub cardinality: Cardinality,
    /// Globs over product codes.
    pub smartcard_products: Vec<String>,
    pub stb_products: Vec<String>,
    /// Seed of the lanes' jitter.
    pub seed: u64,
}

/// What a lane shares with dispatch and with the other lanes.
#[derive(Clone)]
pub struct LaneWires {
    pub clock: Arc<dyn Clock>,
    pub transactions: Arc<Transactions>,
    /// Bounded; a full channel makes the lane stop reading its socket.
    pub events: Sender<LaneBatch>,
    pub metrics: Arc<Metrics>,
    /// Hears every frame as it is recorded. For exchanges by hand.
    pub tap: Option<Tap>,
}

/// Who listens to a lane.
pub type Tap = Arc<dyn Fn(&Tapped<'_>) + Send + Sync>;

/// A payload of a lane, with names where secrets are.
pub enum Tapped<'a> {
    Sent {
        frame: &'a [u8],
        /// As it went out, with so many secrets put in.
        payload_bytes: usize,
        secrets: usize,
    },
    /// It names what is not known, or cannot be framed.
    NotSent { frame: &'a [u8] },
    Heard {
        frame: &'a [u8],
        /// What the mapping says of it.
        said: &'a str,
        /// What a command would have to carry to be answered by it.
        key: Option<&'a str>,
    },
}

/// One configured CAS.
pub struct Provider {
    pub number: u16,
    pub name: String,
    pub family: String,
    pub mapping: Arc<Mapping>,
    pub settings: Settings,
    /// After the overrides.
    pub session: Session,
    /// Where the configuration says otherwise than the mapping, in words.
    pub differences: Vec<String>,
    pub address: String,
    pub credentials: Credentials,
    /// How many belong together; never more than the mapping declares.
    pub cardinality: Cardinality,
    smartcard_products: Vec<WildMatch>,
    stb_products: Vec<WildMatch>,
    seed: u64,
}

impl Provider {
    /// Checks the settings against the mapping; connects nothing.
    pub fn new(options: ProviderOptions) -> Result<Self, ScriptError> {
        let settings = options.mapping.settings(&options.settings)?;
        let description = options.mapping.description();
        let session = options.overrides.over(&description.session);
        let differences = options.overrides.differences(&description.session);
        options.mapping.check_keepalive(&session)?;
        options.mapping.check_cardinality(options.cardinality)?;
        let globs = |list: &[String]| list.iter().map(|glob| WildMatch::new(glob)).collect();
        Ok(Self {
            number: options.number,
            name: options.name,
            family: options.family,
            settings,
            session,
            differences,
            address: options.address,
            credentials: options.credentials,
            cardinality: options.cardinality,
            smartcard_products: globs(&options.smartcard_products),
            stb_products: globs(&options.stb_products),
            seed: options.seed,
            mapping: options.mapping,
        })
    }

    /// What an item of this product is for this provider; a product in both lists is a smartcard.
    pub fn classify(&self, product_code: &str) -> Option<ItemKind> {
        let named = |globs: &[WildMatch]| globs.iter().any(|glob| glob.matches(product_code));
        if named(&self.smartcard_products) {
            Some(ItemKind::Smartcard)
        } else if named(&self.stb_products) {
            Some(ItemKind::Stb)
        } else {
            None
        }
    }

    /// The numbers that sending draws from; `reserved_to` is the last one that the ledger has reserved.
    pub fn transactions(&self, reserved_to: Option<u64>) -> Arc<Transactions> {
        let TransactionRange { min, max } = self.mapping.description().transaction;
        let (by_hand, _) = self.numbers_by_hand();
        let range = TransactionRange {
            min,
            max: if by_hand > min + BY_HAND {
                by_hand - 1
            } else {
                max
            },
        };
        Arc::new(Transactions::new(range, reserved_to))
    }

    /// The last numbers of the range: for exchanges by hand, and nobody else's unless the range is very small.
    pub fn numbers_by_hand(&self) -> (u64, u64) {
        let TransactionRange { min, max } = self.mapping.description().transaction;
        (max.saturating_sub(BY_HAND - 1).max(min), max)
    }

    /// A lane of this provider and its handle; it stays down until `LaneCommand::Connect`.
    pub fn lane(&self, lane: u8, wires: LaneWires) -> Result<(LaneRunner, LaneHandle), LaneError> {
        let mapping = Arc::clone(&self.mapping);
        let metrics = Arc::clone(&wires.metrics);
        let dialogue = lane::Dialogue::new(mapping, self.settings.clone(), metrics);
        let options = LaneOptions {
            id: LaneId {
                provider: self.number,
                lane,
            },
            address: self.address.clone(),
            credentials: self.credentials.clone(),
            framing: self.mapping.description().framing.clone(),
            session: self.session.clone(),
            seed: self.seed,
            wires,
        };
        LaneRunner::new(options, dialogue)
    }
}
