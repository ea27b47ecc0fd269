//! Subscriptions as people look at them: what the CRM names them by, and their state.

use serde::{Deserialize, Serialize};

use super::{Actions, find};
use crate::domain::{
    Kind, PublicId, Refusal, SubscriptionIdentifier, SubscriptionNumber, Timestamp, View,
};

/// A subscription in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionRow {
    /// Our own count, for the cursor.
    pub row: u64,
    pub id: PublicId,
    pub number: String,
    pub life_cycle_state: String,
}

/// A subscription with its dates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionDetails {
    pub subscription: SubscriptionRow,
    pub created_at: Option<Timestamp>,
    pub created_by: String,
    pub updated_at: Option<Timestamp>,
    pub updated_by: String,
}

impl Actions {
    /// At most `limit` subscriptions above `after`, in the order in which they came.
    pub fn list_subscriptions(&self, after: u64, limit: usize) -> Vec<SubscriptionRow> {
        let numbers = self.page_subscriptions(SubscriptionNumber(after), 0, limit);
        let view = self.state.view();
        numbers
            .into_iter()
            .filter_map(|number| row(&view, number))
            .collect()
    }

    pub fn subscription_details(
        &self,
        named: &SubscriptionIdentifier,
    ) -> Result<SubscriptionDetails, Refusal> {
        let (subscription, created, updated) = {
            let view = self.state.view();
            let number = find::subscription(&view, named)?;
            let stored = view.subscription(number).ok_or(Refusal::Changed)?;
            let row = row(&view, number).ok_or(Refusal::Changed)?;
            (row, stored.created, stored.updated)
        };
        let (created, updated) = (self.event(created), self.event(updated));
        Ok(SubscriptionDetails {
            subscription,
            created_at: created.as_ref().map(|(_, at, _)| *at),
            created_by: created.map(|(_, _, by)| by).unwrap_or_default(),
            updated_at: updated.as_ref().map(|(_, at, _)| *at),
            updated_by: updated.map(|(_, _, by)| by).unwrap_or_default(),
        })
    }
}

fn row(view: &dyn View, number: SubscriptionNumber) -> Option<SubscriptionRow> {
    let stored = view.subscription(number)?;
    let computed = || PublicId::new(Kind::Subscription, number.0, view.meta().salt);
    Some(SubscriptionRow {
        row: number.0,
        id: stored.imported_id.unwrap_or_else(computed),
        number: stored.number.to_string(),
        life_cycle_state: stored.life_cycle_state.to_string(),
    })
}
