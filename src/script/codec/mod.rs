//! The native helpers that mappings build and read frames with; every number and every position is checked.
//!
//! A frame is a rhai blob. `put_...` appends to it, `frame.u16be(at)` and its like read it, and each error names the value, the
//! field's limit and the frame's length. `reference.rs` says what each does.

mod checksum;
mod document;
mod put;
mod read;
pub(crate) mod reference;
mod text;

pub(crate) use text::yyyymmdd;

use rhai::{Engine, EvalAltResult, FuncRegistration, INT, Position};

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
