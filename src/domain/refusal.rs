//! Why a call is refused: judged, nothing stored. One sentence a client may read, and a code from a closed set.
//!
//! The wording never shows a path, a script line or an address; the doors translate the code into their dialect.

use thiserror::Error;

use super::{ItemKind, JobNumber, LifeCycleState, RequestNumber};

/// A refusal. Serial numbers in it are those that the caller may see.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    #[error("no {} with {field} `{value}`", kind.noun())]
    ItemUnknown {
        kind: ItemKind,
        field: &'static str,
        value: String,
    },
    #[error("the item with {field} `{value}` is no {}: expected a product that a provider classifies as {}, found `{product}`", kind.noun(), kind.noun())]
    ItemOfOtherKind {
        kind: ItemKind,
        field: &'static str,
        value: String,
        product: String,
    },
    #[error("{count} items have {field} `{value}`; expected exactly one {}; name it by `id`", kind.noun())]
    ItemAmbiguous {
        kind: ItemKind,
        field: &'static str,
        value: String,
        count: usize,
    },
    #[error("{} `{serial_number}` is not effective", kind.noun())]
    ItemNotEffective {
        kind: ItemKind,
        serial_number: String,
    },
    #[error("{} `{serial_number}` is blacklisted", kind.noun())]
    ItemBlacklisted {
        kind: ItemKind,
        serial_number: String,
    },
    #[error("no subscription with {field} `{value}`")]
    SubscriptionUnknown { field: &'static str, value: String },
    #[error("no provider of the family `{family}` takes product `{product}` as a smartcard")]
    NoProvider { family: String, product: String },
    #[error(
        "{count} providers of the family `{family}` take product `{product}` as a smartcard; expected exactly one"
    )]
    ProviderAmbiguous {
        family: String,
        product: String,
        count: usize,
    },
    #[error("no provider named `{name}`")]
    ProviderUnknown { name: String },
    #[error("provider `{provider}` cannot {action}: its mapping does not declare it")]
    CapabilityMissing {
        provider: String,
        action: &'static str,
    },
    #[error(
        "smartcard `{serial_number}` is not paired and no pending request will pair it; nothing to unpair"
    )]
    NotPaired { serial_number: String },
    #[error("STB `{serial_number}` is held by smartcard `{holder}`; unpair that card first")]
    StbTaken {
        serial_number: String,
        holder: String,
    },
    #[error("smartcard `{serial_number}` is not paired with STB `{stb}`; it is with {held}")]
    NotPairedWith {
        serial_number: String,
        stb: String,
        held: String,
    },
    #[error(
        "STB `{serial_number}` has {limit} smartcards, as many as its provider allows: {holders}; unpair one of them first"
    )]
    StbFull {
        serial_number: String,
        limit: u8,
        holders: String,
    },
    #[error(
        "smartcard `{serial_number}` has {limit} STBs, as many as its provider allows: {held}; unpair it from one of them first"
    )]
    CardFull {
        serial_number: String,
        limit: u8,
        held: String,
    },
    #[error("{} `{serial_number}` has {limit} unfinished requests, the most there may be; wait for them", kind.noun())]
    QueueFull {
        kind: ItemKind,
        serial_number: String,
        limit: usize,
    },
    #[error("field `{field}`: {fault}")]
    Field { field: &'static str, fault: String },
    #[error("the mapping refuses this: {text}")]
    MappingRefuses { text: String },
    #[error(
        "the provider's script failed; nothing was stored; the operator finds the place in the log"
    )]
    ScriptFailed,
    #[error(
        "this Idempotency-Key was used for another call; expected the same parameters, found other ones"
    )]
    KeyReused,
    #[error("no provisioning request with {field} `{value}`")]
    RequestUnknown { field: &'static str, value: String },
    #[error("request {number} cannot be {verb}: it is {state}")]
    RequestState {
        number: RequestNumber,
        verb: &'static str,
        state: String,
    },
    #[error("request {number} is {}, which is final", state.word())]
    RequestFinished {
        number: RequestNumber,
        state: LifeCycleState,
    },
    #[error(
        "smartcard `{serial_number}` is not paired and no pending request will pair it; nothing to swap"
    )]
    NothingToSwap { serial_number: String },
    /// Of a row that says what it expects; an empty STB is none.
    #[error(
        "smartcard `{serial_number}` will be {} then: expected {}",
        with_stb(found),
        with_stb(expected)
    )]
    NotAsExpected {
        serial_number: String,
        expected: String,
        found: String,
    },
    #[error("no job {number}")]
    JobUnknown { number: JobNumber },
    #[error("job {number} cannot be {verb}: it is {state}")]
    JobState {
        number: JobNumber,
        verb: &'static str,
        state: &'static str,
    },
    #[error("provider `{name}` is not paused")]
    NotPaused { name: String },
    #[error("an item of product `{product}` with {field} `{value}` exists already")]
    ItemExists {
        product: String,
        field: &'static str,
        value: String,
    },
    #[error(
        "the ca_id of item `{serial_number}` cannot change while it has a pairing or a pending request"
    )]
    CaIdBound { serial_number: String },
    #[error(
        "item `{serial_number}` exists with other values ({field}: `{ours}` here, `{theirs}` given); allow updates to change it"
    )]
    ItemDiffers {
        serial_number: String,
        field: &'static str,
        ours: String,
        theirs: String,
    },
    #[error("the id `{id}` belongs to something else already")]
    IdTaken { id: String },
    #[error("`{name}` has the id `{ours}`, which cannot change; found `{theirs}`")]
    IdBound {
        name: String,
        ours: String,
        theirs: String,
    },
    #[error("subscription `{number}` exists already with other values")]
    SubscriptionDiffers { number: String },
    /// What was looked up before has changed; the caller looks again.
    #[error("the pairings changed while the call was judged; send it again")]
    Changed,
    #[error("the call is too large; send it in smaller parts, nothing of this part was stored")]
    TooLarge,
    #[error("too little free disk space to accept anything new")]
    ReserveLow,
    #[error("too many calls at once; try again shortly")]
    Overloaded,
    #[error("the service is stopping")]
    Stopping,
}

