//! The one place where rhai engines are built: limits, what is taken away, and the native helpers.
//!
//! A mapping's values are small and bounded by size, a job's and a free script's too; a simulator keeps every pairing in its
//! state, where rhai's size limits would count the whole map at each operation. All are bounded in depth, and all but free
//! scripts in operations and time.

use std::sync::OnceLock;
use std::time::Duration;

use rhai::{Blob, Dynamic, Engine, EvalAltResult, INT, OptimizationLevel, Position};
use tracing::{debug, info};

use super::budget;
use super::{codec, free, job, lookup};

/// Nested script calls; with the depths below this fits a stack of 8 MiB with room.
const CALL_LEVELS_MAX: usize = 32;
const EXPRESSION_DEPTH_MAX: usize = 64;
const FUNCTION_EXPRESSION_DEPTH_MAX: usize = 32;
const VARIABLES_MAX: usize = 256;
const FUNCTIONS_MAX: usize = 256;
const STRING_BYTES_MAX: usize = 256 * 1024;
const ARRAY_ITEMS_MAX: usize = 64 * 1024;
const MAP_ITEMS_MAX: usize = 16 * 1024;
/// A printed line is cut here.
const PRINT_CHARACTERS_MAX: usize = 500;
/// The stack a thread must have to run scripts.
pub const STACK_BYTES_MIN: usize = 8 * 1024 * 1024;

/// What the script is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    Mapping,
    Simulator,
    /// A bulk job.
    Job,
    /// An administrator's `main`.
    Free,
}

/// The engine of `profile`, built once: building takes 0.1 ms, and an engine without an interner is shared without locks.
pub(crate) fn engine(profile: Profile) -> &'static Engine {
    static MAPPING: OnceLock<Engine> = OnceLock::new();
    static SIMULATOR: OnceLock<Engine> = OnceLock::new();
    static JOB: OnceLock<Engine> = OnceLock::new();
    static FREE: OnceLock<Engine> = OnceLock::new();
    let cell = match profile {
        Profile::Mapping => &MAPPING,
        Profile::Simulator => &SIMULATOR,
        Profile::Job => &JOB,
        Profile::Free => &FREE,
    };
    cell.get_or_init(|| build(profile))
}

fn build(profile: Profile) -> Engine {
    let mut engine = Engine::new();
    engine
        .set_max_call_levels(CALL_LEVELS_MAX)
        .set_max_expr_depths(EXPRESSION_DEPTH_MAX, FUNCTION_EXPRESSION_DEPTH_MAX)
        .set_max_variables(VARIABLES_MAX)
        .set_max_functions(FUNCTIONS_MAX)
        .set_max_strings_interned(0)
        .set_strict_variables(true)
        .set_fail_on_invalid_map_property(true)
        .set_optimization_level(OptimizationLevel::Simple);
    match profile {
        Profile::Mapping | Profile::Simulator => {}
        Profile::Job => job::register(&mut engine),
        Profile::Free => free::register(&mut engine),
    }
    if profile != Profile::Simulator {
        engine
            .set_max_string_size(STRING_BYTES_MAX)
            .set_max_array_size(ARRAY_ITEMS_MAX)
            .set_max_map_size(MAP_ITEMS_MAX);
    }
    engine.disable_symbol("eval").disable_symbol("import");
    // `f = f.curry(f)` doubles f each time, and no limit of sizes counts what a function pointer carries. For the same reason
    // rhai is built without closures that capture: an anonymous function sees its parameters only.
    engine.disable_symbol("curry");
    engine.on_progress(|_| budget::tick().then_some(Dynamic::UNIT));
    engine.on_print(|text| {
        if free::print(text) {
            return;
        }
        budget::printed(|script| info!(script, text = cut(text), "script prints"));
    });
    engine.on_debug(|text, _, position| {
        let line = position.line().unwrap_or(0);
        budget::printed(|script| debug!(script, line, text = cut(text), "script debugs"));
    });
    take_away(&mut engine);
    codec::register(&mut engine);
    lookup::register(&mut engine);
    engine
}

fn cut(text: &str) -> String {
    text.chars().take(PRINT_CHARACTERS_MAX).collect()
}

type Refusal = Result<Dynamic, Box<EvalAltResult>>;

fn refuse(text: &str) -> Refusal {
    Err(EvalAltResult::ErrorRuntime(text.into(), Position::NONE).into())
}

const SLEEP: &str = "`sleep` is not for scripts: the engine keeps all waits and time-outs";
const CLOCK: &str = "`timestamp` is not for scripts: a mapping has ctx.now and ctx.date";
const READ: &str = "rhai's parse_le/parse_be functions misread short fields: use frame.u8(at), frame.u16be(at), \
                    frame.u16le(at), frame.u24be(at), frame.u32be(at), frame.u32le(at)";
const WRITE: &str = "rhai's write_le/write_be functions miswrite short fields: use put_u8, put_u16be, put_u16le, put_u24be, \
                     put_u32be, put_u32le";
const TEXT: &str =
    "rhai's write_ascii/write_utf8 clip silently: use put_ascii, put_text, put_digits";

type Open = core::ops::Range<INT>;
type Closed = core::ops::RangeInclusive<INT>;

/// Overrides what rhai offers and a mapping must not use. `disable_symbol` has no effect on plain functions.
fn take_away(engine: &mut Engine) {
    engine.register_fn("sleep", |_: INT| refuse(SLEEP));
    engine.register_fn("sleep", |_: f64| refuse(SLEEP));
    engine.register_fn("sleep", |_: Duration| refuse(SLEEP));
    engine.register_fn("timestamp", || refuse(CLOCK));

    // rhai 1.27 keeps the high bytes of the 8-byte number when a big-endian field is shorter (write_be(0, 2, 0x0102) writes
    // 00 00), and all of these clip silently at the end of the blob.
    for name in [
        "parse_be_int",
        "parse_le_int",
        "parse_be_float",
        "parse_le_float",
    ] {
        engine.register_fn(name, |_: &mut Blob, _: INT, _: INT| refuse(READ));
        engine.register_fn(name, |_: &mut Blob, _: Open| refuse(READ));
        engine.register_fn(name, |_: &mut Blob, _: Closed| refuse(READ));
    }
    for name in ["write_be", "write_le"] {
        engine.register_fn(name, |_: &mut Blob, _: INT, _: INT, _: INT| refuse(WRITE));
        engine.register_fn(name, |_: &mut Blob, _: INT, _: INT, _: f64| refuse(WRITE));
        engine.register_fn(name, |_: &mut Blob, _: Open, _: INT| refuse(WRITE));
        engine.register_fn(name, |_: &mut Blob, _: Closed, _: INT| refuse(WRITE));
        engine.register_fn(name, |_: &mut Blob, _: Open, _: f64| refuse(WRITE));
        engine.register_fn(name, |_: &mut Blob, _: Closed, _: f64| refuse(WRITE));
    }
    for name in ["write_ascii", "write_utf8"] {
        engine.register_fn(name, |_: &mut Blob, _: INT, _: INT, _: &str| refuse(TEXT));
        engine.register_fn(name, |_: &mut Blob, _: Open, _: &str| refuse(TEXT));
        engine.register_fn(name, |_: &mut Blob, _: Closed, _: &str| refuse(TEXT));
    }
}
