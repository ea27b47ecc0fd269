//! Why a verb was not carried out: in this process an enum, over the socket a report with the next command.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::access::AccessError;
use crate::actions::items::FindItemError;
use crate::actions::list::LOOKED_THROUGH_MAX;
use crate::domain::Refusal;
use crate::jobs::JobsError;

/// What can go wrong with a call.
#[derive(Debug, Error)]
pub enum ControlError {
    #[error("the server knows no verb `{verb}`")]
    UnknownVerb { verb: String },
    #[error("the call of `{verb}` cannot be read: {source}")]
    Call {
        verb: &'static str,
        source: serde_json::Error,
    },
    #[error("the answer of `{verb}` cannot be written: {source}")]
    Answer {
        verb: &'static str,
        source: serde_json::Error,
    },
    #[error("expected at most {limit} rows in one call, found {found}")]
    TooManyRows { limit: usize, found: usize },
    #[error("the answer has {found} bytes, and one has at most {limit}")]
    AnswerTooLong { limit: usize, found: usize },
    #[error(
        "more than {LOOKED_THROUGH_MAX} requests would have to be looked through; go on from above request {cursor}"
    )]
    ListTooWide { cursor: u64 },
    #[error("nothing in this process can send")]
    CannotSend,
    #[error("this process reads its configuration once")]
    CannotReload,
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Item(#[from] FindItemError),
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error(transparent)]
    Jobs(#[from] JobsError),
}

/// Whose fault it is, for the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The call itself: another version of the command line, or a wrong argument.
    Usage,
    /// Not by this account.
    Denied,
    /// Judged and refused; nothing was stored.
    Refused,
    /// May work later without anything else changing.
    Passing,
    /// Something of the box failed.
    Failed,
}

/// An error as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct ErrorReport {
    pub fault: Fault,
    pub message: String,
    pub hint: Option<String>,
}

impl ControlError {
    pub fn fault(&self) -> Fault {
        match self {
            Self::UnknownVerb { .. } | Self::Call { .. } | Self::TooManyRows { .. } => Fault::Usage,
            Self::Refused(refusal) | Self::Jobs(JobsError::Refused(refusal))
                if refusal.is_passing() =>
            {
                Fault::Passing
            }
            Self::Jobs(JobsError::TooManyUploads { .. }) => Fault::Passing,
            Self::Access(
                AccessError::Read { .. }
                | AccessError::Write { .. }
                | AccessError::Damaged { .. }
                | AccessError::Encode(_)
                | AccessError::Hash(_)
                | AccessError::Random(_),
            )
            | Self::Answer { .. }
            | Self::AnswerTooLong { .. }
            | Self::Jobs(JobsError::Folder(_) | JobsError::Rows(_)) => Fault::Failed,
            Self::Refused(_)
            | Self::Item(_)
            | Self::ListTooWide { .. }
            | Self::CannotSend
            | Self::CannotReload
            | Self::Jobs(_)
            | Self::Access(_) => Fault::Refused,
        }
    }

    /// The next command, where one helps.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownVerb { .. } | Self::Call { .. } => {
                Some("the server is another version: restart it with this program".to_owned())
            }
            Self::ListTooWide { .. } => {
                Some("`pairbox request list --all` looks through them all".to_owned())
            }
            Self::CannotSend | Self::CannotReload => Some("start `pairbox serve`".to_owned()),
            Self::Refused(refusal) | Self::Jobs(JobsError::Refused(refusal)) => {
                refusal_hint(refusal)
            }
            Self::Jobs(error) => error.hint(),
            Self::Item(FindItemError::Unknown { .. }) => Some(ITEMS_HINT.to_owned()),
            Self::Item(FindItemError::Ambiguous { .. }) => Some(
                "`pairbox item list --output json` shows the ids; name it with `--by id`"
                    .to_owned(),
            ),
            Self::Access(error) => error.hint(),
            Self::Answer { .. } | Self::AnswerTooLong { .. } | Self::TooManyRows { .. } => None,
        }
    }
}

impl From<&ControlError> for ErrorReport {
    fn from(error: &ControlError) -> Self {
        let mut message = error.to_string();
        if let ControlError::Access(error) = error
            && let Some(source) = std::error::Error::source(error)
        {
            message = format!("{message}: {source}");
        }
        Self {
            fault: error.fault(),
            message,
            hint: error.hint(),
        }
    }
}

const ITEMS_HINT: &str =
    "`pairbox item list` shows what is here, `pairbox item import FILE.csv` brings in more";

pub(super) fn refusal_hint(refusal: &Refusal) -> Option<String> {
    Some(match refusal {
        Refusal::ItemUnknown { .. } => ITEMS_HINT.to_owned(),
        Refusal::ItemOfOtherKind { .. } | Refusal::NoProvider { .. } => {
            "compare smartcard_products and stb_products in the configuration with `pairbox item show`"
                .to_owned()
        }
        Refusal::ItemBlacklisted { serial_number, .. } => {
            format!("`pairbox item blacklist remove {serial_number} --reason TEXT` releases it")
        }
        Refusal::ItemNotEffective { .. } => {
            "import it again with state EFFECTIVE and `--update`".to_owned()
        }
        Refusal::ItemDiffers { .. } | Refusal::SubscriptionDiffers { .. } => {
            "add `--update` to change it".to_owned()
        }
        Refusal::SubscriptionUnknown { .. } => {
            "`pairbox subscription list` shows what is here".to_owned()
        }
        Refusal::ProviderUnknown { .. } | Refusal::NotPaused { .. } => {
            "`pairbox provider list` shows them".to_owned()
        }
        Refusal::JobUnknown { .. } => "`pairbox job list` shows them".to_owned(),
        Refusal::JobState { number, .. } => format!("`pairbox job show {number}` shows it"),
        Refusal::NotPaired { serial_number }
        | Refusal::NotPairedWith { serial_number, .. }
        | Refusal::NothingToSwap { serial_number }
        | Refusal::NotAsExpected { serial_number, .. } => {
            format!("`pairbox pairing history {serial_number}` shows what was")
        }
        Refusal::StbTaken { holder, .. } => format!("`pairbox unpair {holder}` frees it"),
        Refusal::StbFull { serial_number, .. } | Refusal::CardFull { serial_number, .. } => {
            format!("`pairbox pairing show {serial_number}` shows them")
        }
        Refusal::QueueFull { .. } | Refusal::RequestUnknown { .. } => {
            "`pairbox request list --state pending` shows what waits".to_owned()
        }
        Refusal::RequestState { number, .. } | Refusal::RequestFinished { number, .. } => {
            format!("`pairbox request explain {number}` tells what happened")
        }
        Refusal::ScriptFailed => "`pairbox mapping check NAME` looks for the mistake".to_owned(),
        Refusal::ReserveLow => "free space on the disk of the data directory".to_owned(),
        Refusal::Overloaded | Refusal::Changed => "try again".to_owned(),
        _ => return None,
    })
}
