//! `describe()` of a mapping into a `Description`: every key known, every value within its limits.
//!
//! Spans of time are texts with a unit ("250ms", "10s", "5m", "1h"), as in the configuration file.

use std::time::Duration;

use rhai::Dynamic;

use super::contract::{
    Ability, Ambiguous, Capabilities, Description, Endian, Framing, Matching, Session,
    TransactionRange,
};
use super::value::{Fields, Read, Wrong, show, text_of};
use crate::domain::Checksum;

const WINDOW_MAX: u32 = 4_096;
const LANES_MAX: u8 = 64;
const FRAME_BYTES_MAX: u32 = 64 * 1024;
/// Of an HTTP message: what a script may hold as one text.
const MESSAGE_BYTES_MAX: u32 = 256 * 1024;
const DELIMITER_BYTES_MAX: usize = 16;
const TRANSACTION_MAX: u64 = i64::MAX.unsigned_abs();

pub(crate) fn description(value: Dynamic) -> Read<Description> {
    let mut fields = Fields::of("describe()", value)?;
    let framing = framing(fields.need("framing")?)?;
    let description = Description {
        session: session(fields.need("session")?, &framing)?,
        framing,
        transaction: transaction(fields.need("transaction")?)?,
        caps: capabilities(fields.need("caps")?)?,
    };
    fields.finish()?;
    Ok(description)
}

fn framing(value: Dynamic) -> Read<Framing> {
    const KINDS: [&str; 6] = ["len", "header", "stxetx", "delim", "fixed", "http"];
    let mut kinds = Fields::of("framing", value)?;
    let mut found = None;
    for kind in KINDS {
        if let Some(value) = kinds.take(kind) {
            if found.is_some() {
                return Err(Wrong::new("framing has two kinds: expected one"));
            }
            found = Some((kind, value));
        }
    }
    kinds.finish()?;
    let Some((kind, value)) = found else {
        return Err(Wrong::new(format!(
            "framing has no kind: expected one of {}",
            KINDS.join(", ")
        )));
    };
    match kind {
        "len" => len(value),
        "header" => header(value),
        "stxetx" => marked(value),
        "delim" => delim(value),
        "fixed" => {
            let mut fields = Fields::of("framing.fixed", value)?;
            let size = need(&mut fields, "size", 1, FRAME_BYTES_MAX)?;
            fields.finish()?;
            Ok(Framing::Fixed { size })
        }
        _ => {
            let mut fields = Fields::of("framing.http", value)?;
            let max = within(&mut fields, "max", 1, MESSAGE_BYTES_MAX)?;
            fields.finish()?;
            Ok(Framing::Http {
                max: max.unwrap_or(FRAME_BYTES_MAX),
            })
        }
    }
}

fn len(value: Dynamic) -> Read<Framing> {
    let mut fields = Fields::of("framing.len", value)?;
    let framing = Framing::Len {
        bytes: field_bytes(&mut fields, "bytes")?,
        endian: endian(&mut fields)?,
        includes_self: fields.flag("includes_self")?.unwrap_or(false),
        adjust: fields.number("adjust", "a small number")?.unwrap_or(0),
        max: need(&mut fields, "max", 1, FRAME_BYTES_MAX)?,
    };
    fields.finish()?;
    Ok(framing)
}

fn header(value: Dynamic) -> Read<Framing> {
    let mut fields = Fields::of("framing.header", value)?;
    let size: u8 = need(&mut fields, "size", 1, u8::MAX)?;
    let len_bytes = field_bytes(&mut fields, "len_bytes")?;
    let len_at: u8 = need(&mut fields, "len_at", 0, u8::MAX)?;
    let magic = fields.bytes("magic")?.unwrap_or_default();
    let framing = Framing::Header {
        size,
        len_at,
        len_bytes,
        endian: endian(&mut fields)?,
        adjust: fields.number("adjust", "a small number")?.unwrap_or(0),
        max: need(&mut fields, "max", u32::from(size), FRAME_BYTES_MAX)?,
        magic,
    };
    fields.finish()?;
    let Framing::Header { magic, .. } = &framing else {
        return Ok(framing);
    };
    if u16::from(len_at) + u16::from(len_bytes) > u16::from(size) {
        return Err(Wrong::new(format!(
            "framing.header: the length field of {len_bytes} bytes at {len_at} does not lie in the {size} bytes of the header"
        )));
    }
    if magic.len() > usize::from(len_at) {
        return Err(Wrong::new(format!(
            "framing.header: the magic of {} bytes reaches into the length field at {len_at}",
            magic.len()
        )));
    }
    Ok(framing)
}

