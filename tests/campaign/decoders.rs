//! Random frames, and good ones in bad hands, to every decoder: the framing, each shipped mapping's session and `decode`,
//! and its simulator. None panics, hangs or grows, and none takes a bad frame for an acknowledgement.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pairbox::domain::{Chance, Checksum, Endian, Framing, Outcome, Timestamp};
use pairbox::script::contract::{Decoded, EncodeContext};
use pairbox::script::shipped;
use pairbox::script::{Mapping, MappingSession, STACK_BYTES_MIN, Settings, SimulatorScript};
use pairbox::transport::{Decoder, encode};
use serde_json::Value;

use crate::mutate::{bytes, one_of, spoil};
use crate::rounds::Rounds;
use crate::table::Row;
use crate::wire::acknowledged;

/// A call of a script has a budget far below this.
const CALL_WITHIN: Duration = Duration::from_secs(2);
const FRAME_BYTES_MAX: u64 = 300;

#[test]
fn no_frame_breaks_a_decoder() {
    let body = || {
        let rounds = Rounds::timed("frames", Duration::from_secs(1), Duration::from_mins(1));
        let mut mappings: Vec<Speaker> = shipped::mapping_names()
            .into_iter()
            .map(Speaker::new)
            .collect();
        let mut count = 0;
        for seed in rounds {
            let mut chance = Chance::new(seed);
            stream(&mut chance);
            for speaker in &mut mappings {
                speaker.hear(&mut chance);
            }
            count += 1;
        }
        let mut row = Row::default();
        row.set_rounds(count);
        row.tell("random and spoilt frames to every decoder");
    };
    // Scripts want more stack than a test has.
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES_MIN);
    let ended = thread.spawn(body).unwrap().join();
    if let Err(panic) = ended {
        std::panic::resume_unwind(panic);
    }
}

/// Good frames, some spoilt, in pieces of any size: what comes out is bounded, and good until the first spoilt byte.
fn stream(chance: &mut Chance) {
    let framing = framing(chance);
    let mut sent = Vec::new();
    let mut stream = Vec::new();
    for _ in 0..chance.below(5) {
        let mut payload = payload(chance, &framing);
        if framing.complete(&mut payload).is_ok()
            && encode(&framing, b"", &payload, &mut stream).is_ok()
        {
            sent.push(payload);
        }
    }
    let is_spoilt = chance.below(2) == 0;
    if is_spoilt {
        spoil(chance, &mut stream);
    }
    let mut decoder = Decoder::new(framing.clone());
    let mut heard = Vec::new();
    let mut at = 0;
    'stream: while at < stream.len() {
        let piece = 1 + chance.below(64) as usize;
        let end = (at + piece).min(stream.len());
        decoder.feed(&stream[at..end]);
        at = end;
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => heard.push(frame),
                Ok(None) => break,
                // Nothing after it can be trusted: the connection ends here.
                Err(_) => break 'stream,
            }
        }
    }
    let (_, max) = framing.payload_bytes();
    assert!(heard.iter().all(|frame| frame.len() <= max), "{framing:?}");
    assert!(decoder.waiting_bytes() <= stream.len());
    if !is_spoilt {
        let heard: Vec<_> = heard.into_iter().map(without_length).collect();
        assert_eq!(heard, sent, "{framing:?}");
    }
}

/// What the transport adds to an HTTP message stands in what comes out.
fn without_length(frame: Vec<u8>) -> Vec<u8> {
    let line = b"\r\nContent-Length: ";
    let Some(at) = frame.windows(line.len()).position(|part| part == line) else {
        return frame;
    };
    let end = frame[at + 2..].windows(2).position(|part| part == b"\r\n");
    [&frame[..at], &frame[at + 2 + end.unwrap()..]].concat()
}

