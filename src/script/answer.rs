//! What the functions of a mapping return, read into the contract's types: steps, frames, decoded answers, session steps.

use rhai::Dynamic;

use super::contract::{
    Confirms, Decoded, Encoded, FieldName, Framing, MappingRequest, Matching, Reply, SessionStep,
    Step,
};
use super::value::{Fields, Read, Wrong, to_json};
use super::wire;
use crate::domain::Outcome;
use crate::domain::length::cut;

/// What a busy CAS is given when it names no time.
const BUSY_SECONDS: u32 = 10;

/// Longest key of a frame, in bytes.
const KEY_BYTES_MAX: usize = 1024;
/// What is kept of a code and of a reference number, in bytes.
const CODE_BYTES_MAX: usize = 1024;
/// What is kept of the text of an answer, in bytes.
const TEXT_BYTES_MAX: usize = 4 * 1024;

/// One step of `plan`; the card is that of the request unless the step names another.
pub(super) fn step(value: Dynamic, request: &MappingRequest) -> Read<Step> {
    let mut fields = Fields::of("a step", value)?;
    let word = fields.text("confirms")?.unwrap_or_default();
    let confirms = match word.as_str() {
        "pair" => Confirms::Pair,
        "unpair" => Confirms::Unpair,
        "none" => Confirms::None,
        _ => {
            return Err(fields.wrong(
                "confirms",
                "one of pair, unpair, none",
                &format!("`{word}`"),
            ));
        }
    };
    let step = Step {
        confirms,
        card: fields.text("card")?.unwrap_or_else(|| request.card.clone()),
        stb: fields.text("stb")?,
        leaves: None,
        data: match fields.take("data") {
            Some(data) => to_json(&data)?,
            None => serde_json::Value::Null,
        },
    };
    fields.finish()?;
    Ok(step)
}

/// `#{body, key}` of `encode`, `keepalive` and `query`.
pub(super) fn encoded(value: Dynamic, framing: &Framing, matching: Matching) -> Read<Encoded> {
    let mut fields = Fields::of("the frame", value)?;
    let key = key(&mut fields, matching)?;
    let body = wire::body_said(framing, &mut fields)?;
    fields.finish()?;
    if key.len() > KEY_BYTES_MAX {
        return Err(Wrong::new(format!(
            "the key has {} bytes, at most {KEY_BYTES_MAX} are recorded",
            key.len()
        )));
    }
    Ok(Encoded { body, key })
}

/// Without it the order of the answers is all there is.
fn key(fields: &mut Fields, matching: Matching) -> Read<String> {
    match (fields.text("key")?, matching) {
        (Some(key), _) => Ok(key),
        (None, Matching::Fifo) => Ok(String::new()),
        (None, Matching::Key) => Err(fields.missing("key")),
    }
}

/// What `decode` returns.
pub(super) fn decoded(value: Dynamic, framing: &Framing, matching: Matching) -> Read<Decoded> {
    let mut fields = Fields::of("decode()", value)?;
    let kind = fields.text("kind")?.ok_or_else(|| fields.missing("kind"))?;
    let decoded = match kind.as_str() {
        "reply" => Decoded::Reply(reply(&mut fields, matching)?),
        "push" => Decoded::Push {
            data: fields.text("data")?.unwrap_or_default(),
            reply: fields
                .take("reply")
                .map(|reply| wire::said(framing, reply))
                .transpose()?,
        },
        "keepalive" => Decoded::Keepalive,
        "ignore" => Decoded::Ignore,
        _ => {
            let expected = "one of reply, push, keepalive, ignore";
            return Err(fields.wrong("kind", expected, &format!("`{kind}`")));
        }
    };
    fields.finish()?;
    Ok(decoded)
}

fn reply(fields: &mut Fields, matching: Matching) -> Read<Reply> {
    let key = key(fields, matching)?;
    if key.len() > KEY_BYTES_MAX {
        return Err(Wrong::new(format!(
            "the key of the answer has {} bytes, a command's has at most {KEY_BYTES_MAX}",
            key.len()
        )));
    }
    let word = fields
        .text("outcome")?
        .ok_or_else(|| fields.missing("outcome"))?;
    let seconds = fields.number::<u32>("busy_s", "a number of seconds")?;
    let outcome = match word.as_str() {
        "ok" => Outcome::Ok,
        "already" => Outcome::Already,
        "refused" => Outcome::Refused,
        "retry" => Outcome::Retry,
        "busy" => Outcome::Busy {
            seconds: seconds.unwrap_or(BUSY_SECONDS),
        },
        "fatal" => Outcome::Fatal,
        _ => {
            let expected = "one of ok, already, refused, retry, busy, fatal";
            return Err(fields.wrong("outcome", expected, &format!("`{word}`")));
        }
    };
    Ok(Reply {
        key,
        outcome,
        code: fields.text("code")?.map(|code| cut(&code, CODE_BYTES_MAX)),
        text: fields.text("text")?.map(|text| cut(&text, TEXT_BYTES_MAX)),
        reference: fields
            .text("reference")?
            .map(|reference| cut(&reference, CODE_BYTES_MAX)),
        ends_session: fields.flag("ends_session")?.unwrap_or(false),
    })
}

/// What `on_connect` and `on_frame` return, and the new state if they give one. `()` asks for nothing.
pub(super) fn session(
    function: &'static str,
    value: Dynamic,
    framing: &Framing,
) -> Read<(Vec<SessionStep>, Option<Dynamic>)> {
    if value.is_unit() {
        return Ok((Vec::new(), None));
    }
    let mut fields = Fields::of(function, value)?;
    let send = fields.take("send").unwrap_or_default();
    let send = wire::all_said(framing, send)?;
    let is_ready = fields.flag("ready")?.unwrap_or(false);
    let failure = fields.text("fail")?;
    let kept = fields.texts("keep")?;
    // It is written into later frames, and a line end would begin a head line of its own there.
    if let Some((name, _)) = kept
        .iter()
        .find(|(_, value)| value.chars().any(char::is_control))
    {
        return Err(Wrong::new(format!(
            "{function}: the value of `{name}` in `keep` has control characters: expected a text without"
        )));
    }
    let state = fields.take("state");
    fields.finish()?;
    if is_ready && failure.is_some() {
        return Err(Wrong::new(format!(
            "{function} says both `ready` and `fail`"
        )));
    }
    let mut steps = Vec::new();
    if !send.is_empty() {
        steps.push(SessionStep::Send(send));
    }
    if !kept.is_empty() {
        steps.push(SessionStep::Keep(kept));
    }
    if is_ready {
        steps.push(SessionStep::Ready);
    }
    if let Some(text) = failure {
        steps.push(SessionStep::Fail(text));
    }
    Ok((steps, state))
}

/// `[[name, at, length], ...]` of `fields`; none if it is anything else, or lies outside of the frame.
pub(super) fn field_names(value: Dynamic, frame_bytes: usize) -> Option<Vec<FieldName>> {
    let mut names = Vec::new();
    for field in value.try_cast::<rhai::Array>()? {
        let field = field.try_cast::<rhai::Array>()?;
        let [name, at, bytes] = field.as_slice() else {
            return None;
        };
        let size = |value: &Dynamic| usize::try_from(value.as_int().ok()?).ok();
        let (at, bytes) = (size(at)?, size(bytes)?);
        if at.checked_add(bytes)? > frame_bytes {
            return None;
        }
        names.push(FieldName {
            name: name.to_string(),
            at,
            bytes,
        });
    }
    Some(names)
}
