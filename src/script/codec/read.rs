//! Reading fields of a frame; a field that reaches past the end is an error that says how long the frame is.
//!
//! `is_digits` and `is_ascii` answer instead of failing, so that `decode` can sort out garbage without a script error.

use rhai::{Blob, Engine, INT, ImmutableString};

use super::{Native, fail, pure, size, text::from_ascii};

pub(super) fn register(engine: &mut Engine) {
    pure("u8").register_into_engine(engine, |frame: &mut Blob, at: INT| big(frame, at, 1, "u8"));
    pure("u16be").register_into_engine(engine, |frame: &mut Blob, at: INT| {
        big(frame, at, 2, "u16be")
    });
    pure("u16le").register_into_engine(engine, |frame: &mut Blob, at: INT| {
        little(frame, at, 2, "u16le")
    });
    pure("u24be").register_into_engine(engine, |frame: &mut Blob, at: INT| {
        big(frame, at, 3, "u24be")
    });
    pure("u32be").register_into_engine(engine, |frame: &mut Blob, at: INT| {
        big(frame, at, 4, "u32be")
    });
    pure("u32le").register_into_engine(engine, |frame: &mut Blob, at: INT| {
        little(frame, at, 4, "u32le")
    });
    pure("ascii").register_into_engine(engine, |frame: &mut Blob, at: INT, length: INT| {
        from_ascii(field(frame, at, length, "ascii")?)
    });
    pure("text").register_into_engine(engine, |frame: &mut Blob, at: INT, length: INT| {
        from_ascii(field(frame, at, length, "text")?.trim_ascii_end())
    });
    pure("digits").register_into_engine(engine, digits);
    pure("bcd").register_into_engine(engine, bcd);
    pure("bytes").register_into_engine(engine, |frame: &mut Blob, at: INT, length: INT| {
        field(frame, at, length, "bytes").map(<[u8]>::to_vec)
    });
    pure("is_digits").register_into_engine(engine, |frame: &mut Blob, at: INT, length: INT| {
        slice(frame, at, length).is_some_and(|bytes| bytes.iter().all(u8::is_ascii_digit))
    });
    pure("is_ascii").register_into_engine(engine, |frame: &mut Blob| {
        frame.iter().all(|byte| (0x20..0x7f).contains(byte))
    });
    pure("to_hex").register_into_engine(engine, |frame: &mut Blob| hex::encode(frame));
}

fn slice(frame: &[u8], at: INT, length: INT) -> Option<&[u8]> {
    let at = usize::try_from(at).ok()?;
    let end = at.checked_add(usize::try_from(length).ok()?)?;
    frame.get(at..end)
}

fn field<'a>(frame: &'a [u8], at: INT, length: INT, what: &str) -> Native<&'a [u8]> {
    match slice(frame, at, length) {
        Some(bytes) => Ok(bytes),
        None => fail(format!(
            "{what} at {at} with {length} bytes reaches past the end: the frame has {} bytes",
            frame.len()
        )),
    }
}

fn big(frame: &[u8], at: INT, length: INT, what: &str) -> Native<INT> {
    let bytes = field(frame, at, length, what)?;
    Ok(bytes
        .iter()
        .fold(0, |value, byte| (value << 8) | INT::from(*byte)))
}

fn little(frame: &[u8], at: INT, length: INT, what: &str) -> Native<INT> {
    let bytes = field(frame, at, length, what)?;
    Ok(bytes
        .iter()
        .rev()
        .fold(0, |value, byte| (value << 8) | INT::from(*byte)))
}

fn digits(frame: &mut Blob, at: INT, length: INT) -> Native<INT> {
    let length = INT::try_from(size(length, "the length")?).unwrap_or(INT::MAX);
    let bytes = field(frame, at, length, "digits")?;
    bytes
        .iter()
        .try_fold(0_i64, |value, byte| {
            let digit = byte.is_ascii_digit().then(|| i64::from(byte - b'0'))?;
            value.checked_mul(10)?.checked_add(digit)
        })
        .map_or_else(
            || {
                fail(format!(
                    "digits at {at}: `{}` is not a decimal number of up to 18 digits",
                    bytes.escape_ascii()
                ))
            },
            Ok,
        )
}

fn bcd(frame: &mut Blob, at: INT, length: INT) -> Native<ImmutableString> {
    let text = hex::encode(field(frame, at, length, "bcd")?);
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(text.into());
    }
    fail(format!("bcd at {at}: `{text}` holds a half-byte above 9"))
}
