//! A frame for the eye: field by field where the mapping names its fields, else as lines of text, else as hexadecimal.

use std::fmt::Write as _;

use crate::script::Mapping;

const BYTES_A_LINE: usize = 16;

/// Lines, each with two blanks before it.
pub fn dump(mapping: &Mapping, frame: &[u8]) -> String {
    let fields = mapping.fields(frame);
    if !fields.is_empty() {
        return by_fields(frame, &fields);
    }
    let is_text = |byte: &u8| (0x20..0x7f).contains(byte) || b"\r\n\t".contains(byte);
    if !frame.is_empty() && frame.iter().all(is_text) {
        let text = String::from_utf8_lossy(frame);
        return text.lines().fold(String::new(), |mut all, line| {
            let _ = writeln!(all, "  {}", line.trim_end());
            all
        });
    }
    let mut all = String::new();
    for (line, bytes) in frame.chunks(BYTES_A_LINE).enumerate() {
        let _ = writeln!(
            all,
            "  {:04x}  {:<47}  {}",
            line * BYTES_A_LINE,
            spaced(bytes),
            shown(bytes)
        );
    }
    all
}

fn by_fields(frame: &[u8], fields: &[crate::script::contract::FieldName]) -> String {
    let widest = fields.iter().map(|field| field.name.chars().count()).max();
    let widest = widest.unwrap_or(0);
    let mut all = String::new();
    let mut known = vec![false; frame.len()];
    for field in fields {
        let bytes = frame
            .get(field.at..field.at + field.bytes)
            .unwrap_or_default();
        if let Some(covered) = known.get_mut(field.at..field.at + field.bytes) {
            covered.fill(true);
        }
        let _ = writeln!(
            all,
            "  {:>4}  {:<widest$}  {:<24}  {}",
            field.at,
            field.name,
            shown(bytes),
            spaced(bytes)
        );
    }
    let rest: Vec<u8> = frame
        .iter()
        .zip(&known)
        .filter(|(_, known)| !**known)
        .map(|(byte, _)| *byte)
        .collect();
    if !rest.is_empty() {
        let _ = writeln!(
            all,
            "  {:>4}  {:<widest$}  {:<24}  {}",
            "",
            "(no name)",
            shown(&rest),
            spaced(&rest)
        );
    }
    all
}

fn spaced(bytes: &[u8]) -> String {
    let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    pairs.join(" ")
}

fn shown(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| match byte {
            0x20..=0x7e => char::from(*byte),
            _ => '.',
        })
        .collect()
}
