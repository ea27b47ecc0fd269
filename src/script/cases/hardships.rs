//! What every mapping must bear without a case that says so: cut frames, garbage, the same frame twice, numbers at the wrap.
//!
//! The hazard behind it: a damaged answer read as the acknowledgement of another card's command.

use super::file::Case;
use super::run::told;
use crate::script::contract::{Decoded, Matching};
use crate::script::mapping::Mapping;
use crate::script::settings::Settings;

type Tried = Result<(), String>;

pub const CUT_FRAME: &str = "a cut frame confirms nothing else";
pub const SAME_TWICE: &str = "a frame decoded twice says the same";
pub const GARBAGE: &str = "garbage is no error and confirms nothing";
pub const WRAP: &str = "numbers at the wrap give keys of their own";

pub(super) fn run(mapping: &Mapping, cases: &[&Case]) -> Vec<(&'static str, Tried)> {
    vec![
        (CUT_FRAME, each_frame(mapping, cases, cut_frame)),
        (SAME_TWICE, each_frame(mapping, cases, same_twice)),
        (GARBAGE, garbage(mapping, cases)),
        (WRAP, wrap(mapping, cases)),
    ]
}

fn each_frame(
    mapping: &Mapping,
    cases: &[&Case],
    try_one: fn(&Mapping, &[u8], &Settings) -> Tried,
) -> Tried {
    for case in cases {
        let Some(frame) = &case.frame else {
            continue;
        };
        let cfg = mapping.settings(&case.cfg).map_err(told)?;
        try_one(mapping, &frame.get()?, &cfg).map_err(|text| format!("{}: {text}", case.name))?;
    }
    Ok(())
}

fn confirmed_key(decoded: &Decoded) -> Option<&str> {
    match decoded {
        Decoded::Reply(reply) if reply.outcome.is_confirmed() => Some(&reply.key),
        _ => None,
    }
}

fn cut_frame(mapping: &Mapping, frame: &[u8], cfg: &Settings) -> Tried {
    let whole = mapping.decode(frame, cfg).map_err(told)?;
    for length in 0..frame.len() {
        let part = frame.get(..length).unwrap_or_default();
        let decoded = mapping
            .decode(part, cfg)
            .map_err(|error| format!("cut to {length} bytes: {}", error.report()))?;
        let key = confirmed_key(&decoded);
        if key.is_some() && key != confirmed_key(&whole) {
            return Err(format!(
                "cut to {length} bytes it confirms another command: {decoded:?}"
            ));
        }
    }
    Ok(())
}

fn same_twice(mapping: &Mapping, frame: &[u8], cfg: &Settings) -> Tried {
    let first = mapping.decode(frame, cfg).map_err(told)?;
    let second = mapping.decode(frame, cfg).map_err(told)?;
    if first == second {
        return Ok(());
    }
    Err(format!("first {first:?}, then {second:?}"))
}

fn garbage(mapping: &Mapping, cases: &[&Case]) -> Tried {
    let Some(case) = cases.first() else {
        return Ok(());
    };
    let cfg = mapping.settings(&case.cfg).map_err(told)?;
    let rubbish: [Vec<u8>; 6] = [
        Vec::new(),
        vec![0],
        vec![0xff; 200],
        vec![0; 200],
        (0..=255).collect(),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
    ];
    for frame in rubbish {
        let decoded = mapping
            .decode(&frame, &cfg)
            .map_err(|error| format!("`{}`: {}", frame.escape_ascii(), error.report()))?;
        if confirmed_key(&decoded).is_some() {
            return Err(format!("`{}` confirms: {decoded:?}", frame.escape_ascii()));
        }
    }
    Ok(())
}

fn wrap(mapping: &Mapping, cases: &[&Case]) -> Tried {
    let request = cases
        .iter()
        .filter(|case| case.frames.is_some())
        .find_map(|case| Some((*case, case.request.as_ref()?)));
    let Some((case, request)) = request else {
        return Ok(());
    };
    if mapping.description().session.matching != Matching::Key {
        return Ok(());
    }
    let cfg = mapping.settings(&case.cfg).map_err(told)?;
    let steps = mapping.plan(request, &cfg).map_err(told)?;
    let range = mapping.description().transaction;
    let mut keys: Vec<String> = Vec::new();
    for transaction in [range.min, range.min + 1, range.max - 1, range.max] {
        let mut context = case.ctx.at(0);
        context.transaction = transaction;
        for step in steps.iter().take(1) {
            let encoded = mapping
                .encode(step, &context, &cfg)
                .map_err(|error| format!("transaction {transaction}: {}", error.report()))?;
            keys.push(encoded.key);
        }
    }
    keys.sort_unstable();
    // Two neighbours may be the same number in a range of two.
    keys.dedup();
    let expected = usize::try_from(range.max - range.min + 1)
        .unwrap_or(4)
        .min(4);
    if keys.len() < expected && !steps.is_empty() {
        return Err(format!(
            "different transactions gave the same key: {keys:?}"
        ));
    }
    Ok(())
}
