//! Runs one case against a mapping; a failure says what was expected and what was found.

use std::fmt::Debug;
use std::sync::Arc;

use super::Seen;
use super::file::{Bytes, Case, Golden, Normalize, SessionLine, unhex};
use super::wording;
use crate::script::contract::{Decoded, Encoded, Endian, Framing, MappingRequest, SessionStep};
use crate::script::error::ScriptError;
use crate::script::mapping::Mapping;
use crate::script::session::MappingSession;
use crate::script::settings::Settings;

type Tried = Result<(), String>;

/// Every frame met is added to `seen`.
pub(super) fn run(mapping: &Arc<Mapping>, case: &Case, seen: &mut Vec<Seen>) -> Tried {
    let cfg = mapping.settings(&case.cfg).map_err(told_of_cfg)?;
    let mut is_tried = false;
    if let Some(request) = &case.request {
        is_tried = true;
        if let Some(golden) = &case.query {
            let encoded = mapping
                .query(request, &case.ctx.at(0), &cfg)
                .map_err(told)?;
            seen.push(sent(case, &encoded));
            compare_frame(mapping, &encoded, golden)?;
        } else {
            run_request(mapping, case, request, &cfg, seen)?;
        }
    }
    if let Some(golden) = &case.keepalive {
        is_tried = true;
        let encoded = mapping.keepalive(&case.ctx.at(0), &cfg).map_err(told)?;
        seen.push(sent(case, &encoded));
        compare_frame(mapping, &encoded, golden)?;
    }
    if let Some(normalize) = &case.normalize {
        is_tried = true;
        run_normalize(mapping, normalize, case.gives.as_deref(), &cfg)?;
    }
    if let Some(frame) = &case.frame {
        is_tried = true;
        let expected = case
            .outcome
            .as_ref()
            .ok_or("a case with `frame` needs `outcome`")?;
        let frame = frame.get()?;
        let found = mapping.decode(&frame, &cfg).map_err(told)?;
        seen.push(Seen {
            case: case.name.clone(),
            is_sent: false,
            frame,
            meaning: words(&found),
        });
        let expected = expected.decoded()?;
        differ(
            "outcome",
            expected == found,
            &wording::of_decoded(&expected),
            &wording::of_decoded(&found),
        )?;
    }
    if let Some(lines) = &case.session {
        is_tried = true;
        run_session(mapping, case, lines, cfg)?;
    }
    if is_tried {
        return Ok(());
    }
    Err("nothing is tried: give request, keepalive, normalize, frame or session".to_owned())
}

fn sent(case: &Case, encoded: &Encoded) -> Seen {
    Seen {
        case: case.name.clone(),
        is_sent: true,
        frame: encoded.body.clone(),
        meaning: format!("key `{}`", encoded.key),
    }
}

/// What a frame from the CAS means, in one line.
pub fn words(decoded: &Decoded) -> String {
    match decoded {
        Decoded::Reply(reply) => {
            let mut words = format!("{:?}", reply.outcome).to_lowercase();
            for (name, part) in [
                ("key", Some(&reply.key).filter(|key| !key.is_empty())),
                ("code", reply.code.as_ref()),
                ("text", reply.text.as_ref()),
                ("reference", reply.reference.as_ref()),
            ] {
                if let Some(part) = part {
                    words = format!("{words}, {name} `{part}`");
                }
            }
            words
        }
        Decoded::Push { data, .. } => format!("the CAS speaks first: `{data}`"),
        Decoded::Keepalive => "the answer to a keepalive".to_owned(),
        Decoded::Ignore => "answers nothing".to_owned(),
    }
}

fn run_request(
    mapping: &Mapping,
    case: &Case,
    request: &MappingRequest,
    cfg: &Settings,
    seen: &mut Vec<Seen>,
) -> Tried {
    let refusal = mapping.validate(request, cfg).map_err(told)?;
    compare("refused", &case.refused, &refusal)?;
    if refusal.is_some() {
        return Ok(());
    }
    let golden = case
        .frames
        .as_ref()
        .ok_or("a case with `request` needs `frames` or `refused`")?;
    let steps = mapping.plan(request, cfg).map_err(told)?;
    if let Some(expected) = &case.steps {
        compare("steps", expected, &steps)?;
    }
    compare("number of frames", &golden.len(), &steps.len())?;
    for (index, (step, golden)) in steps.iter().zip(golden).enumerate() {
        let encoded = mapping
            .encode(step, &case.ctx.at(index), cfg)
            .map_err(told)?;
        seen.push(sent(case, &encoded));
        compare_frame(mapping, &encoded, golden)
            .map_err(|text| format!("frame {}: {text}", index + 1))?;
    }
    Ok(())
}

fn run_normalize(
    mapping: &Mapping,
    normalize: &Normalize,
    gives: Option<&str>,
    cfg: &Settings,
) -> Tried {
    let expected = gives.ok_or("a case with `normalize` needs `gives`")?;
    let found = mapping
        .normalize(normalize.kind, &normalize.ca_id, cfg)
        .map_err(told)?;
    compare("normalize", &expected, &found.as_str())
}