fn framing(chance: &mut Chance) -> Framing {
    let max = 1 + chance.below(5_000) as u32;
    let endian = *one_of(chance, &[Endian::Big, Endian::Little]);
    match chance.below(6) {
        0 => Framing::Len {
            bytes: *one_of(chance, &[1, 2, 4]),
            endian,
            includes_self: chance.below(2) == 0,
            adjust: chance.below(17) as i32 - 8,
            max,
        },
        1 => Framing::Header {
            size: 6,
            len_at: chance.below(3) as u8,
            len_bytes: *one_of(chance, &[1, 2, 4]),
            endian,
            adjust: chance.below(17) as i32 - 8,
            magic: Vec::new(),
            max: max + 6,
        },
        2 => {
            let sums = Checksum::ALL.map(|(_, checksum)| checksum);
            Framing::StxEtx {
                stx: 2,
                etx: 3,
                escape: *one_of(chance, &[None, Some(0x10)]),
                checksum: *one_of(chance, &sums),
                max,
            }
        }
        3 => Framing::Delim {
            bytes: one_of(chance, &[b"\n".to_vec(), b"\r\n".to_vec()]).clone(),
            max,
        },
        4 => Framing::Fixed {
            size: 1 + chance.below(300) as u32,
        },
        // The transport adds a line to the head, which counts where it is heard.
        _ => Framing::Http { max: max + 600 },
    }
}

fn payload(chance: &mut Chance, framing: &Framing) -> Vec<u8> {
    let body = bytes(chance, FRAME_BYTES_MAX);
    match framing {
        Framing::Fixed { size } => body
            .into_iter()
            .cycle()
            .chain(std::iter::repeat(7))
            .take(*size as usize)
            .collect(),
        Framing::Http { .. } => {
            let head = one_of(
                chance,
                &["HTTP/1.1 200 -\r\n\r\n", "PUT /a HTTP/1.1\r\nx: y\r\n\r\n"],
            );
            [head.as_bytes(), &body].concat()
        }
        _ => body,
    }
}

/// A mapping with its simulator, and frames that are good.
struct Speaker {
    mapping: Arc<Mapping>,
    settings: Settings,
    simulator: SimulatorScript,
    frames: Vec<Vec<u8>>,
}

impl Speaker {
    fn new(name: &str) -> Self {
        let mapping = Arc::new(Mapping::load(Path::new("scripts"), name).unwrap());
        let (mut frames, mut given) = (Vec::new(), serde_json::json!({}));
        let cases = Path::new("scripts/mappings").join(name).join("cases");
        for file in std::fs::read_dir(cases).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let cases: Value = serde_json::from_str(&text).unwrap();
            gather(&cases, &mut frames);
            if cases["cfg"].is_object() {
                given = cases["cfg"].clone();
            }
        }
        let settings = mapping.settings(&given).unwrap();
        let simulator = SimulatorScript::load(&mapping, &given).unwrap();
        assert!(!frames.is_empty(), "the cases of `{name}` have frames");
        Self {
            mapping,
            settings,
            simulator,
            frames,
        }
    }

    fn hear(&mut self, chance: &mut Chance) {
        let mut frame = bytes(chance, FRAME_BYTES_MAX);
        if chance.below(4) > 0 {
            frame = one_of(chance, &self.frames).clone();
            spoil(chance, &mut frame);
        }
        let began = Instant::now();
        let decoded = self.mapping.decode(&frame, &self.settings);
        if let Ok(Decoded::Reply(reply)) = &decoded
            && reply.outcome == Outcome::Ok
            && self.mapping.name() == "smsgw"
        {
            let told = acknowledged(&frame).map(|number| format!("{number:09}"));
            assert_eq!(told.as_ref(), Some(&reply.key), "{frame:?}");
        }
        let mut session = MappingSession::new(self.mapping.clone(), self.settings.clone());
        let context = EncodeContext {
            transaction: 1,
            now: Timestamp::ZERO,
            lane: 0,
        };
        let _ = session.on_connect(&context);
        let _ = session.on_frame(&frame);
        let _ = self.simulator.on_frame(&frame, 1);
        assert!(began.elapsed() < CALL_WITHIN, "{:?}", began.elapsed());
    }
}

/// Every frame of the cases: members `hex`, `wire` and `text`.
fn gather(value: &Value, frames: &mut Vec<Vec<u8>>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                match (name.as_str(), value.as_str()) {
                    ("hex" | "wire", Some(text)) => {
                        frames.extend(hex::decode(text.replace(' ', "")));
                    }
                    ("text", Some(text)) => frames.push(text.as_bytes().to_vec()),
                    _ => gather(value, frames),
                }
            }
        }
        Value::Array(all) => all.iter().for_each(|value| gather(value, frames)),
        _ => {}
    }
}
