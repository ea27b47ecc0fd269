//! What an operator may ask of a box, as one table: a verb's name, what it asks, what it answers, the action behind it.
//!
//! The command line uses it in both ways: through the control socket while a server runs, in its own process otherwise. It
//! judges nothing; each verb is a translation in front of `actions/` or `access/`. Answers stay under [`ANSWER_BYTES_MAX`]:
//! lists come in pages by cursor, imports go in chunks.

mod access;
mod client;
mod error;
mod guard;
mod item;
mod job;
mod lock;
mod mapping;
mod pairing;
mod probe;
mod provider;
mod reload;
mod request;
mod status;
mod subscription;
mod verb;

use std::sync::Arc;

use crate::access::Access;
use crate::actions::Actions;
use crate::actions::status::Setting;
use crate::jobs::Jobs;

pub use access::{
    KeyCreate, KeyCreateAsk, KeyList, KeyReport, KeyRevoke, NameAsk, UserAdd, UserAddAsk, UserList,
    UserPassword, UserPasswordAsk, UserRemove, UserReport,
};
pub use client::{Client, ClientError};
pub use error::{ControlError, ErrorReport, Fault};
pub use guard::{CallingAccount, Guard, GuardError, GuardedCall, Standing};
pub use item::{
    BlacklistAsk, ItemBlacklist, ItemList, ItemListAsk, ItemNamed, ItemRegister, ItemShow,
    ItemsAsk, RowEnd,
};
pub use job::{
    FailedAsk, JobCancel, JobCreate, JobFailed, JobList, JobListAsk, JobPart, JobPause,
    JobRehearsal, JobRehearse, JobReportOf, JobResume, JobShow, JobStopAsk, JobUpload, PartAsk,
};
pub use lock::{DataLock, LOCK_FILE, LockError};
pub use mapping::{MappingSent, MappingTried, SentAsk};
pub use pairing::{PairingHistoryOf, PairingList, PairingListAsk, PairingShow};
pub use probe::{ProbeError, probe};
pub use provider::{PauseAsk, ProviderList, ProviderNamed, ProviderPause, ProviderResume};
pub use reload::{ReloadBegin, ReloadProgress};
pub use request::{
    CancelAsk, Pair, PairAsk, Paired, RequestCancel, RequestExplain, RequestList, RequestListAsk,
    RequestNamed, RequestResolve, RequestRetry, RequestShow, ResolveAsk, Unpair, UnpairAsk,
};
pub use status::{ProcessBegin, ProcessProgress, Status};
pub use subscription::{
    SubscriptionList, SubscriptionListAsk, SubscriptionNamed, SubscriptionRegister,
    SubscriptionShow, SubscriptionsAsk,
};
pub use verb::{Verb, handle, verb_names, write_call, write_call_of};

/// The control socket in the data directory; the gate listens on it.
pub const SOCKET_FILE: &str = "control.sock";
/// Most bytes of one answer.
pub const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Most bytes of one call: a chunk of an import with the longest rows that may come in.
pub const CALL_BYTES_MAX: usize = 4 << 20;
/// Most rows of one page.
pub const PAGE_ROWS_MAX: usize = 500;

/// What the verbs work with.
#[derive(Clone)]
pub struct ControlContext {
    pub actions: Arc<Actions>,
    pub access: Arc<Access>,
    pub jobs: Arc<Jobs>,
    pub setting: Setting,
}

/// The rows of one page, and where the next one begins.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Page<T> {
    pub rows: Vec<T>,
    /// Ask again with this as `after`; none: there is no more.
    pub next: Option<u64>,
}

impl<T> Page<T> {
    /// A page of at most `limit` rows; a full one may have a follower.
    fn of(rows: Vec<T>, limit: usize, cursor: impl Fn(&T) -> u64) -> Self {
        let next = rows.last().filter(|_| rows.len() >= limit).map(cursor);
        Self { rows, next }
    }
}