fn with_stb(serial_number: &str) -> String {
    match serial_number {
        "" => "with no STB".to_owned(),
        serial_number => format!("with STB `{serial_number}`"),
    }
}

impl Refusal {
    /// The code's last word; doors put their prefix before it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ItemUnknown {
                kind: ItemKind::Smartcard,
                ..
            } => "SMARTCARDNOTFOUND",
            Self::ItemUnknown {
                kind: ItemKind::Stb,
                ..
            } => "STBNOTFOUND",
            Self::ItemOfOtherKind { .. } => "INVALIDITEMCLASSIFICATION",
            Self::ItemAmbiguous { .. } => "AMBIGUOUSITEM",
            Self::ItemNotEffective { .. } => "ITEMNOTEFFECTIVE",
            Self::ItemBlacklisted { .. } => "ITEMBLACKLISTED",
            Self::SubscriptionUnknown { .. } => "SUBSCRIPTIONNOTFOUND",
            Self::ProviderAmbiguous { .. } => "AMBIGUOUSPROVIDER",
            Self::NoProvider { .. } | Self::ProviderUnknown { .. } => "PROVIDERNOTFOUND",
            Self::CapabilityMissing { .. } => "CAPABILITYMISSING",
            Self::NotPaired { .. } | Self::NotPairedWith { .. } | Self::NothingToSwap { .. } => {
                "SMARTCARDNOTPAIRED"
            }
            Self::StbTaken { .. } | Self::StbFull { .. } => "STBTAKEN",
            Self::CardFull { .. } => "SMARTCARDFULL",
            Self::QueueFull { .. } => "TOOMANYPENDINGREQUESTS",
            Self::Field { .. } => "INVALIDPARAMETER",
            Self::MappingRefuses { .. } => "MAPPINGREFUSED",
            Self::ScriptFailed => "SCRIPTERROR",
            Self::KeyReused => "IDEMPOTENCYKEYREUSED",
            Self::RequestUnknown { .. } => "PROVISIONINGREQUESTNOTFOUND",
            Self::RequestState { .. } | Self::RequestFinished { .. } => "INVALIDLIFECYCLESTATE",
            Self::JobUnknown { .. } => "JOBNOTFOUND",
            Self::JobState { .. } => "INVALIDJOBSTATE",
            Self::NotPaused { .. } => "PROVIDERNOTPAUSED",
            Self::ItemExists { .. } | Self::ItemDiffers { .. } => "ITEMALREADYEXISTS",
            Self::CaIdBound { .. } => "CAIDBOUND",
            Self::IdBound { .. } => "IDBOUND",
            Self::IdTaken { .. } => "IDALREADYEXISTS",
            Self::SubscriptionDiffers { .. } => "SUBSCRIPTIONALREADYEXISTS",
            Self::Changed | Self::NotAsExpected { .. } => "CONCURRENTCHANGE",
            Self::TooLarge => "CALLTOOLARGE",
            Self::ReserveLow => "INSUFFICIENTSTORAGE",
            Self::Overloaded => "OVERLOADED",
            Self::Stopping => "STOPPING",
        }
    }

    /// Whether the same call may succeed later without anything else changing.
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Overloaded | Self::Stopping | Self::ReserveLow | Self::Changed
        )
    }
}
