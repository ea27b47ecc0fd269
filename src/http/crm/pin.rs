//! `POST {family}/provisioning_requests/set_pin_code_to_default_value` (489739; the method's name is ours by pattern).

use std::sync::Arc;

use super::super::api::Api;
use super::super::reply::Reply;
use super::Call;
use super::hand_in::{self, hand_in};
use crate::actions::pair::PairCall;
use crate::domain::CardChange;

pub const FIELDS: &[&str] = &[
    "subscription_identifier",
    "smartcard_identifier",
    "process_immediately",
    "scheduled_date",
];

pub fn reset(api: &Arc<Api>, call: &Call, reply: Reply) {
    let asked = hand_in::common(api, call).map(|asked| PairCall {
        card_change: Some(CardChange::ResetPin),
        ..asked
    });
    hand_in(api, call, asked, reply);
}
