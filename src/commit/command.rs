//! The commands that the writer takes, and what it answers.

use super::chunk::Chunk;
use crate::domain::admission::Ask;
use crate::domain::event::{
    Accepted, Ending, Event, Frame, JobFields, ProviderSettings, Resolution, SubscriptionFields,
    Then,
};
use crate::domain::items::{NewItem, Registered};
use crate::domain::job::RowEnding;
use crate::domain::{
    Acknowledges, ItemNumber, JobNumber, Outcome, ProviderNumber, Purpose, Refusal, RequestNumber,
    Stbs, Step, SubscriptionNumber, Timestamp,
};

/// What people, clients and jobs ask for.
#[derive(Clone, Debug)]
pub enum Command {
    /// One row's refusal leaves the others alone.
    RegisterItems {
        items: Vec<NewItem>,
        may_update: bool,
    },
    RegisterSubscriptions {
        subscriptions: Vec<SubscriptionFields>,
        may_update: bool,
    },
    Blacklist {
        item: ItemNumber,
        is_blacklisted: bool,
        reason: String,
    },
    Ask(Box<Ask>),
    Cancel {
        request: RequestNumber,
        reason: String,
    },
    Hasten {
        request: RequestNumber,
    },
    Resolve {
        request: RequestNumber,
        resolution: Resolution,
        reason: String,
    },
    Pause {
        provider: ProviderNumber,
        reason: String,
        until: Option<Timestamp>,
    },
    Resume {
        provider: ProviderNumber,
    },
    /// What a start found in the configuration; records what changed. A provider that is gone stays as missing.
    Configure {
        providers: Vec<ProviderSettings>,
    },
    /// What a reload found. Refused as [`Refusal::Changed`] if a provider that is gone has unfinished requests.
    Reconfigure {
        providers: Vec<ProviderSettings>,
    },
    StartRun {
        mode: String,
    },
    CreateJob(Box<JobFields>),
    /// The next rows of a job, and its cursor.
    RunChunk(Chunk),
    PauseJob {
        job: JobNumber,
        reason: String,
    },
    ResumeJob {
        job: JobNumber,
    },
    CancelJob {
        job: JobNumber,
        reason: String,
    },
    /// A fact that needs no judgement.
    Record(Vec<Event>),
}

/// How one row of a registration went.
pub type RowResult<N> = Result<Registered<N>, Refusal>;
/// An item row's end.
pub type RegisteredItem = RowResult<ItemNumber>;

/// What became of a command.
#[derive(Clone, Debug, PartialEq)]
pub enum Committed {
    Items(Vec<RegisteredItem>),
    Subscriptions(Vec<RowResult<SubscriptionNumber>>),
    /// A new request with its acceptance, or the earlier one that an Idempotency-Key names.
    Request {
        number: RequestNumber,
        fresh: Option<Box<Fresh>>,
    },
    Run(u64),
    Job(JobNumber),
    /// The endings of the rows that were done, which may be fewer than were handed in.
    Chunk(Vec<RowEnding>),
    /// `false`: it was so already.
    Done(bool),
}

/// The acceptance of a request, as it was recorded a moment ago: whoever answers need not read it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fresh {
    pub accepted: Accepted,
    pub at: Timestamp,
    pub by: String,
}

/// Called once, after the sync, on the responder's thread; with a lone fresh acceptance on the writer's.
pub type Reply = Box<dyn FnOnce(Result<Committed, Refusal>) + Send>;

/// What the CAS did and dispatch decided. Never refused, always taken whole.
#[derive(Clone, Debug)]
pub enum DispatchCommand {
    Begin(Box<Begin>),
    Settle(Box<SettleAttempt>),
    Answered(Box<Answered>),
    EndUnsent(EndUnsent),
    Hold {
        request: RequestNumber,
        reason: String,
    },
    ReserveTransactions {
        provider: ProviderNumber,
        first: u64,
        last: u64,
    },
    Pause {
        provider: ProviderNumber,
        reason: String,
    },
    AnswersUnknown {
        provider: ProviderNumber,
        minute: Timestamp,
        count: u64,
        sample: String,
    },
    PushReceived {
        provider: ProviderNumber,
        data: String,
        push: u64,
    },
    StartRun {
        mode: String,
    },
}

/// Plan, binding and intent as one command.
#[derive(Clone, Debug)]
pub struct Begin {
    pub request: RequestNumber,
    /// Dispatch's own handle, given back in the notice.
    pub handle: u64,
    pub purpose: Purpose,
    pub transaction: u64,
    /// What the answer will carry; recorded so that a late answer is known after a restart.
    pub key: String,
    pub step: u8,
    /// With the first attempt only.
    pub plan: Option<Vec<Step>>,
    pub leaves: Stbs,
    pub run: u64,
    pub frame: Frame,
    pub mapping_sha256: String,
}

/// The end of the attempt that is in flight.
#[derive(Clone, Debug)]
pub struct SettleAttempt {
    pub request: RequestNumber,
    pub attempt: u32,
    pub outcome: Outcome,
    pub code: Option<String>,
    pub text: Option<String>,
    pub reference: Option<String>,
    pub frame: Option<Frame>,
    pub patience_spent_ms: u64,
    pub then: Then,
    /// What the answer would acknowledge.
    pub acknowledges: Acknowledges,
}

/// An answer to an attempt that is over.
#[derive(Clone, Debug)]
pub struct Answered {
    pub request: RequestNumber,
    pub attempt: u32,
    pub purpose: Purpose,
    pub step: u8,
    pub transaction: u64,
    pub outcome: Outcome,
    pub code: Option<String>,
    pub text: Option<String>,
    pub reference: Option<String>,
    pub frame: Frame,
    pub acknowledges: Acknowledges,
}

/// An ending without an answer.
#[derive(Clone, Debug)]
pub struct EndUnsent {
    pub request: RequestNumber,
    pub ending: Ending,
}
