//! Appending fields to a frame: numbers, padded columns, decimal digits, BCD, and length prefixes.
//!
//! A value that does not fit its field is an error, never cut: a cut card number would pair a stranger's box.

use rhai::{Blob, Engine, FuncRegistration, INT, ImmutableString};

use super::{FRAME_BYTES_MAX, Native, fail, pure, size};

/// What a frame begins with: most are whole within it, and need not grow from column to column.
const FIRST_BYTES: usize = 128;

pub(super) fn register(engine: &mut Engine) {
    engine.register_fn("put_u8", |frame: &mut Blob, value: INT| {
        number::<1>(frame, value, "u8", Order::Big)
    });
    engine.register_fn("put_u16be", |frame: &mut Blob, value: INT| {
        number::<2>(frame, value, "u16be", Order::Big)
    });
    engine.register_fn("put_u16le", |frame: &mut Blob, value: INT| {
        number::<2>(frame, value, "u16le", Order::Little)
    });
    engine.register_fn("put_u24be", |frame: &mut Blob, value: INT| {
        number::<3>(frame, value, "u24be", Order::Big)
    });
    engine.register_fn("put_u32be", |frame: &mut Blob, value: INT| {
        number::<4>(frame, value, "u32be", Order::Big)
    });
    engine.register_fn("put_u32le", |frame: &mut Blob, value: INT| {
        number::<4>(frame, value, "u32le", Order::Little)
    });
    engine.register_fn("put_ascii", |frame: &mut Blob, text: ImmutableString| {
        append(frame, printable(&text)?.as_bytes())
    });
    engine.register_fn(
        "put_text",
        |frame: &mut Blob, text: ImmutableString, width: INT| {
            column(frame, &text, width, Side::Left)
        },
    );
    engine.register_fn(
        "put_right",
        |frame: &mut Blob, text: ImmutableString, width: INT| {
            column(frame, &text, width, Side::Right)
        },
    );
    engine.register_fn("put_digits", |frame: &mut Blob, value: INT, width: INT| {
        let width = size(width, "the width")?;
        zero_padded(frame, itoa(value)?.as_str(), width)
    });
    engine.register_fn(
        "put_digits",
        |frame: &mut Blob, text: ImmutableString, width: INT| {
            let width = size(width, "the width")?;
            zero_padded(frame, &text, width)
        },
    );
    engine.register_fn(
        "put_bcd",
        |frame: &mut Blob, digits: ImmutableString, bytes: INT| bcd(frame, &digits, bytes),
    );
    engine.register_fn("put_hex", |frame: &mut Blob, text: ImmutableString| {
        append(frame, &super::text::from_hex(&text)?)
    });
    engine.register_fn("put_bytes", |frame: &mut Blob, bytes: Blob| {
        append(frame, &bytes)
    });
    engine.register_fn("put_repeat", |frame: &mut Blob, byte: INT, count: INT| {
        let byte = u8::try_from(byte)
            .or_else(|_| fail(format!("the byte {byte} is not within 0 to 255")))?;
        let count = size(count, "the count")?;
        room(frame, count)?;
        frame.resize(frame.len() + count, byte);
        Ok::<(), Box<rhai::EvalAltResult>>(())
    });
    prefix::<1>(engine, "prefix_u8", Order::Big);
    prefix::<2>(engine, "prefix_u16be", Order::Big);
    prefix::<2>(engine, "prefix_u16le", Order::Little);
    prefix::<4>(engine, "prefix_u32be", Order::Big);
    let _ =
        FuncRegistration::new("digits").register_into_engine(engine, |value: INT, width: INT| {
            let mut field = Blob::new();
            zero_padded(&mut field, itoa(value)?.as_str(), size(width, "the width")?)?;
            super::text::from_ascii(field)
        });
    let _ = FuncRegistration::new("digits").register_into_engine(
        engine,
        |text: ImmutableString, width: INT| {
            let mut field = Blob::new();
            zero_padded(&mut field, &text, size(width, "the width")?)?;
            super::text::from_ascii(field)
        },
    );
    engine.register_fn("text", |text: ImmutableString, width: INT| {
        let mut field = Blob::new();
        column(&mut field, &text, width, Side::Left)?;
        super::text::from_ascii(field)
    });
    engine.register_fn("right", |text: ImmutableString, width: INT| {
        let mut field = Blob::new();
        column(&mut field, &text, width, Side::Right)?;
        super::text::from_ascii(field)
    });
}

#[derive(Clone, Copy)]
enum Order {
    Big,
    Little,
}

