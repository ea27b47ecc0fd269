//! Verbs about requests: make one, list, show, explain, cancel, retry, resolve.

use serde::{Deserialize, Serialize};

use super::{
    ControlContext, ControlError, ItemNamed, PAGE_ROWS_MAX, Page, SubscriptionNamed, Verb,
};
use crate::actions::explain::Explanation;
use crate::actions::list::RequestFilter;
use crate::actions::pair::PairCall;
use crate::actions::requests::{RequestRow, RequestShown};
use crate::actions::retry::Retried;
use crate::domain::event::Resolution;
use crate::domain::{
    JobNumber, LifeCycleState, Priority, ProcessName, PublicId, RequestIdentifier, RequestNumber,
    Timestamp,
};

/// Names a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestNamed {
    Id(PublicId),
    Number(u64),
}

impl From<RequestNamed> for RequestIdentifier {
    fn from(named: RequestNamed) -> Self {
        match named {
            RequestNamed::Id(id) => Self::Id(id),
            RequestNamed::Number(number) => Self::Number(number.to_string()),
        }
    }
}

/// What both directions have in common.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UnpairAsk {
    pub card: ItemNamed,
    /// Of an unpair: the only STB that is left.
    #[serde(default)]
    pub from: Option<ItemNamed>,
    pub subscription: Option<SubscriptionNamed>,
    pub scheduled: Option<Timestamp>,
    pub priority: Priority,
    pub is_immediate: bool,
}

/// An STB is always named here, so that a slip never unpairs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PairAsk {
    pub stb: ItemNamed,
    #[serde(flatten)]
    pub call: UnpairAsk,
}

/// The request that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paired {
    pub number: u64,
}

pub struct Pair;

impl Verb for Pair {
    const NAME: &'static str = "pair";
    type Ask = PairAsk;
    type Answer = Paired;

    fn run(context: &ControlContext, by: &str, ask: PairAsk) -> Result<Paired, ControlError> {
        make(context, by, ask.call, Some(ask.stb))
    }
}

pub struct Unpair;

impl Verb for Unpair {
    const NAME: &'static str = "unpair";
    type Ask = UnpairAsk;
    type Answer = Paired;

    fn run(context: &ControlContext, by: &str, ask: UnpairAsk) -> Result<Paired, ControlError> {
        make(context, by, ask, None)
    }
}

fn make(
    context: &ControlContext,
    by: &str,
    ask: UnpairAsk,
    stb: Option<ItemNamed>,
) -> Result<Paired, ControlError> {
    let call = PairCall {
        family: None,
        card: ask.card.into(),
        stb: stb.map(Into::into),
        from: ask.from.map(Into::into),
        moves: false,
        card_change: None,
        subscription: ask.subscription.map(Into::into),
        scheduled: ask.scheduled,
        priority: ask.priority,
        is_immediate: ask.is_immediate,
        process_name: ProcessName::Manual,
        idempotency: None,
        retries: None,
    };
    let done = context.actions.pair_and_wait(by, call)?;
    Ok(Paired {
        number: done.number.0,
    })
}

/// Which requests to list; without `after` the newest.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RequestListAsk {
    pub state: Option<LifeCycleState>,
    /// Only requests of this job.
    #[serde(default)]
    pub job: Option<u64>,
    pub after: Option<u64>,
    pub limit: usize,
}

pub struct RequestList;

impl Verb for RequestList {
    const NAME: &'static str = "request.list";
    type Ask = RequestListAsk;
    type Answer = Page<RequestRow>;

    fn run(
        context: &ControlContext,
        _by: &str,
        ask: RequestListAsk,
    ) -> Result<Page<RequestRow>, ControlError> {
        let limit = ask.limit.clamp(1, PAGE_ROWS_MAX);
        let (requests, stopped) = context.actions.list_requests(&RequestFilter {
            state: ask.state,
            family: None,
            actions: None,
            job: ask.job.map(JobNumber),
            after: ask.after.map(RequestNumber),
            offset: None,
            limit,
        });
        let rows = requests
            .iter()
            .map(|request| context.actions.request_row(request))
            .collect();
        let mut page = Page::of(rows, limit, |row: &RequestRow| row.number);
        if let Some(cursor) = stopped {
            if ask.after.is_none() {
                return Err(ControlError::ListTooWide { cursor: cursor.0 });
            }
            page.next = Some(cursor.0);
        }
        if ask.after.is_none() {
            // The newest have nothing after them.
            page.next = None;
        }
        Ok(page)
    }
}

pub struct RequestShow;

impl Verb for RequestShow {
    const NAME: &'static str = "request.show";
    type Ask = RequestNamed;
    type Answer = RequestShown;

    fn run(
        context: &ControlContext,
        _by: &str,
        ask: RequestNamed,
    ) -> Result<RequestShown, ControlError> {
        Ok(context.actions.show_request(&ask.into())?)
    }
}

pub struct RequestExplain;

impl Verb for RequestExplain {
    const NAME: &'static str = "request.explain";
    type Ask = RequestNamed;
    type Answer = Explanation;

    fn run(
        context: &ControlContext,
        _by: &str,
        ask: RequestNamed,
    ) -> Result<Explanation, ControlError> {
        Ok(context.actions.explain(&ask.into(), &context.setting)?)
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CancelAsk {
    pub request: RequestNamed,
    pub reason: String,
}

pub struct RequestCancel;

impl Verb for RequestCancel {
    const NAME: &'static str = "request.cancel";
    type Ask = CancelAsk;
    type Answer = RequestNumber;

    fn run(
        context: &ControlContext,
        by: &str,
        ask: CancelAsk,
    ) -> Result<RequestNumber, ControlError> {
        Ok(context
            .actions
            .cancel(by, &ask.request.into(), &ask.reason)?)
    }
}

pub struct RequestRetry;

impl Verb for RequestRetry {
    const NAME: &'static str = "request.retry";
    type Ask = RequestNamed;
    type Answer = Retried;

    fn run(context: &ControlContext, by: &str, ask: RequestNamed) -> Result<Retried, ControlError> {
        Ok(context.actions.retry(by, &ask.into())?)
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ResolveAsk {
    pub request: RequestNamed,
    pub resolution: Resolution,
    pub reason: String,
}

pub struct RequestResolve;

impl Verb for RequestResolve {
    const NAME: &'static str = "request.resolve";
    type Ask = ResolveAsk;
    type Answer = RequestNumber;

    fn run(
        context: &ControlContext,
        by: &str,
        ask: ResolveAsk,
    ) -> Result<RequestNumber, ControlError> {
        let actions = &context.actions;
        Ok(actions.resolve(by, &ask.request.into(), ask.resolution, &ask.reason)?)
    }
}
