//! The native helpers that mappings build and read frames with; every number and every position is checked.
//!
//! A frame is a rhai blob. `put_...` appends to it, `frame.u16be(at)` and its like read it, and each error names the value, the
//! field's limit and the frame's length. `README.md` of the mappings lists them for script writers.

mod checksum;
mod document;
mod put;
mod read;
mod text;

pub(crate) use text::yyyymmdd;

use rhai::{Engine, EvalAltResult, FuncRegistration, INT, Position};

/// Every helper's name: what `check` counts as known besides rhai's own.
pub(crate) const NAMES: &[&str] = &[
    "put_u8",
    "put_u16be",
    "put_u16le",
    "put_u24be",
    "put_u32be",
    "put_u32le",
    "put_ascii",
    "put_text",
    "put_right",
    "put_digits",
    "put_bcd",
    "put_hex",
    "put_bytes",
    "put_repeat",
    "prefix_u8",
    "prefix_u16be",
    "prefix_u16le",
    "prefix_u32be",
    "u8",
    "u16be",
    "u16le",
    "u24be",
    "u32be",
    "u32le",
    "ascii",
    "text",
    "digits",
    "bcd",
    "bytes",
    "is_digits",
    "is_ascii",
    "to_hex",
    "from_hex",
    "right",
    "strip_left",
    "strip_right",
    "date_yyyymmdd",
    "put_date",
    "crc16_ccitt",
    "crc16_modbus",
    "crc32",
    "xor",
    "lrc",
    "json",
    "is_json",
    "to_json",
    "xml_escape",
    "xml_text",
    "form",
];

/// A frame may not grow beyond this.
pub(crate) const FRAME_BYTES_MAX: usize = 64 * 1024;

pub(crate) type Native<T> = Result<T, Box<EvalAltResult>>;

pub(crate) fn register(engine: &mut Engine) {
    put::register(engine);
    read::register(engine);
    text::register(engine);
    checksum::register(engine);
    document::register(engine);
}

/// An error that the script's author reads; rhai adds the position of the call.
fn fail<T>(text: impl Into<String>) -> Native<T> {
    let text: String = text.into();
    Err(EvalAltResult::ErrorRuntime(text.into(), Position::NONE).into())
}

/// A registration that may be called on constants too: the function does not change its first argument.
fn pure(name: &str) -> FuncRegistration {
    FuncRegistration::new(name).with_purity(true)
}

/// A width, count or position that must not be negative nor beyond any frame.
fn size(value: INT, what: &str) -> Native<usize> {
    match usize::try_from(value) {
        Ok(size) if size <= FRAME_BYTES_MAX => Ok(size),
        _ => fail(format!(
            "{what} is {value}, allowed is 0 to {FRAME_BYTES_MAX}"
        )),
    }
}
