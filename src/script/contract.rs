//! The mapping contract in Rust types: what a mapping describes, gets and gives (`cas.md` section 7).
//!
//! Plain data only. `mapping.rs` turns it into script values and back; `provider/` and `dispatch/` see these types alone.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::settings::Settings;
use crate::domain::{Capability, Cardinality, Outcome, Timestamp};

pub use crate::domain::framing::{Endian, Framing};
pub use crate::domain::{Action, Ambiguous, Confirms, ItemKind, Step};

/// What `describe()` returns, checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    pub framing: Framing,
    pub session: Session,
    pub transaction: TransactionRange,
    pub caps: Capabilities,
}

/// Session numbers; a provider's own configuration overrides window, time-outs and rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    pub connect_timeout: Duration,
    pub reply_timeout: Duration,
    /// Zero: no keepalive.
    pub keepalive_every: Duration,
    pub lanes: u8,
    /// Commands in flight on one lane; 1 is stop-and-wait.
    pub window: u32,
    pub matching: Matching,
    /// Zero: no limit.
    pub rate_per_s: u32,
    pub min_gap: Duration,
    /// Acknowledged keepalives before commands flow.
    pub ready_after: u8,
    pub reconnect_min: Duration,
    pub reconnect_max: Duration,
    /// What to do with a command whose answer never came.
    pub ambiguous: Ambiguous,
}

/// How an answer finds its attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Matching {
    /// By the key that `encode` gave and `decode` returns.
    Key,
    /// In the order of sending, one command at a time. A key that `decode` returns must be that of the command's all the same.
    Fifo,
}

/// Both ends belong to the range; after `max` comes `min` again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionRange {
    pub min: u64,
    pub max: u64,
}

/// What the CAS behind this mapping can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an answer of its own about the CAS"
)]
pub struct Capabilities {
    pub pair: bool,
    pub unpair: bool,
    pub query: bool,
    /// Adds products to a card and cancels them.
    pub products: bool,
    /// Sets the PIN of a card to its default.
    pub pin: Ability,
    pub needs_previous_stb: bool,
    /// STBs that one card may be paired with, and cards that one STB may hold, at most. Zero: the CAS sets no limit.
    pub card_to_stb: u32,
    pub stb_to_card: u32,
}

impl Capabilities {
    /// Whether the CAS lets a card be with several STBs at once.
    pub fn lets_cards_have_several(&self) -> bool {
        self.card_to_stb != 1
    }

    /// Which of the two numbers the CAS cannot have: its key, what was asked and what is declared.
    pub fn exceeded(&self, asked: Cardinality) -> Option<(&'static str, u32, u32)> {
        let stbs = ("stbs_per_card", asked.stbs_per_card, self.card_to_stb);
        let cards = ("cards_per_stb", asked.cards_per_stb, self.stb_to_card);
        [stbs, cards]
            .into_iter()
            .map(|(key, asked, most)| (key, u32::from(asked), most))
            .find(|(_, asked, most)| *most > 0 && asked > most)
    }

    /// Whether it is declared, and the provider's settings give what it needs.
    pub fn has(&self, capability: Capability, cfg: &Settings) -> bool {
        match capability {
            Capability::Pair => self.pair,
            Capability::Unpair => self.unpair,
            Capability::Products => self.products,
            Capability::Pin => self.pin.is_given(cfg),
        }
    }
}

/// Whether a CAS can do something that the site's own numbers may be needed for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ability {
    No,
    Yes,
    /// If this setting is given and not empty.
    WithSetting(String),
}

impl Ability {
    fn is_given(&self, cfg: &Settings) -> bool {
        match self {
            Self::No => false,
            Self::Yes => true,
            Self::WithSetting(name) => cfg.has_text(name),
        }
    }
}

/// The request as a mapping sees it: CA IDs after `normalize`, never serial numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingRequest {
    pub action: Action,
    pub number: u64,
    pub card: String,
    /// The STB to pair with; none for an unpair.
    pub stb: Option<String>,
    /// The STB that the card leaves, as far as is known.
    pub previous_stb: Option<String>,
    /// The products to add or to cancel, by the CAS's names.
    #[serde(default)]
    pub products: Vec<String>,
    #[serde(flatten)]
    pub neighbours: Neighbours,
}

/// Who is where around a request, as the CAS acknowledged it last; by CA ID.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Neighbours {
    /// The STBs that the card has.
    pub card_stbs: Vec<String>,
    /// The other cards of the STB to pair with that stay there.
    pub stb_cards: Vec<String>,
    /// The STBs that the card leaves.
    pub leaves: Vec<Left>,
}

impl Neighbours {
    /// The first STB that the card leaves.
    pub fn previous_stb(&self) -> Option<String> {
        self.leaves.first().map(|left| left.stb.clone())
    }
}

/// An STB that a card leaves, and the other cards that stay there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Left {
    pub stb: String,
    #[serde(default)]
    pub cards: Vec<String>,
}

/// Products as a mapping gets them.
pub fn texts(products: &[Box<str>]) -> Vec<String> {
    products.iter().map(ToString::to_string).collect()
}

/// What `encode` and `keepalive` are told beside the step: the script asks no clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeContext {
    pub transaction: u64,
    pub now: Timestamp,
    pub lane: u8,
}

/// A frame to send. `key` is what the answer will carry; `body` is the payload without framing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    pub body: Vec<u8>,
    pub key: String,
}

/// What `decode` made of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    Reply(Reply),
    /// The CAS spoke first: `data` is recorded, then `reply` (if any) is sent.
    Push {
        data: String,
        reply: Option<Vec<u8>>,
    },
    /// The answer to a keepalive, where the CAS marks it as such. Where it looks like any acknowledgement (smsgw), `decode` gives
    /// a `Reply` with the key of the keepalive's `Encoded`.
    Keepalive,
    Ignore,
}

/// The answer to a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    pub key: String,
    pub outcome: Outcome,
    /// The CAS's code, if it gave one.
    pub code: Option<String>,
    /// The mapping's explanation.
    pub text: Option<String>,
    pub reference: Option<String>,
    /// The connection is of no use without a new session: it is closed and made anew.
    #[serde(default)]
    pub ends_session: bool,
}

/// A named part of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldName {
    pub name: String,
    pub at: usize,
    pub bytes: usize,
}

/// What the session hooks (`on_connect`, `on_frame`) ask for before the lane is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionStep {
    Send(Vec<Vec<u8>>),
    /// Names and values that later frames of the connection name as `{{name}}`, such as a session's token; never recorded.
    Keep(Vec<(String, String)>),
    Ready,
    Fail(String),
}
