//! Try a request again: a waiting one now, a rejected one as a new request that is linked to it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::pair::PairCall;
use super::{Actions, find};
use crate::commit::Command;
use crate::domain::{
    ItemIdentifier, ItemNumber, Kind, Phase, ProcessName, PublicId, Refusal, RequestIdentifier,
    RequestNumber, View,
};

/// What a retry did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retried {
    /// The same request is due now.
    Hastened(RequestNumber),
    /// A new request was made from a rejected one.
    Renewed {
        rejected: RequestNumber,
        new: RequestNumber,
    },
}

impl Actions {
    /// The new request of a rejected one is judged like any other call: an STB that was given away since is refused.
    pub fn retry(
        self: &Arc<Self>,
        by: &str,
        named: &RequestIdentifier,
    ) -> Result<Retried, Refusal> {
        let request = find::request(&self.state.view(), named)?;
        let number = request.number;
        if request.phase != Phase::Rejected {
            let command = Command::Hasten { request: number };
            return self
                .door
                .call(by, command)
                .map(|_| Retried::Hastened(number));
        }
        let call = {
            let view = self.state.view();
            if request.is_beside && !view.cardinality(request.provider).adds() {
                return Err(Refusal::RequestState {
                    number,
                    verb: "retried",
                    state: "to add an STB, and its provider allows a card one by now; pair the card to move it".into(),
                });
            }
            let salt = view.meta().salt;
            // By number, so that two items of one serial number are no obstacle.
            let item =
                |item: ItemNumber| ItemIdentifier::Id(PublicId::new(Kind::Item, item.0, salt));
            let family = view.provider(request.provider);
            PairCall {
                family: family.map(|provider| provider.family.to_string()),
                card: item(request.card),
                stb: request.stb.map(item),
                from: request.from.map(item),
                moves: request.stb.is_some() && !request.is_beside,
                card_change: request.card_change.as_deref().cloned(),
                subscription: request.subscription.map(|subscription| {
                    let id = PublicId::new(Kind::Subscription, subscription.0, salt);
                    crate::domain::SubscriptionIdentifier::Id(id)
                }),
                scheduled: None,
                priority: request.priority,
                is_immediate: false,
                process_name: ProcessName::Manual,
                idempotency: None,
                retries: Some(number),
            }
        };
        let done = self.pair_and_wait(by, call)?;
        Ok(Retried::Renewed {
            rejected: number,
            new: done.number,
        })
    }
}
