//! What all methods have in common that make a request: the parameters, the `Idempotency-Key`, the wait and the answer.
//!
//! `pair.rs`, `products.rs` and `pin.rs` read what is their own and hand it in here.

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
    ItemIdentifier, Method, Priority, ProcessName, Refusal, RequestNumber, SubscriptionIdentifier,
    Timestamp, View,
};

/// Longest Idempotency-Key.
const KEY_CHARS_MAX: usize = 255;

/// Hands in what the parameters ask for; it is answered after the sync, or after the CAS if it is to be processed immediately.
pub fn hand_in(api: &Arc<Api>, call: &Call, asked: Result<PairCall, CallError>, reply: Reply) {
    let with_key = asked.and_then(|mut asked| {
        asked.idempotency = idempotency(call, &asked)?;
        Ok(asked)
    });
    let asked = match with_key {
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
    if !is_immediate || done.fresh.is_none() || !may_wait(api, done.number) {
        return tell(api, done, reply);
    }
    let until = api.clock().monotonic() + api.config().immediate_wait;
    let (shared, number) = (api.clone(), done.number);
    let reply = reply.park();
    let told = move || {
        let api = shared.clone();
        shared.guarded(move || tell(&api, done, reply));
    };
    api.actions.waiting.park(number, until, Box::new(told));
}

/// A paused provider, one that is not effective, or an open circuit: the answer is PENDING at once.
fn may_wait(api: &Api, number: RequestNumber) -> bool {
    let request = api.actions.state.view().request(number);
    request.is_some_and(|request| {
        !request.phase.is_finished() && api.may_answer_soon(request.provider)
    })
}

/// Answers with the request as it is now.
fn tell(api: &Api, done: PairDone, reply: Reply) {
    let request = api.actions.state.view().request(done.number);
    let details = request.and_then(|request| api.actions.details_of(request, done.fresh));
    let Some(details) = details else {
        return reply.error(&CallError::Internal);
    };
    let view = api.actions.state.view();
    let object = Objects::new(&view, api.config().time_zone).request(&details);
    drop(view);
    reply.send(envelope::ok(&Value::Object(object)));
}

/// The parameters that every such method has; the rest is as absent.
pub fn common(api: &Api, call: &Call) -> Result<PairCall, CallError> {
    let parameters = &call.parameters;
    let card = identifier::item(parameters, "smartcard_identifier")?;
    Ok(PairCall {
        family: call.family.clone(),
        card: identifier::need(card, "smartcard_identifier")?,
        stb: None,
        from: None,
        moves: false,
        card_change: None,
        subscription: identifier::subscription(parameters, "subscription_identifier")?,
        scheduled: dates::parameter(parameters, "scheduled_date", api.config().time_zone)?,
        priority: Priority::default(),
        is_immediate: parameters.flag("process_immediately")?.unwrap_or(false),
        process_name: ProcessName::WebApi,
        idempotency: None,
        retries: None,
    })
}

/// `priority`, of the methods that have it.
pub fn priority(call: &Call) -> Result<Priority, CallError> {
    match call.parameters.text("priority")? {
        None => Ok(Priority::default()),
        Some(word) => Priority::parse(word)
            .ok_or_else(|| wrong_value("priority", "`REGULAR` or `EXPRESS`", word)),
    }
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
    let method = Method::of(asked.action()).name;
    let method = format!("{family}/provisioning_requests/{method}");
    let scope = json!([call.by, method, key]);
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
    let mut meaning = vec![
        item(&asked.card),
        json!(asked.stb.as_ref().map(item)),
        json!(subscription),
        json!(asked.scheduled.map(Timestamp::micros)),
        json!(asked.priority.word()),
        json!(asked.is_immediate),
    ];
    // A pair's form stays as it was: keys are kept over an update of the program.
    meaning.extend(asked.card_change.as_ref().map(|change| json!(change)));
    serde_json::Value::Array(meaning)
}

fn sha256(value: &serde_json::Value) -> String {
    hex::encode(Sha256::digest(value.to_string().as_bytes()))
}