fn run_session(mapping: &Arc<Mapping>, case: &Case, lines: &[SessionLine], cfg: Settings) -> Tried {
    let mut session = MappingSession::new(Arc::clone(mapping), cfg);
    for (index, line) in lines.iter().enumerate() {
        let found = match (&line.frame, line.connect) {
            (Some(frame), false) => session.on_frame(&frame.get()?),
            (None, true) => session.on_connect(&case.ctx.at(0)),
            _ => return Err("each line of a session needs either `connect` or `frame`".to_owned()),
        }
        .map_err(told)?;
        let expected = expected_steps(line)?;
        differ(
            &format!("session line {}", index + 1),
            expected == found,
            &wording::of_steps(&expected),
            &wording::of_steps(&found),
        )?;
    }
    Ok(())
}

fn expected_steps(line: &SessionLine) -> Result<Vec<SessionStep>, String> {
    let mut steps = Vec::new();
    if !line.send.is_empty() {
        let frames = line.send.iter().map(Bytes::get).collect::<Result<_, _>>()?;
        steps.push(SessionStep::Send(frames));
    }
    if !line.keep.is_empty() {
        let kept = line.keep.clone().into_iter().collect();
        steps.push(SessionStep::Keep(kept));
    }
    if line.ready {
        steps.push(SessionStep::Ready);
    }
    if let Some(text) = &line.fail {
        steps.push(SessionStep::Fail(text.clone()));
    }
    Ok(steps)
}

fn compare_frame(mapping: &Mapping, found: &Encoded, golden: &Golden) -> Tried {
    let expected = golden.body()?;
    if expected != found.body {
        let at = first_difference(&expected, &found.body);
        let fields = mapping.fields(&found.body);
        let field = fields
            .iter()
            .find(|field| (field.at..field.at + field.bytes).contains(&at));
        let field = field.map_or_else(String::new, |field| format!(", {}", field.name));
        return Err(format!(
            "frame differs at byte {at}{field}\n  expected {}\n  found    {}",
            wording::of_bytes(&expected),
            wording::of_bytes(&found.body)
        ));
    }
    if let Some(key) = &golden.key {
        compare("key", key, &found.key)?;
    }
    if let Some(wire) = &golden.wire {
        let framed = on_the_wire(&mapping.description().framing, &found.body)?;
        compare("wire", &hex::encode(unhex(wire)?), &hex::encode(framed))?;
    }
    Ok(())
}

fn first_difference(left: &[u8], right: &[u8]) -> usize {
    left.iter()
        .zip(right)
        .position(|(left, right)| left != right)
        .unwrap_or(left.len().min(right.len()))
}

/// The payload on the wire, written out here a second time so that a case also checks the transport.
fn on_the_wire(framing: &Framing, body: &[u8]) -> Result<Vec<u8>, String> {
    Ok(match framing {
        Framing::Len {
            bytes,
            endian,
            includes_self,
            adjust,
            ..
        } => {
            let own = if *includes_self { i64::from(*bytes) } else { 0 };
            let number = i64::try_from(body.len()).unwrap_or(i64::MAX) - i64::from(*adjust) + own;
            let mut prefix: Vec<u8> = number
                .to_le_bytes()
                .into_iter()
                .take(usize::from(*bytes))
                .collect();
            if *endian == Endian::Big {
                prefix.reverse();
            }
            [&prefix, body].concat()
        }
        Framing::Delim { bytes, .. } => [body, bytes].concat(),
        Framing::StxEtx {
            stx,
            etx,
            escape: None,
            checksum,
            ..
        } => {
            let closed = [body, &[*etx]].concat();
            let sum = checksum.of(&closed);
            [&[*stx], &*closed, &sum].concat()
        }
        Framing::Header { .. } | Framing::Fixed { .. } => body.to_vec(),
        Framing::StxEtx { .. } | Framing::Http { .. } => {
            return Err(
                "`wire` is not for HTTP and escaped frames: give `text` or `hex`".to_owned(),
            );
        }
    })
}

fn compare<T: PartialEq + Debug>(what: &str, expected: &T, found: &T) -> Tried {
    let is_same = expected == found;
    differ(
        what,
        is_same,
        &format!("{expected:?}"),
        &format!("{found:?}"),
    )
}

fn differ(what: &str, is_same: bool, expected: &str, found: &str) -> Tried {
    if is_same {
        return Ok(());
    }
    Err(format!(
        "{what} differs\n  expected {expected}\n  found    {found}"
    ))
}

/// Settings of a case stand in its file, not with a provider.
fn told_of_cfg(error: ScriptError) -> String {
    match error {
        ScriptError::Settings { message, .. } => format!(
            "{message}\n  hint: the settings of a case stand in its file, as \"cfg\": {{...}} beside or above it"
        ),
        other => told(other),
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the form that `map_err` takes"
)]
pub(super) fn told(error: ScriptError) -> String {
    error.report()
}
