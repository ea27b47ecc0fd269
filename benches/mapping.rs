//! What a request costs in each shipped mapping, beside native Rust for the same frames; and smsgw in detail:
//! `cargo bench --bench mapping`.
//!
//! Prints processor nanoseconds a frame (wall time would count the neighbours), best of five rounds; asserts nothing.

use std::hint::black_box;
use std::path::Path;

use pairbox::domain::Timestamp;
use pairbox::script::contract::{Action, EncodeContext, MappingRequest, Neighbours};
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
    let nanos = cost(&mut one);
    println!("{name:<34} {nanos:>8} ns a frame");
}

/// Nanoseconds of one, the best of the rounds.
fn cost(mut one: impl FnMut(u32)) -> u64 {
    (0..ROUNDS)
        .map(|_| {
            let started = processor_nanos();
            for number in 0..FRAMES {
                one(number);
            }
            (processor_nanos() - started) / u64::from(FRAMES)
        })
        .min()
        .unwrap_or_default()
}

/// A pair in native Rust: the frame of a command, and whether an answer says yes.
struct Native {
    mapping: &'static str,
    cfg: serde_json::Value,
    stb: &'static str,
    encode: fn(&EncodeContext, &str, &str) -> Vec<u8>,
    decode: fn(&[u8]) -> bool,
}

fn natives() -> [Native; 5] {
    [
        Native {
            mapping: "smsgw",
            cfg: json!({"source_id": 1234, "dest_id": "0005", "mop_ppid": 67892}),
            stb: "0012345678",
            encode: native_encode,
            decode: |frame| native_decode(frame).is_some_and(|(_, is_ok)| is_ok),
        },
        Native {
            mapping: "bin6",
            cfg: json!({}),
            stb: "0000A001",
            encode: |context, card, stb| {
                let sequence = u16::try_from(context.transaction % 65_536).unwrap_or(1);
                let card: u32 = card.get(2..).and_then(|c| c.parse().ok()).unwrap_or(0);
                let stb = u32::from_str_radix(stb, 16).unwrap_or(0);
                let expiry = context.now.to_utc().timestamp() + 30 * 86_400;
                let mut frame = sequence.to_be_bytes().to_vec();
                frame.extend([2, 0x24, 0, 19]);
                frame.extend(stb.to_be_bytes());
                frame.extend([1, 0]);
                frame.extend(u32::try_from(expiry).unwrap_or(0).to_be_bytes());
                frame.push(1);
                frame.extend(card.to_be_bytes());
                frame.extend([0; 4]);
                frame
            },
            decode: |frame| frame.get(6..10) == Some(&[0; 4]),
        },
        Native {
            mapping: "line",
            cfg: json!({}),
            stb: "12345678",
            encode: |context, card, stb| {
                format!("{} PAIR {card} {stb}", context.transaction).into_bytes()
            },
            decode: |frame| {
                let mut words = frame.split(|byte| *byte == b' ');
                words.next().is_some() && words.next() == Some(b"OK") && words.next().is_none()
            },
        },
        Native {
            mapping: "stxetx",
            cfg: json!({}),
            stb: "12345678",
            encode: |_, card, stb| format!("P{card:0>12}{stb:0>12}").into_bytes(),
            decode: |frame| frame.len() == 26 && frame.first() == Some(&b'A'),
        },
        Native {
            mapping: "httpjson",
            cfg: json!({"operator": "north"}),
            stb: "12345678",
            encode: |_, card, stb| {
                let body = json!({
                    "cardNumber": card, "match": 1, "operatorName": "north",
                    "session": "{{session}}", "stbNo": stb,
                });
                format!(
                    "POST /sms/api/RepairOrCancelSTBnICPair HTTP/1.1\r\ncontent-type: application/json\r\n\r\n{body}"
                )
                .into_bytes()
            },
            decode: |frame| {
                let body = frame.windows(4).position(|end| end == b"\r\n\r\n");
                let body = body.and_then(|at| frame.get(at + 4..)).unwrap_or_default();
                serde_json::from_slice::<serde_json::Value>(body)
                    .is_ok_and(|answer| answer.get("status") == Some(&json!(0)))
            },
        },
    ]
}

fn pair(card: &str, stb: &str) -> MappingRequest {
    MappingRequest {
        action: Action::Pair,
        number: 1,
        card: card.to_owned(),
        stb: Some(stb.to_owned()),
        previous_stb: None,
        neighbours: Neighbours::default(),
        products: Vec::new(),
    }
}

fn context(number: u32) -> EncodeContext {
    EncodeContext {
        transaction: u64::from(number) + 1,
        now: Timestamp::from_micros(1_289_217_600_000_000),
        lane: 0,
    }
}

/// A pair from step to meaning in every mapping.
fn compare_all() -> Result<(), Box<dyn std::error::Error>> {
    println!(
        "{:<10} {:>14} {:>14} {:>14} {:>14}",
        "ns", "encode", "native", "decode", "native"
    );
    for native in natives() {
        let mapping = std::sync::Arc::new(Mapping::load(Path::new("scripts"), native.mapping)?);
        let cfg = mapping.settings(&native.cfg)?;
        let mut simulator = SimulatorScript::load(&mapping, &json!({}))?;
        let card = "001000000100";
        let request = pair(card, native.stb);
        let steps = mapping.plan(&request, &cfg)?;
        let step = steps.first().ok_or("no step")?;
        let body = mapping.encode(step, &context(0), &cfg)?.body;
        let by_hand = (native.encode)(&context(0), card, native.stb);
        assert_eq!(
            String::from_utf8_lossy(&body),
            String::from_utf8_lossy(&by_hand),
            "{}: both make the same frame",
            native.mapping
        );
        let answer = match native.mapping {
            "line" => b"1 OK".to_vec(),
            "httpjson" => b"HTTP/1.1 200 -\r\ncontent-type: application/json\r\n\r\n{\"status\":0,\"id\":\"T1\"}".to_vec(),
            _ => simulator.on_frame(&body, 1)?.remove(0),
        };
        assert!((native.decode)(&answer), "{}", native.mapping);
        let encode = cost(|number| {
            let _ = black_box(mapping.encode(step, &context(number), &cfg));
        });
        let encode_native = cost(|number| {
            black_box((native.encode)(&context(number), card, native.stb));
        });
        let decode = cost(|_| {
            let _ = black_box(mapping.decode(&answer, &cfg));
        });
        let decode_native = cost(|_| {
            black_box((native.decode)(&answer));
        });
        println!(
            "{:<10} {encode:>14} {encode_native:>14} {decode:>14} {decode_native:>14}",
            native.mapping
        );
    }
    println!();
    Ok(())
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
    compare_all()?;
    let mapping = Mapping::load(Path::new("scripts"), "smsgw")?;
    let cfg =
        mapping.settings(&json!({"source_id": 1234, "dest_id": "0005", "mop_ppid": 67892}))?;
    let mut simulator = SimulatorScript::load(&mapping, &json!({}))?;
    let request = pair("019000802077", "0012345678");
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