#[derive(Clone, Copy)]
enum Side {
    Left,
    Right,
}

/// Room for `more` bytes, within the bound of frames.
fn room(frame: &mut Blob, more: usize) -> Native<()> {
    if frame.len().saturating_add(more) > FRAME_BYTES_MAX {
        return fail(format!(
            "the frame would grow beyond {FRAME_BYTES_MAX} bytes"
        ));
    }
    if frame.capacity() == 0 {
        frame.reserve(more.max(FIRST_BYTES));
    }
    Ok(())
}

pub(super) fn append(frame: &mut Blob, bytes: &[u8]) -> Native<()> {
    room(frame, bytes.len())?;
    frame.extend_from_slice(bytes);
    Ok(())
}

fn number<const BYTES: usize>(
    frame: &mut Blob,
    value: INT,
    field: &str,
    order: Order,
) -> Native<()> {
    let bits = u32::try_from(BYTES).unwrap_or(4) * 8;
    let max = (1_i64 << bits) - 1;
    if !(0..=max).contains(&value) {
        return fail(format!(
            "{value} does not fit {field}: allowed is 0 to {max}"
        ));
    }
    let bytes = value.to_be_bytes();
    let low = bytes.iter().skip(bytes.len() - BYTES);
    room(frame, BYTES)?;
    match order {
        Order::Big => frame.extend(low),
        Order::Little => frame.extend(low.rev()),
    }
    Ok(())
}

/// The number in decimal without a heap allocation: at most 19 digits.
struct Decimal([u8; 20], usize);

impl Decimal {
    fn as_str(&self) -> &str {
        self.0
            .get(self.1..)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .unwrap_or_default()
    }
}

fn itoa(value: INT) -> Native<Decimal> {
    let Ok(mut rest) = u64::try_from(value) else {
        return fail(format!(
            "{value} is negative: a column of digits has no sign"
        ));
    };
    let mut decimal = Decimal([b'0'; 20], 20);
    for slot in decimal.0.iter_mut().rev() {
        decimal.1 -= 1;
        *slot = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    Ok(decimal)
}

fn zero_padded(frame: &mut Blob, digits: &str, width: usize) -> Native<()> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return fail(format!("`{digits}` is not all digits"));
    }
    let Some(zeros) = width.checked_sub(digits.len()) else {
        return fail(format!(
            "`{digits}` has {} digits and the field has {width}",
            digits.len()
        ));
    };
    room(frame, width)?;
    frame.resize(frame.len() + zeros, b'0');
    frame.extend_from_slice(digits.as_bytes());
    Ok(())
}

fn printable(text: &str) -> Native<&str> {
    if text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return Ok(text);
    }
    fail(format!("{text:?} is not printable ASCII"))
}

fn column(frame: &mut Blob, text: &str, width: INT, side: Side) -> Native<()> {
    let width = size(width, "the width")?;
    let text = printable(text)?;
    let Some(blanks) = width.checked_sub(text.len()) else {
        return fail(format!(
            "`{text}` has {} characters and the field has {width}",
            text.len()
        ));
    };
    room(frame, width)?;
    match side {
        Side::Left => {
            frame.extend_from_slice(text.as_bytes());
            frame.resize(frame.len() + blanks, b' ');
        }
        Side::Right => {
            frame.resize(frame.len() + blanks, b' ');
            frame.extend_from_slice(text.as_bytes());
        }
    }
    Ok(())
}

/// Packed decimal, two digits a byte, zero-padded on the left to `bytes`.
fn bcd(frame: &mut Blob, digits: &str, bytes: INT) -> Native<()> {
    let width = size(bytes, "the number of bytes")?.saturating_mul(2);
    let mut padded = Blob::new();
    zero_padded(&mut padded, digits, width)?;
    let packed: Vec<u8> = padded
        .chunks_exact(2)
        .map(|pair| {
            pair.iter()
                .fold(0, |byte, digit| (byte << 4) | (digit & 0x0f))
        })
        .collect();
    append(frame, &packed)
}

/// `prefix_...(body)` gives a new frame: the body's length, then the body.
fn prefix<const BYTES: usize>(engine: &mut Engine, name: &'static str, order: Order) {
    pure(name).register_into_engine(engine, move |body: &mut Blob| {
        let mut frame = Blob::with_capacity(BYTES + body.len());
        let length = INT::try_from(body.len()).unwrap_or(INT::MAX);
        number::<BYTES>(&mut frame, length, name, order)?;
        append(&mut frame, body)?;
        Ok::<Blob, Box<rhai::EvalAltResult>>(frame)
    });
}
