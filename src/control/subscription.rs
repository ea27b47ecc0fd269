//! Verbs about subscriptions: register a chunk, list, show.

use serde::{Deserialize, Serialize};

use super::{ControlContext, ControlError, PAGE_ROWS_MAX, Page, RowEnd, Verb};
use crate::actions::register::CHUNK_ROWS;
use crate::actions::subscriptions::{SubscriptionDetails, SubscriptionRow};
use crate::domain::event::SubscriptionFields;
use crate::domain::{PublicId, SubscriptionIdentifier};

/// Names a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionNamed {
    Id(PublicId),
    Number(String),
}

impl From<SubscriptionNamed> for SubscriptionIdentifier {
    fn from(named: SubscriptionNamed) -> Self {
        match named {
            SubscriptionNamed::Id(id) => Self::Id(id),
            SubscriptionNamed::Number(text) => Self::Number(text),
        }
    }
}

/// At most [`CHUNK_ROWS`] subscriptions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SubscriptionsAsk {
    pub subscriptions: Vec<SubscriptionFields>,
    pub may_update: bool,
    pub is_dry_run: bool,
}

pub struct SubscriptionRegister;

impl Verb for SubscriptionRegister {
    const NAME: &'static str = "subscription.register";
    type Ask = SubscriptionsAsk;
    type Answer = Vec<RowEnd>;

    fn run(
        context: &ControlContext,
        by: &str,
        ask: SubscriptionsAsk,
    ) -> Result<Vec<RowEnd>, ControlError> {
        let found = ask.subscriptions.len();
        if found > CHUNK_ROWS {
            let limit = CHUNK_ROWS;
            return Err(ControlError::TooManyRows { limit, found });
        }
        let actions = &context.actions;
        let rows = if ask.is_dry_run {
            actions.try_subscriptions(&ask.subscriptions, ask.may_update)
        } else {
            actions.register_subscriptions(by, ask.subscriptions, ask.may_update)?
        };
        Ok(rows.into_iter().map(RowEnd::of).collect())
    }
}

/// Which subscriptions to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SubscriptionListAsk {
    pub after: u64,
    pub limit: usize,
}

pub struct SubscriptionList;

impl Verb for SubscriptionList {
    const NAME: &'static str = "subscription.list";
    type Ask = SubscriptionListAsk;
    type Answer = Page<SubscriptionRow>;

    fn run(
        context: &ControlContext,
        _by: &str,
        ask: SubscriptionListAsk,
    ) -> Result<Page<SubscriptionRow>, ControlError> {
        let limit = ask.limit.clamp(1, PAGE_ROWS_MAX);
        let rows = context.actions.list_subscriptions(ask.after, limit);
        Ok(Page::of(rows, limit, |row| row.row))
    }
}

pub struct SubscriptionShow;

impl Verb for SubscriptionShow {
    const NAME: &'static str = "subscription.show";
    type Ask = SubscriptionNamed;
    type Answer = SubscriptionDetails;

    fn run(
        context: &ControlContext,
        _by: &str,
        ask: SubscriptionNamed,
    ) -> Result<SubscriptionDetails, ControlError> {
        Ok(context.actions.subscription_details(&ask.into())?)
    }
}
