//! Random bytes and JSON, and what random hands make of good ones.

use pairbox::domain::Chance;
use serde_json::{Map, Value, json};

/// Texts that have surprised somebody before.
const TEXTS: [&str; 16] = [
    "",
    " ",
    "0",
    "-1",
    "+3",
    "null",
    "true",
    "1e400",
    "99999999999999999999",
    "2026-02-30T25:61:61",
    "2026-11-23T10:00:00",
    "../../etc/passwd",
    "=1+1",
    "a\u{0}b",
    "line\r\nSet-Cookie: x",
    "\u{202e}\u{1f4a9}\u{fffd}",
];
const DEPTH_MAX: u32 = 4;

pub fn bytes(chance: &mut Chance, length_max: u64) -> Vec<u8> {
    let length = chance.below(length_max + 1);
    (0..length).map(|_| chance.draw() as u8).collect()
}

/// One of them.
pub fn one_of<'a, T>(chance: &mut Chance, all: &'a [T]) -> &'a T {
    &all[chance.below(all.len() as u64) as usize]
}

/// Changes a few bytes, or the length, or repeats or swaps a part.
pub fn spoil(chance: &mut Chance, bytes: &mut Vec<u8>) {
    for _ in 0..=chance.below(3) {
        let length = bytes.len() as u64;
        let from = chance.below(length + 1) as usize;
        let to = (from + chance.below(16) as usize).min(bytes.len());
        match chance.below(7) {
            0 if from < bytes.len() => bytes[from] = chance.draw() as u8,
            1 if from < bytes.len() => bytes[from] ^= 1 << chance.below(8),
            // Stays a digit where it was one.
            2 if from < bytes.len() => bytes[from] = b'0' + chance.below(10) as u8,
            3 => bytes.truncate(from),
            4 => {
                bytes.drain(from..to);
            }
            5 => {
                let part = bytes[from..to].to_vec();
                bytes.splice(from..from, part);
            }
            _ => {
                let part = self::bytes(chance, 8);
                bytes.splice(from..from, part);
            }
        }
    }
}

/// Any JSON.
pub fn json(chance: &mut Chance, depth: u32) -> Value {
    match chance.below(if depth < DEPTH_MAX { 8 } else { 6 }) {
        0 => Value::Null,
        1 => Value::Bool(chance.below(2) == 0),
        2 => json!(chance.draw().cast_signed()),
        3 => json!(f64::from(chance.below(100) as u32) / 7.0),
        4 => Value::from("x".repeat(chance.below(2_000) as usize)),
        5 => Value::from(*one_of(chance, &TEXTS)),
        6 => (0..chance.below(4))
            .map(|_| json(chance, depth + 1))
            .collect(),
        _ => {
            let mut map = Map::new();
            for _ in 0..chance.below(4) {
                let name = *one_of(chance, &TEXTS);
                map.insert(name.to_owned(), json(chance, depth + 1));
            }
            Value::Object(map)
        }
    }
}

/// Changes one place of a good value: another value, another name, one more or one less.
pub fn change(chance: &mut Chance, value: &mut Value) {
    let deeper = chance.below(3) > 0;
    match value {
        Value::Object(map) if !map.is_empty() => {
            let names: Vec<String> = map.keys().cloned().collect();
            let name = one_of(chance, &names).clone();
            match chance.below(6) {
                0 => {
                    map.remove(&name);
                }
                1 => {
                    let moved = map.remove(&name).unwrap();
                    map.insert(misspelt(chance, &name), moved);
                }
                2 => {
                    map.insert((*one_of(chance, &TEXTS)).to_owned(), json(chance, 2));
                }
                _ if deeper => change(chance, &mut map[&name]),
                _ => {
                    map.insert(name, json(chance, 2));
                }
            }
        }
        Value::Array(all) if !all.is_empty() && deeper => {
            let at = chance.below(all.len() as u64) as usize;
            change(chance, &mut all[at]);
        }
        Value::String(text) if deeper => {
            let mut bytes = std::mem::take(text).into_bytes();
            spoil(chance, &mut bytes);
            *text = String::from_utf8_lossy(&bytes).into_owned();
        }
        other => *other = json(chance, 2),
    }
}

fn misspelt(chance: &mut Chance, name: &str) -> String {
    let mut bytes = name.as_bytes().to_vec();
    spoil(chance, &mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}
