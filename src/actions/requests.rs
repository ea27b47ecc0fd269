//! Requests as people look at them: a row of a list, and one request with its words.

use serde::{Deserialize, Serialize};

use super::details::RequestDetails;
use super::items::serial_number;
use super::{Actions, find};
use crate::domain::event::Frame;
use crate::domain::{
    Action, Kind, LifeCycleState, Phase, Priority, ProcessName, PublicId, Refusal, Request,
    RequestIdentifier, RequestNumber, Timestamp, View,
};

/// A request in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRow {
    pub number: u64,
    pub life_cycle_state: LifeCycleState,
    pub phase: Phase,
    pub action: Action,
    pub card: String,
    /// The STB to pair with.
    pub stb: Option<String>,
    /// The products to add or to cancel.
    pub products: Vec<String>,
    /// The STBs that the card leaves.
    pub leaves: Vec<String>,
    pub provider: String,
    pub priority: Priority,
    pub process_name: ProcessName,
    pub due: Timestamp,
    pub attempts: u32,
    /// When to try again, while it waits or is in doubt.
    pub again_at: Option<Timestamp>,
    pub executed: Option<Timestamp>,
}

/// One request with everything that `request show` tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestShown {
    pub request: RequestRow,
    pub id: PublicId,
    pub card_ca_id: String,
    pub stb_ca_id: Option<String>,
    pub subscription: Option<String>,
    pub scheduled: Timestamp,
    pub is_immediate: bool,
    pub sequence_number: Option<u64>,
    /// The processing run that sent it.
    pub run: Option<u64>,
    pub transaction: Option<u64>,
    /// The rejected request that this one tries again, or the one that made room for it.
    pub linked: Option<u64>,
    pub sent: Option<Frame>,
    pub received: Option<Frame>,
    pub reference: Option<String>,
    pub error_code: Option<String>,
    pub error_description: Option<String>,
    pub provider_error_code: Option<String>,
    pub created_at: Timestamp,
    pub created_by: String,
    pub updated_at: Timestamp,
    pub updated_by: String,
}

impl Actions {
    /// The rows of these requests; unknown ones are left out.
    pub fn request_rows(&self, numbers: Vec<RequestNumber>) -> Vec<RequestRow> {
        let view = self.state.view();
        let requests = numbers
            .into_iter()
            .filter_map(|number| view.request(number));
        requests.map(|request| row(&view, &request)).collect()
    }

    pub fn request_row(&self, request: &Request) -> RequestRow {
        row(&self.state.view(), request)
    }

    pub fn show_request(&self, named: &RequestIdentifier) -> Result<RequestShown, Refusal> {
        let request = find::request(&self.state.view(), named)?;
        let details = self.details(&request).ok_or(Refusal::Changed)?;
        let view = self.state.view();
        let subscription = request
            .subscription
            .and_then(|number| view.subscription(number));
        let id = PublicId::new(Kind::Request, request.number.0, view.meta().salt);
        let subscription = subscription.map(|subscription| subscription.number.to_string());
        Ok(shown(row(&view, &request), id, subscription, details))
    }
}

fn row(view: &dyn View, request: &Request) -> RequestRow {
    let name = |item| serial_number(view, item);
    let provider = view.provider(request.provider);
    let has_again = matches!(request.phase, Phase::Waiting | Phase::InDoubt);
    RequestRow {
        number: request.number.0,
        life_cycle_state: request.phase.life_cycle_state(),
        phase: request.phase,
        action: request.action(),
        card: name(request.card),
        stb: request.stb.map(name),
        products: request.products().iter().map(ToString::to_string).collect(),
        leaves: request.leaves.iter().map(name).collect(),
        provider: provider.map_or_else(
            || request.provider.to_string(),
            |provider| provider.name.to_string(),
        ),
        priority: request.priority,
        process_name: request.process_name,
        due: request.due,
        attempts: request.attempts,
        again_at: has_again.then_some(request.again_at),
        executed: request.executed,
    }
}

fn shown(
    row: RequestRow,
    id: PublicId,
    subscription: Option<String>,
    details: RequestDetails,
) -> RequestShown {
    let request = details.request;
    let error = details.error.unwrap_or_default();
    let unless_zero = |number: u64| (number != 0).then_some(number);
    RequestShown {
        request: row,
        id,
        card_ca_id: request.card_ca.to_string(),
        stb_ca_id: request.stb_ca.as_deref().map(str::to_owned),
        subscription,
        scheduled: details.accepted.scheduled,
        is_immediate: request.is_immediate,
        sequence_number: unless_zero(request.sequence_number),
        run: unless_zero(request.run),
        transaction: unless_zero(request.transaction),
        linked: request.linked.map(|number| number.0),
        sent: details.sent,
        received: details.received,
        reference: details.reference,
        error_code: error.code,
        error_description: error.description,
        provider_error_code: error.provider_code,
        created_at: details.created_at,
        created_by: details.created_by,
        updated_at: details.updated_at,
        updated_by: details.updated_by,
    }
}
