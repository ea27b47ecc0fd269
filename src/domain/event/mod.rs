//! The facts that the ledger records. Applying one reads the event and the state only.
//!
//! An event's meaning never changes; a new shape gets a new name. `before` names the previous event of the same request (or
//! of the same pairing), so that a history is walked backwards without an index.

use serde::{Deserialize, Serialize};

use super::{
    ItemNumber, JobNumber, Position, ProductNumber, ProviderNumber, RequestNumber, Salt,
    SubscriptionNumber, Timestamp,
};

mod accepted;
mod attempt;
mod ending;
mod frame;
mod job;
mod registry;

pub use accepted::{Accepted, Idempotency};
pub use attempt::{Begun, Confirmed, LateAnswer, LateEffect, Settled, Then};
pub use ending::{Ending, Resolution};
pub use frame::{Frame, Tried, TriedFrame};
pub use job::{JobChunk, JobFields};
pub use registry::{ItemFields, ProviderSettings, SubscriptionFields};

/// One recorded fact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The first event of a ledger.
    LedgerBegun {
        format: u32,
        salt: Salt,
    },
    /// The ledger goes on after a loss (a backup was restored): numbers jump and every provider is paused.
    EpochBegun {
        reason: String,
    },
    ServiceStarted {
        version: String,
        boot_id: String,
    },
    ServiceStopped {},
    ProviderSet {
        number: ProviderNumber,
        provider: ProviderSettings,
    },
    /// It left the configuration while it had unfinished requests.
    ProviderMissing {
        number: ProviderNumber,
    },
    ProviderPaused {
        number: ProviderNumber,
        reason: String,
        until: Option<Timestamp>,
    },
    ProviderResumed {
        number: ProviderNumber,
    },
    TransactionsReserved {
        provider: ProviderNumber,
        first: u64,
        last: u64,
    },
    RunStarted {
        run: u64,
        mode: String,
    },
    ProductAdded {
        number: ProductNumber,
        code: String,
    },
    ItemAdded {
        number: ItemNumber,
        item: ItemFields,
    },
    ItemChanged {
        number: ItemNumber,
        item: ItemFields,
    },
    ItemBlacklisted {
        number: ItemNumber,
        reason: String,
    },
    ItemReleased {
        number: ItemNumber,
        reason: String,
    },
    SubscriptionAdded {
        number: SubscriptionNumber,
        subscription: SubscriptionFields,
    },
    SubscriptionChanged {
        number: SubscriptionNumber,
        subscription: SubscriptionFields,
    },
    RequestAccepted(Accepted),
    /// A request that changes a card alone. It has a name of its own because `RequestAccepted` without an STB is an unpair: a
    /// program that does not know this one stops.
    CardChangeAccepted(Accepted),
    /// A pair that leaves the card what it has. `RequestAccepted` moves the card.
    PairBesideAccepted(Accepted),
    /// An unpair from one STB. `RequestAccepted` without an STB leaves all.
    UnpairFromAccepted(Accepted),
    AttemptBegun(Begun),
    AttemptSettled(Settled),
    /// An ending that no answer brought.
    RequestEnded {
        request: RequestNumber,
        before: Position,
        ending: Ending,
    },
    RequestHeld {
        request: RequestNumber,
        before: Position,
        reason: String,
    },
    /// An operator makes a waiting request due now.
    RequestHastened {
        request: RequestNumber,
        before: Position,
    },
    RequestResolved {
        request: RequestNumber,
        before: Position,
        resolution: Resolution,
        reason: String,
        confirmed: Option<Confirmed>,
    },
    LateAnswer(LateAnswer),
    /// Answers to no known attempt, gathered by minute.
    AnswersUnknown {
        provider: ProviderNumber,
        minute: Timestamp,
        count: u64,
        sample: String,
    },
    /// The CAS spoke first.
    PushReceived {
        provider: ProviderNumber,
        data: String,
    },
    /// A live exchange of the mapping workbench; once before its command goes out, once after.
    ExchangeTried(Box<Tried>),
    JobCreated {
        number: JobNumber,
        job: JobFields,
    },
    JobAdvanced(JobChunk),
    JobPaused {
        number: JobNumber,
        reason: String,
    },
    JobResumed {
        number: JobNumber,
    },
    JobCancelled {
        number: JobNumber,
        reason: String,
    },
    /// A change of users or keys, without secrets.
    AccessChanged {
        change: serde_json::Value,
    },
    /// Failed logins and denials of one user, address and minute.
    LoginsFailed {
        user: String,
        address: String,
        minute: Timestamp,
        count: u64,
    },
}

impl Event {
    /// The request that it accepts, whatever is asked.
    pub fn into_accepted(self) -> Option<Accepted> {
        match self {
            Self::RequestAccepted(accepted)
            | Self::CardChangeAccepted(accepted)
            | Self::PairBesideAccepted(accepted)
            | Self::UnpairFromAccepted(accepted) => Some(accepted),
            _ => None,
        }
    }

    /// The event of the same request before this one; none for an acceptance and for what is about no request.
    pub fn before(&self) -> Position {
        match self {
            Self::AttemptBegun(begun) => begun.before,
            Self::AttemptSettled(settled) => settled.before,
            Self::LateAnswer(answer) => answer.before,
            Self::RequestEnded { before, .. }
            | Self::RequestHeld { before, .. }
            | Self::RequestHastened { before, .. }
            | Self::RequestResolved { before, .. } => *before,
            _ => Position::NONE,
        }
    }
}
