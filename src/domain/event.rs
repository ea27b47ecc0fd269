//! The facts that the ledger records. Applying one reads the event and the state only.
//!
//! An event's meaning never changes; a new shape gets a new name. `before` names the previous event of the same request (or
//! of the same pairing), so that a history is walked backwards without an index.

use serde::{Deserialize, Serialize};

use super::job::RowEnding;
use super::{
    CardChange, Cardinality, Confirms, Doubt, ItemNumber, JobNumber, Move, Outcome, Position,
    Priority, ProcessName, ProductNumber, ProviderNumber, PublicId, Purpose, RequestNumber, Salt,
    Stbs, Step, SubscriptionNumber, Timestamp,
};

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

/// A job as it was handed in. Script and input lie in `jobs/<folder>/` of the data directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobFields {
    pub folder: String,
    /// The script as its caller named it, and its bytes' SHA-256.
    pub script: String,
    pub script_sha256: String,
    /// The input as its caller named it, and the SHA-256 of the rows that were made of it.
    pub input: String,
    pub input_sha256: String,
    pub rows: u64,
    /// Where the first row begins.
    pub byte: u64,
    /// The arguments as JSON text, with the script's defaults.
    pub args: String,
    pub chunk_rows: u32,
    /// Rows a second; 0 is no limit.
    pub rate_per_s: u32,
    /// Failed rows that pause it; 0 is never.
    pub stop_after: u64,
}

/// The rows of one chunk, each with its ending, and where the next one begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobChunk {
    pub number: JobNumber,
    /// The chunk before.
    pub before: Position,
    pub from_row: u64,
    pub from_byte: u64,
    pub endings: Vec<RowEnding>,
    pub to_byte: u64,
}

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

/// An exchange that somebody tried by hand. It is about no request and changes nothing here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    pub mapping: String,
    pub mapping_sha256: String,
    pub address: String,
    /// What was tried, e.g. `pair 019000802077 12345678`.
    pub what: String,
    pub frames: Vec<TriedFrame>,
    /// How it ended; none: it is about to begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TriedFrame {
    /// Sent to the CAS, or heard from it.
    pub is_sent: bool,
    #[serde(flatten)]
    pub frame: Frame,
}

/// The intent: recorded before bytes leave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Begun {
    pub request: RequestNumber,
    pub before: Position,
    pub attempt: u32,
    pub purpose: Purpose,
    pub transaction: u64,
    /// What the answer will carry.
    pub key: String,
    pub step: u8,
    /// The plan; with the first attempt only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Vec<Step>>,
    /// The STBs that the card leaves, as bound.
    pub leaves: Stbs,
    pub sequence_number: u64,
    pub run: u64,
    pub frame: Frame,
    pub mapping_sha256: String,
}

/// Bytes as they are recorded: printable ASCII and line ends as text, anything else as hex; the digest is of the true bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    pub bytes: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_hex: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// The end of an attempt and what became of the request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settled {
    pub request: RequestNumber,
    pub before: Position,
    pub attempt: u32,
    pub outcome: Outcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<Frame>,
    pub patience_spent_ms: u64,
    pub then: Then,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<Confirmed>,
    /// The event of the pairing before this one put it in doubt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubted_before: Option<Position>,
    /// What is in doubt where it is not what the request asks for: the unpair that a re-pair may begin with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<Doubt>,
}

/// What becomes of a request after an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    Completed,
    /// The step is acknowledged, the next one follows.
    NextStep,
    /// `in_doubt`: an earlier attempt was unknown, so the refusal leaves the pairing open.
    Rejected {
        in_doubt: bool,
    },
    /// Try again; `counts` as an attempt.
    Waiting {
        until: Timestamp,
        counts: bool,
    },
    /// The end is unknown; send again (or ask) then.
    InDoubt {
        until: Timestamp,
    },
    Held {
        reason: String,
    },
}

/// A change of the pairing that the CAS confirmed; `before` names the event of the pairing that it replaces. `stb` is what the
/// card has joined; of an unpair that is one of several steps, what it has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    pub confirms: Confirms,
    pub card: ItemNumber,
    pub stb: Option<ItemNumber>,
    pub before: Position,
}

impl Confirmed {
    /// Which of the other STBs of the card it ends, if its request `moves` the card so.
    pub fn ends(&self, other: ItemNumber, moves: Move) -> bool {
        match (self.confirms, self.stb) {
            (Confirms::None, _) | (Confirms::Pair, None) => false,
            (Confirms::Pair, Some(stb)) => other != stb && moves.ends(other),
            (Confirms::Unpair, Some(left)) => other == left,
            // The unpair that a pair may begin with frees the card too.
            (Confirms::Unpair, None) => moves.ends(other),
        }
    }

    /// The STB that it confirms.
    pub fn joins(&self) -> Option<ItemNumber> {
        self.stb.filter(|_| self.confirms == Confirms::Pair)
    }

    /// The STBs that the card has then, if it has `held` before.
    pub fn stbs_after(&self, held: &Stbs, moves: Move) -> Stbs {
        let kept = held.iter().filter(|stb| !self.ends(*stb, moves));
        kept.chain(self.joins()).collect()
    }
}

/// Endings of our own making.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Nothing was left to do; nothing was sent.
    Already,
    Cancelled {
        reason: String,
    },
    StbTaken {
        holder: ItemNumber,
    },
    /// The card has as many STBs as its provider allows.
    CardFull {
        stbs: Stbs,
    },
    ProviderUnreachable,
    ScriptError {
        text: String,
    },
}

impl Ending {
    /// The `error_code` that the CRM reads.
    pub fn error_code(&self) -> Option<&'static str> {
        match self {
            Self::Already => None,
            Self::Cancelled { .. } => Some("CANCELLED"),
            Self::StbTaken { .. } => Some("STB_TAKEN"),
            Self::CardFull { .. } => Some("CARD_FULL"),
            Self::ProviderUnreachable => Some("PROVIDER_UNREACHABLE"),
            Self::ScriptError { .. } => Some("SCRIPT_ERROR"),
        }
    }
}

/// What an operator found out about a held or doubtful request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resolution {
    Done,
    NotDone,
    SendAgain,
}

/// An answer to an attempt that was over already.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LateAnswer {
    pub request: RequestNumber,
    pub before: Position,
    pub transaction: u64,
    pub outcome: Outcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    pub frame: Frame,
    pub effect: LateEffect,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<Confirmed>,
    /// The event of the pairing before this one put it in doubt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubted_before: Option<Position>,
    /// What is in doubt where it is not what the request asks for: the unpair that a re-pair may begin with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<Doubt>,
}

/// What a late answer changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LateEffect {
    /// Recorded only.
    Nothing,
    Completes,
    /// The step is acknowledged; the next one is due.
    NextStep,
    Rejects,
    /// `ok` after the request was REJECTED: the pairing is in doubt.
    MarksDoubt,
}