fn marked(value: Dynamic) -> Read<Framing> {
    let mut fields = Fields::of("framing.stxetx", value)?;
    let byte = |fields: &mut Fields, key| within::<u8>(fields, key, 0, u8::MAX);
    let stx = byte(&mut fields, "stx")?.unwrap_or(2);
    let etx = byte(&mut fields, "etx")?.unwrap_or(3);
    let escape = byte(&mut fields, "escape")?;
    let checksum = choice(&mut fields, "checksum", &Checksum::ALL)?.unwrap_or_default();
    let max = need(&mut fields, "max", 1, FRAME_BYTES_MAX)?;
    fields.finish()?;
    if stx == etx || escape == Some(stx) || escape == Some(etx) {
        return Err(Wrong::new(
            "framing.stxetx: stx, etx and escape must be different bytes",
        ));
    }
    Ok(Framing::StxEtx {
        stx,
        etx,
        escape,
        checksum,
        max,
    })
}

fn delim(value: Dynamic) -> Read<Framing> {
    let mut fields = Fields::of("framing.delim", value)?;
    let bytes = fields
        .bytes("bytes")?
        .ok_or_else(|| fields.missing("bytes"))?;
    if bytes.is_empty() || bytes.len() > DELIMITER_BYTES_MAX {
        let expected = format!("1 to {DELIMITER_BYTES_MAX} bytes");
        return Err(fields.wrong("bytes", &expected, &bytes.len().to_string()));
    }
    let max = need(&mut fields, "max", 1, FRAME_BYTES_MAX)?;
    fields.finish()?;
    Ok(Framing::Delim { bytes, max })
}

fn field_bytes(fields: &mut Fields, key: &'static str) -> Read<u8> {
    let bytes: u8 = need(fields, key, 1, 4)?;
    if bytes == 3 {
        return Err(fields.wrong(key, "1, 2 or 4", "3"));
    }
    Ok(bytes)
}

fn endian(fields: &mut Fields) -> Read<Endian> {
    let endian = choice(
        fields,
        "endian",
        &[("big", Endian::Big), ("little", Endian::Little)],
    )?;
    Ok(endian.unwrap_or(Endian::Big))
}

