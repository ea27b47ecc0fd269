//! What a frame costs in the smsgw mapping, beside native Rust for the same frame: `cargo bench --bench mapping`.
//!
//! Prints processor nanoseconds a frame (wall time would count the neighbours), best of five rounds; asserts nothing.

use std::hint::black_box;
use std::path::Path;

use pairbox::domain::Timestamp;
use pairbox::script::contract::{Action, EncodeContext, MappingRequest};
use pairbox::script::{Mapping, SimulatorScript};
use serde_json::json;

const FRAMES: u32 = 20_000;
const ROUNDS: u32 = 5;

/// What this thread has run so far: the first number of its `schedstat`.
fn processor_nanos() -> u64 {
    // A thread's own number is brought up to date when it is scheduled.
    std::thread::yield_now();
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .unwrap_or_default()
}

fn best(name: &str, mut one: impl FnMut(u32)) {
    let nanos = (0..ROUNDS)
        .map(|_| {
            let started = processor_nanos();
            for number in 0..FRAMES {
                one(number);
            }
            (processor_nanos() - started) / u64::from(FRAMES)
        })
        .min()
        .unwrap_or_default();
    println!("{name:<34} {nanos:>8} ns a frame");
}

fn native_encode(context: &EncodeContext, card: &str, stb: &str) -> Vec<u8> {
    let now = context.now.to_utc();
    let day = |days| {
        (now + chrono::Duration::days(days))
            .format("%Y%m%d")
            .to_string()
    };
    let card = card.get(..10).unwrap_or(card);
    format!(
        "{:09}01{:0>4}{:0>4}{:0>5}{}N{}{}U{card}0052{stb:0>10}    ",
        context.transaction,
        "1234",
        "0005",
        "67892",
        day(0),
        day(-1),
        day(30)
    )
    .into_bytes()
}

fn native_decode(frame: &[u8]) -> Option<(&[u8], bool)> {
    let header = frame.get(..32)?;
    if !header.iter().all(u8::is_ascii_digit) || frame.get(9..11)? != b"05" {
        return None;
    }
    Some((frame.get(36..45)?, frame.get(32..36)? == b"1000"))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mapping = Mapping::load(Path::new("scripts"), "smsgw")?;
    let cfg =
        mapping.settings(&json!({"source_id": 1234, "dest_id": "0005", "mop_ppid": 67892}))?;
    let mut simulator = SimulatorScript::load(&mapping, &json!({}))?;
    let request = MappingRequest {
        action: Action::Pair,
        number: 1,
        card: "019000802077".to_owned(),
        stb: Some("0012345678".to_owned()),
        previous_stb: None,
        products: Vec::new(),
    };
    let context = |number: u32| EncodeContext {
        transaction: u64::from(number) + 1,
        now: Timestamp::from_micros(1_289_217_600_000_000),
        lane: 0,
    };
    let steps = mapping.plan(&request, &cfg)?;
    let step = steps.first().ok_or("no step")?;
    let body = mapping.encode(step, &context(0), &cfg)?.body;
    let native = native_encode(&context(0), &request.card, "0012345678");
    assert!(body == native, "both make the same frame");
    let answer = simulator.on_frame(&body, 1)?.remove(0);

    best("encode, mapping", |number| {
        let _ = black_box(mapping.encode(step, &context(number), &cfg));
    });
    best("encode, native Rust", |number| {
        black_box(native_encode(&context(number), &request.card, "0012345678"));
    });
    best("decode, mapping", |_| {
        let _ = black_box(mapping.decode(&answer, &cfg));
    });
    best("decode, native Rust", |_| {
        black_box(native_decode(&answer));
    });
    best("validate, mapping", |_| {
        let _ = black_box(mapping.validate(&request, &cfg));
    });
    best("simulator, one card", |_| {
        let _ = black_box(simulator.on_frame(&body, 1));
    });
    // A state of many cards must not make a frame dearer.
    for number in 0..200_000_u32 {
        let mut frame = body.clone();
        for (slot, digit) in frame
            .iter_mut()
            .skip(50)
            .zip(format!("{number:010}").bytes())
        {
            *slot = digit;
        }
        simulator.on_frame(&frame, 1)?;
    }
    best("simulator, 200,000 cards", |_| {
        let _ = black_box(simulator.on_frame(&body, 1));
    });

    std::thread::scope(|scope| {
        for name in [
            "encode, first of two threads",
            "encode, second of two threads",
        ] {
            let (mapping, cfg) = (&mapping, &cfg);
            scope.spawn(move || {
                best(name, |number| {
                    let _ = black_box(mapping.encode(step, &context(number), cfg));
                });
            });
        }
    });
    Ok(())
}
