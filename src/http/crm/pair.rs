//! `POST {family}/provisioning_requests/pair_smartcard_decoder` (489741): pair a card with an STB, or unpair it.
//!
//! "No STB" means unpair, so everything that might be a slip of one is an error: a customer's box must not go dark for it.

use std::sync::Arc;

use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::super::api::Api;
use super::super::reply::Reply;
use super::object::Objects;
use super::parameters::wrong_value;
use super::value::Value;
use super::{Call, CallError, dates, envelope, identifier};
use crate::actions::pair::{PairCall, PairDone};
use crate::domain::event::Idempotency;
use crate::domain::{
    ItemIdentifier, Priority, ProcessName, Refusal, RequestNumber, SubscriptionIdentifier,
    Timestamp, View,
};

const METHOD: &str = "provisioning_requests/pair_smartcard_decoder";
const STB: &str = "stb_identifier";

pub const FIELDS: &[&str] = &[
    "subscription_identifier",
    "process_immediately",
    "smartcard_identifier",
    STB,
    "scheduled_date",
    "priority",
];

/// Longest Idempotency-Key.
const KEY_CHARS_MAX: usize = 255;
/// How many edits make another word of `stb_identifier`.
const SLIP_EDITS_MAX: usize = 3;

/// Hands the call in; it is answered after the sync, or after the CAS if it is to be processed immediately.
pub fn pair(api: &Arc<Api>, call: &Call, reply: Reply) {
    let asked = match ask(api, call) {
        Ok(asked) => asked,
        Err(error) => return reply.error(&error),
    };
    let is_immediate = asked.is_immediate;
    let shared = api.clone();
    api.actions.pair(&call.by, asked, move |result| {
        let api = shared.clone();
        shared.guarded(move || answer(&api, result, is_immediate, reply));
    });
}

fn answer(api: &Arc<Api>, result: Result<PairDone, Refusal>, is_immediate: bool, reply: Reply) {
    let done = match result {
        Ok(done) => done,
        Err(refusal) => return reply.error(&CallError::Refused(refusal)),
    };
    if !is_immediate || done.is_repeat || !may_wait(api, done.number) {
        return tell(api, done.number, reply);
    }
    let until = api.clock().monotonic() + api.config().immediate_wait;
    let shared = api.clone();
    let reply = reply.park();
    let told = move || {
        let api = shared.clone();
        shared.guarded(move || tell(&api, done.number, reply));
    };
    api.actions.waiting.park(done.number, until, Box::new(told));
}

/// A paused provider, one that is not effective, or an open circuit: the answer is PENDING at once.
fn may_wait(api: &Api, number: RequestNumber) -> bool {
    let request = api.actions.state.view().request(number);
    request.is_some_and(|request| {
        !request.phase.is_finished() && api.may_answer_soon(request.provider)
    })
}

/// Answers with the request as it is now.
fn tell(api: &Api, number: RequestNumber, reply: Reply) {
    let request = api.actions.state.view().request(number);
    let details = request.and_then(|request| api.actions.details(&request));
    let Some(details) = details else {
        return reply.error(&CallError::Internal);
    };
    let view = api.actions.state.view();
    let object = Objects::new(&view, api.config().time_zone).request(&details);
    drop(view);
    reply.send(envelope::ok(&Value::Object(object)));
}

fn ask(api: &Api, call: &Call) -> Result<PairCall, CallError> {
    let parameters = &call.parameters;
    check_slips(parameters.names())?;
    let card = identifier::item(parameters, "smartcard_identifier")?;
    let priority = match parameters.text("priority")? {
        None => Priority::default(),
        Some(word) => Priority::parse(word)
            .ok_or_else(|| wrong_value("priority", "`REGULAR` or `EXPRESS`", word))?,
    };
    let mut asked = PairCall {
        family: call.family.clone(),
        card: identifier::need(card, "smartcard_identifier")?,
        stb: identifier::item(parameters, STB)?,
        subscription: identifier::subscription(parameters, "subscription_identifier")?,
        scheduled: dates::parameter(parameters, "scheduled_date", api.config().time_zone)?,
        priority,
        is_immediate: parameters.flag("process_immediately")?.unwrap_or(false),
        process_name: ProcessName::WebApi,
        idempotency: None,
        retries: None,
    };
    asked.idempotency = idempotency(call, &asked)?;
    Ok(asked)
}

/// An unknown field that resembles `stb_identifier` is taken for a slip of it.
fn check_slips<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), CallError> {
    for name in names {
        if name == "token" || FIELDS.contains(&name) {
            continue;
        }
        let folded = name.to_lowercase();
        let is_slip = strsim::levenshtein(name, STB) <= SLIP_EDITS_MAX
            || strsim::levenshtein(&folded, STB) <= SLIP_EDITS_MAX;
        if is_slip {
            return Err(CallError::MisspeltStb {
                found: super::error::shown(name),
            });
        }
    }
    Ok(())
}

/// The `Idempotency-Key` header, bound to the caller, the method and what the parameters mean.
fn idempotency(call: &Call, asked: &PairCall) -> Result<Option<Idempotency>, CallError> {
    let header = "Idempotency-Key";
    let key = match call.idempotency_keys.as_slice() {
        [] => return Ok(None),
        [key] => key,
        _ => {
            return Err(CallError::GivenTwice {
                field: header.to_owned(),
            });
        }
    };
    let is_visible = key.bytes().all(|byte| byte.is_ascii_graphic());
    if key.is_empty() || key.len() > KEY_CHARS_MAX || !is_visible {
        let expected = "1 to 255 visible ASCII characters";
        return Err(wrong_value(header, expected, key));
    }
    let family = call.family.as_deref().unwrap_or_default();
    let scope = json!([call.by, format!("{family}/{METHOD}"), key]);
    Ok(Some(Idempotency {
        key: sha256(&scope),
        digest: sha256(&meaning(asked)),
    }))
}

/// The parsed parameters in one fixed form: `true` and `"true"`, null and absent, a date in any spelling are the same.
fn meaning(asked: &PairCall) -> serde_json::Value {
    let item = |named: &ItemIdentifier| {
        let (field, value) = named.field_and_value();
        json!([field, value])
    };
    let subscription = asked.subscription.as_ref().map(|named| match named {
        SubscriptionIdentifier::Id(id) => json!(["id", id.to_string()]),
        SubscriptionIdentifier::Number(number) => json!(["number", number]),
    });
    json!([
        item(&asked.card),
        asked.stb.as_ref().map(item),
        subscription,
        asked.scheduled.map(Timestamp::micros),
        asked.priority.word(),
        asked.is_immediate,
    ])
}

fn sha256(value: &serde_json::Value) -> String {
    hex::encode(Sha256::digest(value.to_string().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_stb_identifier_is_never_an_unpair() {
        for slip in [
            "STB_IDENTIFIER",
            "Stb_Identifier",
            "stbIdentifier",
            "stb-identifier",
            "stb_identifer",
            "stb_identifiers",
            "sbt_identifier",
            "tb_identifi",
        ] {
            let refused = check_slips([slip].into_iter());
            assert_eq!(refused, Err(CallError::MisspeltStb { found: slip.into() }));
        }
        for other in [
            "stb_id",
            "b_identifi",
            "decoder_identifier",
            "smartcard_identifier",
            "token",
            "x",
        ] {
            assert_eq!(check_slips([other].into_iter()), Ok(()), "{other}");
        }
    }
}