fn need<T>(fields: &mut Fields, key: &'static str, min: T, max: T) -> Read<T>
where
    T: TryFrom<i64> + PartialOrd + Copy + std::fmt::Display,
{
    within(fields, key, min, max)?.ok_or_else(|| fields.missing(key))
}

fn session(value: Dynamic, framing: &Framing) -> Read<Session> {
    let mut fields = Fields::of("session", value)?;
    let is_http = matches!(framing, Framing::Http { .. });
    let session = Session {
        connect_timeout: span(&mut fields, "connect_timeout")?.unwrap_or(Duration::from_secs(5)),
        reply_timeout: span(&mut fields, "reply_timeout")?.unwrap_or(Duration::from_secs(10)),
        keepalive_every: span(&mut fields, "keepalive_every")?.unwrap_or(Duration::ZERO),
        lanes: within(&mut fields, "lanes", 1, LANES_MAX)?.unwrap_or(1),
        window: within(&mut fields, "window", 1, WINDOW_MAX)?.unwrap_or(1),
        matching: choice(
            &mut fields,
            "matching",
            &[("key", Matching::Key), ("fifo", Matching::Fifo)],
        )?
        .unwrap_or(if is_http {
            Matching::Fifo
        } else {
            Matching::Key
        }),
        rate_per_s: within(&mut fields, "rate_per_s", 0, u32::MAX)?.unwrap_or(0),
        min_gap: span(&mut fields, "min_gap")?.unwrap_or(Duration::ZERO),
        ready_after: within(&mut fields, "ready_after", 0, u8::MAX)?.unwrap_or(0),
        reconnect_min: span(&mut fields, "reconnect_min")?.unwrap_or(Duration::from_secs(1)),
        reconnect_max: span(&mut fields, "reconnect_max")?.unwrap_or(Duration::from_mins(1)),
        ambiguous: choice(
            &mut fields,
            "ambiguous",
            &[
                ("resend", Ambiguous::Resend),
                ("query", Ambiguous::Query),
                ("hold", Ambiguous::Hold),
            ],
        )?
        .unwrap_or(Ambiguous::Hold),
    };
    if session.matching == Matching::Fifo && session.window > 1 {
        return Err(Wrong::new(
            "session.window must be 1 where answers are matched by their order: one that is lost would make the next speak for \
             another command",
        )
        .with_hint("more `lanes` work side by side"));
    }
    if session.reconnect_min > session.reconnect_max {
        return Err(Wrong::new(
            "session.reconnect_min is longer than session.reconnect_max",
        ));
    }
    if is_http && session.matching == Matching::Key {
        return Err(Wrong::new(
            "session.matching must be fifo over HTTP: it has no keys",
        ));
    }
    fields.finish()?;
    Ok(session)
}

fn transaction(value: Dynamic) -> Read<TransactionRange> {
    let mut fields = Fields::of("transaction", value)?;
    let min = within(&mut fields, "min", 0, TRANSACTION_MAX)?.unwrap_or(1);
    let max =
        within(&mut fields, "max", 0, TRANSACTION_MAX)?.ok_or_else(|| fields.missing("max"))?;
    fields.finish()?;
    if min >= max {
        return Err(Wrong::new(format!(
            "transaction.min {min} is not below transaction.max {max}"
        )));
    }
    Ok(TransactionRange { min, max })
}

fn capabilities(value: Dynamic) -> Read<Capabilities> {
    let mut fields = Fields::of("caps", value)?;
    let caps = Capabilities {
        pair: fields.flag("pair")?.unwrap_or(false),
        unpair: fields.flag("unpair")?.unwrap_or(false),
        query: fields.flag("query")?.unwrap_or(false),
        products: fields.flag("products")?.unwrap_or(false),
        pin: ability(&mut fields, "pin")?,
        needs_previous_stb: fields.flag("needs_previous_stb")?.unwrap_or(false),
        card_to_stb: within(&mut fields, "card_to_stb", 0, u32::MAX)?.unwrap_or(1),
        stb_to_card: within(&mut fields, "stb_to_card", 0, u32::MAX)?.unwrap_or(0),
    };
    fields.finish()?;
    Ok(caps)
}

/// True, false, or the name of the setting that it needs.
fn ability(fields: &mut Fields, key: &'static str) -> Read<Ability> {
    let Some(value) = fields.take(key) else {
        return Ok(Ability::No);
    };
    if let Ok(name) = value.as_immutable_string_ref() {
        return Ok(Ability::WithSetting(name.to_string()));
    }
    match value.as_bool() {
        Ok(true) => Ok(Ability::Yes),
        Ok(false) => Ok(Ability::No),
        Err(_) => {
            let expected = "true, false or the name of a setting";
            Err(fields.wrong(key, expected, &show(&value)))
        }
    }
}

fn within<T>(fields: &mut Fields, key: &'static str, min: T, max: T) -> Read<Option<T>>
where
    T: TryFrom<i64> + PartialOrd + Copy + std::fmt::Display,
{
    let expected = format!("a number from {min} to {max}");
    match fields.number::<T>(key, &expected)? {
        Some(number) if number < min || number > max => {
            Err(fields.wrong(key, &expected, &number.to_string()))
        }
        number => Ok(number),
    }
}

fn span(fields: &mut Fields, key: &'static str) -> Read<Option<Duration>> {
    const EXPECTED: &str = "a span such as \"250ms\", \"10s\" or \"5m\"";
    let Some(value) = fields.take(key) else {
        return Ok(None);
    };
    value
        .as_immutable_string_ref()
        .ok()
        .and_then(|text| parse_span(text.as_str()))
        .map(Some)
        .ok_or_else(|| fields.wrong(key, EXPECTED, &show(&value)))
}

/// A whole number and its unit.
fn parse_span(text: &str) -> Option<Duration> {
    let digits = text.find(|character: char| !character.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let millis = match unit.trim_start() {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(millis).map(Duration::from_millis)
}

fn choice<T: Copy>(
    fields: &mut Fields,
    key: &'static str,
    choices: &[(&str, T)],
) -> Read<Option<T>> {
    let Some(value) = fields.take(key) else {
        return Ok(None);
    };
    let word = text_of(&value).unwrap_or_default();
    if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == word) {
        return Ok(Some(*choice));
    }
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    let wrong = fields.wrong(key, &format!("one of {}", names.join(", ")), &show(&value));
    Err(match super::error::nearest(&word, names) {
        Some(name) => wrong.with_hint(format!("did you mean `{name}`?")),
        None => wrong,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_need_a_unit() {
        assert_eq!(parse_span("10s"), Some(Duration::from_secs(10)));
        assert_eq!(parse_span("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse_span("5 m"), Some(Duration::from_mins(5)));
        for wrong in [
            "",
            "10",
            "s",
            "-1s",
            "1.5s",
            "99999999999999999999h",
            "10 days",
        ] {
            assert_eq!(parse_span(wrong), None, "{wrong}");
        }
    }
}
